//! One record, shown without the others: its line, what leads from it to the root that a checkpoint signs, and that checkpoint.

use std::io::{self, BufRead};

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chain::{Hash, Link, Sealed};
use crate::entry::{self, Checkpoint, Kind};
use crate::key::PublicKeys;
use crate::merkle::{path, root_by};
use crate::search::{DecisionId, End, next_line};
use crate::verify::{Step, Unverified, Verifier, Wrong, signature};

/// The version of proofs.
const FORMAT: u8 = 1;
/// Longest path: a checkpoint sums up fewer than 2³² lines.
const MAX_PATH: usize = 32;

/// Shows that a record is one of those that a checkpoint sums up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    proof: u8,
    /// The record's line, byte for byte, without its line break.
    line: String,
    /// The hash of the line before.
    before: Hash,
    /// Its place among the lines that are summed up, from 0, and how many these are.
    index: u64,
    size: u64,
    /// The hashes that lead to the root, nearest first (RFC 6962 §2.1.1).
    path: Vec<Hash>,
    /// The checkpoint's line, likewise.
    checkpoint: String,
}

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The file is not as it was written, or cannot be read.
    #[error("{0}")]
    Unverified(#[from] Unverified),
    /// The file has no record of it.
    #[error("no record of it")]
    NotThere,
    /// No checkpoint comes after it before its run or the file ends.
    #[error("no checkpoint sums it up yet")]
    NotSummedUp,
    /// That checkpoint is not signed.
    #[error("the checkpoint that sums it up is not signed")]
    Unsigned,
}

/// Why a proof shows nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refuted {
    /// Not a proof, or of a version that is not known.
    #[error("not a proof of version 1")]
    Format,
    /// The record's line is not what its hash says.
    #[error("the record's line was changed")]
    Line,
    /// The checkpoint's line is none, or was changed outside of what is signed.
    #[error("the checkpoint's line was changed")]
    Checkpoint,
    /// It is signed by nobody.
    #[error("the checkpoint is not signed")]
    Unsigned,
    /// It was changed, or is signed by somebody else.
    #[error("{0}")]
    Signature(Wrong),
    /// The record is not one of those that it sums up.
    #[error("the checkpoint does not sum this record up")]
    NotIncluded,
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proven {
    /// The record.
    pub record: Value,
    /// Its number in the run.
    pub seq: u64,
    /// The run.
    pub writer: String,
    /// When the checkpoint was made; RFC 3339.
    pub summed_up: String,
    /// The key that has signed it.
    pub key: String,
}

struct Wanted {
    line: Vec<u8>,
    before: Hash,
    index: usize,
}

/// Reads a file up to the checkpoint after the record of a decision or an order. The chain up to there is checked; signatures
/// are not.
///
/// # Errors
/// [`Unproven`]
pub fn prove(name: &str, records: &mut impl BufRead, id: &DecisionId) -> Result<Proof, Unproven> {
    let mut verifier = Verifier::new(None, Vec::new());
    verifier.begin_file(name);
    let finder = Finder::new(id.as_str().as_bytes());
    let (mut line, mut number, mut offset) = (Vec::new(), 0_u64, 0_u64);
    let (mut entries, mut wanted): (Vec<Hash>, Option<Wanted>) = (Vec::new(), None);
    loop {
        let end = next_line(records, &mut line).map_err(Unverified::Unreadable)?;
        let cut = matches!(end, End::OfFile);
        if cut && line.is_empty() {
            return Err(if wanted.is_some() { Unproven::NotSummedUp } else { Unproven::NotThere });
        }
        number = number.saturating_add(1);
        let step = verifier.line(&line, &end, (number, offset));
        match step.map_err(|failed| verifier.violation(&failed))? {
            Step::Header(_) if wanted.is_some() => return Err(Unproven::NotSummedUp),
            Step::Header(link) => entries = vec![link.hash],
            Step::Record(link, before) => {
                if wanted.is_none() && finder.find(&line).is_some() && is_of(&line, id) {
                    wanted = Some(Wanted { line: line.clone(), before, index: entries.len() });
                }
                entries.push(link.hash);
            }
            Step::Checkpoint(checkpoint) => match wanted.take() {
                Some(wanted) => return proof(wanted, &entries, &checkpoint, &line),
                None => entries.clear(),
            },
            Step::Torn => {}
        }
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        offset = offset.saturating_add(length).saturating_add(1);
    }
}

fn is_of(line: &[u8], id: &DecisionId) -> bool {
    let Ok(record) = serde_json::from_slice::<Value>(line) else { return false };
    ["decision", "admin"].iter().any(|name| record.get(*name).and_then(Value::as_str) == Some(id.as_str()))
}

fn proof(wanted: Wanted, entries: &[Hash], checkpoint: &Checkpoint, line: &[u8]) -> Result<Proof, Unproven> {
    if checkpoint.kid.is_none() {
        return Err(Unproven::Unsigned);
    }
    let text = |line: Vec<u8>| {
        String::from_utf8(line).map_err(|_not_text| Unverified::Unreadable(io::ErrorKind::InvalidData.into()))
    };
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let path = path(entries, wanted.index).ok_or(Unproven::NotSummedUp)?;
    Ok(Proof {
        proof: FORMAT,
        line: text(wanted.line)?,
        before: wanted.before,
        index: number(wanted.index),
        size: number(entries.len()),
        path,
        checkpoint: text(line.to_vec())?,
    })
}

impl Proof {
    /// Reads JSON.
    ///
    /// # Errors
    /// [`Refuted::Format`]
    pub fn parse(json: &[u8]) -> Result<Self, Refuted> {
        let proof: Self = serde_json::from_slice(json).or(Err(Refuted::Format))?;
        if proof.proof != FORMAT || proof.path.len() > MAX_PATH {
            return Err(Refuted::Format);
        }
        Ok(proof)
    }

    /// Checks everything that it says.
    ///
    /// # Errors
    /// [`Refuted`]
    pub fn verify(&self, keys: &PublicKeys) -> Result<Proven, Refuted> {
        let Self { proof: _, line, before, index, size, path, checkpoint } = self;
        let link =
            Sealed::of(line.as_bytes()).and_then(|sealed| sealed.after(before)).ok_or(Refuted::Line)?;
        // Headers are in the tree as well.
        if !matches!(entry::begin(line.as_bytes()), Some((Kind::Record, _))) {
            return Err(Refuted::Line);
        }
        let record = serde_json::from_str::<Value>(line).or(Err(Refuted::Line))?;
        let (summed_up, by, last) = summary(checkpoint, keys)?;
        let at = by.from.checked_add(*index);
        let all = by.through.checked_sub(by.from).and_then(|more| more.checked_add(1));
        let root = root_by(path, &link.hash, *index, *size);
        if at != Some(link.seq) || all != Some(*size) || root.is_none() || root != by.root {
            return Err(Refuted::NotIncluded);
        }
        if last.seq.checked_sub(1) != Some(by.through) {
            return Err(Refuted::Checkpoint);
        }
        let Checkpoint { writer, kid, .. } = by;
        Ok(Proven { record, seq: link.seq, writer, summed_up, key: kid.unwrap_or_default() })
    }
}

/// When a checkpoint was made, what it says, and its own link.
fn summary(line: &str, keys: &PublicKeys) -> Result<(String, Checkpoint, Link), Refuted> {
    let sealed = Sealed::of(line.as_bytes()).ok_or(Refuted::Checkpoint)?;
    let Some((Kind::Checkpoint, time)) = entry::begin(line.as_bytes()) else {
        return Err(Refuted::Checkpoint);
    };
    let checkpoint = entry::checkpoint(line.as_bytes()).ok_or(Refuted::Checkpoint)?;
    if !signature(Some(keys), &checkpoint, &sealed).map_err(Refuted::Signature)? {
        return Err(Refuted::Unsigned);
    }
    let link = sealed.after(&checkpoint.head).ok_or(Refuted::Checkpoint)?;
    Ok((String::from_utf8_lossy(time).into_owned(), checkpoint, link))
}

#[cfg(test)]
mod tests;

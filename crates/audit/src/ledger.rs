//! The chain as its writer knows it, and what is put into it.

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::chain::{Hash, Link, seal};
use crate::entry::{CHAIN, Checkpoint, CheckpointLine, Closes, Header, HeaderLine, put_signature, unsigned};
use crate::error::AuditError;
use crate::key::SigningKey;
use crate::merkle::Tree;
use crate::sink::Page as SinkPage;
use crate::tail::Tail;

/// When the chain is summed up, and who signs that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// Signs them. Without it there is a chain, and whoever can write the file can make another.
    pub key: Option<SigningKey>,
    /// The longest time from one to the next while there are lines.
    pub every: SignedDuration,
    /// The most lines between two.
    pub records: NonZeroU32,
}

impl Checkpoints {
    /// The usual time between two.
    pub const EVERY: SignedDuration = SignedDuration::from_mins(1);
    /// The usual number of lines between two.
    pub const RECORDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9_999);
}

impl Default for Checkpoints {
    fn default() -> Self {
        Self { key: None, every: Self::EVERY, records: Self::RECORDS }
    }
}

/// Why a header is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// A process begins.
    Run,
    /// Another file.
    File,
    /// The end of this file is not known to be that of a line.
    Torn,
}

/// Where a writer's chain is. It is copied before lines are made, so that an append that fails changes nothing.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    writer: Arc<str>,
    last: Option<Link>,
    /// Over the lines from `from` on.
    tree: Tree,
    from: u64,
    /// The time of the last checkpoint or header.
    since: Timestamp,
    /// The last checkpoint.
    checkpoint: Option<Head>,
}

/// A checkpoint that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The writer's run.
    pub writer: Arc<str>,
    /// The checkpoint's own line.
    pub link: Link,
    /// Whether it is signed.
    pub signed: bool,
}

impl Ledger {
    /// That of a run that has not begun.
    ///
    /// # Errors
    /// [`AuditError::NoRandomness`]
    pub(crate) fn new() -> Result<Self, AuditError> {
        Ok(Self {
            writer: writer()?,
            last: None,
            tree: Tree::default(),
            from: 0,
            since: Timestamp::MIN,
            checkpoint: None,
        })
    }

    pub(crate) fn last_seq(&self) -> u64 {
        self.last.map_or(0, |last| last.seq)
    }

    /// The lines that were taken in last, for sinks.
    pub(crate) fn page(&self, bytes: Vec<u8>) -> SinkPage {
        let lines = u64::try_from(memchr::memchr_iter(b'\n', &bytes).count()).unwrap_or(u64::MAX);
        let first = self.last_seq().saturating_add(1).saturating_sub(lines);
        SinkPage { bytes: Arc::new(bytes), lines, first, writer: Arc::clone(&self.writer) }
    }

    pub(crate) const fn checkpoint(&self) -> Option<&Head> {
        self.checkpoint.as_ref()
    }

    fn is_due(&self, now: Timestamp, every: SignedDuration) -> bool {
        // A clock that was set back says nothing of how long ago that was.
        self.tree.len() > 0 && (now.duration_since(self.since) >= every || now < self.since)
    }

    /// Takes in the line that begins at `start`.
    fn take(
        &mut self,
        lines: &mut Vec<u8>,
        start: usize,
        before: &Hash,
        seq: u64,
    ) -> Result<Link, AuditError> {
        let link = seal(lines, start, seq, before).ok_or(AuditError::Format)?;
        self.last = Some(link);
        Ok(link)
    }

    fn next(&self) -> (Hash, u64) {
        self.last.map_or((Hash::NONE, 1), |last| (last.hash, last.seq.saturating_add(1)))
    }
}

/// Lines that are about to be appended, all of them or none.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) ledger: Ledger,
    pub(crate) lines: Vec<u8>,
    now: Timestamp,
    checkpoints: &'a Checkpoints,
}

impl<'a> Page<'a> {
    /// An empty page, which puts lines down in `lines`, an empty buffer.
    pub(crate) fn new(ledger: &Ledger, checkpoints: &'a Checkpoints, now: Timestamp, lines: Vec<u8>) -> Self {
        Self { ledger: ledger.clone(), lines, now, checkpoints }
    }

    /// Puts down the header of a file that ends like this.
    ///
    /// # Errors
    /// [`AuditError::NoRandomness`], [`AuditError::Format`]
    pub(crate) fn begin(&mut self, begin: Begin, tail: &Tail) -> Result<(), AuditError> {
        let same = match begin {
            Begin::Run => false,
            // Whoever has written into the new file had a chain of his own.
            Begin::File => tail.last.is_none() && !tail.unseen,
            // Of what went into a pipe nobody knows how much was taken.
            Begin::Torn => !tail.unseen,
        };
        if !same {
            self.ledger.last = None;
            // Always another name: a begin that failed may stand in the file nevertheless.
            self.ledger.writer = writer()?;
        }
        let (own, found) = (self.ledger.last, tail.last);
        // An append that could not be undone may have left lines of ours.
        let continues = if same { found.or(own) } else { found };
        let header = Header {
            chain: CHAIN,
            writer: self.ledger.writer.to_string(),
            continues,
            torn: tail.torn,
            unchained: (found.is_none() && tail.length > 0)
                .then(|| tail.length.saturating_add(u64::from(tail.unended))),
            unseen: tail.unseen,
        };
        let before = continues.map_or(Hash::NONE, |link| link.hash);
        let seq = if same { continues.map_or(1, |link| link.seq.saturating_add(1)) } else { 1 };
        let start = self.put(&HeaderLine::new(self.now, &header))?;
        let link = self.ledger.take(&mut self.lines, start, &before, seq)?;
        self.ledger.tree.clear();
        self.ledger.tree.push(&link.hash);
        (self.ledger.from, self.ledger.since) = (seq, self.now);
        Ok(())
    }

    /// Puts down a record: a JSON object.
    ///
    /// # Errors
    /// [`AuditError::Format`], and those of [`Self::checkpoint`].
    pub(crate) fn record(&mut self, json: &[u8]) -> Result<(), AuditError> {
        let start = self.lines.len();
        self.lines.extend_from_slice(json);
        let (before, seq) = self.ledger.next();
        let link = self.ledger.take(&mut self.lines, start, &before, seq)?;
        self.ledger.tree.push(&link.hash);
        if self.ledger.tree.len() >= u64::from(self.checkpoints.records.get()) {
            self.checkpoint(None)?;
        }
        Ok(())
    }

    /// Puts down a checkpoint if the last one is long ago.
    ///
    /// # Errors
    /// Those of [`Self::checkpoint`].
    pub(crate) fn checkpoint_if_due(&mut self) -> Result<(), AuditError> {
        if self.ledger.is_due(self.now, self.checkpoints.every) { self.checkpoint(None) } else { Ok(()) }
    }

    /// Puts down a checkpoint if there are lines that none sums up yet.
    ///
    /// # Errors
    /// Those of [`Self::checkpoint`].
    pub(crate) fn checkpoint_if_any(&mut self) -> Result<(), AuditError> {
        if self.ledger.tree.len() > 0 { self.checkpoint(None) } else { Ok(()) }
    }

    /// Puts down a checkpoint. One that closes nothing needs lines to sum up.
    ///
    /// # Errors
    /// [`AuditError::Format`], [`AuditError::Unsigned`]
    pub(crate) fn checkpoint(&mut self, closes: Option<Closes>) -> Result<(), AuditError> {
        let Some(last) = self.ledger.last else { return Ok(()) };
        let key = self.checkpoints.key.as_ref();
        let checkpoint = Checkpoint {
            writer: self.ledger.writer.to_string(),
            from: self.ledger.from,
            through: last.seq,
            head: last.hash,
            root: self.ledger.tree.root(),
            closes,
            kid: key.map(|key| key.id().to_owned()),
            alg: key.map(|key| key.algorithm().to_owned()),
        };
        let start = self.put(&CheckpointLine::new(self.now, &checkpoint))?;
        if let Some(key) = key {
            let message = unsigned(self.lines.get(start..).ok_or(AuditError::Format)?);
            let signature = key.sign(message).or(Err(AuditError::Unsigned))?;
            put_signature(&mut self.lines, &signature);
        }
        let (before, seq) = self.ledger.next();
        let link = self.ledger.take(&mut self.lines, start, &before, seq)?;
        self.ledger.tree.clear();
        (self.ledger.from, self.ledger.since) = (seq.saturating_add(1), self.now);
        let writer = Arc::clone(&self.ledger.writer);
        self.ledger.checkpoint = Some(Head { writer, link, signed: key.is_some() });
        Ok(())
    }

    /// Where the object begins.
    fn put(&mut self, line: &impl Serialize) -> Result<usize, AuditError> {
        let start = self.lines.len();
        serde_json::to_writer(&mut self.lines, line).or(Err(AuditError::Format))?;
        Ok(start)
    }
}

/// 128 random bits, in hex.
fn writer() -> Result<Arc<str>, AuditError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).or(Err(AuditError::NoRandomness))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)).into())
}

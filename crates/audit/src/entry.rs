//! The lines that hold the chain together: the header, where a writer begins, and the checkpoint, which is signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chain::{Hash, Link};
use crate::key::SIGNATURE;
use crate::record::{VERSION, milliseconds};

/// The version of the chain that headers state.
pub(crate) const CHAIN: u8 = 1;

/// What each line begins with, up to the 24 characters of its time.
const BEGIN: &[u8] = br#"{"v":1,"time":""#;
const TIME: usize = 24;
const HEADER: &[u8] = br#"","open":"#;
const CHECKPOINT: &[u8] = br#"","checkpoint":"#;
const SIGNED: &[u8] = br#","signature":""#;
/// A signature in base64url, in characters.
const ENCODED: usize = 86;

/// A line that begins a writer's run, or goes on with it in another file or after a line that was torn.
#[derive(Debug, Serialize)]
pub(crate) struct HeaderLine<'a> {
    v: u8,
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    open: &'a Header,
}

impl<'a> HeaderLine<'a> {
    pub(crate) const fn new(time: Timestamp, open: &'a Header) -> Self {
        Self { v: VERSION, time, open }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`CHAIN`]
    pub(crate) chain: u8,
    /// The run of a process, at random.
    pub(crate) writer: String,
    /// The line that it comes after, in this file or in the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) continues: Option<Link>,
    /// What stands between the two: the begin of a line that was never ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) torn: Option<Torn>,
    /// How many bytes without a chain the file had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unchained: Option<u64>,
    /// What stands before it could not be looked at, since it went into a pipe or a device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unseen: bool,
}

/// Bytes that are no line. Without those of the line break that ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Torn {
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
}

/// A line that says what the chain has come to.
#[derive(Debug, Serialize)]
pub(crate) struct CheckpointLine<'a> {
    v: u8,
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    checkpoint: &'a Checkpoint,
}

impl<'a> CheckpointLine<'a> {
    pub(crate) const fn new(time: Timestamp, checkpoint: &'a Checkpoint) -> Self {
        Self { v: VERSION, time, checkpoint }
    }
}

/// What a checkpoint says. It is signed as it stands in the line, from the line's begin up to `,"signature"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) writer: String,
    /// The first line that the tree is over: the one after the checkpoint or the header's own, whichever is later.
    pub(crate) from: u64,
    /// The last one, and its hash.
    pub(crate) through: u64,
    pub(crate) head: Hash,
    /// The root of the Merkle tree over the hashes of these lines (RFC 6962 §2.1); absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<Hash>,
    /// What ends with this line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) closes: Option<Closes>,
    /// The key, and the algorithm's name in JOSE; absent where nothing is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alg: Option<String>,
}

/// What a checkpoint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closes {
    /// The file: the run goes on in another one.
    File,
    /// The run.
    Run,
}

#[derive(Debug, Deserialize)]
struct WithHeader {
    open: Header,
}

#[derive(Debug, Deserialize)]
struct WithCheckpoint {
    checkpoint: Checkpoint,
}

/// What kind of line it is, by the bytes that it begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Header,
    Checkpoint,
    Record,
}

/// The line's kind and time, as text; `None` if it does not begin like a line of ours.
pub(crate) fn begin(line: &[u8]) -> Option<(Kind, &[u8])> {
    let (time, rest) = line.strip_prefix(BEGIN)?.split_at_checked(TIME)?;
    let kind = if rest.starts_with(HEADER) {
        Kind::Header
    } else if rest.starts_with(CHECKPOINT) {
        Kind::Checkpoint
    } else if rest.starts_with(b"\",\"") {
        Kind::Record
    } else {
        return None;
    };
    Some((kind, time))
}

/// What a header line says.
pub(crate) fn header(line: &[u8]) -> Option<Header> {
    serde_json::from_slice(line).map(|line: WithHeader| line.open).ok()
}

/// What a checkpoint's line says.
pub(crate) fn checkpoint(line: &[u8]) -> Option<Checkpoint> {
    serde_json::from_slice(line).map(|line: WithCheckpoint| line.checkpoint).ok()
}

/// Puts the signature at the end of an object.
pub(crate) fn put_signature(lines: &mut Vec<u8>, signature: &[u8; SIGNATURE]) {
    if lines.pop().is_some() {
        lines.extend_from_slice(SIGNED);
        lines.extend_from_slice(URL_SAFE_NO_PAD.encode(signature).as_bytes());
        lines.extend_from_slice(b"\"}");
    }
}

/// What is signed: the object without its end.
pub(crate) fn unsigned(lines: &[u8]) -> &[u8] {
    lines.strip_suffix(b"}").unwrap_or(lines)
}

/// What is signed, and the signature, of a line's content (without number and hash). `None` where there is none.
pub(crate) fn signed(content: &[u8]) -> Option<(&[u8], [u8; SIGNATURE])> {
    let content = content.strip_suffix(b"\"")?;
    let (rest, signature) = content.split_at_checked(content.len().checked_sub(ENCODED)?)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?.try_into().ok()?;
    Some((rest.strip_suffix(SIGNED)?, signature))
}

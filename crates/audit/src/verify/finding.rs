//! What is found out about a chain.

use std::fmt;

use serde::Serialize;

use crate::chain::Link;

/// Where a line is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
    /// The byte that it begins with, from 0.
    pub offset: u64,
    /// The number that the line says it has, if it says one.
    pub seq: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}, byte {}", self.file, self.line, self.offset)?;
        self.seq.map_or(Ok(()), |seq| write!(f, ", record {seq}"))
    }
}

/// The first line that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where; `None` for what is nowhere.
    pub place: Option<Place>,
    /// What is wrong there.
    pub wrong: Wrong,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.wrong),
            None => self.wrong.fmt(f),
        }
    }
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Its bytes, or the hash that it ends in.
    #[error("changed: its hash is not that of its bytes and of the line before")]
    Changed,
    /// No line of a chain, and no writer has found it so.
    #[error("changed or put in: not a line of the chain")]
    NotALine,
    /// Longer than any record.
    #[error("longer than any record")]
    TooLong,
    /// Another one should stand here.
    #[error("removed, moved or put in: record {expected} comes next, and this says that it is {found}")]
    Order {
        /// What comes next.
        expected: u64,
        /// What stands here.
        found: u64,
    },
    /// A header after another line than the one that its writer found.
    #[error("removed, moved or put in: goes on from {after}, and the line before is {last}")]
    Follows {
        /// What its writer found.
        after: Link,
        /// What is there.
        last: Link,
    },
    /// Lines before it are gone.
    #[error("the begin is missing: no header stands before it")]
    Headless,
    /// Somebody else has begun to write before.
    #[error("two writers: it does not go on from the line before, but from an earlier one")]
    TwoWriters,
    /// A header that no writer would write.
    #[error("not a header that can stand here")]
    Header,
    /// A later version.
    #[error("version {0} of the chain is not known")]
    Version(u8),
    /// What a writer has found at the end of the file is not there.
    #[error("removed: the piece of a line that was found before this header")]
    TornGone,
    /// It says something else than the lines before it.
    #[error("the checkpoint does not sum up the lines before it")]
    Checkpoint,
    /// The key is not among those that were given.
    #[error("signed with key {0:?}, which is not among the given ones")]
    UnknownKey(String),
    /// Not by that key, or something else.
    #[error("the checkpoint's signature is wrong")]
    Signature,
    /// A line of a run, or a file, that is over.
    #[error("put in: its writer had closed the file before")]
    AfterEnd,
    /// A line that was noted elsewhere.
    #[error("cut: the line that was noted as {0} is in none of the files")]
    NotThere(Link),
}

/// What is whole, and what is to be said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Files that were read.
    pub files: u64,
    /// All lines.
    pub lines: u64,
    /// Records of decisions, orders and gaps.
    pub records: u64,
    /// Runs of writers.
    pub runs: u64,
    /// All checkpoints.
    pub checkpoints: u64,
    /// Checkpoints with a signature.
    pub signed: u64,
    /// The last line.
    pub head: Option<Link>,
    /// What could have been changed or cut without a trace; at most 100.
    pub unvouched: Vec<Stretch>,
    /// Further ones of those.
    pub more_unvouched: u64,
    /// What is worth knowing; at most 100.
    pub remarks: Vec<Remark>,
    /// Further remarks.
    pub more_remarks: u64,
}

/// Lines that nothing vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The first one; `None` where there is no line at all.
    pub from: Option<Place>,
    /// The last one.
    pub through: Option<Place>,
    /// Why.
    pub why: Why,
}

impl fmt::Display for Stretch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = &self.from {
            write!(f, "from {from}")?;
        }
        if let Some(through) = self.through.as_ref().filter(|through| Some(*through) != self.from.as_ref()) {
            write!(f, " to {through}")?;
        }
        let colon = if self.from.is_some() { ": " } else { "" };
        write!(f, "{colon}{}", self.why)
    }
}

/// Why nothing vouches for lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// No closing checkpoint.
    #[error("the run has no end: its writer is at work, was killed, or lines were cut")]
    Unended,
    /// Checkpoints without signatures.
    #[error("no checkpoint after it is signed")]
    Unsigned,
    /// Half a line: at the end of a file, or as the next writer found it.
    #[error("a piece of a line: it is being written, its writer was killed, or it was cut")]
    Torn,
    /// Written before there was a chain.
    #[error("before the chain began")]
    Unchained,
    /// A header that goes on from nothing, after other lines.
    #[error("it begins a chain of its own: what may have stood before it cannot be known")]
    Anew,
    /// A file, between two or after the last one, is not there.
    #[error("the run goes on in a file that is not among these")]
    FileMissing,
    /// Nothing at all, in a file or in all of them.
    #[error("there is no chain")]
    Nothing,
}

/// What is no violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// The first header goes on from a line that was not given.
    Begins {
        /// The header.
        place: Place,
        /// That line.
        after: Link,
    },
    /// A clock was set back.
    ClockBack {
        /// The first line after it.
        place: Place,
        /// How far.
        seconds: i64,
    },
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins { place, after } => {
                write!(f, "{place}: goes on from {after}, which is in none of the files")
            }
            Self::ClockBack { place, seconds } => {
                write!(
                    f,
                    "{place}: dated {seconds} s before a line that comes before it: a clock was set back"
                )
            }
        }
    }
}

//! A line, read: what all forms other than our own are made from.

use jiff::Timestamp;
use serde::Deserialize;

use crate::admin::{AdminOutcome, AdminRecord};
use crate::chain::{Link, Sealed};
use crate::entry::{Checkpoint, Header};
use crate::outcome::Outcome;
use crate::record::{Record, Verdict, instant};
use crate::sink::Missing;
use crate::text::Text;

/// What each line begins with, up to the 24 characters of its time and the name of what it is about.
const BEGIN: &[u8] = br#"{"v":1,"time":""#;
const TIME: usize = 24;

/// What a line states, and its place.
#[derive(Debug)]
pub struct Statement<'a> {
    time: Timestamp,
    place: Option<Link>,
    pub(crate) stated: Stated,
    line: &'a [u8],
}

/// What lines state.
#[derive(Debug)]
pub(crate) enum Stated {
    Decision(Box<Record<'static>>),
    Order(Box<AdminRecord<'static>>),
    Outcome(Box<Outcome<'static>>),
    /// So many decisions have no line.
    Gap(u64),
    Open(Box<Header>),
    Checkpoint(Box<Checkpoint>),
    /// So many lines were not given to this sink.
    SinkGap(Missing),
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// As it should be.
    Information,
    /// Somebody was refused.
    Warning,
    /// Something of ours failed.
    Error,
}

#[derive(Deserialize)]
struct WithTime {
    #[serde(deserialize_with = "instant")]
    time: Timestamp,
}

#[derive(Deserialize)]
struct WithGap {
    gap: u64,
}

#[derive(Deserialize)]
struct WithOpen {
    open: Box<Header>,
}

#[derive(Deserialize)]
struct WithSinkGap {
    sink_gap: Missing,
}

impl<'a> Statement<'a> {
    /// Reads a line, without its line break. `None` if it is none of ours. The chain is not checked.
    #[must_use]
    pub fn read(line: &'a [u8]) -> Option<Self> {
        let (_, rest) = line.strip_prefix(BEGIN)?.split_at_checked(TIME)?;
        let rest = rest.strip_prefix(b"\",\"")?;
        let about = rest.get(..memchr::memchr(b'"', rest)?)?;
        let stated = match about {
            b"decision" => Stated::Decision(read(line)?),
            b"admin" => Stated::Order(read(line)?),
            b"outcome_of" => Stated::Outcome(read(line)?),
            b"gap" => Stated::Gap(read::<WithGap>(line)?.gap),
            b"open" => Stated::Open(read::<WithOpen>(line)?.open),
            b"checkpoint" => Stated::Checkpoint(Box::new(crate::entry::checkpoint(line)?)),
            b"sink_gap" => Stated::SinkGap(read::<WithSinkGap>(line)?.sink_gap),
            _ => return None,
        };
        let time = match &stated {
            Stated::Decision(record) => record.time,
            Stated::Order(order) => order.time,
            Stated::Outcome(outcome) => outcome.time,
            Stated::Gap(_) | Stated::Open(_) | Stated::Checkpoint(_) | Stated::SinkGap(_) => {
                read::<WithTime>(line)?.time
            }
        };
        let place = Sealed::of(line).and_then(|sealed| sealed.stated());
        Some(Self { time, place, stated, line })
    }

    /// When it was written, or what it is about happened.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// Its number and hash in its run's chain. A gap of a sink has none.
    #[must_use]
    pub const fn place(&self) -> Option<Link> {
        self.place
    }

    /// The line itself.
    #[must_use]
    pub const fn line(&self) -> &'a [u8] {
        self.line
    }

    /// The run that begins with it, or goes on.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        if let Stated::Open(header) = &self.stated { Some(&header.writer) } else { None }
    }

    /// How many decisions have no line, or how many lines this sink was not given, as it says.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        match &self.stated {
            Stated::Gap(decisions) => *decisions,
            Stated::SinkGap(gap) => gap.lines,
            Stated::Decision(_)
            | Stated::Order(_)
            | Stated::Outcome(_)
            | Stated::Open(_)
            | Stated::Checkpoint(_) => 0,
        }
    }

    /// The decision that it is about.
    #[must_use]
    pub fn decision(&self) -> Option<&str> {
        match &self.stated {
            Stated::Decision(record) => Some(record.decision.as_str()),
            Stated::Outcome(outcome) => Some(outcome.outcome_of.as_str()),
            Stated::Order(_)
            | Stated::Gap(_)
            | Stated::Open(_)
            | Stated::Checkpoint(_)
            | Stated::SinkGap(_) => None,
        }
    }

    /// The trace that a decision says it belongs to: 32 hex digits.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        if let Stated::Decision(record) = &self.stated {
            record.trace.as_ref().map(Text::as_str)
        } else {
            None
        }
    }

    /// What it is about, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.stated {
            Stated::Decision(_) => "decision",
            Stated::Order(_) => "order",
            Stated::Outcome(_) => "outcome",
            Stated::Gap(_) => "gap",
            Stated::Open(_) => "open",
            Stated::Checkpoint(_) => "checkpoint",
            Stated::SinkGap(_) => "sink_gap",
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match &self.stated {
            Stated::Decision(record) => match record.verdict {
                Verdict::Permit => Severity::Information,
                Verdict::Deny => Severity::Warning,
                Verdict::Fault => Severity::Error,
            },
            Stated::Order(order) => match order.outcome {
                AdminOutcome::Done | AdminOutcome::Ordered => Severity::Information,
                AdminOutcome::Refused => Severity::Warning,
                AdminOutcome::Failed => Severity::Error,
            },
            Stated::Outcome(_) | Stated::Open(_) | Stated::Checkpoint(_) => Severity::Information,
            Stated::Gap(_) | Stated::SinkGap(_) => Severity::Error,
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(line: &[u8]) -> Option<T> {
    serde_json::from_slice(line).ok()
}

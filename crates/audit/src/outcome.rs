//! What came of a request after its decision: a line of the same file, told apart by `outcome_of` in place of `decision`.

use std::mem::take;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::record::{VERSION, instant, milliseconds};
use crate::text::Text;
use crate::writer::Line;

/// How many outcomes may wait for the file, beside its queue for decisions. A line has about 300 bytes, and at most 600.
const MOST_WAITING: usize = 2048;

/// What is kept of one outcome. What is not known is left out of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome<'a> {
    v: u8,
    /// When it was reported; RFC 3339 in UTC, to the millisecond.
    #[serde(serialize_with = "milliseconds", deserialize_with = "instant")]
    pub time: Timestamp,
    /// The id of the decision.
    pub outcome_of: Text<'a>,
    /// The HTTP status that the caller was sent; none if the exchange ended before there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whose status that is; none if the proxy does not say so clearly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<AnsweredBy>,
    /// Whether any of the request was sent to an upstream; none if that is known of the last of several attempts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reached_upstream: Option<bool>,
    /// The upstream host that was chosen, whether or not it was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Text<'a>>,
    /// Bytes of the request's body.
    pub request_body_bytes: u64,
    /// Bytes of the response's body, as far as it was sent to the caller.
    pub response_body_bytes: u64,
    /// From the request's first byte to the exchange's end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// Who broke the exchange off, if somebody did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted_by: Option<AbortedBy>,
    /// The proxy's own words for what was unusual: Envoy's response flags, in short.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Text<'a>>,
}

impl<'a> Outcome<'a> {
    /// An outcome of which nothing is known yet but that there is one.
    #[must_use]
    pub fn new(time: Timestamp, decision: Text<'a>) -> Self {
        Self {
            v: VERSION,
            time,
            outcome_of: decision,
            status: None,
            answered_by: None,
            reached_upstream: None,
            upstream: None,
            request_body_bytes: 0,
            response_body_bytes: 0,
            duration_us: None,
            aborted_by: None,
            flags: Vec::new(),
        }
    }
}

/// Who made the answer that the caller was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnsweredBy {
    /// The upstream.
    Upstream,
    /// The proxy, in its place.
    Proxy,
}

/// Who broke an exchange off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AbortedBy {
    /// The caller went away, or broke the protocol.
    Caller,
    /// The upstream closed or reset what it had begun, or broke the protocol.
    Upstream,
    /// The proxy: a time was over, or it had no room.
    Proxy,
}

/// How many outcomes were kept, and how many were not, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// Written.
    pub kept: u64,
    /// Too many waited already.
    pub too_many: u64,
    /// The file took no more, or was closed.
    pub unwritten: u64,
}

/// Outcomes on their way to the file. They wait beside the queue for decisions, so that they take no place in it.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    waiting: Mutex<Waiting>,
    kept: AtomicU64,
    too_many: AtomicU64,
    unwritten: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<Line>,
    /// The writer was told and has not heard it yet: it is told once, however many come.
    told: bool,
}

/// What telling the writer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It will hear it.
    Yes,
    /// Its queue is full: it is at work, and looks at what waits before it rests.
    Busy,
    /// It has ended.
    Gone,
}

impl Outcomes {
    /// Adds one to those that wait, if there is room, and tells the writer by `tell`, which must not wait.
    pub(crate) fn add(&self, line: Line, tell: impl FnOnce() -> Told) {
        let mut waiting = self.lock();
        if waiting.lines.len() >= MOST_WAITING {
            self.too_many.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.lines.push(line);
        if waiting.told {
            return;
        }
        match tell() {
            Told::Yes => waiting.told = true,
            Told::Busy => {}
            Told::Gone => self.count(take(&mut waiting.lines).len(), false),
        }
    }

    /// The writer has heard it, and takes them next.
    pub(crate) fn heard(&self) {
        self.lock().told = false;
    }

    /// All that wait.
    pub(crate) fn take(&self) -> Vec<Line> {
        take(&mut self.lock().lines)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many were written, or could not be.
    pub(crate) fn count(&self, lines: usize, kept: bool) {
        let counter = if kept { &self.kept } else { &self.unwritten };
        counter.fetch_add(u64::try_from(lines).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> OutcomeCounts {
        OutcomeCounts {
            kept: self.kept.load(Ordering::Relaxed),
            too_many: self.too_many.load(Ordering::Relaxed),
            unwritten: self.unwritten.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The format is public: this line may gain fields, and must not change otherwise.
    #[test]
    fn an_outcome_is_this_line() {
        let time = "2026-11-22T10:11:12.345999Z".parse().unwrap();
        let mut outcome = Outcome::new(time, Text::from("0192"));
        let bare = concat!(
            r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","outcome_of":"0192","#,
            r#""request_body_bytes":0,"response_body_bytes":0}"#,
        );
        assert_eq!(serde_json::to_string(&outcome).unwrap(), bare);
        outcome.status = Some(503);
        outcome.answered_by = Some(AnsweredBy::Proxy);
        outcome.reached_upstream = Some(true);
        outcome.upstream = Some(Text::from("192.0.2.7:8080"));
        outcome.request_body_bytes = 7;
        outcome.response_body_bytes = 95;
        outcome.duration_us = Some(1234);
        outcome.aborted_by = Some(AbortedBy::Upstream);
        outcome.flags = vec![Text::from("UC")];
        let full = concat!(
            r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","outcome_of":"0192","status":503,"answered_by":"proxy","#,
            r#""reached_upstream":true,"upstream":"192.0.2.7:8080","request_body_bytes":7,"#,
            r#""response_body_bytes":95,"duration_us":1234,"aborted_by":"upstream","flags":["UC"]}"#,
        );
        assert_eq!(serde_json::to_string(&outcome).unwrap(), full);
        for line in [bare, full] {
            let read: Outcome<'_> = serde_json::from_str(line).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), line);
        }
    }
}

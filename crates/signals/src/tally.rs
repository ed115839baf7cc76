//! What arrived at a stream and what became of it, for metrics and for whoever asks.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

use jiff::Timestamp;

use crate::event::{EventKind, StreamState};
use crate::mapping::{Idle, Meaning};
use crate::set::ErrorCode;

/// What became of an event that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOutcome {
    /// Something is stopped, or said of somebody.
    Applied,
    /// It is logged, as it should be.
    Logged,
    /// No token from then can still be used.
    Over,
    /// Its subject is nothing that can be stopped here.
    Unmapped,
    /// Events of its kind have no effect here.
    Unsupported,
    /// It was about the stream.
    Noted,
}

impl EventOutcome {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Applied, Self::Logged, Self::Over, Self::Unmapped, Self::Unsupported, Self::Noted];

    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Logged => "logged",
            Self::Over => "over",
            Self::Unmapped => "unmapped",
            Self::Unsupported => "unsupported",
            Self::Noted => "noted",
        }
    }

    pub(crate) const fn of(meaning: &Meaning) -> Self {
        match meaning {
            Meaning::Stop(_) | Meaning::Say(_) => Self::Applied,
            Meaning::Nothing(Idle::Logged) => Self::Logged,
            Meaning::Nothing(Idle::Over) => Self::Over,
            Meaning::Nothing(Idle::Unmapped) => Self::Unmapped,
            Meaning::Nothing(Idle::Unsupported) => Self::Unsupported,
            Meaning::Verified { .. } | Meaning::Stream(_) => Self::Noted,
        }
    }
}

/// Why a request was refused, or a set not taken yet, beside what is wrong with the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushRefusal {
    /// Another content type.
    ContentType,
    /// A body that is too large, or did not come in time.
    Body,
    /// The source, or the stream, failed too often lately.
    Limited,
    /// Keys, store or records cannot be used now.
    Unavailable,
}

impl PushRefusal {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::ContentType, Self::Body, Self::Limited, Self::Unavailable];

    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ContentType => "content_type",
            Self::Body => "body",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
        }
    }
}

/// How a poll ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PollOutcome {
    /// There was an answer.
    Answered,
    /// There was none, or one that is no use.
    Failed,
}

impl PollOutcome {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Answered, Self::Failed];

    /// A stable word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
        }
    }
}

const NEVER: i64 = i64::MIN;

/// Counts.
#[derive(Debug)]
pub struct Tally {
    events: [[AtomicU64; EventOutcome::ALL.len()]; EventKind::ALL.len()],
    refused: [AtomicU64; ErrorCode::ALL.len()],
    turned_away: [AtomicU64; PushRefusal::ALL.len()],
    polls: [AtomicU64; PollOutcome::ALL.len()],
    /// Seconds since 1970.
    last_event: AtomicI64,
    last_verification: AtomicI64,
    /// Of a stream: not known, enabled, paused, disabled.
    stream: AtomicU8,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TallyStatus {
    /// When the last set was taken.
    pub last_event: Option<Timestamp>,
    /// When the last verification event was.
    pub last_verification: Option<Timestamp>,
    /// What the transmitter said last of the stream.
    pub stream: Option<StreamState>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: Default::default(),
            refused: Default::default(),
            turned_away: Default::default(),
            polls: Default::default(),
            last_event: AtomicI64::new(NEVER),
            last_verification: AtomicI64::new(NEVER),
            stream: AtomicU8::new(0),
        }
    }
}

impl Tally {
    pub(crate) fn taken(&self, kind: EventKind, meaning: &Meaning, now: Timestamp) {
        let outcomes = EventKind::ALL.into_iter().zip(&self.events).filter(|(known, _)| *known == kind);
        for (_, outcomes) in outcomes {
            count(EventOutcome::ALL, outcomes, EventOutcome::of(meaning));
        }
        self.last_event.store(now.as_second(), Ordering::Relaxed);
        match meaning {
            Meaning::Verified { .. } => self.last_verification.store(now.as_second(), Ordering::Relaxed),
            Meaning::Stream(state) => self.stream.store(code(*state), Ordering::Relaxed),
            Meaning::Stop(_) | Meaning::Say(_) | Meaning::Nothing(_) => {}
        }
    }

    /// A set, or whoever sent it, was refused.
    pub fn refused(&self, code: ErrorCode) {
        count(ErrorCode::ALL, &self.refused, code);
    }

    /// A set was not looked at, or not taken.
    pub fn turned_away(&self, why: PushRefusal) {
        count(PushRefusal::ALL, &self.turned_away, why);
    }

    pub(crate) fn polled(&self, outcome: PollOutcome) {
        count(PollOutcome::ALL, &self.polls, outcome);
    }

    /// How many events of each kind came to what.
    pub fn events(&self) -> impl Iterator<Item = (EventKind, EventOutcome, u64)> {
        EventKind::ALL.into_iter().zip(&self.events).flat_map(|(kind, outcomes)| {
            counts(EventOutcome::ALL, outcomes).map(move |(outcome, count)| (kind, outcome, count))
        })
    }

    /// How many were refused, and with which word.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = counts(ErrorCode::ALL, &self.refused).map(|(code, count)| (code.as_str(), count));
        refused.chain(counts(PushRefusal::ALL, &self.turned_away).map(|(why, count)| (why.word(), count)))
    }

    /// How many polls ended in which way.
    pub fn polls(&self) -> impl Iterator<Item = (PollOutcome, u64)> {
        counts(PollOutcome::ALL, &self.polls)
    }

    /// What is known of the stream.
    #[must_use]
    pub fn status(&self) -> TallyStatus {
        let at = |seconds: &AtomicI64| Timestamp::from_second(seconds.load(Ordering::Relaxed)).ok();
        let states = [StreamState::Enabled, StreamState::Paused, StreamState::Disabled];
        let known = self.stream.load(Ordering::Relaxed);
        TallyStatus {
            last_event: at(&self.last_event),
            last_verification: at(&self.last_verification),
            stream: states.into_iter().find(|state| code(*state) == known),
        }
    }
}

const fn code(state: StreamState) -> u8 {
    match state {
        StreamState::Enabled => 1,
        StreamState::Paused => 2,
        StreamState::Disabled => 3,
    }
}

fn count<T: Copy + PartialEq, const N: usize>(all: [T; N], counts: &[AtomicU64; N], which: T) {
    for (_, count) in all.into_iter().zip(counts).filter(|(one, _)| *one == which) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn counts<T, const N: usize>(all: [T; N], counts: &[AtomicU64; N]) -> impl Iterator<Item = (T, u64)> {
    all.into_iter().zip(counts).map(|(one, count)| (one, count.load(Ordering::Relaxed)))
}

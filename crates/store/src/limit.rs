//! Limits: how many requests in what time, and what becomes of a charge against one.
//!
//! All of it is arithmetic on whole microseconds and counts below 2^53, so that a script in a store that has
//! only doubles computes exactly the same. Every function is told the time.
//!
//! What is remembered for one limit and one whom it counts is a [`Level`] of two numbers; none at all stands for
//! "nothing used". The level depends on the kind of the limit, not on its figures: these may change from one
//! charge to the next, and what was used stays used.

mod calendar;
mod charge;
mod notation;
mod quota;
mod rate;

pub use calendar::Period;
pub(crate) use charge::Judged;
pub use charge::{ChargeOutcome, Charged, Reservation, Reserved, Standing};
pub use notation::{parse_quota, parse_rate};
pub use quota::Quota;
pub use rate::{Rate, RatePer};

use std::num::NonZeroU32;

use jiff::Timestamp;

/// Greatest count and burst of a rate, and greatest cost of a request. A full bucket of so many tokens an hour each
/// is 3.6·10^15 in the units of [`Rate`], below 2^53.
pub const MAX_UNITS: u32 = 1_000_000;

/// How far a caller's `now` may lag behind the latest one that a level was made at. Requests read the clock before
/// they come here, in no order; a bigger step back means that the clock was set.
pub(crate) const BACKWARD_STEP_US: i64 = 1_000_000;

/// Names the level of one limit for one whom it counts: a digest that the caller makes of the limit's name, its
/// kind and whom it counts. One key is never used with limits of two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LimitKey(pub [u8; 16]);

/// How much of what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// So many in a time, at any time: counts attempts.
    Rate(Rate),
    /// So many in a calendar period of UTC: counts what was permitted.
    Quota(Quota),
}

/// What a request costs of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Whose level.
    pub key: LimitKey,
    /// The limit.
    pub limit: Limit,
    /// How many units; at most [`MAX_UNITS`].
    pub cost: NonZeroU32,
}

/// What is remembered: two whole numbers whose meaning depends on the kind of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// The last microsecond (since 1970) at which it matters. A rate: when the bucket is full again, rounded down.
    /// A quota: the first microsecond after its period.
    pub(crate) over_at: i64,
    /// A rate: what is missing to `over_at`, in parts of a microsecond ([`Rate`]). A quota: the units used.
    pub(crate) amount: u64,
}

impl Level {
    /// Whether it is the same as none at all from `now` on.
    pub(crate) fn is_over(self, now: i64) -> bool {
        self.over_at < now
    }
}

/// What a limit says of a charge: nothing is changed by asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The level with the charge in it.
    Room(Level),
    /// No room; in so many microseconds there would be, if nobody else came.
    Refused { wait: u64 },
}

/// What is left at a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) remaining: u64,
    /// Microseconds until all of it is there again.
    pub(crate) reset: u64,
}

impl Limit {
    pub(crate) fn judge(&self, level: Option<Level>, cost: NonZeroU32, now: i64) -> Verdict {
        match self {
            Self::Rate(rate) => rate.judge(level, cost, now),
            Self::Quota(quota) => quota.judge(level, cost, now),
        }
    }

    pub(crate) fn read(&self, level: Option<Level>, now: i64) -> Reading {
        match self {
            Self::Rate(rate) => rate.read(level, now),
            Self::Quota(quota) => quota.read(level, now),
        }
    }

    /// The most units that there can be at once.
    #[must_use]
    pub fn most(&self) -> u64 {
        match self {
            Self::Rate(rate) => u64::from(rate.burst().get()),
            Self::Quota(quota) => quota.units().get(),
        }
    }

    /// Whether a count of `other` can go on with this one: both rates, or quotas of one period.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rate(_), Self::Rate(_)) => true,
            (Self::Quota(one), Self::Quota(other)) => one.period() == other.period(),
            (Self::Rate(_), Self::Quota(_)) | (Self::Quota(_), Self::Rate(_)) => false,
        }
    }

    /// The time in which as many units come again, in microseconds.
    pub(crate) fn window(&self, now: i64) -> u64 {
        match self {
            Self::Rate(rate) => rate.refill(),
            Self::Quota(quota) => quota.period().length(now),
        }
    }
}

/// Microseconds since 1970.
pub(crate) fn micros(now: Timestamp) -> i64 {
    now.as_microsecond()
}

//! A rate, by the generic cell rate algorithm: what is remembered is the instant at which the bucket is full again.

use std::num::{NonZeroU32, NonZeroU64};

use super::{BACKWARD_STEP_US, Level, MAX_UNITS, Reading, Verdict};

/// So many units a second, minute or hour, and so many at once.
///
/// With `count` units in `per` microseconds, time is measured in parts of 1/`count` of a microsecond, in which
/// everything is whole: one unit takes `per` parts to come back, and an empty bucket `burst · per` parts. A
/// [`Level`] is the instant of the full bucket: `over_at` in whole microseconds and `amount` further parts, less
/// than `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    count: NonZeroU32,
    per: RatePer,
    burst: NonZeroU32,
}

/// The time that a rate counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RatePer {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
}

impl RatePer {
    /// In microseconds.
    #[must_use]
    pub const fn micros(self) -> u64 {
        match self {
            Self::Second => 1_000_000,
            Self::Minute => 60_000_000,
            Self::Hour => 3_600_000_000,
        }
    }
}

impl Rate {
    /// `count` units in the time `per`, `burst` at once.
    ///
    /// None if either is above [`MAX_UNITS`].
    #[must_use]
    pub fn new(count: NonZeroU32, per: RatePer, burst: NonZeroU32) -> Option<Self> {
        (count.get() <= MAX_UNITS && burst.get() <= MAX_UNITS).then_some(Self { count, per, burst })
    }

    /// One an hour.
    #[must_use]
    pub const fn least() -> Self {
        Self { count: NonZeroU32::MIN, per: RatePer::Hour, burst: NonZeroU32::MIN }
    }

    /// Units in the time [`Self::per`].
    #[must_use]
    pub const fn count(&self) -> NonZeroU32 {
        self.count
    }

    /// The time that [`Self::count`] is for.
    #[must_use]
    pub const fn per(&self) -> RatePer {
        self.per
    }

    /// Units at once.
    #[must_use]
    pub const fn burst(&self) -> NonZeroU32 {
        self.burst
    }

    pub(crate) fn judge(&self, level: Option<Level>, cost: NonZeroU32, now: i64) -> Verdict {
        let missing = self.missing(level, now);
        let with_cost = missing.saturating_add(self.parts(cost));
        if with_cost <= self.bucket() {
            let full_in = i64::try_from(with_cost / self.parts_each()).unwrap_or(i64::MAX);
            return Verdict::Room(Level {
                over_at: now.saturating_add(full_in),
                amount: with_cost % self.parts_each(),
            });
        }
        // A cost above the burst never passes; then the wait is for a full bucket.
        let needed = with_cost.min(missing.saturating_add(self.bucket())).saturating_sub(self.bucket());
        Verdict::Refused { wait: needed.div_ceil(self.parts_each().get()).max(1) }
    }

    pub(super) fn read(&self, level: Option<Level>, now: i64) -> Reading {
        let missing = self.missing(level, now);
        let there = self.bucket().saturating_sub(missing);
        Reading {
            remaining: there.checked_div(self.per.micros()).unwrap_or_default(),
            reset: missing.div_ceil(self.parts_each().get()),
        }
    }

    /// Microseconds in which an empty bucket fills.
    pub(crate) fn refill(&self) -> u64 {
        self.bucket().div_ceil(self.parts_each().get())
    }

    /// How many parts the bucket lacks.
    fn missing(&self, level: Option<Level>, now: i64) -> u64 {
        let Some(level) = level else { return 0 };
        // Full already: no part of a microsecond lies before `now`.
        let Ok(full_in) = u64::try_from(level.over_at.saturating_sub(now)) else { return 0 };
        let most = self.refill().saturating_add(BACKWARD_STEP_US.unsigned_abs());
        if full_in > most {
            // The clock was set back, or the rate was slower before: what was used then says nothing of now.
            return 0;
        }
        // Parts of another count are rounded up to the next microsecond.
        let parts = level.amount.min(self.parts_each().get());
        full_in.saturating_mul(self.parts_each().get()).saturating_add(parts)
    }

    fn parts_each(&self) -> NonZeroU64 {
        self.count.into()
    }

    pub(crate) fn parts(&self, units: NonZeroU32) -> u64 {
        u64::from(units.get()).saturating_mul(self.per.micros())
    }

    pub(crate) fn bucket(&self) -> u64 {
        self.parts(self.burst)
    }
}

#[cfg(test)]
mod tests;

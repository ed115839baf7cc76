//! A quota of a calendar period.

use std::num::{NonZeroU32, NonZeroU64};

use super::calendar::Period;
use super::{BACKWARD_STEP_US, Level, Reading, Verdict};

/// So many units in each calendar period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    units: NonZeroU64,
    period: Period,
}

/// What of a quota is used now.
struct Used {
    /// The period's end.
    end: i64,
    units: u64,
}

impl Quota {
    /// Greatest number of units; sums of it and a cost stay below 2^53.
    pub const MAX: u64 = 1_000_000_000_000;

    /// `units` in each period.
    ///
    /// None if there are more than [`Self::MAX`].
    #[must_use]
    pub fn new(units: NonZeroU64, period: Period) -> Option<Self> {
        (units.get() <= Self::MAX).then_some(Self { units, period })
    }

    /// Units in a period.
    #[must_use]
    pub const fn units(&self) -> NonZeroU64 {
        self.units
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Period {
        self.period
    }

    pub(super) fn judge(&self, level: Option<Level>, cost: NonZeroU32, now: i64) -> Verdict {
        let used = self.used(level, now);
        let with_cost = used.units.saturating_add(cost.get().into());
        if with_cost <= self.units.get() {
            Verdict::Room(Level { over_at: used.end, amount: with_cost })
        } else {
            Verdict::Refused { wait: used.end.saturating_sub(now).unsigned_abs().max(1) }
        }
    }

    pub(super) fn read(&self, level: Option<Level>, now: i64) -> Reading {
        let used = self.used(level, now);
        Reading {
            remaining: self.units.get().saturating_sub(used.units),
            reset: used.end.saturating_sub(now).unsigned_abs(),
        }
    }

    fn used(&self, level: Option<Level>, now: i64) -> Used {
        let (_, end) = self.period.bounds(now);
        let soon = now.saturating_add(BACKWARD_STEP_US);
        match level {
            // A level's end is the first microsecond of the next period, in which it does not count.
            Some(level) if level.over_at == end => Used { end, units: level.amount },
            // Of the next period already: `now` was read just before its beginning.
            Some(level) if level.over_at > end && level.over_at == self.period.bounds(soon).1 => {
                Used { end: level.over_at, units: level.amount }
            }
            // Of a period that is over, or from before the clock was set back.
            Some(_) | None => Used { end, units: 0 },
        }
    }
}

#[cfg(test)]
mod tests;

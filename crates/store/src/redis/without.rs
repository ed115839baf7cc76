//! Limits while Redis cannot be asked: each replica limits by itself, as a part of the fleet.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::script;
use crate::admission::{Answer, Ask, StoreError};
use crate::embedded::{LimitBounds, LimitTable};
use crate::limit::{Charge, ChargeOutcome, Charged, Limit, Rate, Reserved};

/// What becomes of requests that have limits and no proof, while Redis cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitsWithout {
    /// Each replica limits by itself: rates at their part of the limit, quotas on what was used when Redis was last heard.
    Local,
    /// They are refused.
    Deny,
}

/// The limiter of this replica.
#[derive(Debug)]
pub(super) struct Local {
    mode: LimitsWithout,
    table: LimitTable,
    /// As long as nothing was heard of others.
    configured: NonZeroU32,
    /// 0 before the first beat.
    heard: AtomicU32,
    charged: AtomicU64,
}

impl Local {
    pub(super) fn new(mode: LimitsWithout, configured: NonZeroU32) -> Self {
        Self {
            mode,
            table: LimitTable::new(LimitBounds::default()),
            configured,
            heard: AtomicU32::new(0),
            charged: AtomicU64::new(0),
        }
    }

    /// How many replicas there are, this one included, as they were last heard.
    pub(super) fn hear_of(&self, replicas: usize) {
        self.heard.store(u32::try_from(replicas).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// How often this replica limited by itself.
    pub(super) fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    /// Remembers what quotas stand at, in case that is the last that is heard.
    pub(super) fn note(&self, ask: &Ask<'_>, answer: &script::Answer) -> Result<(), StoreError> {
        let quotas = || ask.charges.iter().filter(|charge| matches!(charge.limit, Limit::Quota(_)));
        if self.mode == LimitsWithout::Deny || quotas().next().is_none() {
            return Ok(());
        }
        self.table.note(ask.scope, ask.charges, &answer.levels_after(ask))
    }

    /// The answer of this replica alone, where it may give one: never to a proof, which cannot be known to be new.
    ///
    /// # Errors
    /// `error`, which kept Redis from answering, where it may not.
    pub(super) fn admit(&self, ask: &Ask<'_>, error: StoreError, now: i64) -> Result<Answer, StoreError> {
        let can_be_without = match error {
            StoreError::Unavailable | StoreError::Full | StoreError::Foreign | StoreError::Unfit(_) => true,
            StoreError::Poisoned | StoreError::NoRandomness => false,
        };
        if ask.claim.is_some() || self.mode == LimitsWithout::Deny || !can_be_without {
            return Err(error);
        }
        let replicas = NonZeroU32::new(self.heard.load(Ordering::Relaxed)).unwrap_or(self.configured);
        let charges: Vec<Charge> = ask.charges.iter().map(|charge| part_of(charge, replicas)).collect();
        self.charged.fetch_add(1, Ordering::Relaxed);
        let charges = match self.table.charge(ask.scope, &charges, now)? {
            ChargeOutcome::Charged(charged) => {
                // Redis never counted them, so nothing is given back to it.
                let (standings, _) = charged.into_parts();
                let nothing = Reserved::assertion(ask.scope, Vec::new());
                ChargeOutcome::Charged(Charged::assertion(standings, nothing))
            }
            other @ (ChargeOutcome::Limited(_) | ChargeOutcome::NotReached | ChargeOutcome::NoRoom) => other,
        };
        Ok(Answer { claim: None, charges })
    }
}

/// What one of so many replicas may let through: at least one unit of each limit.
fn part_of(charge: &Charge, replicas: NonZeroU32) -> Charge {
    let part = |units: NonZeroU32| {
        NonZeroU32::new(units.get().checked_div(replicas.get()).unwrap_or(1)).unwrap_or(NonZeroU32::MIN)
    };
    let limit = match charge.limit {
        // A cost that the whole burst has room for is not to be above a part of it.
        Limit::Rate(rate) => {
            Rate::new(part(rate.count()), rate.per(), part(rate.burst()).max(charge.cost.min(rate.burst())))
                .map_or(charge.limit, Limit::Rate)
        }
        quota @ Limit::Quota(_) => quota,
    };
    Charge { limit, ..*charge }
}

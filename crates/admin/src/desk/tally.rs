//! How many calls there were, for metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use exequatur_audit::AdminOutcome;

use crate::operation::Operation;

const OUTCOMES: [AdminOutcome; 4] =
    [AdminOutcome::Done, AdminOutcome::Ordered, AdminOutcome::Refused, AdminOutcome::Failed];

/// Counts of calls, by what was to be done and what came of it. What can be done is a table, so there are few. Each begins
/// at 0, so that the first one is seen as an increase.
#[derive(Debug)]
pub struct Tally {
    calls: Mutex<BTreeMap<(String, &'static str), u64>>,
    strangers: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        let every = Operation::EVERY
            .into_iter()
            .flat_map(|operation| OUTCOMES.map(|outcome| ((operation.word().to_owned(), word(outcome)), 0)));
        Self { calls: Mutex::new(every.collect()), strangers: AtomicU64::new(0) }
    }
}

impl Tally {
    pub(super) fn count(&self, action: &str, outcome: AdminOutcome) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry((action.to_owned(), word(outcome))).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn count_stranger(&self) {
        self.strangers.fetch_add(1, Ordering::Relaxed);
    }

    /// Each action and outcome, and how often that was.
    #[must_use]
    pub fn calls(&self) -> Vec<(String, &'static str, u64)> {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().map(|((action, outcome), count)| (action.clone(), *outcome, *count)).collect()
    }

    /// Calls without credentials that hold, recorded or not.
    #[must_use]
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }
}

const fn word(outcome: AdminOutcome) -> &'static str {
    match outcome {
        AdminOutcome::Done => "done",
        AdminOutcome::Ordered => "ordered",
        AdminOutcome::Refused => "refused",
        AdminOutcome::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first call is an increase for whoever scrapes.
    #[test]
    fn every_call_is_counted_from_zero_on() {
        let tally = Tally::default();
        let of =
            |tally: &Tally, count| tally.calls().into_iter().filter(|(_, _, calls)| *calls == count).count();
        assert_eq!(of(&tally, 0), Operation::EVERY.len() * OUTCOMES.len());
        tally.count("revoke", AdminOutcome::Done);
        assert_eq!((of(&tally, 0), of(&tally, 1)), (Operation::EVERY.len() * OUTCOMES.len() - 1, 1));
    }
}

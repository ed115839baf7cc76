//! How much the requests of one worker may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What they hold at most, in bytes. Some 3000 usual requests, more than a worker answers within a deadline.
const BUDGET: usize = 64 * 1024 * 1024;
/// What a request holds beside its message: its own header fields, what is read from the message, its answer.
const EACH: usize = 16 * 1024;
/// What refusals for want of room may hold beyond that, and one of them: a client that does not take its answers is
/// refused for good with a status alone, which holds nothing.
const REFUSALS: usize = 4 * 1024 * 1024;
const REFUSAL: usize = 4 * 1024;
/// Longest message of a usual request. Longer ones are refused once half of the budget is in use, by whatever requests:
/// few connections full of large messages that never end would else take the place of all others.
const USUAL: usize = 32 * 1024;

/// What is held so far, in bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Budget(Arc<AtomicUsize>);

/// The budget is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// What one request holds. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    charged: usize,
    message: usize,
}

impl Budget {
    /// For a request that begins.
    ///
    /// # Errors
    /// [`Spent`].
    pub(super) fn begin(&self) -> Result<Held, Spent> {
        self.take(EACH, BUDGET)?;
        Ok(Held { budget: self.clone(), charged: EACH, message: 0 })
    }

    /// For the answer to a request that found no room.
    ///
    /// # Errors
    /// [`Spent`] if there are too many of them, too.
    pub(super) fn refuse(&self) -> Result<Held, Spent> {
        self.take(REFUSAL, BUDGET.saturating_add(REFUSALS))?;
        Ok(Held { budget: self.clone(), charged: REFUSAL, message: 0 })
    }

    fn take(&self, bytes: usize, limit: usize) -> Result<(), Spent> {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            self.give_back(bytes);
            return Err(Spent);
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Held {
    /// So many more bytes of its message have come.
    ///
    /// # Errors
    /// [`Spent`].
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let message = self.message.saturating_add(bytes);
        let limit = if message > USUAL { BUDGET / 2 } else { BUDGET };
        self.budget.take(bytes, limit)?;
        self.charged = self.charged.saturating_add(bytes);
        self.message = message;
        Ok(())
    }

    /// Length of the message so far.
    pub(super) fn message(&self) -> usize {
        self.message
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(budget: &Budget, message: usize) -> Vec<Held> {
        let held = || {
            let mut held = budget.begin().ok()?;
            held.grow(message).ok()?;
            Some(held)
        };
        std::iter::from_fn(held).collect()
    }

    /// C-18: whatever clients send, there is an end; what is let go makes room again.
    #[test]
    fn a_budget_has_an_end() {
        let budget = Budget::default();
        let mut held = fill(&budget, USUAL);
        assert_eq!(held.len(), BUDGET / (EACH + USUAL));
        assert_eq!(budget.begin().and_then(|mut held| held.grow(USUAL)), Err(Spent));
        assert!(held.pop().is_some());
        assert!(budget.begin().and_then(|mut held| held.grow(USUAL)).is_ok());
        drop(held);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    /// C-18: large messages leave room for usual ones.
    #[test]
    fn large_messages_leave_half_to_usual_ones() {
        let budget = Budget::default();
        let large = fill(&budget, USUAL + 1);
        assert_eq!(large.len(), BUDGET / 2 / (EACH + USUAL + 1));
        let usual = fill(&budget, USUAL);
        assert!(usual.len() >= BUDGET / 2 / (EACH + USUAL), "{}", usual.len());
    }

    /// C-18: refusals that nobody takes have an end too.
    #[test]
    fn refusals_have_an_end() {
        let budget = Budget::default();
        let held: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
        let refusals: Vec<_> = std::iter::from_fn(|| budget.refuse().ok()).collect();
        assert_eq!(refusals.len(), REFUSALS / REFUSAL);
        drop(held);
        assert!(budget.refuse().is_ok());
        drop(refusals);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }

    /// A message that becomes large bit by bit is a large one; one that is refused is not charged.
    #[test]
    fn what_is_refused_is_not_charged() {
        let budget = Budget::default();
        let _large = fill(&budget, USUAL + 1);
        let mut held = budget.begin().unwrap();
        held.grow(USUAL).unwrap();
        let before = budget.0.load(Ordering::Relaxed);
        assert_eq!(held.grow(1), Err(Spent));
        assert_eq!((held.message(), budget.0.load(Ordering::Relaxed)), (USUAL, before));
    }
}

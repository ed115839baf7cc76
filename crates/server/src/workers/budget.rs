//! How much the requests of one worker may hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What Checks hold at most, in bytes. Some 2700 usual ones, more than a worker answers within a deadline.
const CHECKS: usize = 64 * 1024 * 1024;
/// What questions for its health hold at most, in bytes; apart, so that a flood of either leaves room for the other. Whoever
/// watches it holds his part for as long.
const HEALTH: usize = 4 * 1024 * 1024;
/// What streams of outcomes hold at most, in bytes, between two messages as well; apart, as health is. Some 340 streams a worker
/// with a message under way in each; Envoy has one of them for each of its own workers.
const REPORTS: usize = 16 * 1024 * 1024;
/// What a request holds beside its message: its own header fields (8 KiB of them, in a table of twice that), its answer.
const EACH: usize = 24 * 1024;
/// What refusals of Checks for want of room may hold beyond that, and one of them: a client that does not take its answers is
/// refused for good with a status alone, which holds nothing.
const REFUSALS: usize = 4 * 1024 * 1024;
const REFUSAL: usize = 4 * 1024;
/// Longest message of a usual request. Longer ones are refused once half of the budget is in use, by whatever requests:
/// few connections full of large messages that never end would else take the place of all others.
const USUAL: usize = 32 * 1024;

/// What is held so far and what may be, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    held: Arc<AtomicUsize>,
    most: usize,
    refusals: usize,
}

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
    /// Of a worker's Checks.
    pub(super) fn of_checks() -> Self {
        Self { held: Arc::default(), most: CHECKS, refusals: REFUSALS }
    }

    /// Of questions for a worker's health.
    pub(super) fn of_health() -> Self {
        Self { held: Arc::default(), most: HEALTH, refusals: 0 }
    }

    /// Of streams of outcomes.
    pub(super) fn of_reports() -> Self {
        Self { held: Arc::default(), most: REPORTS, refusals: 0 }
    }

    /// For a request that begins.
    ///
    /// # Errors
    /// [`Spent`].
    pub(super) fn begin(&self) -> Result<Held, Spent> {
        self.take(EACH, self.most)?;
        Ok(Held { budget: self.clone(), charged: EACH, message: 0 })
    }

    /// For the answer to a request that found no room.
    ///
    /// # Errors
    /// [`Spent`] if there are too many of them, too.
    pub(super) fn refuse(&self) -> Result<Held, Spent> {
        if !self.refuses_in_words() {
            return Err(Spent);
        }
        self.take(REFUSAL, self.most.saturating_add(self.refusals))?;
        Ok(Held { budget: self.clone(), charged: REFUSAL, message: 0 })
    }

    /// Whether what finds no room is told so in words.
    pub(super) const fn refuses_in_words(&self) -> bool {
        self.refusals > 0
    }

    fn take(&self, bytes: usize, limit: usize) -> Result<(), Spent> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            self.give_back(bytes);
            return Err(Spent);
        }
        Ok(())
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Held {
    /// So many more bytes of its message have come.
    ///
    /// # Errors
    /// [`Spent`].
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Spent> {
        let message = self.message.saturating_add(bytes);
        let most = self.budget.most;
        let limit = if message > USUAL { most / 2 } else { most };
        self.budget.take(bytes, limit)?;
        self.charged = self.charged.saturating_add(bytes);
        self.message = message;
        Ok(())
    }

    /// Of what has come, only so many bytes are held still: the rest was taken.
    pub(super) fn shrink(&mut self, message: usize) {
        let taken = self.message.saturating_sub(message);
        self.budget.give_back(taken);
        self.charged = self.charged.saturating_sub(taken);
        self.message = self.message.saturating_sub(taken);
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
        let budget = Budget::of_checks();
        let mut held = fill(&budget, USUAL);
        assert_eq!(held.len(), CHECKS / (EACH + USUAL));
        assert_eq!(budget.begin().and_then(|mut held| held.grow(USUAL)), Err(Spent));
        assert!(held.pop().is_some());
        assert!(budget.begin().and_then(|mut held| held.grow(USUAL)).is_ok());
        drop(held);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    /// C-18: large messages leave room for usual ones.
    #[test]
    fn large_messages_leave_half_to_usual_ones() {
        let budget = Budget::of_checks();
        let large = fill(&budget, USUAL + 1);
        assert_eq!(large.len(), CHECKS / 2 / (EACH + USUAL + 1));
        let usual = fill(&budget, USUAL);
        assert!(usual.len() >= CHECKS / 2 / (EACH + USUAL), "{}", usual.len());
    }

    /// C-18: refusals that nobody takes have an end too.
    #[test]
    fn refusals_have_an_end() {
        let budget = Budget::of_checks();
        let held: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
        let refusals: Vec<_> = std::iter::from_fn(|| budget.refuse().ok()).collect();
        assert_eq!(refusals.len(), (REFUSALS + CHECKS % EACH) / REFUSAL);
        drop(held);
        assert!(budget.refuse().is_ok());
        drop(refusals);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    /// C-18: questions for the health are refused by a status alone.
    #[test]
    fn health_has_a_budget_of_its_own() {
        let budget = Budget::of_health();
        let held: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
        assert_eq!(held.len(), HEALTH / EACH);
        assert!(matches!(budget.refuse(), Err(Spent)));
        drop(held);
        assert!(budget.begin().is_ok());
        assert!(matches!(budget.refuse(), Err(Spent)));
    }

    /// A stream holds what has come of a message, and nothing of those that were taken.
    #[test]
    fn a_stream_holds_what_was_not_taken() {
        let budget = Budget::of_reports();
        let mut streams: Vec<_> = std::iter::from_fn(|| budget.begin().ok()).collect();
        assert_eq!(streams.len(), REPORTS / EACH);
        assert!(matches!(budget.refuse(), Err(Spent)));
        streams.truncate(1);
        let held = streams.first_mut().unwrap();
        for _ in 0..1000 {
            held.grow(USUAL).unwrap();
            held.shrink(100);
            assert_eq!((held.message(), budget.held.load(Ordering::Relaxed)), (100, EACH + 100));
            held.shrink(1000);
            assert_eq!(held.message(), 100);
        }
        drop(streams);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    /// A message that becomes large bit by bit is a large one; one that is refused is not charged.
    #[test]
    fn what_is_refused_is_not_charged() {
        let budget = Budget::of_checks();
        let _large = fill(&budget, USUAL + 1);
        let mut held = budget.begin().unwrap();
        held.grow(USUAL).unwrap();
        let before = budget.held.load(Ordering::Relaxed);
        assert_eq!(held.grow(1), Err(Spent));
        assert_eq!((held.message(), budget.held.load(Ordering::Relaxed)), (USUAL, before));
    }
}

//! When a server that does not answer is tried again: by all runtimes of a replica together, not more often than about
//! once a second (C-02), and not in step with other replicas.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::admission::StoreError;

/// The pause after a failure: this and up to half as much again, at random.
const PAUSE: Duration = Duration::from_secs(1);

/// Open as long as nothing failed. After a failure it lets one attempt through at a time, after a pause.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Set while the last attempt failed.
    closed_until: Option<Instant>,
    /// How often something failed after nothing had.
    interruptions: u64,
    /// When that was last.
    interrupted: Option<Instant>,
    #[cfg(test)]
    failures: u64,
}

impl State {
    /// Before it is closed. What fails while it is closed belongs to the same interruption.
    fn count(&mut self, now: Instant) {
        if self.closed_until.is_none() {
            self.interruptions = self.interruptions.saturating_add(1);
            self.interrupted = Some(now);
        }
        #[cfg(test)]
        {
            self.failures = self.failures.saturating_add(1);
        }
    }
}

impl Gate {
    /// Whether a connection may be tried now. If so after a failure, nobody else may until a pause later, whatever
    /// becomes of this attempt.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if not; [`StoreError::Poisoned`], [`StoreError::NoRandomness`].
    pub(super) fn pass(&self, now: Instant) -> Result<(), StoreError> {
        let mut state = self.0.lock().or(Err(StoreError::Poisoned))?;
        match state.closed_until {
            None => Ok(()),
            Some(until) if until <= now => {
                state.closed_until = Some(after_a_pause(now)?);
                Ok(())
            }
            Some(_) => Err(StoreError::Unavailable),
        }
    }

    /// A connection was made, and answered: everybody may.
    pub(super) fn open(&self) {
        if let Ok(mut state) = self.0.lock() {
            state.closed_until = None;
        }
    }

    /// A connection that was made at `made` broke, or fell silent: one attempt may be made at once, others after a pause unless it
    /// succeeds. One from before the last interruption broke then, and is only found out now: each runtime has one.
    pub(super) fn ajar(&self, made: Instant, now: Instant) {
        if let Ok(mut state) = self.0.lock() {
            if state.interrupted.is_none_or(|last| last < made) {
                state.count(now);
            }
            state.closed_until.get_or_insert(now);
        }
    }

    /// The server did not answer.
    pub(super) fn close(&self, now: Instant) {
        // Without randomness the pause has no jitter; it is still a pause.
        let until = after_a_pause(now).unwrap_or_else(|_no_randomness| now.checked_add(PAUSE).unwrap_or(now));
        if let Ok(mut state) = self.0.lock() {
            state.count(now);
            state.closed_until.get_or_insert(until);
        }
    }

    /// How often it was shut after it had been open.
    pub(super) fn interruptions(&self) -> u64 {
        self.0.lock().map_or(u64::MAX, |state| state.interruptions)
    }

    /// How often something failed.
    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        self.0.lock().map_or(u64::MAX, |state| state.failures)
    }
}

fn after_a_pause(now: Instant) -> Result<Instant, StoreError> {
    let mut random = [0; 1];
    getrandom::fill(&mut random).or(Err(StoreError::NoRandomness))?;
    let [random] = random;
    let jitter = Duration::from_millis(u64::from(random).saturating_mul(2));
    Ok(now.checked_add(PAUSE.saturating_add(jitter)).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-02
    #[test]
    fn after_a_failure_one_attempt_a_pause() {
        let (gate, start) = (Gate::default(), Instant::now());
        assert_eq!((gate.pass(start), gate.pass(start)), (Ok(()), Ok(())), "nothing has failed yet");
        gate.close(start);
        assert_eq!(gate.pass(start + PAUSE - Duration::from_millis(1)), Err(StoreError::Unavailable));
        let later = start + 2 * PAUSE;
        assert_eq!(gate.pass(later), Ok(()), "the pause is over");
        assert_eq!(gate.pass(later), Err(StoreError::Unavailable), "one at a time, even if it never ends");
        let tries = (0..10_000).filter(|n| gate.pass(later + Duration::from_millis(*n)).is_ok()).count();
        assert!((6..=10).contains(&tries), "{tries} attempts in 10 s");
        gate.open();
        assert_eq!((gate.pass(later), gate.pass(later)), (Ok(()), Ok(())));
        assert_eq!(gate.interruptions(), 1);
    }

    #[test]
    fn after_a_connection_broke_one_attempt_waits_for_nothing() {
        let (gate, start) = (Gate::default(), Instant::now());
        let later = |millis| start + Duration::from_millis(millis);
        for _ in 0..4 {
            gate.ajar(start, start);
        }
        assert_eq!((gate.pass(start), gate.pass(start)), (Ok(()), Err(StoreError::Unavailable)));
        gate.open();
        assert_eq!((gate.pass(start), gate.pass(start)), (Ok(()), Ok(())), "it succeeded");
        assert_eq!(gate.interruptions(), 1);
        gate.ajar(start, later(5));
        assert_eq!(gate.interruptions(), 1, "another runtime's, which broke with the first one");
        assert_eq!((gate.pass(later(5)), gate.pass(later(5))), (Ok(()), Err(StoreError::Unavailable)));
        gate.open();
        gate.ajar(later(1), later(6));
        assert_eq!(gate.interruptions(), 2, "made after the last interruption");
    }

    #[test]
    fn failures_at_once_are_one_pause() {
        let (gate, start) = (Gate::default(), Instant::now());
        gate.close(start);
        for late in 1..=400 {
            gate.close(start + Duration::from_millis(late));
        }
        assert_eq!((gate.failures(), gate.interruptions()), (401, 1));
        assert_eq!(gate.pass(start + 2 * PAUSE), Ok(()), "later failures do not put it off");
    }
}

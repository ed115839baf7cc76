//! When it is asked anew which node has which slots: whenever a node says or does what makes one doubt of it, and not
//! more often than about once a second as long as the answer is the same (C-02).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The pause after an answer that said something new.
const LEAST: Duration = Duration::from_millis(50);
/// The longest pause, to which it doubles as long as nothing is new. Up to half as much again is added, at random.
const MOST: Duration = Duration::from_secs(1);

/// Whether what is known of a cluster's slots may be so no more. Raised by whoever notices, from any thread.
#[derive(Debug, Default)]
pub(super) struct Suspicion(AtomicBool);

impl Suspicion {
    pub(super) fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// It is being asked: what is noticed from now on counts anew.
    pub(super) fn lay(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// How soon may be asked again.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    next: Option<Instant>,
    pause: Duration,
    learnt: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(State { next: None, pause: LEAST, learnt: None }))
    }
}

/// What asking came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learnt {
    /// Something else than before.
    New,
    /// The same.
    Same,
    /// Nothing.
    Nothing,
}

impl Pace {
    /// Whether it may be asked now. If so, nobody else may until a pause later, whatever becomes of it.
    pub(super) fn pass(&self, now: Instant) -> bool {
        let Ok(mut state) = self.0.lock() else { return false };
        if state.next.is_some_and(|next| now < next) {
            return false;
        }
        state.next = later(now, state.pause);
        true
    }

    pub(super) fn learnt(&self, now: Instant, what: Learnt) {
        let Ok(mut state) = self.0.lock() else { return };
        state.pause = match what {
            Learnt::New => LEAST,
            Learnt::Same => state.pause.saturating_mul(2).min(MOST),
            Learnt::Nothing => MOST,
        };
        state.next = later(now, state.pause);
        if what != Learnt::Nothing {
            state.learnt = Some(now);
        }
    }

    /// Whether nothing was learnt for so long.
    pub(super) fn is_older_than(&self, span: Duration, now: Instant) -> bool {
        let Ok(state) = self.0.lock() else { return true };
        state.learnt.is_none_or(|learnt| now.saturating_duration_since(learnt) >= span)
    }
}

fn later(now: Instant, pause: Duration) -> Option<Instant> {
    let mut random = [0; 1];
    // Without randomness the pause has no jitter; it is still a pause.
    let drawn = getrandom::fill(&mut random).is_ok();
    let [random] = if drawn { random } else { [0] };
    let jitter = pause.checked_div(512).unwrap_or_default().saturating_mul(u32::from(random));
    Some(now.checked_add(pause.saturating_add(jitter)).unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-02: however often it is doubted.
    #[test]
    fn the_same_answer_is_asked_for_once_a_second() {
        let (pace, start) = (Pace::default(), Instant::now());
        let asked = |from: Instant, what| {
            let mut asked = 0;
            for late in 0..10_000 {
                let now = from + Duration::from_millis(late);
                if pace.pass(now) {
                    asked += 1;
                    pace.learnt(now, what);
                }
            }
            asked
        };
        let same = asked(start, Learnt::Same);
        assert!((8..=16).contains(&same), "{same} times in 10 s");
        let nothing = asked(start + Duration::from_secs(20), Learnt::Nothing);
        assert!((6..=11).contains(&nothing), "{nothing} times in 10 s");
        let new = asked(start + Duration::from_secs(40), Learnt::New);
        assert!((100..=200).contains(&new), "{new} times in 10 s");
    }

    #[test]
    fn one_at_a_time() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert!(pace.is_older_than(MOST, start));
        assert_eq!((pace.pass(start), pace.pass(start)), (true, false));
        pace.learnt(start, Learnt::Nothing);
        assert!(pace.is_older_than(MOST, start), "nothing was learnt");
        pace.learnt(start, Learnt::Same);
        assert!(!pace.is_older_than(MOST, start));
        assert!(pace.is_older_than(MOST, start + MOST));
    }
}

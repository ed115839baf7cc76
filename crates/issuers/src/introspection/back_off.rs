//! Sparing a server that does not answer, and the decisions that would wait for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::refresh::random_fraction;

/// So many failures in a row, and the server is not asked for a while.
const PATIENCE: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Whether a server is asked. After failures it is not for a while; then by one question, on which it depends whether others
/// follow.
#[derive(Debug, Default)]
pub(super) struct BackOff {
    failed: u32,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    began: Instant,
    lasts: Duration,
}

impl BackOff {
    /// Whether there may be a question at `now`. After a pause, only the first who asks this hears yes until it ended, or
    /// until another pause has passed.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        match &mut self.pause {
            None => true,
            Some(pause) if now.saturating_duration_since(pause.began) < pause.lasts => false,
            Some(pause) => {
                pause.began = now;
                true
            }
        }
    }

    pub(super) const fn is_pausing(&self) -> bool {
        self.pause.is_some()
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// A question that began at `began` failed at `now`. Those of before the pause tell nothing new.
    pub(super) fn failed(&mut self, began: Instant, now: Instant) {
        if self.pause.is_some_and(|pause| began < pause.began) {
            return;
        }
        self.failed = self.failed.saturating_add(1);
        let lasts = match self.pause {
            None if self.failed < PATIENCE => return,
            None => FIRST_PAUSE,
            Some(pause) => pause.lasts.saturating_mul(2).min(LONGEST_PAUSE),
        };
        // Replicas do not come back in step.
        let lasts = lasts.mul_f64(0.9 + 0.1 * random_fraction());
        self.pause = Some(Pause { began: now, lasts });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(back_off: &mut BackOff, at: Instant, times: u32) {
        for _ in 0..times {
            back_off.failed(at, at);
        }
    }

    #[test]
    fn a_server_that_fails_is_spared_and_tried_by_one() {
        let (mut back_off, start) = (BackOff::default(), Instant::now());
        fail(&mut back_off, start, 2);
        assert!(back_off.may_ask(start) && !back_off.is_pausing());
        fail(&mut back_off, start, 1);
        assert!(!back_off.may_ask(start));
        let over = start + FIRST_PAUSE;
        assert!(back_off.may_ask(over));
        assert!(!back_off.may_ask(over));
        back_off.succeeded();
        assert!(back_off.may_ask(over) && !back_off.is_pausing());
        fail(&mut back_off, over, 2);
        assert!(back_off.may_ask(over));
    }

    #[test]
    fn pauses_grow_by_one_failure_each_and_end() {
        let (mut back_off, mut now) = (BackOff::default(), Instant::now());
        let before = now;
        fail(&mut back_off, now, PATIENCE);
        for _ in 0..20 {
            let pause = back_off.pause.unwrap().lasts;
            assert!(pause <= LONGEST_PAUSE);
            now += pause;
            assert!(back_off.may_ask(now));
            // Of those that began before, none lengthens it.
            for _ in 0..64 {
                back_off.failed(before, now);
            }
            assert_eq!(back_off.pause.unwrap().lasts, pause);
            back_off.failed(now, now);
        }
        assert!(back_off.pause.unwrap().lasts >= LONGEST_PAUSE.mul_f64(0.8));
    }
}

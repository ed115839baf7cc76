//! A server's clock, as the replicas know it. It may be set back, and another server's may lag behind.

use std::sync::{Mutex, MutexGuard};

use crate::admission::StoreError;

/// Names a time in which a server's clock was not set back: 32 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Era(pub(super) [u8; 32]);

/// The era and the latest times, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) era: Era,
    /// Of this era.
    pub(super) latest: i64,
    /// Of any era, and of any server before this one.
    pub(super) top: i64,
    /// Entries that the server had evicted.
    pub(super) evicted: u64,
}

/// What is known of the clock. Nothing, before the first look.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Option<Times>>);

impl Clock {
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn times(&self) -> Result<Option<Times>, StoreError> {
        Ok(*self.state()?)
    }

    /// What a look came to. The highest time is never forgotten, whatever the server says.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn looked(&self, times: Times) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let before = state.map_or(0, |before| before.top.max(before.latest));
        *state = Some(Times { top: times.top.max(before), ..times });
        Ok(())
    }

    /// The server's time in an answer to a question that was asked in `era`.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn seen(&self, era: Era, micros: i64) -> Result<(), StoreError> {
        let mut state = self.state()?;
        if let Some(times) = state.as_mut().filter(|times| times.era == era) {
            times.latest = times.latest.max(micros);
        }
        Ok(())
    }

    fn state(&self) -> Result<MutexGuard<'_, Option<Times>>, StoreError> {
        self.0.lock().or(Err(StoreError::Poisoned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C-09, C-10
    #[test]
    fn the_highest_time_stays() {
        let clock = Clock::default();
        assert_eq!(clock.times(), Ok(None));
        let (one, other) = (Era([b'1'; 32]), Era([b'2'; 32]));
        clock.looked(Times { era: one, latest: 10, top: 10, evicted: 0 }).unwrap();
        clock.seen(one, 30).unwrap();
        clock.seen(one, 20).unwrap();
        clock.seen(other, 99).unwrap();
        assert_eq!(clock.times(), Ok(Some(Times { era: one, latest: 30, top: 10, evicted: 0 })));
        clock.looked(Times { era: other, latest: 5, top: 5, evicted: 0 }).unwrap();
        assert_eq!(
            clock.times(),
            Ok(Some(Times { era: other, latest: 5, top: 30, evicted: 0 })),
            "another server lags behind"
        );
    }
}

//! A server's clock, as the replicas know it. It may be set back, and another server's may lag behind.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

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

/// The latest time of any server, in microseconds since 1970: of all nodes of a cluster.
#[derive(Debug, Default)]
pub(super) struct Top(AtomicI64);

/// What is known of the clock. Nothing, before the first look.
#[derive(Debug, Default)]
pub(super) struct Clock {
    times: Mutex<Option<Times>>,
    top: Arc<Top>,
}

impl Clock {
    /// One of several servers, among which scopes may move.
    pub(super) fn among(top: Arc<Top>) -> Self {
        Self { times: Mutex::default(), top }
    }

    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn times(&self) -> Result<Option<Times>, StoreError> {
        let top = self.top();
        Ok(self.state()?.map(|times| Times { top: times.top.max(top), ..times }))
    }

    /// The latest time of any server, 0 before the first look at any.
    pub(super) fn top(&self) -> i64 {
        self.top.0.load(Ordering::Relaxed)
    }

    /// What a look came to. The highest time is never forgotten, whatever the server says.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn looked(&self, times: Times) -> Result<(), StoreError> {
        let mut state = self.state()?;
        let before = state.map_or(0, |before| before.top.max(before.latest));
        *state = Some(Times { top: times.top.max(before), ..times });
        self.top.0.fetch_max(times.top.max(times.latest), Ordering::Relaxed);
        Ok(())
    }

    /// The server's time in an answer to a question that was asked in `era`.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`].
    pub(super) fn seen(&self, era: Era, micros: i64) -> Result<(), StoreError> {
        let mut state = self.state()?;
        self.top.0.fetch_max(micros, Ordering::Relaxed);
        if let Some(times) = state.as_mut().filter(|times| times.era == era) {
            times.latest = times.latest.max(micros);
        }
        Ok(())
    }

    fn state(&self) -> Result<MutexGuard<'_, Option<Times>>, StoreError> {
        self.times.lock().or(Err(StoreError::Poisoned))
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
        clock.seen(other, 25).unwrap();
        assert_eq!(clock.times(), Ok(Some(Times { era: one, latest: 30, top: 30, evicted: 0 })));
        clock.looked(Times { era: other, latest: 5, top: 5, evicted: 0 }).unwrap();
        assert_eq!(
            clock.times(),
            Ok(Some(Times { era: other, latest: 5, top: 30, evicted: 0 })),
            "another server lags behind"
        );
    }

    /// C-09: a scope may move to a node whose clock lags behind.
    #[test]
    fn the_highest_time_of_any_node_is_known_to_all() {
        let top = Arc::<Top>::default();
        let (one, other) = (Clock::among(Arc::clone(&top)), Clock::among(top));
        let era = Era([b'1'; 32]);
        one.looked(Times { era, latest: 40, top: 10, evicted: 0 }).unwrap();
        assert_eq!((other.times(), other.top()), (Ok(None), 40), "it was not looked at");
        other.looked(Times { era, latest: 5, top: 5, evicted: 0 }).unwrap();
        assert_eq!(other.times(), Ok(Some(Times { era, latest: 5, top: 40, evicted: 0 })));
        one.seen(era, 50).unwrap();
        assert_eq!(other.times(), Ok(Some(Times { era, latest: 5, top: 50, evicted: 0 })));
    }
}

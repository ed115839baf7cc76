//! Time that only the test moves. Tokio moves a paused clock by itself whenever nothing is ready, which a packet on its
//! way over a socket is not; a blocking task that is under way keeps it from that.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use exequatur_issuers::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// How often the runtime is let run until what became ready has got to its next wait.
const TURNS: usize = 32;

/// Holds the clock of a test that began with `start_paused`.
pub(crate) struct Time {
    began: Instant,
    _held: Sender<()>,
}

impl Time {
    pub(crate) async fn hold() -> Self {
        let (held, ended) = channel::<()>();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        turns().await;
        Self { began: Instant::now(), _held: held }
    }

    pub(crate) fn clock(&self) -> Clock {
        let began = self.began;
        Arc::new(move || start() + SignedDuration::try_from(began.elapsed()).unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock())()
    }

    pub(crate) fn passed(&self) -> Duration {
        self.began.elapsed()
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

/// Lets everything run that can.
pub(crate) async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

//! A worker's queue of decisions: who waits, for how long, and who is sent away at once.
//!
//! A decision is a tenth of a millisecond of work without a pause. If decisions waited in the runtime, its
//! connections would wait behind them, and an overload would show as silence. So they wait here: a worker grants
//! turns in small rounds, and looks at its connections between two rounds.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use crate::clock::monotonic;

/// The work of one round. Shorter rounds answer fewer requests with each write, longer ones leave connections unlooked
/// at for longer.
const ROUND: Duration = Duration::from_millis(2);
/// Turns in one round, whatever they cost.
const FEWEST_TURNS: usize = 8;
const MOST_TURNS: usize = 64;
/// Decisions that wait at most, whatever their expected wait: a bound on memory. A request is some 10 KiB.
const MAX_WAITING: usize = 4096;
/// What a decision is taken to cost before the first was measured: one signature and the rest.
const FIRST_PACE: Duration = Duration::from_micros(100);
/// The weight of what was measured before against the newest measurement.
const MEMORY: u64 = 15;
/// How many times dearer than the average one decision may count.
const MOST_AT_ONCE: u64 = 8;

/// The decisions of one worker, those that wait and those under way.
#[derive(Debug)]
pub(crate) struct Queue {
    turns: Semaphore,
    taken: Notify,
    length: AtomicUsize,
    /// Moving average of the work of one decision, in nanoseconds.
    pace: AtomicU64,
}

/// The turn would come too late: the answer is a refusal, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overload;

/// A decision's place in the queue, from its arrival to its answer.
#[derive(Debug)]
pub(crate) struct Place(Arc<Queue>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.length.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            turns: Semaphore::new(FEWEST_TURNS),
            taken: Notify::new(),
            length: AtomicUsize::new(0),
            pace: AtomicU64::new(nanoseconds(FIRST_PACE)),
        })
    }

    /// How many decisions wait or are under way.
    pub(crate) fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// A place, if the turn is expected to come within `patience`.
    ///
    /// # Errors
    /// [`Overload`] otherwise.
    pub(crate) fn enter(self: &Arc<Self>, patience: Duration) -> Result<Place, Overload> {
        let length = self.length();
        let pace = self.pace.load(Ordering::Relaxed);
        let wait = u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(pace);
        let too_late = length >= FEWEST_TURNS && wait > nanoseconds(patience);
        if length >= MAX_WAITING || too_late {
            return Err(Overload);
        }
        self.length.fetch_add(1, Ordering::Relaxed);
        Ok(Place(Arc::clone(self)))
    }

    /// Grants turns, round by round, for as long as it is polled: in the runtime whose decisions these are.
    pub(crate) async fn grant_turns(&self) {
        loop {
            self.taken.notified().await;
            // Comes back after the runtime has looked at its connections.
            tokio::task::yield_now().await;
            self.turns.add_permits(self.round().saturating_sub(self.turns.available_permits()));
        }
    }

    /// The turns of one round, at the present pace.
    fn round(&self) -> usize {
        let turns = nanoseconds(ROUND) / self.pace.load(Ordering::Relaxed).max(1);
        usize::try_from(turns).unwrap_or(MOST_TURNS).clamp(FEWEST_TURNS, MOST_TURNS)
    }

    fn measure(&self, work: Duration) {
        let before = self.pace.load(Ordering::Relaxed);
        // A thread that was not let run for a while has not found decisions to be dearer.
        let work = nanoseconds(work).min(before.saturating_mul(MOST_AT_ONCE));
        let sum = before.saturating_mul(MEMORY).saturating_add(work);
        self.pace.store(sum / (MEMORY + 1), Ordering::Relaxed);
    }
}

impl Place {
    /// Waits for its turn. What comes first has it first.
    pub(crate) async fn turn(&self) {
        match self.0.turns.acquire().await {
            Ok(turn) => turn.forget(),
            // Nobody closes it.
            Err(_closed) => {}
        }
        self.0.taken.notify_one();
    }

    /// Runs `decision`, and measures the work in it: not the time for which it waits for anything.
    pub(crate) async fn spend<T>(&self, decision: impl Future<Output = T>) -> T {
        let mut decision = pin!(decision);
        let mut work = Duration::ZERO;
        let output = std::future::poll_fn(|context| {
            let begun = monotonic();
            let polled = decision.as_mut().poll(context);
            work = work.saturating_add(monotonic().duration_since(begun));
            polled
        })
        .await;
        self.0.measure(work);
        output
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1);

    /// C-24: what would come too late is told so at once; each answer makes room.
    #[test]
    fn a_queue_takes_what_it_can_serve_in_time() {
        let queue = Queue::new();
        let mut places = Vec::new();
        while let Ok(place) = queue.enter(PATIENCE) {
            places.push(place);
        }
        // Ten decisions of 100 µs are a millisecond; the eleventh still begins in time.
        assert_eq!(places.len(), 11);
        assert_eq!(queue.enter(PATIENCE).unwrap_err(), Overload);
        drop(places.pop());
        assert!(queue.enter(PATIENCE).is_ok());
    }

    /// C-24: memory is bounded whatever the pace and the patience.
    #[test]
    fn a_queue_has_an_end() {
        let queue = Queue::new();
        queue.pace.store(0, Ordering::Relaxed);
        let places: Vec<_> = std::iter::from_fn(|| queue.enter(Duration::from_secs(3600)).ok()).collect();
        assert_eq!(places.len(), MAX_WAITING);
    }

    /// A pause of the machine does not make the queue refuse what it can serve.
    #[test]
    fn a_pause_is_not_taken_for_work() {
        let queue = Queue::new();
        queue.measure(Duration::from_secs(3));
        assert!(queue.pace.load(Ordering::Relaxed) < 200_000);
        queue.pace.store(u64::MAX, Ordering::Relaxed);
        let places: Vec<_> = std::iter::from_fn(|| queue.enter(PATIENCE).ok()).collect();
        assert_eq!(places.len(), FEWEST_TURNS);
    }

    #[test]
    fn the_pace_follows_the_work() {
        let queue = Queue::new();
        for _ in 0..200 {
            queue.measure(Duration::from_micros(20));
        }
        let pace = queue.pace.load(Ordering::Relaxed);
        assert!((19_000..21_000).contains(&pace), "{pace}");
    }

    /// Cheap decisions come in larger rounds, so that a round is two milliseconds of work, within bounds.
    #[test]
    fn a_round_is_a_span_of_work() {
        let queue = Queue::new();
        for (pace, turns) in
            [(1, 64), (31_250, 64), (50_000, 40), (100_000, 20), (250_000, 8), (u64::MAX, 8), (0, 64)]
        {
            queue.pace.store(pace, Ordering::Relaxed);
            assert_eq!(queue.round(), turns, "{pace} ns");
        }
    }

    /// A round's turns are granted at once; the next ones only when turns are granted again, first come first
    /// served.
    #[tokio::test]
    async fn turns_come_in_rounds() {
        let queue = Queue::new();
        let places: Vec<_> =
            (0..=FEWEST_TURNS).map(|_| queue.enter(Duration::from_secs(1)).unwrap()).collect();
        for place in places.iter().take(FEWEST_TURNS) {
            place.turn().await;
        }
        let last = places.last().unwrap();
        let mut waits = pin!(last.turn());
        assert!(futures_poll(waits.as_mut()).await.is_none());
        tokio::select! {
            () = queue.grant_turns() => unreachable!("turns are granted for ever"),
            () = waits => {}
        }
    }

    /// The output if it is there at the first look.
    async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}

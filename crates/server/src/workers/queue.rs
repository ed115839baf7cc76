//! A worker's queue of decisions: who waits, for how long, and who is sent away at once.
//!
//! A decision is a tenth of a millisecond of work without a pause. If decisions waited in the runtime, its
//! connections would wait behind them, and an overload would show as silence. So they wait here: a worker grants
//! turns in small rounds, and looks at its connections between two rounds.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};

use crate::clock::monotonic;

/// The work of one round. Shorter rounds answer fewer requests with each write, longer ones leave connections unlooked
/// at for longer.
const ROUND: Duration = Duration::from_millis(2);
/// The same while requests are refused: whoever is refused is to know it at once.
const BRIEF_ROUND: Duration = Duration::from_millis(1);
/// Turns in one round, whatever they cost.
const FEWEST_TURNS: usize = 8;
const MOST_TURNS: usize = 64;
/// Decisions that wait at most, whatever their expected wait. What one worker's own connections may hold ends before it.
const MAX_WAITING: usize = 4096;
/// What a decision is taken to cost before the first was measured: one signature and the rest.
const FIRST_PACE: Duration = Duration::from_micros(100);
/// The weight of what was measured before against the newest decision, and against the newest round.
const MEMORY: u64 = 15;
const MEMORY_OF_ROUNDS: u64 = 3;
/// How many times dearer than the average one decision or round may count.
const MOST_AT_ONCE: u64 = 8;

/// The decisions of one worker, those that wait and those under way.
#[derive(Debug)]
pub(crate) struct Queue {
    turns: Semaphore,
    /// Turns that were granted and not taken yet.
    granted: AtomicUsize,
    all_taken: Notify,
    length: AtomicUsize,
    /// How many asked for a place, since the start.
    asked: AtomicU64,
    waiting: AtomicUsize,
    /// Moving average of the work of one decision, in nanoseconds.
    work: AtomicU64,
    /// Moving average of what a turn took in rounds all of which was waited for, in nanoseconds: with what the
    /// connections cost, and with what others took of the processor. Zero after any other round.
    round: AtomicU64,
    /// Whether nobody waited any more while turns of the present round were left.
    idle: AtomicBool,
    /// Whether a request was refused since the last round began.
    refused: AtomicBool,
}

/// A grant of turns for all of which somebody waited.
#[derive(Debug, Clone, Copy)]
struct Full {
    since: Instant,
    turns: usize,
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

/// One more that waits for its turn, until it is dropped.
struct Waiting<'a>(&'a Queue);

impl<'a> Waiting<'a> {
    fn count(queue: &'a Queue) -> Self {
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let last = self.0.waiting.fetch_sub(1, Ordering::Relaxed) == 1;
        if last && self.0.granted.load(Ordering::Relaxed) > 0 {
            self.0.idle.store(true, Ordering::Relaxed);
            self.0.round.store(0, Ordering::Relaxed);
        }
    }
}

impl Queue {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            turns: Semaphore::new(FEWEST_TURNS),
            granted: AtomicUsize::new(FEWEST_TURNS),
            all_taken: Notify::new(),
            length: AtomicUsize::new(0),
            asked: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            work: AtomicU64::new(nanoseconds(FIRST_PACE)),
            round: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        })
    }

    /// How many decisions wait or are under way.
    pub(crate) fn length(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// How many decisions were asked for since the start, those that had no place too.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// A place, if the turn is expected to come within `patience`.
    ///
    /// # Errors
    /// [`Overload`] otherwise.
    pub(crate) fn enter(self: &Arc<Self>, patience: Duration) -> Result<Place, Overload> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let length = self.length();
        let wait = u64::try_from(length).unwrap_or(u64::MAX).saturating_mul(self.pace());
        let too_late = length >= FEWEST_TURNS && wait > nanoseconds(patience);
        if length >= MAX_WAITING || too_late {
            self.refused.store(true, Ordering::Relaxed);
            return Err(Overload);
        }
        self.length.fetch_add(1, Ordering::Relaxed);
        Ok(Place(Arc::clone(self)))
    }

    /// Grants turns, round by round, for as long as it is polled: in the runtime whose decisions these are.
    pub(crate) async fn grant_turns(&self) {
        let mut last = None;
        loop {
            self.all_taken.notified().await;
            // Comes back after the runtime has looked at its connections, and again after what they brought was refused
            // or queued, so that refusals do not wait for another round.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            last = self.grant(last, monotonic());
        }
    }

    /// Grants the turns of a round, and learns from the round before, which is over.
    fn grant(&self, last: Option<Full>, now: Instant) -> Option<Full> {
        let idle = self.idle.swap(false, Ordering::Relaxed);
        match last.filter(|_| !idle) {
            Some(full) => self.measure_round(now.duration_since(full.since), full.turns),
            None => self.round.store(0, Ordering::Relaxed),
        }
        let span = if self.refused.swap(false, Ordering::Relaxed) { BRIEF_ROUND } else { ROUND };
        let turns = self.turns_within(span);
        let all_wanted = self.waiting.load(Ordering::Relaxed) >= turns;
        self.granted.fetch_add(turns, Ordering::Relaxed);
        self.turns.add_permits(turns);
        all_wanted.then_some(Full { since: now, turns })
    }

    /// What a decision is expected to take from the queue's time, in nanoseconds.
    fn pace(&self) -> u64 {
        self.work.load(Ordering::Relaxed).max(self.round.load(Ordering::Relaxed))
    }

    /// The turns of a round, at the present pace.
    fn turns_within(&self, span: Duration) -> usize {
        let turns = nanoseconds(span) / self.pace().max(1);
        usize::try_from(turns).unwrap_or(MOST_TURNS).clamp(FEWEST_TURNS, MOST_TURNS)
    }

    fn measure_work(&self, work: Duration) {
        let before = self.work.load(Ordering::Relaxed);
        self.work.store(average(before, MEMORY, nanoseconds(work)), Ordering::Relaxed);
    }

    fn measure_round(&self, took: Duration, turns: usize) {
        let each = nanoseconds(took) / u64::try_from(turns).unwrap_or(u64::MAX).max(1);
        self.round.store(average(self.pace(), MEMORY_OF_ROUNDS, each), Ordering::Relaxed);
    }
}

/// The average of `before`, which weighs `memory`, and `newest`. A thread that was not let run for a while has not found
/// decisions to be dearer, so `newest` counts within bounds.
fn average(before: u64, memory: u64, newest: u64) -> u64 {
    let newest = newest.min(before.saturating_mul(MOST_AT_ONCE));
    before.saturating_mul(memory).saturating_add(newest) / memory.saturating_add(1)
}

impl Place {
    /// Waits for its turn. What comes first has it first.
    pub(crate) async fn turn(&self) {
        let _waiting = Waiting::count(&self.0);
        match self.0.turns.acquire().await {
            Ok(turn) => turn.forget(),
            // Nobody closes it.
            Err(_closed) => {}
        }
        if self.0.granted.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.all_taken.notify_one();
        }
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
        self.0.measure_work(work);
        output
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

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
        queue.work.store(0, Ordering::Relaxed);
        let places: Vec<_> = std::iter::from_fn(|| queue.enter(Duration::from_secs(3600)).ok()).collect();
        assert_eq!(places.len(), MAX_WAITING);
    }

    /// A pause of the machine does not make the queue refuse what it can serve.
    #[test]
    fn a_pause_is_not_taken_for_work() {
        let queue = Queue::new();
        queue.measure_work(Duration::from_secs(3));
        assert!(queue.pace() < 200_000);
        queue.measure_round(Duration::from_secs(3), 20);
        assert!(queue.pace() < 500_000);
        queue.work.store(u64::MAX, Ordering::Relaxed);
        let places: Vec<_> = std::iter::from_fn(|| queue.enter(PATIENCE).ok()).collect();
        assert_eq!(places.len(), FEWEST_TURNS);
    }

    #[test]
    fn the_pace_follows_the_work() {
        let queue = Queue::new();
        for _ in 0..200 {
            queue.measure_work(Duration::from_micros(20));
        }
        let pace = queue.pace();
        assert!((19_000..21_000).contains(&pace), "{pace}");
    }

    /// C-24: what the connections cost, and what others take of the processor, counts where turns are short, and only
    /// for as long as they are.
    #[tokio::test]
    async fn the_pace_follows_whole_rounds() {
        let queue = Queue::new();
        let places: Vec<_> = (0..200).map(|_| queue.enter(Duration::from_secs(1)).unwrap()).collect();
        let mut turns: VecDeque<_> = places.iter().map(|place| Box::pin(place.turn())).collect();
        let (mut now, mut last) = (monotonic(), None);
        let mut paces = Vec::new();
        while !turns.is_empty() {
            let mut waiting = VecDeque::new();
            for mut turn in turns {
                if at_first_look(turn.as_mut()).await.is_none() {
                    waiting.push_back(turn);
                }
            }
            turns = waiting;
            now = now.checked_add(Duration::from_millis(8)).unwrap();
            last = queue.grant(last, now);
            paces.push(queue.pace());
        }
        // Rounds of eight turns and eight milliseconds.
        let longest = paces.iter().max().unwrap();
        assert!((800_000..=1_000_000).contains(longest), "{paces:?}");
        assert_eq!(paces.last(), Some(&nanoseconds(FIRST_PACE)), "{paces:?}");
    }

    /// Cheap decisions come in larger rounds, so that a round is two milliseconds of work, within bounds.
    #[test]
    fn a_round_is_a_span_of_work() {
        let queue = Queue::new();
        for (pace, turns) in
            [(1, 64), (31_250, 64), (50_000, 40), (100_000, 20), (250_000, 8), (u64::MAX, 8), (0, 64)]
        {
            queue.work.store(pace, Ordering::Relaxed);
            assert_eq!(queue.turns_within(ROUND), turns, "{pace} ns");
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
        assert!(at_first_look(waits.as_mut()).await.is_none());
        tokio::select! {
            () = queue.grant_turns() => unreachable!("turns are granted for ever"),
            () = waits => {}
        }
    }

    /// C-24: while requests are refused, rounds are brief.
    #[tokio::test]
    async fn refusals_make_rounds_brief() {
        let queue = Queue::new();
        queue.work.store(50_000, Ordering::Relaxed);
        let of_round = |queue: &Queue| {
            let before = queue.granted.load(Ordering::Relaxed);
            queue.grant(None, monotonic());
            queue.granted.load(Ordering::Relaxed) - before
        };
        assert_eq!(of_round(&queue), 40);
        let places: Vec<_> = std::iter::from_fn(|| queue.enter(PATIENCE).ok()).collect();
        assert!(!places.is_empty());
        assert_eq!((of_round(&queue), of_round(&queue)), (20, 40));
    }

    /// A round ends when its last turn is taken; what gives up its turn gives it to another.
    #[tokio::test]
    async fn a_turn_that_is_given_up_is_not_lost() {
        let queue = Queue::new();
        let places: Vec<_> =
            (0..FEWEST_TURNS + 2).map(|_| queue.enter(Duration::from_secs(1)).unwrap()).collect();
        let (first, rest) = places.split_at(FEWEST_TURNS);
        for place in first {
            place.turn().await;
        }
        let mut waiting: Vec<_> = rest.iter().map(|place| Box::pin(place.turn())).collect();
        for turn in &mut waiting {
            assert!(at_first_look(turn.as_mut()).await.is_none());
        }
        queue.work.store(u64::MAX, Ordering::Relaxed);
        queue.grant(None, monotonic());
        drop(waiting.remove(0));
        assert!(at_first_look(waiting[0].as_mut()).await.is_some());
        assert_eq!(queue.granted.load(Ordering::Relaxed), FEWEST_TURNS - 1);
        drop(waiting);
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
    }

    /// A round that somebody left before its end measures nothing: what follows it may come much later.
    #[tokio::test]
    async fn idle_time_is_no_round() {
        let queue = Queue::new();
        let places: Vec<_> =
            (0..3 * FEWEST_TURNS).map(|_| queue.enter(Duration::from_secs(1)).unwrap()).collect();
        queue.work.store(nanoseconds(ROUND) / 8, Ordering::Relaxed);
        let (now, mut turns) = (monotonic(), places.iter().map(|place| Box::pin(place.turn())));
        for _ in 0..FEWEST_TURNS {
            assert!(at_first_look(turns.next().unwrap().as_mut()).await.is_some());
        }
        let mut waiting: Vec<_> = turns.by_ref().take(FEWEST_TURNS).collect();
        for turn in &mut waiting {
            assert!(at_first_look(turn.as_mut()).await.is_none());
        }
        let full = queue.grant(None, now);
        assert!(full.is_some());
        let gives_up = waiting.pop();
        for turn in &mut waiting {
            assert!(at_first_look(turn.as_mut()).await.is_some());
        }
        drop(gives_up);
        assert!(at_first_look(turns.next().unwrap().as_mut()).await.is_some());
        let pace = queue.pace();
        assert!(queue.grant(full, now.checked_add(Duration::from_secs(600)).unwrap()).is_none());
        assert_eq!(queue.pace(), pace);
    }

    /// What was idle before a round is none of its time.
    #[tokio::test]
    async fn a_full_round_after_an_idle_one_is_measured() {
        let queue = Queue::new();
        let places: Vec<_> =
            (0..2 * FEWEST_TURNS).map(|_| queue.enter(Duration::from_secs(1)).unwrap()).collect();
        queue.work.store(nanoseconds(ROUND) / 8, Ordering::Relaxed);
        let (now, mut turns) = (monotonic(), places.iter().map(|place| Box::pin(place.turn())));
        // One by one: nobody waits while turns are left.
        for _ in 0..FEWEST_TURNS {
            assert!(at_first_look(turns.next().unwrap().as_mut()).await.is_some());
        }
        let mut waiting: Vec<_> = turns.collect();
        for turn in &mut waiting {
            assert!(at_first_look(turn.as_mut()).await.is_none());
        }
        let full = queue.grant(None, now);
        assert!(full.is_some());
        for turn in &mut waiting {
            assert!(at_first_look(turn.as_mut()).await.is_some());
        }
        let before = queue.pace();
        queue.grant(full, now.checked_add(4 * ROUND).unwrap());
        assert!(queue.pace() > before, "{before}");
    }

    /// The output if it is there at the first look. Many looks in one task are one too many for the runtime's budget.
    async fn at_first_look<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        let look = std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        });
        tokio::task::unconstrained(look).await
    }
}

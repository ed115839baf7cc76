//! How often each source came without credentials that hold: in this process only.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;

use crate::admission::StoreError;
use crate::limit::{Level, Rate, Verdict, micros};

const SHARDS: usize = 64;
/// Sources that a table keeps apart: 65 536 in all, for less than 8 MB.
const MAX_IN_SHARD: usize = 1024;

/// Where a request comes from, as the caller tells sources apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SourceKey(pub [u8; 16]);

/// A rate for each source. A source is remembered for as long as its bucket is not full; once there is no room to tell
/// more sources apart, those that are not remembered share one bucket for each table.
#[derive(Debug)]
pub struct SourceLimits {
    rate: Rate,
    shards: Vec<Mutex<Shard>>,
    /// Chosen by a keyed hash, so that nobody can choose sources that crowd one table.
    placement: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    levels: HashMap<SourceKey, Level>,
    /// How many attempts of each are under way; as many as the caller lets be so at once.
    under_way: HashMap<SourceKey, NonZeroU32>,
    /// Of all that the table has no room for.
    others: Option<Level>,
}

impl SourceLimits {
    /// Nobody has come yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { rate, shards, placement: RandomState::new() }
    }

    /// Whether the source may fail once more; else the time until it may. Nothing is charged.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`]: whether it may is not known.
    pub fn look(&self, source: SourceKey, now: Timestamp) -> Result<Result<(), Duration>, StoreError> {
        let (shard, now) = (self.shard(source)?, micros(now));
        Ok(match self.rate.judge(shard.level(source, now), NonZeroU32::MIN, now) {
            Verdict::Room(_) => Ok(()),
            Verdict::Refused { wait } => Err(Duration::from_micros(wait)),
        })
    }

    /// The source has failed. Beyond its rate nothing more is charged: it has been as often as it may.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`]
    pub fn charge(&self, source: SourceKey, now: Timestamp) -> Result<(), StoreError> {
        let (mut shard, now) = (self.shard(source)?, micros(now));
        if !shard.knows(source) && shard.is_full() {
            shard.levels.retain(|_, level| !level.is_over(now));
        }
        let Verdict::Room(level) = self.rate.judge(shard.level(source, now), NonZeroU32::MIN, now) else {
            return Ok(());
        };
        if shard.knows(source) || !shard.is_full() {
            shard.levels.insert(source, level);
        } else {
            shard.others = Some(level);
        }
        Ok(())
    }

    /// Begins what may yet fail, if the source may: all that it has begun and that has not ended counts as if it had failed.
    /// Nothing is charged.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`]: whether it may is not known.
    pub fn begin(self: &Arc<Self>, source: SourceKey, now: Timestamp) -> Result<Option<Attempt>, StoreError> {
        let (mut shard, now) = (self.shard(source)?, micros(now));
        let with_it =
            shard.under_way.get(&source).map_or(NonZeroU32::MIN, |under_way| under_way.saturating_add(1));
        Ok(match self.rate.judge(shard.level(source, now), with_it, now) {
            Verdict::Room(_) => {
                shard.under_way.insert(source, with_it);
                Some(Attempt { limits: Arc::clone(self), source })
            }
            Verdict::Refused { .. } => None,
        })
    }

    fn shard(&self, source: SourceKey) -> Result<MutexGuard<'_, Shard>, StoreError> {
        let place = usize::try_from(self.placement.hash_one(source) % 64).unwrap_or_default();
        self.shards.get(place).ok_or(StoreError::Poisoned)?.lock().or(Err(StoreError::Poisoned))
    }
}

/// What a source has begun, and counts against it until it has ended: dropped, it has not failed.
#[derive(Debug)]
pub struct Attempt {
    limits: Arc<SourceLimits>,
    source: SourceKey,
}

impl Attempt {
    /// It has failed.
    ///
    /// # Errors
    /// [`StoreError::Poisoned`]: it is not charged.
    pub fn failed(self, now: Timestamp) -> Result<(), StoreError> {
        self.limits.charge(self.source, now)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Where the table is lost, all of its sources are refused.
        let Ok(mut shard) = self.limits.shard(self.source) else { return };
        let left = shard.under_way.get(&self.source).and_then(|n| NonZeroU32::new(n.get().saturating_sub(1)));
        match left {
            Some(left) => shard.under_way.insert(self.source, left),
            None => shard.under_way.remove(&self.source),
        };
    }
}

impl Shard {
    fn knows(&self, source: SourceKey) -> bool {
        self.levels.contains_key(&source)
    }

    fn is_full(&self) -> bool {
        self.levels.len() >= MAX_IN_SHARD
    }

    /// The source's own level, or what it shares with all others that there is no room for.
    fn level(&self, source: SourceKey, now: i64) -> Option<Level> {
        let others = if self.is_full() { self.others } else { None };
        self.levels.get(&source).copied().or(others).filter(|level| !level.is_over(now))
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::limit::RatePer;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + millis).unwrap()
    }

    fn source(n: u64) -> SourceKey {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&n.to_be_bytes());
        SourceKey(key)
    }

    fn sources() -> SourceLimits {
        let [ten, three] = [10, 3].map(|n| NonZeroU32::new(n).unwrap());
        SourceLimits::new(Rate::new(ten, RatePer::Second, three).unwrap())
    }

    /// L04
    #[test]
    fn a_source_fails_so_often_and_another_goes_on() {
        let sources = sources();
        for _ in 0..3 {
            assert_eq!(sources.look(source(1), at(0)), Ok(Ok(())));
            sources.charge(source(1), at(0)).unwrap();
        }
        let wait = Duration::from_millis(100);
        for _ in 0..3 {
            assert_eq!(sources.look(source(1), at(0)), Ok(Err(wait)), "looking charges nothing");
        }
        for _ in 0..10 {
            sources.charge(source(1), at(0)).unwrap();
        }
        assert_eq!(sources.look(source(1), at(0)), Ok(Err(wait)), "and beyond the rate nothing is charged");
        assert_eq!(sources.look(source(2), at(0)), Ok(Ok(())));
        assert_eq!(sources.look(source(1), at(100)), Ok(Ok(())));
    }

    /// L04: what is under way may all fail.
    #[test]
    fn what_a_source_has_begun_counts_until_it_ends() {
        let sources = Arc::new(sources());
        let begin = |n, millis| sources.begin(source(n), at(millis)).unwrap();
        let mut begun: Vec<_> = (0..3).map(|_| begin(1, 0).unwrap()).collect();
        assert!(begin(1, 0).is_none());
        assert_eq!(sources.look(source(1), at(0)), Ok(Ok(())), "nothing is charged yet");
        // It does not come back by waiting.
        assert!(begin(1, 600_000).is_none());
        drop(begin(2, 0).unwrap());
        // One ends well, and makes room; one fails, and makes none until later.
        drop(begun.pop());
        begun.push(begin(1, 0).unwrap());
        begun.pop().unwrap().failed(at(0)).unwrap();
        assert!(begin(1, 0).is_none() && begin(1, 100).is_some());
        drop(begun);
        assert!(sources.shards.iter().all(|shard| shard.lock().unwrap().under_way.is_empty()));
    }

    /// C-20: more sources than there is room for are bounded together, those that are remembered are so alone.
    #[test]
    fn more_sources_than_can_be_told_apart_share_their_rate() {
        let sources = sources();
        for n in 0..200_000 {
            sources.charge(source(n), at(0)).unwrap();
        }
        let held: usize = sources.shards.iter().map(|shard| shard.lock().unwrap().levels.len()).sum();
        assert_eq!(held, SHARDS * MAX_IN_SHARD);
        let refused = (0..200_000).filter(|n| sources.look(source(*n), at(0)) != Ok(Ok(()))).count();
        assert_eq!(refused, 200_000 - SHARDS * MAX_IN_SHARD);
        assert_ne!(sources.look(source(1_000_000), at(0)), Ok(Ok(())), "a stranger is among the others");

        let later = at(0) + SignedDuration::from_secs(1);
        assert_eq!(sources.look(source(1_000_000), later), Ok(Ok(())));
        sources.charge(source(1_000_000), later).unwrap();
        let held: usize = sources.shards.iter().map(|shard| shard.lock().unwrap().levels.len()).sum();
        assert!(held <= (SHARDS - 1) * MAX_IN_SHARD + 1, "what is over leaves its room");
    }
}

//! The keys that one signer is known by, whoever it is: an issuer of tokens, or another that signs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use exequatur_token::{Algorithm, IssuerName, KeySet, KeySetId};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::fetch::FetchError;
use crate::outcome::{LoadCounts, LoadOutcome};
use crate::unknown_keys::{SoughtKey, UnknownKeys};

/// Most requests that one load makes: metadata and keys.
pub(crate) const MOST_REQUESTS: u8 = 2;

/// How far ahead of a decision's time its keys may have been loaded: as far as a load can begin after a decision that
/// it serves. Further ahead they are only if the clock was set back, and then their age is not known.
pub(crate) const MAX_AHEAD: SignedDuration = SignedDuration::from_secs(10);

/// A signer's keys, which a background task keeps.
#[derive(Debug)]
pub struct KeptKeys {
    name: IssuerName,
    algorithms: Vec<Algorithm>,
    cooldown: SignedDuration,
    max_stale: SignedDuration,
    known: ArcSwap<Known>,
    unknown: UnknownKeys,
    /// From when on another load may be asked for; milliseconds since 1970.
    not_before: AtomicI64,
    /// How often a load was asked for. The background task follows it.
    asked: watch::Sender<u64>,
    /// How many loads have ended.
    ended: watch::Sender<u64>,
}

/// What the background task has found out. Replaced as a whole, by that task only.
#[derive(Debug, Clone, Default)]
struct Known {
    loaded: Option<Loaded>,
    last_error: Option<FetchError>,
    loads: LoadCounts,
}

#[derive(Debug, Clone)]
struct Loaded {
    keys: Arc<KeySet>,
    /// When the load began: what happened to the keys while it was under way may be missing.
    at: Timestamp,
}

/// There are no keys to verify with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeysUnavailable {
    /// No load has succeeded yet.
    #[error("the issuer's keys were never loaded")]
    NeverLoaded,
    /// No load has succeeded for longer than the last good set may be used, or since the clock was set back.
    #[error("the issuer's keys are too old")]
    TooStale,
}

/// What the operator sees of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerStatus {
    /// Its configured name.
    pub name: IssuerName,
    /// Which keys are known, if any ever were.
    pub key_set: Option<KeySetId>,
    /// How many of them can be used.
    pub keys: usize,
    /// How many more the issuer has.
    pub skipped_keys: usize,
    /// How long ago they were loaded.
    pub keys_age: Option<SignedDuration>,
    /// Whether they may be used still.
    pub usable: bool,
    /// Why the last load failed, if it did.
    pub last_error: Option<FetchError>,
    /// How many loads ended in which way, since the start.
    pub loads: LoadCounts,
}

/// What a load meant for what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learned {
    /// The same as before.
    Nothing,
    /// There are other keys now, or keys for the first time.
    NewKeys,
    /// The same keys, after a failure.
    Recovered,
    /// A failure of another kind than before, or the first.
    NewFailure,
}

impl KeptKeys {
    pub(crate) fn new(
        name: IssuerName,
        algorithms: Vec<Algorithm>,
        cooldown: SignedDuration,
        max_stale: SignedDuration,
    ) -> Self {
        Self {
            name,
            algorithms,
            cooldown,
            max_stale,
            known: ArcSwap::default(),
            unknown: UnknownKeys::new(cooldown),
            not_before: AtomicI64::new(i64::MIN),
            asked: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        }
    }

    /// The signer's configured name.
    #[must_use]
    pub const fn name(&self) -> &IssuerName {
        &self.name
    }

    /// The signatures that the keys are for.
    #[must_use]
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// The least time between two requests for keys.
    pub(crate) const fn cooldown(&self) -> SignedDuration {
        self.cooldown
    }

    /// The last good key set. Asks for a load if it is too old, or from a time that is yet to come, so that a clock
    /// that jumped is got over within a cooldown or two.
    ///
    /// # Errors
    /// There is none that may be used at `now`.
    pub fn keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        let known = self.known.load();
        let loaded = known.loaded.as_ref().ok_or(KeysUnavailable::NeverLoaded)?;
        if !self.may_be_used(loaded.at, now) {
            self.ask(now);
            return Err(KeysUnavailable::TooStale);
        }
        Ok(Arc::clone(&loaded.keys))
    }

    fn may_be_used(&self, loaded: Timestamp, now: Timestamp) -> bool {
        (-MAX_AHEAD..=self.max_stale).contains(&now.duration_since(loaded))
    }

    /// Whether the last load failed, so that the keys are those of an earlier one.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        let known = self.known.load();
        known.loaded.is_some() && known.last_error.is_some()
    }

    /// A key as a token names it, for [`Self::unknown_key_seen`].
    #[must_use]
    pub fn sought_key(&self, key_id: Option<&str>, algorithm: Algorithm) -> SoughtKey {
        self.unknown.key(key_id, algorithm)
    }

    /// A token names a key that is not in the set: there may have been a rotation. Asks for a load, unless the last
    /// one has looked for that very key, or began or was asked for within the cooldown (G16). Does not wait: whoever can
    /// may await [`Self::load_ended_after`]. Says whether it is certain by now that there is no such key.
    pub fn unknown_key_seen(&self, key: SoughtKey, now: Timestamp) -> bool {
        // Without keys the first load is under way, at its own pace.
        let Some(last_load) = self.known.load().loaded.as_ref().map(|loaded| loaded.at) else { return false };
        let looked_for = self.unknown.looked_for(key, last_load, now);
        if !looked_for {
            self.ask(now);
        }
        looked_for
    }

    /// How many loads have ended, well or not.
    #[must_use]
    pub fn loads_ended(&self) -> u64 {
        *self.ended.borrow()
    }

    /// Waits until more loads have ended than `before`, for as long as a background task keeps the keys. Bound the wait.
    pub async fn load_ended_after(&self, before: u64) {
        let mut ended = self.ended.subscribe();
        if ended.wait_for(|ended| *ended > before).await.is_err() {
            // We hold the sender ourselves.
            std::future::pending::<()>().await;
        }
    }

    /// Asks for a load if the cooldown is over. It is claimed before the load, so that of any number of requests one
    /// asks.
    fn ask(&self, now: Timestamp) {
        let not_before = self.not_before.load(Ordering::Relaxed);
        let now = now.as_millisecond();
        // A wait that is longer than any can only be that of a clock that was set back since.
        let longest = self.cooldown_times(MOST_REQUESTS.saturating_add(1));
        let wait = not_before.saturating_sub(now);
        if (1..longest).contains(&wait) {
            return;
        }
        let claim = now.saturating_add(self.cooldown_times(1));
        if self.not_before.compare_exchange(not_before, claim, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.asked.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Milliseconds.
    fn cooldown_times(&self, requests: u8) -> i64 {
        let span = self.cooldown.saturating_mul(i32::from(requests));
        i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
    }

    /// The keys and how their loads went.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> IssuerStatus {
        let known = self.known.load();
        let loaded = known.loaded.as_ref();
        IssuerStatus {
            name: self.name.clone(),
            key_set: loaded.map(|loaded| loaded.keys.id()),
            keys: loaded.map_or(0, |loaded| loaded.keys.len()),
            skipped_keys: loaded.map_or(0, |loaded| loaded.keys.skipped().len()),
            keys_age: loaded.map(|loaded| now.duration_since(loaded.at).max(SignedDuration::ZERO)),
            usable: loaded.is_some_and(|loaded| self.may_be_used(loaded.at, now)),
            last_error: known.last_error,
            loads: known.loads,
        }
    }

    /// Whether a background task keeps its keys.
    pub(crate) fn is_attended(&self) -> bool {
        !self.asked.is_closed()
    }

    /// Follows the requests for a load.
    pub(crate) fn asked(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// A load begins, for whatever reason: the cooldown starts anew, once for each request that the load may make.
    pub(crate) fn load_begins(&self, at: Timestamp, requests: u8) {
        let end = at.as_millisecond().saturating_add(self.cooldown_times(requests));
        self.not_before.store(end, Ordering::Relaxed);
    }

    /// Takes in how a load ended that began at `at`. A failure leaves the keys as they are.
    pub(crate) fn load_ended(&self, outcome: Result<KeySet, FetchError>, at: Timestamp) -> Learned {
        let mut known = Known::clone(&self.known.load());
        known.loads.count(LoadOutcome::of(&outcome));
        let learned = match outcome {
            Ok(keys) => {
                let same = known.loaded.as_ref().is_some_and(|loaded| loaded.keys.id() == keys.id());
                if !same {
                    self.unknown.clear();
                }
                known.loaded = Some(Loaded { keys: Arc::new(keys), at });
                match known.last_error.take() {
                    _ if !same => Learned::NewKeys,
                    Some(_) => Learned::Recovered,
                    None => Learned::Nothing,
                }
            }
            Err(error) => {
                if known.last_error.replace(error) == Some(error) {
                    Learned::Nothing
                } else {
                    Learned::NewFailure
                }
            }
        };
        self.known.store(Arc::new(known));
        self.ended.send_modify(|ended| *ended = ended.wrapping_add(1));
        learned
    }
}

#[cfg(test)]
mod tests;

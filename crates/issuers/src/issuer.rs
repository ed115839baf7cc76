//! One issuer and the keys it is known by.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use exequatur_token::{IssuerName, IssuerProfile, KeySet, KeySetId};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::fetch::FetchError;

/// An issuer whose keys a background task keeps.
#[derive(Debug)]
pub struct Issuer {
    profile: IssuerProfile,
    cooldown: SignedDuration,
    max_stale: SignedDuration,
    known: ArcSwap<Known>,
    /// When the last load began, or was asked for; milliseconds since 1970.
    last_load: AtomicI64,
    /// How often a load was asked for. The background task follows it.
    asked: watch::Sender<u64>,
}

/// What the background task has found out. Replaced as a whole, by that task only.
#[derive(Debug, Clone, Default)]
struct Known {
    loaded: Option<Loaded>,
    last_error: Option<FetchError>,
    succeeded: u64,
    failed: u64,
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
    /// No load has succeeded for longer than the last good set may be used.
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
    /// Why the last load failed, if it did.
    pub last_error: Option<FetchError>,
    /// Loads that succeeded, since the start.
    pub loads_succeeded: u64,
    /// Loads that failed, since the start.
    pub loads_failed: u64,
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

impl Issuer {
    pub(crate) fn new(profile: IssuerProfile, cooldown: SignedDuration, max_stale: SignedDuration) -> Self {
        Self {
            profile,
            cooldown,
            max_stale,
            known: ArcSwap::default(),
            last_load: AtomicI64::new(i64::MIN),
            asked: watch::Sender::new(0),
        }
    }

    /// What is expected of its tokens.
    #[must_use]
    pub const fn profile(&self) -> &IssuerProfile {
        &self.profile
    }

    /// The last good key set.
    ///
    /// # Errors
    /// There is none that may be used at `now`.
    pub fn keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        let known = self.known.load();
        let loaded = known.loaded.as_ref().ok_or(KeysUnavailable::NeverLoaded)?;
        if now.duration_since(loaded.at) > self.max_stale {
            return Err(KeysUnavailable::TooStale);
        }
        Ok(Arc::clone(&loaded.keys))
    }

    /// A token names a key that is not in the set: there may have been a rotation. Asks for a load unless one began
    /// or was asked for within the cooldown (G16). Does not wait; the token at hand is refused either way.
    pub fn unknown_key_seen(&self, now: Timestamp) {
        if self.known.load().loaded.is_none() {
            // The first load is under way, at its own pace.
            return;
        }
        let last = self.last_load.load(Ordering::Relaxed);
        let now = now.as_millisecond();
        let cooldown = u64::try_from(self.cooldown.as_millis()).unwrap_or(u64::MAX);
        // Further ahead than a cooldown can only be a clock that was set back since.
        if now.abs_diff(last) < cooldown {
            return;
        }
        // Claimed before the load, so that of any number of requests one asks.
        if self.last_load.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.asked.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// The keys and how their loads went.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> IssuerStatus {
        let known = self.known.load();
        let loaded = known.loaded.as_ref();
        IssuerStatus {
            name: self.profile.name.clone(),
            key_set: loaded.map(|loaded| loaded.keys.id()),
            keys: loaded.map_or(0, |loaded| loaded.keys.len()),
            skipped_keys: loaded.map_or(0, |loaded| loaded.keys.skipped().len()),
            keys_age: loaded.map(|loaded| now.duration_since(loaded.at).max(SignedDuration::ZERO)),
            last_error: known.last_error,
            loads_succeeded: known.succeeded,
            loads_failed: known.failed,
        }
    }

    /// Follows the requests for a load.
    pub(crate) fn requests(&self) -> watch::Receiver<u64> {
        self.asked.subscribe()
    }

    /// A load begins, for whatever reason: the cooldown starts anew.
    pub(crate) fn load_begins(&self, at: Timestamp) {
        self.last_load.store(at.as_millisecond(), Ordering::Relaxed);
    }

    /// Takes in how a load ended that began at `at`. A failure leaves the keys as they are.
    pub(crate) fn load_ended(&self, outcome: Result<KeySet, FetchError>, at: Timestamp) -> Learned {
        let mut known = Known::clone(&self.known.load());
        let learned = match outcome {
            Ok(keys) => {
                let same = known.loaded.as_ref().is_some_and(|loaded| loaded.keys.id() == keys.id());
                known.loaded = Some(Loaded { keys: Arc::new(keys), at });
                known.succeeded = known.succeeded.saturating_add(1);
                match known.last_error.take() {
                    _ if !same => Learned::NewKeys,
                    Some(_) => Learned::Recovered,
                    None => Learned::Nothing,
                }
            }
            Err(error) => {
                known.failed = known.failed.saturating_add(1);
                if known.last_error.replace(error) == Some(error) {
                    Learned::Nothing
                } else {
                    Learned::NewFailure
                }
            }
        };
        self.known.store(Arc::new(known));
        learned
    }
}

#[cfg(test)]
mod tests;

//! The keys that tokens named and the issuer does not have: looked for once, then left alone for a while.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use exequatur_token::Algorithm;
use jiff::{SignedDuration, Timestamp};

/// Most keys remembered per issuer. Beyond that none is: each costs 16 bytes, and a flood must not push out the
/// ones that really come again and again.
const MAX_REMEMBERED: usize = 256;
/// The longest time that a key is remembered, whatever the cooldown (G16).
const LONGEST: SignedDuration = SignedDuration::from_mins(5);

/// A key as a token names it: its id, if it has one, and the algorithm. A keyed hash, so that its size does not
/// depend on what callers send; two that collide share their wait, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SoughtKey(u64);

/// Which unknown keys were seen lately.
#[derive(Debug)]
pub(crate) struct UnknownKeys {
    hasher: RandomState,
    lifetime: SignedDuration,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// When each was seen first.
    first: HashMap<SoughtKey, Timestamp>,
    /// While the table is full: when the next of them ends.
    next_end: Option<Timestamp>,
}

impl UnknownKeys {
    /// Remembers a key for two cooldowns, so that none outlives a rotation by more (G17).
    pub(crate) fn new(cooldown: SignedDuration) -> Self {
        let lifetime = cooldown.saturating_mul(2).min(LONGEST);
        Self { hasher: RandomState::new(), lifetime, seen: Mutex::default() }
    }

    pub(crate) fn key(&self, key_id: Option<&str>, algorithm: Algorithm) -> SoughtKey {
        SoughtKey(self.hasher.hash_one((key_id, algorithm.jose_name())))
    }

    /// Whether the load that began at `last_load` has looked for `key` already. Remembers it if there is room.
    pub(crate) fn looked_for(&self, key: SoughtKey, last_load: Timestamp, now: Timestamp) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.first.get_mut(&key) {
            if lives(*first, self.lifetime, now) {
                return *first <= last_load;
            }
            *first = now;
            return false;
        }
        if seen.make_room(self.lifetime, now) {
            seen.first.insert(key, now);
        }
        false
    }

    /// There are other keys now: whatever was unknown may be known.
    pub(crate) fn clear(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.seen.lock().unwrap().first.len()
    }
}

impl Seen {
    /// Whether one more fits. A full table is swept once one of its keys has ended, not for each that comes.
    fn make_room(&mut self, lifetime: SignedDuration, now: Timestamp) -> bool {
        if self.first.len() < MAX_REMEMBERED {
            return true;
        }
        // Further ahead than a lifetime it can only be after the clock was set back.
        let full = self
            .next_end
            .is_some_and(|end| (SignedDuration::from_nanos(1)..=lifetime).contains(&end.duration_since(now)));
        if !full {
            self.first.retain(|_, first| lives(*first, lifetime, now));
            self.next_end = self.first.values().min().and_then(|first| first.checked_add(lifetime).ok());
        }
        self.first.len() < MAX_REMEMBERED
    }
}

/// Whether `now` lies within `lifetime` from `since`; it lies before it only if the clock was set back.
fn lives(since: Timestamp, lifetime: SignedDuration, now: Timestamp) -> bool {
    (SignedDuration::ZERO..lifetime).contains(&now.duration_since(since))
}

#[cfg(test)]
mod tests;

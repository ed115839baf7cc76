//! The levels of limits inside the process.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::admission::{Scope, StoreError};
use crate::limit::{Charge, ChargeOutcome, Charged, Judged, Level, Limit, LimitKey, Reserved};

/// Locks and tables: so many that two requests seldom meet, and that a table of a full store has some thousand
/// entries, which are looked through in tens of microseconds.
const SHARDS: usize = 256;
/// A table is looked through once it has twice the entries that were left the last time, and no sooner.
const SWEEP_FROM: usize = 64;
/// At a bound, all tables are looked through, at most once in this time, in microseconds.
const SWEEP_ALL_EVERY: i64 = 1_000_000;
/// Limits that one request is charged to.
pub const MAX_CHARGES: usize = 16;

/// The part of a scope's digest that is counted under. Two that share these 8 bytes share a bound: that can only
/// refuse too early.
type Account = [u8; 8];

/// How many levels are remembered at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitBounds {
    /// In all.
    pub max_keys: NonZeroU32,
    /// Per scope, so that one tenant's users cannot take the others' room.
    pub max_per_scope: NonZeroU32,
}

impl Default for LimitBounds {
    /// A million in all, for at most 100 MB; a quarter of it per scope.
    fn default() -> Self {
        let bound = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { max_keys: bound(1_000_000), max_per_scope: bound(250_000) }
    }
}

/// Remembers what was charged. A level that is as good as none is forgotten, nothing else is: at a bound, keys
/// that have no level are refused ([`ChargeOutcome::NoRoom`]).
///
/// Locks are taken in the order of the shards, then `accounts`.
#[derive(Debug)]
pub(crate) struct LimitTable {
    bounds: LimitBounds,
    shards: Vec<Mutex<Shard>>,
    /// Chosen by a keyed hash, so that nobody can make names that crowd one shard.
    placement: RandomState,
    accounts: Mutex<Accounts>,
    /// When all shards were looked through last, in microseconds since 1970.
    swept_at: AtomicI64,
    /// Whether anybody asks what changed.
    kept: bool,
}

#[derive(Debug, Default)]
struct Shard {
    rates: HashMap<LimitKey, Slot>,
    quotas: HashMap<LimitKey, Slot>,
    /// Quotas that changed since they were last asked for; nothing where nobody asks.
    changed: HashSet<LimitKey>,
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    level: Level,
    account: Account,
}

/// INVARIANT (same set): the number of slots in all shards, in all and by account; an account without is absent.
#[derive(Debug, Default)]
struct Accounts {
    total: u32,
    by_scope: HashMap<Account, u32>,
}

/// A quota's level, as it is kept elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaLevel {
    pub(crate) key: LimitKey,
    pub(crate) scope: Account,
    pub(crate) level: Level,
}

/// The shards that a request needs, by number, locked.
struct Held<'a>(Vec<(usize, MutexGuard<'a, Shard>)>);

impl LimitTable {
    pub(crate) fn new(bounds: LimitBounds) -> Self {
        Self {
            bounds,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            placement: RandomState::new(),
            accounts: Mutex::default(),
            swept_at: AtomicI64::new(i64::MIN),
            kept: false,
        }
    }

    /// From here on, [`Self::take_changed`] tells what changed.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }

    /// Judges all charges, and charges all or none, in one step. `now` in microseconds since 1970.
    pub(crate) fn charge(
        &self,
        scope: Scope,
        charges: &[Charge],
        now: i64,
    ) -> Result<ChargeOutcome, StoreError> {
        if charges.is_empty() {
            return Ok(ChargeOutcome::nothing_to_charge(scope));
        }
        if charges.len() > MAX_CHARGES {
            return Ok(ChargeOutcome::NoRoom);
        }
        match self.try_charge(scope, charges, now)? {
            ChargeOutcome::NoRoom if self.sweep_all(now)? => self.try_charge(scope, charges, now),
            outcome @ (ChargeOutcome::NoRoom
            | ChargeOutcome::NotReached
            | ChargeOutcome::Charged(_)
            | ChargeOutcome::Limited(_)) => Ok(outcome),
        }
    }

    fn try_charge(&self, scope: Scope, charges: &[Charge], now: i64) -> Result<ChargeOutcome, StoreError> {
        let mut held = self.hold(charges)?;
        let levels = match Judged::of(charges, |charge| self.level(&held, charge), now) {
            Judged::Refused(standings) => return Ok(ChargeOutcome::Limited(standings)),
            Judged::Room(levels) => levels,
        };
        if !self.make_room(&mut held, scope, charges)? {
            return Ok(ChargeOutcome::NoRoom);
        }
        for (charge, level) in charges.iter().zip(&levels) {
            self.put(&mut held, account(scope), charge, *level);
        }
        self.sweep_held(&mut held, now)?;
        Ok(ChargeOutcome::Charged(Charged::to(scope, charges, &levels, now)))
    }

    /// Takes over what quotas stand at elsewhere, as far as there is room; rates are left alone.
    pub(crate) fn note(
        &self,
        scope: Scope,
        charges: &[Charge],
        levels: &[Option<Level>],
    ) -> Result<(), StoreError> {
        let known = charges.iter().zip(levels).filter_map(|(charge, level)| Some((*charge, (*level)?)));
        let (quotas, levels): (Vec<Charge>, Vec<Level>) =
            known.filter(|(charge, _)| matches!(charge.limit, Limit::Quota(_))).unzip();
        let mut held = self.hold(&quotas)?;
        if self.make_room(&mut held, scope, &quotas)? {
            for (charge, level) in quotas.iter().zip(levels) {
                self.put(&mut held, account(scope), charge, level);
            }
        }
        Ok(())
    }

    /// Takes charges to quotas back. A shard that cannot be trusted is left as it is: it charges nothing more either.
    pub(crate) fn give_back(&self, reserved: &Reserved) {
        for reservation in reserved.reservations() {
            let shard = self.shards.get(self.place(&reservation.key)).map(Mutex::lock);
            let Some(Ok(mut shard)) = shard else { continue };
            let shard = &mut *shard;
            if let Some(slot) = shard.quotas.get_mut(&reservation.key)
                && let Some(level) = reservation.taken_from(slot.level)
            {
                slot.level = level;
                if self.kept {
                    shard.changed.insert(reservation.key);
                }
            }
        }
    }

    /// The quotas that changed since this was last asked.
    pub(crate) fn take_changed(&self) -> Result<Vec<QuotaLevel>, StoreError> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().or(Err(StoreError::Poisoned))?;
            let changed = std::mem::take(&mut shard.changed);
            all.extend(changed.iter().filter_map(|key| shard.quotas.get(key).map(|slot| slot.of(*key))));
        }
        Ok(all)
    }

    /// All quotas; those that changed count as told.
    pub(crate) fn all_quotas(&self) -> Result<Vec<QuotaLevel>, StoreError> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().or(Err(StoreError::Poisoned))?;
            shard.changed.clear();
            all.extend(shard.quotas.iter().map(|(key, slot)| slot.of(*key)));
        }
        Ok(all)
    }

    /// These could not be kept: they count as changed again.
    pub(crate) fn put_back_changed(&self, quotas: &[QuotaLevel]) -> Result<(), StoreError> {
        for quota in quotas {
            if let Some(shard) = self.shards.get(self.place(&quota.key)) {
                shard.lock().or(Err(StoreError::Poisoned))?.changed.insert(quota.key);
            }
        }
        Ok(())
    }

    /// Remembers a quota's level that was kept elsewhere, in place of the one that is there.
    pub(crate) fn restore(&self, quota: QuotaLevel) -> Result<(), StoreError> {
        let Some(shard) = self.shards.get(self.place(&quota.key)) else { return Ok(()) };
        let slot = Slot { level: quota.level, account: quota.scope };
        let before = shard.lock().or(Err(StoreError::Poisoned))?.quotas.insert(quota.key, slot);
        let mut accounts = self.accounts.lock().or(Err(StoreError::Poisoned))?;
        if let Some(before) = before {
            accounts.remove(before.account);
        }
        accounts.add(quota.scope, 1);
        Ok(())
    }

    /// How many quotas are remembered.
    pub(crate) fn quotas(&self) -> Result<usize, StoreError> {
        let mut sum = 0_usize;
        for shard in &self.shards {
            sum = sum.saturating_add(shard.lock().or(Err(StoreError::Poisoned))?.quotas.len());
        }
        Ok(sum)
    }

    /// How many levels are remembered.
    #[cfg(test)]
    fn len(&self) -> Result<u32, StoreError> {
        Ok(self.accounts.lock().or(Err(StoreError::Poisoned))?.total)
    }

    fn place(&self, key: &LimitKey) -> usize {
        let hash = self.placement.hash_one(key);
        usize::try_from(hash % 256).unwrap_or_default()
    }

    fn hold(&self, charges: &[Charge]) -> Result<Held<'_>, StoreError> {
        let mut places: Vec<usize> = charges.iter().map(|charge| self.place(&charge.key)).collect();
        places.sort_unstable();
        places.dedup();
        let mut held = Vec::with_capacity(places.len());
        for place in places {
            let shard = self.shards.get(place).ok_or(StoreError::Poisoned)?;
            held.push((place, shard.lock().or(Err(StoreError::Poisoned))?));
        }
        Ok(Held(held))
    }

    fn level(&self, held: &Held<'_>, charge: &Charge) -> Option<Level> {
        let shard = held.shard(self.place(&charge.key))?;
        shard.of(&charge.limit).get(&charge.key).map(|slot| slot.level)
    }

    fn put(&self, held: &mut Held<'_>, account: Account, charge: &Charge, level: Level) {
        let Some(shard) = held.shard_mut(self.place(&charge.key)) else { return };
        match charge.limit {
            Limit::Rate(_) => shard.rates.insert(charge.key, Slot { level, account }),
            Limit::Quota(_) => {
                if self.kept {
                    shard.changed.insert(charge.key);
                }
                shard.quotas.insert(charge.key, Slot { level, account })
            }
        };
    }

    /// Counts the keys that have no level yet, if there is room for all of them.
    fn make_room(&self, held: &mut Held<'_>, scope: Scope, charges: &[Charge]) -> Result<bool, StoreError> {
        let mut new: Vec<LimitKey> = charges
            .iter()
            .filter(|charge| self.level(held, charge).is_none())
            .map(|charge| charge.key)
            .collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return Ok(true);
        }
        let more = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let mut accounts = self.accounts.lock().or(Err(StoreError::Poisoned))?;
        let own = accounts.by_scope.get(&account(scope)).copied().unwrap_or_default();
        let room = accounts.total.saturating_add(more) <= self.bounds.max_keys.get()
            && own.saturating_add(more) <= self.bounds.max_per_scope.get();
        if room {
            accounts.add(account(scope), more);
        }
        Ok(room)
    }

    fn sweep_held(&self, held: &mut Held<'_>, now: i64) -> Result<(), StoreError> {
        for (_, shard) in &mut held.0 {
            if shard.is_due() {
                self.sweep(shard, now)?;
            }
        }
        Ok(())
    }

    /// Looks through everything, unless that was done a moment ago.
    fn sweep_all(&self, now: i64) -> Result<bool, StoreError> {
        let before = self.swept_at.load(Ordering::Relaxed);
        // Also after the clock was set back.
        if before != i64::MIN && now.abs_diff(before) < SWEEP_ALL_EVERY.unsigned_abs() {
            return Ok(false);
        }
        if self.swept_at.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Ok(false);
        }
        self.forget_over(now)?;
        Ok(true)
    }

    /// Forgets every level that is as good as none.
    pub(crate) fn forget_over(&self, now: i64) -> Result<(), StoreError> {
        for shard in &self.shards {
            self.sweep(&mut *shard.lock().or(Err(StoreError::Poisoned))?, now)?;
        }
        Ok(())
    }

    fn sweep(&self, shard: &mut Shard, now: i64) -> Result<(), StoreError> {
        let mut over = Vec::new();
        for slots in [&mut shard.rates, &mut shard.quotas] {
            slots.retain(|_, slot| {
                let keep = !slot.level.is_over(now);
                if !keep {
                    over.push(slot.account);
                }
                keep
            });
            let spare = slots.len().saturating_mul(2);
            slots.shrink_to(spare);
        }
        let Shard { quotas, changed, .. } = shard;
        changed.retain(|key| quotas.contains_key(key));
        shard.sweep_at = shard.len().saturating_mul(2).max(SWEEP_FROM);
        let mut accounts = self.accounts.lock().or(Err(StoreError::Poisoned))?;
        for account in over {
            accounts.remove(account);
        }
        Ok(())
    }
}

impl Shard {
    fn of(&self, limit: &Limit) -> &HashMap<LimitKey, Slot> {
        match limit {
            Limit::Rate(_) => &self.rates,
            Limit::Quota(_) => &self.quotas,
        }
    }

    fn len(&self) -> usize {
        self.rates.len().saturating_add(self.quotas.len())
    }

    fn is_due(&self) -> bool {
        self.len() > self.sweep_at.max(SWEEP_FROM)
    }
}

impl Slot {
    fn of(&self, key: LimitKey) -> QuotaLevel {
        QuotaLevel { key, scope: self.account, level: self.level }
    }
}

impl Held<'_> {
    fn shard(&self, place: usize) -> Option<&Shard> {
        self.0.iter().find(|(other, _)| *other == place).map(|(_, shard)| &**shard)
    }

    fn shard_mut(&mut self, place: usize) -> Option<&mut Shard> {
        self.0.iter_mut().find(|(other, _)| *other == place).map(|(_, shard)| &mut **shard)
    }
}

impl Accounts {
    fn add(&mut self, account: Account, more: u32) {
        self.total = self.total.saturating_add(more);
        let own = self.by_scope.entry(account).or_default();
        *own = own.saturating_add(more);
    }

    fn remove(&mut self, account: Account) {
        self.total = self.total.saturating_sub(1);
        if let Some(own) = self.by_scope.get_mut(&account) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                self.by_scope.remove(&account);
                let spare = self.by_scope.len().saturating_mul(4).max(SWEEP_FROM);
                if self.by_scope.capacity() > spare.saturating_mul(2) {
                    self.by_scope.shrink_to(spare);
                }
            }
        }
    }
}

/// The part of a scope that is counted under.
fn account(scope: Scope) -> Account {
    scope.0.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;

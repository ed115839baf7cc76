//! The proofs that are remembered now, and what they count for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;

use jiff::Timestamp;

use crate::replay::{Bound, ReplayKey, ReplayLimits};

/// Entries per chunk of a bucket. Chunks do not move when a bucket grows, and waste at most one chunk a bucket.
const CHUNK: usize = 256;

/// How many proofs a shard is meant for: as many as a table of 4096 slots takes without growing, less five
/// standard deviations. One table for all would pause everybody for tens of milliseconds whenever it grows.
const SHARD: u32 = 3300;

/// The part of a holder's or tenant's digest that is counted under. Two that share these 8 bytes share a bound:
/// that can only refuse too early, and finding one to match a given other takes 2^64 tries.
type Account = [u8; 8];

/// What is needed to forget a proof again.
#[derive(Debug, Clone, Copy)]
struct Entry {
    proof: [u8; 16],
    holder: Account,
    tenant: Account,
}

/// INVARIANT (same set): a proof is in its shard iff exactly one bucket holds its entry, and `count`, `holders` and
/// `tenants` are the number of those entries, in all and by account; an account without entries is absent.
#[derive(Debug)]
pub(crate) struct LiveProofs {
    limits: ReplayLimits,
    shards: BTreeMap<u32, HashSet<[u8; 16]>>,
    shard_count: NonZeroU32,
    /// By the whole second, rounded up, of the last instant.
    buckets: BTreeMap<i64, Vec<Vec<Entry>>>,
    holders: HashMap<Account, u32>,
    tenants: HashMap<Account, u32>,
    count: u32,
}

impl LiveProofs {
    pub(crate) fn new(limits: ReplayLimits) -> Self {
        let shards = limits.max_proofs.get().div_ceil(SHARD);
        Self {
            limits,
            shards: BTreeMap::new(),
            shard_count: NonZeroU32::new(shards).unwrap_or(NonZeroU32::MIN),
            buckets: BTreeMap::new(),
            holders: HashMap::new(),
            tenants: HashMap::new(),
            count: 0,
        }
    }

    pub(crate) const fn len(&self) -> u32 {
        self.count
    }

    pub(crate) fn contains(&self, key: &ReplayKey) -> bool {
        self.shards.get(&self.shard(&key.proof)).is_some_and(|shard| shard.contains(&key.proof))
    }

    /// The first bound, from the narrowest, that another proof of this holder and tenant would pass.
    pub(crate) fn reached_bound(&self, key: &ReplayKey) -> Option<Bound> {
        let of = |accounts: &HashMap<Account, u32>, account| accounts.get(&account).copied().unwrap_or(0);
        if of(&self.holders, account(&key.holder)) >= self.limits.max_per_key.get() {
            Some(Bound::Key)
        } else if of(&self.tenants, account(&key.tenant)) >= self.limits.max_per_tenant.get() {
            Some(Bound::Tenant)
        } else if self.count >= self.limits.max_proofs.get() {
            Some(Bound::Global)
        } else {
            None
        }
    }

    /// Remembers the proof until `live_until`, inclusive. False if it was there already.
    pub(crate) fn insert(&mut self, key: &ReplayKey, live_until: Timestamp) -> bool {
        if !self.shards.entry(self.shard(&key.proof)).or_default().insert(key.proof) {
            return false;
        }
        let entry = Entry { proof: key.proof, holder: account(&key.holder), tenant: account(&key.tenant) };
        push(self.buckets.entry(whole_second(live_until)).or_default(), entry);
        // Neither count passes a u32, since `reached_bound` was asked before; saturation would only refuse more.
        increment(&mut self.holders, entry.holder);
        increment(&mut self.tenants, entry.tenant);
        self.count = self.count.saturating_add(1);
        true
    }

    /// Forgets what has no instant left at or after `now`.
    pub(crate) fn drop_before(&mut self, now: Timestamp) {
        // A bucket's second b is over iff b < now, which for a whole b is b < now rounded up.
        let first_live = whole_second(now);
        if self.buckets.first_key_value().is_none_or(|(second, _)| *second >= first_live) {
            return;
        }
        let live = self.buckets.split_off(&first_live);
        let over = std::mem::replace(&mut self.buckets, live);
        for entry in over.into_values().flatten().flatten() {
            self.forget(&entry);
        }
    }

    fn forget(&mut self, entry: &Entry) {
        let index = self.shard(&entry.proof);
        if let Some(shard) = self.shards.get_mut(&index) {
            shard.remove(&entry.proof);
            if shard.is_empty() {
                self.shards.remove(&index);
            }
        }
        decrement(&mut self.holders, entry.holder);
        decrement(&mut self.tenants, entry.tenant);
        self.count = self.count.saturating_sub(1);
        if self.count == 0 {
            // After a flood of many holders the tables would keep their size for good.
            self.holders.shrink_to_fit();
            self.tenants.shrink_to_fit();
        }
    }

    fn shard(&self, proof: &[u8; 16]) -> u32 {
        let [a, b, c, d, ..] = *proof;
        u32::from_be_bytes([a, b, c, d]) % self.shard_count
    }
}

fn account(digest: &[u8; 16]) -> Account {
    let [a, b, c, d, e, f, g, h, ..] = *digest;
    [a, b, c, d, e, f, g, h]
}

fn whole_second(instant: Timestamp) -> i64 {
    // `as_second` cuts towards zero, which before 1970 is up already.
    if instant.subsec_nanosecond() > 0 { instant.as_second().saturating_add(1) } else { instant.as_second() }
}

fn push(chunks: &mut Vec<Vec<Entry>>, entry: Entry) {
    match chunks.last_mut() {
        Some(last) if last.len() < CHUNK => last.push(entry),
        // The first chunk grows as it fills: most buckets of a quiet store hold a few entries.
        None => chunks.push(vec![entry]),
        Some(_) => {
            let mut chunk = Vec::with_capacity(CHUNK);
            chunk.push(entry);
            chunks.push(chunk);
        }
    }
}

fn increment(accounts: &mut HashMap<Account, u32>, account: Account) {
    let count = accounts.entry(account).or_insert(0);
    *count = count.saturating_add(1);
}

fn decrement(accounts: &mut HashMap<Account, u32>, account: Account) {
    if let Some(count) = accounts.get_mut(&account) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            accounts.remove(&account);
        }
    }
}

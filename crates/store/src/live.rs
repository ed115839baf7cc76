//! The proofs that are remembered now, and what they count for.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};

use jiff::Timestamp;

use crate::admission::Scope;
use crate::replay::{Bound, ReplayLimits};

/// Entries per chunk of a bucket. Chunks do not move when a bucket grows, and waste at most one chunk a bucket.
const CHUNK: usize = 256;

/// How many proofs a shard has when the store is full. One hash table for all would take twice the memory after
/// some churn, and pause everybody for tens of milliseconds whenever it grows; a sorted row of this length is
/// searched in 8 steps and holds 3 KB to shift.
const SHARD: u32 = 200;

/// By how much a shard grows or shrinks: little, since there are thousands of them.
const SHARD_STEP: usize = 16;

/// How much room a shard keeps that it does not need.
const MOST_SPARE: usize = 32;

/// How many of the entries that are over one claim forgets. More than one, so that they never pile up; not all,
/// since those of a busy second take milliseconds.
const SWEEP: usize = 64;

/// The part of a holder's or tenant's digest that is counted under. Two that share these 8 bytes share a bound:
/// that can only refuse too early, and finding one to match a given other takes 2^64 tries.
type Account = [u8; 8];

/// A proof, and the accounts that it counts for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LiveKey {
    pub(crate) proof: [u8; 16],
    pub(crate) holder: [u8; 16],
    pub(crate) scope: Scope,
}

/// What is needed to forget a proof again.
#[derive(Debug, Clone, Copy)]
struct Entry {
    proof: [u8; 16],
    holder: Account,
    tenant: Account,
}

/// INVARIANT (same set): a proof is in its shard iff exactly one entry of `buckets` or `over` has it, and `count`,
/// `holders` and `tenants` are the number of those entries, in all and by account; an account without is absent.
///
/// Entries in `over` are forgotten a few at a time. They never show: whoever meets a refusal that they could have
/// caused forgets them all and looks again.
#[derive(Debug)]
pub(crate) struct LiveProofs {
    limits: ReplayLimits,
    /// Each sorted. Chosen by a keyed hash, so that nobody can make proofs that crowd one shard.
    shards: Vec<Vec<[u8; 16]>>,
    placement: RandomState,
    /// By the whole second, rounded up, of the last instant.
    buckets: BTreeMap<i64, Vec<Vec<Entry>>>,
    over: Vec<Vec<Entry>>,
    holders: HashMap<Account, u32>,
    tenants: HashMap<Account, u32>,
    count: u32,
}

impl LiveProofs {
    pub(crate) fn new(limits: ReplayLimits) -> Self {
        let shards = limits.max_proofs.get().div_ceil(SHARD);
        Self {
            limits,
            shards: (0..shards).map(|_| Vec::new()).collect(),
            placement: RandomState::new(),
            buckets: BTreeMap::new(),
            over: Vec::new(),
            holders: HashMap::new(),
            tenants: HashMap::new(),
            count: 0,
        }
    }

    pub(crate) fn len(&mut self) -> u32 {
        self.forget_over(usize::MAX);
        self.count
    }

    pub(crate) fn contains(&mut self, key: &LiveKey) -> bool {
        self.holds(&key.proof)
            && (self.over.is_empty() || {
                self.forget_over(usize::MAX);
                self.holds(&key.proof)
            })
    }

    /// The first bound, from the narrowest, that another proof of this holder and tenant would pass.
    pub(crate) fn reached_bound(&mut self, key: &LiveKey) -> Option<Bound> {
        let bound = self.bound_counting_over(key)?;
        if self.over.is_empty() {
            return Some(bound);
        }
        self.forget_over(usize::MAX);
        self.bound_counting_over(key)
    }

    /// Remembers the proof until `live_until`, inclusive. False if it was there already.
    pub(crate) fn insert(&mut self, key: &LiveKey, live_until: Timestamp) -> bool {
        let Some(shard) = self.shard(&key.proof) else { return false };
        let Err(place) = shard.binary_search(&key.proof) else { return false };
        make_room(shard);
        shard.insert(place, key.proof);
        let entry = Entry { proof: key.proof, holder: account(&key.holder), tenant: account(&key.scope.0) };
        push(self.buckets.entry(whole_second(live_until)).or_default(), entry);
        // No count can pass a u32, since `reached_bound` was asked before; saturation would only refuse more.
        increment(&mut self.holders, entry.holder);
        increment(&mut self.tenants, entry.tenant);
        self.count = self.count.saturating_add(1);
        true
    }

    /// From here on, what has no instant left at or after `now` is not remembered.
    pub(crate) fn drop_before(&mut self, now: Timestamp) {
        // A bucket's second b is over iff b < now, which for a whole b is b < now rounded up.
        let first_live = whole_second(now);
        while let Some(first) = self.buckets.first_entry()
            && *first.key() < first_live
        {
            self.over.extend(first.remove());
        }
        self.forget_over(SWEEP);
    }

    fn forget_over(&mut self, at_most: usize) {
        for _ in 0..at_most {
            let Some(chunk) = self.over.last_mut() else { return };
            match chunk.pop() {
                Some(entry) => self.forget(&entry),
                None => drop(self.over.pop()),
            }
        }
    }

    fn forget(&mut self, entry: &Entry) {
        if let Some(shard) = self.shard(&entry.proof)
            && let Ok(place) = shard.binary_search(&entry.proof)
        {
            shard.remove(place);
            give_back(shard);
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

    fn bound_counting_over(&self, key: &LiveKey) -> Option<Bound> {
        let of = |accounts: &HashMap<Account, u32>, account| accounts.get(&account).copied().unwrap_or(0);
        if of(&self.holders, account(&key.holder)) >= self.limits.max_per_key.get() {
            Some(Bound::Key)
        } else if of(&self.tenants, account(&key.scope.0)) >= self.limits.max_per_tenant.get() {
            Some(Bound::Tenant)
        } else if self.count >= self.limits.max_proofs.get() {
            Some(Bound::Global)
        } else {
            None
        }
    }

    fn holds(&mut self, proof: &[u8; 16]) -> bool {
        self.shard(proof).is_some_and(|shard| shard.binary_search(proof).is_ok())
    }

    /// Always some, since there is at least one shard. Where there were none, nothing could be claimed.
    fn shard(&mut self, proof: &[u8; 16]) -> Option<&mut Vec<[u8; 16]>> {
        let shards = u64::try_from(self.shards.len()).ok()?;
        let index = self.placement.hash_one(proof).checked_rem(shards)?;
        self.shards.get_mut(usize::try_from(index).ok()?)
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

/// Room for one more. Doubling, as a vector does, would waste half a shard.
fn make_room(shard: &mut Vec<[u8; 16]>) {
    if shard.len() == shard.capacity() {
        shard.reserve_exact(SHARD_STEP);
    }
}

/// Leaves some room, so that a shard which grows and shrinks by a few is not moved each time.
fn give_back(shard: &mut Vec<[u8; 16]>) {
    let spare = shard.capacity().saturating_sub(shard.len());
    if spare > MOST_SPARE {
        shard.shrink_to(shard.len().saturating_add(SHARD_STEP));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> LiveKey {
        let spread = u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes();
        let [a, b, ..] = spread;
        LiveKey { proof: spread, holder: [a % 50; 16], scope: Scope([b % 5; 16]) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn bytes(live: &LiveProofs) -> usize {
        let shards: usize = live.shards.iter().map(|shard| shard.capacity() * 16 + size_of_val(shard)).sum();
        let entries: usize = live.buckets.values().flatten().chain(&live.over).map(Vec::capacity).sum();
        shards + entries * size_of::<Entry>()
    }

    /// C-20: the store's floor is 64 bytes for each live proof, full and after the whole of it was replaced.
    #[test]
    fn a_live_proof_takes_at_most_64_bytes() {
        let full: u32 = 200_000;
        let bound = full.try_into().unwrap();
        let limits = ReplayLimits { max_proofs: bound, max_per_tenant: bound, max_per_key: bound };
        let mut live = LiveProofs::new(limits);
        for n in 0..2 * full {
            let now = i64::from(n) / 4_000;
            live.drop_before(at(now));
            if n >= full {
                assert_eq!(live.reached_bound(&key(n)), None, "{n}");
            }
            assert!(live.insert(&key(n), at(now + 49)), "{n}");
        }
        assert_eq!(live.len(), full);
        let per_proof = bytes(&live) / usize::try_from(full).unwrap();
        assert!(per_proof <= 64, "{per_proof}");
        live.drop_before(at(1_000));
        assert_eq!(live.len(), 0);
        assert!(bytes(&live) < 2_000_000, "what was full gives its memory back");
        assert!(live.holders.is_empty() && live.tenants.is_empty());
        assert_eq!((live.holders.capacity(), live.tenants.capacity()), (0, 0));
    }

    /// C-20: what is kept beyond the proofs themselves, to the byte.
    #[test]
    fn rows_grow_and_shrink_by_steps() {
        let mut shard = Vec::with_capacity(3);
        shard.resize(2, [0; 16]);
        make_room(&mut shard);
        assert_eq!(shard.capacity(), 3, "there is room");
        shard.push([0; 16]);
        make_room(&mut shard);
        assert_eq!(shard.capacity(), 3 + SHARD_STEP);

        let mut shard = Vec::with_capacity(100);
        shard.resize(100 - MOST_SPARE, [0; 16]);
        give_back(&mut shard);
        assert_eq!(shard.capacity(), 100, "as much may be spare");
        shard.pop();
        give_back(&mut shard);
        assert_eq!(shard.capacity(), 100 - MOST_SPARE - 1 + SHARD_STEP);

        let entry = Entry { proof: [0; 16], holder: [0; 8], tenant: [0; 8] };
        let mut chunks = Vec::new();
        for _ in 0..=2 * CHUNK {
            push(&mut chunks, entry);
        }
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [CHUNK, CHUNK, 1]);
        assert_eq!(chunks.iter().map(Vec::capacity).collect::<Vec<_>>(), [CHUNK; 3]);
    }

    #[test]
    fn what_waits_to_be_forgotten_does_not_show() {
        let limits = ReplayLimits { max_proofs: 1_000.try_into().unwrap(), ..ReplayLimits::default() };
        let mut live = LiveProofs::new(limits);
        for n in 0..1_000 {
            assert!(live.insert(&key(n), at(0)));
        }
        live.drop_before(at(1));
        assert!(!live.over.is_empty(), "a sweep forgets only some");
        assert!(!live.contains(&key(0)) && !live.contains(&key(999)));

        for n in 0..1_000 {
            assert!(live.insert(&key(n), at(2)));
        }
        live.drop_before(at(3));
        assert!(!live.over.is_empty());
        assert_eq!(live.reached_bound(&key(0)), None);
    }

    /// D18
    #[test]
    fn what_is_live_shows_while_others_wait_to_be_forgotten() {
        let mut live = LiveProofs::new(ReplayLimits::default());
        for n in 0..1_000 {
            assert!(live.insert(&key(n), at(if n == 500 { 9 } else { 0 })));
        }
        live.drop_before(at(1));
        assert!(!live.over.is_empty());
        assert!(live.contains(&key(500)));
        assert!(!live.insert(&key(500), at(9)));
        assert_eq!(live.len(), 1);
    }

    #[test]
    fn before_1970_a_second_is_rounded_up_too() {
        assert_eq!(whole_second(Timestamp::new(-1, -500_000_000).unwrap()), -1);
        assert_eq!(whole_second(Timestamp::new(1, 1).unwrap()), 2);
        assert_eq!(whole_second(at(-2)), -2);
    }
}

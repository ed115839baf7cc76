use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Barrier;

use proptest::prelude::*;

use super::*;
use crate::contract;
use crate::replay::{Bound, ReplayKey};

const SCOPE: Scope = Scope([2; 16]);

const LIFE: SignedDuration = SignedDuration::from_secs(65);
const DOUBT: SignedDuration = SignedDuration::from_secs(15);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
}

fn claim(n: u8, issued_at: Timestamp) -> Claim {
    Claim {
        key: ReplayKey { proof: [n; 16], holder: [1; 16] },
        issued_at,
        live_until: issued_at + LIFE,
        nonce_epoch: None,
        doubt_span: DOUBT,
    }
}

fn store() -> EmbeddedStore {
    EmbeddedStore::new(ReplayLimits::default(), at(0)).unwrap()
}

fn now_or_never<T>(future: StoreFuture<'_, T>) -> Result<T, StoreError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[tokio::test]
async fn it_keeps_the_contract() {
    contract::check(at(0), async |limits, start| EmbeddedStore::new(limits, start)).await.unwrap();
    contract::check_exact_bounds(at(0), async |limits, start| EmbeddedStore::new(limits, start))
        .await
        .unwrap();
    contract::check(at(0) + SignedDuration::from_nanos(1), async |limits, start| {
        EmbeddedStore::new(limits, start)
    })
    .await
    .unwrap();
}

/// D18, G07: a hundred at once, one is first.
#[test]
fn of_a_hundred_threads_one_is_fresh() {
    let (store, claim, barrier) = (store(), claim(1, at(60_000)), Barrier::new(100));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let claims: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    now_or_never(store.claim(SCOPE, &claim, at(60_000))).unwrap()
                })
            })
            .collect();
        claims.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, ClaimOutcome::Fresh(_))).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == ClaimOutcome::Replayed).count(), 99);
}

#[tokio::test]
async fn a_claim_that_is_never_awaited_writes_nothing() {
    let (store, claim) = (store(), claim(1, at(60_000)));
    drop(store.claim(SCOPE, &claim, at(60_000)));
    assert!(matches!(store.claim(SCOPE, &claim, at(60_000)).await, Ok(ClaimOutcome::Fresh(_))));
}

/// C-10: what was dropped before the clock was set back could pass again, and is doubtful instead.
#[tokio::test]
async fn a_clock_set_back_begins_a_new_epoch() {
    let store = store();
    let epoch = store.epoch(SCOPE, at(0)).await.unwrap();
    let (used, late) = (claim(1, at(60_000)), claim(2, at(600_000)));
    assert!(matches!(store.claim(SCOPE, &used, at(60_000)).await, Ok(ClaimOutcome::Fresh(_))));
    assert!(matches!(store.claim(SCOPE, &late, at(600_000)).await, Ok(ClaimOutcome::Fresh(_))));

    let back = at(61_000);
    let Ok(ClaimOutcome::Doubtful { epoch: next }) = store.claim(SCOPE, &used, back).await else {
        panic!("a dropped proof must not pass again")
    };
    assert_ne!(next, epoch);
    let old_nonce = Claim { nonce_epoch: Some(epoch), ..used.clone() };
    assert_eq!(store.claim(SCOPE, &old_nonce, back).await, Ok(ClaimOutcome::Doubtful { epoch: next }));
    let health = store.health(back).await.unwrap();
    assert_eq!((health.complete_since, health.interruptions), (Some(at(600_000)), 1));

    let new_nonce = Claim { nonce_epoch: Some(next), ..claim(3, back) };
    assert!(matches!(store.claim(SCOPE, &new_nonce, back).await, Ok(ClaimOutcome::Fresh(_))));
    let known = Claim { nonce_epoch: Some(next), ..late };
    let ahead = store.claim(SCOPE, &known, back).await;
    assert_eq!(ahead, Ok(ClaimOutcome::Expired), "it is from too far ahead now");
    let again = store.claim(SCOPE, &known, known.issued_at).await;
    assert_eq!(again, Ok(ClaimOutcome::Replayed), "live entries survive the step");
}

/// Requests read the clock in no order; the latest instant counts for all of them.
#[tokio::test]
async fn a_lag_of_a_second_is_no_step_back() {
    let store = store();
    let epoch = store.epoch(SCOPE, at(0)).await.unwrap();
    let used = claim(1, at(60_000));
    assert!(matches!(store.claim(SCOPE, &used, at(60_000)).await, Ok(ClaimOutcome::Fresh(_))));
    let over = used.live_until + SignedDuration::from_millis(1);
    assert_eq!(store.health(over).await.unwrap().live_proofs, Some(0));
    let lagging = over - SignedDuration::from_secs(1);
    assert_eq!(
        store.claim(SCOPE, &used, lagging).await,
        Ok(ClaimOutcome::Expired),
        "dropped, so it cannot be new"
    );
    assert_eq!(store.epoch(SCOPE, lagging).await, Ok(epoch));
    assert_ne!(store.epoch(SCOPE, lagging - SignedDuration::from_millis(1)).await, Ok(epoch));
}

#[tokio::test]
async fn a_start_in_the_future_is_a_clock_set_back() {
    let store = EmbeddedStore::new(ReplayLimits::default(), at(600_000)).unwrap();
    let outcome = store.claim(SCOPE, &claim(1, at(60_000)), at(60_000)).await;
    assert!(matches!(outcome, Ok(ClaimOutcome::Doubtful { .. })));
    assert_eq!(store.health(at(60_000)).await.unwrap().complete_since, Some(at(600_000)));
}

#[tokio::test]
async fn a_span_of_doubt_without_end_doubts() {
    let store = store();
    let endless = Claim { doubt_span: SignedDuration::MAX, ..claim(1, at(60_000)) };
    assert!(matches!(store.claim(SCOPE, &endless, at(60_000)).await, Ok(ClaimOutcome::Doubtful { .. })));
}

#[tokio::test]
async fn a_poisoned_store_neither_knows_nor_forgets() {
    let store = store();
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| {
            let _guard = store.state.lock().unwrap();
            panic!("poison");
        });
        assert!(holder.join().is_err());
    });
    assert_eq!(store.claim(SCOPE, &claim(1, at(60_000)), at(60_000)).await, Err(StoreError::Poisoned));
    assert_eq!(store.epoch(SCOPE, at(60_000)).await, Err(StoreError::Poisoned));
    assert_eq!(store.health(at(60_000)).await, Err(StoreError::Poisoned));
}

/// The rules of the store, said as plainly as possible.
#[derive(Debug)]
struct Model {
    limits: ReplayLimits,
    used: HashMap<[u8; 16], (Scope, Claim)>,
    latest: Timestamp,
    complete_since: Timestamp,
    interrupted: bool,
}

impl Model {
    fn claim(&mut self, scope: Scope, claim: &Claim, now: Timestamp) -> &'static str {
        if now < self.latest - SignedDuration::from_secs(1) {
            self.complete_since = self.complete_since.max(self.latest);
            self.interrupted = true;
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        let latest = self.latest;
        let whole = |instant: Timestamp| instant.as_nanosecond().div_euclid(1_000_000_000) * 1_000_000_000;
        // Forgotten at the end of the second, once the time has been there.
        self.used.retain(|_, (_, used)| {
            let last = used.live_until.as_nanosecond();
            (if whole(used.live_until) == last { last } else { whole(used.live_until) + 1_000_000_000 })
                >= latest.as_nanosecond()
        });
        let count = |same: &dyn Fn(Scope, &ReplayKey) -> bool| {
            self.used.values().filter(|(scope, used)| same(*scope, &used.key)).count()
        };
        let over = |count: usize, bound: NonZeroU32| count >= usize::try_from(bound.get()).unwrap();
        if claim.live_until < latest {
            "expired"
        } else if claim.issued_at <= self.complete_since + claim.doubt_span {
            "doubtful"
        } else if self.used.contains_key(&claim.key.proof) {
            "replayed"
        } else if over(count(&|_, key| key.holder == claim.key.holder), self.limits.max_per_key) {
            "key"
        } else if over(count(&|other, _| other == scope), self.limits.max_per_tenant) {
            "tenant"
        } else if over(self.used.len(), self.limits.max_proofs) {
            "global"
        } else {
            self.used.insert(claim.key.proof, (scope, claim.clone()));
            "fresh"
        }
    }
}

fn word(outcome: &ClaimOutcome) -> &'static str {
    match outcome {
        ClaimOutcome::Fresh(_) => "fresh",
        ClaimOutcome::Replayed => "replayed",
        ClaimOutcome::Doubtful { .. } => "doubtful",
        ClaimOutcome::Full(Bound::Key) => "key",
        ClaimOutcome::Full(Bound::Tenant) => "tenant",
        ClaimOutcome::Full(Bound::Global) => "global",
        ClaimOutcome::Expired => "expired",
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_says(
        steps in prop::collection::vec(
            (0..40_u8, 0..4_u8, 0..3_u8, -3_000..20_000_i64, -70_000..10_500_i64, prop::bool::weighted(0.01)),
            1..200,
        ),
    ) {
        let bound = |n| NonZeroU32::new(n).unwrap();
        let limits = ReplayLimits { max_proofs: bound(12), max_per_tenant: bound(8), max_per_key: bound(5) };
        let store = EmbeddedStore::new(limits, at(0)).unwrap();
        let mut model =
            Model { limits, used: HashMap::new(), latest: at(0), complete_since: at(0), interrupted: false };
        let mut now = at(20_000);
        for (proof, holder, tenant, step, age, far_back) in steps {
            now += SignedDuration::from_millis(if far_back { -60_000 } else { step / 10 });
            let mut claim = claim(proof, now + SignedDuration::from_millis(age));
            claim.key.holder = [holder; 16];
            let scope = Scope([tenant; 16]);
            let expected = model.claim(scope, &claim, now);
            let outcome = now_or_never(store.claim(scope, &claim, now)).unwrap();
            prop_assert_eq!(word(&outcome), expected);
            let health = now_or_never(store.health(now)).unwrap();
            prop_assert_eq!(health.live_proofs, Some(u64::try_from(model.used.len()).unwrap()));
            prop_assert_eq!(health.complete_since, Some(model.complete_since));
            prop_assert_eq!(health.interruptions > 0, model.interrupted);
        }
    }
}

proptest! {
    /// D18, C-10: whatever the clock does, one proof passes at most once.
    #[test]
    fn no_clock_makes_a_proof_fresh_twice(
        steps in prop::collection::vec((-200_000..200_000_i64, prop::bool::ANY), 1..60),
        with_nonce in prop::bool::ANY,
    ) {
        let store = store();
        let nonce_epoch = with_nonce.then(|| now_or_never(store.epoch(SCOPE, at(0))).unwrap());
        let mut proofs: Vec<(Claim, u32)> = Vec::new();
        let mut now = at(0);
        for (number, (step, small)) in (0_u8..).zip(steps) {
            now += SignedDuration::from_millis(if small { step / 20 } else { step });
            // A proof that could pass now is issued within its window; all earlier ones that could are sent again.
            proofs.push((Claim { nonce_epoch, ..claim(number, now) }, 0));
            for (claim, passed) in &mut proofs {
                let passable = claim.issued_at <= now + DOUBT && now <= claim.live_until;
                if passable && matches!(now_or_never(store.claim(SCOPE, claim, now)), Ok(ClaimOutcome::Fresh(_))) {
                    *passed += 1;
                }
                prop_assert!(*passed <= 1, "{:?} passed twice", claim);
            }
        }
    }
}

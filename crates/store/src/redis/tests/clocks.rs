//! The server's clock, whatever it does.

use proptest::prelude::*;

use super::*;

/// C-10: the caller's clock counts for nothing, in either direction.
#[tokio::test]
async fn the_servers_clock_counts() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let store = store(&redis);
    let used = undoubted(&store, &redis, 1).await;
    for skew in [SignedDuration::from_mins(-10), SignedDuration::ZERO, SignedDuration::from_mins(10)] {
        let outcome = store.claim(SCOPE, &used, used.issued_at + skew).await;
        assert_eq!(fresh(&outcome), skew == SignedDuration::from_mins(-10), "{outcome:?}");
    }
    let past = Claim { live_until: used.issued_at - SignedDuration::from_secs(1), ..used.clone() };
    assert_eq!(store.claim(SCOPE, &past, past.live_until).await, Ok(ClaimOutcome::Expired));
}

/// C-10: a clock that was set back may have let entries go that could pass again; that goes for every scope, and for a
/// replica that starts only then.
#[tokio::test]
async fn a_clock_set_back_begins_a_new_memory() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let told = Told(store(&redis));
    let epoch = told.epoch(SCOPE, at(0)).await.unwrap();
    let used = claim(1, at(60_000));
    assert!(fresh(&told.claim(SCOPE, &used, at(60_000)).await));
    // Another scope is the one that sees the time to which entries went.
    told.epoch(Scope([3; 16]), at(600_000)).await.unwrap();
    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &[1; 16])]).unwrap();

    let back = at(61_000);
    let Ok(ClaimOutcome::Doubtful { epoch: next }) = told.claim(SCOPE, &used, back).await else {
        panic!("a proof that was forgotten must not pass again")
    };
    assert_ne!(next, epoch);
    let followed = Claim { nonce_epoch: Some(next), ..claim(2, back) };
    assert!(fresh(&told.claim(SCOPE, &followed, back).await));
    assert_eq!(told.epoch(SCOPE, back).await, Ok(next), "it begins once");

    let lagging = told.epoch(Scope([4; 16]), at(599_500)).await.unwrap();
    assert_eq!(told.epoch(Scope([4; 16]), at(599_500)).await, Ok(lagging), "half a second is no step");
}

/// C-10: a clock that was set back, ran on, and was set back again, though never to where it had been at first.
#[tokio::test]
async fn each_step_back_is_one() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let told = Told(store(&redis));
    told.epoch(SCOPE, at(600_000)).await.unwrap();
    let second = told.epoch(SCOPE, at(0)).await.unwrap();
    let used = Claim { nonce_epoch: Some(second), ..claim(1, at(0)) };
    assert!(fresh(&told.claim(SCOPE, &used, at(0)).await));
    assert_eq!(told.epoch(SCOPE, at(100_000)).await, Ok(second), "it runs on");
    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &[1; 16])]).unwrap();
    let again = told.claim(SCOPE, &used, at(0)).await;
    assert!(matches!(again, Ok(ClaimOutcome::Doubtful { epoch }) if epoch != second), "{again:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// D18, C-10: whatever the clock does, one proof passes at most once. What the server would forget is deleted when
    /// its clock has been there.
    #[test]
    fn no_clock_makes_a_proof_fresh_twice(
        steps in prop::collection::vec((-200_000..200_000_i64, prop::bool::ANY), 1..20),
        with_nonce in prop::bool::ANY,
    ) {
        let folder = folder();
        let redis = start(Kind::Newest, folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = Told(store(&redis));
        let nonce_epoch = with_nonce.then(|| runtime.block_on(told.epoch(SCOPE, at(0))).unwrap());
        let mut proofs: Vec<(Claim, u32)> = Vec::new();
        let mut now = at(0);
        for (number, (step, small)) in (0_u8..).zip(steps) {
            now += SignedDuration::from_millis(if small { step / 20 } else { step });
            proofs.push((Claim { nonce_epoch, ..claim(number, now) }, 0));
            for (claim, _) in &proofs {
                // Five seconds are added, as the script does.
                if claim.live_until + SignedDuration::from_millis(5001) < now {
                    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &claim.key.proof)]).unwrap();
                }
            }
            for (claim, passed) in &mut proofs {
                let passable = claim.issued_at <= now + DOUBT && now <= claim.live_until;
                if passable && fresh(&runtime.block_on(told.claim(SCOPE, claim, now))) {
                    *passed += 1;
                }
                prop_assert!(*passed <= 1, "{:?} passed twice", claim);
            }
        }
    }
}

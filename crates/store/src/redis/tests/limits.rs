//! Limits, with the server and without.

use proptest::prelude::*;

use super::*;

/// product.md, "What is unknown is not allowed": without the server, rates hold at this replica's part, quotas go on from
/// what was used, and a proof is refused.
#[tokio::test]
async fn without_the_server_a_replica_limits_by_itself() {
    let folder = folder();
    let mut redis = start(Kind::Newest, folder.path());
    let store = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(5),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::new(2).unwrap(),
    });
    let number = |n: u32| NonZeroU32::new(n).unwrap();
    let rate = Charge {
        key: LimitKey([1; 16]),
        limit: Limit::Rate(Rate::new(number(1), RatePer::Hour, number(4)).unwrap()),
        cost: number(1),
    };
    let quota = Charge {
        key: LimitKey([2; 16]),
        limit: Limit::Quota(Quota::new(5.try_into().unwrap(), Period::Month).unwrap()),
        cost: number(1),
    };
    let now = server_time(&redis);
    let left = async |charge: &Charge, now| {
        let ask = Ask { scope: SCOPE, claim: None, charges: std::slice::from_ref(charge) };
        match store.admit(&ask, now).await.unwrap().charges {
            ChargeOutcome::Charged(charged) => {
                let (standings, reserved) = charged.into_parts();
                Ok((standings[0].remaining, reserved.is_empty()))
            }
            other @ (ChargeOutcome::Limited(_) | ChargeOutcome::NotReached | ChargeOutcome::NoRoom) => {
                Err(other)
            }
        }
    };
    assert_eq!(left(&rate, now).await, Ok((3, true)));
    assert_eq!(left(&quota, now).await, Ok((4, false)));
    assert_eq!(left(&quota, now).await, Ok((3, false)));
    let proof = undoubted(&store, &redis, 1).await;
    redis.kill().unwrap();
    assert_eq!(left(&rate, now).await, Ok((1, true)), "half of the burst is this replica's");
    assert_eq!(left(&rate, now).await, Ok((0, true)));
    assert!(matches!(left(&rate, now).await, Err(ChargeOutcome::Limited(_))));
    for remaining in [2, 1, 0] {
        assert_eq!(
            left(&quota, now).await,
            Ok((remaining, true)),
            "nothing is given back to a server that never counted it"
        );
    }
    assert!(matches!(left(&quota, now).await, Err(ChargeOutcome::Limited(_))));
    let ask = Ask { scope: SCOPE, claim: Some(&proof), charges: &[rate] };
    assert_eq!(store.admit(&ask, now).await, Err(StoreError::Unavailable), "a proof is refused all the same");
    redis.start_again().unwrap();
    until_there(&store).await;
    assert_eq!(store.health(now).await.unwrap().charged_locally, 7);
    assert_eq!(left(&rate, now).await, Ok((3, true)), "this server had forgotten");

    let strict = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(5),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Deny,
        replicas: NonZeroU32::MIN,
    });
    redis.kill().unwrap();
    let ask = Ask { scope: SCOPE, claim: None, charges: &[rate] };
    assert_eq!(strict.admit(&ask, now).await, Err(StoreError::Unavailable));
}

fn any_charge() -> impl Strategy<Value = Charge> {
    let rate = (1..1_000_000_u32, 0..3_usize, 1..50_u32).prop_map(|(count, per, burst)| {
        let per = [RatePer::Second, RatePer::Minute, RatePer::Hour][per];
        Limit::Rate(Rate::new(count.try_into().unwrap(), per, burst.try_into().unwrap()).unwrap())
    });
    let quota = (1..50_u64, 0..4_usize).prop_map(|(units, period)| {
        let period = [Period::Minute, Period::Hour, Period::Day, Period::Month][period];
        Limit::Quota(Quota::new(units.try_into().unwrap(), period).unwrap())
    });
    // A key is used with limits of one kind.
    let rates = (0..2_u8, rate).prop_map(|(key, limit)| (key, limit));
    let quotas = (2..5_u8, quota).prop_map(|(key, limit)| (key, limit));
    (prop_oneof![rates, quotas], 1..9_u32).prop_map(|((key, limit), cost)| Charge {
        key: LimitKey([key; 16]),
        limit,
        cost: cost.try_into().unwrap(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Charges come to the same, to the microsecond, as in the embedded store.
    #[test]
    fn charges_are_what_they_are_in_the_embedded_store(
        steps in prop::collection::vec(
            (
                prop::collection::vec(any_charge(), 1..4),
                // A second, an hour, some months; half a second back.
                prop_oneof![8 => 0..1_000_000_i64, 2 => 0..3_600_000_000_i64, 1 => 0..10_000_000_000_000_i64],
                prop::bool::weighted(0.2),
            ),
            1..40,
        ),
        oldest in prop::bool::ANY,
    ) {
        let folder = folder();
        let redis = start(if oldest { Kind::Oldest } else { Kind::Newest }, folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = Told(store(&redis));
        let embedded = EmbeddedStore::new(ReplayLimits::default(), at(0)).unwrap();
        let mut now = at(0);
        for (charges, step, back) in steps {
            now += SignedDuration::from_micros(step);
            let now = if back { now - SignedDuration::from_millis(500) } else { now };
            let ask = Ask { scope: SCOPE, claim: None, charges: &charges };
            let expected = runtime.block_on(embedded.admit(&ask, now)).unwrap();
            prop_assert_eq!(runtime.block_on(told.admit(&ask, now)).unwrap(), expected);
        }
    }
}

//! One proof, one use; what each claim writes.

use super::*;

#[tokio::test]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        for start in [at(0), at(0) + SignedDuration::from_nanos(1)] {
            let stores = std::sync::atomic::AtomicU32::new(0);
            contract::check(start, async |limits, _start| {
                let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let bounds =
                    WindowBounds { max_per_tenant: limits.max_per_tenant, max_per_key: limits.max_per_key };
                redis.say(&["DEL", "exequatur:1:clock"]).unwrap();
                Ok(Told(bounded(&redis.socket_url(), &format!("{}:{number}", start.as_nanosecond()), bounds)))
            })
            .await
            .unwrap();
        }
    }
}

/// D18, G06, G07: two replicas, four threads each with a connection of its own, one proof: one is first.
#[test]
fn of_all_replicas_one_is_first() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let replicas = [store(&redis), store(&redis)];
        let claim = runtime().block_on(undoubted(&replicas[0], &redis, 1));
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    let (store, claim) = (&replicas[n % 2], &claim);
                    scope.spawn(move || -> Vec<_> {
                        let now = claim.issued_at;
                        let runtime: Runtime = runtime();
                        (0..100).map(|_| runtime.block_on(store.claim(SCOPE, claim, now)).unwrap()).collect()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|got| matches!(got, ClaimOutcome::Fresh(_))).count(), 1);
        assert_eq!(outcomes.iter().filter(|got| **got == ClaimOutcome::Replayed).count(), 799);
    }
}

/// C-20, G08: every entry goes by itself, and a proof's not before the proof does.
#[tokio::test]
async fn what_is_written_has_an_end() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        assert!(store.health(used.issued_at).await.is_ok());
        let end = |key: &str| -> i64 {
            redis.say(&["PTTL", key]).unwrap().trim_start_matches(':').trim().parse().unwrap()
        };
        let keys = redis.say(&["KEYS", "*"]).unwrap();
        let keys: Vec<_> = keys.lines().filter(|line| line.starts_with("exequatur")).collect();
        assert_eq!(keys.len(), 5, "{keys:?}");
        for key in &keys {
            let kind = key.strip_prefix("exequatur:{AgICAgICAgICAgICAgICAg}").unwrap_or(key);
            let range = match kind.get(..4) {
                Some(":1:p") => 69_000..=70_002,
                Some(":1:h" | ":1:t") => 65_000..=66_000,
                _ if *key == "exequatur:1:clock" => 2_590_000_000..=2_592_000_000,
                _ if kind.is_empty() => 2_590_000_000..=2_592_000_000,
                other => panic!("{other:?}"),
            };
            let left = end(key);
            // What the test itself took is gone already.
            assert!(left <= *range.end() && left >= (range.start() - 5_000).max(-1), "{key}: {left}");
        }
    }
}

/// One trip for a claim (the rest is what a connection begins with).
#[tokio::test]
async fn a_claim_is_one_command() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let store = store(&redis);
    let first = undoubted(&store, &redis, 0).await;
    assert!(fresh(&store.claim(SCOPE, &first, first.issued_at).await));
    redis.say(&["CONFIG", "RESETSTAT"]).unwrap();
    for n in 1..=50 {
        let claim = Claim { key: ReplayKey { proof: [n; 16], ..first.key }, ..first.clone() };
        assert!(fresh(&store.claim(SCOPE, &claim, claim.issued_at).await));
    }
    let processed = redis.say(&["INFO", "stats"]).unwrap();
    let stats = redis.say(&["INFO", "commandstats"]).unwrap();
    assert!(stats.contains("cmdstat_evalsha:calls=50,"), "{stats}{processed}");
    assert!(!stats.contains("cmdstat_eval:"), "{stats}");
}

/// The bounds of a holder and of a scope are told apart.
#[tokio::test]
async fn a_window_refuses_and_says_whose_it_is() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let bound = |n| NonZeroU32::new(n).unwrap();
    let bounds = WindowBounds { max_per_tenant: bound(3), max_per_key: bound(2) };
    let store = bounded(&redis.socket_url(), "exequatur", bounds);
    let first = undoubted(&store, &redis, 0).await;
    let of = |n: u8, holder: u8| Claim {
        key: ReplayKey { proof: [n; 16], holder: [holder; 16] },
        ..first.clone()
    };
    for (n, holder, expected) in [
        (1, 1, None),
        (2, 1, None),
        (3, 1, Some(Bound::Key)),
        (4, 2, None),
        (5, 2, Some(Bound::Tenant)),
        (6, 3, Some(Bound::Tenant)),
    ] {
        let got = store.claim(SCOPE, &of(n, holder), first.issued_at).await.unwrap();
        match expected {
            None => assert!(matches!(got, ClaimOutcome::Fresh(_)), "{n}: {got:?}"),
            Some(bound) => assert_eq!(got, ClaimOutcome::Full(bound), "{n}"),
        }
    }
    // When the windows are over, as their end says.
    let prefix = Prefix::default();
    redis.say(&["DEL", &prefix.holder(SCOPE, &[1; 16]), &prefix.tenant(SCOPE)]).unwrap();
    assert!(fresh(&store.claim(SCOPE, &of(3, 1), first.issued_at).await), "what was refused was not used");
}

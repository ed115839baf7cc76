//! Servers that fail, hang, are full, or are another's.

use super::*;

/// C-07: what is not ours is neither "new" nor "not used".
#[tokio::test]
async fn what_another_wrote_is_no_answer() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let prefix = Prefix::default();
        let used = undoubted(&store, &redis, 1).await;
        let (memory, proof) = (prefix.memory(SCOPE), prefix.proof(SCOPE, &[1; 16]));
        let (holder, tenant) = (prefix.holder(SCOPE, &[1; 16]), prefix.tenant(SCOPE));
        let ask = async |n: u8| {
            let other = Claim {
                key: ReplayKey { proof: [n; 16], holder: [n; 16] },
                ..undoubted(&store, &redis, n).await
            };
            store.claim(SCOPE, &other, other.issued_at).await
        };
        assert!(fresh(&ask(10).await));
        let kept = redis.say(&["GETRANGE", &memory, "0", "-1"]).unwrap();
        assert_eq!(kept.get(..6), Some("$106\r\n"));
        let mut used = used;
        for (what, key, words) in [
            ("a list for the memory", &memory, &["LPUSH", &memory, "x"][..]),
            ("garbage for the memory", &memory, &["SET", &memory, "x"]),
            ("a memory of another version", &memory, &["SET", &memory, &format!("2|{}", "x".repeat(104))]),
            ("a hash for the tenant's window", &tenant, &["HSET", &tenant, "a", "b"]),
            ("a list for the holder's window", &holder, &["LPUSH", &holder, "x"]),
        ] {
            redis.say(&["DEL", key]).unwrap();
            redis.say(words).unwrap();
            let got = store.claim(SCOPE, &used, used.issued_at).await;
            assert_eq!(got, Err(StoreError::Foreign), "{what}");
            redis.say(&["DEL", key, &proof]).unwrap();
            used = undoubted(&store, &redis, 1).await;
        }
        redis.say(&["LPUSH", &proof, "x"]).unwrap();
        let fresh_memory = undoubted(&store, &redis, 1).await;
        assert_eq!(
            store.claim(SCOPE, &fresh_memory, fresh_memory.issued_at).await,
            Ok(ClaimOutcome::Replayed),
            "whatever lies at the proof's place says that it was used"
        );
        redis.say(&["SET", &tenant, "words"]).unwrap();
        let got = ask(11).await;
        assert!(got.is_err(), "a window that is no number: {got:?}");
    }
}

/// C-05: a server without room neither remembers nor forgets.
#[tokio::test]
async fn a_full_server_takes_nothing() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        let next = undoubted(&store, &redis, 2).await;
        redis.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        assert_eq!(store.claim(SCOPE, &next, next.issued_at).await, Err(StoreError::Full), "{kind:?}");
        assert_eq!(store.health(next.issued_at).await, Err(StoreError::Full), "{kind:?}");
        redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Ok(ClaimOutcome::Replayed));
        assert!(fresh(&store.claim(SCOPE, &next, next.issued_at).await));
    }
}

/// C-06: a server that makes room by forgetting is not used, from the start or from when it begins to.
#[tokio::test]
async fn a_server_that_evicts_is_not_used() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = Redis::start(
            kind,
            folder.path(),
            None,
            &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
        )
        .unwrap();
        let unfit = Err(StoreError::Unfit(Unfit::Evicting));
        let evicting = store(&redis);
        assert_eq!(evicting.epoch(SCOPE, at(0)).await, unfit);
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).unwrap();
        assert_eq!(store.health(at(0)).await.map(|_| ()), unfit.map(|_| ()));
        let next = claim(2, used.issued_at);
        let got = store.claim(SCOPE, &next, next.issued_at).await;
        assert_eq!(got, Err(StoreError::Unfit(Unfit::Evicting)), "nor after it began to");
    }
}

/// C-03: a server that hangs is waited for a call's time a few times, and then not at all until it is there again.
#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let address = Address::new(&redis.socket_url().into(), &[], None).unwrap();
    let store = RedisStore::new(RedisConfig {
        address,
        prefix: Prefix::default(),
        timeout: Duration::from_millis(25),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    until_there(&store).await;
    let used = undoubted(&store, &redis, 1).await;
    assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
    redis.signal("STOP").unwrap();
    let begin = tokio::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Err(StoreError::Unavailable));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "500 calls of 25 ms each would have taken 12 s");
    redis.signal("CONT").unwrap();
    until_there(&store).await;
    assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Ok(ClaimOutcome::Replayed));
}

/// C-01
#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let folder = folder();
    let mut redis = start(Kind::Newest, folder.path());
    redis.kill().unwrap();
    let store = store(&redis);
    assert_eq!(store.epoch(SCOPE, at(0)).await, Err(StoreError::Unavailable));
    redis.start_again().unwrap();
    until_there(&store).await;
    assert!(store.epoch(SCOPE, at(0)).await.is_ok());
}

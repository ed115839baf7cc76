//! Where two parts meet: a connection and the server behind it, an entry and the time that nobody looked at.

use super::*;

async fn until_linked(redis: &Redis) {
    until(|| redis.say(&["INFO", "replication"]).unwrap().contains("master_link_status:up")).await;
}

/// C-09: a failover there and back, of which this connection heard nothing: nobody used it meanwhile.
#[tokio::test]
async fn a_connection_that_slept_through_a_failover_knows_no_more() {
    for kind in Kind::ALL {
        let folders = [folder(), folder()];
        let reserved = Ports::block().unwrap();
        let ports = reserved.all();
        let a = Redis::start(kind, folders[0].path(), Some(ports[0]), &["--repl-diskless-sync-delay", "0"])
            .unwrap();
        let follows = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &ports[0].to_string()];
        let b = Redis::start(kind, folders[1].path(), Some(ports[1]), &follows).unwrap();
        until_linked(&b).await;
        let store = store(&a);
        store.epoch(SCOPE, at(0)).await.unwrap();
        a.say(&["WAIT", "1", "10000"]).unwrap();
        b.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
        let used = undoubted(&store, &a, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        a.say(&["REPLICAOF", "127.0.0.1", &ports[1].to_string()]).unwrap();
        until_linked(&a).await;
        a.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
        let again = store.claim(SCOPE, &used, used.issued_at).await;
        assert!(matches!(again, Ok(ClaimOutcome::Doubtful { .. })), "{kind:?}: {again:?}");
    }
}

/// When an entry goes by itself, if it is written at `now`, in milliseconds from it.
fn life(redis: &Redis, key: &str) -> i64 {
    redis.say(&["PTTL", key]).unwrap().trim_start_matches(':').trim().parse().unwrap()
}

/// C-10: a clock that ran on while nobody looked, and was then set back to a time that is no step back for anybody.
#[tokio::test]
async fn an_entry_outlives_what_nobody_saw_of_the_clock() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let told = Told(store(&redis));
        let epoch = told.epoch(SCOPE, at(0)).await.unwrap();
        let used = Claim { nonce_epoch: Some(epoch), ..claim(1, at(0)) };
        assert!(fresh(&told.claim(SCOPE, &used, at(0)).await));
        let entry = Prefix::default().proof(SCOPE, &[1; 16]);
        let gone_at = life(&redis, &entry);
        let end = i64::try_from(LIFE.as_millis()).unwrap();
        // The last look of anybody, and one that would have come two seconds and a half later.
        told.health(at(end + 800)).await.unwrap();
        if gone_at <= end + 3_400 {
            redis.say(&["DEL", &entry]).unwrap();
        }
        let again = told.claim(SCOPE, &used, at(end - 100)).await;
        assert!(!fresh(&again), "{kind:?}: {again:?}");
    }
}

/// The same for what a limit counts: the bucket is not full before it is.
#[tokio::test]
async fn a_level_outlives_what_nobody_saw_of_the_clock() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let told = Told(store(&redis));
        let one = NonZeroU32::MIN;
        let charge = Charge {
            key: LimitKey([1; 16]),
            limit: Limit::Rate(Rate::new(one, RatePer::Minute, one).unwrap()),
            cost: one,
        };
        let ask = Ask { scope: SCOPE, claim: None, charges: &[charge] };
        let charged = |answer: Answer| matches!(answer.charges, ChargeOutcome::Charged(_));
        assert!(charged(told.admit(&ask, at(0)).await.unwrap()));
        let level = Prefix::default().level(SCOPE, &LimitKey([1; 16]));
        let gone_at = life(&redis, &level);
        told.health(at(60_800)).await.unwrap();
        if gone_at <= 63_300 {
            redis.say(&["DEL", &level]).unwrap();
        }
        assert!(!charged(told.admit(&ask, at(59_900)).await.unwrap()), "{kind:?}");
    }
}

/// C-10: a connection is looked over before anything is claimed on it. What was known of the clock when the one before broke
/// is not what others have seen since.
#[tokio::test]
async fn every_connection_is_looked_over_first() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let (one, other) = (Told(store(&redis)), Told(store(&redis)));
        one.epoch(SCOPE, at(0)).await.unwrap();
        let used = claim(1, at(120_000));
        assert!(fresh(&other.claim(SCOPE, &used, at(110_000)).await));
        other.epoch(Scope([3; 16]), at(600_000)).await.unwrap();
        redis.say(&["DEL", &Prefix::default().proof(SCOPE, &[1; 16])]).unwrap();
        let links = one.0.servers.of_scope(SCOPE).await.unwrap();
        links.give_up(&links.line().await.unwrap());
        let again = one.claim(SCOPE, &used, at(106_000)).await;
        assert!(matches!(again, Ok(ClaimOutcome::Doubtful { .. })), "{kind:?}: {again:?}");
    }
}

/// A server that follows another now is given up by whom it tells so: he connects anew, and learns it.
#[tokio::test]
async fn a_connection_that_may_only_read_is_given_up() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        let links = store.servers.of_scope(SCOPE).await.unwrap();
        let line = links.line().await.unwrap();
        redis.say(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
        assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Err(StoreError::Unavailable), "{kind:?}");
        let asked = store.claim(SCOPE, &used, used.issued_at).await;
        assert_eq!(asked, Err(StoreError::Unfit(Unfit::Replica)), "{kind:?}");
        redis.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
        until_there(&store).await;
        assert!(!Arc::ptr_eq(&line, &links.line().await.unwrap()), "{kind:?}");
    }
}

/// C-09: a primary that was cut off, and is not to write then, takes no claim.
#[tokio::test]
async fn a_primary_that_may_not_write_takes_no_claim() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
        assert!(redis.say(&["SET", "x", "y"]).unwrap().starts_with("-NOREPLICAS"), "{kind:?}");
        let refused = store.claim(SCOPE, &used, used.issued_at).await;
        assert_eq!(refused, Err(StoreError::Unavailable), "{kind:?}");
        assert_eq!(store.health(used.issued_at).await, Err(StoreError::Unavailable), "{kind:?}");
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await), "{kind:?}: it was not used");
    }
}

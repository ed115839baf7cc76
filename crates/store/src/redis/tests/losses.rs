//! What a server forgets: restarts, failovers, flushes, evictions.

use super::*;

/// G11: the proof that was used before the loss never passes after it, and a nonce from after it helps at once.
async fn doubts_after(what: &str, store: &RedisStore, redis: &Redis, before: &Claim, next: u8) {
    let Ok(ClaimOutcome::Doubtful { epoch }) = store.claim(SCOPE, before, before.issued_at).await else {
        panic!("{what}: a proof from before is doubtful")
    };
    assert_ne!(Some(epoch), before.nonce_epoch, "{what}: the memory is another");
    let unnonced = Claim { nonce_epoch: None, ..before.clone() };
    assert_eq!(
        store.claim(SCOPE, &unnonced, before.issued_at).await,
        Ok(ClaimOutcome::Doubtful { epoch }),
        "{what}"
    );
    let followed = Claim { nonce_epoch: Some(epoch), ..claim(next, server_time(redis)) };
    assert!(fresh(&store.claim(SCOPE, &followed, followed.issued_at).await), "{what}: who follows is taken");
    assert_eq!(store.claim(SCOPE, &followed, followed.issued_at).await, Ok(ClaimOutcome::Replayed), "{what}");
}

/// C-02, C-09, G11
#[tokio::test]
async fn what_was_forgotten_is_doubted() {
    for kind in Kind::ALL {
        for options in [&[][..], &["--appendonly", "yes", "--appendfsync", "always"]] {
            let folder = folder();
            let mut redis = Redis::start(kind, folder.path(), None, options).unwrap();
            let store = store(&redis);
            let used = undoubted(&store, &redis, 1).await;
            assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
            assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Ok(ClaimOutcome::Replayed));

            redis.say(&["FLUSHALL"]).unwrap();
            doubts_after("flushed", &store, &redis, &used, 98).await;

            let used = undoubted(&store, &redis, 2).await;
            assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
            redis.kill().unwrap();
            assert_eq!(store.claim(SCOPE, &used, used.issued_at).await, Err(StoreError::Unavailable));
            redis.start_again().unwrap();
            until_there(&store).await;
            let what = format!("{kind:?} started again, {options:?}");
            doubts_after(&what, &store, &redis, &used, 99).await;

            redis.say(&["SCRIPT", "FLUSH"]).unwrap();
            let next = undoubted(&store, &redis, 3).await;
            assert!(fresh(&store.claim(SCOPE, &next, next.issued_at).await), "a lost script is said again");
        }
    }
}

/// C-09: whoever takes over has another name, whatever he was given of the memory.
#[tokio::test]
async fn a_replica_that_takes_over_is_doubted() {
    for kind in Kind::ALL {
        let folders = [folder(), folder()];
        let reserved = Ports::block().unwrap();
        let ports = reserved.all();
        let mut primary =
            Redis::start(kind, folders[0].path(), Some(ports[0]), &["--repl-diskless-sync-delay", "0"])
                .unwrap();
        let replica =
            Redis::start(kind, folders[1].path(), None, &["--replicaof", "127.0.0.1", &ports[0].to_string()])
                .unwrap();
        let (before, after) = (store(&primary), store(&replica));
        // The first copy that comes gives the history another name.
        let linked = || replica.say(&["INFO", "replication"]).unwrap().contains("master_link_status:up");
        until(linked).await;
        let used = undoubted(&before, &primary, 1).await;
        assert!(fresh(&before.claim(SCOPE, &used, used.issued_at).await));
        primary.say(&["WAIT", "1", "10000"]).unwrap();
        let asked = after.claim(SCOPE, &used, used.issued_at).await;
        assert_eq!(asked, Err(StoreError::Unfit(Unfit::Replica)), "a copy decides nothing");

        primary.kill().unwrap();
        replica.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
        assert!(replica.say(&["KEYS", "*"]).unwrap().contains(":1:p:"), "it has the copy");
        until_there(&after).await;
        doubts_after("taken over", &after, &replica, &used, 99).await;
    }
}

/// Whom a flushed server has told first does not matter: replicas agree on the memory at once.
#[tokio::test]
async fn after_a_loss_replicas_agree() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let (one, other) = (store(&redis), store(&redis));
    for store in [&one, &other] {
        until_there(store).await;
    }
    redis.say(&["FLUSHALL"]).unwrap();
    until_there(&one).await;
    let epoch = one.epoch(SCOPE, at(0)).await;
    assert!(epoch.is_ok());
    assert_eq!((other.epoch(SCOPE, at(0)).await, one.epoch(SCOPE, at(0)).await), (epoch, epoch));
}

/// C-06: proofs go before the memory that says since when all are there. So an eviction ends an era, whether it was seen
/// while the server was told to evict or not.
#[tokio::test]
async fn what_was_evicted_is_doubted() {
    for (kind, looked) in [(Kind::Newest, true), (Kind::Oldest, true), (Kind::Newest, false)] {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let first = undoubted(&store, &redis, 1).await;
        let proof = |n: u16| {
            let [high, low] = n.to_be_bytes();
            let mut proof = [9; 16];
            (proof[0], proof[1]) = (high, low);
            Claim { key: ReplayKey { proof, holder: [1; 16] }, ..first.clone() }
        };
        for n in 0..3000 {
            assert!(fresh(&store.claim(SCOPE, &proof(n), first.issued_at).await));
        }
        let memory = redis.say(&["INFO", "memory"]).unwrap();
        let used: u64 = memory
            .lines()
            .find_map(|line| line.strip_prefix("used_memory:"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory", &(used - 150_000).to_string()]).unwrap();
        redis.say(&["SET", "x", "y"]).unwrap();
        let evicted = redis.say(&["INFO", "stats"]).unwrap();
        assert!(!evicted.contains("evicted_keys:0\r"), "{evicted}");
        if looked {
            assert_eq!(store.health(at(0)).await.map(|_| ()), Err(StoreError::Unfit(Unfit::Evicting)));
        }
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        store.health(at(0)).await.unwrap();
        for n in 0..3000 {
            let again = store.claim(SCOPE, &proof(n), first.issued_at).await;
            assert!(matches!(again, Ok(ClaimOutcome::Doubtful { .. })), "{kind:?} {looked} {n}: {again:?}");
        }
    }
}

/// C-09: a failover there and back: the server has its old run id, and what another one kept.
#[tokio::test]
async fn there_and_back_is_another_history() {
    let folders = [folder(), folder()];
    let reserved = Ports::block().unwrap();
    let ports = reserved.all();
    let a =
        Redis::start(Kind::Newest, folders[0].path(), Some(ports[0]), &["--repl-diskless-sync-delay", "0"])
            .unwrap();
    let b = Redis::start(
        Kind::Newest,
        folders[1].path(),
        Some(ports[1]),
        &["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &ports[0].to_string()],
    )
    .unwrap();
    let before = store(&a);
    before.epoch(SCOPE, at(0)).await.unwrap();
    let linked = |r: &Redis| r.say(&["INFO", "replication"]).unwrap().contains("master_link_status:up");
    until(|| linked(&b)).await;
    a.say(&["WAIT", "1", "10000"]).unwrap();
    // cut off and promoted; A takes one more
    b.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let used = undoubted(&before, &a, 1).await;
    let first = before.claim(SCOPE, &used, used.issued_at).await;
    // A follows B, and is promoted again
    a.say(&["REPLICAOF", "127.0.0.1", &ports[1].to_string()]).unwrap();
    until(|| linked(&a)).await;
    a.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let later = store(&a);
    until_there(&later).await;
    let second = later.claim(SCOPE, &used, used.issued_at).await;
    assert!(!(fresh(&first) && fresh(&second)), "{first:?} {second:?}");
}

//! What the one who follows takes for a sign of life, and for how long.

use super::*;

fn with_staleness(redis: &Redis, usual: SignedDuration, degraded: SignedDuration) -> Follower {
    let store = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(2),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: std::num::NonZeroU32::MIN,
    });
    let revocations = store.revocations(RevocationLimits::default(), Staleness { usual, degraded }).unwrap();
    Follower { revocations: Arc::new(revocations), stop: None }
}

/// C-10, D-07: a clock that stands still, or was set back, does not make a silence shorter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_measured_without_the_clock_of_the_day() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let none = SignedDuration::ZERO;
    let one = with_staleness(&redis, SignedDuration::from_millis(1500), none).follow();
    one.until_known().await;
    one.order(1).await;
    redis.kill().unwrap();
    until(|| one.snapshot.unknown(start()) == Some(Unknown::Silent)).await;
    redis.start_again().unwrap();
    one.until_known().await;
    assert!(one.stops(1));
}

/// A replica that may go on for a while without hearing anything is waited for as long, up to a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_still_permit_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let seconds = SignedDuration::from_secs;
    for (degraded, silent, behind) in
        [(seconds(0), 10, 0), (seconds(30), 10, 1), (seconds(30), 45, 0), (seconds(300), 45, 1)]
    {
        let one = with_staleness(&redis, seconds(5), degraded).follow();
        one.until_known().await;
        let time = redis.say(&["TIME"]).unwrap();
        let heard: u64 = time.lines().nth(2).unwrap().parse().unwrap();
        let beat = format!("1 {}000 0", heard - silent);
        redis.say(&["HSET", "exequatur:{revocations}:1:replicas", "gone", &beat]).unwrap();
        let ordered = one.order(1).await;
        let told = if ordered.changed { ordered } else { one.order(2).await };
        assert_eq!(told.behind(), behind, "{degraded}, silent for {silent} s");
        redis.say(&["HDEL", "exequatur:{revocations}:1:replicas", "gone"]).unwrap();
    }
}

/// C-09, D-07: a primary that may not write, since too few copies follow it, may have been cut off. What can still be read there
/// is no sign of life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_may_not_write_is_not_heard() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let one = with_staleness(&redis, SignedDuration::from_millis(1500), SignedDuration::ZERO).follow();
        one.until_known().await;
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
        assert!(redis.say(&["SET", "x", "y"]).unwrap().starts_with("-NOREPLICAS"), "{kind:?}");
        until(|| one.snapshot.unknown(start()) == Some(Unknown::Silent)).await;
        assert!(one.revoke(&revocation(1), start()).await.is_err(), "{kind:?}");
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
        one.until_known().await;
        until(|| one.waiting.lock().unwrap().is_empty()).await;
        assert!(one.stops(1), "{kind:?}");
    }
}

/// C-05: a server without room can be told of no revocation, so whoever hears it misses none; but only if it could write
/// otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_is_heard_unless_it_may_not_write() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let (stale, none) = (SignedDuration::from_millis(1500), SignedDuration::ZERO);
        let (one, other) = (with_staleness(&redis, stale, none), with_staleness(&redis, stale, none));
        let (one, other) = (one.follow(), other.follow());
        one.until_known().await;
        other.until_known().await;
        one.order(1).await;
        until(|| one.replicas().iter().any(|seen| seen.id == other.replica())).await;
        redis.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        assert!(redis.say(&["SET", "x", "y"]).unwrap().starts_with("-OOM"), "{kind:?}");
        let full = Instant::now();
        let told = one.revoke(&revocation(2), start()).await;
        assert!(matches!(told, Err(RevocationError::NotKept(_))), "{kind:?}: {told:?}");
        until(|| {
            assert!(one.stops(1) && one.stops(2) && other.stops(1), "{kind:?}: both go on");
            [&one, &other].iter().all(|replica| *replica.heard.borrow() > full + Duration::from_secs(4))
        })
        .await;
        assert!(!other.stops(2));
        let known = one.known_replicas().unwrap();
        assert!(known.iter().any(|id| id == other.replica()), "who cannot say so may be there still");
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
        until(|| other.snapshot.unknown(start()) == Some(Unknown::Silent)).await;
        redis.say(&["CONFIG", "SET", "min-replicas-to-write", "0"]).unwrap();
        other.until_known().await;
        redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        assert_eq!(one.order(3).await.behind(), 0, "{kind:?}");
        assert!(other.stops(3), "{kind:?}");
        until(|| other.stops(2)).await;
    }
}

/// An order over a connection that broke unnoticed is not the last: the next has another, which is kept.
#[tokio::test]
async fn an_order_does_not_use_what_broke() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::of(&redis, "exequatur", RevocationLimits::default());
    let first = one.line().await.unwrap();
    assert!(Arc::ptr_eq(&first, &one.line().await.unwrap()), "it is kept");
    redis.say(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    assert!(one.lift(agent(1), Lift::Revocation, &note(), start()).await.is_err());
    let second = one.line().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(one.lift(agent(1), Lift::Revocation, &note(), start()).await.is_ok());
    assert!(Arc::ptr_eq(&second, &one.line().await.unwrap()));
}

/// As above, where one copy follows and two have to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_with_too_few_copies_is_not_heard() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let reserved = super::super::super::tests::ports::Reserved::block().unwrap();
    let [port, ..] = reserved.all();
    let options = ["--repl-diskless-sync-delay", "0", "--min-replicas-to-write", "1"];
    let primary = Redis::start(Kind::Newest, folders[0].path(), Some(port), &options).unwrap();
    let follows = ["--replicaof", "127.0.0.1", &port.to_string()];
    let _copy = Redis::start(Kind::Newest, folders[1].path(), None, &follows).unwrap();
    let one = with_staleness(&primary, SignedDuration::from_millis(1500), SignedDuration::ZERO).follow();
    one.until_known().await;
    primary.say(&["CONFIG", "SET", "min-replicas-to-write", "2"]).unwrap();
    until(|| one.snapshot.unknown(start()) == Some(Unknown::Silent)).await;
    // Without room as well, it is no better.
    primary.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let (asked, loads) = (Instant::now(), one.loads.load(Ordering::Relaxed));
    until(|| asked.elapsed() > Duration::from_secs(2)).await;
    assert_eq!(one.snapshot.unknown(start()), Some(Unknown::Silent));
    assert_eq!(one.loads.load(Ordering::Relaxed), loads);
    primary.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    primary.say(&["CONFIG", "SET", "min-replicas-to-write", "1"]).unwrap();
    one.until_known().await;
}

/// C-09: what the store has lost is not known to be said again as long as anybody has something to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_new_waits_for_what_others_have_to_say_again() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    let changed = one.order(1).await;
    let time = redis.say(&["TIME"]).unwrap();
    let owing = format!("1 {}000 7", time.lines().nth(2).unwrap());
    redis.say(&["HSET", "exequatur:{revocations}:1:replicas", "owing", &owing]).unwrap();
    let late = with_staleness(&redis, STALENESS.usual, STALENESS.degraded).follow();
    until(|| {
        let replicas = one.replicas();
        replicas.iter().any(|seen| seen.id == late.replica() && seen.position >= changed.position)
    })
    .await;
    assert!(late.snapshot().unknown(start()).is_some(), "it has all that the store has, and that is not all");
    redis.say(&["HDEL", "exequatur:{revocations}:1:replicas", "owing"]).unwrap();
    late.until_known().await;
}

/// V08, C-09: nor as long as anybody has attributes of subjects to say again: a replica that is ready knows those too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_new_waits_for_attributes_that_are_to_be_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    one.owed.store(7, Ordering::Release);
    let owes = |owed: u64| one.replicas().iter().any(|seen| seen.id == one.replica() && seen.owed == owed);
    until(|| owes(7)).await;
    let late = Follower::of(&redis, "exequatur", RevocationLimits::default()).follow();
    until(|| {
        let replicas = one.replicas();
        replicas.iter().any(|seen| seen.id == late.replica()) && late.loads.load(Ordering::Relaxed) > 0
    })
    .await;
    assert!(late.snapshot().unknown(start()).is_some());
    one.owed.store(0, Ordering::Release);
    late.until_known().await;
}

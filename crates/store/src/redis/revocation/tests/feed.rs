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
        let beat = format!("1 {}000", heard - silent);
        redis.say(&["HSET", "exequatur:{revocations}:1:replicas", "gone", &beat]).unwrap();
        let ordered = one.order(1).await;
        let told = if ordered.changed { ordered } else { one.order(2).await };
        assert_eq!(told.behind, behind, "{degraded}, silent for {silent} s");
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

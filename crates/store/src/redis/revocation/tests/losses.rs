//! What the store loses while this or that replica looks away.

use super::*;

const LOG: &str = "exequatur:{revocations}:1:log";

impl Follower {
    /// Ends the task that follows. What it knew stays known.
    async fn pause(mut self) -> Self {
        drop(self.stop.take());
        until(|| Arc::strong_count(&self.revocations) == 1).await;
        self
    }

    fn loads(&self) -> u32 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Until everything was loaded once more, with a check in between.
    async fn until_loaded_after(&self, loads: u32, check: impl Fn()) {
        until(|| {
            check();
            self.loads() > loads
        })
        .await;
        until(|| self.snapshot.unknown(start()).is_none()).await;
    }
}

async fn until_listed(one: &Follower, n: u8) {
    let listed = async {
        while !listed(one).await.iter().any(|found| found.target == agent(n)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), listed).await.unwrap();
}

fn bucket_of(n: u8) -> String {
    let [first, second, third, ..] = agent(n).digest;
    let number = u32::from_be_bytes([0, first, second, third]) >> 7;
    format!("exequatur:{{revocations}}:1:b:{number}")
}

fn limited(most: u32) -> RevocationLimits {
    RevocationLimits { max_revocations: most.try_into().unwrap(), ..RevocationLimits::default() }
}

/// C-06: what a server evicted is missing there, however long ago it was ordered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_evicted_is_said_again() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let one = Follower::ready(&redis).await;
        one.order(1).await;
        one.order(2).await;
        let loads = one.loads();
        // As if the bucket had gone with what is evicted.
        redis.say(&["DEL", &bucket_of(1), "exequatur:{revocations}:1:entries"]).unwrap();
        redis.say(&["SET", "x", "y", "EX", "1000"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        redis.say(&["SET", "z", "y"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).unwrap();
        redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        assert!(redis.say(&["INFO", "stats"]).unwrap().contains("evicted_keys:1\r"));
        one.until_loaded_after(loads, || assert!(one.stops(1), "{kind:?}: it holds throughout")).await;
        until_listed(&one, 1).await;
        assert!(one.stops(1) && one.stops(2), "{kind:?}");
    }
}

/// C-09: an order that the log had not brought here before the store lost it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_the_log_never_brought_is_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    one.order(1).await;
    let one = one.pause().await;
    redis.say(&["SAVE"]).unwrap();
    assert!(one.order(2).await.behind() > 0, "this replica has not heard of it by the log");
    assert!(one.stops(2), "and obeys it all the same");
    redis.kill().unwrap();
    redis.start_again().unwrap();
    let loads = one.loads();
    let one = one.follow();
    one.until_loaded_after(loads, || assert!(one.stops(2), "it holds throughout")).await;
    until_listed(&one, 2).await;
    assert!(one.stops(1) && one.stops(2));
}

/// C-09: what a store answered before it lost it is not in order because the positions that it gives now are higher.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_lost_before_it_was_answered_is_not_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    one.order(1).await;
    let one = one.pause().await;
    redis.say(&["SAVE"]).unwrap();
    let ordering = {
        let revocations = Arc::clone(&one.revocations);
        TaskTracker::new().spawn(async move { revocations.revoke(&revocation(2), start()).await })
    };
    until(|| redis.say(&["XRANGE", LOG, "-", "+"]).unwrap().starts_with("*2")).await;
    redis.kill().unwrap();
    redis.start_again().unwrap();
    let one = one.follow();
    let told = ordering.await.unwrap();
    assert!(!matches!(&told, Ok(changed) if changed.behind() == 0), "{told:?}");
    until_listed(&one, 2).await;
    assert!(one.stops(2));
}

/// C-09: a replica that missed a whole memory of the store says again what was lost when that one began.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_losses_while_a_replica_looks_away() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = server(kind, folder.path());
        let one = Follower::ready(&redis).await;
        one.order(1).await;
        redis.say(&["SAVE"]).unwrap();
        one.order(2).await;
        let one = one.pause().await;
        redis.kill().unwrap();
        redis.start_again().unwrap();
        let other = Follower::ready(&redis).await;
        other.order(3).await;
        assert!(!other.stops(2), "nobody is there who knows it");
        redis.say(&["SAVE"]).unwrap();
        let loads = other.loads();
        redis.kill().unwrap();
        redis.start_again().unwrap();
        other.until_loaded_after(loads, || assert!(other.stops(3))).await;
        let loads = one.loads();
        let one = one.follow();
        one.until_loaded_after(loads, || assert!(one.stops(2), "{kind:?}: it holds throughout")).await;
        until(|| other.stops(2)).await;
        assert!((1..=3).all(|n| one.stops(n) && other.stops(n)), "{kind:?}");
    }
}

/// A replica that missed several memories of the store brings nothing back that was lifted before the first of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lifted_before_two_losses_stays_lifted() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis =
        Redis::start(Kind::Newest, folder.path(), None, &["--appendonly", "yes", "--appendfsync", "always"])
            .unwrap();
    let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
    one.order(1).await;
    one.order(2).await;
    let one = one.pause().await;
    other.lift(agent(1), Lift::Revocation, &note(), start()).await.unwrap();
    for _ in 0..2 {
        let loads = other.loads();
        redis.kill().unwrap();
        redis.start_again().unwrap();
        other.until_loaded_after(loads, || ()).await;
        other.order(3).await;
    }
    let one = one.follow();
    until(|| !one.stops(1) && one.stops(3)).await;
    other.order(4).await;
    assert!(!other.stops(1) && one.stops(2) && other.stops(2));
}

/// C-05: what the store did not take holds while everything is loaded, and where that comes to nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_holds_while_everything_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis =
        Redis::start(Kind::Newest, folder.path(), None, &["--appendonly", "yes", "--appendfsync", "always"])
            .unwrap();
    let one = Follower::ready(&redis).await;
    one.order(1).await;
    // The last part, which nobody can read.
    let last = "exequatur:{revocations}:1:b:131071";
    redis.say(&["HSET", last, "a-field-of-eighteen", "1 - 0"]).unwrap();
    redis.say(&["SETBIT", "exequatur:{revocations}:1:buckets", "131071", "1"]).unwrap();
    redis.kill().unwrap();
    assert!(one.revoke(&revocation(2), start()).await.is_err() && one.stops(2));
    let loads = one.loads();
    redis.start_again().unwrap();
    until(|| one.loads() > loads + 1).await;
    assert!(one.stops(2), "everything was loaded but the last part");
    redis.say(&["DEL", last]).unwrap();
    until_listed(&one, 2).await;
    assert!(one.stops(1) && one.stops(2));
}

/// An order that the store has no room for holds where it was given, whatever is loaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_no_room_for_holds_here() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis =
        Redis::start(Kind::Newest, folder.path(), None, &["--appendonly", "yes", "--appendfsync", "always"])
            .unwrap();
    let one = Follower::of(&redis, "exequatur", limited(1)).follow();
    one.until_known().await;
    one.order(1).await;
    assert_eq!(one.revoke(&revocation(3), start()).await, Err(RevocationError::Full));
    assert!(!one.stops(3));
    redis.kill().unwrap();
    assert!(one.revoke(&revocation(2), start()).await.is_err() && one.stops(2));
    for _ in 0..2 {
        let loads = one.loads();
        redis.start_again().unwrap();
        one.until_loaded_after(loads, || ()).await;
        // The log is followed on.
        let lifted = one.lift(agent(9), Lift::Revocation, &note(), start()).await.unwrap();
        assert_eq!(lifted.behind(), 0);
        assert!(one.stops(2));
        redis.kill().unwrap();
    }
    redis.start_again().unwrap();
    until(|| redis.say(&["PING"]).is_ok()).await;
    let freed = async { while one.lift(agent(1), Lift::Revocation, &note(), start()).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), freed).await.unwrap();
    until_listed(&one, 2).await;
}

/// C-28: a log that is gone is a gap too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_gone_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
    one.order(1).await;
    let one = one.pause().await;
    other.order(2).await;
    redis.say(&["DEL", LOG]).unwrap();
    let one = one.follow();
    until(|| one.stops(2)).await;
    assert_eq!(other.order(3).await.behind(), 0);
    assert!(one.stops(3));
}

/// C-07: an order that the store could write to the log only in part is brought to everybody once it can be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_was_half_written_reaches_everybody() {
    for key in [LOG, "exequatur:{revocations}:1:entries", "exequatur:{revocations}:1:buckets"] {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(Kind::Newest, folder.path());
        let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
        redis.say(&["DEL", key]).unwrap();
        redis.say(&["LPUSH", key, "x"]).unwrap();
        let told = one.revoke(&revocation(1), start()).await;
        assert!(matches!(told, Err(RevocationError::NotKept(_))), "{key}: {told:?}");
        assert!(one.stops(1));
        redis.say(&["DEL", key]).unwrap();
        until(|| other.stops(1)).await;
        until_listed(&one, 1).await;
        let later = Follower::ready(&redis).await;
        assert!(one.stops(1) && later.stops(1), "{key}");
    }
}

/// C-10: a store whose clock is ahead forgets nothing that still holds for a replica.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_by_the_stores_clock_alone_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    let until = start() + SignedDuration::from_hours(1);
    let revocation = Revocation { until: Some(until), ..revocation(1) };
    one.revoke(&revocation, start()).await.unwrap();
    one.tend(start()).await.unwrap();
    assert_eq!(listed(&one).await, [revocation]);
    assert!(Follower::ready(&redis).await.stops(1), "the server's clock is years ahead of ours");
    one.tend(until).await.unwrap();
    let later = Follower::ready(&redis).await;
    assert_eq!(later.health().entries, 0, "it is over by both");
}

/// C-09: a server that started again has other changes at the same positions, whatever it kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_of_another_run_are_others() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = server(kind, folder.path());
        let one = Follower::ready(&redis).await;
        one.order(1).await;
        redis.say(&["SAVE"]).unwrap();
        one.order(2).await;
        let one = one.pause().await;
        redis.kill().unwrap();
        redis.start_again().unwrap();
        let other = Follower::ready(&redis).await;
        other.order(3).await;
        let one = one.follow();
        until(|| {
            assert!(one.stops(2), "{kind:?}: it holds throughout");
            one.stops(3) && other.stops(2)
        })
        .await;
    }
}

/// C-28: one that is missing between two others is a gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hole_in_the_log_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
    one.order(1).await;
    let one = one.pause().await;
    let missing = other.order(2).await.position;
    other.order(3).await;
    let removed = redis.say(&["XDEL", LOG, &format!("{}-0", missing.0)]).unwrap();
    assert!(removed.starts_with(":1"));
    let one = one.follow();
    until(|| one.stops(3)).await;
    assert!(one.stops(2));
}

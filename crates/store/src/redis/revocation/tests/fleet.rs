//! Issue 5, point 2: which replica had an order when, and what each says of itself.

use super::*;
use crate::replicas::{MAX_REPORT, Presence, Report};

const REPLICAS: &str = "exequatur:{revocations}:1:replicas";
const NAMES: &str = "exequatur:{revocations}:1:names";
const REPORTS: &str = "exequatur:{revocations}:1:reports";

impl Follower {
    async fn called(redis: &Redis, name: &str, report: &str) -> Self {
        let Self { revocations, stop } = Self::of(redis, "exequatur", RevocationLimits::default());
        let revocations = Arc::into_inner(revocations).unwrap().named(ReplicaName::parse(name).unwrap());
        revocations.itself().report(report.as_bytes()).unwrap();
        let follower = Self { revocations: Arc::new(revocations), stop }.follow();
        follower.until_known().await;
        follower
    }

    async fn stop(mut self) -> Self {
        drop(self.stop.take());
        until(|| Arc::strong_count(&self.revocations) == 1).await;
        self
    }

    /// Asks until it tells so.
    async fn until_fleet(&self, holds: impl Fn(&[Presence]) -> bool) -> crate::replicas::Fleet {
        let asked = async {
            loop {
                let fleet = self.fleet().await;
                if holds(&fleet.replicas) {
                    return fleet;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap()
    }
}

fn said(text: &str) -> Report {
    Report::Said(text.as_bytes().into())
}

fn told(changed: &Changed) -> Vec<(&str, bool)> {
    let replicas = changed.reached.replicas().iter();
    replicas.map(|one| (one.name.as_ref().map_or("", ReplicaName::as_str), one.after.is_some())).collect()
}

/// How long ago the server heard somebody who says nothing any more: as a process that hangs.
fn hang(redis: &Redis, id: &str, name: &str) {
    let time = redis.say(&["TIME"]).unwrap();
    let beat = format!("1 {}000 0", time.lines().nth(2).unwrap());
    redis.say(&["HSET", REPLICAS, id, &beat]).unwrap();
    redis.say(&["HSET", NAMES, id, name]).unwrap();
}

/// Each replica is told of, with its name: those that have the change with the time, one that hangs without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_tells_which_replica_had_it_when() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let one = Follower::called(&redis, "pod-a", "").await;
        let other = Follower::called(&redis, "pod-b", "").await;
        let began = Instant::now();
        let changed = one.order(1).await;
        let whole = began.elapsed();
        assert_eq!(
            (told(&changed), changed.behind()),
            (vec![("pod-a", true), ("pod-b", true)], 0),
            "{kind:?}"
        );
        assert!(changed.reached.replicas().iter().all(|one| one.after.unwrap() <= whole));
        assert_eq!(changed.reached.replicas()[0].id, one.replica());
        assert_eq!(changed.reached.replicas()[1].id, other.replica());

        hang(&redis, "hangs", "pod-c");
        let changed = one.lift(agent(1), Lift::Revocation, &note(), start()).await.unwrap();
        let expected = vec![("pod-a", true), ("pod-b", true), ("pod-c", false)];
        assert_eq!((told(&changed), changed.behind()), (expected, 1), "{kind:?}");
        let answered = changed.reached.replicas().iter().filter_map(|one| one.after);
        assert!(
            answered.max().unwrap() < Duration::from_secs(1),
            "who had it is not told later for one who has not"
        );
        redis.say(&["HDEL", REPLICAS, "hangs"]).unwrap();

        // Who stops says goodbye, and is not waited for; what it was called goes with it.
        let _stopped = other.stop().await;
        until(|| one.replicas().len() == 1).await;
        let changed = one.order(2).await;
        assert_eq!((told(&changed), changed.behind()), (vec![("pod-a", true)], 0), "{kind:?}");
        until(|| redis.say(&["HLEN", NAMES]).unwrap().starts_with(":1")).await;
    }
}

/// D-07: one that the store has forgotten, and that was there a moment ago, has not said that it obeys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_forgotten_by_the_store_has_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::called(&redis, "pod-a", "").await;
    hang(&redis, "hangs", "pod-c");
    until(|| one.replicas().len() == 2).await;
    // Neither hears of the other any more.
    let one = one.stop().await;
    redis.say(&["DEL", REPLICAS]).unwrap();
    let changed = one.order(1).await;
    let ids: Vec<_> = changed.reached.replicas().iter().map(|seen| (seen.id.as_str(), seen.after)).collect();
    assert!(ids.contains(&("hangs", None)) && ids.contains(&(one.replica(), None)), "{ids:?}");
    assert_eq!(changed.behind(), 2);
}

/// What each says of itself is there for the others, as it says it last, and goes with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_says_of_itself_what_the_others_are_told() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let one = Follower::called(&redis, "pod-a", "first").await;
        let other = Follower::called(&redis, "pod-b", "second").await;
        let changed = one.order(1).await;
        let fleet = one.until_fleet(|all| all.len() == 2 && all[1].report == said("second")).await;
        assert!(fleet.current && fleet.unlisted == 0, "{kind:?}");
        assert_eq!(fleet.position, Some(changed.position));
        let [itself, second] = &fleet.replicas[..] else { panic!("{fleet:?}") };
        assert!(itself.itself && itself.id == one.replica() && itself.report == said("first"));
        assert!(!second.itself && second.id == other.replica() && second.silent < Duration::from_secs(3));
        assert_eq!(second.name.as_ref().map(ReplicaName::as_str), Some("pod-b"));
        one.until_fleet(|all| all.iter().all(|seen| seen.position == changed.position)).await;

        other.itself().report(b"third").unwrap();
        one.until_fleet(|all| all[1].report == said("third")).await;
        redis.say(&["FLUSHALL"]).unwrap();
        one.until_fleet(|all| all.len() == 2 && all[1].report == said("third")).await;

        let gone = other.stop().await;
        one.until_fleet(|all| all.len() == 1).await;
        for key in [NAMES, REPORTS] {
            assert!(!redis.say(&["HKEYS", key]).unwrap().contains(gone.replica()), "{kind:?}: {key}");
        }
        // What is left of one that was killed goes as well.
        redis.say(&["HSET", NAMES, "killed", "pod-x"]).unwrap();
        redis.say(&["HSET", REPORTS, "killed", "x"]).unwrap();
        until(|| !redis.say(&["HKEYS", REPORTS]).unwrap().contains("killed")).await;
    }
}

/// Whatever lies there is shown as what it is, and keeps no order and no revocation from going on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_report_of_ours_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::called(&redis, "pod-a", "first").await;
    hang(&redis, "strange", "\u{1b}[2J");
    redis.say(&["HSET", REPORTS, "strange", &"x".repeat(MAX_REPORT + 1)]).unwrap();
    let fleet = one.until_fleet(|all| all.len() == 2).await;
    assert_eq!((fleet.replicas[1].name.clone(), fleet.replicas[1].report.clone()), (None, Report::TooLong));
    redis.say(&["HDEL", REPLICAS, "strange"]).unwrap();
    for key in [NAMES, REPORTS] {
        redis.say(&["DEL", key]).unwrap();
        redis.say(&["SET", key, "x"]).unwrap();
    }
    until(|| one.replicas().len() == 1).await;
    assert_eq!(one.order(1).await.behind(), 0);
    let fleet = one.fleet().await;
    assert!(!fleet.current && fleet.replicas[0].report == said("first"), "{fleet:?}");
    for key in [NAMES, REPORTS] {
        redis.say(&["DEL", key]).unwrap();
    }
    one.until_fleet(|all| all.len() == 1).await;
    until(|| redis.say(&["HLEN", REPORTS]).unwrap().starts_with(":1")).await;
}

/// C-05: without the store, what was heard last is told as such.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_store_what_was_heard_last_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let one = Follower::called(&redis, "pod-a", "first").await;
    let other = Follower::called(&redis, "pod-b", "second").await;
    one.until_fleet(|all| all.len() == 2 && all[1].report == said("second")).await;
    until(|| one.replicas().len() == 2).await;
    redis.kill().unwrap();
    one.itself().report(b"without").unwrap();
    let fleet = one.fleet().await;
    assert!(!fleet.current && fleet.position.is_none());
    assert_eq!(fleet.replicas.len(), 2, "{fleet:?}");
    assert_eq!(fleet.replicas[0].report, said("without"));
    assert_eq!(
        (&fleet.replicas[1].id, &fleet.replicas[1].report),
        (&other.replica().to_owned(), &said("second"))
    );
    let before = fleet.replicas[1].silent;
    until(|| one.heard.borrow().elapsed() > Duration::from_millis(1500)).await;
    assert!(one.fleet().await.replicas[1].silent > before);
}

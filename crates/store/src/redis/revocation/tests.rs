//! Against real servers, the newest and the oldest.

mod cluster;
mod feed;
mod fleet;
mod losses;

use std::path::Path;

use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::super::tests::process::{Kind, Redis};
use super::super::{Address, LimitsWithout, RedisConfig, RedisStore, WindowBounds};
use jiff::SignedDuration;

use super::*;
use crate::contract::revocation as contract;
use crate::revocation::{Asked, Finding, Form, RevocationKind};

impl RedisRevocations {
    /// The time of the scripts, from the first time that it is told.
    pub(super) fn tell(&self, now: Timestamp) {
        let mut told = self.told.lock().unwrap();
        if told.is_some() {
            *told = Some(now);
        }
    }
}

const STALENESS: Staleness =
    Staleness { usual: SignedDuration::from_hours(24), degraded: SignedDuration::from_hours(48) };

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn server(kind: Kind, folder: &Path) -> Redis {
    Redis::start(kind, folder, None, &[]).unwrap()
}

/// A replica: its revocations, and the task that follows the log, which ends with it.
#[derive(Debug)]
struct Follower {
    revocations: Arc<RedisRevocations>,
    stop: Option<DropGuard>,
}

impl std::ops::Deref for Follower {
    type Target = RedisRevocations;

    fn deref(&self) -> &RedisRevocations {
        &self.revocations
    }
}

impl Follower {
    fn of(redis: &Redis, prefix: &str, limits: RevocationLimits) -> Self {
        Self::at(Address::new(&redis.socket_url().into(), &[], None).unwrap(), prefix, limits)
    }

    fn at(address: Address, prefix: &str, limits: RevocationLimits) -> Self {
        let store = RedisStore::new(RedisConfig {
            address,
            prefix: Prefix::parse(prefix).unwrap(),
            timeout: Duration::from_secs(2),
            bounds: WindowBounds::default(),
            limits_without: LimitsWithout::Local,
            replicas: std::num::NonZeroU32::MIN,
        });
        let revocations = store.revocations(limits, STALENESS).unwrap();
        Self { revocations: Arc::new(revocations), stop: None }
    }

    fn follow(mut self) -> Self {
        let stop = CancellationToken::new();
        let (revocations, token) = (Arc::clone(&self.revocations), stop.clone());
        let clock: FeedClock = Arc::new(start);
        TaskTracker::new().spawn(async move { revocations.follow(clock, token).await });
        self.stop = Some(stop.drop_guard());
        self
    }

    /// One that knows what is revoked.
    async fn ready(redis: &Redis) -> Self {
        let follower = Self::of(redis, "exequatur", RevocationLimits::default()).follow();
        follower.until_known().await;
        follower
    }

    async fn until_known(&self) {
        until(|| self.snapshot.unknown(start()).is_none()).await;
    }

    fn stops(&self, n: u8) -> bool {
        let asked = Asked { target: agent(n), issued_at: Some(start()) };
        matches!(self.snapshot.ask(&[asked], start()), Finding::Revoked(_))
    }

    async fn order(&self, n: u8) -> Changed {
        self.revoke(&revocation(n), start()).await.unwrap()
    }
}

async fn until(holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
}

fn agent(n: u8) -> Target {
    Target { kind: RevocationKind::Agent, digest: [n.wrapping_mul(83).wrapping_add(7); 16] }
}

fn note() -> Note {
    Note::new("corp:a".to_owned(), "why".to_owned(), "local:0".to_owned(), start()).unwrap()
}

fn revocation(n: u8) -> Revocation {
    Revocation { target: agent(n), form: Form::Total, until: None, note: note() }
}

async fn listed(store: &RedisRevocations) -> Vec<Revocation> {
    let page = store.list(Position::default(), NonZeroU16::new(1000).unwrap(), start()).await.unwrap();
    page.standing.into_iter().map(|standing| standing.revocation).collect()
}

/// As the contract needs it: the scripts go by the time that they are told.
#[derive(Debug)]
struct Told(Follower);

impl RevocationStore for Told {
    fn snapshot(&self) -> &Arc<Snapshot> {
        self.0.revocations.snapshot()
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation, now: Timestamp) -> RevocationFuture<'a, Changed> {
        self.0.revocations.revoke(revocation, now)
    }

    fn lift<'a>(
        &'a self,
        target: Target,
        lift: Lift,
        note: &'a Note,
        now: Timestamp,
    ) -> RevocationFuture<'a, Changed> {
        self.0.revocations.lift(target, lift, note, now)
    }

    fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> RevocationFuture<'_, Page> {
        self.0.revocations.list(after, limit, now)
    }

    fn tend(&self, now: Timestamp) -> RevocationFuture<'_, ()> {
        self.0.revocations.tend(now)
    }

    fn health(&self) -> RevocationHealth {
        self.0.revocations.health()
    }

    fn itself(&self) -> &Itself {
        self.0.revocations.itself()
    }

    fn fleet(&self) -> FleetFuture<'_> {
        self.0.revocations.fleet()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let stores = AtomicU32::new(0);
        contract::check(start(), async |limits| {
            let number = stores.fetch_add(1, Ordering::Relaxed);
            let follower = Follower::of(&redis, &format!("contract:{number}"), limits);
            *follower.told.lock().unwrap() = Some(start());
            let follower = follower.follow();
            follower.until_known().await;
            Ok(Told(follower))
        })
        .await
        .unwrap();
    }
}

/// Issue 4, point 3: what one replica is told holds on the other, and on one that starts later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_is_told_all_obey() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
        for (by, n) in [(&one, 1), (&other, 2)] {
            assert_eq!(by.order(n).await.behind(), 0);
            // No waiting: an order is answered when all have it.
            assert!(one.stops(n) && other.stops(n) && !one.stops(3) && !other.stops(3));
        }
        let undone = other.lift(agent(1), Lift::Revocation, &note(), start()).await.unwrap();
        assert!(undone.changed);
        until(|| !one.stops(1)).await;
        let third = Follower::ready(&redis).await;
        assert!(third.stops(2) && !third.stops(1), "who comes later loads what holds");
        assert_eq!(third.health().entries, 1);
        assert_eq!(listed(&third).await, [revocation(2)]);
    }
}

/// A writer learns how far each replica is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_tell_how_far_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
    let changed = one.order(1).await;
    let there = |replica: &Follower| {
        let replicas = one.replicas();
        replicas.iter().any(|seen| seen.id == replica.replica() && seen.position >= changed.position)
    };
    until(|| there(&one) && there(&other)).await;
    // One that was there a moment ago, and says nothing any more.
    let time = redis.say(&["TIME"]).unwrap();
    let beat = format!("1 {}000 0", time.lines().nth(2).unwrap());
    redis.say(&["HSET", "exequatur:{revocations}:1:replicas", "gone", &beat]).unwrap();
    assert_eq!(one.order(2).await.behind(), 1, "it may still permit what it does not know");
    redis.say(&["HDEL", "exequatur:{revocations}:1:replicas", "gone"]).unwrap();
    let id = other.replica().to_owned();
    drop(other);
    until(|| one.replicas().iter().all(|seen| seen.id != id)).await;
    assert_eq!(one.order(3).await.behind(), 0, "who stops says goodbye");
}

/// C-28: a log that was cut shows as a gap. What was revoked in it is known at once, before everything is read again; what was
/// lifted in it is lifted here too, then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    one.order(1).await;
    let mut behind = Follower::ready(&redis).await;
    // It hears nothing for a while.
    drop(behind.stop.take());
    until(|| Arc::strong_count(&behind.revocations) == 1).await;
    one.lift(agent(1), Lift::Revocation, &note(), start()).await.unwrap();
    one.order(2).await;
    one.order(3).await;
    redis.say(&["XTRIM", "exequatur:{revocations}:1:log", "MAXLEN", "1"]).unwrap();
    assert!(behind.stops(1) && !behind.stops(2));
    let line = behind.servers.of_revocations().await.unwrap().own_line().await.unwrap();
    behind.catch_up(&line, one.position()).await.unwrap();
    assert!(behind.stops(1) && behind.stops(2) && behind.stops(3));
    assert_eq!(behind.position(), one.position());

    // The same by the one who follows, who finds the gap; again what nobody knows is stopped, and nothing else.
    one.order(4).await;
    one.order(5).await;
    redis.say(&["XTRIM", "exequatur:{revocations}:1:log", "MAXLEN", "1"]).unwrap();
    let loads = behind.loads.load(Ordering::Relaxed);
    let behind = behind.follow();
    until(|| !behind.stops(1) && (2..=5).all(|n| behind.stops(n))).await;
    until(|| behind.loads.load(Ordering::Relaxed) == loads + 1).await;
    assert_eq!(behind.health().entries, 4);
    // And the log is followed on.
    assert_eq!(one.order(6).await.behind(), 0);
    assert!(behind.stops(6));
}

/// C-09: what the store has lost is said again by those who know it; nobody ceases to obey meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_lost_is_said_again() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = server(kind, folder.path());
        let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
        for n in 1..=5 {
            one.order(n).await;
        }
        until(|| other.stops(5)).await;
        for lost in ["flushed", "killed"] {
            if lost == "flushed" {
                redis.say(&["FLUSHALL"]).unwrap();
            } else {
                redis.kill().unwrap();
                redis.start_again().unwrap();
            }
            let watched = async {
                loop {
                    assert!(one.stops(3) && other.stops(3), "{lost}: it holds throughout");
                    let again = Follower::of(&redis, "exequatur", RevocationLimits::default());
                    if again
                        .list(Position::default(), NonZeroU16::new(9).unwrap(), start())
                        .await
                        .is_ok_and(|page| page.standing.len() == 5)
                    {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), watched).await.unwrap();
            let later = Follower::ready(&redis).await;
            assert!((1..=5).all(|n| later.stops(n)), "{lost}");
            assert_eq!(later.health().entries, 5, "{lost}");
            assert_eq!(
                listed(&later).await.iter().filter(|one| one.note == note()).count(),
                5,
                "{lost}: notes too"
            );
            // Changes go on, and everybody has them.
            let changed = other.lift(agent(5), Lift::Revocation, &note(), start()).await.unwrap();
            assert!(changed.changed);
            until(|| !one.stops(5) && !later.stops(5)).await;
            one.order(5).await;
            until(|| other.stops(5) && later.stops(5)).await;
        }
    }
}

/// C-05: an order that the store did not take holds where it was given, is not told to be kept, and is said again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_without_the_store_holds_here_and_is_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
    redis.kill().unwrap();
    let told = one.revoke(&revocation(1), start()).await;
    assert!(matches!(told, Err(RevocationError::NotKept(_))), "{told:?}");
    assert!(one.stops(1) && !other.stops(1));
    let lifted = one.lift(agent(1), Lift::Revocation, &note(), start()).await;
    assert!(lifted.is_err() && one.stops(1), "what cannot be lifted everywhere holds");
    redis.start_again().unwrap();
    until(|| other.stops(1)).await;
    assert!(one.stops(1));
}

/// What was ordered without the store and taken back as soon as it was there is not said again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lifted_is_not_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = server(Kind::Newest, folder.path());
    let mut one = Follower::ready(&redis).await;
    // It neither hears nor says anything until it is let.
    drop(one.stop.take());
    until(|| Arc::strong_count(&one.revocations) == 1).await;
    redis.kill().unwrap();
    assert!(one.revoke(&revocation(1), start()).await.is_err() && one.stops(1));
    redis.start_again().unwrap();
    let lifted = one.lift(agent(1), Lift::Revocation, &note(), start()).await.unwrap();
    assert!(!lifted.changed && !one.stops(1), "the store never had it; it ends here too");
    let one = one.follow();
    let other = Follower::ready(&redis).await;
    other.order(2).await;
    until(|| one.stops(2)).await;
    assert!(!one.stops(1) && !other.stops(1));
}

/// D-07: who hears nothing for too long does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_not_knowledge() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let new = Follower::of(&redis, "exequatur", RevocationLimits::default());
    let asked = [Asked { target: agent(1), issued_at: None }];
    assert_eq!(new.snapshot.ask(&asked, start()), Finding::Unknown(Unknown::NeverLoaded));
    let follower = new.follow();
    follower.until_known().await;
    let (day, late) = (SignedDuration::from_hours(24), SignedDuration::from_millis(1));
    let degraded = |at: Timestamp| match follower.snapshot.ask(&asked, at) {
        Finding::NotRevoked(evidence) => Some(evidence.is_degraded()),
        Finding::Revoked(_) | Finding::Unknown(_) => None,
    };
    assert_eq!(degraded(start() + day), Some(false));
    assert_eq!(degraded(start() + day + late), Some(true));
    assert_eq!(degraded(start() + day + day), Some(true));
    let over = start() + day + day + late;
    assert_eq!(follower.snapshot.ask(&asked, over), Finding::Unknown(Unknown::Silent));
}

/// C-07: what a later version wrote is not guessed at.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_version_wrote_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = Follower::ready(&redis).await;
    one.order(1).await;
    let bucket = format!("exequatur:{{revocations}}:1:b:{}", {
        let [first, second, third, ..] = agent(1).digest;
        u32::from_be_bytes([0, first, second, third]) >> 7
    });
    redis.say(&["HSET", &bucket, "a-field-of-eighteen", "1 - 0"]).unwrap();
    let later = Follower::of(&redis, "exequatur", RevocationLimits::default()).follow();
    // Its sign of life comes before it loads, and again after it failed.
    let there = || one.replicas().iter().any(|seen| seen.id == later.replica());
    until(there).await;
    until(|| there() && later.loads.load(Ordering::Relaxed) > 1).await;
    assert_eq!(later.snapshot.unknown(start()), Some(Unknown::NeverLoaded));
    redis.say(&["SET", "exequatur:{revocations}", "2|another"]).unwrap();
    assert!(one.revoke(&revocation(2), start()).await.is_err());
}

fn until_second(n: u8, seconds: i64) -> Revocation {
    Revocation { form: Form::IssuedUntil(start() + SignedDuration::from_secs(seconds)), ..revocation(n) }
}

fn stops_issued_at(one: &Follower, n: u8, seconds: i64) -> bool {
    let asked = Asked { target: agent(n), issued_at: Some(start() + SignedDuration::from_secs(seconds)) };
    matches!(one.snapshot.ask(&[asked], start()), Finding::Revoked(_))
}

/// C-09: what made a revocation reach further is said again too, and holds meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_watermark_that_was_lost_is_said_again() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut redis = server(kind, folder.path());
        let (one, other) = (Follower::ready(&redis).await, Follower::ready(&redis).await);
        one.revoke(&until_second(1, 0), start()).await.unwrap();
        redis.say(&["SAVE"]).unwrap();
        assert_eq!(one.revoke(&until_second(1, 1000), start()).await.unwrap().behind(), 0);
        let loads = [&one, &other].map(|replica| replica.loads.load(Ordering::Relaxed));
        redis.kill().unwrap();
        redis.start_again().unwrap();
        until(|| {
            assert!(
                stops_issued_at(&one, 1, 500) && stops_issued_at(&other, 1, 500),
                "{kind:?}: it holds throughout"
            );
            [&one, &other]
                .iter()
                .zip(loads)
                .all(|(replica, before)| replica.loads.load(Ordering::Relaxed) > before)
        })
        .await;
        let said_again = async {
            while !listed(&one).await.contains(&until_second(1, 1000)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), said_again).await.unwrap();
        assert!(stops_issued_at(&one, 1, 500) && stops_issued_at(&other, 1, 500), "{kind:?}");
        let later = Follower::ready(&redis).await;
        assert!(stops_issued_at(&later, 1, 500) && !stops_issued_at(&later, 1, 1001), "{kind:?}");
    }
}

/// A failover there and back: the server has its old name again, and what another one kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_there_and_back_loses_no_order() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let reserved = super::super::tests::ports::Reserved::block().unwrap();
    let [to, back, ..] = reserved.all();
    let first = Redis::start(Kind::Newest, folders[0].path(), Some(to), &["--repl-diskless-sync-delay", "0"])
        .unwrap();
    let follows = ["--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1", &to.to_string()];
    let second = Redis::start(Kind::Newest, folders[1].path(), Some(back), &follows).unwrap();
    let linked =
        |redis: &Redis| redis.say(&["INFO", "replication"]).unwrap().contains("master_link_status:up");
    until(|| linked(&second)).await;
    let (one, other) = (Follower::ready(&first).await, Follower::ready(&first).await);
    one.order(1).await;
    first.say(&["WAIT", "1", "10000"]).unwrap();
    second.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
    for n in 2..=5 {
        one.order(n).await;
    }
    first.say(&["REPLICAOF", "127.0.0.1", &back.to_string()]).unwrap();
    until(|| linked(&first)).await;
    first.say(&["REPLICAOF", "NO", "ONE"]).unwrap();
    let third = Follower::ready(&first).await;
    until(|| (1..=5).all(|n| third.stops(n))).await;
    third.order(6).await;
    until(|| one.stops(6) && other.stops(6)).await;
}

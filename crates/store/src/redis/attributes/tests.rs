//! Against real servers, the newest and the oldest.

use std::num::NonZeroU32;
use std::path::Path;

use jiff::SignedDuration;

use super::super::tests::process::{Kind, Redis};
use super::super::{Address, LimitsWithout, RedisConfig, RedisStore, WindowBounds};
use super::*;
use crate::attributes::{Attribute, OfSubject, RiskLevel};
use crate::contract;
use crate::revocation::{Note, RevocationKind, Target, Unknown};

const PLACES: &str = "exequatur:{revocations}:1:attributes";
const CHANGES: &str = "exequatur:{revocations}:1:attributes:changes";
const MEMORY: &str = "exequatur:{revocations}";
const STALENESS: Staleness =
    Staleness { usual: SignedDuration::from_secs(5), degraded: SignedDuration::from_secs(60) };

fn server(kind: Kind, folder: &Path) -> Redis {
    Redis::start(kind, folder, None, &[]).unwrap()
}

/// A replica that looks when it is told to.
fn replica(redis: &Redis, prefix: &str, most: usize) -> RedisAttributes {
    patient(redis, prefix, most, STALENESS)
}

fn patient(redis: &Redis, prefix: &str, most: usize, staleness: Staleness) -> RedisAttributes {
    let store = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::parse(prefix).unwrap(),
        timeout: Duration::from_secs(2),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    store.attributes(most, staleness)
}

async fn looking(redis: &Redis) -> RedisAttributes {
    let replica = replica(redis, "exequatur", 10_000);
    replica.look(now()).await.unwrap();
    replica
}

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn user(n: u16) -> Target {
    let [high, low] = n.to_be_bytes();
    Target { kind: RevocationKind::User, digest: [[high, low]; 8].concat().try_into().unwrap() }
}

fn event(n: u16, level: RiskLevel, seconds: i64) -> SubjectAttribute {
    let note = Note::new("corp:a".to_owned(), "r".to_owned(), "corp".to_owned(), now()).unwrap();
    let at = now() + SignedDuration::from_secs(seconds);
    let times = (at, at + SignedDuration::from_hours(1));
    SubjectAttribute::new(user(n), Attribute::Risk(level), times, note).unwrap()
}

async fn tell(replica: &RedisAttributes, n: u16, level: RiskLevel, seconds: i64) -> bool {
    replica.set(&event(n, level, seconds), now()).await.unwrap().changed
}

fn risk(replica: &RedisAttributes, n: u16) -> Option<RiskLevel> {
    let [OfSubject { risk, .. }] = replica.subjects().ask([Some(&user(n))], false, now()).unwrap();
    risk
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let next = std::sync::atomic::AtomicU32::new(0);
        let checked = contract::attributes::check(now(), async |most| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let day = SignedDuration::from_hours(24);
            let staleness = Staleness { usual: day, degraded: day };
            let replica = patient(&redis, &format!("p{number}"), most, staleness);
            replica.look(now()).await.or(Err(AttributeError::Unknown))?;
            Ok(replica)
        });
        assert_eq!(checked.await, Ok(()), "{kind:?}");
    }
}

/// V08: what one replica was told all know, whichever order they hear it in, and each reads only what is new.
#[tokio::test]
async fn every_replica_comes_to_the_same_and_reads_what_is_new() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let (one, other) = (looking(&redis).await, looking(&redis).await);
        assert!(tell(&one, 1, RiskLevel::High, 5).await && tell(&one, 2, RiskLevel::Low, 0).await);
        assert_eq!((risk(&one, 1), risk(&other, 1)), (Some(RiskLevel::High), None));
        // Another's later event is not overtaken by one who has not heard of it; and he hears of it then.
        assert!(!tell(&other, 1, RiskLevel::Low, 3).await, "{kind:?}");
        assert_eq!([1, 2].map(|n| risk(&other, n)), [Some(RiskLevel::High), Some(RiskLevel::Low)]);
        assert!(tell(&other, 1, RiskLevel::Medium, 6).await);
        let last = one.read.lock().await.last;
        one.look(now()).await.unwrap();
        assert_eq!(risk(&one, 1), Some(RiskLevel::Medium));
        assert_eq!(one.read.lock().await.last, last + 3, "{kind:?}: each change has a number");
        assert!(redis.say(&["XLEN", CHANGES]).unwrap().starts_with(":2"), "of each place the last alone");
        let late = looking(&redis).await;
        assert_eq!([1, 2].map(|n| risk(&late, n)), [Some(RiskLevel::Medium), Some(RiskLevel::Low)]);
    }
}

/// More than one answer holds.
#[tokio::test]
async fn many_are_read_part_by_part() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = looking(&redis).await;
    let many: Vec<_> = (0..2_500).map(|n| event(n, RiskLevel::Low, 0)).collect();
    let held: Vec<_> = many.iter().map(|one| (one.place(), one.held(now()).unwrap())).collect();
    let line = one.servers.of_revocations().await.unwrap().fit_line().await.unwrap();
    for part in held.chunks(500) {
        one.say(&line, part, "tell").await.unwrap();
    }
    let late = looking(&redis).await;
    assert_eq!(late.subjects().count(), 2_500);
    // And as many are said again.
    redis.say(&["FLUSHALL"]).unwrap();
    late.look(now()).await.unwrap();
    assert_eq!(late.owed.load(Ordering::Acquire), 0);
    assert_eq!(looking(&redis).await.subjects().count(), 2_500);
}

/// C-09, C-06: what the server lost, all of it or the one key without the other, is said again by whoever knows it.
#[tokio::test]
async fn what_the_server_lost_is_said_again_by_whoever_knows_it() {
    for kind in Kind::ALL {
        for lost in [&["FLUSHALL"][..], &["DEL", PLACES], &["DEL", CHANGES]] {
            let folder = tempfile::tempdir().unwrap();
            let redis = server(kind, folder.path());
            let (one, other) = (looking(&redis).await, looking(&redis).await);
            tell(&one, 1, RiskLevel::High, 0).await;
            tell(&one, 2, RiskLevel::Medium, 0).await;
            other.look(now()).await.unwrap();
            redis.say(lost).unwrap();
            // As the beat of any replica does when the server may have forgotten.
            let memory = format!("1|{}", "x".repeat(120));
            redis.say(&["SET", MEMORY, &memory]).unwrap();
            // One that comes first, after the loss.
            tell(&other, 3, RiskLevel::Low, 0).await;
            one.look(now()).await.unwrap();
            assert_eq!(risk(&one, 1), Some(RiskLevel::High), "nothing ceases to hold here");
            let late = looking(&redis).await;
            let expected = [RiskLevel::High, RiskLevel::Medium, RiskLevel::Low].map(Some);
            assert_eq!([1, 2, 3].map(|n| risk(&late, n)), expected, "{kind:?} {lost:?}");
            // What was told meanwhile is later than what is said again.
            redis.say(&["FLUSHALL"]).unwrap();
            tell(&late, 1, RiskLevel::Low, 9).await;
            other.look(now()).await.unwrap();
            assert_eq!((risk(&other, 1), risk(&other, 2)), (Some(RiskLevel::Low), Some(RiskLevel::Medium)));
            assert_eq!(risk(&looking(&redis).await, 1), Some(RiskLevel::Low), "{kind:?} {lost:?}");
        }
    }
}

/// D-07: what is not known is not absent: before the first look, and after a silence.
#[tokio::test]
async fn what_is_not_heard_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = replica(&redis, "exequatur", 10);
    let asked =
        |one: &RedisAttributes, at: Timestamp| one.subjects().ask([Some(&user(1))], true, at).map(|_| ());
    assert_eq!(asked(&one, now()), Err(Unknown::NeverLoaded));
    assert_eq!(one.list(None, NonZeroU16::MAX, now()), Err(AttributeError::Unknown));
    one.look(now()).await.unwrap();
    let seconds = |seconds| now() + SignedDuration::from_secs(seconds);
    assert_eq!((asked(&one, seconds(5)), asked(&one, seconds(60))), (Ok(()), Ok(())));
    let strictly = |at| one.subjects().ask([Some(&user(1))], false, at).map(|_| ());
    assert_eq!((strictly(seconds(5)), strictly(seconds(6))), (Ok(()), Err(Unknown::Silent)));
    assert_eq!(asked(&one, seconds(61)), Err(Unknown::Silent));
    // The same by the clock that nobody sets back.
    one.subjects().silent_for(Duration::from_secs(61));
    assert_eq!(asked(&one, now()), Err(Unknown::Silent));
    one.look(now()).await.unwrap();
    assert_eq!(asked(&one, now()), Ok(()));
}

/// C-04, C-07: what is not ours is not guessed at: it is as if nothing was heard.
#[tokio::test]
async fn what_another_version_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = looking(&redis).await;
    tell(&one, 1, RiskLevel::High, 0).await;
    redis.say(&["XADD", CHANGES, "*", "k", "4:AAAAAAAAAAAAAAAAAAAAAA:mood", "v", "{}"]).unwrap();
    assert_eq!(one.look(now()).await, Err(StoreError::Foreign));
    assert_eq!(risk(&one, 1), Some(RiskLevel::High), "until that is too long ago");
    let late = replica(&redis, "exequatur", 10);
    assert_eq!(late.look(now()).await, Err(StoreError::Foreign));
    assert_eq!(late.subjects().unknown(now()), Some(Unknown::NeverLoaded));
    let place = event(1, RiskLevel::Low, 9).place().to_string();
    redis.say(&["HSET", PLACES, &place, "another"]).unwrap();
    let refused = one.set(&event(1, RiskLevel::Low, 9), now()).await;
    assert_eq!(refused, Err(AttributeError::NotKept(ErrorKind::InvalidData)));
    redis.say(&["DEL", PLACES, CHANGES]).unwrap();
    redis.say(&["SET", CHANGES, "x"]).unwrap();
    assert_eq!(one.look(now()).await, Err(StoreError::Foreign));
    redis.say(&["DEL", CHANGES]).unwrap();
    one.look(now()).await.unwrap();
    assert_eq!(risk(&looking(&redis).await, 1), Some(RiskLevel::High));
}

/// C-05: what is not in the store is not in force, and not told to be kept.
#[tokio::test]
async fn what_cannot_be_kept_is_not_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = looking(&redis).await;
    redis.say(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let refused = one.set(&event(1, RiskLevel::High, 0), now()).await;
    assert!(matches!(refused, Err(AttributeError::NotKept(_))), "{refused:?}");
    assert_eq!(risk(&one, 1), None);
    redis.say(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert!(tell(&one, 1, RiskLevel::High, 0).await);
    drop(redis);
    let refused = one.set(&event(2, RiskLevel::High, 0), now()).await;
    assert!(matches!(refused, Err(AttributeError::NotKept(_))), "{refused:?}");
}

#[tokio::test]
async fn what_is_over_is_forgotten_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = looking(&redis).await;
    tell(&one, 1, RiskLevel::High, 0).await;
    tell(&one, 2, RiskLevel::High, 60).await;
    one.tend(now() + SignedDuration::from_secs(26 * 3600 + 1)).unwrap();
    one.look(now()).await.unwrap();
    assert!(redis.say(&["XLEN", CHANGES]).unwrap().starts_with(":1"));
    assert_eq!(looking(&redis).await.subjects().count(), 1);
    assert!(tell(&one, 1, RiskLevel::Low, 1).await, "and it leaves its room");
}

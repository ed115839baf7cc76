//! Against real servers, the newest and the oldest.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::path::Path;

use jiff::SignedDuration;

use super::super::tests::process::{Kind, Redis};
use super::super::tests::server_time;
use super::super::{Address, LimitsWithout, RedisConfig, RedisStore, WindowBounds};
use super::*;
use crate::contract;
use crate::limit::{Limit, Rate, RatePer};
use crate::overrides::Whose;

fn server(kind: Kind, folder: &Path) -> Redis {
    Redis::start(kind, folder, None, &[]).unwrap()
}

/// A replica that looks when it is told to.
fn replica(redis: &Redis, prefix: &str, most: usize) -> RedisOverrides {
    hurried(redis, prefix, most, Duration::from_secs(2))
}

/// One whose decisions wait for so long.
fn hurried(redis: &Redis, prefix: &str, most: usize, timeout: Duration) -> RedisOverrides {
    let store = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::parse(prefix).unwrap(),
        timeout,
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    store.overrides(most)
}

async fn looking(redis: &Redis) -> RedisOverrides {
    let replica = replica(redis, "exequatur", 100);
    replica.look(now()).await.unwrap();
    replica
}

/// Long before the servers' time, so that nothing is over.
fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn place(n: u8) -> OverridePlace {
    OverridePlace::new("rate", Whose::Tenant(format!("t{n}"))).unwrap()
}

fn note() -> Note {
    Note::new("t".to_owned(), "r".to_owned(), "local:0".to_owned(), now()).unwrap()
}

fn rate(count: u32) -> Limit {
    let count = NonZeroU32::new(count).unwrap();
    Limit::Rate(Rate::new(count, RatePer::Second, count).unwrap())
}

async fn set(replica: &RedisOverrides, n: u8, count: u32) {
    let order = LimitOverride { place: place(n), figure: rate(count), until: None, note: note() };
    replica.set(&order, now()).await.unwrap();
}

async fn take_back(replica: &RedisOverrides, n: u8) {
    replica.take_back(&place(n), &note(), now()).await.unwrap();
}

fn of(replica: &RedisOverrides, n: u8) -> Option<Limit> {
    let known = replica.overrides().known().unwrap();
    known.instead_of("rate", &rate(999), None, Some(&format!("t{n}")), now())
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let next = std::sync::atomic::AtomicU32::new(0);
        let checked = contract::overrides::check(now(), async |most| {
            let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let replica = replica(&redis, &format!("p{number}"), most);
            replica.look(now()).await.or(Err(OverrideError::Unknown))?;
            Ok(replica)
        });
        assert_eq!(checked.await, Ok(()), "{kind:?}");
    }
}

/// What is not heard of is not known, and nothing is ordered into the dark.
#[tokio::test]
async fn before_the_first_look_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let replica = replica(&redis, "exequatur", 100);
    assert!(replica.overrides().known().is_err());
    let order = LimitOverride { place: place(1), figure: rate(1), until: None, note: note() };
    assert_eq!(replica.set(&order, now()).await, Err(OverrideError::Unknown));
    assert_eq!(replica.list(None, NonZeroU16::MAX, now()), Err(OverrideError::Unknown));
    replica.look(now()).await.unwrap();
    assert!(replica.overrides().known().is_ok());
}

#[tokio::test]
async fn every_replica_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (looking(&redis).await, looking(&redis).await);
    set(&one, 1, 1).await;
    set(&one, 2, 2).await;
    assert_eq!((of(&one, 1), of(&other, 1)), (Some(rate(1)), None));
    other.look(now()).await.unwrap();
    assert_eq!((of(&other, 1), of(&other, 2)), (Some(rate(1)), Some(rate(2))));
    set(&other, 1, 3).await;
    take_back(&other, 2).await;
    one.look(now()).await.unwrap();
    assert_eq!((of(&one, 1), of(&one, 2)), (Some(rate(3)), None));
    let late = looking(&redis).await;
    assert_eq!((of(&late, 1), of(&late, 2)), (Some(rate(3)), None));
}

/// D-07: what another replica set a moment ago is taken back by who has not heard of it.
#[tokio::test]
async fn what_another_has_just_set_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (looking(&redis).await, looking(&redis).await);
    set(&one, 1, 1).await;
    let done = other.take_back(&place(1), &note(), now()).await.unwrap();
    assert!(done.changed, "it was in force");
    one.look(now()).await.unwrap();
    assert_eq!([&one, &other].map(|replica| of(replica, 1)), [None, None]);
    let order = LimitOverride { place: place(1), figure: rate(3), until: None, note: note() };
    assert!(one.set(&order, now()).await.unwrap().changed);
    assert!(!other.set(&order, now()).await.unwrap().changed, "it is what the other has set");
    take_back(&one, 1).await;
    let again = other.take_back(&place(1), &note(), now()).await.unwrap();
    assert!(!again.changed);
    // Whoever cannot ask does not say that nothing was to be taken back.
    set(&one, 2, 2).await;
    drop(redis);
    let refused = other.take_back(&place(2), &note(), now()).await;
    assert!(matches!(refused, Err(OverrideError::NotKept(_))), "{refused:?}");
}

/// Answers nobody for 0.4 s from now on.
fn pause(redis: &Redis) {
    let url = redis.socket_url();
    let mut stream = UnixStream::connect(url.strip_prefix("redis+unix://").unwrap()).unwrap();
    stream.write_all(b"CLIENT PAUSE 400 ALL\r\n").unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}

/// C-03: decisions do not wait for a slow server; orders do.
#[tokio::test]
async fn an_order_has_more_time_than_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = hurried(&redis, "exequatur", 100, Duration::from_millis(25));
    one.look(now()).await.unwrap();
    pause(&redis);
    set(&one, 1, 1).await;
    assert_eq!(of(&one, 1), Some(rate(1)));
    redis.say(&["HSET", "exequatur:{revocations}:1:limits", "version", "another"]).unwrap();
    pause(&redis);
    assert_eq!(one.look(now()).await, Ok(()));
}

/// C-09: a flush, or a primary that had not heard of the last orders.
#[tokio::test]
async fn what_the_server_lost_is_said_again_by_whoever_knows_it() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let (one, other) = (looking(&redis).await, looking(&redis).await);
        set(&one, 1, 1).await;
        set(&one, 2, 2).await;
        other.look(now()).await.unwrap();
        redis.say(&["FLUSHALL"]).unwrap();
        // An order that comes first, after the loss.
        set(&other, 3, 3).await;
        one.look(now()).await.unwrap();
        assert_eq!(
            (of(&one, 1), of(&one, 3)),
            (Some(rate(1)), Some(rate(3))),
            "nothing ceases to count here"
        );
        let late = looking(&redis).await;
        assert_eq!([1, 2, 3].map(|n| of(&late, n)), [1, 2, 3].map(|n| Some(rate(n))), "{kind:?}");
    }
}

/// Whoever reads and does not say again, since he only wanted to take something back, says it with his next look.
#[tokio::test]
async fn what_is_missing_is_said_again_by_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (looking(&redis).await, looking(&redis).await);
    set(&one, 1, 1).await;
    redis.say(&["FLUSHALL"]).unwrap();
    set(&other, 2, 2).await;
    assert!(!one.take_back(&place(9), &note(), now()).await.unwrap().changed);
    one.look(now()).await.unwrap();
    assert_eq!([1, 2].map(|n| of(&one, n)), [1, 2].map(|n| Some(rate(n))));
    let late = looking(&redis).await;
    assert_eq!([1, 2].map(|n| of(&late, n)), [1, 2].map(|n| Some(rate(n))));
}

/// C-09, C-10: what one says who has read, when another has changed it meanwhile, or clocks were ahead.
#[tokio::test]
async fn the_newer_stands_whoever_speaks_later() {
    for kind in Kind::ALL {
        let folder = tempfile::tempdir().unwrap();
        let redis = server(kind, folder.path());
        let one = looking(&redis).await;
        let line = one.servers.of_revocations().await.unwrap().fit_line().await.unwrap();
        let say = async |revision: i64, what: &str| {
            let (drawn, rest) = (draw().unwrap(), if what == "forget" { "" } else { "{\"of\":1}" });
            let command = one.command(&drawn, &place(1), rest, revision, what);
            match one.say(&line, command, &drawn).await.unwrap() {
                Said::Revision(revision) => revision,
                Said::Full => panic!("full"),
            }
        };
        let there = || redis.say(&["HGET", "exequatur:{revocations}:1:limits", "rate:tenant:t1"]).unwrap();
        // Years ahead of the server's clock.
        let ahead = 3_000_000_000_000_000;
        assert_eq!(say(ahead, "again").await, ahead);
        assert_eq!(say(7, "order").await, ahead + 1, "{kind:?}: newer than what is there");
        assert_eq!(say(ahead, "again").await, ahead + 1, "{kind:?}: an older one is not taken");
        assert_eq!(say(ahead, "forget").await, ahead + 1);
        assert!(there().contains("3000000000000001{"), "{kind:?}: it was revised meanwhile: {}", there());
        assert_eq!(say(ahead + 1, "forget").await, ahead + 1);
        assert!(there().starts_with("$-1"), "{kind:?}: {}", there());
        assert_eq!(say(ahead + 5, "order").await, ahead + 6, "{kind:?}: newer than what the caller knows");
    }
}

/// What was taken back does not come back from a replica that has not heard of it before the server lost that.
#[tokio::test]
async fn what_was_taken_back_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (looking(&redis).await, looking(&redis).await);
    set(&one, 1, 1).await;
    other.look(now()).await.unwrap();
    take_back(&one, 1).await;
    redis.say(&["FLUSHALL"]).unwrap();
    other.look(now()).await.unwrap();
    assert_eq!(of(&looking(&redis).await, 1), Some(rate(1)), "the other says what it knows");
    one.look(now()).await.unwrap();
    other.look(now()).await.unwrap();
    assert_eq!([&one, &other].map(|replica| of(replica, 1)), [None, None]);
    assert_eq!(of(&looking(&redis).await, 1), None);
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_not_said_again() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let (one, other) = (looking(&redis).await, looking(&redis).await);
    set(&one, 1, 1).await;
    set(&one, 2, 2).await;
    take_back(&one, 1).await;
    other.look(now()).await.unwrap();
    let later = server_time(&redis) + SignedDuration::from_hours(26);
    one.look(later).await.unwrap();
    let kept = redis.say(&["HKEYS", "exequatur:{revocations}:1:limits"]).unwrap();
    assert!(kept.contains("rate:tenant:t2") && !kept.contains("rate:tenant:t1"), "{kept}");
    other.look(later).await.unwrap();
    let kept = redis.say(&["HKEYS", "exequatur:{revocations}:1:limits"]).unwrap();
    assert!(!kept.contains("rate:tenant:t1"), "{kept}");
}

/// C-04, C-07: what is not ours is not guessed at, and what was known goes on to count.
#[tokio::test]
async fn what_another_version_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let redis = server(Kind::Newest, folder.path());
    let one = looking(&redis).await;
    set(&one, 1, 1).await;
    let key = "exequatur:{revocations}:1:limits";
    redis
        .say(&["HSET", key, "version", "other", "rate:tenant:t2", "0000000000000001{\"rate\":\"many\"}"])
        .unwrap();
    assert_eq!(one.look(now()).await, Err(StoreError::Foreign));
    assert_eq!(of(&one, 1), Some(rate(1)));
    // No other replica would hear of it.
    let order = LimitOverride { place: place(3), figure: rate(1), until: None, note: note() };
    assert_eq!(one.set(&order, now()).await, Err(OverrideError::NotKept(ErrorKind::InvalidData)));
    assert_eq!(of(&one, 3), None);
    let late = replica(&redis, "exequatur", 100);
    assert!(late.look(now()).await.is_err() && late.overrides().known().is_err());
    redis.say(&["DEL", key]).unwrap();
    redis.say(&["SET", key, "x"]).unwrap();
    assert!(one.look(now()).await.is_err() && late.look(now()).await.is_err());
    redis.say(&["DEL", key]).unwrap();
    one.look(now()).await.unwrap();
    late.look(now()).await.unwrap();
    assert_eq!(of(&late, 1), Some(rate(1)));
}

#[test]
fn an_answer_to_another_is_none() {
    let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let answer = |parts: &[&str]| Value::Array(parts.iter().map(|part| bulk(part)).collect());
    assert_eq!(said(&answer(&["a", "7"]), "a"), Some(Said::Revision(7)));
    assert_eq!(said(&answer(&["a", "full"]), "a"), Some(Said::Full));
    assert_eq!(read(&answer(&["a", "v"]), "a"), Some(Read::Same));
    let whole = Value::Array(vec![bulk("a"), bulk("v"), Value::Array(Vec::new())]);
    assert_eq!(read(&whole, "a"), Some(Read::Changed { version: "v".to_owned(), hash: Vec::new() }));
    for (bad, drawn) in [
        (answer(&["a", "7"]), "b"),
        (whole, "b"),
        (answer(&["a"]), "a"),
        (answer(&["a", "x", "y"]), "a"),
        (Value::Nil, "a"),
    ] {
        assert_eq!((said(&bad, drawn), read(&bad, drawn)), (None, None), "{bad:?}");
    }
    assert_eq!(said(&answer(&["a", "x"]), "a"), None);
    assert_eq!(ledger(&[bulk("version")]), None);
}

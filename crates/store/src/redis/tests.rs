//! Against real servers, the newest and the oldest. Where a test moves the time, the scripts are told it; what a server
//! forgets by its own clock is then deleted by hand.

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use proptest::prelude::*;
use tokio::runtime::Runtime;

use self::ports::Reserved as Ports;
use self::process::{Kind, Redis};
use super::*;
use crate::admission::Unfit;
use crate::contract;
use crate::embedded::EmbeddedStore;
use crate::limit::{Charge, ChargeOutcome, Limit, LimitKey, Period, Quota, Rate, RatePer};
use crate::replay::{Bound, Claim, ClaimOutcome, ReplayKey, ReplayLimits};
use crate::revocation::{
    Form, Lift, Note, Position, Revocation, RevocationKind, RevocationLimits, RevocationStore as _,
    Staleness, Target,
};

#[path = "../../../../tests/support/ports.rs"]
#[expect(unreachable_pub, reason = "it is shared with tests that need more of it")]
pub(in crate::redis) mod ports;
#[path = "../../../../tests/support/redis.rs"]
#[expect(dead_code, unreachable_pub, reason = "it is shared with tests that need more of it")]
pub(in crate::redis) mod process;

const SCOPE: Scope = Scope([2; 16]);
const LIFE: SignedDuration = SignedDuration::from_secs(65);
const DOUBT: SignedDuration = SignedDuration::from_secs(15);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + millis).unwrap()
}

fn claim(n: u8, issued_at: Timestamp) -> Claim {
    Claim {
        key: ReplayKey { proof: [n; 16], holder: [1; 16] },
        issued_at,
        live_until: issued_at + LIFE,
        nonce_epoch: None,
        doubt_span: DOUBT,
    }
}

fn bounded(url: &str, prefix: &str, bounds: WindowBounds) -> RedisStore {
    RedisStore::new(RedisConfig {
        address: Address::new(&url.to_owned().into(), &[], None).unwrap(),
        prefix: Prefix::parse(prefix).unwrap(),
        timeout: Duration::from_secs(5),
        bounds,
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    })
}

fn store(redis: &Redis) -> RedisStore {
    bounded(&redis.socket_url(), "exequatur", WindowBounds::default())
}

/// A store whose scripts are told the time by its callers.
#[derive(Debug)]
struct Told(RedisStore);

impl Told {
    fn tell(&self, now: Timestamp) {
        *self.0.scripts.told.lock().unwrap() = Some(now);
    }
}

impl AdmissionStore for Told {
    fn admit<'a>(&'a self, ask: &'a Ask<'a>, now: Timestamp) -> StoreFuture<'a, Answer> {
        self.tell(now);
        Box::pin(async move {
            // What was given back is waited for here; otherwise nobody does.
            self.0.given_back.close();
            self.0.given_back.wait().await;
            self.0.given_back.reopen();
            self.0.admit(ask, now).await
        })
    }

    fn give_back(&self, reserved: Reserved) {
        self.0.give_back(reserved);
    }

    fn epoch(&self, scope: Scope, now: Timestamp) -> StoreFuture<'_, Epoch> {
        self.tell(now);
        self.0.epoch(scope, now)
    }

    fn health(&self, now: Timestamp) -> StoreFuture<'_, ReplayHealth> {
        self.tell(now);
        self.0.health(now)
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn start(kind: Kind, folder: &Path) -> Redis {
    Redis::start(kind, folder, None, &[]).unwrap()
}

/// The server's time, which counts for what it is asked.
fn server_time(redis: &Redis) -> Timestamp {
    let answer = redis.say(&["TIME"]).unwrap();
    let seconds = answer.lines().nth(2).unwrap().parse().unwrap();
    Timestamp::from_second(seconds).unwrap()
}

fn fresh(outcome: &Result<ClaimOutcome, StoreError>) -> bool {
    matches!(outcome, Ok(ClaimOutcome::Fresh(_)))
}

/// A proof of now with a nonce of the store's epoch, so that it is beyond doubt.
async fn undoubted(store: &RedisStore, redis: &Redis, n: u8) -> Claim {
    let now = server_time(redis);
    Claim { nonce_epoch: Some(store.epoch(SCOPE, now).await.unwrap()), ..claim(n, now) }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        for start in [at(0), at(0) + SignedDuration::from_nanos(1)] {
            let stores = std::sync::atomic::AtomicU32::new(0);
            contract::check(start, async |limits, _start| {
                let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let bounds =
                    WindowBounds { max_per_tenant: limits.max_per_tenant, max_per_key: limits.max_per_key };
                redis.say(&["DEL", "exequatur:1:clock"]).unwrap();
                Ok(Told(bounded(&redis.socket_url(), &format!("{}:{number}", start.as_nanosecond()), bounds)))
            })
            .await
            .unwrap();
        }
    }
}

/// D18, G06, G07: two replicas, four threads each with a connection of its own, one proof: one is first.
#[test]
fn of_all_replicas_one_is_first() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let replicas = [store(&redis), store(&redis)];
        let claim = runtime().block_on(undoubted(&replicas[0], &redis, 1));
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|n| {
                    let (store, claim) = (&replicas[n % 2], &claim);
                    scope.spawn(move || -> Vec<_> {
                        let now = claim.issued_at;
                        let runtime: Runtime = runtime();
                        (0..100).map(|_| runtime.block_on(store.claim(SCOPE, claim, now)).unwrap()).collect()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(outcomes.iter().filter(|got| matches!(got, ClaimOutcome::Fresh(_))).count(), 1);
        assert_eq!(outcomes.iter().filter(|got| **got == ClaimOutcome::Replayed).count(), 799);
    }
}

/// C-10: the caller's clock counts for nothing, in either direction.
#[tokio::test]
async fn the_servers_clock_counts() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let store = store(&redis);
    let used = undoubted(&store, &redis, 1).await;
    for skew in [SignedDuration::from_mins(-10), SignedDuration::ZERO, SignedDuration::from_mins(10)] {
        let outcome = store.claim(SCOPE, &used, used.issued_at + skew).await;
        assert_eq!(fresh(&outcome), skew == SignedDuration::from_mins(-10), "{outcome:?}");
    }
    let past = Claim { live_until: used.issued_at - SignedDuration::from_secs(1), ..used.clone() };
    assert_eq!(store.claim(SCOPE, &past, past.live_until).await, Ok(ClaimOutcome::Expired));
}

/// C-20, G08: every entry goes by itself, and a proof's not before the proof does.
#[tokio::test]
async fn what_is_written_has_an_end() {
    for kind in Kind::ALL {
        let folder = folder();
        let redis = start(kind, folder.path());
        let store = store(&redis);
        let used = undoubted(&store, &redis, 1).await;
        assert!(fresh(&store.claim(SCOPE, &used, used.issued_at).await));
        assert!(store.health(used.issued_at).await.is_ok());
        let end = |key: &str| -> i64 {
            redis.say(&["PTTL", key]).unwrap().trim_start_matches(':').trim().parse().unwrap()
        };
        let keys = redis.say(&["KEYS", "*"]).unwrap();
        let keys: Vec<_> = keys.lines().filter(|line| line.starts_with("exequatur")).collect();
        assert_eq!(keys.len(), 5, "{keys:?}");
        for key in &keys {
            let kind = key.strip_prefix("exequatur:{AgICAgICAgICAgICAgICAg}").unwrap_or(key);
            let range = match kind.get(..4) {
                Some(":1:p") => 65_000..=66_002,
                Some(":1:h" | ":1:t") => 65_000..=66_000,
                _ if *key == "exequatur:1:clock" => -1..=-1,
                _ if kind.is_empty() => 2_590_000_000..=2_592_000_000,
                other => panic!("{other:?}"),
            };
            let left = end(key);
            // What the test itself took is gone already.
            assert!(left <= *range.end() && left >= (range.start() - 5_000).max(-1), "{key}: {left}");
        }
    }
}

/// One trip for a claim (the rest is what a connection begins with).
#[tokio::test]
async fn a_claim_is_one_command() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let store = store(&redis);
    let first = undoubted(&store, &redis, 0).await;
    assert!(fresh(&store.claim(SCOPE, &first, first.issued_at).await));
    redis.say(&["CONFIG", "RESETSTAT"]).unwrap();
    for n in 1..=50 {
        let claim = Claim { key: ReplayKey { proof: [n; 16], ..first.key }, ..first.clone() };
        assert!(fresh(&store.claim(SCOPE, &claim, claim.issued_at).await));
    }
    let processed = redis.say(&["INFO", "stats"]).unwrap();
    let stats = redis.say(&["INFO", "commandstats"]).unwrap();
    assert!(stats.contains("cmdstat_evalsha:calls=50,"), "{stats}{processed}");
    assert!(!stats.contains("cmdstat_eval:"), "{stats}");
}

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

/// Asks again and again; nothing tells when.
async fn until(holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked).await.unwrap();
}

/// Asks until the store is there again; nothing tells when. Bounded by the pause of the gate.
async fn until_there(store: &RedisStore) {
    let there = async {
        while store.health(at(0)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there).await.unwrap();
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
        let used = undoubted(&before, &primary, 1).await;
        assert!(fresh(&before.claim(SCOPE, &used, used.issued_at).await));
        primary.say(&["WAIT", "1", "10000"]).unwrap();
        let linked = || replica.say(&["INFO", "replication"]).unwrap().contains("master_link_status:up");
        until(linked).await;
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

/// What docs/shared-state.md says of an ACL is enough.
#[tokio::test]
async fn the_documented_acl_is_enough() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/shared-state.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("An ACL for Exequatur: `").unwrap();
    let (commands, _) = rest.split_once('`').unwrap();
    let mut words = vec!["ACL", "SETUSER", "gate", "on", ">word", "~exequatur:*", "-@all"];
    words.extend(commands.split(' '));
    assert!(redis.say(&words).unwrap().starts_with("+OK"));
    let limited =
        bounded(&format!("{}?user=gate&pass=word", redis.socket_url()), "exequatur", WindowBounds::default());
    let used = undoubted(&limited, &redis, 1).await;
    assert!(fresh(&limited.claim(SCOPE, &used, used.issued_at).await));
    assert!(limited.health(used.issued_at).await.is_ok());
    let revocations =
        limited.revocations(RevocationLimits::default(), Staleness { usual: LIFE, degraded: LIFE }).unwrap();
    let now = used.issued_at;
    let stop = tokio_util::sync::CancellationToken::new();
    let orders = async {
        let target = Target { kind: RevocationKind::Agent, digest: [1; 16] };
        let note = Note::new("corp:a".to_owned(), "why".to_owned(), "me".to_owned(), now).unwrap();
        let revocation = Revocation { target, form: Form::Total, until: None, note: note.clone() };
        assert!(revocations.revoke(&revocation, now).await.unwrap().changed);
        let limit = std::num::NonZeroU16::MIN;
        assert_eq!(revocations.list(Position::default(), limit, now).await.unwrap().standing.len(), 1);
        assert!(revocations.lift(target, Lift::Revocation, &note, now).await.unwrap().changed);
        revocations.tend(now).await.unwrap();
        stop.cancel();
    };
    tokio::join!(orders, revocations.follow(Arc::new(move || now), stop.clone()));
    let wrong = bounded(
        &format!("{}?user=gate&pass=other", redis.socket_url()),
        "exequatur",
        WindowBounds::default(),
    );
    assert_eq!(wrong.epoch(SCOPE, at(0)).await, Err(StoreError::Unavailable));
}

/// product.md, "What is unknown is not allowed": without the server, rates hold at this replica's part, quotas go on from
/// what was used, and a proof is refused.
#[tokio::test]
async fn without_the_server_a_replica_limits_by_itself() {
    let folder = folder();
    let mut redis = start(Kind::Newest, folder.path());
    let store = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(5),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::new(2).unwrap(),
    });
    let number = |n: u32| NonZeroU32::new(n).unwrap();
    let rate = Charge {
        key: LimitKey([1; 16]),
        limit: Limit::Rate(Rate::new(number(1), RatePer::Hour, number(4)).unwrap()),
        cost: number(1),
    };
    let quota = Charge {
        key: LimitKey([2; 16]),
        limit: Limit::Quota(Quota::new(5.try_into().unwrap(), Period::Month).unwrap()),
        cost: number(1),
    };
    let now = server_time(&redis);
    let left = async |charge: &Charge, now| {
        let ask = Ask { scope: SCOPE, claim: None, charges: std::slice::from_ref(charge) };
        match store.admit(&ask, now).await.unwrap().charges {
            ChargeOutcome::Charged(charged) => {
                let (standings, reserved) = charged.into_parts();
                Ok((standings[0].remaining, reserved.is_empty()))
            }
            other @ (ChargeOutcome::Limited(_) | ChargeOutcome::NotReached | ChargeOutcome::NoRoom) => {
                Err(other)
            }
        }
    };
    assert_eq!(left(&rate, now).await, Ok((3, true)));
    assert_eq!(left(&quota, now).await, Ok((4, false)));
    assert_eq!(left(&quota, now).await, Ok((3, false)));
    let proof = undoubted(&store, &redis, 1).await;
    redis.kill().unwrap();
    assert_eq!(left(&rate, now).await, Ok((1, true)), "half of the burst is this replica's");
    assert_eq!(left(&rate, now).await, Ok((0, true)));
    assert!(matches!(left(&rate, now).await, Err(ChargeOutcome::Limited(_))));
    for remaining in [2, 1, 0] {
        assert_eq!(
            left(&quota, now).await,
            Ok((remaining, true)),
            "nothing is given back to a server that never counted it"
        );
    }
    assert!(matches!(left(&quota, now).await, Err(ChargeOutcome::Limited(_))));
    let ask = Ask { scope: SCOPE, claim: Some(&proof), charges: &[rate] };
    assert_eq!(store.admit(&ask, now).await, Err(StoreError::Unavailable), "a proof is refused all the same");
    redis.start_again().unwrap();
    until_there(&store).await;
    assert_eq!(store.health(now).await.unwrap().charged_locally, 7);
    assert_eq!(left(&rate, now).await, Ok((3, true)), "this server had forgotten");

    let strict = RedisStore::new(RedisConfig {
        address: Address::new(&redis.socket_url().into(), &[], None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(5),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Deny,
        replicas: NonZeroU32::MIN,
    });
    redis.kill().unwrap();
    let ask = Ask { scope: SCOPE, claim: None, charges: &[rate] };
    assert_eq!(strict.admit(&ask, now).await, Err(StoreError::Unavailable));
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

/// C-10: a clock that was set back may have let entries go that could pass again; that goes for every scope, and for a
/// replica that starts only then.
#[tokio::test]
async fn a_clock_set_back_begins_a_new_memory() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let told = Told(store(&redis));
    let epoch = told.epoch(SCOPE, at(0)).await.unwrap();
    let used = claim(1, at(60_000));
    assert!(fresh(&told.claim(SCOPE, &used, at(60_000)).await));
    // Another scope is the one that sees the time to which entries went.
    told.epoch(Scope([3; 16]), at(600_000)).await.unwrap();
    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &[1; 16])]).unwrap();

    let back = at(61_000);
    let Ok(ClaimOutcome::Doubtful { epoch: next }) = told.claim(SCOPE, &used, back).await else {
        panic!("a proof that was forgotten must not pass again")
    };
    assert_ne!(next, epoch);
    let followed = Claim { nonce_epoch: Some(next), ..claim(2, back) };
    assert!(fresh(&told.claim(SCOPE, &followed, back).await));
    assert_eq!(told.epoch(SCOPE, back).await, Ok(next), "it begins once");

    let lagging = told.epoch(Scope([4; 16]), at(599_500)).await.unwrap();
    assert_eq!(told.epoch(Scope([4; 16]), at(599_500)).await, Ok(lagging), "half a second is no step");
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

/// C-10: a clock that was set back, ran on, and was set back again, though never to where it had been at first.
#[tokio::test]
async fn each_step_back_is_one() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let told = Told(store(&redis));
    told.epoch(SCOPE, at(600_000)).await.unwrap();
    let second = told.epoch(SCOPE, at(0)).await.unwrap();
    let used = Claim { nonce_epoch: Some(second), ..claim(1, at(0)) };
    assert!(fresh(&told.claim(SCOPE, &used, at(0)).await));
    assert_eq!(told.epoch(SCOPE, at(100_000)).await, Ok(second), "it runs on");
    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &[1; 16])]).unwrap();
    let again = told.claim(SCOPE, &used, at(0)).await;
    assert!(matches!(again, Ok(ClaimOutcome::Doubtful { epoch }) if epoch != second), "{again:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// D18, C-10: whatever the clock does, one proof passes at most once. What the server would forget is deleted when
    /// its clock has been there.
    #[test]
    fn no_clock_makes_a_proof_fresh_twice(
        steps in prop::collection::vec((-200_000..200_000_i64, prop::bool::ANY), 1..20),
        with_nonce in prop::bool::ANY,
    ) {
        let folder = folder();
        let redis = start(Kind::Newest, folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = Told(store(&redis));
        let nonce_epoch = with_nonce.then(|| runtime.block_on(told.epoch(SCOPE, at(0))).unwrap());
        let mut proofs: Vec<(Claim, u32)> = Vec::new();
        let mut now = at(0);
        for (number, (step, small)) in (0_u8..).zip(steps) {
            now += SignedDuration::from_millis(if small { step / 20 } else { step });
            proofs.push((Claim { nonce_epoch, ..claim(number, now) }, 0));
            for (claim, _) in &proofs {
                // A second is added, as the script does.
                if claim.live_until + SignedDuration::from_millis(1001) < now {
                    redis.say(&["DEL", &Prefix::default().proof(SCOPE, &claim.key.proof)]).unwrap();
                }
            }
            for (claim, passed) in &mut proofs {
                let passable = claim.issued_at <= now + DOUBT && now <= claim.live_until;
                if passable && fresh(&runtime.block_on(told.claim(SCOPE, claim, now))) {
                    *passed += 1;
                }
                prop_assert!(*passed <= 1, "{:?} passed twice", claim);
            }
        }
    }
}

/// The bounds of a holder and of a scope are told apart.
#[tokio::test]
async fn a_window_refuses_and_says_whose_it_is() {
    let folder = folder();
    let redis = start(Kind::Newest, folder.path());
    let bound = |n| NonZeroU32::new(n).unwrap();
    let bounds = WindowBounds { max_per_tenant: bound(3), max_per_key: bound(2) };
    let store = bounded(&redis.socket_url(), "exequatur", bounds);
    let first = undoubted(&store, &redis, 0).await;
    let of = |n: u8, holder: u8| Claim {
        key: ReplayKey { proof: [n; 16], holder: [holder; 16] },
        ..first.clone()
    };
    for (n, holder, expected) in [
        (1, 1, None),
        (2, 1, None),
        (3, 1, Some(Bound::Key)),
        (4, 2, None),
        (5, 2, Some(Bound::Tenant)),
        (6, 3, Some(Bound::Tenant)),
    ] {
        let got = store.claim(SCOPE, &of(n, holder), first.issued_at).await.unwrap();
        match expected {
            None => assert!(matches!(got, ClaimOutcome::Fresh(_)), "{n}: {got:?}"),
            Some(bound) => assert_eq!(got, ClaimOutcome::Full(bound), "{n}"),
        }
    }
    // When the windows are over, as their end says.
    let prefix = Prefix::default();
    redis.say(&["DEL", &prefix.holder(SCOPE, &[1; 16]), &prefix.tenant(SCOPE)]).unwrap();
    assert!(fresh(&store.claim(SCOPE, &of(3, 1), first.issued_at).await), "what was refused was not used");
}

fn any_charge() -> impl Strategy<Value = Charge> {
    let rate = (1..1_000_000_u32, 0..3_usize, 1..50_u32).prop_map(|(count, per, burst)| {
        let per = [RatePer::Second, RatePer::Minute, RatePer::Hour][per];
        Limit::Rate(Rate::new(count.try_into().unwrap(), per, burst.try_into().unwrap()).unwrap())
    });
    let quota = (1..50_u64, 0..4_usize).prop_map(|(units, period)| {
        let period = [Period::Minute, Period::Hour, Period::Day, Period::Month][period];
        Limit::Quota(Quota::new(units.try_into().unwrap(), period).unwrap())
    });
    // A key is used with limits of one kind.
    let rates = (0..2_u8, rate).prop_map(|(key, limit)| (key, limit));
    let quotas = (2..5_u8, quota).prop_map(|(key, limit)| (key, limit));
    (prop_oneof![rates, quotas], 1..9_u32).prop_map(|((key, limit), cost)| Charge {
        key: LimitKey([key; 16]),
        limit,
        cost: cost.try_into().unwrap(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Charges come to the same, to the microsecond, as in the embedded store.
    #[test]
    fn charges_are_what_they_are_in_the_embedded_store(
        steps in prop::collection::vec(
            (
                prop::collection::vec(any_charge(), 1..4),
                // A second, an hour, some months; half a second back.
                prop_oneof![8 => 0..1_000_000_i64, 2 => 0..3_600_000_000_i64, 1 => 0..10_000_000_000_000_i64],
                prop::bool::weighted(0.2),
            ),
            1..40,
        ),
        oldest in prop::bool::ANY,
    ) {
        let folder = folder();
        let redis = start(if oldest { Kind::Oldest } else { Kind::Newest }, folder.path());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = Told(store(&redis));
        let embedded = EmbeddedStore::new(ReplayLimits::default(), at(0)).unwrap();
        let mut now = at(0);
        for (charges, step, back) in steps {
            now += SignedDuration::from_micros(step);
            let now = if back { now - SignedDuration::from_millis(500) } else { now };
            let ask = Ask { scope: SCOPE, claim: None, charges: &charges };
            let expected = runtime.block_on(embedded.admit(&ask, now)).unwrap();
            prop_assert_eq!(runtime.block_on(told.admit(&ask, now)).unwrap(), expected);
        }
    }
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

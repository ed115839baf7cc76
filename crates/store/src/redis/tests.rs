//! Against real servers, the newest and the oldest. Where a test moves the time, the scripts are told it; what a server
//! forgets by its own clock is then deleted by hand.

mod access;
mod claims;
mod clocks;
mod cluster;
mod faults;
mod limits;
mod losses;
mod seams;

use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
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
#[path = "../../../../tests/support/signal.rs"]
#[expect(unreachable_pub, reason = "it is shared with other tests")]
mod signal;

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
pub(in crate::redis) fn server_time(redis: &Redis) -> Timestamp {
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

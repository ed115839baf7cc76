//! C-17: replicas that are replaced one after the other while requests go through, as a rollout does it: nobody outside
//! notices, and nothing passes that should not.

use exequatur_tests::redis::{Kind, Redis};
use exequatur_tests::stack::{CHECKED_CLUSTER, CLUSTER};
use exequatur_tests::steady::{Rate, Steady};
use exequatur_tests::traffic::{BEARERS_TOO, Load, Traffic, Who};
use exequatur_tests::{Options, Replica, Stack};

/// What a debug build bears beside other tests; `make bench` asks 500 a second of a release build (`rolling_restart_failed`).
const RATE: Rate = Rate { callers: 10, requests: 100.0 };
/// Answers that are waited for before and after what is done.
const SOME: usize = 60;

/// Two replicas that are checked by Envoy, the store of which is as `store` says.
fn two(store: Option<String>) -> Options {
    let shared = Options::shared(Kind::Newest);
    let mut options =
        Options { terse: true, redis: shared.redis.filter(|_| store.is_none()), store, ..shared };
    options.envoy.insert(0, (CLUSTER, CHECKED_CLUSTER));
    // No proof is in doubt for longer than it has to be.
    options.exequatur.push(("max_age: 60s, skew: 5s", "max_age: 60s, skew: 1s, future: 1s"));
    options
}

/// Records of both replicas, those of processes that have ended too, beyond what Envoy was told of.
async fn unaccounted(stack: &Stack) -> Result<i64, String> {
    let mut recorded = 0;
    for records in [stack.records().await?, stack.records_of_second().await?] {
        recorded += records.iter().filter(|record| record["decision"].is_string()).count();
    }
    let mut told = 0;
    for answer in ["ok", "denied"] {
        told += stack.envoy_stat(&format!("http.ingress.ext_authz.exequatur.{answer}")).await?;
    }
    Ok(i64::try_from(recorded).unwrap() - i64::try_from(told).unwrap())
}

/// None was cut off or waited for in vain, and no replica has anything to tell but of its store.
async fn assert_in_order(stack: &Stack, unaccounted_before: i64) {
    let lost = stack.lost_checks().await.unwrap();
    assert!(lost.is_empty(), "{lost:#?}");
    for name in ["exequatur.log", "second.log"] {
        let log = std::fs::read_to_string(stack.folder().join(name)).unwrap();
        let told = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
        let told: Vec<_> = told.filter(|line| !line.contains("store")).collect();
        assert_eq!(told, [""; 0], "{name}");
    }
    assert_eq!(unaccounted(stack).await.unwrap(), unaccounted_before, "each answer is on record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_request_and_lets_nothing_through() {
    let mut stack = Stack::start(two(None)).await.unwrap();
    for port in [stack.ports.grpc, stack.ports.second[0]] {
        stack.until_beyond_doubt(port).await;
    }
    stack.until_healthy(2).await;
    let before = unaccounted(&stack).await.unwrap();
    let load = Steady::start(&stack, RATE);
    load.more(SOME).await;
    stack.roll(Replica::First).await.unwrap();
    // Right after it: Envoy keeps what it hears back for a second then. Asked twice, it finishes what it has all the same.
    stack.signal(Replica::Second, "TERM").await.unwrap();
    stack.roll(Replica::Second).await.unwrap();
    load.more(SOME).await;
    let found = load.stop(&stack.upstream).await;
    assert_eq!((found.failures, found.wrong), (0, 0), "{found:#?} {:#?}", stack.lost_checks().await);
    assert!(found.hostile > SOME && found.asked > 2 * found.hostile, "{found:?}");
    assert_eq!(stack.ended(), "");
    assert_in_order(&stack, before).await;
}

/// A replica that is told to stop while its Redis does not answer ends as it should, with all that it decided on record. The other goes
/// on with what needs no Redis, and the one that comes in its place is of use as soon as Redis is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_stops_in_order_while_redis_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let redis = Redis::start(Kind::Newest, folder.path(), None, &[]).unwrap();
    // Well above what a local server takes, on a machine that does much at once too.
    let store = format!("url: \"{}\", timeout: 250ms, max_staleness: 1h", redis.socket_url());
    let mut options = two(Some(store));
    options.exequatur.extend(BEARERS_TOO);
    let mut stack = Stack::start(options).await.unwrap();
    stack.until_healthy(2).await;
    let before = unaccounted(&stack).await.unwrap();
    let traffic = Traffic::start(&stack, Load { honest: 4, thieves: 2, bearers: 2, rate: 15.0 });
    traffic.all_well(3).await;
    redis.signal("STOP").unwrap();
    traffic.more("refused", 10, |one| one.who == Who::Honest && one.status == 503).await;
    stack.terminate(Replica::First).await.unwrap();
    traffic.more("bearers", 10, |one| one.who == Who::Bearer && one.status == 200).await;
    redis.signal("CONT").unwrap();
    stack.begin_again(Replica::First).await.unwrap();
    stack.until_healthy(2).await;
    traffic.all_well(3).await;
    traffic.stop().await.assert_lawful("stopped while Redis hangs", &stack.upstream);
    assert_eq!(stack.ended(), "");
    assert_in_order(&stack, before).await;
}

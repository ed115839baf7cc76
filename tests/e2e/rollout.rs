//! Replicas that are replaced one after the other while requests go through, as a rollout does it: nobody outside notices,
//! and nothing passes that should not (C-17).

use exequatur_tests::redis::Kind;
use exequatur_tests::stack::{CHECKED_CLUSTER, CLUSTER};
use exequatur_tests::steady::{Rate, Steady};
use exequatur_tests::{Options, Replica, Stack};

/// What a debug build bears beside other tests; `make bench` asks 500 a second of a release build (`rolling_restart_failed`).
const RATE: Rate = Rate { callers: 10, requests: 100.0 };
/// Answers that are waited for before and after each change.
const SOME: usize = 60;

/// Two replicas that are checked by Envoy, and a Redis of which no proof is in doubt for longer than it has to be.
async fn two() -> Stack {
    let mut options = Options { terse: true, ..Options::shared(Kind::Newest) };
    options.envoy.insert(0, (CLUSTER, CHECKED_CLUSTER));
    options.exequatur.push(("max_age: 60s, skew: 5s", "max_age: 60s, skew: 1s, future: 1s"));
    let stack = Stack::start(options).await.unwrap();
    for port in [stack.ports.grpc, stack.ports.second[0]] {
        stack.until_beyond_doubt(port).await;
    }
    stack.until_healthy(2).await;
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_request_and_lets_nothing_through() {
    let mut stack = two().await;
    let load = Steady::start(&stack, RATE);
    load.more(SOME).await;
    for round in 0..2 {
        for replica in [Replica::First, Replica::Second] {
            if round == 1 {
                // Asked twice, it finishes what it has all the same.
                stack.signal(replica, "TERM").await.unwrap();
            }
            stack.roll(replica).await.unwrap();
            load.more(SOME).await;
        }
    }
    assert_nobody_noticed(&stack, load).await;
    assert_eq!(stack.ended(), "");
}

/// Each answer was what it always is, none was waited for in vain, and no replica has anything to tell.
async fn assert_nobody_noticed(stack: &Stack, load: Steady) {
    let found = load.stop(&stack.upstream).await;
    let lost = stack.lost_checks().await.unwrap();
    assert_eq!((found.failures, found.wrong, lost.len()), (0, 0, 0), "{found:#?} {lost:#?}");
    assert!(found.hostile > SOME && found.asked > 2 * found.hostile, "{found:?}");
    for name in ["exequatur.log", "second.log"] {
        let log = std::fs::read_to_string(stack.folder().join(name)).unwrap();
        let told = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        assert_eq!(log.lines().filter(told).collect::<Vec<_>>(), [""; 0]);
    }
}

//! What callers notice when both replicas are replaced, one after the other.

use exequatur_tests::redis::Kind;
use exequatur_tests::stack::{CHECKED_CLUSTER, CLUSTER};
use exequatur_tests::steady::{Rate, Steady};
use exequatur_tests::{Options, Replica, Stack};

use crate::figure::{Figure, Floor};
use crate::shared::BothCores;

const RATE: Rate = Rate { callers: 40, requests: 500.0 };
/// How often each is replaced.
const ROUNDS: usize = 2;
/// Answers between two of them: of two seconds.
const BETWEEN: usize = 1000;

/// `rolling_restart_…`: two replicas behind Envoy, on one Redis, with the times of the examples; each is stopped by SIGTERM and
/// started again while 500 requests a second come, a third of them hostile.
pub(crate) async fn restarts() -> Result<Vec<Figure>, String> {
    let _cores = BothCores::take()?;
    let mut options = Options { terse: true, timely: true, ..Options::shared(Kind::Newest) };
    options.envoy.insert(0, (CLUSTER, CHECKED_CLUSTER));
    options.exequatur.push(("max_age: 60s, skew: 5s", "max_age: 60s, skew: 1s, future: 1s"));
    let mut stack = Stack::start(options).await?;
    for port in [stack.ports.grpc, stack.ports.second[0]] {
        stack.until_beyond_doubt(port).await;
    }
    stack.until_healthy(2).await;
    let load = Steady::start(&stack, RATE);
    load.more(BETWEEN).await;
    for _ in 0..ROUNDS {
        for replica in [Replica::First, Replica::Second] {
            stack.roll(replica).await?;
            load.more(BETWEEN).await;
        }
    }
    let found = load.stop(&stack.upstream).await;
    let lost = stack.lost_checks().await?;
    for failed in found.failed.iter().chain(&lost.iter().map(|one| format!("{one:?}")).collect::<Vec<_>>()) {
        eprintln!("rolling_restart: {failed}");
    }
    let nothing = |name, unit, count: f64| Figure::alone(name, unit, &[count], Some(Floor::AtMost(0.0)));
    Ok(vec![
        Figure::alone("rolling_restart_rate", "requests/s", &[found.rate()], Some(Floor::AtLeast(495.0))),
        Figure::alone("rolling_restart_requests", "requests", &[found.asked as f64], None),
        nothing("rolling_restart_failed", "answers", found.failures as f64),
        nothing("rolling_restart_wrong", "permits", found.wrong as f64),
        nothing("rolling_restart_lost", "checks", lost.values().sum::<u64>() as f64),
    ])
}

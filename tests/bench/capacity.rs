//! How much comes through: with few connections, and when more comes than can be decided.

use std::path::Path;
use std::time::Duration;

use crate::figure::{Figure, Floor, median};
use crate::load::{Outcome, closed, connect, open};
use crate::scene::{Scene, Size};
use crate::{BOTH_CORES, Effort, SERVER_CORE};

const IN_FLIGHT: usize = 64;
/// Connections of the open loop: Envoy's cluster opens as many as its workers and their streams ask for.
const CROWD: usize = 8;
/// How long an overload lasts.
const OVERLOAD: Duration = Duration::from_secs(2);

/// `connections_1_to_8`: permits a second over one connection, against eight, with two workers.
pub(crate) async fn connections(folder: &Path, effort: Effort) -> Result<Figure, String> {
    let scene = Scene::new(folder, Size { workers: 2, ..Size::USUAL })?;
    let subject = scene.start(BOTH_CORES).await?;
    let (one, eight) = (connect(subject.grpc, 1).await?, connect(subject.grpc, 8).await?);
    let mut pairs = Vec::new();
    for round in 0..=effort.pairs {
        let mut rates = [0.0; 2];
        for (rate, clients) in rates.iter_mut().zip([&eight, &one]) {
            *rate =
                closed(clients, &scene.requests(effort.requests), IN_FLIGHT).await.all_permitted()?.rate();
        }
        if round > 0 {
            pairs.push((rates[0], rates[1]));
        }
    }
    let floor = Floor::AtLeast(0.7);
    Ok(Figure::of_pairs("connections_1_to_8", "decisions/s", &pairs, |eight, one| one / eight, floor))
}

/// `overload_2x`, `overload_4x`: permits a second, with fresh proofs, while `times` as many come as can be decided;
/// and how long the 99th of a hundred refusals takes.
pub(crate) async fn overload(folder: &Path, effort: Effort, times: f64) -> Result<Vec<Figure>, String> {
    let scene = Scene::new(folder, Size { deadline: "150ms", ..Size::USUAL })?;
    let subject = scene.start(SERVER_CORE).await?;
    let clients = connect(subject.grpc, CROWD).await?;
    let (mut pairs, mut refusals) = (Vec::new(), Vec::new());
    for round in 0..=effort.pairs.min(3) {
        let capacity =
            closed(&clients, &scene.requests(effort.requests), IN_FLIGHT).await.all_permitted()?.rate();
        let offered = capacity * times;
        let crowd = scene.requests((offered * OVERLOAD.as_secs_f64()) as usize);
        let outcome = open(&clients, &crowd, offered).await;
        check(&outcome, crowd.len(), offered)?;
        if round > 0 {
            pairs.push((capacity, outcome.rate()));
            refusals.push(at(&outcome.shed_latency, 0.99).as_secs_f64() * 1e3);
        }
    }
    let (name, refused, floor) = if times < 3.0 {
        ("overload_2x_goodput", "overload_2x_refusal_ms", 0.80)
    } else {
        ("overload_4x_goodput", "overload_4x_refusal_ms", 0.55)
    };
    let ratio = |capacity: f64, goodput: f64| goodput / capacity;
    Ok(vec![
        Figure::of_pairs(name, "permits/s", &pairs, ratio, Floor::AtLeast(floor)),
        Figure::alone(refused, "ms, p99", &refusals, Some(Floor::AtMost(10.0))),
    ])
}

fn check(outcome: &Outcome, asked: usize, offered: f64) -> Result<(), String> {
    let sent = asked as f64 / outcome.elapsed.as_secs_f64();
    if sent < 0.9 * offered {
        return Err(format!("the load was to be {offered:.0} a second and was {sent:.0}"));
    }
    if outcome.other > 0 {
        return Err(format!("{} requests got neither a permit nor a refusal", outcome.other));
    }
    Ok(())
}

/// The value below which `share` of the sorted ones are.
pub(crate) fn at(sorted: &[Duration], share: f64) -> Duration {
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// The middle of the sorted ones, in microseconds.
pub(crate) fn p50(durations: &[Duration]) -> f64 {
    median(durations.iter().map(|duration| duration.as_secs_f64() * 1e6))
}

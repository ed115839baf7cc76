//! What records cost decisions, and how fast it is found out whether they are whole.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use exequatur_tests::binaries;

use crate::cost::{CONNECTIONS, IN_FLIGHT};
use crate::figure::{Figure, Floor};
use crate::load::{closed, connect};
use crate::scene::{Records, Scene, Size, Subject};
use crate::{Effort, SERVER_CORE};

/// `audit_ratio`: decisions without records, against the same with records that are chained and signed and for which nobody
/// waits. `audit_verify_per_s`: how many lines of what was written are verified in a second of one core.
pub(crate) async fn best_effort(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let Compared { pairs, latency: _, subject, scene } = compare(folder, Records::Signed, effort).await?;
    let ratio = |off: f64, on: f64| off / on;
    let cost = Figure::of_pairs("audit_ratio", "us/decision", &pairs, ratio, Floor::AtLeast(0.95));
    let speed = verified(&scene, subject, effort.pairs).await?;
    let speed = Figure::alone("audit_verify_per_s", "lines/s", &speed, Some(Floor::AtLeast(200_000.0)));
    Ok(vec![cost, speed])
}

/// `audit_required_ratio`: the same where each answer waits until its record is on the disk; and how long the slowest hundredth
/// of the answers took, with as many requests under way as there are for costs.
pub(crate) async fn required(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let Compared { pairs, latency, .. } = compare(folder, Records::Required, effort).await?;
    let ratio = |off: f64, on: f64| off / on;
    Ok(vec![
        Figure::of_pairs("audit_required_ratio", "us/decision", &pairs, ratio, Floor::AtLeast(0.80)),
        Figure::alone("audit_required_p99_ms", "ms", &latency, None),
    ])
}

/// Pairs of costs, without records and with them.
struct Compared {
    pairs: Vec<(f64, f64)>,
    /// The p99 of answers with records, in milliseconds.
    latency: Vec<f64>,
    subject: Subject,
    scene: Scene,
}

async fn compare(folder: &Path, records: Records, effort: Effort) -> Result<Compared, String> {
    let off = Scene::new(&folder.join("off"), Size { records: Records::Off, ..Size::USUAL })?;
    let scene = Scene::new(&folder.join("on"), Size { records, ..Size::USUAL })?;
    let (without, subject) = (off.start(SERVER_CORE).await?, scene.start(SERVER_CORE).await?);
    let (mut pairs, mut latency) = (Vec::new(), Vec::new());
    for round in 0..=effort.pairs {
        let alone = cost(&without, &off, effort.requests).await?;
        let with = cost(&subject, &scene, effort.requests).await?;
        // The first one fills caches.
        if round > 0 {
            pairs.push((alone.0, with.0));
            latency.push(with.1);
        }
    }
    Ok(Compared { pairs, latency, subject, scene })
}

/// Processor time of each decision in microseconds, and the p99 of the answers in milliseconds.
async fn cost(subject: &Subject, scene: &Scene, count: usize) -> Result<(f64, f64), String> {
    let requests = scene.requests(count);
    let clients = connect(subject.grpc, CONNECTIONS).await?;
    let before = subject.server.cpu();
    let outcome = closed(&clients, &requests, IN_FLIGHT).await.all_permitted()?;
    let spent = subject.server.cpu() - before;
    let last = outcome.latency.len() * 99 / 100;
    let slow = outcome.latency.get(last).copied().unwrap_or_default();
    Ok((spent.as_secs_f64() * 1e6 / outcome.permitted as f64, slow.as_secs_f64() * 1e3))
}

/// Verifies what the subject has written, once it has ended: lines in a second.
async fn verified(scene: &Scene, subject: Subject, times: usize) -> Result<Vec<f64>, String> {
    let url = format!("http://127.0.0.1:{}/.well-known/exequatur-receipt-keys", subject.public);
    let keys = reqwest::get(url).await.map_err(|error| error.to_string())?;
    let keys = keys.text().await.map_err(|error| error.to_string())?;
    std::fs::write(scene.folder.join("keys.json"), keys).map_err(|error| error.to_string())?;
    subject.server.signal("TERM")?;
    let records = scene.folder.join("decisions.jsonl");
    let ended = |text: &str| text.lines().next_back().is_some_and(|line| line.contains("\"closes\":\"run\""));
    let deadline = Instant::now() + Duration::from_secs(30);
    let lines = loop {
        let text = std::fs::read_to_string(&records).map_err(|error| error.to_string())?;
        if ended(&text) {
            break text.lines().count();
        }
        if Instant::now() > deadline {
            return Err("the subject does not end".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    (0..times).map(|_| verify(scene).map(|spent| lines as f64 / spent.as_secs_f64())).collect()
}

/// How long `audit verify` takes for all of the records, its start included, on a core of its own.
fn verify(scene: &Scene) -> Result<Duration, String> {
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(binaries::exequatur()?);
    command.args(["audit", "verify", "--keys", "keys.json", "decisions.jsonl"]).current_dir(&scene.folder);
    let begun = Instant::now();
    let done = command.output().map_err(|error| error.to_string())?;
    let spent = begun.elapsed();
    if !done.status.success() {
        return Err(format!("what was written is not whole: {}", String::from_utf8_lossy(&done.stdout)));
    }
    Ok(spent)
}

//! What hours of mixed load with a fault every half minute leave behind (C-27).

use std::time::{Duration, Instant};

use exequatur_tests::orders::{command_at, with_orders};
use exequatur_tests::redis::Kind;
use exequatur_tests::traffic::{BEARERS_TOO, Load, Seen, Traffic};
use exequatur_tests::{Options, Stack};

use crate::figure::{Figure, Floor};
use crate::process;
use crate::shared::BothCores;

/// Between two faults.
const EVERY: Duration = Duration::from_secs(30);
/// How long Redis is away or stopped.
const AWAY: Duration = Duration::from_secs(2);
/// How long it may take until all clients are permitted again.
const WELL_WITHIN: Duration = Duration::from_secs(60);
/// The part of the samples that comes before memory has found its level.
const WARM_UP: f64 = 0.25;
/// The shortest run of which the growth of memory says anything.
const TELLING: Duration = Duration::from_secs(3600);
const MINUTES: &str = "SOAK_MINUTES";

/// What becomes of Redis, or is ordered, in turn.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    Stopped,
    Flushed,
    Orders,
}

const FAULTS: [Fault; 4] = [Fault::Killed, Fault::Stopped, Fault::Flushed, Fault::Orders];

/// Of both replicas together, once the fault before was over.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    resident: f64,
    files: usize,
}

/// `soak_…`: two replicas behind Envoy, on Redis, for `SOAK_MINUTES` (20).
pub(crate) async fn soak() -> Result<Vec<Figure>, String> {
    let minutes = std::env::var(MINUTES).map_or(Ok(20), |text| text.parse::<u64>());
    let lasting = Duration::from_secs(minutes.map_err(|error| format!("{MINUTES}: {error}"))? * 60);
    let _cores = BothCores::take()?;
    let options = Options {
        terse: true,
        timely: true,
        exequatur: BEARERS_TOO.to_vec(),
        ..Options::shared(Kind::Newest)
    };
    let mut stack = Stack::start(with_orders(options)).await?;
    let (begun, mut samples, mut seen) = (Instant::now(), Vec::new(), Seen { exchanges: Vec::new() });
    let mut traffic = Traffic::start(&stack, Load::USUAL);
    traffic.all_well(10).await;
    for (number, fault) in FAULTS.into_iter().cycle().enumerate() {
        if begun.elapsed() >= lasting {
            break;
        }
        // Tokens live for five minutes.
        if number > 0 && number % FAULTS.len() == 0 {
            seen.exchanges.extend(traffic.stop().await.exchanges);
            traffic = Traffic::start(&stack, Load::USUAL);
        }
        let next = Instant::now() + EVERY;
        bring_about(fault, &mut stack).await.map_err(|error| format!("{fault:?}: {error}"))?;
        let well = traffic.try_all_well(10, WELL_WITHIN).await;
        well.map_err(|lately| format!("not well after {fault:?} at {:?}: {lately}", begun.elapsed()))?;
        samples.push(sample(&stack, begun)?);
        tokio::time::sleep_until(next.into()).await;
    }
    seen.exchanges.extend(traffic.stop().await.exchanges);
    let after_warm_up = &samples[(samples.len() as f64 * WARM_UP) as usize..];
    let files = after_warm_up.iter().map(|sample| sample.files);
    let grown = files.clone().max().unwrap_or_default() - files.min().unwrap_or_default();
    let wrong = seen.wrong_permits(&stack.upstream);
    let growth = (lasting >= TELLING).then_some(Floor::AtMost(2.0));
    Ok(vec![
        Figure::alone("soak_requests", "requests", &[seen.exchanges.len() as f64], None),
        Figure::alone("soak_faults", "faults", &[samples.len() as f64], None),
        Figure::alone("soak_wrong_permits", "permits", &[wrong as f64], Some(Floor::AtMost(0.0))),
        Figure::alone(
            "soak_dead_ends",
            "answers",
            &[seen.dead_ends().len() as f64],
            Some(Floor::AtMost(0.0)),
        ),
        Figure::alone("soak_files_grown", "files", &[grown as f64], Some(Floor::AtMost(8.0))),
        Figure::alone("soak_resident_mib_per_h", "MiB/h, both", &[slope(after_warm_up)], growth),
    ])
}

async fn bring_about(fault: Fault, stack: &mut Stack) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    match fault {
        Fault::Killed => {
            stack.redis().kill().map_err(failed)?;
            tokio::time::sleep(AWAY).await;
            stack.redis().start_again().map_err(failed)
        }
        Fault::Stopped => {
            stack.redis().signal("STOP").map_err(failed)?;
            tokio::time::sleep(AWAY).await;
            stack.redis().signal("CONT").map_err(failed)
        }
        Fault::Flushed => stack.redis().say(&["FLUSHALL"]).map(drop).map_err(failed),
        Fault::Orders => {
            // Of somebody who is not there.
            for (socket, words) in [
                ("admin.sock", ["revoke", "agent"].as_slice()),
                ("second.sock", &["revoke", "undo", "agent"]),
            ] {
                let words = [words, &["corp:nobody", "--reason", "a soak", "--output", "json"]].concat();
                command_at(stack, socket, &words).await?.json()?;
            }
            Ok(())
        }
    }
}

fn sample(stack: &Stack, begun: Instant) -> Result<Sample, String> {
    let mut sample = Sample { at: begun.elapsed(), resident: 0.0, files: 0 };
    for id in stack.processes()? {
        sample.resident += process::resident(id)?;
        let files = std::fs::read_dir(format!("/proc/{id}/fd")).map_err(|error| error.to_string())?;
        sample.files += files.count();
    }
    Ok(sample)
}

/// By least squares, in MiB an hour.
fn slope(samples: &[Sample]) -> f64 {
    let count = samples.len() as f64;
    let hours = |sample: &Sample| sample.at.as_secs_f64() / 3600.0;
    let mib = |sample: &Sample| sample.resident / f64::from(1 << 20);
    let (x, y) =
        (samples.iter().map(hours).sum::<f64>() / count, samples.iter().map(mib).sum::<f64>() / count);
    let along: f64 = samples.iter().map(|sample| (hours(sample) - x) * (mib(sample) - y)).sum();
    along / samples.iter().map(|sample| (hours(sample) - x).powi(2)).sum::<f64>()
}

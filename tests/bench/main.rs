//! Measures what Exequatur costs, against ceilings in the same run, and writes `target/bench/figures.json`.
//!
//! Costs are processor time, as the system counts it, of a server pinned to one core; the load comes from the
//! other. Each figure is of interleaved pairs: ceiling, subject, ceiling, subject.
//!
//! `bench [--quick] [FIGURE …]`

#![expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that is due is small and positive"
)]

mod audit;
mod boards;
mod capacity;
mod cost;
mod envoy;
mod figure;
mod flood;
mod load;
mod memory;
mod process;
mod revocation;
mod rolling;
mod scene;
mod shared;
mod soak;
mod ten_million;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use figure::Figure;
use scene::Size;

/// Where the measured server runs, and where everything else does.
pub(crate) const SERVER_CORE: &str = "0";
pub(crate) const LOAD_CORE: &str = "1";
pub(crate) const BOTH_CORES: &str = "0,1";
/// Set in the process that measures, once it is on its core.
const PINNED: &str = "EXEQUATUR_BENCH_PINNED";

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Measured pairs; one more comes first and is thrown away.
    pub(crate) pairs: usize,
    /// Requests in each half of a pair.
    pub(crate) requests: usize,
    /// Proofs that live at once when their memory is measured.
    pub(crate) live_proofs: usize,
    /// Orders of which it is measured when they are obeyed.
    pub(crate) orders: usize,
    /// Revocations of which the costs are measured.
    pub(crate) revocations: u64,
}

impl Effort {
    fn times(self, factor: usize) -> Self {
        Self { requests: self.requests * factor, ..self }
    }
}

const FIGURES: &[&str] = &[
    "dpop_memory",
    "bearer_cached",
    "policies_10000",
    "tenants_100k",
    "issuers_100",
    "envoy_added_p50_us",
    "jwt_authn_ratio",
    "connections_1_to_8",
    "overload_2x",
    "overload_4x",
    "memory_idle_mib",
    "memory_per_proof_b",
    "memory_per_token_b",
    "redis_ratio",
    "replay_race_permits",
    "redis_down",
    "tenants_hot",
    "revocation_p99_ms",
    "redis_down_degraded_permits",
    "revocations_10m",
    "orders_flood_p99_us",
    "audit_ratio",
    "audit_required_ratio",
    "rolling_restart_failed",
];

/// Only where they are named.
const SOAK: &str = "soak";
const BOARDS: &str = "boards";
const NAMED: [&str; 2] = [SOAK, BOARDS];

fn main() -> ExitCode {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if let Ok(aim) = std::env::var(flood::FLOOD) {
        return runtime().block_on(flood::run(&aim)).map_or(ExitCode::from(2), |()| ExitCode::SUCCESS);
    }
    if std::env::var_os(PINNED).is_none() {
        return pinned();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    let effort = if quick {
        Effort { pairs: 3, requests: 6000, live_proofs: 60_000, orders: 40, revocations: 1_000_000 }
    } else {
        Effort { pairs: 5, requests: 20_000, live_proofs: 1_000_000, orders: 200, revocations: 10_000_000 }
    };
    match runtime().block_on(run(&names, effort)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs this program again on the core of the load.
fn pinned() -> ExitCode {
    let this = std::env::current_exe().expect("this program has a path");
    let status = Command::new("taskset")
        .args(["-c", LOAD_CORE])
        .arg(this)
        .args(std::env::args_os().skip(1))
        .env(PINNED, "1")
        .status();
    match status {
        Ok(status) => ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)),
        Err(error) => {
            eprintln!("bench: taskset: {error}");
            ExitCode::from(2)
        }
    }
}

async fn run(names: &[&str], effort: Effort) -> Result<bool, String> {
    if let Some(unknown) = names.iter().find(|name| !FIGURES.contains(name) && !NAMED.contains(name)) {
        let all = [FIGURES, &NAMED].concat().join(", ");
        return Err(format!("there is no figure `{unknown}`; there are {all}"));
    }
    let folder = target().join("bench");
    let mut figures: Vec<Figure> = Vec::new();
    println!("{}", figure::head());
    let usual = FIGURES.iter().filter(|name| names.is_empty() || names.contains(name));
    for name in usual.chain(names.iter().filter(|name| NAMED.contains(name))) {
        let scene = folder.join(name);
        drop(std::fs::remove_dir_all(&scene));
        std::fs::create_dir_all(&scene).map_err(|error| error.to_string())?;
        let measured = measure(name, &scene, effort).await.map_err(|error| format!("{name}: {error}"))?;
        measured.iter().for_each(|figure| println!("{}", figure.line()));
        figures.extend(measured);
    }
    let document = format!("{:#}\n", figure::document(&figures));
    let file = folder.join("figures.json");
    std::fs::write(&file, document).map_err(|error| error.to_string())?;
    println!("written to {}", file.display());
    Ok(figures.iter().all(Figure::kept))
}

async fn measure(name: &str, folder: &std::path::Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let usual = Size::USUAL;
    let one = match name {
        "dpop_memory" => return cost::dpop_memory(folder, effort).await,
        "bearer_cached" => cost::bearer_cached(folder, effort).await,
        "policies_10000" => {
            let (small, big) = (Size { policies: 10, ..usual }, Size { policies: 10_000, ..usual });
            cost::growth(folder, "policies_10000", small, big, effort).await
        }
        "tenants_100k" => {
            let small = Size { tokens: 100_000, ..usual };
            cost::growth(folder, "tenants_100k", small, Size { tenants: 100_000, ..small }, effort).await
        }
        "issuers_100" => {
            let small = Size { tokens: 5_000, ..usual };
            cost::growth(folder, "issuers_100", small, Size { issuers: 100, ..small }, effort).await
        }
        "envoy_added_p50_us" => return envoy::added(folder, effort).await,
        "jwt_authn_ratio" => envoy::against_jwt_authn(folder, effort).await,
        "connections_1_to_8" => capacity::connections(folder, effort).await,
        "overload_2x" => return capacity::overload(folder, effort, 2.0).await,
        "overload_4x" => return capacity::overload(folder, effort, 4.0).await,
        "memory_idle_mib" => memory::idle(folder).await,
        "memory_per_proof_b" => memory::per_proof(folder, effort).await,
        "redis_ratio" => return shared::ratio(folder, effort).await,
        "replay_race_permits" => shared::race().await,
        "redis_down" => return shared::down(effort).await,
        "tenants_hot" => return shared::hot_tenant(folder, effort).await,
        "memory_per_token_b" => memory::per_token(folder).await,
        "revocation_p99_ms" => return revocation::obeyed(effort).await,
        "redis_down_degraded_permits" => revocation::bearer_without_redis().await,
        "audit_ratio" => return audit::best_effort(folder, effort).await,
        "audit_required_ratio" => return audit::required(folder, effort).await,
        "orders_flood_p99_us" => flood::measure(folder, effort).await,
        "rolling_restart_failed" => return rolling::restarts().await,
        SOAK => return soak::soak().await,
        BOARDS => return boards::boards(folder).await,
        "revocations_10m" => return ten_million::measure(folder, effort).await,
        _ => Err("not measured".to_owned()),
    };
    Ok(vec![one?])
}

/// The folder that this program was built in.
fn target() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    this.ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}

//! What a shared store costs, and what becomes of requests while it is away.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use exequatur_tests::jwt::random_id;
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis};
use exequatur_tests::traffic::{BEARERS_TOO, Exchange, Load, Seen, Traffic, Who};
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::Value;

use crate::capacity::at;
use crate::cost::cost;
use crate::figure::{Figure, Floor};
use crate::load::{closed, connect, open};
use crate::process;
use crate::scene::{Scene, Size, Subject};
use crate::{BOTH_CORES, Effort, LOAD_CORE, SERVER_CORE};

const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 4;
/// Proofs from before the memory of a tenant began are in doubt: those of this second, and of the future that is let pass.
const DOUBT: Duration = Duration::from_millis(2500);
/// Copies of one proof.
const COPIES: usize = 1000;
/// How long Redis is away, less than what is revoked may be unheard of.
const AWAY: Duration = Duration::from_secs(2);
/// Tenants of `tenants_hot`, requests a second in all, and the share of the hot one.
const TENANTS: usize = 10_000;
const RATE: f64 = 3000.0;
const HOT: f64 = 0.95;
/// Seconds for which each half of a pair lasts.
const LASTING: f64 = 5.0;

/// `redis_ratio`: processor time of a decision with a fresh proof, with the embedded store and with Redis, whose own time is
/// not counted, and stands in `redis_own_us`: its inverse is what one tenant can ask, who lies on one shard.
/// `redis_round_trips`: scripts that Redis has run for each decision, as it counts them.
pub(crate) async fn ratio(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let store = Store::start()?;
    let embedded = Scene::new(&folder.join("embedded"), Size::USUAL)?;
    let shared = Scene::new(&folder.join("shared"), Size { redis: Some(store.port), ..Size::USUAL })?;
    let (with_embedded, with_redis) = (embedded.start(SERVER_CORE).await?, shared.start(SERVER_CORE).await?);
    begin(&with_redis, &shared, Size::USUAL.tokens).await?;
    let (mut pairs, mut trips, mut own_time) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=effort.pairs {
        let own = cost(&with_embedded, &embedded.requests(effort.requests)).await?;
        say(&store.redis, &["CONFIG", "RESETSTAT"])?;
        let before = process::cpu(store.redis.pid());
        let theirs = cost(&with_redis, &shared.requests(effort.requests)).await?;
        if round > 0 {
            pairs.push((own, theirs));
            let took = process::cpu(store.redis.pid()).saturating_sub(before);
            own_time.push(took.as_secs_f64() * 1e6 / effort.requests as f64);
            trips.push(calls(&store.redis, "evalsha")? / effort.requests as f64);
        }
    }
    if trips.iter().any(|trips| *trips < 1.0) {
        return Err(format!("not every decision asked Redis: {trips:?}"));
    }
    let ratio = |own: f64, theirs: f64| own / theirs;
    Ok(vec![
        Figure::of_pairs("redis_ratio", "us/decision", &pairs, ratio, Floor::AtLeast(0.80)),
        Figure::alone("redis_own_us", "us/decision", &own_time, None),
        Figure::alone("redis_round_trips", "trips", &trips, Some(Floor::AtMost(1.0))),
    ])
}

/// `replay_race_permits`: of as many copies of one proof, sent at once over as many connections to two replicas behind Envoy.
pub(crate) async fn race() -> Result<Figure, String> {
    let _cores = BothCores::take()?;
    let stack = Stack::start(Options { terse: true, ..Options::shared(Kind::Newest) }).await?;
    let mut permits = Vec::new();
    for _ in 0..3 {
        let holder = stack.holder(&Value::Null).await?;
        let request = holder.sign(Raw::new("GET", DOCUMENT));
        let before = stack.upstream.received().len();
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..COPIES {
            let (caller, request) = (stack.raw(Version::Http1), request.clone());
            asked.spawn(async move { caller.send(&request).await.map(|answer| answer.status) });
        }
        let answers = asked.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        // Some may find that too much comes at once.
        if let Some(other) = answers.iter().find(|status| ![200, 401, 503].contains(*status)) {
            return Err(format!("an answer was {other}"));
        }
        let replays = answers.iter().filter(|status| **status == 401).count();
        if replays < COPIES / 2 {
            return Err(format!("only {replays} copies were taken for replays"));
        }
        permits.push((stack.upstream.received().len() - before) as f64);
    }
    if permits.iter().any(|permits| *permits < 1.0) {
        return Err("nobody was permitted".to_owned());
    }
    let most = permits.into_iter().fold(0.0, f64::max);
    Ok(Figure::alone("replay_race_permits", "permits", &[most], Some(Floor::AtMost(1.0))))
}

/// `redis_down_…`: Redis is killed and started again under some 500 requests a second to two replicas behind Envoy.
pub(crate) async fn down(effort: Effort) -> Result<Vec<Figure>, String> {
    let _cores = BothCores::take()?;
    let options = Options {
        terse: true,
        timely: true,
        exequatur: BEARERS_TOO.to_vec(),
        ..Options::shared(Kind::Newest)
    };
    let mut stack = Stack::start(options).await?;
    let traffic = Traffic::start(&stack, Load::USUAL);
    traffic.all_well(10).await;
    let mut outages = Vec::new();
    for _ in 0..effort.pairs {
        let killed = Instant::now();
        stack.redis().kill().map_err(|error| error.to_string())?;
        tokio::time::sleep(AWAY).await;
        stack.redis().start_again().map_err(|error| error.to_string())?;
        let back = Instant::now();
        traffic.all_well(10).await;
        outages.push((killed, back));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let seen = traffic.stop().await;
    if let Some(dead_end) = seen.dead_ends().first() {
        return Err(format!("a client was told what it cannot go on from: {dead_end:?}"));
    }
    let (mut p99, mut recovery, mut bearers, mut rates) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (number, (killed, back)) in outages.iter().enumerate() {
        let away: Vec<_> = within(&seen, *killed, *back).collect();
        rates.push(away.len() as f64 / back.duration_since(*killed).as_secs_f64());
        let mut took: Vec<_> = away.iter().map(|one| one.took).collect();
        took.sort_unstable();
        p99.push(at(&took, 0.99).as_secs_f64() * 1e3);
        let asked = away.iter().filter(|one| one.who == Who::Bearer).count();
        let permitted = away.iter().filter(|one| one.who == Who::Bearer && one.status == 200).count();
        bearers.push(permitted as f64 / asked as f64);
        let next = outages.get(number + 1).map_or_else(Instant::now, |(killed, _)| *killed);
        let refused = within(&seen, *back, next).filter(|one| one.who == Who::Honest && one.status != 200);
        let last = refused.map(|one| one.at.duration_since(*back)).max().unwrap_or_default();
        recovery.push(last.as_secs_f64() * 1e3);
    }
    let wrong = seen.wrong_permits(&stack.upstream) as f64;
    Ok(vec![
        Figure::alone("redis_down_requests", "requests/s", &rates, None),
        Figure::alone("redis_down_wrong_permits", "permits", &[wrong], Some(Floor::AtMost(0.0))),
        Figure::alone("redis_down_p99_ms", "ms, p99", &p99, Some(Floor::AtMost(50.0))),
        Figure::alone("redis_down_bearer_permits", "share", &bearers, Some(Floor::AtLeast(0.99))),
        Figure::alone("redis_recovery_ms", "ms", &recovery, Some(Floor::AtMost(2000.0))),
    ])
}

fn within(seen: &Seen, from: Instant, to: Instant) -> impl Iterator<Item = &Exchange> {
    seen.exchanges.iter().filter(move |one| from <= one.at && one.at < to)
}

/// `tenants_hot_…`: of ten thousand tenants on Redis one sends most of the load; what the others see then, against what they
/// see when as much comes from all alike.
pub(crate) async fn hot_tenant(folder: &Path, effort: Effort) -> Result<Vec<Figure>, String> {
    let store = Store::start()?;
    let size =
        Size { tenants: TENANTS, tokens: TENANTS, redis: Some(store.port), deadline: "150ms", ..Size::USUAL };
    let scene = Scene::new(folder, size)?;
    let subject = scene.start(SERVER_CORE).await?;
    begin(&subject, &scene, TENANTS).await?;
    let (others, rest) =
        (connect(subject.grpc, CONNECTIONS).await?, connect(subject.grpc, CONNECTIONS).await?);
    let rates = (RATE * (1.0 - HOT), RATE * HOT);
    let (few, many) = ((rates.0 * LASTING) as usize, (rates.1 * LASTING) as usize);
    let (mut pairs, mut errors) = (Vec::new(), 0);
    for round in 0..=effort.pairs.min(3) {
        let mut seen = [0.0; 2];
        for (hot, seen) in seen.iter_mut().enumerate() {
            let of_others = scene.requests_from(1 + round * few, few);
            let crowd = if hot == 1 { scene.requests_of(0, many) } else { scene.requests_from(round, many) };
            let (outcome, _) = tokio::join!(open(&others, &of_others, rates.0), open(&rest, &crowd, rates.1));
            *seen = at(&outcome.latency, 0.99).as_secs_f64() * 1e3;
            if round > 0 && hot == 1 {
                errors += outcome.shed + outcome.other;
            }
        }
        if round > 0 {
            pairs.push((seen[0], seen[1]));
        }
    }
    let ratio = |even: f64, hot: f64| hot / even;
    Ok(vec![
        Figure::of_pairs("tenants_hot_p99_ms", "ms, p99", &pairs, ratio, Floor::AtMost(2.0)),
        Figure::alone("tenants_hot_errors", "refusals", &[errors as f64], Some(Floor::AtMost(0.0))),
    ])
}

/// A Redis on the core of the load.
struct Store {
    redis: Redis,
    port: u16,
    /// Temporary, since the path of its socket has to be short.
    folder: PathBuf,
    _reserved: Reserved,
}

impl Store {
    fn start() -> Result<Self, String> {
        let reserved = Reserved::block().map_err(|error| error.to_string())?;
        let [port, ..] = reserved.all();
        let folder = std::env::temp_dir().join(format!("exequatur-bench-{}", random_id()));
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let redis =
            Redis::start(Kind::Newest, &folder, Some(port), &[]).map_err(|error| error.to_string())?;
        Ok(Self { redis, port, folder, _reserved: reserved })
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// Begins the memory of each tenant, and waits until proofs are beyond doubt.
async fn begin(subject: &Subject, scene: &Scene, tenants: usize) -> Result<(), String> {
    let clients = connect(subject.grpc, CONNECTIONS).await?;
    closed(&clients, &scene.requests(tenants), IN_FLIGHT).await;
    tokio::time::sleep(DOUBT).await;
    Ok(())
}

fn say(redis: &Redis, words: &[&str]) -> Result<String, String> {
    redis.say(words).map_err(|error| error.to_string())
}

/// How often clients have called a command since the counts were reset.
fn calls(redis: &Redis, command: &str) -> Result<f64, String> {
    let stats = say(redis, &["INFO", "commandstats"])?;
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    let count = line.and_then(|line| line.split(',').next()).and_then(|count| count.parse().ok());
    count.ok_or_else(|| format!("no count of {command} in {stats}"))
}

/// While it lives, this process and what it starts may run on both cores: a whole stack is measured.
pub(crate) struct BothCores;

impl BothCores {
    pub(crate) fn take() -> Result<Self, String> {
        run_on(BOTH_CORES).map(|()| Self)
    }
}

impl Drop for BothCores {
    fn drop(&mut self) {
        drop(run_on(LOAD_CORE));
    }
}

fn run_on(cores: &str) -> Result<(), String> {
    let this = std::process::id().to_string();
    let done = Command::new("taskset").args(["-acp", cores, &this]).output();
    let done = done.map_err(|error| format!("taskset: {error}"))?;
    if done.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&done.stderr).into_owned()) }
}

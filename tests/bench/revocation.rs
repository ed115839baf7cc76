//! How soon an order is obeyed by every replica, and how long callers with bearer tokens go on without Redis.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use exequatur_tests::orders::with_orders;
use exequatur_tests::redis::Kind;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::figure::{Figure, Floor};
use crate::{BOTH_CORES, Effort, LOAD_CORE};

/// Callers, each with one request at a time, all the time.
const CALLERS: usize = 8;
/// Permits before an order is given, so that both replicas know the token.
const BEFORE: usize = 40;
/// For how long it is looked whether any passes after the answer: longer than may be.
const AFTER: Duration = Duration::from_millis(400);

/// `revocation_p99_ms`: from the answer to the start of the last permitted decision of two replicas, as their records
/// say it; the same of one replica with the embedded store; and how long an order takes.
pub(crate) async fn obeyed(effort: Effort) -> Result<Vec<Figure>, String> {
    let _unpinned = Unpinned::new()?;
    let shared = trials(Options { terse: true, ..Options::shared(Kind::Newest) }, effort.orders).await?;
    let alone = trials(Options { terse: true, ..Options::default() }, effort.orders).await?;
    let p99 = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.get((sorted.len() * 99).div_ceil(100) - 1).copied().unwrap_or(f64::NAN)
    };
    let bound = Some(Floor::AtMost(250.0));
    Ok(vec![
        Figure::alone("revocation_p99_ms", "ms", &[p99(&shared.last_permit)], bound),
        Figure::alone("revocation_max_ms", "ms", &[max(&shared.last_permit)], None),
        Figure::alone("revocation_order_p99_ms", "ms", &[p99(&shared.order)], None),
        Figure::alone("revocation_embedded_p99", "ms", &[p99(&alone.last_permit)], bound),
        Figure::alone("embedded_order_p99_ms", "ms", &[p99(&alone.order)], None),
    ])
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Of each order: when the last permitted decision began after its answer, and how long the answer took.
struct Trials {
    last_permit: Vec<f64>,
    order: Vec<f64>,
}

async fn trials(options: Options, orders: usize) -> Result<Trials, String> {
    let stack = Stack::start(with_orders(options)).await?;
    let sockets = ["admin.sock", "second.sock"].map(|name| stack.folder().join(name));
    let mut clients = Vec::new();
    for socket in sockets.into_iter().filter(|socket| socket.exists()) {
        let client = reqwest::Client::builder().unix_socket(socket).no_proxy().build();
        clients.push(client.map_err(|error| error.to_string())?);
    }
    let agent = Agent::new();
    let (token, permits, over) = (RefCell::new(String::new()), Cell::new(0_usize), Cell::new(false));
    let (mut answered, mut order) = (Vec::new(), Vec::new());
    let ordering = async {
        for number in 0..orders {
            let id = format!("trial-{number}");
            *token.borrow_mut() = stack.tokens.token(&agent, &json!({ "jti": id }));
            permits.set(0);
            let patience = Instant::now();
            while permits.get() < BEFORE {
                if patience.elapsed() > Duration::from_secs(20) {
                    return Err("callers are not permitted".to_owned());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let body =
                json!({ "kind": "token", "name": format!("corp:{id}"), "reason": "a trial" }).to_string();
            let client = &clients[number % clients.len()];
            let begun = Instant::now();
            let sent = client
                .post("http://exequatur/v1/revocations")
                .header("content-type", "application/json")
                .body(body)
                .send()
                .await;
            let answer =
                sent.map_err(|error| error.to_string())?.text().await.map_err(|error| error.to_string())?;
            answered.push(Timestamp::now());
            order.push(begun.elapsed().as_secs_f64() * 1e3);
            let answer: Value =
                serde_json::from_str(&answer).map_err(|error| format!("{error}: {answer}"))?;
            if answer["changed"] != true || answer["behind"].as_u64().unwrap_or(0) > 0 {
                return Err(format!("the order was answered with {answer}"));
            }
            tokio::time::sleep(AFTER).await;
        }
        over.set(true);
        Ok(())
    };
    let url = stack.url(DOCUMENT);
    let call = Call::new("GET", &url);
    let caller = || async {
        while !over.get() {
            let held = token.borrow().clone();
            if held.is_empty() {
                tokio::task::yield_now().await;
                continue;
            }
            let answer = stack.call(&agent, &held, &call).await?;
            // It may be of the token before.
            permits.set(permits.get() + usize::from(answer.status == 200 && *token.borrow() == held));
        }
        Ok::<_, String>(())
    };
    let calling = async {
        let callers = std::array::from_fn::<_, CALLERS, _>(|_| caller());
        for ended in join(callers).await {
            ended?;
        }
        Ok::<_, String>(())
    };
    tokio::try_join!(ordering, calling)?;
    let last_permit = last_permits(&stack, &answered).await?;
    Ok(Trials { last_permit, order })
}

/// All at once.
pub(crate) async fn join<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, ended) in &mut running {
            if ended.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *ended = Some(output);
            }
        }
        let all = running.iter().all(|(_, ended)| ended.is_some());
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, ended)| ended).collect()
}

/// When the last permitted decision of each token began, in milliseconds after its order was answered; negative if it was
/// before.
async fn last_permits(stack: &Stack, answered: &[Timestamp]) -> Result<Vec<f64>, String> {
    let mut records = stack.records().await?;
    records.extend(stack.records_of_second().await.unwrap_or_default());
    if records.iter().any(|record| record.get("gap").is_some()) {
        return Err("records are missing".to_owned());
    }
    // First and last permit of each token. Tokens were used one after the other.
    let mut permits: HashMap<String, (Timestamp, Timestamp)> = HashMap::new();
    for record in records.iter().filter(|record| record["verdict"] == "permit") {
        let time = record["time"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
        let digest = record["controls"]["token"]["digest"].as_str();
        let (Some(time), Some(digest)) = (time, digest) else { return Err(format!("odd record {record}")) };
        let entry = permits.entry(digest.to_owned()).or_insert((time, time));
        *entry = (entry.0.min(time), entry.1.max(time));
    }
    let mut permits: Vec<_> = permits.into_values().collect();
    permits.sort_unstable();
    if permits.len() != answered.len() {
        return Err(format!("{} tokens were permitted, {} were revoked", permits.len(), answered.len()));
    }
    let late = |(last, answered): (Timestamp, &Timestamp)| last.duration_since(*answered).as_secs_f64() * 1e3;
    Ok(permits.into_iter().map(|(_, last)| last).zip(answered).map(late).collect())
}

/// Silence after which a replica goes on in degraded mode, and the end of that, from when it last heard.
const DEGRADED_UNTIL: Duration = Duration::from_secs(10);
/// A replica may have heard the last time that long before the end of Redis.
const HEARD_BEFORE: Duration = Duration::from_millis(1500);

/// `redis_down_degraded_permits`: the share of honest requests with bearer tokens that are permitted from when Redis is killed
/// until the end of `max_staleness` and of `degrade_for`. After it, they have to be denied.
pub(crate) async fn bearer_without_redis() -> Result<Figure, String> {
    let _unpinned = Unpinned::new()?;
    let options = Options {
        terse: true,
        timely: true,
        exequatur: vec![
            ("require: any", "require: none"),
            ("    sender_constraint: dpop\n", ""),
            ("timeout: 25ms }", "timeout: 25ms, max_staleness: 5s, stale: degrade, degrade_for: 10s }"),
        ],
        ..Options::shared(Kind::Newest)
    };
    let mut stack = Stack::start(options).await?;
    let agent = Agent::new();
    let bearer = format!("Bearer {}", stack.tokens.token(&agent, &json!({ "cnf": null })));
    let url = stack.url(DOCUMENT);
    let call = Call::new("GET", &url);
    for _ in 0..BEFORE {
        stack.send(&call, Some(&bearer), None).await?;
    }
    stack.redis().kill().map_err(|error| error.to_string())?;
    let killed = Instant::now();
    let (asked, permitted) = (Cell::new(0_usize), Cell::new(0_usize));
    let caller = || async {
        while killed.elapsed() < DEGRADED_UNTIL - HEARD_BEFORE {
            let answer = stack.send(&call, Some(&bearer), None).await?;
            asked.set(asked.get() + 1);
            permitted.set(permitted.get() + usize::from(answer.status == 200));
            // Some hundred a second.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok::<_, String>(())
    };
    for ended in join(std::array::from_fn::<_, CALLERS, _>(|_| caller())).await {
        ended?;
    }
    let mut denied = 0;
    while denied < BEFORE {
        let answer = stack.send(&call, Some(&bearer), None).await?;
        denied = if answer.reason == "state_stale" { denied + 1 } else { 0 };
        if killed.elapsed() > DEGRADED_UNTIL + HEARD_BEFORE {
            return Err("requests were permitted on after the bound".to_owned());
        }
    }
    let share = permitted.get() as f64 / asked.get() as f64;
    Ok(Figure::alone("redis_down_degraded_permits", "share", &[share], Some(Floor::AtLeast(0.99))))
}

/// While this lives, this program and what it starts run on both cores: replicas, Envoy, Redis and callers.
struct Unpinned;

impl Unpinned {
    fn new() -> Result<Self, String> {
        pin(BOTH_CORES).map(|()| Self)
    }
}

impl Drop for Unpinned {
    fn drop(&mut self) {
        drop(pin(LOAD_CORE));
    }
}

fn pin(cores: &str) -> Result<(), String> {
    let id = std::process::id().to_string();
    let output = Command::new("taskset").args(["-a", "-c", "-p", cores, &id]).output();
    let output = output.map_err(|error| format!("taskset: {error}"))?;
    if output.status.success() { Ok(()) } else { Err("taskset failed".to_owned()) }
}

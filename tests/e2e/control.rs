//! Orders to one of two replicas under load: what the order's answer reports is what the upstream saw, whatever is stopped;
//! and it holds when both replicas and Redis have been restarted.

use std::cell::RefCell;
use std::time::Duration;

use exequatur_tests::orders::{command_at, with_orders};
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis};
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, in_time};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Calls that have to pass before something is stopped, so that each replica has permitted some.
const BEFORE: usize = 12;
/// For how long it is looked whether any passes afterwards.
const AFTER: Duration = Duration::from_millis(300);
/// Records tell milliseconds.
const ROUNDED: Duration = Duration::from_millis(2);

struct World {
    stack: Stack,
    redis: Redis,
    _home: TempDir,
    _ports: Reserved,
}

impl World {
    /// Two replicas on a Redis that keeps what it is told before it answers.
    async fn start() -> Self {
        let (home, ports) = (tempfile::tempdir().unwrap(), Reserved::block().unwrap());
        let [port, ..] = ports.all();
        let kept = ["--appendonly", "yes", "--appendfsync", "always"];
        let redis = Redis::start(Kind::Newest, home.path(), Some(port), &kept).unwrap();
        let store = format!("url: \"redis://127.0.0.1:{port}\", timeout: 2s");
        let options =
            Options { store: Some(store), redis: None, terse: true, ..Options::shared(Kind::Newest) };
        Self { stack: Stack::start(with_orders(options)).await.unwrap(), redis, _home: home, _ports: ports }
    }

    async fn order(&self, socket: &str, words: &[&str]) -> Value {
        let words: Vec<_> = words.iter().copied().chain(["--reason", "a test", "--output", "json"]).collect();
        command_at(&self.stack, socket, &words).await.unwrap().json().unwrap()
    }

    async fn call(&self, agent: &Agent, token: &str) -> (u16, String) {
        let url = self.stack.url(DOCUMENT);
        let answer = self.stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
        (answer.status, answer.reason)
    }

    async fn restart_all(&mut self) {
        self.redis.kill().unwrap();
        self.redis.start_again().unwrap();
        self.stack.restart_exequatur().await.unwrap();
        self.stack.restart_second().await.unwrap();
        self.stack.until_stores_are_up().await.unwrap();
    }
}

/// Everything that can stop one caller: the order, what takes it back, and the reason that callers are given.
fn stops(thumbprint: &str) -> Vec<(Vec<String>, Vec<String>, &'static str)> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    [
        ("revoke token corp:t-1", "revoke undo token corp:t-1", "token_revoked"),
        ("revoke key KEY", "revoke undo key KEY", "key_revoked"),
        ("revoke agent corp:crm-bot", "revoke undo agent corp:crm-bot", "agent_revoked"),
        ("agents suspend corp:crm-bot", "agents resume corp:crm-bot", "agent_suspended"),
        ("revoke user corp:alice", "revoke undo user corp:alice", "user_revoked"),
        ("revoke user corp:alice --not-before now", "revoke undo user corp:alice", "user_revoked"),
        ("revoke session corp:s-1", "revoke undo session corp:s-1", "session_revoked"),
        ("revoke client corp:crm-bot", "revoke undo client corp:crm-bot", "client_revoked"),
        ("revoke tenant acme --yes", "revoke undo tenant acme", "tenant_revoked"),
        ("revoke issuer corp --yes", "revoke undo issuer corp", "issuer_revoked"),
        ("kill --tenant acme --yes", "revoke undo tenant acme", "tenant_revoked"),
        ("kill --all --yes", "revoke undo all", "killed"),
    ]
    .map(|(stop, undo, reason)| {
        (words(&stop.replace("KEY", thumbprint)), words(&undo.replace("KEY", thumbprint)), reason)
    })
    .into()
}

/// A call: when it began, and what came of it.
type Called = (Timestamp, u16, String);

/// D-06, D-07, E-09: from the answer on nothing passes at either replica, and no replica permits after the instant that the
/// answer names for the last of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_order_reports_is_what_the_upstream_saw() {
    let world = World::start().await;
    let agent = Agent::new();
    let token = world.stack.tokens.token(&agent, &json!({ "jti": "t-1", "sid": "s-1" }));
    let thumbprint = agent.confirmation()["jkt"].as_str().unwrap().to_owned();
    let (calls, over) = (RefCell::new(Vec::<Called>::new()), RefCell::new(false));
    let caller = || async {
        while !*over.borrow() {
            let begun = Timestamp::now();
            let (status, reason) = world.call(&agent, &token).await;
            calls.borrow_mut().push((begun, status, reason));
        }
    };
    let passed_since = |from: usize| calls.borrow().iter().skip(from).filter(|call| call.1 == 200).count();
    let ordering = async {
        for (number, (stop, undo, reason)) in stops(&thumbprint).iter().enumerate() {
            let from = calls.borrow().len();
            in_time("callers pass", async {
                while passed_since(from) < BEFORE {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            let socket = ["admin.sock", "second.sock"][number % 2];
            let stop: Vec<_> = stop.iter().map(String::as_str).collect();
            let done = world.order(socket, &stop).await;
            let answered = Timestamp::now();
            tokio::time::sleep(AFTER).await;
            let since: Vec<Called> =
                calls.borrow().iter().filter(|call| call.0 >= answered).cloned().collect();
            assert!(!since.is_empty() && since.iter().all(|call| call.2 == *reason), "{stop:?}: {since:?}");
            check_report(&world.stack, &done, number).await;
            let undo: Vec<_> = undo.iter().map(String::as_str).collect();
            assert_eq!(world.order(socket, &undo).await["changed"], true, "{undo:?}");
        }
        *over.borrow_mut() = true;
    };
    tokio::join!(ordering, caller(), caller(), caller(), caller());
    let passed = calls.borrow().iter().filter(|call| call.1 == 200).count();
    assert_eq!(
        world.stack.upstream.received().len(),
        passed,
        "the upstream saw what passed, and nothing else"
    );
}

/// The answer names both replicas, and neither has permitted anything that began after the instant it names.
async fn check_report(stack: &Stack, done: &Value, number: usize) {
    let replicas = done["replicas"].as_array().unwrap();
    assert_eq!((replicas.len(), &done["behind"]), (2, &json!(0)), "{done}");
    let after: Vec<_> = replicas.iter().map(|replica| replica["after_ms"].as_u64().unwrap()).collect();
    let (first, second) = (stack.records().await.unwrap(), stack.records_of_second().await.unwrap());
    let of = |records: &[Value]| records.iter().find(|one| one["admin"] == done["order"]).cloned();
    let order = if number.is_multiple_of(2) { of(&first) } else { of(&second) }.unwrap();
    let at = |record: &Value| record["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let had = Duration::from_millis(after.into_iter().max().unwrap()) + ROUNDED;
    let until = at(&order).checked_add(had).unwrap();
    for records in [&first, &second] {
        let late: Vec<_> =
            records.iter().filter(|one| one["verdict"] == "permit" && at(one) > until).collect();
        assert!(late.is_empty(), "{order} {late:?}");
    }
}

/// D-07, C-09: each kind holds once both replicas and Redis have been restarted, and is taken back afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stopped_stays_so_when_everything_is_restarted() {
    let mut world = World::start().await;
    let agent = Agent::new();
    let named = Agent::new();
    let thumbprint = named.confirmation()["jkt"].as_str().unwrap().to_owned();
    // Each is stopped by one thing alone.
    let narrow = [
        ("token corp:t-1", json!({ "jti": "t-1" }), "token_revoked"),
        ("key KEY", json!({}), "key_revoked"),
        (
            "agent corp:planner",
            json!({ "act": { "sub": "crm-bot", "act": { "sub": "planner" } } }),
            "agent_revoked",
        ),
        ("user corp:bob", json!({ "sub": "bob" }), "user_revoked"),
        ("session corp:s-1", json!({ "sid": "s-1" }), "session_revoked"),
    ];
    let tokens: Vec<_> = narrow
        .iter()
        .map(|(what, claims, reason)| {
            let holder = if what.starts_with("key") { &named } else { &agent };
            (holder, world.stack.tokens.token(holder, claims), *reason)
        })
        .collect();
    let other = world.stack.tokens.token(&agent, &Value::Null);
    for (what, _, _) in &narrow {
        let what = format!("revoke {}", what.replace("KEY", &thumbprint));
        world.order("admin.sock", &what.split(' ').collect::<Vec<_>>()).await;
    }
    world.restart_all().await;
    for _each_replica in 0..4 {
        for (holder, token, reason) in &tokens {
            assert_eq!(world.call(holder, token).await.1, *reason);
        }
        assert_eq!(world.call(&agent, &other).await, (200, String::new()));
    }
    // The widest last: what is narrower is told first, as long as it holds.
    let wide = [
        ("revoke client corp:crm-bot", "revoke undo client corp:crm-bot", "client_revoked"),
        ("kill --tenant acme --yes", "revoke undo tenant acme", "tenant_revoked"),
        ("revoke issuer corp --yes", "revoke undo issuer corp", "issuer_revoked"),
        ("kill --all --yes", "revoke undo all", "killed"),
    ];
    for (stop, _, _) in wide {
        world.order("second.sock", &stop.split(' ').collect::<Vec<_>>()).await;
    }
    world.restart_all().await;
    for (_, undo, reason) in wide {
        for _each_replica in 0..4 {
            assert_eq!(world.call(&agent, &other).await.1, reason);
        }
        world.order("admin.sock", &undo.split(' ').collect::<Vec<_>>()).await;
    }
    assert_eq!(world.call(&agent, &other).await, (200, String::new()));
}

//! Limits that are set otherwise at the admin socket while Exequatur runs, and what becomes of requests through Envoy.

use exequatur_tests::orders::{self, command_at, with_orders};
use exequatur_tests::redis::Kind;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, in_time};
use serde_json::{Value, json};

/// Windows so long that nothing comes back while a test runs.
const LIMITS: &str = "limits:
  - { name: burst, per: agent, rate: 1/h, burst: 1000 }
  - { name: month, per: tenant, quota: 1000/month }
records: {";

fn options(mut options: Options) -> Options {
    options.exequatur.push(("records: {", LIMITS));
    with_orders(options)
}

async fn order(stack: &Stack, words: &[&str]) -> Value {
    orders::order(stack, words).await.unwrap()
}

async fn status(stack: &Stack, agent: &Agent, token: &str) -> u16 {
    let url = stack.url(DOCUMENT);
    let answer = stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
    if answer.status == 429 {
        assert_eq!(answer.reason, "rate_limited", "{answer:?}");
    }
    answer.status
}

const TIGHT: [&str; 7] = ["limits", "set", "burst", "--agent", "corp:crm-bot", "--rate", "1/h"];

/// D-07: at once for whom it is set, and for nobody else; it outlives the process, and ends when it is reset.
#[tokio::test]
async fn a_limit_is_set_otherwise_at_runtime() {
    let mut stack = Stack::start(options(Options::default())).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let other = stack.tokens.token(&agent, &json!({ "client_id": "other-bot" }));
    assert_eq!([status(&stack, &agent, &token).await, status(&stack, &agent, &token).await], [200, 200]);
    let done = order(&stack, &TIGHT).await;
    assert_eq!(
        (&done["changed"], &done["kept"], &done["recorded"]),
        (&json!(true), &json!("on_disk"), &json!(true))
    );
    assert_eq!(status(&stack, &agent, &token).await, 200, "it begins with a full bucket");
    assert_eq!(status(&stack, &agent, &token).await, 429);
    assert_ne!(status(&stack, &agent, &other).await, 429, "another agent of the tenant goes on");
    assert_eq!(order(&stack, &TIGHT).await["changed"], false);

    stack.restart_exequatur().await.unwrap();
    assert_eq!(status(&stack, &agent, &token).await, 200, "a rate begins anew with a restart, too");
    assert_eq!(status(&stack, &agent, &token).await, 429, "what was set does not");

    // The agent's own comes before its tenant's.
    order(&stack, &["limits", "set", "burst", "--tenant", "acme", "--rate", "100/h"]).await;
    assert_eq!(status(&stack, &agent, &token).await, 429);
    assert_eq!(
        order(&stack, &["limits", "reset", "burst", "--agent", "corp:crm-bot"]).await["changed"],
        true
    );
    assert_eq!(status(&stack, &agent, &token).await, 200);
    order(&stack, &["limits", "set", "month", "--tenant", "acme", "--quota", "1/month"]).await;
    assert_eq!(status(&stack, &agent, &token).await, 429, "the tenant's quota is used up");
    let elsewhere = stack.tokens.token(&agent, &json!({ "tenant": "globex" }));
    let url = stack.url("/tenants/globex/documents/plan");
    let answer = stack.call(&agent, &elsewhere, &Call::new("GET", &url)).await.unwrap();
    assert_ne!(answer.status, 429, "another tenant's is not: {answer:?}");

    let records = stack.records().await.unwrap();
    let orders: Vec<_> = records.iter().filter(|record| record["admin"].is_string()).collect();
    let actions: Vec<_> = orders.iter().map(|record| record["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["set_limit", "set_limit", "set_limit", "reset_limit", "set_limit"]);
    assert_eq!(orders[0]["limit"], "burst");
    assert_eq!((&orders[0]["kind"], &orders[0]["name"]), (&json!("agent"), &json!("corp:crm-bot")));
    assert_eq!((&orders[0]["allowed"], &orders[0]["reason"]), (&json!("1/h, 1 at once"), &json!("a test")));
}

/// What is shown, to people and programs, and what is refused with a reason that helps.
#[tokio::test]
async fn what_is_set_is_shown_and_a_slip_is_refused() {
    let stack = Stack::start(options(Options::default())).await.unwrap();
    order(&stack, &[&TIGHT[..], &["--for", "2h"]].concat()).await;
    let shown =
        orders::command(&stack, &["limits", "show", "--output", "json"]).await.unwrap().json().unwrap();
    let limits = shown["limits"].as_array().unwrap();
    assert_eq!(limits[0], json!({ "limit": "burst", "per": ["agent"], "rate": "1/h", "burst": 1000 }));
    assert_eq!(limits[1], json!({ "limit": "month", "per": ["tenant"], "quota": "1000/month" }));
    let set = &shown["overrides"][0];
    assert_eq!(
        (&set["name"], &set["rate"], &set["burst"]),
        (&json!("corp:crm-bot"), &json!("1/h"), &json!(1))
    );
    assert!(set["applies"] == true && set["until"].is_string() && set["reason"] == "a test", "{set}");
    let table = orders::command(&stack, &["limits", "show"]).await.unwrap().out;
    assert!(table.contains("1/h, 1000 at once") && table.contains("corp:crm-bot  1/h, 1 at once"), "{table}");

    let set = |words: &[&'static str]| [&["limits", "set"], words].concat();
    for (words, why) in [
        (set(&["none", "--tenant", "acme", "--rate", "1/h"]), "no limit is called `none`"),
        (
            set(&["burst", "--tenant", "acme", "--quota", "1/day"]),
            "limit `burst` is 1/h, 1000 at once: give a `rate`",
        ),
        (set(&["month", "--tenant", "acme", "--quota", "1/day"]), "give a `quota` of the same period"),
        (set(&["month", "--agent", "corp:a", "--quota", "1/month"]), "does not count each agent apart"),
        (set(&["burst", "--agent", "crop:a", "--rate", "1/h"]), "no issuer is called `crop`"),
        (set(&["burst", "--agent", "corp:a", "--rate", "1/w"]), "a rate is `100/s`"),
        (
            set(&["burst", "--agent", "corp:a", "--rate", "1/h", "--until", "2020-01-01T00:00:00Z"]),
            "in the past",
        ),
        (set(&["burst", "--rate", "1/h"]), "--agent"),
        (set(&["burst", "--agent", "corp:a", "--tenant", "acme", "--rate", "1/h"]), "cannot be used with"),
        (set(&["burst", "--tenant", "acme"]), "--rate"),
    ] {
        let refused = order_refused(&stack, &words).await;
        assert!(refused.contains(why), "{words:?}: {refused}");
    }
    let shown =
        orders::command(&stack, &["limits", "show", "--output", "json"]).await.unwrap().json().unwrap();
    assert_eq!(shown["overrides"].as_array().unwrap().len(), 1);
}

async fn order_refused(stack: &Stack, words: &[&str]) -> String {
    let words = [words, &["--reason", "a test"]].concat();
    let said = orders::command(stack, &words).await.unwrap();
    assert_eq!(said.code, Some(2), "{words:?}: {said:?}");
    said.err
}

/// C-09: both replicas come to the same, also when one of them starts later, and when Redis has forgotten it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_follows() {
    for kind in Kind::ALL {
        let mut stack = Stack::start(options(Options::shared(kind))).await.unwrap();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        let all = async |stack: &Stack, expected: u16| {
            for _ in 0..4 {
                assert_eq!(status(stack, &agent, &token).await, expected, "{kind:?}");
            }
        };
        all(&stack, 200).await;
        let done = order(&stack, &TIGHT).await;
        assert_eq!(done["kept"], "shared");
        followed(&stack, 1).await;
        assert_eq!(status(&stack, &agent, &token).await, 200, "{kind:?}: one in all, of a full bucket");
        all(&stack, 429).await;
        stack.redis().say(&["FLUSHALL"]).unwrap();
        in_time("it is said again", async {
            while !stack
                .redis()
                .say(&["HKEYS", "exequatur:{revocations}:1:limits"])
                .unwrap()
                .contains("burst")
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
        stack.restart_second().await.unwrap();
        followed(&stack, 1).await;
        // With Redis, what was used is gone, and nothing else.
        assert_eq!(status(&stack, &agent, &token).await, 200, "{kind:?}");
        all(&stack, 429).await;
        let reset =
            ["limits", "reset", "burst", "--agent", "corp:crm-bot", "--reason", "r", "--output", "json"];
        command_at(&stack, "second.sock", &reset).await.unwrap().json().unwrap();
        in_time("the first replica has it", async { while shown(&stack, "admin.sock").await != 0 {} }).await;
        all(&stack, 200).await;
    }
}

async fn shown(stack: &Stack, socket: &str) -> usize {
    let said = command_at(stack, socket, &["limits", "show", "--output", "json"]).await.unwrap();
    said.json().unwrap()["overrides"].as_array().unwrap().len()
}

async fn followed(stack: &Stack, count: usize) {
    in_time("the second replica has it", async { while shown(stack, "second.sock").await != count {} }).await;
}

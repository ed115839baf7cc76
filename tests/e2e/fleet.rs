//! Issue 5, point 2: what an order and `status` tell of each replica.

use exequatur_tests::orders::{command_at, with_orders};
use exequatur_tests::redis::Kind;
use exequatur_tests::{Options, Stack};
use serde_json::Value;

/// Two replicas that are called `first` and `second`, and take orders.
fn two(kind: Kind) -> Options {
    let mut options = with_orders(Options::shared(kind));
    options.exequatur.push(("policies:", "replica: { name: first }\npolicies:"));
    options
}

fn names(done: &Value) -> Vec<(&str, Option<u64>)> {
    let replicas = done["replicas"].as_array().unwrap().iter();
    replicas.map(|one| (one["name"].as_str().unwrap(), one["after_ms"].as_u64())).collect()
}

/// D-07: which replica had the order when, and which did not answer: one that hangs is waited for a second, and named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_tells_which_replica_had_it_and_which_did_not_answer() {
    let stack = Stack::start(two(Kind::Newest)).await.unwrap();
    let words = ["revoke", "agent", "corp:crm-bot", "--reason", "a test"];
    let said =
        command_at(&stack, "second.sock", &[&words[..], &["--output", "json"]].concat()).await.unwrap();
    let done = said.json().unwrap();
    let [("first", Some(one)), ("second", Some(other))] = names(&done)[..] else { panic!("{done}") };
    assert!(one < 1000 && other < 1000, "{done}");

    stack.signal_exequatur("STOP").await.unwrap();
    let words = ["revoke", "user", "corp:alice", "--reason", "a test"];
    let said = command_at(&stack, "second.sock", &words).await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    let lines: Vec<_> = said.out.lines().collect();
    let [head, _columns, first, second] = lines[..] else { panic!("{said:?}") };
    assert_eq!(head, "revoked user corp:alice");
    assert!(first.starts_with("first ") && first.ends_with("did not answer in time"), "{said:?}");
    assert!(second.starts_with("second ") && second.ends_with(" ms"), "{said:?}");
    assert!(said.err.contains("1 replicas have not said yet"), "{said:?}");
    stack.signal_exequatur("CONT").await.unwrap();
}

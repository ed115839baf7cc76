//! Generations and the end: files that change while requests come, and a clean stop.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::Value;

/// C-14: a changed configuration is switched to as a whole; a broken one leaves the last good one in force and
/// says so; a repaired one is switched to again.
#[tokio::test]
async fn a_good_change_is_switched_to_and_a_broken_one_is_not() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url("/tenants/acme/documents/plan");
    let call = Call::new("GET", &url);
    assert_eq!(stack.call(&agent, &token, &call).await.unwrap().status, 200);
    stack.wait_for_metric("exequatur_generation 1").await.unwrap();

    let file = stack.folder().join("exequatur.yaml");
    let original = std::fs::read_to_string(&file).unwrap();
    let renamed = original.replace("/tenants/{tenant}/documents/{id}", "/tenants/{tenant}/papers/{id}");
    assert_ne!(renamed, original);
    std::fs::write(&file, &renamed).unwrap();
    stack.wait_for_metric("exequatur_generation 2").await.unwrap();
    assert_eq!(stack.call(&agent, &token, &call).await.unwrap().reason, "route_unmatched");

    std::fs::write(&file, original.replace("action: ReadDocument", "action: ReadDocumint")).unwrap();
    stack.wait_for_metric("exequatur_reloads_total{outcome=\"refused\"} 1").await.unwrap();
    stack.wait_for_metric("exequatur_generation 2").await.unwrap();
    assert_eq!(stack.call(&agent, &token, &call).await.unwrap().reason, "route_unmatched");
    let log = std::fs::read_to_string(stack.folder().join("exequatur.log")).unwrap();
    assert!(log.contains("did you mean `ReadDocument`?"), "{log}");

    // What needs a restart is not taken in part: a loosened sender constraint least of all.
    let loosened =
        original.replace("require: any", "require: none").replace("sender_constraint: dpop", "hide: true");
    std::fs::write(&file, loosened).unwrap();
    stack.wait_for_metric("exequatur_reloads_total{outcome=\"refused\"} 2").await.unwrap();
    stack.wait_for_metric("exequatur_generation 2").await.unwrap();
    let log = std::fs::read_to_string(stack.folder().join("exequatur.log")).unwrap();
    assert!(log.contains("restart to apply"), "{log}");

    std::fs::write(&file, &original).unwrap();
    stack.wait_for_metric("exequatur_generation 3").await.unwrap();
    assert_eq!(stack.call(&agent, &token, &call).await.unwrap().status, 200);
}

/// C-17: SIGTERM ends the process well, and every decision that was answered is on record.
#[tokio::test]
async fn a_stop_is_clean_and_the_records_are_whole() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url("/tenants/acme/documents/plan");
    let mut decisions = Vec::new();
    for _ in 0..5 {
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for request in stack.upstream.received() {
        decisions.extend(request.values("x-exequatur-decision"));
    }
    assert_eq!(decisions.len(), 5);
    // Connections that say nothing do not keep it alive.
    let silent = [stack.ports.public, stack.ports.metrics, stack.ports.grpc].map(|port| ("127.0.0.1", port));
    let mut held = Vec::new();
    for address in silent {
        held.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    stack.terminate_exequatur().await.unwrap();
    drop(held);
    let records = std::fs::read_to_string(stack.folder().join("decisions.jsonl")).unwrap();
    let permits: Vec<Value> = records
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["verdict"] == "permit")
        .collect();
    for decision in &decisions {
        let record = permits.iter().find(|record| record["decision"] == **decision).unwrap();
        assert_eq!(record["agent"], "corp:crm-bot");
        assert_eq!(record["user"], "corp:alice");
        assert_eq!(record["tenant"], "acme");
        assert_eq!(record["route"], "read-document");
        assert_eq!(record["controls"]["replay"], "fresh");
        assert_eq!(record["controls"]["sender_constraint"]["kind"], "dpop");
        assert!(!record["policy"]["ids"].as_array().unwrap().is_empty(), "{record}");
    }
}

/// C-17: where records hang, on a disk that does not answer, say, requests are still decided (`best_effort`), and a stop has its bound.
#[tokio::test]
async fn a_stop_has_a_bound_where_the_records_hang() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("records");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Somebody has it open, and never reads.
    let _held = std::fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let file = format!("file: {}", pipe.display()).leak();
    let options = Options { exequatur: vec![("file: ./decisions.jsonl", file)], ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url("/tenants/acme/documents/plan");
    // 64 KiB, which a pipe holds, and more.
    for _ in 0..150 {
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let ended = stack.terminate_exequatur().await;
    let log = std::fs::read_to_string(stack.folder().join("exequatur.log")).unwrap();
    assert_eq!(ended, Err("it ended with exit status: 5".to_owned()), "not all is on record");
    assert!(log.contains("the last decisions may not be in it"), "{log}");
}

//! N01: no answer from Exequatur is no permit.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::Value;

#[tokio::test]
async fn without_exequatur_nothing_passes() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url("/tenants/acme/documents/plan");
    stack.stop_exequatur().await.unwrap();
    let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(stack.upstream.received().is_empty());
}

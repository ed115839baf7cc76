//! What a denial says, and that nothing denied reaches the upstream.

use exequatur_tests::jwt::with_broken_signature;
use exequatur_tests::{Agent, Answer, Call, Options, Stack};
use serde_json::{Value, json};

const PATH: &str = "/tenants/acme/documents/plan";

fn assert_denied(answer: &Answer, status: u16, reason: &str) {
    assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{answer:?}");
    assert_eq!(answer.field("content-type"), "application/problem+json");
    assert_eq!(answer.field("cache-control"), "no-store");
    let problem: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(problem["status"], status);
    for member in ["type", "title", "decision"] {
        assert!(problem[member].is_string(), "{member}: {}", answer.body);
    }
    if status == 401 {
        assert!(!answer.fields("www-authenticate").is_empty(), "{answer:?}");
    }
}

#[tokio::test]
async fn hostile_requests_are_denied_with_their_reason() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let (agent, thief) = (Agent::new(), Agent::new());
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(PATH);
    let call = Call::new("GET", &url);
    for http2 in [false, true] {
        if http2 {
            stack.client = stack.http2_client().unwrap();
        }
        let answer = stack.send(&call, None, None).await.unwrap();
        assert_denied(&answer, 401, "credentials_missing");
        // D22
        let answer = stack.send(&call, Some(&format!("Bearer {token}")), None).await.unwrap();
        assert_denied(&answer, 401, "dpop_bound_token_as_bearer");
        // D17
        assert_denied(&stack.call(&thief, &token, &call).await.unwrap(), 401, "dpop_key_mismatch");
        let broken = with_broken_signature(&token);
        assert_denied(&stack.call(&agent, &broken, &call).await.unwrap(), 401, "token_signature_invalid");
        // D10, D11
        let answer = stack.call_with(&agent, &token, &call, &json!({ "htm": "PUT" })).await.unwrap();
        assert_denied(&answer, 401, "dpop_htm_mismatch");
        let answer = stack.call_with(&agent, &token, &call, &json!({ "htu": stack.url("/") })).await.unwrap();
        assert_denied(&answer, 401, "dpop_htu_mismatch");
        let globex = stack.tokens.token(&agent, &json!({ "tenant": "globex" }));
        assert_denied(&stack.call(&agent, &globex, &call).await.unwrap(), 403, "tenant_mismatch");
        let unscoped = stack.tokens.token(&agent, &json!({ "scope": "documents:write" }));
        assert_denied(&stack.call(&agent, &unscoped, &call).await.unwrap(), 403, "scope_insufficient");
        let admin = stack.url("/admin");
        let answer = stack.call(&agent, &token, &Call::new("GET", &admin)).await.unwrap();
        assert_denied(&answer, 403, "route_unmatched");
        // B-01
        let escaped = stack.url("/tenants/acme/documents/..%2fplan");
        let answer = stack.call(&agent, &token, &Call::new("GET", &escaped)).await.unwrap();
        assert_denied(&answer, 400, "path_refused");
    }
    assert!(stack.upstream.received().is_empty(), "{:?}", stack.upstream.received());
}

/// D19, G08: a proof passes once, however it is sent again.
#[tokio::test]
async fn a_proof_passes_once() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(PATH);
    let call = Call::new("GET", &url);
    let first = stack.call(&agent, &token, &call).await.unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    let authorization = format!("DPoP {token}");
    let again = stack.send(&call, Some(&authorization), first.proof.as_deref()).await.unwrap();
    assert_denied(&again, 401, "dpop_replay");
    stack.client = stack.http2_client().unwrap();
    let with_query = format!("{url}?page=2");
    let again =
        stack.send(&Call::new("GET", &with_query), Some(&authorization), first.proof.as_deref()).await;
    assert_denied(&again.unwrap(), 401, "dpop_replay");
    assert_eq!(stack.upstream.received().len(), 1);
}

/// A restart loses the memory of used proofs: they are answered with a demand for a nonce, never let through.
#[tokio::test]
async fn a_restart_does_not_open_the_door_to_used_proofs() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(PATH);
    let call = Call::new("GET", &url);
    let first = stack.call(&agent, &token, &call).await.unwrap();
    assert_eq!(first.status, 200, "{first:?}");
    stack.restart_exequatur().await.unwrap();
    let again = stack.send(&call, Some(&format!("DPoP {token}")), first.proof.as_deref()).await.unwrap();
    assert_eq!(again.status, 401, "{again:?}");
    assert!(again.demanded_nonce().is_some(), "{again:?}");
    let next = stack.call(&agent, &token, &call).await.unwrap();
    assert_eq!(next.status, 200, "{next:?}");
    assert_eq!(stack.upstream.received().len(), 2);
}

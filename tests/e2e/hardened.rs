//! The recommended listener: TLS, and Envoy's own refusals in front of ours.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::Value;

/// The mutation rules let exactly our names through (N06): a permit works, over both versions of HTTP.
#[tokio::test]
async fn a_permitted_request_passes_the_hardened_listener() {
    let mut stack = Stack::start(Options { hardened: true, ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url("/tenants/acme/documents/plan");
    for http2 in [false, true] {
        if http2 {
            stack.client = stack.http2_client().unwrap();
        }
        let call = Call::new("GET", &url)
            .with("x-exequatur-user", "corp:root")
            .with("x-http-method-override", "PUT");
        let answer = stack.call(&agent, &token, &call).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let received = stack.upstream.received();
        let request = received.last().unwrap();
        assert_eq!(request.values("x-exequatur-user").len(), 1);
        assert_ne!(request.values("x-exequatur-user"), ["corp:root"]);
        for gone in ["authorization", "dpop", "x-http-method-override"] {
            assert!(request.values(gone).is_empty(), "{gone}");
        }
    }
    assert_eq!(stack.upstream.received().len(), 2);
}

/// N05, B-03: refused before Exequatur is asked.
#[tokio::test]
async fn ambiguous_requests_are_refused_by_envoy() {
    let stack = Stack::start(Options { hardened: true, ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let escaped = stack.url("/tenants/acme/documents/..%2fplan");
    let answer = stack.call(&agent, &token, &Call::new("GET", &escaped)).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (400, ""));
    let url = stack.url("/tenants/acme/documents/plan");
    let twin = Call::new("GET", &url).with("x_exequatur_user", "corp:root");
    let answer = stack.call(&agent, &token, &twin).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (400, ""));
    assert!(stack.upstream.received().is_empty());
}

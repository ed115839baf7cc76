//! What a permit does to the request.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::{Value, json};

/// HTTP/1.1 and HTTP/2; E-headers of a permit: ours set, credentials gone (B-03, N06).
#[tokio::test]
async fn a_permitted_request_reaches_the_upstream_with_our_headers_only() {
    let mut stack = Stack::start(Options::default()).await.unwrap();
    for http2 in [false, true] {
        if http2 {
            stack.client = stack.http2_client().unwrap();
        }
        let before = stack.upstream.received().len();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        let url = stack.url("/tenants/acme/documents/plan?page=2");
        let call = Call::new("GET", &url)
            .with("x-exequatur-user", "corp:root")
            .with("x_exequatur_user", "corp:root")
            .with("x-http-method-override", "DELETE")
            .with("x-kept", "yes");
        let htu = json!({ "htu": stack.url("/tenants/acme/documents/plan") });
        let answer = stack.call_with(&agent, &token, &call, &htu).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");

        let received = stack.upstream.received();
        assert_eq!(received.len(), before + 1);
        let request = received.last().unwrap();
        assert_eq!(request.target, "/tenants/acme/documents/plan?page=2");
        let one = |name: &str| {
            let values = request.values(name);
            assert_eq!(values.len(), 1, "{name}: {values:?}");
            values[0].replace("%3A", ":")
        };
        assert_eq!(one("x-exequatur-agent"), "corp:crm-bot");
        assert_eq!(one("x-exequatur-user"), "corp:alice");
        assert_eq!(one("x-exequatur-tenant"), "acme");
        assert_eq!(one("x-kept"), "yes");
        assert!(!one("x-exequatur-decision").is_empty());
        for gone in ["authorization", "dpop", "x_exequatur_user", "x-http-method-override"] {
            assert!(request.values(gone).is_empty(), "{gone}");
        }
    }
}

/// A public route needs no token, and passes none on.
#[tokio::test]
async fn a_public_route_is_open() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let url = stack.url("/healthz");
    let answer = stack.send(&Call::new("GET", &url), Some("Bearer a.b.c"), None).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = stack.upstream.received();
    assert_eq!(received.len(), 1);
    assert!(received[0].values("authorization").is_empty());
}

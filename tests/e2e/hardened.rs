//! The recommended listener: TLS, and Envoy's own refusals in front of ours.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::{Value, json};

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

/// M01, M02, D29: a token bound to a certificate too needs that very certificate, and a certificate in a
/// header is none (M03).
#[tokio::test]
async fn a_certificate_bound_token_needs_its_certificate() {
    let mut stack = Stack::start(Options { hardened: true, ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let (with_certificate, thumbprint) = stack.client_with_certificate().unwrap();
    let confirmation = json!({ "jkt": agent.key.thumbprint(), "x5t#S256": thumbprint });
    let token = stack.tokens.token(&agent, &json!({ "cnf": confirmation }));
    let foreign =
        json!({ "jkt": agent.key.thumbprint(), "x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0" });
    let foreign = stack.tokens.token(&agent, &json!({ "cnf": foreign }));
    let url = stack.url("/tenants/acme/documents/plan");
    let forwarded = format!("Hash={};Cert=\"-----BEGIN%20CERTIFICATE-----\"", "00".repeat(32));
    let call = Call::new("GET", &url).with("x-forwarded-client-cert", &forwarded);

    let answer = stack.call(&agent, &token, &call).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "mtls_cert_missing"));
    stack.client = with_certificate;
    let answer = stack.call(&agent, &foreign, &call).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "mtls_cert_mismatch"));
    assert!(stack.upstream.received().is_empty());
    let answer = stack.call(&agent, &token, &call).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(stack.upstream.received().len(), 1);
}

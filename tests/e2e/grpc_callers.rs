//! G30: what a gRPC caller behind Envoy sees of a refusal: Envoy turns it into an answer of its own, with status 200,
//! `grpc-status` and `grpc-message`, and keeps the fields; so the challenge is in the head, among the metadata.

use exequatur_tests::{Agent, Answer, Call, Options, Stack};
use serde_json::{Value, json};

const NONCES: (&str, &str) = ("nonce: \"off\"", "nonce: required");
const SHARE: &str = "/tenants/acme/documents/plan/share";

fn call(url: &str) -> Call<'_> {
    Call::new("POST", url).with("content-type", "application/grpc").with("te", "trailers")
}

fn assert_refused(answer: &Answer, status: &str, reason: &str) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("content-type"), "application/grpc", "{answer:?}");
    assert_eq!(answer.fields("grpc-status"), [status], "{answer:?}");
    // The problem document, percent-encoded where gRPC asks for that.
    assert!(answer.field("grpc-message").contains(reason), "{answer:?}");
    assert_eq!(answer.body, "", "{answer:?}");
}

#[tokio::test]
async fn a_refused_grpc_call_has_a_status_and_its_challenge() {
    for hardened in [false, true] {
        let scoped =
            ("\n    action: ShareDocument", "\n    action: ShareDocument\n    scopes: [\"documents:share\"]");
        let mut stack =
            Stack::start(Options { exequatur: vec![scoped, NONCES], ..Options::on(hardened) }).await.unwrap();
        stack.client = stack.http2_client().unwrap();
        let agent = Agent::new();
        let url = stack.url(SHARE);
        let bare = stack.send(&call(&url), None, None).await.unwrap();
        assert_refused(&bare, "16", "credentials_missing");
        let challenges = bare.fields("www-authenticate");
        assert!(challenges.iter().any(|challenge| challenge.starts_with("DPoP ")), "{bare:?}");
        assert!(challenges.iter().all(|challenge| challenge.contains("resource_metadata=\"")), "{bare:?}");
        assert_eq!(bare.field("cache-control"), "no-store");

        // A nonce is demanded in the same way: a client has to look for it among the metadata, as the status is 200.
        let send = async |token: &str, path: &str, nonce: Value| {
            let url = stack.url(path);
            let proof = agent.proof("POST", &url, token, &nonce);
            stack.send(&call(&url), Some(&format!("DPoP {token}")), Some(&proof)).await.unwrap()
        };
        let token = stack.tokens.token(&agent, &Value::Null);
        let demand = send(&token, SHARE, Value::Null).await;
        assert_refused(&demand, "16", "dpop_nonce_required");
        assert!(demand.field("www-authenticate").contains("use_dpop_nonce"), "{demand:?}");
        let nonce = json!({ "nonce": demand.field("dpop-nonce") });

        let unscoped = send(&token, SHARE, nonce.clone()).await;
        assert_refused(&unscoped, "7", "scope_insufficient");
        let challenge = unscoped.field("www-authenticate");
        assert!(
            challenge.contains("insufficient_scope") && challenge.contains("documents:share"),
            "{challenge}"
        );
        let unmatched = send(&token, "/exequatur.Nowhere/Call", nonce.clone()).await;
        assert_refused(&unmatched, "7", "route_unmatched");
        assert!(stack.upstream.received().is_empty());

        // Nothing else was wrong.
        let scoped = stack.tokens.token(&agent, &json!({ "scope": "documents:share" }));
        let answer = send(&scoped, SHARE, nonce).await;
        assert_eq!((answer.status, answer.field("grpc-status").as_str()), (200, ""), "{answer:?}");
        assert_eq!(stack.upstream.received().len(), 1);
        stack.stop_exequatur().await.unwrap();
        let gone = stack.send(&call(&url), None, None).await.unwrap();
        assert_eq!((gone.status, gone.field("grpc-status").as_str()), (200, "14"), "{gone:?}");
        assert_eq!(stack.upstream.received().len(), 1);
    }
}

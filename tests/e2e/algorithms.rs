//! Each algorithm for tokens and for proofs, and where it has to be named.

use exequatur_tests::jwt::Algorithm;
use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::{Value, json};

const PATH: &str = "/tenants/acme/documents/plan";
const ALL: [Algorithm; 5] =
    [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA, Algorithm::PS256, Algorithm::RS256];

fn options(replacements: Vec<(&'static str, &'static str)>) -> Options {
    Options { signing: ALL.to_vec(), exequatur: replacements, ..Options::default() }
}

/// What the metadata says of proofs.
async fn advertised(stack: &Stack) -> Value {
    let url = format!("http://127.0.0.1:{}/.well-known/oauth-protected-resource", stack.ports.public);
    let answer = stack.client.get(url).header("host", "localhost").send().await.unwrap();
    let metadata: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    metadata["dpop_signing_alg_values_supported"].clone()
}

/// J04, J19, D05: whatever signs the token and whatever signs the proof.
#[tokio::test]
async fn each_algorithm_is_permitted_where_it_is_named() {
    let every = "[ES256, ES384, Ed25519, PS256, RS256]";
    let issuer = "algorithms: [ES256, ES384, Ed25519, PS256, RS256]";
    let dpop = "dpop: { algorithms: [ES256, ES384, Ed25519, PS256, RS256], max_age: 60s";
    assert!(issuer.ends_with(every) && dpop.contains(every));
    let stack = Stack::start(options(vec![("algorithms: [ES256]", issuer), ("dpop: { max_age: 60s", dpop)]))
        .await
        .unwrap();
    let url = stack.url(PATH);
    let call = Call::new("GET", &url);
    for (index, for_token) in ALL.into_iter().enumerate() {
        for for_proof in [for_token, ALL[(index + 1) % ALL.len()]] {
            let agent = Agent::with(for_proof);
            let token = stack.tokens.token_with(for_token, &agent, &Value::Null);
            let answer = stack.call(&agent, &token, &call).await.unwrap();
            assert_eq!(answer.status, 200, "{for_token:?} {for_proof:?} {answer:?}");
        }
    }
    assert_eq!(stack.upstream.received().len(), 10);
    assert_eq!(advertised(&stack).await, json!(["ES256", "ES384", "EdDSA", "PS256", "RS256"]));
}

/// D05, D25: by default all but RS256, for tokens and for proofs each; challenges and metadata name those.
#[tokio::test]
async fn rs256_is_refused_where_it_is_not_named() {
    let stack = Stack::start(options(vec![("    algorithms: [ES256]\n", "")])).await.unwrap();
    let url = stack.url(PATH);
    let call = Call::new("GET", &url);
    let agent = Agent::with(Algorithm::PS256);
    let rs256 = stack.tokens.token_with(Algorithm::RS256, &agent, &Value::Null);
    let answer = stack.call(&agent, &rs256, &call).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "token_alg_not_allowed"), "{answer:?}");

    let agent = Agent::with(Algorithm::RS256);
    let ps256 = stack.tokens.token_with(Algorithm::PS256, &agent, &Value::Null);
    let answer = stack.call(&agent, &ps256, &call).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "dpop_alg_not_allowed"), "{answer:?}");
    let challenges = answer.fields("www-authenticate").join(" ");
    assert!(challenges.contains("algs=\"ES256 ES384 EdDSA PS256\""), "{challenges}");
    assert_eq!(advertised(&stack).await, json!(["ES256", "ES384", "EdDSA", "PS256"]));
    assert!(stack.upstream.received().is_empty());

    // Nothing else is wrong with them.
    let agent = Agent::with(Algorithm::PS256);
    let ps256 = stack.tokens.token_with(Algorithm::PS256, &agent, &Value::Null);
    let answer = stack.call(&agent, &ps256, &call).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

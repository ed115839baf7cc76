//! S01: a route that wants the user authenticated in a certain way, or lately, through real Envoy (RFC 9470); and a stock client
//! that follows its challenge at a stock authorization server.

use std::process::Stdio;

use exequatur_tests::{Agent, Answer, AuthorizationServer, Call, Options, Stack, jwt};
use serde_json::{Value, json};

macro_rules! route {
    ($name:literal, $step_up:literal) => {
        concat!(
            "  - name: ",
            $name,
            "\n    match: { host: localhost, path: \"/tenants/{tenant}/",
            $name,
            "/{id}\", methods: [GET, POST] }\n    action: ReadDocument\n    resource: { type: Document, id: \"{id}\", \
             tenant: \"{tenant}\", attributes: { sensitivity: internal, owner: { entity: \"Exequatur::User\", id: \
             \"corp:alice\" } } }\n    scopes: [\"documents:read\"]\n    step_up: { ",
            $step_up,
            " }\n"
        )
    };
}

/// Bearer tokens are taken, so that a challenge can stand under either scheme.
pub(super) const ROUTES: [(&str, &str); 2] = [
    (
        "  - name: share-document",
        concat!(
            route!("strong", "acr_values: [\"urn:example:key\", \"urn:example:passkey\"], max_age: 5m"),
            route!("classed", "acr_values: [\"urn:example:key\"]"),
            route!("fresh", "max_age: 5m"),
            route!("nobody", "acr_values: [\"urn:example:nobody\"]"),
            "  - name: share-document"
        ),
    ),
    ("  require: any", "  require: none"),
];
const METADATA: &str = "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";

fn options(options: Options) -> Options {
    Options { exequatur: ROUTES.to_vec(), ..options }
}

fn strong() -> Value {
    json!({ "acr": "urn:example:key", "amr": ["pwd", "hwk"], "auth_time": jwt::now() - 60 })
}

/// Each differs by one thing from what passes.
fn weak() -> Vec<(&'static str, Value)> {
    let with = |name: &str, value: Value| jwt::merged(strong(), &json!({ name: value }));
    vec![
        ("another class", with("acr", json!("urn:example:password"))),
        ("no class", with("acr", Value::Null)),
        ("too long ago", with("auth_time", json!(jwt::now() - 301))),
        ("nobody says when", with("auth_time", Value::Null)),
    ]
}

/// The claims of a token that is bound to nothing.
fn unbound(mut claims: Value) -> Value {
    claims["cnf"] = Value::Null;
    claims
}

fn assert_challenged(answer: &Answer, scheme: &str, asked: &str, name: &str) {
    assert_eq!((answer.status, answer.reason.as_str()), (401, "step_up_required"), "{name}: {answer:?}");
    let fields = answer.fields("www-authenticate");
    let expected = format!(
        "{scheme} error=\"insufficient_user_authentication\", error_description=\"another authentication of the user is \
         needed\", {asked}, {METADATA}"
    );
    assert_eq!(fields, [expected], "{answer:?}");
    assert_eq!(answer.field("cache-control"), "no-store");
}

#[tokio::test]
async fn s01_what_is_needed_is_told_in_a_challenge() {
    for hardened in [false, true] {
        let mut stack = Stack::start(options(Options::on(hardened))).await.unwrap();
        let agent = Agent::new();
        let url = stack.url("/tenants/acme/strong/plan");
        let call = Call::new("GET", &url);
        let asked = "acr_values=\"urn:example:key urn:example:passkey\", max_age=\"300\"";
        for http2 in [false, true] {
            if http2 {
                stack.client = stack.http2_client().unwrap();
            }
            for (name, claims) in weak() {
                let token = stack.tokens.token(&agent, &claims);
                let answer = stack.call(&agent, &token, &call).await.unwrap();
                assert_challenged(&answer, "DPoP", asked, name);
                let unbound = stack.tokens.token(&agent, &unbound(claims));
                let answer = stack.send(&call, Some(&format!("Bearer {unbound}")), None).await.unwrap();
                assert_challenged(&answer, "Bearer", asked, name);
            }
        }
        assert!(stack.upstream.received().is_empty());
        let token = stack.tokens.token(&agent, &strong());
        assert_eq!(stack.call(&agent, &token, &call).await.unwrap().status, 200);
        assert_eq!(stack.upstream.received().len(), 1);

        // What was needed and whether it was there is recorded; what the token says is not.
        let records = stack.records().await.unwrap();
        let said: Vec<_> = records.iter().map(|record| &record["controls"]["step_up"]).collect();
        assert_eq!(said.iter().filter(|said| **said == "unmet").count(), 16, "{said:?}");
        assert_eq!(said.last().map(|said| said.as_str()), Some(Some("met")));
        assert!(!json!(records).to_string().contains("urn:example:"), "{records:?}");
    }
}

/// G30: the same for a gRPC caller, as Envoy puts it.
#[tokio::test]
async fn s01_a_grpc_caller_is_told_in_the_head() {
    let mut stack = Stack::start(options(Options::default())).await.unwrap();
    stack.client = stack.http2_client().unwrap();
    let agent = Agent::new();
    let url = stack.url("/tenants/acme/fresh/plan");
    let send = async |claims: Value| {
        let token = stack.tokens.token(&agent, &unbound(claims));
        let call = Call::new("POST", &url).with("content-type", "application/grpc").with("te", "trailers");
        stack.send(&call, Some(&format!("Bearer {token}")), None).await.unwrap()
    };
    let answer = send(json!({ "auth_time": jwt::now() - 301 })).await;
    assert_eq!((answer.status, answer.field("grpc-status").as_str()), (200, "16"), "{answer:?}");
    assert!(answer.field("grpc-message").contains("step_up_required"), "{answer:?}");
    let challenge = answer.field("www-authenticate");
    assert!(challenge.starts_with("Bearer error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.contains("max_age=\"300\"") && !challenge.contains("acr_values"), "{challenge}");
    assert!(stack.upstream.received().is_empty());
    let answer = send(json!({ "auth_time": jwt::now() - 60 })).await;
    assert_eq!((answer.status, answer.field("grpc-status").as_str()), (200, ""), "{answer:?}");
}

/// The client knows nothing of classes and ages but what the challenge says. The user's first login is an hour ago, by a password.
#[tokio::test]
async fn s01_a_stock_client_follows_the_challenge() {
    let server = AuthorizationServer::start("step_up_server.mjs").await.unwrap();
    let issuer = server.entry();
    let stack = Stack::start(options(Options { issuer: Some(issuer), ..Options::default() })).await.unwrap();
    let (key, password) = ("urn:example:key", "urn:example:password");
    let both = format!("{key} urn:example:passkey");
    for (kind, calls, second, asked) in [
        ("strong", json!([401, 200]), Some((key, true)), json!({ "acr_values": both, "max_age": "300" })),
        ("classed", json!([401, 200]), Some((key, true)), json!({ "acr_values": key })),
        ("fresh", json!([401, 200]), Some((password, true)), json!({ "max_age": "300" })),
        // What the user cannot do: asked for once, and told again.
        ("nobody", json!([401, 401]), Some((password, true)), json!({ "acr_values": "urn:example:nobody" })),
        ("documents", json!([200]), None, json!(null)),
    ] {
        let output = server
            .client("step_up_client.mjs")
            .unwrap()
            .arg(stack.url(&format!("/tenants/acme/{kind}/plan")))
            .stderr(Stdio::inherit())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{kind}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["calls"], calls, "{kind}: {told}");
        assert_eq!(told["tokens"][0]["acr"], password, "{kind}: {told}");
        assert!(told["tokens"][0]["age"].as_i64().unwrap() >= 3600, "{kind}: {told}");
        let again = &told["tokens"][1];
        let found = again["acr"].as_str().zip(again["age"].as_i64().map(|age| age < 300));
        assert_eq!(found, second, "{kind}: {told}");
        let parameters = &told["challenges"][0]["parameters"];
        for name in ["acr_values", "max_age"] {
            assert_eq!(parameters[name], asked[name], "{kind}: {told}");
        }
    }
    let received = stack.upstream.received();
    assert_eq!(received.len(), 4);
    for request in received {
        assert_eq!(request.values("x-exequatur-user").join(",").replace("%3A", ":"), "corp:alice");
    }
}

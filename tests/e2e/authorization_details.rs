//! S02: a route that wants something granted in detail, through real Envoy (RFC 9396).

use exequatur_tests::{Agent, Call, Options, Stack, TokenService};
use serde_json::{Value, json};

const ROUTES: (&str, &str) = (
    "  - name: share-document",
    r#"  - name: granted
    match: { host: localhost, path: "/tenants/{tenant}/granted/{id}", methods: [GET, POST] }
    action: ReadDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } }
    authorization_details:
      - { type: document, actions: [read], identifier: "{tenant}/{id}" }
    scopes: ["documents:read"]
  - name: hidden
    match: { host: localhost, path: "/tenants/{tenant}/hidden/{id}", methods: [GET] }
    action: ReadDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } }
    authorization_details: [{ type: secret }]
    hide: true
  - name: share-document"#,
);

fn options(hardened: bool) -> Options {
    Options { exequatur: vec![ROUTES], ..Options::on(hardened) }
}

fn claims(changes: &Value) -> Value {
    let detail = json!({
        "type": "document", "actions": ["read"], "identifier": "acme/plan", "locations": [TokenService::AUDIENCE],
    });
    json!({ "authorization_details": [exequatur_tests::jwt::merged(detail, changes)] })
}

#[tokio::test]
async fn s02_what_is_not_granted_in_detail_is_refused() {
    for hardened in [false, true] {
        let stack = Stack::start(options(hardened)).await.unwrap();
        let agent = Agent::new();
        let url = stack.url("/tenants/acme/granted/plan");
        let call = Call::new("GET", &url);
        for claims in [
            json!({}),
            claims(&json!({ "type": "documents" })),
            claims(&json!({ "actions": ["list"] })),
            claims(&json!({ "identifier": "acme/other" })),
            claims(&json!({ "locations": ["https://other.example.com"] })),
            claims(&json!({ "max_pages": 1 })),
        ] {
            let token = stack.tokens.token(&agent, &claims);
            let answer = stack.call(&agent, &token, &call).await.unwrap();
            let expected = (403, "authorization_details_insufficient");
            assert_eq!((answer.status, answer.reason.as_str()), expected, "{claims}");
            assert!(answer.fields("www-authenticate").is_empty(), "{answer:?}");
        }
        // A token that cannot be read is another matter.
        let broken = stack.tokens.token(&agent, &json!({ "authorization_details": [{ "type": 1 }] }));
        let answer = stack.call(&agent, &broken, &call).await.unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (401, "token_claim_invalid"), "{answer:?}");
        // E06
        let hidden = stack.url("/tenants/acme/hidden/plan");
        let token = stack.tokens.token(&agent, &claims(&json!({})));
        let answer = stack.call(&agent, &token, &Call::new("GET", &hidden)).await.unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (404, "not_found"), "{answer:?}");
        assert!(stack.upstream.received().is_empty());

        for claims in [claims(&json!({})), claims(&json!({ "locations": null }))] {
            let token = stack.tokens.token(&agent, &claims);
            assert_eq!(stack.call(&agent, &token, &call).await.unwrap().status, 200, "{claims}");
        }
        assert_eq!(stack.upstream.received().len(), 2);
        let records = stack.records().await.unwrap();
        let said = |reason: &str, word: &str| {
            let told = |record: &&Value| {
                record["reason"] == *reason && record["controls"]["authorization_details"] == *word
            };
            records.iter().filter(told).count()
        };
        assert_eq!(said("authorization_details_insufficient", "unmet"), 7);
        assert_eq!(said("permitted", "met"), 2);
    }
}

/// RFC 9728 §2: clients find out which types there are, but for what is hidden.
#[tokio::test]
async fn s02_the_types_are_in_the_metadata() {
    let metadata = async |options: Options| {
        let stack = Stack::start(options).await.unwrap();
        let url = format!("http://127.0.0.1:{}/.well-known/oauth-protected-resource", stack.ports.public);
        let response = stack.client.get(url).header("host", "localhost").send().await.unwrap();
        serde_json::from_str::<Value>(&response.text().await.unwrap()).unwrap()
    };
    let types = "authorization_details_types_supported";
    assert_eq!(metadata(options(false)).await[types], json!(["document"]));
    assert_eq!(metadata(Options::default()).await.get(types), None);
}

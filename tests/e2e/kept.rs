//! What records keep of a request and of whom (L08, E-05): enough to prove what was asked, and nothing that lets somebody in.

use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::{digest, hmac};
use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::{Value, json};

const KEY: &[u8] = &[7; 32];
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PROMPT: &str = "sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keyed(kind: &str, value: &str) -> String {
    let input = format!("{kind}\0{value}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, KEY);
    format!("hmac:{}", hex(hmac::sign(&key, input.as_bytes()).as_ref()))
}

fn options(redaction: &str, record: &str) -> Options {
    let redaction: &str = format!("mode: best_effort, redaction: {{ {redaction} }}").leak();
    let route: &str = format!("  - name: read-document\n    record: {{ {record} }}\n").leak();
    Options {
        exequatur: vec![
            ("mode: best_effort", redaction),
            ("  - name: read-document\n", route),
            (", tenant: tenant }", ", tenant: tenant, purpose: purpose, prompt_hash: prompt }"),
        ],
        ..Options::default()
    }
}

/// Whoever has the request and the key finds its record; whoever has the record alone learns nothing of either.
#[tokio::test]
async fn what_was_asked_can_be_proven_and_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("digests.key");
    std::fs::write(&file, KEY).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let redaction = format!("digest_key_file: {}, peer: prefix", file.display());
    let record = "headers: [X-Order, { name: x-shown, as: plain }], query: [page], path_parameters: [id]";
    let stack = Stack::start(options(&redaction, record)).await.unwrap();
    let agent = Agent::new();
    let said = json!({ "purpose": "refund an order", "prompt": PROMPT, "jti": "canary-jti", "other": "canary-claim" });
    let token = stack.tokens.token(&agent, &said);
    let (path, query) = ("/tenants/acme/documents/plan", "page=2&other=canary-query");
    let url = stack.url(&format!("{path}?{query}"));
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let call = Call::new("GET", &url)
        .with("x-order", "canary-order")
        .with("x-shown", "seen")
        .with("cookie", "id=canary-cookie")
        .with("x-unnamed", "canary-header")
        .with("traceparent", &parent);
    let htu = json!({ "htu": stack.url(path), "jti": "canary-proof" });
    let answer = stack.call_with(&agent, &token, &call, &htu).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = stack.upstream.received();
    let decision = received.last().unwrap().values("x-exequatur-decision")[0].clone();
    let record = stack.record(&decision).await.unwrap();

    let asked = format!("GET {path}?{query}\n");
    assert_eq!(record["arguments"], json!({ "digest": keyed("arguments", &asked), "of": "target" }));
    let parts = json!([
        { "in": "header", "name": "x-order", "digest": keyed("part", "canary-order") },
        { "in": "header", "name": "x-shown", "value": "seen" },
        { "in": "query", "name": "page", "digest": keyed("part", "2") },
        { "in": "path", "name": "id", "digest": keyed("part", "plan") },
    ]);
    assert_eq!(record["parts"], parts);
    assert_eq!((&record["purpose"], &record["prompt_hash"]), (&json!("refund an order"), &json!(PROMPT)));
    assert_eq!(record["user"], keyed("user", "corp:alice"));
    assert_eq!((&record["agent"], &record["tenant"]), (&json!("corp:crm-bot"), &json!("acme")));
    assert_eq!((&record["trace"], &record["peer"]), (&json!(TRACE), &json!("127.0.0.0/24")));
    assert_eq!(record["scopes"]["needed"], json!(["documents:read"]));
    let held = record["scopes"]["held"].as_array().unwrap();
    assert!(held.contains(&json!("documents:read")), "{held:?}");
    assert_eq!(record.get("degraded"), None);

    // A purpose of another type is no token that can be used.
    let odd = stack.tokens.token(&agent, &json!({ "purpose": { "canary-purpose": 1 } }));
    let denied = stack.call_with(&agent, &odd, &call, &json!({ "htu": stack.url(path) })).await.unwrap();
    assert_eq!(denied.status, 401, "{denied:?}");

    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.metrics);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    let records = serde_json::to_string(&stack.records().await.unwrap()).unwrap();
    for (name, text) in [
        ("log", stack.log().unwrap()),
        ("records", records),
        ("metrics", metrics),
        ("denial", format!("{denied:?}")),
    ] {
        for secret in ["canary-", token.as_str(), "corp:alice"] {
            assert!(!text.contains(secret), "{secret} in the {name}");
        }
    }
}

/// Without a key: a plain digest, and nobody's name is hidden.
#[tokio::test]
async fn without_a_key_the_digest_is_anybodys_to_make() {
    let stack =
        Stack::start(options("arguments: digest", "query: [{ name: page, as: plain }]")).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let path = "/tenants/acme/documents/plan";
    let url = stack.url(&format!("{path}?page=1&page=x%20y"));
    let htu = json!({ "htu": stack.url(path) });
    let answer = stack.call_with(&agent, &token, &Call::new("GET", &url), &htu).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = stack.upstream.received();
    let decision = received.last().unwrap().values("x-exequatur-decision")[0].clone();
    let record = stack.record(&decision).await.unwrap();
    let asked = format!("GET {path}?page=1&page=x%20y\n");
    let expected = format!("sha256:{}", hex(digest::digest(&digest::SHA256, asked.as_bytes()).as_ref()));
    assert_eq!(record["arguments"], json!({ "digest": expected, "of": "target" }));
    let part = |value| json!({ "in": "query", "name": "page", "value": value });
    assert_eq!(record["parts"], json!([part("1"), part("x%20y")]));
    assert_eq!((&record["user"], &record["peer"]), (&json!("corp:alice"), &json!("127.0.0.1")));
}

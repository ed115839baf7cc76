//! What is told to whom: metadata and health to everybody, credentials to nobody.

use exequatur_tests::{Agent, Call, Options, Stack};
use serde_json::{Value, json};

const PATH: &str = "/tenants/acme/documents/plan";

/// E-05: no token, proof, query or header value appears in logs (at the finest level), records or metrics,
/// whether the request was permitted, denied or malformed.
#[tokio::test]
async fn credentials_and_content_appear_nowhere() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "note": "canary-claim" }));
    let url = stack.url(&format!("{PATH}?q=canary-query"));
    let htu = json!({ "htu": stack.url(PATH), "extra": "canary-proof" });
    let call = Call::new("GET", &url).with("x-other", "canary-header");
    let permitted = stack.call_with(&agent, &token, &call, &htu).await.unwrap();
    assert_eq!(permitted.status, 200, "{permitted:?}");
    let proof = permitted.proof.unwrap();
    let replayed = stack.send(&call, Some(&format!("DPoP {token}")), Some(&proof)).await.unwrap();
    assert_eq!(replayed.reason, "dpop_replay");
    let downgraded = stack.send(&call, Some(&format!("Bearer {token}")), None).await.unwrap();
    assert_eq!(downgraded.status, 401);
    let garbage = stack.send(&call, Some("Bearer canary-token"), Some("canary-proof")).await.unwrap();
    assert_eq!(garbage.reason, "token_malformed");
    let refused = stack.url("/canary-path;x?access_token=canary-query");
    assert_eq!(stack.send(&Call::new("GET", &refused), None, None).await.unwrap().reason, "path_refused");

    let mut shown = std::fs::read_to_string(stack.folder().join("exequatur.log")).unwrap();
    shown.push_str(&std::fs::read_to_string(stack.folder().join("decisions.jsonl")).unwrap());
    let metrics = format!("http://127.0.0.1:{}/metrics", stack.ports.metrics);
    let metrics = stack.client.get(metrics).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("exequatur_decisions_total{"), "{metrics}");
    shown.push_str(&metrics);
    let mut secrets = vec!["canary".to_owned()];
    secrets.extend(token.split('.').chain(proof.split('.')).map(str::to_owned));
    for secret in secrets {
        assert!(!shown.contains(&secret), "`{secret}` is shown");
    }
}

/// P01, P02, and readiness.
#[tokio::test]
async fn the_public_listener_tells_metadata_and_health() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let get = async |path: &str, host: &str| {
        let url = format!("http://127.0.0.1:{}{path}", stack.ports.public);
        let response = stack.client.get(url).header("host", host).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/healthz", "x").await.0, 200);
    assert_eq!(get("/readyz", "x").await.0, 200);
    let (status, body) = get("/.well-known/oauth-protected-resource", "localhost").await;
    assert_eq!(status, 200, "{body}");
    let metadata: Value = serde_json::from_str(&body).unwrap();
    assert!(metadata["resource"].is_string(), "{body}");
    assert_eq!(metadata["authorization_servers"].as_array().map(Vec::len), Some(1), "{body}");
    assert_eq!(metadata["bearer_methods_supported"], json!(["header"]));
    assert_eq!(get("/.well-known/oauth-protected-resource", "elsewhere").await.0, 404);
    assert_eq!(get("/.well-known/oauth-protected-resource/other", "localhost").await.0, 404);
    assert_eq!(get("/metrics", "localhost").await.0, 404);
}

/// P02: the well-known part goes before the path of an identifier; without that path, with another one, behind it, or
/// under another host there is nothing. No token is asked for. Challenges lead there.
#[tokio::test]
async fn the_metadata_of_an_identifier_with_a_path() {
    let named = ("- resource: https://api.example.com", "- resource: https://api.example.com/public/mcp");
    let audience =
        ("audiences: [https://api.example.com]", "audiences: [https://api.example.com/public/mcp]");
    let options = Options { exequatur: vec![named, audience], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let get = async |path: &str, host: &str| {
        let url = format!("http://127.0.0.1:{}{path}", stack.ports.public);
        let response = stack.client.get(url).header("host", host).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let path = "/.well-known/oauth-protected-resource/public/mcp";
    let (status, body) = get(path, "localhost").await;
    assert_eq!(status, 200, "{body}");
    let metadata: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(metadata["resource"], "https://api.example.com/public/mcp");
    for (other, host) in [
        (path, "elsewhere"),
        ("/.well-known/oauth-protected-resource", "localhost"),
        ("/.well-known/oauth-protected-resource/", "localhost"),
        ("/.well-known/oauth-protected-resource/public", "localhost"),
        ("/.well-known/oauth-protected-resource/public/mcp/", "localhost"),
        ("/.well-known/oauth-protected-resource/public/other", "localhost"),
        ("/public/mcp/.well-known/oauth-protected-resource", "localhost"),
    ] {
        assert_eq!(get(other, host).await.0, 404, "{host} {other}");
    }
    let bare = stack.send(&Call::new("GET", &stack.url(PATH)), None, None).await.unwrap();
    let challenges = bare.fields("www-authenticate").join(" ");
    assert!(challenges.contains(&format!("{path}\"")), "{challenges}");
}

//! What is told to everybody: metadata and health.

use exequatur_tests::{Call, Options, Stack};
use serde_json::{Value, json};

const PATH: &str = "/tenants/acme/documents/plan";

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

//! What is told to everybody: metadata and health.

use exequatur_tests::{Agent, Call, Options, Stack, TokenService};
use serde_json::{Value, json};

const PATH: &str = "/tenants/acme/documents/plan";
const METADATA: &str = "/.well-known/oauth-protected-resource";
/// The route that lets callers see the metadata, as it stands in `examples/laptop`.
pub(super) const PUBLISHED: (&str, &str) = (
    "\nrecords: {",
    "\n  - { name: metadata, match: { path: /.well-known/oauth-protected-resource, methods: [GET, HEAD] }, access: public }\nrecords: {",
);
/// What tokens are for is the address that callers use.
pub(super) const PLAIN: [(&str, &str); 2] = [
    ("- resource: https://api.example.com", "- resource: http://localhost:10000"),
    ("audiences: [https://api.example.com]", "audiences: [http://localhost:10000]"),
];
const WITH_TLS: [(&str, &str); 2] = [
    ("- resource: https://api.example.com", "- resource: https://localhost:10000"),
    ("audiences: [https://api.example.com]", "audiences: [https://localhost:10000]"),
];

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
    assert_eq!(metadata["scopes_supported"], json!(["documents:read", "documents:write"]));
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
    let scopes = ("    scopes: [documents:read, documents:write]\n", "");
    let options = Options { exequatur: vec![named, audience, scopes], ..Options::default() };
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
    // RFC 9728 §3.2: what has no values is left out.
    assert_eq!(metadata.get("scopes_supported"), None, "{body}");
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

/// P01, P03: who has an address alone finds by its challenge whose tokens count there, through both listeners.
#[tokio::test]
async fn a_challenge_leads_to_the_authorization_server() {
    for hardened in [false, true] {
        let named = if hardened { WITH_TLS } else { PLAIN };
        let exequatur = named.into_iter().chain([PUBLISHED]).collect();
        let stack = Stack::start(Options { exequatur, ..Options::on(hardened) }).await.unwrap();
        let bare = stack.send(&Call::new("GET", &stack.url(PATH)), None, None).await.unwrap();
        let challenge = bare.fields("www-authenticate").join(" ");
        let (_, address) = challenge.split_once("resource_metadata=\"").unwrap();
        let (address, _) = address.split_once('"').unwrap();
        assert_eq!(address, stack.url(METADATA));
        let body = stack.client.get(address).send().await.unwrap().text().await.unwrap();
        let metadata: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
        // RFC 9728 section 3.3: otherwise a client is not to believe it.
        assert_eq!(metadata["resource"], stack.url(""));
        assert_eq!(metadata["authorization_servers"], json!([TokenService::ISSUER]));
        assert!(stack.upstream.received().is_empty());
    }
}

/// B-03: nothing but these two methods and this path comes to the public listener, no credential and no identity either; and
/// without the public route nothing does.
#[tokio::test]
async fn nothing_else_reaches_the_public_listener() {
    // In place of the public listener stands the stack's own service, which tells what it got.
    const WATCHED: (&str, &str) = ("port_value: 9192", "port_value: 10080");
    let closed = Stack::start(Options { envoy: vec![WATCHED], ..Options::default() }).await.unwrap();
    let refused = closed.send(&Call::new("GET", &closed.url(METADATA)), None, None).await.unwrap();
    assert_eq!((refused.status, refused.reason.as_str()), (403, "route_unmatched"), "{refused:?}");
    assert!(closed.upstream.received().is_empty());
    drop(closed);
    for hardened in [false, true] {
        let options = Options { envoy: vec![WATCHED], exequatur: vec![PUBLISHED], ..Options::on(hardened) };
        let stack = Stack::start(options).await.unwrap();
        let token = stack.tokens.token(&Agent::new(), &Value::Null);
        for method in ["GET", "HEAD"] {
            let url = stack.url(METADATA);
            let call = Call::new(method, &url).with("x-exequatur-agent", "corp:root").with("dpop", "a");
            let answer = stack.send(&call, Some(&format!("DPoP {token}")), None).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            let received = stack.upstream.received();
            let request = received.last().unwrap();
            assert_eq!(request.target, METADATA);
            for gone in
                ["authorization", "dpop", "x-exequatur-agent", "x-exequatur-user", "x-exequatur-tenant"]
            {
                assert!(request.values(gone).is_empty(), "{gone}: {request:?}");
            }
        }
        for (method, path) in [
            ("POST", METADATA.to_owned()),
            ("PUT", METADATA.to_owned()),
            ("OPTIONS", METADATA.to_owned()),
            ("GET", format!("{METADATA}/")),
            ("GET", format!("{METADATA}/other")),
            ("GET", format!("{METADATA}s")),
            ("GET", format!("{METADATA}/../../readyz")),
            ("GET", "/readyz".to_owned()),
            ("GET", "/.well-known/exequatur-receipt-keys".to_owned()),
        ] {
            let answer = stack.send(&Call::new(method, &stack.url(&path)), None, None).await.unwrap();
            assert!(answer.status >= 400, "{method} {path}: {answer:?}");
        }
        assert_eq!(stack.upstream.received().len(), 2);
    }
}

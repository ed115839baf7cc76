//! A stock authorization server and a stock client, neither of them ours.

use std::process::Stdio;

use exequatur_tests::configuration::IssuerEntry;
use exequatur_tests::{AuthorizationServer, Options, Stack, TokenService};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

/// The first call comes right after the start, when no proof can be known to be new: the client is asked for
/// a nonce, follows, and is let through. So it is after a restart, though it had a nonce before.
#[tokio::test]
async fn a_stock_client_gets_through() {
    let server = AuthorizationServer::start("server.mjs").await.unwrap();
    let issuer = IssuerEntry { user_claim: "on_behalf_of".to_owned(), ..server.entry() };
    let mut stack = Stack::start(Options { issuer: Some(issuer), ..Options::default() }).await.unwrap();
    let mut process = server
        .client("client.mjs")
        .unwrap()
        .arg(TokenService::AUDIENCE)
        .arg(stack.url("/tenants/acme/documents/plan"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("paused"));
    stack.restart_exequatur().await.unwrap();
    drop(process.stdin.take());
    let told = lines.next_line().await.unwrap().unwrap();
    assert!(process.wait().await.unwrap().success());
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["bound"], true, "{told}");
    let calls = told["calls"].as_array().unwrap();
    assert_eq!(calls.len(), 3, "{told}");
    assert!(calls.iter().all(|call| call["status"] == 200), "{told}");
    assert_eq!(calls[0]["nonceFollowed"], true, "{told}");
    assert_eq!(calls[2]["nonceFollowed"], true, "after the restart: {told}");

    let received = stack.upstream.received();
    assert_eq!(received.len(), 3);
    for request in received {
        assert_eq!(request.values("x-exequatur-agent").join(",").replace("%3A", ":"), "corp:crm-bot");
        assert_eq!(request.values("x-exequatur-user").join(",").replace("%3A", ":"), "corp:alice");
    }
}

//! A stock authorization server and a stock client, neither of them ours.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use exequatur_tests::configuration::IssuerEntry;
use exequatur_tests::ports::Reserved;
use exequatur_tests::{Options, Stack, TokenService, binaries, jwt};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

struct AuthorizationServer {
    issuer: String,
    client_key: PathBuf,
    _process: Child,
    _reserved: Reserved,
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        std::fs::remove_file(&self.client_key).unwrap();
    }
}

fn node(script: &str) -> Command {
    let folder = binaries::repository().join("tests/authorization-server");
    assert!(folder.join("node_modules").is_dir(), "run tests/tools/node.sh first");
    let mut command = Command::new(binaries::node());
    command.arg(folder.join(script)).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn start_authorization_server() -> AuthorizationServer {
    let reserved = Reserved::block().unwrap();
    let [port, ..] = reserved.all();
    let client_key = std::env::temp_dir().join(format!("exequatur-client-{}.json", jwt::random_id()));
    let process = node("server.mjs")
        .arg(port.to_string())
        .arg(TokenService::AUDIENCE)
        .arg(&client_key)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let issuer = format!("http://127.0.0.1:{port}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for _attempt in 0..400 {
        if client.get(format!("{issuer}/jwks")).send().await.is_ok_and(|answer| answer.status().is_success())
        {
            return AuthorizationServer { issuer, client_key, _process: process, _reserved: reserved };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the authorization server did not start");
}

/// The first call comes right after the start, when no proof can be known to be new: the client is asked for
/// a nonce, follows, and is let through. So it is after a restart, though it had a nonce before.
#[tokio::test]
async fn a_stock_client_gets_through() {
    let server = start_authorization_server().await;
    let issuer = IssuerEntry {
        issuer: server.issuer.clone(),
        jwks: format!("\"{}/jwks\"", server.issuer),
        user_claim: "on_behalf_of".to_owned(),
    };
    let mut stack = Stack::start(Options { issuer: Some(issuer), ..Options::default() }).await.unwrap();
    let mut process = node("client.mjs")
        .arg(&server.issuer)
        .arg(&server.client_key)
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

//! Orders to the admin socket, given with the command line, and what they stop at Envoy.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use exequatur_tests::orders::{self, Said, with_orders};
use exequatur_tests::{Agent, Call, DOCUMENT, OPEN, Options, Stack, binaries, jwt};
use serde_json::{Value, json};
use tokio::process::Command;

fn options() -> Options {
    with_orders(Options::default())
}

async fn command(stack: &Stack, words: &[&str]) -> Said {
    orders::command(stack, words).await.unwrap()
}

async fn order(stack: &Stack, words: &[&str]) -> Value {
    orders::order(stack, words).await.unwrap()
}

/// The status and the reason of one call.
async fn call(stack: &Stack, agent: &Agent, token: &str) -> (u16, String) {
    let url = stack.url(DOCUMENT);
    let answer = stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
    (answer.status, answer.reason)
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn denied(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

fn claims() -> Value {
    json!({
        "jti": "t-1", "sid": "s-1", "act": { "sub": "crm-bot", "act": { "sub": "planner" } },
    })
}

/// D-06, D-07, G26: each kind that is revoked is denied with its reason at the next request, whatever was known of the
/// token; a name that differs by one thing is not; undone, it passes again.
#[tokio::test]
async fn each_kind_is_stopped_and_let_go_again() {
    let stack = Stack::start(options()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &claims());
    let thumbprint = agent.confirmation()["jkt"].as_str().unwrap().to_owned();
    assert_eq!(call(&stack, &agent, &token).await, passed());
    for (kind, name, other, refusal) in [
        ("token", "corp:t-1", "corp:t-2", denied(401, "token_revoked")),
        ("key", &*thumbprint, "-ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", denied(401, "key_revoked")),
        ("agent", "corp:crm-bot", "corp:crm-bot2", denied(401, "agent_revoked")),
        ("agent", "corp:planner", "corp:planner2", denied(401, "agent_revoked")),
        ("user", "corp:alice", "corp:bob", denied(401, "user_revoked")),
        ("session", "corp:s-1", "corp:s-2", denied(401, "session_revoked")),
        ("client", "corp:crm-bot", "corp:crm-bo", denied(401, "client_revoked")),
        ("tenant", "acme", "Acme", denied(403, "tenant_revoked")),
    ] {
        let sure: &[&str] = if kind == "tenant" { &["--yes"] } else { &[] };
        let revoke = |name| [&["revoke", kind, name], sure].concat();
        assert_eq!(order(&stack, &revoke(other)).await["changed"], true, "{kind}");
        assert_eq!(call(&stack, &agent, &token).await, passed(), "{kind} {other}");
        assert_eq!(order(&stack, &["revoke", "undo", kind, other]).await["changed"], true, "{kind}");
        let done = order(&stack, &revoke(name)).await;
        assert_eq!(
            (&done["kind"], &done["kept"], &done["recorded"]),
            (&json!(kind), &json!("on_disk"), &json!(true))
        );
        assert_eq!(call(&stack, &agent, &token).await, refusal, "{kind} {name}");
        assert_eq!(order(&stack, &["revoke", "undo", kind, name]).await["changed"], true);
        assert_eq!(call(&stack, &agent, &token).await, passed(), "{kind} {name} again");
    }
    order(&stack, &["revoke", "issuer", "corp", "--yes"]).await;
    assert_eq!(call(&stack, &agent, &token).await, denied(401, "issuer_revoked"));
    order(&stack, &["revoke", "undo", "issuer", "corp"]).await;
    assert_eq!(call(&stack, &agent, &token).await, passed());
}

/// D-07: everything stops, what is public does not; and with an end it goes on by itself.
#[tokio::test]
async fn the_kill_switch_stops_a_tenant_and_everything() {
    let stack = Stack::start(options()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    for (extent, undo, refusal) in [
        (
            &["kill", "--tenant", "acme", "--yes"][..],
            &["revoke", "undo", "tenant", "acme"][..],
            "tenant_revoked",
        ),
        (&["kill", "--all", "--yes"], &["revoke", "undo", "all"], "killed"),
    ] {
        order(&stack, extent).await;
        assert_eq!(call(&stack, &agent, &token).await, denied(403, refusal));
        let open = stack.client.get(stack.url(OPEN)).send().await.unwrap();
        assert_eq!(open.status(), 200);
        order(&stack, undo).await;
        assert_eq!(call(&stack, &agent, &token).await, passed());
    }
    order(&stack, &["kill", "--all", "--yes", "--for", "1s"]).await;
    let ended = async {
        while call(&stack, &agent, &token).await == denied(403, "killed") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), ended).await.unwrap();
    assert_eq!(call(&stack, &agent, &token).await, passed());
    // Nobody can be asked here.
    let said = command(&stack, &["kill", "--all", "--reason", "a slip"]).await;
    assert_eq!(said.code, Some(2), "{said:?}");
    assert!(said.err.contains("--yes"), "{said:?}");
    assert_eq!(call(&stack, &agent, &token).await, passed());
}

/// A suspended agent comes back; an order with a watermark ends old tokens only (V05); a token is found by its record.
#[tokio::test]
async fn suspension_watermark_and_the_digest_of_a_record() {
    let stack = Stack::start(options()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "iat": jwt::now() - 30 }));
    order(&stack, &["agents", "suspend", "corp:crm-bot"]).await;
    assert_eq!(call(&stack, &agent, &token).await, denied(403, "agent_suspended"));
    order(&stack, &["revoke", "undo", "agent", "corp:crm-bot"]).await;
    assert_eq!(call(&stack, &agent, &token).await, denied(403, "agent_suspended"));
    let listed = command(&stack, &["agents", "list"]).await;
    assert!(listed.out.contains("corp:crm-bot") && listed.out.contains("suspended"), "{listed:?}");
    order(&stack, &["agents", "resume", "corp:crm-bot"]).await;
    assert_eq!(call(&stack, &agent, &token).await, passed());

    let mark = jiff::Timestamp::from_second(jwt::now() - 20).unwrap().to_string();
    order(&stack, &["revoke", "user", "corp:alice", "--not-before", &mark]).await;
    assert_eq!(call(&stack, &agent, &token).await, denied(401, "user_revoked"));
    let fresh = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(DOCUMENT);
    let answer = stack.call(&agent, &fresh, &Call::new("GET", &url)).await.unwrap();
    assert_eq!(answer.status, 200);

    let decision = stack.upstream.received().last().unwrap().values("x-exequatur-decision").remove(0);
    let record = stack.record(&decision).await.unwrap();
    assert_eq!(record["controls"]["revocation"], "clear");
    let digest = format!("corp:{}", record["controls"]["token"]["digest"].as_str().unwrap());
    order(&stack, &["revoke", "token", "--digest", &digest]).await;
    assert_eq!(call(&stack, &agent, &fresh).await, denied(401, "token_revoked"));
    let other = stack.tokens.token(&agent, &Value::Null);
    assert_eq!(call(&stack, &agent, &other).await, passed());
}

/// Issue 4, point 3: whatever was answered outlives SIGKILL, at whatever moment it comes.
#[tokio::test]
async fn nothing_that_was_answered_is_lost_when_the_process_is_killed() {
    let mut stack = Stack::start(options()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    order(&stack, &["revoke", "user", "corp:alice"]).await;
    let mut answered = Vec::new();
    for round in 0..5_u64 {
        let socket = stack.folder().join("admin.sock");
        let client = reqwest::Client::builder().unix_socket(socket).no_proxy().build().unwrap();
        let ordering = async {
            let mut done = Vec::new();
            for n in 0.. {
                let name = format!("corp:u-{round}-{n}");
                let body = json!({ "kind": "user", "name": name, "reason": "load" }).to_string();
                let sent = client
                    .post("http://exequatur/v1/revocations")
                    .header("content-type", "application/json")
                    .body(body)
                    .send()
                    .await;
                match sent {
                    Ok(answer) if answer.status() == 200 => done.push(name),
                    Ok(answer) => panic!("{}", answer.status()),
                    Err(_killed) => return done,
                }
            }
            done
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(20 + 37 * round)).await;
            stack.signal_exequatur("KILL").await.unwrap();
        };
        let (done, ()) = tokio::join!(ordering, killing);
        answered.extend(done);
        stack.restart_exequatur().await.unwrap();
    }
    assert!(!answered.is_empty());
    let listed =
        command(&stack, &["revoke", "list", "--kind", "user", "--limit", "1000000", "--output", "json"]);
    let listed = listed.await.json().unwrap();
    let names: std::collections::HashSet<_> = listed["revocations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revocation| revocation["name"].as_str().unwrap().to_owned())
        .collect();
    for name in &answered {
        assert!(names.contains(name), "{name} of {}", answered.len());
    }
    let refused = stack.call(&agent, &token, &Call::new("GET", &stack.url(DOCUMENT))).await.unwrap();
    assert_eq!((refused.status, refused.reason.as_str()), (401, "user_revoked"));
}

/// Every order stands in the file of records, those that were refused too; and who gave it is what the kernel says.
#[tokio::test]
async fn every_order_is_recorded() {
    let stack = Stack::start(options()).await.unwrap();
    order(&stack, &["revoke", "agent", "corp:rogue"]).await;
    order(&stack, &["revoke", "undo", "agent", "corp:rogue"]).await;
    for (words, why) in [
        (&["revoke", "agent", "crop:rogue"][..], "no issuer is called"),
        (&["revoke", "agent", "Rogue:x"], "<issuer name>:<id>"),
        (&["revoke", "key", "abc"], "thumbprint"),
        (&["revoke", "user", "corp:a", "--until", "2020-01-01T00:00:00Z"], "lies in the past"),
        (&["revoke", "user", "corp:a", "--not-before", "2999-01-01T00:00:00Z"], "lies in the future"),
        (&["revoke", "user", "corp:a", "--not-before", "yesterday"], "RFC 3339"),
    ] {
        let words: Vec<_> = words.iter().copied().chain(["--reason", "a test"]).collect();
        let said = command(&stack, &words).await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(said.err.contains(why), "{why}: {said:?}");
    }
    let me =
        format!("local:{}", std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(stack.folder()).unwrap()));
    let orders: Vec<_> =
        stack.records().await.unwrap().into_iter().filter(|record| record.get("admin").is_some()).collect();
    assert_eq!(orders.len(), 8, "{orders:?}");
    assert!(orders.iter().all(|order| order["actor"] == me), "{orders:?}");
    let said = |n: usize, member: &str| orders[n][member].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (said(0, "action"), said(0, "outcome"), said(0, "name")),
        ("revoke".into(), "done".into(), "corp:rogue".into())
    );
    assert_eq!(
        (said(1, "action"), said(1, "outcome"), said(1, "reason")),
        ("undo".into(), "ordered".into(), "a test".into())
    );
    assert!(orders[2..].iter().all(|order| order["outcome"] == "refused" && order["error"].is_string()));
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(stack.folder().join("admin.sock")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

/// What the socket does not take, byte for byte.
#[tokio::test]
async fn the_socket_takes_orders_and_nothing_else() {
    let stack = Stack::start(options()).await.unwrap();
    let socket = stack.folder().join("admin.sock");
    let client = reqwest::Client::builder().unix_socket(socket).no_proxy().build().unwrap();
    let long = json!({ "kind": "user", "name": "corp:a", "reason": "x".repeat(20_000) }).to_string();
    let reason = json!({ "kind": "user", "name": "corp:a", "reason": "x".repeat(1_001) }).to_string();
    for (path, body, status) in [
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a","reason":"r","extra":1}"#, 400),
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a","name":"corp:b","reason":"r"}"#, 400),
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a"}"#, 400),
        ("/v1/revocations", r#"{"kind":"user","name":["corp:a"],"reason":"r"}"#, 400),
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a","reason":"r"} {}"#, 400),
        ("/v1/revocations", "", 400),
        ("/v1/revocations", &long, 413),
        ("/v1/revocations", &reason, 422),
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a","reason":""}"#, 422),
        ("/v1/revocations", r#"{"kind":"user","name":"corp:a","reason":"a\nb"}"#, 422),
        ("/v1/revocations", r#"{"kind":"users","name":"corp:a","reason":"r"}"#, 422),
        ("/v1/revocations", r#"{"kind":"all","reason":"r"}"#, 422),
        ("/v1/revocations", r#"{"kind":"user","digest":"corp:a","reason":"r"}"#, 422),
        ("/v1/kill", r#"{"reason":"r"}"#, 422),
        ("/v1/kill", r#"{"tenant":"acme","everything":true,"reason":"r"}"#, 422),
        ("/v1/kill", r#"{"everything":1,"reason":"r"}"#, 400),
        ("/v1/agents/Rogue:x/suspend", r#"{"reason":"r"}"#, 422),
        ("/v1/agents", r#"{"reason":"r"}"#, 404),
        ("/healthz", "{}", 404),
    ] {
        let asked = client.post(format!("http://exequatur{path}")).header("content-type", "application/json");
        let sent = asked.body(body.to_owned()).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), status, "{path} {body:.90}");
    }
    // E-08: what a browser sends to another site without asking is not taken.
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let asked = client.post("http://exequatur/v1/kill").body(r#"{"everything":true,"reason":"r"}"#);
        let asked = match content_type {
            Some(kind) => asked.header("content-type", kind),
            None => asked,
        };
        assert_eq!(asked.send().await.unwrap().status(), 415, "{content_type:?}");
    }
    for (query, status) in
        [("", 200), ("?limit=0", 400), ("?limit=1001", 400), ("?limit=1&limit=1", 400), ("?kind=x", 400)]
    {
        let sent = client.get(format!("http://exequatur/v1/revocations{query}")).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), status, "{query}");
        if status == 200 {
            let list: Value = serde_json::from_str(&sent.text().await.unwrap()).unwrap();
            assert_eq!(list, json!({ "revocations": [] }), "nothing of all this was done");
        }
    }
}

/// Without a folder, the answer says what becomes of it at a restart, and so does the log.
#[tokio::test]
async fn without_a_folder_it_is_said_what_is_lost() {
    let mut options = options();
    options.exequatur.retain(|(_, with)| !with.contains("store:"));
    let mut stack = Stack::start(options).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let said = command(&stack, &["revoke", "user", "corp:alice", "--reason", "a test"]).await;
    assert_eq!(said.code, Some(0));
    assert!(said.err.contains("lost at restart"), "{said:?}");
    stack.logged("what is ordered is lost at a restart").await;
    assert_eq!(call(&stack, &agent, &token).await, denied(401, "user_revoked"));
    stack.restart_exequatur().await.unwrap();
    assert_eq!(call(&stack, &agent, &token).await, passed());
}

/// A second process does not start on the same folder, and a damaged file is named with its byte.
#[tokio::test]
async fn a_damaged_file_keeps_it_from_starting() {
    let mut stack = Stack::start(options()).await.unwrap();
    order(&stack, &["revoke", "user", "corp:alice"]).await;
    order(&stack, &["revoke", "user", "corp:bob"]).await;
    let serve = || async {
        Command::new(binaries::exequatur().unwrap())
            .args(["serve", "--config"])
            .arg(stack.folder().join("exequatur.yaml"))
            .output()
            .await
            .unwrap()
    };
    let second = serve().await;
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("another process"), "{said}");

    stack.stop_exequatur().await.unwrap();
    let file = stack.folder().join("state/revocations");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let serve = Command::new(binaries::exequatur().unwrap())
        .args(["serve", "--config"])
        .arg(stack.folder().join("exequatur.yaml"))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&serve.stderr).into_owned();
    assert!(!serve.status.success() && said.contains("damaged at byte 16"), "{said}");
}

/// D-06: while callers go on, nothing that begins after the answer to the order goes through.
#[tokio::test]
async fn nothing_that_begins_after_the_answer_passes() {
    let stack = Stack::start(options()).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let seen = std::sync::atomic::AtomicU32::new(0);
    // When each call began, and how it ended, until some were refused.
    let calls = || async {
        let (mut calls, mut refused) = (Vec::new(), 0);
        while refused < 5 {
            let begun = Instant::now();
            let (status, reason) = call(&stack, &agent, &token).await;
            assert!(status == 200 || reason == "agent_suspended", "{status} {reason}");
            refused += u32::from(status != 200);
            calls.push((begun, status));
            seen.fetch_add(1, Ordering::Relaxed);
        }
        calls
    };
    for _ in 0..5 {
        let already = seen.load(Ordering::Relaxed);
        let ordering = async {
            while seen.load(Ordering::Relaxed) < already + 20 {
                tokio::task::yield_now().await;
            }
            order(&stack, &["agents", "suspend", "corp:crm-bot"]).await;
            Instant::now()
        };
        let (answered, one, two, three) = tokio::join!(ordering, calls(), calls(), calls());
        for (begun, status) in [one, two, three].concat() {
            assert!(begun < answered || status == 403, "one passed {:?} after the answer", begun - answered);
        }
        order(&stack, &["agents", "resume", "corp:crm-bot"]).await;
    }
}

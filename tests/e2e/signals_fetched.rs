//! Security events that are fetched from a transmitter, and what is asked of it with the command line.

use std::time::Duration;

use exequatur_tests::orders::with_orders;
use exequatur_tests::redis::Kind;
use exequatur_tests::transmitter::{CAEP, Desk, SSF, claims, opaque, user};
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, Transmitter, binaries, in_time, jwt};
use serde_json::{Value, json};
use tokio::process::Command;

const TOKEN: &str = "a-token-for-the-transmitter";

/// `options` with a stream that is fetched from the desk, whose keys are found by its metadata.
fn fetching(transmitter: &Transmitter, desk: &Desk, options: Options, more: &str) -> Options {
    let token = transmitter.secret("token", TOKEN).unwrap();
    let delivery = format!("poll: {{ url: {}/poll, every: 1s, max_events: 2 }}", desk.url);
    let more = format!("    token_file: {}\n{more}", token.display());
    let mut options = transmitter.received(options, &delivery, &more);
    let transmitter = format!("transmitter: {}", desk.url);
    options.exequatur.push(("transmitter: https://idp.example.com", transmitter.leak()));
    options
}

async fn set(transmitter: &Transmitter, desk: &Desk, subject: &Value, changes: &Value) -> (String, Value) {
    let event = json!({ "event_timestamp": jwt::now() - 20 });
    let claims = claims(subject, &format!("{CAEP}session-revoked"), &event, &json!({ "iss": desk.url }));
    let claims = jwt::merged(claims, changes);
    let id = claims["jti"].as_str().unwrap_or("none").to_owned();
    (id, json!(transmitter.sign(&Value::Null, &claims).await.unwrap()))
}

async fn called(stack: &Stack, agent: &Agent, token: &str) -> String {
    stack.call(agent, token, &Call::new("GET", &stack.url(DOCUMENT))).await.unwrap().reason
}

/// V02, V09: sets are fetched, a few at a time; those that are taken are acknowledged, those that never will be are refused
/// with their word, and one that is not text, or comes under another's id, harms no other.
#[tokio::test]
async fn sets_are_fetched_acknowledged_or_refused() {
    let transmitter = Transmitter::start().await.unwrap();
    let desk = Desk::open(transmitter.jwks()).await.unwrap();
    let stack =
        Stack::start(fetching(&transmitter, &desk, with_orders(Options::default()), "")).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "iat": jwt::now() - 60, "sid": "s-1" }));
    assert_eq!(called(&stack, &agent, &token).await, "");
    let foreign = json!({ "format": "iss_sub", "iss": "https://other.example.com", "sub": "alice" });
    let good = set(&transmitter, &desk, &user("bob"), &Value::Null).await;
    let refused = [
        (set(&transmitter, &desk, &foreign, &Value::Null).await, "access_denied"),
        (set(&transmitter, &desk, &user("bob"), &json!({ "aud": "x" })).await, "invalid_audience"),
        (("not-text".to_owned(), json!(7)), "invalid_request"),
        (
            ("another".to_owned(), set(&transmitter, &desk, &user("alice"), &Value::Null).await.1),
            "invalid_request",
        ),
    ];
    let last = set(&transmitter, &desk, &opaque("s-1"), &Value::Null).await;
    desk.state(|state| {
        state.sets.extend(refused.iter().map(|(set, _)| set.clone()));
        state.sets.insert(2, good.clone());
        state.sets.push(last.clone());
    });
    in_time("all are settled", async {
        while !desk.state(|state| state.sets.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(called(&stack, &agent, &token).await, "session_revoked");
    desk.state(|state| {
        assert_eq!(state.acknowledged, [good.0, last.0]);
        let words: Vec<_> = refused.iter().map(|((id, _), word)| (id.clone(), (*word).to_owned())).collect();
        assert_eq!(state.refused, words);
        let polls = state.asked.iter().zip(&state.authorizations).filter(|((path, _), _)| path == "/poll");
        for ((_, body), authorization) in polls {
            assert_eq!(authorization, &format!("Bearer {TOKEN}"));
            assert_eq!((&body["maxEvents"], &body["returnImmediately"]), (&json!(2), &json!(true)), "{body}");
        }
    });
}

/// A transmitter that is down is not asked in a storm, and is asked again when it is back.
#[tokio::test]
async fn a_transmitter_that_is_down_gets_no_storm() {
    let transmitter = Transmitter::start().await.unwrap();
    let desk = Desk::open(transmitter.jwks()).await.unwrap();
    desk.state(|state| state.failing = Some(503));
    let stack =
        Stack::start(fetching(&transmitter, &desk, with_orders(Options::default()), "")).await.unwrap();
    let polls = || desk.state(|state| state.asked.iter().filter(|(path, _)| path == "/poll").count());
    let failed = "exequatur_signals_polls_total{stream=\"idp\",outcome=\"failed\"}";
    in_time("three polls have failed", async {
        while stack.metric(failed).await.unwrap() < 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    // Pauses of at least half a second and a second lie between three polls.
    assert!(polls() <= 4, "{}", polls());
    let waiting = set(&transmitter, &desk, &user("alice"), &Value::Null).await;
    desk.state(|state| {
        state.failing = None;
        state.sets.push(waiting);
    });
    in_time("it is fetched", async {
        while !desk.state(|state| state.sets.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// V02: while Redis is down nothing is acknowledged, and afterwards what one of two replicas fetches is obeyed by both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let transmitter = Transmitter::start().await.unwrap();
    let desk = Desk::open(transmitter.jwks()).await.unwrap();
    let options = with_orders(Options::shared(Kind::Newest));
    let mut stack = Stack::start(fetching(&transmitter, &desk, options, "")).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "iat": jwt::now() - 60 }));
    assert_eq!(called(&stack, &agent, &token).await, "");
    stack.redis().kill().unwrap();
    let waiting = set(&transmitter, &desk, &user("alice"), &Value::Null).await;
    desk.state(|state| state.sets.push(waiting.clone()));
    stack.logged("it has to be sent again").await;
    assert!(desk.state(|state| state.acknowledged.is_empty() && state.refused.is_empty()));
    stack.redis().start_again().unwrap();
    in_time("it is acknowledged", async {
        while desk.state(|state| state.acknowledged.is_empty()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    in_time("both deny", async {
        let mut denials = 0;
        while denials < 4 {
            denials = if called(&stack, &agent, &token).await == "user_revoked" { denials + 1 } else { 0 };
        }
    })
    .await;
}

/// Runs `exequatur signals` on the stack's configuration: its exit code, and what it printed.
async fn command(stack: &Stack, words: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(binaries::exequatur().unwrap())
        .arg("signals")
        .args(words)
        .arg("--config")
        .arg(stack.folder().join("exequatur.yaml"))
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

/// V03: a stream is made, verified and looked at from the command line; the state that one process makes is known by
/// another, and one that was made up is not.
#[tokio::test]
async fn a_stream_is_made_verified_and_looked_at() {
    let transmitter = Transmitter::start().await.unwrap();
    let desk = Desk::open(transmitter.jwks()).await.unwrap();
    let options = fetching(&transmitter, &desk, with_orders(Options::default()), "    stream_id: stream-1\n");
    let stack = Stack::start(options).await.unwrap();
    let (code, said, error) = command(&stack, &["create", "idp", "--output", "json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said} {error}"));
    assert_eq!((code, &said["stream_id"]), (Some(0), &json!("stream-1")), "{said}");
    assert_eq!(said["poll_url"], json!(format!("{}/poll", desk.url)));
    assert_eq!(
        said["events"],
        json!({
            "session_revoked": true, "credential_change": false, "token_claims_change": false,
            "assurance_level_change": false, "device_compliance_change": false, "risk_level_change": false,
        })
    );
    desk.state(|state| {
        let (_, body) = state.asked.iter().find(|(path, _)| path == "/streams").unwrap();
        assert_eq!(body["delivery"]["method"], "urn:ietf:rfc:8936");
        assert_eq!(body["events_requested"].as_array().unwrap().len(), 6);
    });
    let (code, _, error) = command(&stack, &["create", "nobody"]).await;
    assert_eq!(code, Some(3), "{error}");

    let (code, said, error) = command(&stack, &["verify", "idp"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("exequatur_signals_last_verification_timestamp_seconds{stream=\"idp\"}"), "{said}");
    let asked = desk.state(|state| {
        let (_, body) = state.asked.iter().find(|(path, _)| path == "/verify").unwrap();
        body.clone()
    });
    assert_eq!(asked["stream_id"], "stream-1");
    let verification = async |state: &Value| {
        let claims = claims(
            &opaque("stream-1"),
            &format!("{SSF}verification"),
            &json!({ "state": state }),
            &json!({ "iss": desk.url }),
        );
        let id = claims["jti"].as_str().unwrap().to_owned();
        (id, json!(transmitter.sign(&Value::Null, &claims).await.unwrap()))
    };
    let (ours, made_up) = (verification(&asked["state"]).await, verification(&json!("made up")).await);
    desk.state(|state| state.sets.extend([ours.clone(), made_up.clone()]));
    in_time("both are settled", async {
        while !desk.state(|state| state.sets.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    desk.state(|state| {
        assert_eq!(state.acknowledged, [ours.0]);
        assert_eq!(state.refused, [(made_up.0, "invalid_state".to_owned())]);
    });
    stack.logged("security events arrive").await;

    assert_eq!(command(&stack, &["status", "idp"]).await.0, Some(0));
    desk.state(|state| state.status = "paused");
    let (code, said, _) = command(&stack, &["status", "idp"]).await;
    assert_eq!((code, said.trim()), (Some(1), "paused: because"));
    desk.state(|state| state.audience = "https://other.example.com");
    let (code, said, _) = command(&stack, &["create", "idp"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("aud: NOT as configured"), "{said}");
}

//! Security events of a transmitter that signs with the jose library, pushed to the real process, and what they stop at
//! Envoy.

use std::time::Duration;

use exequatur_tests::orders::with_orders;
use exequatur_tests::redis::Kind;
use exequatur_tests::transmitter::{CAEP, SSF, claims, opaque, user};
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, Transmitter, in_time, jwt};
use serde_json::{Value, json};

const SET: &str = "application/secevent+jwt";

/// A replica that sets are posted to.
struct Endpoint {
    url: String,
    client: reqwest::Client,
}

/// What the endpoint answered.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: u16,
    /// `err`, or the whole body if it is no JSON.
    err: String,
}

fn said(status: u16, err: &str) -> Said {
    Said { status, err: err.to_owned() }
}

fn taken() -> Said {
    said(202, "")
}

impl Endpoint {
    fn of(port: u16) -> Self {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { url: format!("http://127.0.0.1:{port}/signals/idp"), client }
    }

    fn request(&self) -> reqwest::RequestBuilder {
        self.client
            .post(&self.url)
            .header("authorization", Transmitter::AUTHORIZATION)
            .header("content-type", SET)
    }

    async fn push(&self, set: &str) -> Said {
        answer(self.request().body(set.to_owned())).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Said {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let language = answer.headers().get("content-language").cloned();
    let body = answer.text().await.unwrap();
    if status != 400 {
        return Said { status, err: body };
    }
    // RFC 8935 §2.3
    assert_eq!(language.as_ref().map(|value| value.as_bytes()), Some(&b"en"[..]), "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(body["description"].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    Said { status, err: body["err"].as_str().unwrap().to_owned() }
}

async fn called(stack: &Stack, agent: &Agent, token: &str) -> (u16, String) {
    let answer = stack.call(agent, token, &Call::new("GET", &stack.url(DOCUMENT))).await.unwrap();
    (answer.status, answer.reason)
}

fn passed() -> (u16, String) {
    (200, String::new())
}

fn denied(reason: &str) -> (u16, String) {
    (401, reason.to_owned())
}

/// A token of this session that was issued then.
fn issued(stack: &Stack, agent: &Agent, session: &str, iat: i64) -> String {
    stack.tokens.token(agent, &json!({ "sid": session, "iat": iat, "exp": iat + 600 }))
}

fn options() -> Options {
    with_orders(Options::default())
}

/// V05, V06, V07, V09: what a third party signed stops a session, and a user: tokens from before, and no later ones; it is
/// recorded, and holds after a restart.
#[tokio::test]
async fn events_stop_a_session_and_a_user() {
    let transmitter = Transmitter::start().await.unwrap();
    let mut stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let (agent, endpoint) = (Agent::new(), Endpoint::of(stack.ports.public));
    let at = jwt::now() - 30;
    let tokens = |session: &str| [-1, 0, 1].map(|after| issued(&stack, &agent, session, at + after));
    let (stopped, other) = (tokens("s-1"), tokens("s-2"));
    for token in stopped.iter().chain(&other) {
        assert_eq!(called(&stack, &agent, token).await, passed());
    }
    let then = json!({ "event_timestamp": at });
    let session = json!({ "format": "complex", "session": opaque("s-1"), "user": user("alice") });
    let revoked = format!("{CAEP}session-revoked");
    let set = transmitter.set(&session, &revoked, &then, &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, taken());
    let [before, same, after] = &stopped;
    assert_eq!(called(&stack, &agent, before).await, denied("session_revoked"));
    assert_eq!(called(&stack, &agent, same).await, denied("session_revoked"));
    assert_eq!(called(&stack, &agent, after).await, passed());
    for token in &other {
        assert_eq!(called(&stack, &agent, token).await, passed());
    }
    // V02: it may come again.
    assert_eq!(endpoint.push(&set).await, taken());
    assert_eq!(called(&stack, &agent, after).await, passed());

    // Somebody else's user, and one that is not this token's.
    let foreign = json!({ "format": "iss_sub", "iss": "https://other.example.com", "sub": "alice" });
    let set = transmitter.set(&foreign, &revoked, &then, &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, said(400, "access_denied"));
    let set = transmitter.set(&user("bob"), &revoked, &then, &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, taken());
    let change =
        |kind: &str| json!({ "credential_type": "password", "change_type": kind, "event_timestamp": at });
    let uri = format!("{CAEP}credential-change");
    let set = transmitter.set(&user("alice"), &uri, &change("create"), &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, taken());
    assert_eq!(called(&stack, &agent, &other[0]).await, passed());

    let set = transmitter.set(&user("alice"), &uri, &change("update"), &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, taken());
    let [before, same, after] = &other;
    assert_eq!(called(&stack, &agent, before).await, denied("user_revoked"));
    assert_eq!(called(&stack, &agent, same).await, denied("user_revoked"));
    assert_eq!(called(&stack, &agent, after).await, passed());

    let uri = format!("{CAEP}token-claims-change");
    let event = json!({ "claims": { "role": "auditor" }, "event_timestamp": at + 1 });
    let set = transmitter.set(&user("alice"), &uri, &event, &Value::Null).await.unwrap();
    assert_eq!(endpoint.push(&set).await, taken());
    assert_eq!(called(&stack, &agent, after).await, denied("user_revoked"));

    let records = stack.records().await.unwrap();
    let effects: Vec<_> = records.iter().filter(|record| record["actor"] == "signals:idp").collect();
    let names: Vec<_> = effects.iter().map(|record| record["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["corp:s-1", "corp:s-1", "corp:bob", "corp:alice", "corp:alice"], "{effects:?}");
    assert!(effects.iter().all(|record| record["outcome"] == "done" && record["until"].is_string()));
    stack
        .wait_for_metric(
            "exequatur_signals_events_total{stream=\"idp\",event=\"session_revoked\",outcome=\"applied\"} 3",
        )
        .await
        .unwrap();

    stack.restart_exequatur().await.unwrap();
    assert_eq!(called(&stack, &agent, before).await, denied("user_revoked"), "after a restart");
    let log = stack.log().unwrap();
    let secret = set.rsplit('.').next().unwrap();
    assert!(!log.contains(secret) && !log.contains(Transmitter::AUTHORIZATION), "in the log");
}

/// V01: each thing that makes a set another has its word, and stops nobody.
#[tokio::test]
async fn v01_each_malformed_set_has_its_word() {
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let (agent, endpoint) = (Agent::new(), Endpoint::of(stack.ports.public));
    let (revoked, now) = (format!("{CAEP}session-revoked"), jwt::now());
    let good = claims(&user("alice"), &revoked, &json!({}), &Value::Null);
    let two =
        json!({ "events": { &revoked: {}, format!("{CAEP}token-claims-change"): { "claims": { "a": 1 } } } });
    let event = |name: &str, content: Value| json!({ "events": { format!("{CAEP}{name}"): content } });
    for (changes, err) in [
        (json!({ "iss": null }), "invalid_request"),
        (json!({ "iss": "https://idp.example.com/" }), "invalid_issuer"),
        (json!({ "aud": null }), "invalid_request"),
        (json!({ "aud": "https://api.example.com" }), "invalid_audience"),
        (json!({ "sub": "alice" }), "invalid_request"),
        (json!({ "exp": now + 300 }), "invalid_request"),
        (json!({ "jti": null }), "invalid_request"),
        (json!({ "iat": null }), "invalid_request"),
        (json!({ "iat": "now" }), "invalid_request"),
        (json!({ "iat": now + 600 }), "invalid_request"),
        (json!({ "events": null }), "invalid_request"),
        (json!({ "events": {} }), "invalid_request"),
        (two, "invalid_request"),
        (json!({ "sub_id": null }), "invalid_request"),
        (json!({ "sub_id": { "format": "iss_sub", "sub": "alice" } }), "invalid_request"),
        (event("credential-change", json!({ "change_type": "revoke" })), "invalid_request"),
        (event("token-claims-change", json!({})), "invalid_request"),
        (
            json!({ "sub_id": { "format": "iss_sub", "iss": "https://o.example.com", "sub": "alice" } }),
            "access_denied",
        ),
    ] {
        let set = transmitter.sign(&Value::Null, &jwt::merged(good.clone(), &changes)).await.unwrap();
        assert_eq!(endpoint.push(&set).await, said(400, err), "{changes}");
    }
    for (header, err) in [
        (json!({ "typ": "at+jwt" }), "invalid_request"),
        (json!({ "typ": "JWT" }), "invalid_request"),
        (json!({ "kid": "tr-2" }), "invalid_key"),
    ] {
        let set = transmitter.sign(&header, &good).await.unwrap();
        assert_eq!(endpoint.push(&set).await, said(400, err), "{header}");
    }
    let set = transmitter.sign(&Value::Null, &good).await.unwrap();
    let (head, signature) = set.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    let spoiled = format!("{head}.{}{rest}", if first == "A" { "B" } else { "A" });
    assert_eq!(endpoint.push(&spoiled).await, said(400, "invalid_key"));
    let unsigned = "eyJ0eXAiOiJzZWNldmVudCtqd3QiLCJhbGciOiJub25lIn0";
    assert_eq!(endpoint.push(&format!("{unsigned}.e30.AA")).await, said(400, "invalid_key"));
    for text in ["", "x", "{}", "a.b.c"] {
        assert_eq!(endpoint.push(text).await, said(400, "invalid_request"), "{text}");
    }
    let token = stack.tokens.token(&agent, &json!({ "iat": now - 60, "exp": now + 300 }));
    assert_eq!(called(&stack, &agent, &token).await, passed());
    assert_eq!(endpoint.push(&set).await, taken());
    assert_eq!(called(&stack, &agent, &token).await, denied("user_revoked"));
}

/// RFC 8935 §2: what is asked of a request before its set is looked at, and what bounds it.
#[tokio::test]
async fn who_may_post_and_how_much() {
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let endpoint = Endpoint::of(stack.ports.public);
    let event = json!({});
    let set = transmitter
        .set(&user("alice"), &format!("{CAEP}session-revoked"), &event, &Value::Null)
        .await
        .unwrap();
    let post = || endpoint.client.post(&endpoint.url).body(set.clone());
    let typed = || post().header("content-type", SET);
    for authorization in
        ["", "Bearer", "Bearer a-long-secret-of-the-strean", "bearer a-long-secret-of-the-stream"]
    {
        let request = typed().header("authorization", authorization);
        assert_eq!(answer(request).await, said(400, "authentication_failed"), "{authorization}");
    }
    assert_eq!(answer(typed()).await, said(400, "authentication_failed"));
    let twice = endpoint.request().header("authorization", Transmitter::AUTHORIZATION).body(set.clone());
    assert_eq!(answer(twice).await, said(400, "authentication_failed"));
    for content_type in ["application/jwt", "application/json", "application/secevent"] {
        let request =
            post().header("authorization", Transmitter::AUTHORIZATION).header("content-type", content_type);
        assert_eq!(answer(request).await.status, 415, "{content_type}");
    }
    assert_eq!(endpoint.client.get(&endpoint.url).send().await.unwrap().status(), 405);
    let large = endpoint.push(&"x".repeat(64 * 1024 + 1)).await;
    assert_eq!(large.status, 413);
    assert_eq!(endpoint.push(&set).await, taken());

    // Whoever fails too often is not looked at any more, and whoever cannot show what was agreed keeps nobody out.
    let mut limited = 0;
    for _ in 0..200 {
        let said = endpoint.push("x").await;
        assert!(said.status == 400 || said.status == 429, "{said:?}");
        limited += u32::from(said.status == 429);
    }
    assert!(limited > 50, "{limited}");
    in_time("it may fail again", async {
        while endpoint.push(&set).await != taken() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    for _ in 0..200 {
        assert_eq!(answer(typed()).await, said(400, "authentication_failed"));
    }
    assert_eq!(endpoint.push(&set).await, taken());
}

/// C-16: what the transmitter shows is replaced while the server runs, by way of a file in which both stand.
#[tokio::test]
async fn what_a_transmitter_shows_is_replaced_without_a_restart() {
    const NEXT: &str = "Bearer another-secret-of-the-stream";
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let endpoint = Endpoint::of(stack.ports.public);
    let revoked = format!("{CAEP}session-revoked");
    let set = transmitter.set(&user("alice"), &revoked, &json!({}), &Value::Null).await.unwrap();
    let shown = async |authorization: &str| {
        let request = endpoint.client.post(&endpoint.url).header("content-type", SET);
        answer(request.header("authorization", authorization).body(set.clone())).await
    };
    let refused = said(400, "authentication_failed");
    assert_eq!(shown(Transmitter::AUTHORIZATION).await, taken());
    assert_eq!(shown(NEXT).await, refused);

    transmitter.secret("authorization", &format!("{NEXT}\n{}\n", Transmitter::AUTHORIZATION)).unwrap();
    stack.logged("secrets of a stream of security events have changed").await;
    assert_eq!(shown(NEXT).await, taken());
    assert_eq!(shown(Transmitter::AUTHORIZATION).await, taken());

    transmitter.secret("authorization", "too short").unwrap();
    stack.logged("reload refused").await;
    assert_eq!(shown(NEXT).await, taken(), "the last that could be used go on");

    transmitter.secret("authorization", NEXT).unwrap();
    in_time("the old one is not taken any more", async {
        while shown(Transmitter::AUTHORIZATION).await != refused {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(shown(NEXT).await, taken());
}

/// A body that does not come is not waited for.
#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let mut slow = tokio::net::TcpStream::connect(("127.0.0.1", stack.ports.public)).await.unwrap();
    let head = format!(
        "POST /signals/idp HTTP/1.1\r\nhost: localhost\r\nauthorization: {}\r\ncontent-type: {SET}\r\ncontent-length: 100\r\n\r\nabc",
        Transmitter::AUTHORIZATION
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    in_time("the answer", slow.read_to_end(&mut said)).await.unwrap();
    assert!(said.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&said));
}

/// V02, C-09: pushed to one of two replicas that share a Redis, both obey; without Redis nothing is acknowledged, and what is
/// sent again then is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_for_one_replica_is_obeyed_by_all_and_acknowledged_once_it_is_kept() {
    let transmitter = Transmitter::start().await.unwrap();
    let options = with_orders(Options::shared(Kind::Newest));
    let mut stack = Stack::start(transmitter.pushing(options, "")).await.unwrap();
    let agent = Agent::new();
    let [first, second] = [stack.ports.public, stack.ports.second[1]].map(Endpoint::of);
    let at = jwt::now() - 30;
    let (old, young) = (issued(&stack, &agent, "s-1", at - 1), issued(&stack, &agent, "s-1", at + 1));
    let by_both = async |stack: &Stack, token: &str, expected: (u16, String)| {
        // Envoy asks one replica after the other.
        for _ in 0..4 {
            assert_eq!(called(stack, &agent, token).await, expected);
        }
    };
    by_both(&stack, &old, passed()).await;
    let (revoked, then) = (format!("{CAEP}session-revoked"), json!({ "event_timestamp": at }));
    let session = json!({ "format": "complex", "session": opaque("s-1") });
    let set = transmitter.set(&session, &revoked, &then, &Value::Null).await.unwrap();
    assert_eq!(first.push(&set).await, taken());
    by_both(&stack, &old, denied("session_revoked")).await;
    by_both(&stack, &young, passed()).await;
    assert_eq!(second.push(&set).await, taken());

    stack.redis().kill().unwrap();
    let then = json!({ "event_timestamp": at + 1 });
    let set = transmitter.set(&user("alice"), &revoked, &then, &Value::Null).await.unwrap();
    for endpoint in [&first, &second] {
        assert_eq!(endpoint.push(&set).await.status, 503);
    }
    stack.redis().start_again().unwrap();
    in_time("it is taken", async {
        loop {
            match second.push(&set).await {
                Said { status: 503, .. } => tokio::time::sleep(Duration::from_millis(100)).await,
                said => return assert_eq!(said, taken()),
            }
        }
    })
    .await;
    in_time("both deny", async {
        let mut denials = 0;
        while denials < 4 {
            let now = called(&stack, &agent, &young).await;
            denials = if now == denied("user_revoked") { denials + 1 } else { 0 };
        }
    })
    .await;
}

/// V03, V04: events about the stream itself.
#[tokio::test]
async fn the_stream_itself_is_heard_of() {
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "    stream_id: stream-1\n")).await.unwrap();
    let endpoint = Endpoint::of(stack.ports.public);
    let stream = opaque("stream-1");
    let about = async |stream: &Value, name: &str, content: Value| {
        let set = transmitter.set(stream, &format!("{SSF}{name}"), &content, &Value::Null).await.unwrap();
        endpoint.push(&set).await
    };
    assert_eq!(about(&stream, "verification", json!({})).await, taken());
    assert_eq!(
        about(&stream, "verification", json!({ "state": "made up" })).await,
        said(400, "invalid_state")
    );
    assert_eq!(about(&opaque("stream-2"), "verification", json!({})).await, said(400, "invalid_request"));
    stack.wait_for_metric("exequatur_signals_stream_enabled{stream=\"idp\"} 1").await.unwrap();
    assert_eq!(about(&stream, "stream-updated", json!({ "status": "paused" })).await, taken());
    stack.wait_for_metric("exequatur_signals_stream_enabled{stream=\"idp\"} 0").await.unwrap();
    assert_eq!(about(&stream, "stream-updated", json!({ "status": "enabled" })).await, taken());
    stack.wait_for_metric("exequatur_signals_stream_enabled{stream=\"idp\"} 1").await.unwrap();
    stack.logged("the transmitter sends no more security events").await;
}

/// V08: what is said of a user counts for the policies, until something later is said.
#[tokio::test]
async fn what_is_said_of_a_user_is_read_by_policies() {
    let transmitter = Transmitter::start().await.unwrap();
    let stack = Stack::start(transmitter.pushing(options(), "")).await.unwrap();
    let (agent, endpoint) = (Agent::new(), Endpoint::of(stack.ports.public));
    let token = stack.tokens.token(&agent, &Value::Null);
    let changed = async || {
        let answer = stack.call(&agent, &token, &Call::new("PUT", &stack.url(DOCUMENT))).await.unwrap();
        (answer.status, answer.reason)
    };
    let at = jwt::now() - 30;
    let risk = async |of: &str, level: &str, after: i64| {
        let event = json!({ "principal": "USER", "current_level": level, "event_timestamp": at + after });
        let uri = format!("{CAEP}risk-level-change");
        let set = transmitter.set(&user(of), &uri, &event, &Value::Null).await.unwrap();
        endpoint.push(&set).await
    };
    assert_eq!(changed().await, passed());
    assert_eq!(risk("bob", "HIGH", 0).await, taken());
    assert_eq!(risk("alice", "MEDIUM", 0).await, taken());
    assert_eq!(changed().await, passed());
    assert_eq!(risk("alice", "HIGH", 2).await, taken());
    assert_eq!(changed().await, (403, "policy_forbid".to_owned()));
    // What happened before counts no more, whenever it is heard of.
    assert_eq!(risk("alice", "LOW", 1).await, taken());
    assert_eq!(changed().await, (403, "policy_forbid".to_owned()));
    assert_eq!(called(&stack, &agent, &token).await, passed());
    assert_eq!(risk("alice", "LOW", 3).await, taken());
    assert_eq!(changed().await, passed());
    assert_eq!(risk("alice", "NONE", 4).await, said(400, "invalid_request"));
}

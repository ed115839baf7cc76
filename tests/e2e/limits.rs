//! L01 to L04, D-07: limits through real Envoy.

use exequatur_tests::{Agent, Answer, Call, Options, Stack};
use serde_json::{Value, json};

const PLAN: &str = "/tenants/acme/documents/plan";
const SEALED: &str = "/tenants/acme/sealed/plan";
const SHARE: &str = "/tenants/acme/documents/plan/share";

/// Limits whose windows are so long that none of a test's requests finds more than there was at its beginning.
fn limited(limits: &'static str) -> (&'static str, &'static str) {
    ("records: {", limits)
}

const TWO: &str = "limits:
  - { name: agent-burst, per: agent, rate: 1/h, burst: 2 }
  - { name: tenant-month, per: tenant, quota: 1000/month }
records: {";

async fn read(stack: &Stack, agent: &Agent, token: &str) -> Answer {
    let url = stack.url(PLAN);
    stack.call(agent, token, &Call::new("GET", &url)).await.unwrap()
}

/// `name=value` of the items of a list of structured fields: what is said of `limit`.
fn said(field: &str, limit: &str) -> Option<Vec<(String, u64)>> {
    let item = field.split(", ").find(|item| item.starts_with(&format!("\"{limit}\";")))?;
    let parameters = item.split(';').skip(1).map(|parameter| parameter.split_once('=').unwrap());
    Some(parameters.map(|(name, value)| (name.to_owned(), value.parse().unwrap())).collect())
}

/// Up to the limit permits, each saying what is left; then 429, with the time and the limit's name, and nothing of whom
/// it counts; others go on.
#[tokio::test]
async fn a_limit_is_reached_and_others_go_on() {
    for options in Options::everywhere() {
        let stack = Stack::start(Options { exequatur: vec![limited(TWO)], ..options }).await.unwrap();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        for left in [1, 0] {
            let answer = read(&stack, &agent, &token).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let policy = answer.field("ratelimit-policy");
            assert_eq!(said(&policy, "agent-burst"), Some(vec![("q".into(), 2), ("w".into(), 7200)]));
            let state = answer.field("ratelimit");
            let burst = said(&state, "agent-burst").unwrap();
            assert_eq!(burst[0], ("r".to_owned(), left), "{state}");
            assert!((3500 * (2 - left)..=3600 * (2 - left)).contains(&burst[1].1), "{state}");
            assert_eq!(said(&state, "tenant-month").unwrap()[0], ("r".to_owned(), 998 + left), "{state}");
        }
        let before = stack.upstream.received().len();
        let answer = read(&stack, &agent, &token).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        let after: u64 = answer.field("retry-after").parse().unwrap();
        assert!((3500..=3600).contains(&after), "{answer:?}");
        assert_eq!(answer.field("ratelimit"), format!("\"agent-burst\";r=0;t={after}"));
        let policies = answer.field("ratelimit-policy");
        assert!(policies.starts_with("\"agent-burst\";q=2;w=7200, \"tenant-month\";q=1000;w="), "{policies}");
        assert_eq!(answer.field("content-type"), "application/problem+json");
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
        assert_eq!(body["reason"], "rate_limited");
        assert_eq!(body["violated-policies"], json!(["agent-burst"]));
        let record = stack.record(body["decision"].as_str().unwrap()).await.unwrap();
        assert_eq!(record["controls"]["limits"], json!(["agent-burst"]), "{record}");
        for identity in ["crm-bot", "acme", "alice"] {
            assert!(!format!("{answer:?}").contains(identity), "{answer:?}");
        }
        assert_eq!(stack.upstream.received().len(), before, "it went no further");

        // Another agent of the tenant, and the agent's namesake in another tenant: judged, not limited.
        let other = stack.tokens.token(&agent, &json!({ "client_id": "other-bot" }));
        let answer = read(&stack, &agent, &other).await;
        assert_ne!(answer.status, 429, "{answer:?}");
        let elsewhere = stack.tokens.token(&agent, &json!({ "tenant": "globex" }));
        let url = stack.url("/tenants/globex/documents/plan");
        let answer = stack.call(&agent, &elsewhere, &Call::new("GET", &url)).await.unwrap();
        assert_ne!(answer.status, 429, "{answer:?}");
        assert_eq!(read(&stack, &agent, &token).await.status, 429, "and the agent is still limited");
    }
}

/// L04: forged proofs and tokens, replays and strangers charge the victim nothing.
#[tokio::test]
async fn nobody_else_uses_up_a_limit() {
    let stack = Stack::start(Options { exequatur: vec![limited(TWO)], ..Options::default() }).await.unwrap();
    let (agent, stranger) = (Agent::new(), Agent::new());
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(PLAN);
    let call = Call::new("GET", &url);
    let send = async |token: &str, proof: &str| {
        stack.send(&call, Some(&format!("DPoP {token}")), Some(proof)).await.unwrap()
    };
    // A store that has just begun asks for a nonce. Who is asked is charged nothing.
    let demand = send(&token, &agent.proof("GET", &url, &token, &Value::Null)).await;
    let nonce = json!({ "nonce": demand.demanded_nonce().unwrap() });
    let first = agent.proof("GET", &url, &token, &nonce);
    assert_eq!(send(&token, &first).await.status, 200);
    let mut forged = token.clone();
    forged.truncate(token.len() - 6);
    forged.push_str("AAAAAA");
    for _ in 0..10 {
        assert_eq!(send(&token, &first).await.status, 401, "a replay");
        let proof = stranger.proof("GET", &url, &token, &nonce);
        assert_eq!(send(&token, &proof).await.status, 401, "another's key");
        let proof = agent.proof("GET", &url, &forged, &nonce);
        assert_eq!(send(&forged, &proof).await.status, 401, "a forged token");
        assert_eq!(stack.send(&call, None, None).await.unwrap().status, 401, "nobody");
    }
    let answer = read(&stack, &agent, &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(said(&answer.field("ratelimit"), "agent-burst").unwrap()[0], ("r".to_owned(), 0));
    // A limited request has spent its proof.
    let proof = agent.proof("GET", &url, &token, &nonce);
    assert_eq!(send(&token, &proof).await.status, 429);
    let again = send(&token, &proof).await;
    assert_eq!((again.status, again.reason.as_str()), (401, "dpop_replay"), "{again:?}");
}

/// What the policies deny gives the quota back, and what a client gives up on while it waits.
#[tokio::test]
async fn a_denial_gives_the_quota_back() {
    let quota = limited("limits:\n  - { name: month, per: agent, quota: 1/month }\nrecords: {");
    let stack = Stack::start(Options { exequatur: vec![quota], ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let sealed = stack.url(SEALED);
    for _ in 0..5 {
        let answer = stack.call(&agent, &token, &Call::new("GET", &sealed)).await.unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(answer.field("ratelimit"), "", "a denial by policy says nothing of limits");
    }
    assert_eq!(read(&stack, &agent, &token).await.status, 200);
    let answer = read(&stack, &agent, &token).await;
    assert_eq!((answer.status, answer.reason.as_str()), (429, "rate_limited"));
    let answer = stack.call(&agent, &token, &Call::new("GET", &sealed)).await.unwrap();
    assert_eq!(answer.status, 429, "limits come before policies");
}

/// A gRPC caller hears of a limit as such (8, not what Envoy makes of 429), with the fields among the metadata.
#[tokio::test]
async fn a_grpc_caller_is_told_of_a_limit() {
    let rate = limited("limits:\n  - { name: once, per: agent, rate: 1/h }\nrecords: {");
    for hardened in [false, true] {
        let mut stack =
            Stack::start(Options { exequatur: vec![rate], ..Options::on(hardened) }).await.unwrap();
        stack.client = stack.http2_client().unwrap();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &json!({ "scope": "documents:share" }));
        let url = stack.url(SHARE);
        let call = || Call::new("POST", &url).with("content-type", "application/grpc").with("te", "trailers");
        // A store that has just begun asks for a nonce; a gRPC caller has to look for it.
        let demand = stack.call(&agent, &token, &call()).await.unwrap();
        assert_eq!(demand.field("grpc-status"), "16", "{demand:?}");
        let nonce = json!({ "nonce": demand.field("dpop-nonce") });
        let answer = stack.call_with(&agent, &token, &call(), &nonce).await.unwrap();
        assert_eq!((answer.status, answer.field("grpc-status").as_str()), (200, ""), "{answer:?}");
        let answer = stack.call_with(&agent, &token, &call(), &nonce).await.unwrap();
        assert_eq!((answer.status, answer.fields("grpc-status")), (200, vec!["8".to_owned()]), "{answer:?}");
        assert!(answer.field("grpc-message").contains("rate_limited"), "{answer:?}");
        assert!(answer.field("ratelimit").starts_with("\"once\";r=0;t="), "{answer:?}");
    }
}

/// L04, D-07: a source that fails too often is not looked at, good credentials or not, until it may fail again.
#[tokio::test]
async fn a_source_without_credentials_is_bounded() {
    let rate = limited("unauthenticated: { rate: 1/h, burst: 5 }\nrecords: {");
    let stack = Stack::start(Options { exequatur: vec![rate], ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(PLAN);
    for _ in 0..10 {
        assert_eq!(read(&stack, &agent, &token).await.status, 200, "who succeeds is not counted");
    }
    for _ in 0..5 {
        let answer = stack.send(&Call::new("GET", &url), Some("Bearer a.b.c"), None).await.unwrap();
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let spoofed = Call::new("GET", &url).with("x-forwarded-for", "192.0.2.1");
    for answer in
        [stack.send(&spoofed, Some("Bearer a.b.c"), None).await.unwrap(), read(&stack, &agent, &token).await]
    {
        assert_eq!((answer.status, answer.reason.as_str()), (429, "rate_limited"), "{answer:?}");
        let after: u64 = answer.field("retry-after").parse().unwrap();
        assert!((3500..=3600).contains(&after), "{answer:?}");
        assert_eq!(answer.field("ratelimit"), "");
    }
    let open = stack.url("/healthz");
    assert_eq!(stack.send(&Call::new("GET", &open), None, None).await.unwrap().status, 200);
}

/// Issue 4, point 4: a quota outlives the process, where there is a folder for it: at a stop to the last unit, at a kill but
/// for its last second.
#[tokio::test]
async fn a_quota_survives_a_restart() {
    let quota = limited(
        "store: { embedded: { path: ./state } }\nlimits:\n  - { name: month, per: agent, quota: 3/month }\nrecords: {",
    );
    let mut stack = Stack::start(Options { exequatur: vec![quota], ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let left = |answer: &Answer| said(&answer.field("ratelimit"), "month").map(|said| said[0].1);
    assert_eq!(left(&read(&stack, &agent, &token).await), Some(2));
    stack.terminate_exequatur().await.unwrap();
    stack.restart_exequatur().await.unwrap();
    assert_eq!(left(&read(&stack, &agent, &token).await), Some(1));
    stack.terminate_exequatur().await.unwrap();
    stack.restart_exequatur().await.unwrap();
    assert_eq!(left(&read(&stack, &agent, &token).await), Some(0));
    let answer = read(&stack, &agent, &token).await;
    assert_eq!((answer.status, answer.reason.as_str()), (429, "rate_limited"));
}

//! Callers beside those of the usual traffic: most of them are denied, each for a reason of his own.

use std::sync::Arc;
use std::time::Duration;

use exequatur_tests::client::{Call, send};
use exequatur_tests::jwt::{merged, now, with_broken_signature};
use exequatur_tests::{Agent, DOCUMENT, Stack};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::cast::Cast;

/// Between two requests of one caller.
const PACE: Duration = Duration::from_millis(400);
/// Between two of one who asks for more than he may have.
const GREEDY: Duration = Duration::from_millis(150);
/// For how long their tokens live: longer than all lasts, and shorter than the configuration's `max_lifetime`.
const LIFETIME: i64 = 840;
/// The session that ends.
pub(crate) const SESSION: &str = "s-1";

/// What one caller sends, again and again.
#[derive(Clone, Debug)]
enum Shows {
    Nothing,
    Token(String),
    /// A new token of the issuer that is asked about it.
    Opaque,
}

#[derive(Clone, Debug)]
struct Caller {
    method: &'static str,
    path: &'static str,
    shows: Shows,
    pace: Duration,
    /// Whether his requests belong to a trace that is recorded.
    traced: bool,
}

/// They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Callers(#[expect(dead_code, reason = "ends them")] JoinSet<()>);

impl Callers {
    pub(crate) fn start(stack: &Stack, cast: &Arc<Cast>) -> Self {
        let mut tasks = JoinSet::new();
        for caller in all(stack, cast) {
            let (client, url, cast) = (stack.client.clone(), stack.url(caller.path), Arc::clone(cast));
            tasks.spawn(async move { caller.go_on(&client, &url, &cast).await });
        }
        Self(tasks)
    }
}

fn all(stack: &Stack, cast: &Cast) -> Vec<Caller> {
    let agent = Agent::new();
    let usual = json!({ "cnf": null, "exp": now() + LIFETIME });
    let token = |changes: Value| Shows::Token(stack.tokens.token(&agent, &merged(usual.clone(), &changes)));
    let past = json!({ "iat": now() - 600, "exp": now() - 300 });
    let sound = stack.tokens.token(&agent, &usual);
    let mut all = vec![
        asks(DOCUMENT, Shows::Nothing),
        asks("/nowhere", token(json!({}))),
        asks("/healthz", Shows::Nothing),
        asks(DOCUMENT, token(past)),
        asks(DOCUMENT, token(json!({ "aud": "https://other.example.com" }))),
        asks(DOCUMENT, token(json!({ "iss": "https://sts.example.net" }))),
        asks(DOCUMENT, token(json!({ "scope": "documents:write" }))),
        asks(DOCUMENT, token(json!({ "cnf": agent.confirmation() }))),
        asks(DOCUMENT, Shows::Token(with_broken_signature(&sound))),
        asks("/tenants/globex/documents/plan", token(json!({}))),
        asks(
            "/tenants/globex/documents/plan",
            token(json!({ "tenant": "globex", "client_id": "audit-bot" })),
        ),
        asks("/tenants/acme/sealed/plan", token(json!({}))),
        asks("/tenants/globex/documents/plan", Shows::Token(cast.partners_token(&agent))),
        asks("/tenants/globex/documents/plan", Shows::Opaque),
        asks(DOCUMENT, token(merged(cast.status(0), &json!({ "client_id": "listed-bot" })))),
        asks(DOCUMENT, token(merged(cast.status(1), &json!({ "client_id": "listed-bot" })))),
        asks(DOCUMENT, token(json!({ "sid": SESSION, "client_id": "session-bot", "iat": now() - 5 }))),
        asks(DOCUMENT, token(json!({ "client_id": "stopped-bot" }))),
    ];
    let greedy = token(json!({ "client_id": "import-bot" }));
    all.push(Caller { method: "PUT", pace: GREEDY, ..asks(DOCUMENT, greedy) });
    let traced = Caller { traced: true, ..asks(DOCUMENT, token(json!({ "client_id": "traced-bot" }))) };
    // More spans than are made in a second.
    all.extend(std::iter::repeat_n(traced, 4));
    all
}

fn asks(path: &'static str, shows: Shows) -> Caller {
    Caller { method: "GET", path, shows, pace: PACE, traced: false }
}

impl Caller {
    async fn go_on(self, client: &Client, url: &str, cast: &Cast) {
        let mut ticks = tokio::time::interval(self.pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        loop {
            ticks.tick().await;
            let authorization = match &self.shows {
                Shows::Nothing => None,
                Shows::Token(token) => Some(format!("Bearer {token}")),
                Shows::Opaque => Some(format!("Bearer {}", cast.opaque_token())),
            };
            let call = Call::new(self.method, url);
            let call = if self.traced { call.with("traceparent", trace) } else { call };
            // What it comes to is counted by whom it is asked of.
            drop(send(client, &call, authorization.as_deref(), None).await);
        }
    }
}

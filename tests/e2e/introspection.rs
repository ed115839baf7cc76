//! S03, S04: opaque tokens of an authorization server that is not ours, with a client that is not ours either, through Envoy.

use std::process::Stdio;
use std::time::{Duration, Instant};

use exequatur_tests::{
    Agent, AuthorizationServer, Call, DOCUMENT, Introspector, Mood, Options, Stack, TokenService, jwt,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

const WITHIN: Duration = Duration::from_secs(60);

/// A stock authorization server, and how it is asked.
struct Asked(AuthorizationServer);

impl Asked {
    async fn start() -> Self {
        Self(AuthorizationServer::start("introspection.mjs").await.unwrap())
    }

    /// Beside the issuer of JWTs, one that is asked about its tokens.
    async fn stack(&self, more: &str) -> Stack {
        let claims = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
        let (issuer, key) = (&self.0.issuer, self.0.key_file("exequatur"));
        let key = key.display();
        let whole = format!(
            "{claims}    tenants: any
  - name: as
    issuer: {issuer}
    jwks: {issuer}/jwks
    audiences: [{audience}]
    algorithms: [ES256]
    claims: {{ user: on_behalf_of, tenant: tenant }}
    tenants: any
    introspection:
      endpoint: {{ discover: openid }}
      client_id: exequatur
      private_key_jwt: {{ key_file: {key}, key_id: exequatur-1 }}
      cache: 2s
      {more}
",
            audience = TokenService::AUDIENCE,
        );
        Stack::start(Options { exequatur: vec![(claims, whole.leak())], ..Options::default() }).await.unwrap()
    }

    fn client(&self, stack: &Stack) -> Client {
        let mut process = self
            .0
            .client("introspection_client.mjs")
            .unwrap()
            .arg(TokenService::AUDIENCE)
            .arg(stack.url("/tenants/acme/documents/plan"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Client { input, output, _process: process }
    }
}

struct Client {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Client {
    async fn does(&mut self, action: &str) -> Value {
        self.input.write_all(format!("{action}\n").as_bytes()).await.unwrap();
        let line = tokio::time::timeout(WITHIN, self.output.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.expect("the client has ended")).unwrap()
    }

    /// Calls until it is answered so; until then it is answered as before.
    async fn until(&mut self, before: &[Value], expected: &Value) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let answer = self.does("call").await;
            if answer == *expected {
                return;
            }
            assert!(before.contains(&answer), "{answer} on the way to {expected}");
            assert!(Instant::now() < deadline, "{answer} and not {expected}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn passed() -> Value {
    json!({ "status": 200, "reason": null })
}

fn refused(status: u16, reason: &str) -> Value {
    json!({ "status": status, "reason": reason })
}

/// The answer may come too late for the decision that asked for it first.
fn unavailable() -> Value {
    refused(503, "introspection_unavailable")
}

async fn jwt_passes(stack: &Stack, agent: &Agent) {
    let token = stack.tokens.token(agent, &json!({}));
    let answer = stack.call(agent, &token, &Call::new("GET", &stack.url(DOCUMENT))).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (200, ""));
}

/// S03, S04: an opaque token passes while its issuer says so by a signed answer; once it is revoked there, no longer than the
/// answer counts. Without an issuer there is no decision about its tokens, and others go on.
#[tokio::test]
async fn opaque_tokens_pass_until_they_are_revoked() {
    let mut server = Asked::start().await;
    let stack = server.stack("").await;
    let (mut client, agent) = (server.client(&stack), Agent::new());
    assert_eq!(client.does("token").await, json!({ "parts": 1, "type": "dpop" }));
    client.until(&[unavailable()], &passed()).await;
    let received = stack.upstream.received();
    let request = received.last().unwrap();
    assert_eq!(request.values("x-exequatur-agent").join(",").replace("%3A", ":"), "as:crm-bot");
    assert_eq!(request.values("x-exequatur-user").join(",").replace("%3A", ":"), "as:alice");
    assert!(request.values("authorization").is_empty());
    let records = stack.records().await.unwrap();
    let record = records.iter().rev().find(|record| record["verdict"] == "permit").unwrap();
    assert_eq!(record["controls"]["introspection"], "active", "{record}");
    assert_eq!(record["controls"]["token"]["source"], "introspection", "{record}");
    jwt_passes(&stack, &agent).await;

    assert_eq!(client.does("revoke").await, json!({ "revoked": true }));
    client.until(&[passed(), unavailable()], &refused(401, "token_inactive")).await;
    assert_eq!(client.does("token").await["parts"], 1);
    client.until(&[unavailable()], &passed()).await;
    for outcome in ["active", "inactive"] {
        let counted = format!("exequatur_introspections_total{{issuer=\"as\",outcome=\"{outcome}\"}}");
        let deadline = Instant::now() + WITHIN;
        while stack.metric(&counted).await.unwrap() == 0 {
            assert!(Instant::now() < deadline, "{counted}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    server.0.stop().await.unwrap();
    client.until(&[passed()], &unavailable()).await;
    jwt_passes(&stack, &agent).await;
    for _ in 0..5 {
        assert_eq!(client.does("call").await, unavailable());
        jwt_passes(&stack, &agent).await;
    }
    let records = stack.records().await.unwrap();
    let said = |word: &str| records.iter().any(|record| record["controls"]["introspection"] == word);
    assert!(said("inactive") && said("unavailable"));
    // Nobody is asked about a stranger's token in vain.
    let url = stack.url(DOCUMENT);
    let answer = stack.call(&agent, "eyJhbGciOiJub25lIn0.e30.AA", &Call::new("GET", &url)).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "token_type_invalid"));
}

/// S03: the same by plain answers, where that is what is asked for.
#[tokio::test]
async fn a_plain_answer_is_taken_where_it_is_asked_for() {
    let server = Asked::start().await;
    let stack = server.stack("response: json").await;
    let mut client = server.client(&stack);
    assert_eq!(client.does("token").await["parts"], 1);
    client.until(&[unavailable()], &passed()).await;
    assert_eq!(client.does("revoke").await, json!({ "revoked": true }));
    client.until(&[passed(), unavailable()], &refused(401, "token_inactive")).await;
}

/// An issuer that answers as it is told, beside the one of JWTs.
struct Told(Introspector);

impl Told {
    const ISSUER: &str = "https://opaque.example.com";

    async fn start() -> Self {
        let server = Introspector::start(jwt::now).await.unwrap();
        server.speak_for("opaque", Self::ISSUER);
        Self(server)
    }

    async fn stack(&self) -> Stack {
        let claims = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
        let whole = format!(
            "{claims}    tenants: any
  - name: opaque
    issuer: {issuer}
    jwks: {jwks}
    audiences: [{audience}]
    algorithms: [ES256]
    claims: {{ tenant: tenant }}
    tenants: any
    introspection:
      endpoint: {endpoint}
      client_id: exequatur
      private_key_jwt: {{ key_file: {key} }}
      timeout: 2s
",
            issuer = Self::ISSUER,
            jwks = self.0.jwks_url("opaque"),
            audience = TokenService::AUDIENCE,
            endpoint = self.0.endpoint("opaque"),
            key = self.0.client_key().display(),
        );
        Stack::start(Options { exequatur: vec![(claims, whole.leak())], ..Options::default() }).await.unwrap()
    }

    /// A new token of `agent`.
    fn token(&self, agent: &Agent) -> String {
        let (token, now) = (jwt::random_id(), jwt::now());
        let said = json!({
            "token_type": "DPoP", "iss": Self::ISSUER, "client_id": "crm-bot", "tenant": "acme", "aud": TokenService::AUDIENCE,
            "scope": "documents:read documents:write", "iat": now, "exp": now + 300, "cnf": agent.confirmation(),
        });
        self.0.know("opaque", &token, &said);
        token
    }
}

async fn outcome(stack: &Stack, agent: &Agent, token: &str) -> (u16, String) {
    let answer = stack.call(agent, token, &Call::new("GET", &stack.url(DOCUMENT))).await.unwrap();
    (answer.status, answer.reason)
}

/// Calls with tokens of `token` until one passes; until then there is no decision.
async fn until_passed(stack: &Stack, agent: &Agent, token: impl Fn() -> String) {
    let deadline = Instant::now() + WITHIN;
    loop {
        match outcome(stack, agent, &token()).await {
            (200, _) => return,
            (503, reason) if reason == "introspection_unavailable" => {}
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < deadline, "no token passes");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The row of the failure table: an issuer that is slow, answers rubbish or lies is believed nothing; what it said before counts for
/// its time, and tokens of another issuer go on.
#[tokio::test]
async fn an_issuer_that_is_slow_or_lies_is_believed_nothing() {
    let server = Told::start().await;
    let stack = server.stack().await;
    let agent = Agent::new();
    let unavailable = (503, "introspection_unavailable".to_owned());
    for mood in [
        Mood::Garbage,
        Mood::Plain,
        Mood::ForeignKey,
        Mood::ForAnother,
        Mood::AsAnother,
        Mood::Old,
        Mood::Broken,
        Mood::Almost,
        Mood::Slow(Duration::from_secs(5)),
    ] {
        server.0.set(Mood::Honest);
        let known = server.token(&agent);
        until_passed(&stack, &agent, || known.clone()).await;
        server.0.set(mood);
        for _ in 0..4 {
            let token = server.token(&agent);
            let expected =
                if mood == Mood::Almost { (401, "token_inactive".to_owned()) } else { unavailable.clone() };
            let mut found = outcome(&stack, &agent, &token).await;
            let deadline = Instant::now() + WITHIN;
            // A machine that does much else may be slow too: then the answer is there for the next call.
            while found != expected && found == unavailable {
                assert!(Instant::now() < deadline, "{mood:?}");
                found = outcome(&stack, &agent, &token).await;
            }
            assert_eq!(found, expected, "{mood:?}");
            assert_eq!(outcome(&stack, &agent, &known).await, (200, String::new()), "{mood:?}");
            jwt_passes(&stack, &agent).await;
        }
        assert!(server.0.asked().len() > 1, "{mood:?}");
    }
    // Slower than a decision waits, and not too slow for a question: the next call has the answer.
    server.0.set(Mood::Honest);
    until_passed(&stack, &agent, || server.token(&agent)).await;
    server.0.set(Mood::Slow(Duration::from_millis(500)));
    let token = server.token(&agent);
    assert_eq!(outcome(&stack, &agent, &token).await, unavailable);
    jwt_passes(&stack, &agent).await;
    until_passed(&stack, &agent, || token.clone()).await;
    assert_eq!(server.0.asked().iter().filter(|asked| **asked == token).count(), 1);
}

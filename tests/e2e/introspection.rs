//! S03, S04: opaque tokens of an authorization server that is not ours, with a client that is not ours either, through Envoy.

use std::process::Stdio;
use std::time::{Duration, Instant};

use exequatur_tests::{Agent, AuthorizationServer, Call, DOCUMENT, Options, Stack, TokenService};
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
    let records = stack.records().unwrap();
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
    let records = stack.records().unwrap();
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

//! E-05, L08: what lets somebody in, and what callers and issuers say beside that, stands in no output at any level: each such thing
//! has a mark, and every output is looked through for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use exequatur_tests::introspector::{Introspector, Mood};
use exequatur_tests::orders::{self, with_orders};
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::{Kind, Redis};
use exequatur_tests::{Agent, Answer, Call, Options, Stack, TokenService, binaries, in_time, jwt};
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey as _, LineEnding};
use serde_json::{Value, json};

const MARK: &str = "canary";
const PATH: &str = "/tenants/acme/documents/plan";
const OPAQUE: &str = "https://opaque.example.com";
const CLAIMS: &str = "claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }\n";
const RECORDS: &str = "records: { file: ./decisions.jsonl, mode: best_effort }\n";

/// Files that only Exequatur may read, and the servers that it knows a secret of.
struct Held {
    folder: tempfile::TempDir,
    redis: Redis,
    introspector: Introspector,
    /// Where no collector is.
    ports: Reserved,
}

impl Held {
    async fn start() -> Self {
        let (ports, folder) = (Reserved::block().unwrap(), tempfile::tempdir().unwrap());
        let [port, ..] = ports.all();
        let redis = Redis::start(Kind::Newest, folder.path(), Some(port), &[]).unwrap();
        let user = ["ACL", "SETUSER", "gate", "on", ">canary-redis", "~*", "+@all"];
        assert!(redis.say(&user).unwrap().starts_with("+OK"));
        let introspector = Introspector::start(jwt::now).await.unwrap();
        introspector.speak_for("opaque", OPAQUE);
        let held = Self { folder, redis, introspector, ports };
        held.write("url", &format!("redis://gate:canary-redis@127.0.0.1:{port}/0\n"));
        held.write("digests", &"canary-of-digests".repeat(3));
        held.write("headers", "authorization: Bearer canary-of-the-collector\n");
        let pem = SecretKey::from_slice(&[9; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
        held.write("receipts.pem", &pem);
        held
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn options(&self) -> Options {
        let issuer = format!(
            "{CLAIMS}    tenants: any
  - name: opaque
    issuer: {OPAQUE}
    jwks: {jwks}
    audiences: [{audience}]
    algorithms: [ES256]
    claims: {{ tenant: tenant }}
    tenants: any
    introspection: {{ endpoint: {endpoint}, client_id: exequatur, private_key_jwt: {{ key_file: {key} }}, timeout: 2s }}
",
            jwks = self.introspector.jwks_url("opaque"),
            audience = TokenService::AUDIENCE,
            endpoint = self.introspector.endpoint("opaque"),
            key = self.introspector.client_key().display(),
        );
        let [_, nobody, ..] = self.ports.all();
        let records = format!(
            "records:
  file: ./decisions.jsonl
  mode: best_effort
  checkpoints: {{ key_file: {} }}
  redaction: {{ digest_key_file: {} }}
  sinks: [ {{ name: own, file: ./own.jsonl }}, {{ name: ocsf, file: ./ocsf.jsonl, format: ocsf }}, {{ name: ecs, file: ./ecs.jsonl, format: ecs }} ]
traces: {{ otlp: {{ endpoint: \"http://127.0.0.1:{nobody}\", headers_file: {} }} }}
",
            self.file("receipts.pem"),
            self.file("digests"),
            self.file("headers"),
        );
        let store = format!("url_file: {}, timeout: 2s, max_staleness: 1h", self.file("url"));
        let exequatur = vec![(CLAIMS, leaked(issuer)), (RECORDS, leaked(records))];
        with_orders(Options { exequatur, store: Some(store), ..Options::default() })
    }

    /// What may be shown nowhere, beside the marks: the contents of keys and secrets, line by line.
    fn secrets(&self, stack: &Stack) -> Vec<String> {
        let files = [
            self.folder.path().join("receipts.pem"),
            self.introspector.client_key().to_owned(),
            stack.folder().join("nonce.secret"),
        ];
        let lines = files.iter().flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.lines().filter(|line| !line.starts_with("-----")).map(str::to_owned).collect::<Vec<_>>()
        });
        let secrets: Vec<_> = lines.collect();
        assert!(secrets.len() >= 3 && secrets.iter().all(|secret| secret.len() > 16), "{secrets:?}");
        secrets
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// One request for each way in which a decision ends, each full of marks; what was answered, and the credentials.
async fn provoked(held: &Held, stack: &Stack) -> (Vec<Answer>, Vec<String>) {
    let agent = Agent::new();
    let marked = json!({ "jti": "canary-jti", "note": "canary-claim", "email": "canary@example.com" });
    let token = stack.tokens.token(&agent, &marked);
    let other = |changes: Value| stack.tokens.token(&agent, &jwt::merged(marked.clone(), &changes));
    let url = stack.url(&format!("{PATH}?q=canary-query"));
    let call = Call::new("GET", &url).with("x-other", "canary-header").with("cookie", "id=canary-cookie");
    let proof = json!({ "htu": stack.url(PATH), "extra": "canary-in-the-proof" });
    let mut answers = Vec::new();
    let mut credentials = vec![token.clone()];
    let tokens = [
        ("", token.clone()),
        ("token_expired", other(json!({ "exp": jwt::now() - 300, "iat": jwt::now() - 600 }))),
        ("token_audience_mismatch", other(json!({ "aud": "https://canary.example.com" }))),
        ("scope_insufficient", other(json!({ "scope": "documents:write" }))),
        ("tenant_mismatch", other(json!({ "tenant": "globex" }))),
    ];
    for (reason, token) in tokens {
        let answer = stack.call_with(&agent, &token, &call, &proof).await.unwrap();
        assert_eq!(answer.reason, reason, "{answer:?}");
        credentials.extend([token].into_iter().chain(answer.proof.clone()));
        answers.push(answer);
    }
    let replayed = answers[0].proof.clone().unwrap();
    let broken = jwt::with_broken_signature(&token);
    for (reason, authorization, proof) in [
        ("dpop_replay", format!("DPoP {token}"), Some(replayed.as_str())),
        ("token_signature_invalid", format!("DPoP {broken}"), Some(replayed.as_str())),
        ("token_malformed", "Bearer canary.canary.canary".to_owned(), Some("canary-proof")),
    ] {
        let answer = stack.send(&call, Some(&authorization), proof).await.unwrap();
        assert_eq!(answer.reason, reason, "{answer:?}");
        answers.push(answer);
    }
    let refused = stack.url("/canary-path;x?access_token=canary-query");
    let bare = stack.send(&Call::new("GET", &refused), None, None).await.unwrap();
    assert_eq!(bare.reason, "path_refused");
    answers.push(bare);
    // Opaque tokens: said to be active, then by somebody who says nothing that holds.
    let said = json!({
        "token_type": "DPoP", "iss": OPAQUE, "client_id": "crm-bot", "tenant": "acme", "aud": TokenService::AUDIENCE,
        "scope": "documents:read", "iat": jwt::now(), "exp": jwt::now() + 300, "cnf": agent.confirmation(),
        "username": "canary-username",
    });
    for (token, mood, reason) in [
        ("canary-opaque-one", Mood::Honest, ""),
        ("canary-opaque-two", Mood::Garbage, "introspection_unavailable"),
        ("canary-opaque-three", Mood::Broken, "introspection_unavailable"),
    ] {
        held.introspector.know("opaque", token, &said);
        held.introspector.set(mood);
        let answer = in_time("an answer about a token", async {
            loop {
                let answer = stack.call_with(&agent, token, &call, &proof).await.unwrap();
                if answer.reason == reason {
                    return answer;
                }
                // The first answer may come too late for its decision.
                assert_eq!(answer.reason, "introspection_unavailable", "{answer:?}");
            }
        })
        .await;
        answers.push(answer);
    }
    (answers, credentials)
}

/// What a command of ours says, on both of its outputs.
fn said(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new(binaries::exequatur().unwrap());
    let done = command.args(words).current_dir(folder).output().unwrap();
    assert!(!done.stdout.is_empty() || !done.stderr.is_empty(), "{words:?}");
    [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_in_any_output() {
    let mut held = Held::start().await;
    let mut stack = Stack::start(held.options()).await.unwrap();
    let (answers, mut secrets) = provoked(&held, &stack).await;
    let records = stack.records().await.unwrap();
    let mut shown: Vec<(String, String)> = Vec::new();
    // What is permitted is answered by the upstream, which shows what it got.
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        let fields: Vec<_> =
            answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        shown.push((
            format!("the answer {}", answer.reason),
            format!("{}\n{}", fields.join("\n"), answer.body),
        ));
    }
    let page = async |name: &str, port: u16, path: &str| {
        let url = format!("http://127.0.0.1:{port}{path}");
        (name.to_owned(), stack.client.get(url).send().await.unwrap().text().await.unwrap())
    };
    shown.push(page("the metrics", stack.ports.metrics, "/metrics").await);
    shown.push(page("the public keys", stack.ports.public, "/.well-known/exequatur-receipt-keys").await);
    shown.push(page("readiness", stack.ports.public, "/readyz").await);
    let folder = stack.folder().to_owned();
    for words in [
        &["status"][..],
        &["status", "--output", "json"],
        &["revoke", "list"],
        &["revoke", "token", "corp:x", "--for", "1m", "--reason", "a test"],
        &["limits", "show"],
    ] {
        let said = orders::command(&stack, words).await.unwrap();
        shown.push((words.join(" "), said.out + &said.err));
    }
    for words in [
        &["config", "show", "--config", "exequatur.yaml"][..],
        &["config", "check", "--config", "exequatur.yaml"],
        &["audit", "show", "--file", "decisions.jsonl", records[0]["decision"].as_str().unwrap()],
        &["audit", "export", "--format", "ecs", "decisions.jsonl"],
        &["audit", "verify", "--unsigned", "decisions.jsonl"],
    ] {
        shown.push((words.join(" "), said(&folder, words)));
    }
    // Mistakes, whose messages name what they found.
    let whole = fs::read_to_string(folder.join("exequatur.yaml")).unwrap();
    let url_file = format!("url_file: {}", held.file("url"));
    for (name, from, to) in [
        ("a password in the URL", url_file.as_str(), "url: \"redis://gate:canary-url@127.0.0.1:1/0\""),
        ("a user in an address", "jwks: http://", "jwks: http://gate:canary-address@"),
    ] {
        assert!(whole.contains(from), "{name}");
        fs::write(folder.join("mistaken.yaml"), whole.replacen(from, to, 1)).unwrap();
        let said = said(&folder, &["config", "check", "--config", "mistaken.yaml"]);
        shown.push((name.to_owned(), said.replace("--config mistaken.yaml", "")));
    }
    // Faults: a reload that reads a broken secret, and a store that is gone.
    held.write("headers", "canary without a colon\n");
    stack.signal_exequatur("HUP").await.unwrap();
    held.redis.kill().unwrap();
    stack.logged("the store is lost").await;
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "note": "canary-claim" }));
    let faulted = stack.call(&agent, &token, &Call::new("GET", &stack.url(PATH))).await.unwrap();
    assert_eq!(faulted.status, 503, "{faulted:?}");
    stack.records().await.unwrap();
    stack.terminate_exequatur().await.unwrap();
    for name in ["exequatur.log", "decisions.jsonl", "own.jsonl", "ocsf.jsonl", "ecs.jsonl"] {
        shown.push((name.to_owned(), fs::read_to_string(folder.join(name)).unwrap()));
    }

    assert!(shown.iter().all(|(_, text)| text.len() > 2), "{shown:?}");
    secrets.push(token);
    let parts = secrets.iter().flat_map(|credential| credential.split('.')).filter(|part| part.len() > 16);
    let mut forbidden: Vec<String> = parts.map(str::to_owned).collect();
    forbidden.push(MARK.to_owned());
    forbidden.extend(held.secrets(&stack));
    for (name, text) in &shown {
        for secret in &forbidden {
            let line = text.lines().find(|line| line.contains(secret.as_str()));
            assert!(line.is_none(), "`{secret}` in {name}: {line:?}");
        }
    }
}

//! What is asked of the subject: issuers, agents, tokens, policies, and the requests that come of them.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Request};
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use exequatur_tests::binaries;
use exequatur_tests::jwt::{KeyPair, digest, merged, now, random_id};
use exequatur_tests::ports::Reserved;
use serde_json::{Value, json};

use crate::process::{Server, listening};

pub(crate) const AUDIENCE: &str = "https://api.example.com";
/// What operators' tokens are for.
const OPERATORS: &str = "https://exequatur.example.com/admin";
/// Policies for each document; those of the document that is asked for are the ones evaluated.
const POLICIES_A_DOCUMENT: usize = 5;
/// Actions, each with a route; documents are spread over them.
const ACTIONS: usize = 4;
/// Documents that are asked for.
const ASKED: usize = 16;

/// What becomes of the records of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// There are none.
    Off,
    /// They are chained and written; nobody waits for that.
    BestEffort,
    /// The same, summed up by checkpoints that are signed.
    Signed,
    /// The same, and on the disk before the answer.
    Required,
}

/// How big the scene is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) policies: usize,
    pub(crate) tenants: usize,
    pub(crate) issuers: usize,
    pub(crate) tokens: usize,
    /// Whether tokens are bound to the agents' key.
    pub(crate) bound: bool,
    /// Whether decisions are recorded, and who waits for it.
    pub(crate) records: Records,
    /// The threads that decide.
    pub(crate) workers: usize,
    /// The port of the Redis that is the store, if the store is not embedded.
    pub(crate) redis: Option<u16>,
    /// Whether orders are taken over TCP, and what is ordered is kept.
    pub(crate) orders: bool,
    /// Time for a decision. Costs are measured with more of it than anybody waits, so that a machine that stalls does
    /// not end the run.
    pub(crate) deadline: &'static str,
}

impl Size {
    /// The middle-sized scene that figures are measured in unless they vary something.
    pub(crate) const USUAL: Self = Self {
        policies: 100,
        tenants: 10,
        issuers: 1,
        tokens: 64,
        bound: true,
        records: Records::BestEffort,
        workers: 1,
        redis: None,
        orders: false,
        deadline: "10s",
    };
}

/// A scene: the files of the subject, and what signs requests for it.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) folder: PathBuf,
    size: Size,
    agent: KeyPair,
    operators: KeyPair,
    tokens: Vec<Token>,
}

#[derive(Debug)]
struct Token {
    compact: String,
    path: String,
}

/// A subject that answers.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) server: Server,
    pub(crate) grpc: u16,
    /// The listener for everybody, where there is one.
    pub(crate) public: u16,
    /// The listener for orders, where there is one.
    pub(crate) admin: u16,
    pub(crate) _reserved: Reserved,
}

impl Scene {
    pub(crate) fn new(folder: &Path, size: Size) -> Result<Self, String> {
        std::fs::create_dir_all(folder.join("policies")).map_err(|error| error.to_string())?;
        let keys: Vec<KeyPair> = (0..size.issuers).map(|_| KeyPair::generate()).collect();
        for (number, key) in keys.iter().enumerate() {
            let key = merged(key.jwk(), &json!({ "kid": "k", "alg": "ES256", "use": "sig" }));
            write(&folder.join(format!("jwks-{number}.json")), &json!({ "keys": [key] }).to_string())?;
        }
        let (schema, policies) = policies(size.policies);
        write(&folder.join("policies/bench.cedarschema"), &schema)?;
        write(&folder.join("policies/bench.cedar"), &policies)?;
        let agent = KeyPair::generate();
        for (name, text) in [("nonce.secret", random_id().repeat(4)), ("receipts.pem", signing_key()?)] {
            let (file, secret) = (folder.join(name), std::fs::Permissions::from_mode(0o600));
            write(&file, &text)?;
            std::fs::set_permissions(&file, secret).map_err(|error| error.to_string())?;
        }
        let tokens = (0..size.tokens).map(|number| token(number, &size, &keys, &agent)).collect();
        let operators = keys.into_iter().next().ok_or("an issuer")?;
        Ok(Self { folder: folder.to_owned(), size, agent, operators, tokens })
    }

    /// Starts the binary as it is shipped, on `cores`.
    pub(crate) async fn start(&self, cores: &str) -> Result<Subject, String> {
        let reserved = Reserved::block().map_err(|error| error.to_string())?;
        let [grpc, public, metrics, admin, ..] = reserved.all();
        let path = self.write_configuration([grpc, public, metrics])?;
        if self.size.orders {
            let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
            write(&path, &(text + &orders(admin)))?;
        }
        let mut command = Command::new(binaries::exequatur()?);
        command.args(["serve", "--config", "exequatur.yaml", "--log", "warn"]).current_dir(&self.folder);
        let server = Server::start(cores, &command, &self.folder.join("exequatur.log"))?;
        listening(grpc).await?;
        let ready = format!("http://127.0.0.1:{public}/readyz");
        for _ in 0..500 {
            if reqwest::get(&ready).await.is_ok_and(|answer| answer.status().is_success()) {
                // Proofs from before the start are in doubt: those of this second, and of the future that is let pass.
                tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
                return Ok(Subject { server, grpc, public, admin, _reserved: reserved });
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        Err(format!("not ready; see {}", self.folder.join("exequatur.log").display()))
    }

    /// Writes the subject's configuration; the ports are those of gRPC, public and metrics listener.
    pub(crate) fn write_configuration(&self, ports: [u16; 3]) -> Result<PathBuf, String> {
        let path = self.folder.join("exequatur.yaml");
        write(&path, &self.configuration(ports))?;
        Ok(path)
    }

    fn configuration(&self, [grpc, public, metrics]: [u16; 3]) -> String {
        let (nonces, store) = match self.size.redis {
            None => (
                "",
                format!(
                    "embedded: {{ max_proofs: 4000000, max_per_tenant: 4000000, max_per_key: 4000000{} }}",
                    if self.size.orders { ", path: ./state" } else { "" }
                ),
            ),
            Some(port) => (
                ", nonce_secret_file: ./nonce.secret",
                format!(
                    "redis: {{ url: \"redis://127.0.0.1:{port}\", timeout: 5s, max_per_tenant: 4000000, max_per_key: 4000000 }}"
                ),
            ),
        };
        let deadline = self.size.deadline;
        // Below it, where that is short.
        let store = if deadline == "10s" { store } else { store.replace("timeout: 5s", "timeout: 100ms") };
        let mut text = format!(
            r#"listen: {{ grpc: "127.0.0.1:{grpc}", public: "127.0.0.1:{public}", metrics: "127.0.0.1:{metrics}" }}
policies: ./policies
workers: {}
deadline: {deadline}
protected_resources: [ {{ resource: {AUDIENCE} }} ]
sender_constraint: {{ require: none, dpop: {{ max_age: 300s, skew: 0s, future: 1s{nonces} }} }}
store: {{ {store} }}
issuers:
"#,
            self.size.workers
        );
        for number in 0..self.size.issuers {
            let tenants = if self.size.issuers > 1 {
                let all: Vec<_> = (0..self.size.tenants).map(|tenant| format!("t{tenant}")).collect();
                format!(", tenants: [{}]", all.join(", "))
            } else {
                String::new()
            };
            writeln!(
                text,
                "  - {{ name: i{number}, issuer: \"{}\", jwks: {{ file: jwks-{number}.json }}, audiences: [{AUDIENCE}], claims: {{ agent: client_id, tenant: tenant }}{tenants} }}",
                issuer(number)
            )
            .expect("text grows");
        }
        text.push_str("routes:\n");
        for action in 0..ACTIONS {
            writeln!(
                text,
                "  - {{ name: r{action}, match: {{ host: api.example.com, path: \"/r{action}/tenants/{{tenant}}/documents/{{id}}\", methods: [GET] }}, action: A{action}, resource: {{ type: Document, id: \"{{id}}\", tenant: \"{{tenant}}\" }}, scopes: [\"documents:read\"] }}"
            )
            .expect("text grows");
        }
        let signed = "checkpoints: { key_file: ./receipts.pem }";
        text.push_str(&match self.size.records {
            Records::Off => String::new(),
            Records::BestEffort => "records: { file: ./decisions.jsonl, mode: best_effort }\n".to_owned(),
            Records::Signed => {
                format!("records: {{ file: ./decisions.jsonl, mode: best_effort, {signed} }}\n")
            }
            Records::Required => {
                format!("records: {{ file: ./decisions.jsonl, mode: required, {signed} }}\n")
            }
        });
        text
    }

    /// A token of somebody who may stop things.
    pub(crate) fn operators_token(&self) -> String {
        let now = now();
        let claims = json!({
            "iss": issuer(0), "sub": "olga", "client_id": "console", "aud": OPERATORS, "iat": now, "exp": now + 3600,
            "jti": random_id(), "roles": ["oncall"],
        });
        self.operators.sign(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k" }), &claims)
    }

    /// The agents' key as the ceiling takes it.
    pub(crate) fn agent_point(&self) -> String {
        let jwk = self.agent.jwk();
        let mut point = vec![4];
        for coordinate in ["x", "y"] {
            let coordinate = jwk[coordinate].as_str().expect("an EC key has coordinates");
            point.extend(URL_SAFE_NO_PAD.decode(coordinate).expect("base64url"));
        }
        URL_SAFE_NO_PAD.encode(point)
    }

    /// `count` requests over all tokens in turn, each with a proof of its own where tokens are bound.
    pub(crate) fn requests(&self, count: usize) -> Vec<CheckRequest> {
        self.requests_from(0, count)
    }

    /// The same, beginning at another token.
    pub(crate) fn requests_from(&self, first: usize, count: usize) -> Vec<CheckRequest> {
        (first..first + count).map(|number| self.request(&self.tokens[number % self.tokens.len()])).collect()
    }

    fn request(&self, token: &Token) -> CheckRequest {
        let scheme = if self.size.bound { "DPoP" } else { "Bearer" };
        let mut headers = vec![
            (":authority", "api.example.com".to_owned()),
            (":method", "GET".to_owned()),
            (":path", token.path.clone()),
            (":scheme", "https".to_owned()),
            ("user-agent", "bench/1".to_owned()),
            ("accept", "*/*".to_owned()),
            ("x-forwarded-proto", "https".to_owned()),
            ("x-request-id", "2c9b8b0e-8f5e-4f6e-9a57-7c1c9e1f1d2a".to_owned()),
            ("authorization", format!("{scheme} {}", token.compact)),
        ];
        if self.size.bound {
            headers.push(("dpop", self.proof(token)));
        }
        let headers = headers.into_iter().map(|(key, value)| HeaderValue {
            key: key.to_owned(),
            value: String::new(),
            raw_value: value.into_bytes(),
        });
        let http = HttpRequest {
            id: "1".to_owned(),
            method: "GET".to_owned(),
            path: token.path.clone(),
            host: "api.example.com".to_owned(),
            scheme: "https".to_owned(),
            protocol: "HTTP/2".to_owned(),
            header_map: Some(HeaderMap { headers: headers.collect() }),
            ..HttpRequest::default()
        };
        let request = Some(Request { http: Some(http) });
        CheckRequest { attributes: Some(AttributeContext { request, ..AttributeContext::default() }) }
    }

    fn proof(&self, token: &Token) -> String {
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": self.agent.jwk() });
        let claims = json!({
            "jti": random_id(),
            "htm": "GET",
            "htu": format!("{AUDIENCE}{}", token.path),
            "iat": now(),
            "ath": digest(&token.compact),
        });
        self.agent.sign(&header, &claims)
    }

    /// `count` requests of the token of that number.
    pub(crate) fn requests_of(&self, token: usize, count: usize) -> Vec<CheckRequest> {
        (0..count).map(|_| self.request(&self.tokens[token])).collect()
    }

    /// The headers of one request over HTTP, for those who send it through Envoy.
    pub(crate) fn headers(&self, number: usize) -> (String, String, Option<String>) {
        let token = &self.tokens[number % self.tokens.len()];
        let scheme = if self.size.bound { "DPoP" } else { "Bearer" };
        let proof = self.size.bound.then(|| self.proof(token));
        (token.path.clone(), format!("{scheme} {}", token.compact), proof)
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What signs checkpoints, as PEM.
pub(crate) fn signing_key() -> Result<String, String> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|error| error.to_string())?;
    let key = STANDARD.encode(document.as_ref());
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"))
}

fn orders(port: u16) -> String {
    format!(
        "admin:
  listen: 127.0.0.1:{port}
  tls: {{ certificate_file: tls/server.crt, key_file: tls/server.key }}
  tokens: [{{ issuer: i0, audience: {OPERATORS}, claim: roles, roles: {{ revoker: [oncall] }}, reach: everything }}]
"
    )
}

fn issuer(number: usize) -> String {
    format!("https://sts-{number}.example.com")
}

fn token(number: usize, size: &Size, keys: &[KeyPair], agent: &KeyPair) -> Token {
    let tenant = number % size.tenants;
    let now = now();
    let mut claims = json!({
        "iss": issuer(number % size.issuers),
        "sub": format!("user-{number}"),
        "client_id": format!("agent-{number}"),
        "tenant": format!("t{tenant}"),
        "aud": AUDIENCE,
        "scope": "documents:read documents:write",
        "iat": now,
        "exp": now + 3600,
        "jti": random_id(),
    });
    if size.bound {
        claims["cnf"] = json!({ "jkt": agent.thumbprint() });
    }
    let header: Value = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k" });
    let compact = keys[number % size.issuers].sign(&header, &claims);
    let document = number % documents(size.policies).min(ASKED);
    let action = document % ACTIONS;
    Token { compact, path: format!("/r{action}/tenants/t{tenant}/documents/d{document}") }
}

fn documents(policies: usize) -> usize {
    policies.div_ceil(POLICIES_A_DOCUMENT)
}

/// For each document four policies that do not hold, and one that does.
fn policies(count: usize) -> (String, String) {
    let mut schema = "entity Document in [Exequatur::Tenant] { tenant: Exequatur::Tenant };\n".to_owned();
    let mut text = String::new();
    for action in 0..ACTIONS {
        writeln!(
            schema,
            "action A{action} appliesTo {{ principal: [Exequatur::Agent], resource: [Document], context: Exequatur::Context }};"
        )
        .expect("text grows");
    }
    for document in 0..documents(count) {
        let action = document % ACTIONS;
        for number in 0..POLICIES_A_DOCUMENT {
            let condition = match number {
                0 => "principal has tenant && principal.tenant == resource.tenant && context.scopes.contains(\"documents:read\")".to_owned(),
                1 => "context.delegation.depth > 3".to_owned(),
                _ => format!("context.route == \"another-{number}\""),
            };
            let effect = if number == 1 { "forbid" } else { "permit" };
            writeln!(
                text,
                "@id(\"p{document}-{number}\")\n{effect} (principal, action == Action::\"A{action}\", resource == Document::\"d{document}\") when {{ {condition} }};"
            )
            .expect("text grows");
        }
    }
    (schema, text)
}

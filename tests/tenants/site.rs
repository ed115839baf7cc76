//! The service with six layouts of tenants beside one another, from a configuration as an operator writes it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_proto::envoy::service::auth::v3::attribute_context::Peer;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use exequatur_server::config::{self, Config, Source};
use exequatur_server::{Answerer, build};
use exequatur_tests::Introspector;
use exequatur_tests::direct::check;
use exequatur_tests::jwt::{KeyPair, base64url, merged};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::TENANTS;
use crate::mesh::Authority;
use crate::tokens::{Binding, Token};

/// The second at which everything happens.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const API: &str = "https://api.example.com";

const SCHEMA: &str = "
entity Item { tenant?: Exequatur::Tenant };
action Use appliesTo { principal: [Exequatur::Agent], resource: [Item], context: Exequatur::Context };
";
/// Every agent may use everything: what keeps tenants apart is not the policies.
const POLICIES: &str = r#"
@id("anything")
permit (principal, action == Action::"Use", resource);
@id("partners")
permit (principal, action == Action::"Use", resource)
when { context has federation && context.federation == "partners" };
"#;
const CONFIGURATION: &str = r#"
policies: policies
unauthenticated: { rate: 1000000/s, burst: 1000000 }
deadline: 10s
protected_resources: [{ resource: "https://api.example.com", origin: "https://api.example.com" }]
issuers:
  - { name: corp, issuer: https://sts.example.com, jwks: { file: corp.json }, audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenants: [acme, globex, initech] }
  - { name: own-acme, issuer: https://acme.example.com, jwks: { file: own-acme.json }, audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenant: acme }
  - { name: own-globex, issuer: https://globex.example.com, jwks: { file: own-globex.json }, audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenant: globex }
  - { name: own-initech, issuer: https://initech.example.com, jwks: { file: own-initech.json }, audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenant: initech }
  - { name: "kc-{tenant}", issuer: "https://kc.example.com/realms/{tenant}", jwks: { file: "kc-{tenant}.json" }, audiences: ["https://api.example.com"], max_stale: 24h, tenants: [acme, globex, initech] }
  - { name: mesh, issuer: https://mesh.example.com, jwks: { file: mesh.json }, audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenant: { certificate: { ca_file: clients.pem, uri: "spiffe://mesh.example.com/{tenant}/**" } }, tenants: [acme, globex, initech] }
  - { name: opaque, issuer: https://opaque.example.com, jwks: "http://@/opaque/jwks", audiences: ["https://api.example.com"], max_stale: 24h, claims: { tenant: tenant }, tenants: [acme, globex, initech], introspection: { endpoint: "http://@/opaque/introspect", prefix: o_, ASKING } }
  - { name: "opaque-{tenant}", issuer: "https://opaque.example.com/realms/{tenant}", jwks: "http://@/opaque-{tenant}/jwks", audiences: ["https://api.example.com"], max_stale: 24h, tenants: [acme, globex, initech], introspection: { endpoint: "http://@/opaque-{tenant}/introspect", prefix: "{tenant}_", ASKING } }
federations:
  - { name: partners, from: acme, to: globex, routes: [read] }
  - { name: half-open, from: globex, to: initech, routes: [half] }
sender_constraint: { require: none }
routes:
  - { name: read, match: { path: "/{tenant}/read/{id}", methods: [GET] }, action: Use, resource: { type: Item, id: "{id}", tenant: "{tenant}" } }
  - { name: list, match: { path: "/{tenant}/list/{id}", methods: [GET] }, action: Use, resource: { type: Item, id: "{id}", tenant: "{tenant}" } }
  - { name: half, match: { path: "/{tenant}/half/{id}", methods: [GET] }, action: Use, resource: { type: Item, id: "{id}", tenant: "{tenant}" } }
  - { name: shared, match: { path: "/shared/{id}", methods: [GET] }, action: Use, resource: { type: Item, id: "{id}" } }
"#;

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With what the upstream is told.
    Permitted { agent: String, tenant: Option<String> },
    /// With the reason.
    Denied(String),
}

/// A client certificate. For a binding only its bytes count.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) encoded: String,
    pub(crate) thumbprint: String,
}

impl Certificate {
    /// One of its own for each number.
    pub(crate) fn of(number: usize) -> Self {
        let content = number.to_be_bytes();
        let der: Vec<u8> = [0x30, 8].into_iter().chain(content).collect();
        let base64 = STANDARD.encode(&der).replace('=', "%3D").replace('/', "%2F");
        Self {
            encoded: format!("-----BEGIN%20CERTIFICATE-----%0A{base64}%0A-----END%20CERTIFICATE-----%0A"),
            thumbprint: base64url(&Sha256::digest(&der)),
        }
    }
}

pub(crate) struct Site {
    pub(crate) authority: Authority,
    /// Whom two of the layouts ask.
    pub(crate) asked: Introspector,
    keys: BTreeMap<String, KeyPair>,
    config: Config,
    answerer: RefCell<Answerer>,
    clock: Arc<AtomicI64>,
    runtime: Runtime,
    issuers: RefCell<DropGuard>,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn open() -> Self {
        Self::with("")
    }

    /// With more at the end of the configuration.
    pub(crate) fn with(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("policies")).unwrap();
        std::fs::write(at("policies/items.cedarschema"), SCHEMA).unwrap();
        std::fs::write(at("policies/items.cedar"), POLICIES).unwrap();
        let names =
            ["own", "kc"].into_iter().flat_map(|kind| TENANTS.map(|tenant| format!("{kind}-{tenant}")));
        let keys: BTreeMap<_, _> = names
            .chain(["corp", "mesh"].map(str::to_owned))
            .map(|name| (name, KeyPair::generate()))
            .collect();
        for (name, key) in &keys {
            // Every issuer calls its key the same, as Keycloak's realms do not, and an attacker's would.
            let mut jwk = key.jwk();
            jwk["kid"] = json!("k1");
            let set: Value = json!({ "keys": [jwk] });
            std::fs::write(at(&format!("{name}.json")), set.to_string()).unwrap();
        }
        let authority = Authority::new();
        authority.write(&at("clients.pem"));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = runtime.block_on(Introspector::start(|| NOW)).unwrap();
        let text = format!("{CONFIGURATION}{more}").replace("http://@", &asked.origin()).replace(
            "ASKING",
            &format!(
                "client_id: exequatur, private_key_jwt: {{ key_file: {} }}, wait: 5s, timeout: 10s",
                asked.client_key().display()
            ),
        );
        let source = Source { path: at("exequatur.yaml"), text: text.into() };
        let config = config::from_text(source).unwrap_or_else(|problems| panic!("{problems}"));
        for issuer in config.issuers.iter().filter(|issuer| issuer.introspection.is_some()) {
            asked.speak_for(issuer.profile.name.as_str(), &issuer.profile.issuer);
        }
        let clock = Arc::new(AtomicI64::new(NOW));
        let (answerer, stop) = start(&config, &clock, &runtime);
        let (answerer, issuers) = (RefCell::new(answerer), RefCell::new(stop));
        Self { authority, asked, keys, config, answerer, clock, runtime, issuers, _folder: folder }
    }

    /// Begins anew, with nothing remembered.
    pub(crate) fn forget(&self) {
        let (answerer, stop) = start(&self.config, &self.clock, &self.runtime);
        *self.answerer.borrow_mut() = answerer;
        *self.issuers.borrow_mut() = stop;
    }

    /// The URL of an issuer by its name.
    pub(crate) fn issuer(&self, name: &str) -> &str {
        let found = self.config.issuers.iter().find(|issuer| issuer.profile.name.as_str() == name);
        &found.expect("an issuer").profile.issuer
    }

    /// The key that an issuer signs with.
    pub(crate) fn key(&self, name: &str) -> &KeyPair {
        &self.keys[name]
    }

    /// What a token gets at a path, with a new proof where it needs one.
    pub(crate) fn ask(&self, token: &Token, path: &str) -> Answer {
        self.send(request(token, path, &json!({})))
    }

    /// The same with a proof of that id.
    pub(crate) fn ask_with_proof(&self, token: &Token, path: &str, id: &str) -> Answer {
        self.send(request(token, path, &json!({ "jti": id })))
    }

    fn send(&self, request: CheckRequest) -> Answer {
        answer(&self.runtime.block_on(self.answerer.borrow().answer(request)))
    }
}

fn request(token: &Token, path: &str, proof: &Value) -> CheckRequest {
    let bearer = format!("Bearer {}", token.raw);
    match &token.binding {
        Binding::Bearer => check("GET", "api.example.com", path, &[("authorization", &bearer)]),
        Binding::Dpop(agent) => {
            let changes = merged(json!({ "iat": NOW }), proof);
            let proof = agent.proof("GET", &format!("{API}{path}"), &token.raw, &changes);
            let fields = [("authorization", format!("DPoP {}", token.raw)), ("dpop", proof)];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            check("GET", "api.example.com", path, &fields)
        }
        Binding::Certificate(certificate) => {
            let mut request = check("GET", "api.example.com", path, &[("authorization", &bearer)]);
            let source = Peer { certificate: certificate.encoded.clone(), ..Peer::default() };
            request.attributes.as_mut().expect("it was put there").source = Some(source);
            request
        }
    }
}

fn answer(response: &CheckResponse) -> Answer {
    match &response.http_response {
        Some(HttpResponse::OkResponse(permit)) if response.status.as_ref().is_some_and(|s| s.code == 0) => {
            let told = |name: &str| {
                let fields = permit.headers.iter().filter_map(|option| option.header.as_ref());
                let mut named = fields.filter(|field| field.key == name);
                named
                    .next()
                    .map(|field| String::from_utf8_lossy(&field.raw_value).into_owned() + &field.value)
            };
            let decoded = |text: String| text.replace("%3A", ":");
            Answer::Permitted {
                agent: told("x-exequatur-agent").map(decoded).unwrap_or_default(),
                tenant: told("x-exequatur-tenant"),
            }
        }
        Some(HttpResponse::DeniedResponse(denial)) => {
            let body: Value = serde_json::from_str(&denial.body).unwrap_or_default();
            Answer::Denied(body["reason"].as_str().unwrap_or("none").to_owned())
        }
        Some(_) | None => panic!("neither permit nor denial: {response:?}"),
    }
}

fn reading(clock: &Arc<AtomicI64>) -> exequatur_server::clock::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || Timestamp::from_second(clock.load(Ordering::SeqCst)).unwrap())
}

/// With issuers that have their keys, and a store that is older than any proof.
fn start(config: &Config, clock: &Arc<AtomicI64>, runtime: &Runtime) -> (Answerer, DropGuard) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let entered = runtime.enter();
    let configs = config.issuers.clone();
    let issuers = Issuers::start(configs, HttpConfig::default(), reading(clock), &tasks, &stop).unwrap();
    drop(entered);
    let loaded = async {
        while !issuers.complete(Timestamp::from_second(NOW).unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = async { tokio::time::timeout(Duration::from_secs(60), loaded).await };
    runtime.block_on(waited).expect("the issuers' keys are loaded");
    clock.store(NOW - 3600, Ordering::SeqCst);
    let generation = build(config, 1).unwrap_or_else(|error| panic!("{error}"));
    let answerer = Answerer::new(config, issuers, generation, reading(clock)).unwrap();
    clock.store(NOW, Ordering::SeqCst);
    (answerer, stop.drop_guard())
}

//! The way from a message to its answer, as the server goes it, and what must hold of every answer.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_proto::envoy::config::core::v3::HeaderValueOption;
use exequatur_proto::envoy::service::auth::v3::attribute_context::HttpRequest;
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use exequatur_server::config::{self, Config, Source};
use exequatur_server::{Answerer, build};
use prost::Message as _;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::signed::{AUDIENCE, HOST, ISSUER, METHOD, PATH, PROOF, TOKEN, key_set, now};

/// The path of the route that needs no identity.
pub const PUBLIC: &str = "/healthz";

/// The service with the issuer's keys loaded, and a replay store that is renewed after every use of the proof.
struct Gate {
    runtime: Runtime,
    config: Config,
    issuers: Arc<Issuers>,
    answerer: Answerer,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

thread_local! {
    static GATE: RefCell<Gate> = RefCell::new(Gate::open());
}

/// The answer of a store that has just begun, and cannot know whether a proof was used before.
pub fn answer_in_doubt(request: &CheckRequest) -> CheckResponse {
    GATE.with_borrow(|gate| {
        let generation = build(&gate.config, 1).expect("a generation");
        let answerer = Answerer::new(&gate.config, Arc::clone(&gate.issuers), generation, Arc::new(now));
        let answerer = answerer.expect("an answerer");
        gate.runtime.block_on(answerer.answer(request.clone()))
    })
}

/// Answers the message and checks the answer. True for a permit.
pub fn pass(request: &CheckRequest) -> bool {
    GATE.with_borrow_mut(|gate| {
        let response = gate.runtime.block_on(gate.answerer.answer(request.clone()));
        if assert_sound(request, &response) {
            gate.renew();
        }
        matches!(response.http_response, Some(HttpResponse::OkResponse(_)))
    })
}

impl Gate {
    fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("jwks.json");
        std::fs::write(&keys, key_set()).expect("a file");
        let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/exequatur.yaml"));
        let text = configuration(&keys.display().to_string());
        let config = config::from_text(Source { path, text: text.into() });
        let config = config.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let stop = CancellationToken::new();
        let issuers = runtime.block_on(issuers(&config, &stop));
        let answerer = answerer(&config, &issuers);
        Self { runtime, config, issuers, answerer, _stop: stop.drop_guard(), _folder: folder }
    }

    fn renew(&mut self) {
        self.answerer = answerer(&self.config, &self.issuers);
    }
}

fn configuration(keys: &str) -> String {
    format!(
        r#"
policies: ../policies
protected_resources: [{{ resource: {AUDIENCE} }}]
unauthenticated: {{ rate: 1000000/s, burst: 1000000 }}
deadline: 10s
issuers:
  - {{ name: corp, issuer: {ISSUER}, jwks: {{ file: "{keys}" }}, audiences: [{AUDIENCE}], claims: {{ agent: client_id, user: {{ claim: sub, unless: {{ gty: client-credentials }} }}, tenant: tenant }} }}
routes:
  - name: read
    match: {{ path: "/tenants/{{tenant}}/documents/{{id}}", methods: [{METHOD}] }}
    action: ReadDocument
    resource: {{ type: Document, id: "{{id}}", tenant: "{{tenant}}", attributes: {{ sensitivity: internal }} }}
    scopes: ["documents:read"]
  - {{ name: health, match: {{ path: {PUBLIC}, methods: [{METHOD}] }}, access: public }}
"#
    )
}

async fn issuers(config: &Config, stop: &CancellationToken) -> Arc<Issuers> {
    let tasks = TaskTracker::new();
    let clock = Arc::new(now);
    let issuers = Issuers::start(config.issuers.clone(), HttpConfig::default(), clock, &tasks, stop);
    let issuers = issuers.expect("issuers");
    let loaded = async {
        while !issuers.complete(now()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), loaded).await.expect("the keys are loaded");
    issuers
}

/// The store's own start is an hour ago, so that it is in no doubt about the valid proof.
fn answerer(config: &Config, issuers: &Arc<Issuers>) -> Answerer {
    let generation = build(config, 1).expect("a generation");
    let long_ago = now().saturating_sub(jiff::SignedDuration::from_hours(1)).expect("a time within range");
    let started = std::sync::atomic::AtomicBool::new(false);
    let clock =
        Arc::new(
            move || {
                if started.swap(true, std::sync::atomic::Ordering::Relaxed) { now() } else { long_ago }
            },
        );
    Answerer::new(config, Arc::clone(issuers), generation, clock).expect("an answerer")
}

/// Checks the answer. True if the proof is used up.
fn assert_sound(request: &CheckRequest, response: &CheckResponse) -> bool {
    let code = response.status.as_ref().expect("a status: without one Envoy lets the request through").code;
    assert_quiet(response);
    match response.http_response.as_ref().expect("an answer") {
        HttpResponse::OkResponse(permit) => {
            assert_eq!(code, 0);
            assert_permit(permit);
            let http = request.attributes.as_ref().and_then(|a| a.request.as_ref()?.http.as_ref());
            let http = http.expect("a permit for something");
            assert_may_pass(http);
            assert_identity(permit, http.path.split('?').next() == Some(PUBLIC));
            http.path.split('?').next() != Some(PUBLIC)
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0, "a denial that Envoy takes for a permit");
            assert_denial(denied);
            denied.body.contains("dpop_replay") || denied.body.contains("policy")
        }
    }
}

/// The two requests that may pass: the public route, and the valid one with both of its credentials.
fn assert_may_pass(http: &HttpRequest) {
    let path = http.path.split('?').next().unwrap_or_default();
    assert_eq!(http.method, METHOD);
    let host = http.host.to_ascii_lowercase();
    let (name, port) = host.split_once(':').unwrap_or((&host, "443"));
    assert_eq!(name.strip_suffix('.').unwrap_or(name), HOST);
    assert!(port.bytes().all(|digit| digit.is_ascii_digit()), "{port}");
    if path == PUBLIC {
        return;
    }
    assert_eq!(path, PATH);
    let authorization = one_value(http, "authorization");
    let (scheme, token) = authorization.split_once(' ').expect("a scheme");
    assert!(scheme.eq_ignore_ascii_case("dpop"), "{scheme}");
    assert_eq!(token.trim_start_matches(' '), *TOKEN);
    assert_eq!(one_value(http, "dpop"), *PROOF);
}

/// The one value of a field, in either encoding.
fn one_value(http: &HttpRequest, wanted: &str) -> String {
    let plain = http.headers.iter().map(|(name, value)| (name, value.as_bytes()));
    let raw = http.header_map.iter().flat_map(|map| &map.headers).map(|header| {
        let HeaderValueParts { name, value } = parts(header);
        (name, value)
    });
    let mut values = plain.chain(raw).filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let (_, value) = values.next().expect("the field");
    assert!(values.next().is_none(), "{wanted} stands twice");
    String::from_utf8(value.to_vec()).expect("text")
}

struct HeaderValueParts<'a> {
    name: &'a String,
    value: &'a [u8],
}

fn parts(header: &exequatur_proto::envoy::config::core::v3::HeaderValue) -> HeaderValueParts<'_> {
    let value = if header.value.is_empty() { &header.raw_value[..] } else { header.value.as_bytes() };
    HeaderValueParts { name: &header.key, value }
}

/// Neither token nor proof is in the answer.
fn assert_quiet(response: &CheckResponse) {
    let bytes = response.encode_to_vec();
    for secret in [&*TOKEN, &*PROOF] {
        let signature = secret.rsplit_once('.').expect("three parts").1.as_bytes();
        assert!(!bytes.windows(signature.len()).any(|window| window == signature), "a secret is answered");
    }
}

fn assert_permit(permit: &OkHttpResponse) {
    permit.headers.iter().for_each(assert_field);
    permit.response_headers_to_add.iter().for_each(assert_field);
    for name in &permit.headers_to_remove {
        assert_name(name);
        let set = permit.headers.iter().any(|option| option.header.as_ref().is_some_and(|h| h.key == *name));
        assert!(!set, "{name} is set and removed");
    }
    for name in ["authorization", "dpop"] {
        assert!(permit.headers_to_remove.iter().any(|removed| removed == name), "{name} stays");
    }
}

/// What the upstream is told of the caller: all of it, and on the public route nothing.
fn assert_identity(permit: &OkHttpResponse, public: bool) {
    let caller: &[(&str, &str)] = if public {
        &[]
    } else {
        &[
            ("x-exequatur-agent", "corp:crm-bot"),
            ("x-exequatur-user", "corp:alice"),
            ("x-exequatur-tenant", "acme"),
            ("x-exequatur-scopes", "documents:read,documents:write"),
        ]
    };
    let set = permit.headers.iter().filter_map(|option| option.header.as_ref());
    let mut set: Vec<_> = set.map(|header| (header.key.as_str(), header.value.as_str())).collect();
    let (decision, id) = set.remove(0);
    assert!(decision == "x-exequatur-decision" && id.len() == 36, "{decision} {id}");
    assert_eq!(set, caller);
}

fn assert_denial(denied: &DeniedHttpResponse) {
    let status = denied.status.as_ref().expect("a status").code;
    assert!(matches!(status, 400 | 401 | 403 | 404 | 429 | 503), "{status}");
    denied.headers.iter().for_each(assert_field);
    let challenged = denied
        .headers
        .iter()
        .any(|option| option.header.as_ref().is_some_and(|header| header.key == "www-authenticate"));
    assert!(challenged || status != 401, "401 without a challenge");
    let body: serde_json::Value = serde_json::from_str(&denied.body).expect("a problem document");
    assert_eq!(body["status"].as_i64(), Some(i64::from(status)));
}

fn assert_field(option: &HeaderValueOption) {
    let header = option.header.as_ref().expect("a field");
    assert_name(&header.key);
    assert!(header.raw_value.is_empty());
    assert!(header.value.len() <= 4096, "{}: too long", header.key);
    assert!(header.value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{:?}", header.value);
}

/// A field name in lower case; never a pseudo-header.
fn assert_name(name: &str) {
    assert!(!name.is_empty());
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    assert!(name.bytes().all(allowed), "{name:?}");
}

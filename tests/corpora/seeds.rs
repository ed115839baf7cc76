//! Small valid inputs, made by the code that makes the one valid token and proof.

use std::collections::HashMap;

use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message as _;
use serde_json::{Value, json};

use crate::laws::security_event::payload;
use crate::laws::signed::{HOST, ISSUER, Key, METHOD, NOW, PATH, PROOF, TOKEN, key_set};
use crate::laws::{gate, nonce};

/// A seed: its target, its name, its bytes.
type Seed = (&'static str, &'static str, Vec<u8>);

/// The valid message as `check_request_structured` reads it: every word the right one, and a proof.
pub(crate) const STRUCTURED_VALID: &[u8] = &{
    let mut bytes = [0; 160];
    bytes[20] = 1;
    bytes
};

/// The valid message, in either encoding of headers.
pub(crate) fn valid_message(raw: bool) -> CheckRequest {
    let fields = [("authorization", format!("DPoP {}", *TOKEN)), ("dpop", PROOF.clone())];
    message(METHOD, PATH, &fields, raw)
}

fn message(method: &str, path: &str, fields: &[(&str, String)], raw: bool) -> CheckRequest {
    let header = |(name, value): &(&str, String)| HeaderValue {
        key: (*name).to_owned(),
        value: String::new(),
        raw_value: value.clone().into_bytes(),
    };
    let joined = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    let http = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        host: HOST.to_owned(),
        headers: if raw { HashMap::new() } else { fields.iter().map(joined).collect() },
        header_map: raw.then(|| HeaderMap { headers: fields.iter().map(header).collect() }),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(Peer { certificate: certificate(), ..Peer::default() }),
            request: Some(Request { http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}

/// The smallest DER sequence, as PEM; nothing looks at what is in it.
fn certificate() -> String {
    "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n".replace('\n', "%0A")
}

/// Every seed.
pub(crate) fn all() -> Vec<Seed> {
    let mut seeds = tokens();
    seeds.extend(events());
    seeds.extend(requests());
    seeds.extend(files());
    seeds.extend(messages());
    seeds
}

fn events() -> Vec<Seed> {
    let caep = |name: &str| format!("https://schemas.openid.net/secevent/caep/event-type/{name}");
    let user = json!({ "format": "iss_sub", "iss": ISSUER, "sub": "alice" });
    let session =
        json!({ "format": "complex", "user": user, "session": { "format": "opaque", "id": "s-1" } });
    let mail = json!({ "format": "email", "email": "Alice@example.com" });
    let event = |name, subject: &Value, uri: &str, event: Value| {
        ("security_event", name, payload(subject, uri, &event).to_string().into_bytes())
    };
    let then = NOW - 10;
    let revoked = caep("session-revoked");
    let risk = json!({ "principal": "SESSION", "current_level": "HIGH", "event_timestamp": then });
    let credential = json!({ "credential_type": "password", "change_type": "update" });
    let level = json!({ "namespace": "NIST-AAL", "current_level": "nist-aal2" });
    vec![
        event("user", &user, &revoked, json!({ "event_timestamp": then })),
        event("session", &session, &revoked, json!({ "event_timestamp": NOW * 1000 })),
        event("mail", &mail, &caep("credential-change"), credential),
        event("claims", &user, &caep("token-claims-change"), json!({ "claims": { "role": "a" } })),
        event("risk", &session, &caep("risk-level-change"), risk),
        event("assurance", &user, &caep("assurance-level-change"), level),
    ]
}

fn tokens() -> Vec<Seed> {
    let agent = Key::agent();
    let unusable = r#"{"keys":[{"kty":"oct","k":"AA"},{"kty":"EC"},7,KEY]}"#;
    vec![
        ("jws_compact", "token", text(&TOKEN)),
        ("jws_compact", "proof", text(&PROOF)),
        ("dpop_proof", "valid", text(&PROOF)),
        ("dpop_proof", "empty", agent.sign(&agent.jwk(), &agent.jwk()).into_bytes()),
        ("strict_json", "key-set", key_set().into_bytes()),
        ("strict_json", "numbers", text(r#"{"a":[0,-0,1.5e3,-2E-1,9007199254740993,18446744073709551616]}"#)),
        ("strict_json", "escapes", text(r#"["\u00e9\ud834\udd1e\"\\\/\b\f\n\r\t", true, false, null, {}]"#)),
        ("strict_json", "twice", text(r#"{"a":1,"\u0061":2}"#)),
        ("key_set", "one", key_set().into_bytes()),
        ("key_set", "unusable", unusable.replace("KEY", &agent.jwk().to_string()).into_bytes()),
        (
            "key_set",
            "ed25519",
            text(
                r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"e","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
            ),
        ),
        ("nonce", "made", nonce::made_for_the_agent().into_bytes()),
        ("client_certificate", "small", certificate().into_bytes()),
    ]
}

fn requests() -> Vec<Seed> {
    vec![
        ("htu", "plain", text("https://api.example.com/tenants/acme/documents/plan")),
        ("htu", "loud", text("HTTPS://API.example.com.:443/%7Ea/caf%c3%a9?q#f")),
        ("htu", "address", text("http://[2001:DB8::1]:8080")),
        ("request_path", "plain", text("/tenants/acme/documents/plan")),
        ("request_path", "escaped", text("/caf%C3%A9/a%20b/?access%5Ftoken=x&b;c")),
        ("host", "name", text("API.example.com.:8443")),
        ("host", "address", text("[::1]:80")),
        ("credentials", "dpop", text("/a?b\nauthorization: DPoP a.b.c\ndpop: d.e.f\nx: y")),
        ("credentials", "bearer", text("/\nauthorization: bearer  a.b.c==")),
        ("credentials", "two", text("/\nauthorization: Bearer a\nauthorization: Bearer b")),
    ]
}

fn files() -> Vec<Seed> {
    let config = r#"listen: { grpc: "127.0.0.1:1", public: "127.0.0.1:2", metrics: "127.0.0.1:3" }
policies: policies
protected_resources:
  - { resource: https://api.example.com, scopes: [documents:read] }
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: { file: jwks.json }
    audiences: [https://api.example.com]
    algorithms: [ES256]
    max_lifetime: 15m
    claims: { agent: client_id, user: { claim: sub, unless: { gty: client-credentials } }, tenant: tenant }
sender_constraint:
  require: any
  dpop: { max_age: 60s, skew: 5s, nonce: "off" }
store: { embedded: { max_proofs: 1000, max_per_tenant: 100, max_per_key: 10 } }
routes:
  - name: read
    match: { host: api.example.com, path: "/tenants/{tenant}/documents/{id}", methods: [GET] }
    action: ReadDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: internal } }
    scopes: ["documents:read"]
    sender_constraint: dpop
  - { name: preflight, match: { path: "/**", methods: [OPTIONS] }, access: preflight }
  - { name: health, match: { path: /healthz, methods: [GET] }, access: public }
records: { file: ./decisions.jsonl, mode: best_effort }
deadline: 150ms
"#;
    let repository = exequatur_tests::binaries::repository();
    let read = |path: &str| std::fs::read(repository.join(path)).expect("a file of the repository");
    // What is judged together, as one text.
    let mesh = |kind: &str| {
        let files = ["mesh", "exequatur", kind].map(|file| read(&format!("examples/istio/{file}.yaml")));
        files.join(&b"\n---\n"[..])
    };
    vec![
        ("config_yaml", "whole", text(config)),
        ("config_yaml", "twice", text("policies: a\npolicies: b\nroutes: [*x, &y 1, !z 2]\n")),
        ("policy_tests", "exporting", read("policies/tests/exporting.yaml")),
        ("policy_tests", "small", text("cases:\n  - { name: a, expect: no_permit }\n")),
        ("envoy_lint", "plain", read("envoy/plain.yaml")),
        ("envoy_lint", "hardened", read("envoy/hardened.yaml")),
        ("envoy_lint", "sidecar", mesh("sidecar")),
        ("envoy_lint", "waypoint", mesh("waypoint")),
        ("envoy_lint", "gateway", read("examples/envoy-gateway/exequatur.yaml")),
        ("envoy_lint", "agent", read("examples/agentgateway/config.yaml")),
        ("route_pattern", "parameters", text("/tenants/{tenant}/documents/{id}/**")),
        ("route_pattern", "template", text("doc:{id}")),
        ("audit_line", "torn", text("\u{5}{\"v\":GET")),
        ("audit_line", "empty", text("\u{0}a\"b\\c\n\u{1}é")),
    ]
}

fn messages() -> Vec<Seed> {
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", METHOD)];
    let preflight = preflight.map(|(name, value)| (name, value.to_owned()));
    let token = [("authorization", format!("DPoP {}", *TOKEN))];
    vec![
        ("check_request", "raw", valid_message(true).encode_to_vec()),
        // One field: a map with several has no order of its own.
        ("check_request", "joined", message(METHOD, PATH, &token, false).encode_to_vec()),
        ("check_request", "public", message(METHOD, gate::PUBLIC, &[], true).encode_to_vec()),
        ("check_request", "preflight", message("OPTIONS", PATH, &preflight, true).encode_to_vec()),
        ("check_request_structured", "valid", STRUCTURED_VALID.to_vec()),
        ("check_request_structured", "no-proof", vec![0; 160]),
    ]
}

fn text(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

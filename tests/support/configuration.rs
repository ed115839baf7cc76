//! The configuration of the stack under test.

use std::path::Path;

use crate::token_service::TokenService;

/// Ports of one stack, all on the loopback.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Where callers come in: Envoy's listener.
    pub envoy: u16,
    /// Envoy's administration.
    pub envoy_admin: u16,
    /// Exequatur's Check.
    pub grpc: u16,
    /// Exequatur's public listener.
    pub public: u16,
    /// Exequatur's metrics.
    pub metrics: u16,
    /// The protected service.
    pub upstream: u16,
    /// A second replica's Check, public listener and metrics, where there is one.
    pub second: [u16; 3],
}

impl Ports {
    /// The same, with the second replica in the place of the first.
    #[must_use]
    pub fn of_second(self) -> Self {
        let [grpc, public, metrics] = self.second;
        Self { grpc, public, metrics, ..self }
    }
}

/// An issuer as the configuration names it.
#[derive(Clone, Debug)]
pub struct IssuerEntry {
    /// `iss`.
    pub issuer: String,
    /// `{ file: … }` or a quoted URL.
    pub jwks: String,
    /// The claim that names the user.
    pub user_claim: String,
}

impl IssuerEntry {
    /// The issuer of [`TokenService`], its keys by URL.
    #[must_use]
    pub fn token_service(service: &TokenService) -> Self {
        Self {
            issuer: TokenService::ISSUER.to_owned(),
            jwks: format!("\"{}\"", service.jwks_url()),
            user_claim: "sub".to_owned(),
        }
    }
}

/// Exequatur's configuration file.
#[must_use]
pub fn exequatur(ports: &Ports, scheme: &str, policies: &Path, issuer: &IssuerEntry) -> String {
    let Ports { envoy, grpc, public, metrics, .. } = ports;
    let IssuerEntry { issuer, jwks, user_claim } = issuer;
    let (policies, audience) = (policies.display(), TokenService::AUDIENCE);
    let document = |name: &str, path: &str, method: &str, action: &str, scope: &str, sensitivity: &str| {
        format!(
            r#"
  - name: {name}
    match: {{ host: localhost, path: "{path}", methods: [{method}] }}
    action: {action}
    resource: {{ type: Document, id: "{{id}}", tenant: "{{tenant}}", attributes: {{ sensitivity: {sensitivity}, owner: {{ entity: "Exequatur::User", id: "corp:alice" }} }} }}
    scopes: ["{scope}"]
    sender_constraint: dpop"#
        )
    };
    let read = document("read-document", DOCUMENT, "GET", "ReadDocument", "documents:read", "internal");
    let write = document("write-document", DOCUMENT, "PUT", "WriteDocument", "documents:write", "internal");
    let secret =
        document("read-sealed-document", SEALED, "GET", "ReadDocument", "documents:read", "restricted");
    format!(
        r#"listen: {{ grpc: "127.0.0.1:{grpc}", public: "127.0.0.1:{public}", metrics: "127.0.0.1:{metrics}" }}
policies: {policies}
protected_resources:
  - resource: {audience}
    origin: {scheme}://localhost:{envoy}
    scopes: [documents:read, documents:write]
issuers:
  - name: corp
    issuer: {issuer}
    jwks: {jwks}
    audiences: [{audience}]
    algorithms: [ES256]
    max_lifetime: 15m
    claims: {{ agent: client_id, user: {{ claim: {user_claim}, unless: {{ gty: client-credentials }} }}, tenant: tenant }}
sender_constraint:
  require: any
  dpop: {{ max_age: 60s, skew: 5s, nonce: "off" }}
routes:{read}{write}{secret}
  - name: share-document
    match: {{ host: localhost, path: "/tenants/{{tenant}}/documents/{{id}}/share", methods: [POST] }}
    action: ShareDocument
    resource: {{ type: Document, id: "{{id}}", tenant: "{{tenant}}", attributes: {{ sensitivity: internal, owner: {{ entity: "Exequatur::User", id: "corp:alice" }} }} }}
    user: required
    principals: both
  - {{ name: preflight, match: {{ path: "/**", methods: [OPTIONS] }}, access: preflight }}
  - {{ name: open, match: {{ path: /open, methods: [GET] }}, access: public }}
  - {{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}
records: {{ file: ./decisions.jsonl, mode: best_effort }}
"#
    )
}

const DOCUMENT: &str = "/tenants/{tenant}/documents/{id}";
const SEALED: &str = "/tenants/{tenant}/sealed/{id}";

/// Envoy's configuration with this stack's ports and certificates in it. Envoy's own `/healthz` becomes
/// `/envoy/healthz`: in this stack `/healthz` is a public route of Exequatur's.
#[must_use]
pub fn envoy(template: &str, ports: &Ports, folder: &Path) -> String {
    template
        .replace("port_value: 9901", &format!("port_value: {}", ports.envoy_admin))
        .replace("port_value: 9191", &format!("port_value: {}", ports.grpc))
        .replace("port_value: 9192", &format!("port_value: {}", ports.public))
        .replace("port_value: 9194", &format!("port_value: {}", ports.second[0]))
        .replace("port_value: 10080", &format!("port_value: {}", ports.upstream))
        .replace("port_value: 10000", &format!("port_value: {}", ports.envoy))
        .replace("match: { path: /healthz }", "match: { path: /envoy/healthz }")
        .replace("filename: tls/", &format!("filename: {}/tls/", folder.display()))
        .replace("{ path: tls", &format!("{{ path: {}/tls", folder.display()))
}

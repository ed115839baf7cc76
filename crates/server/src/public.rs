//! The public listener (metadata, health) and the metrics listener.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use exequatur_decide::{Access, Generation, Host, ProtectedResource, Route, Routes};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};

use crate::clock::Clock;

/// Where RFC 9728 §3.1 puts the metadata.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Whether the process may be asked: keys, policies and state were complete once, and it is not draining.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    complete: AtomicBool,
    draining: AtomicBool,
}

impl Readiness {
    pub(crate) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.complete.load(Ordering::Acquire) && !self.draining.load(Ordering::Acquire)
    }
}

/// What the public listener shows.
#[derive(Clone, Debug)]
pub(crate) struct Public {
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) generation: Arc<ArcSwap<Generation>>,
    pub(crate) authorization_servers: Arc<Vec<(String, Vec<String>)>>,
    pub(crate) algorithms: Arc<Vec<&'static str>>,
    pub(crate) dpop_required: bool,
}

/// Health and metadata, to anybody; nothing of the configuration beyond what RFC 9728 publishes.
pub(crate) fn public(state: Public) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route(WELL_KNOWN, get(metadata_at_root))
        .route(&format!("{WELL_KNOWN}/{{*path}}"), get(metadata_below))
        .with_state(state)
}

/// `/metrics`, and nothing else.
pub(crate) fn metrics(handle: &PrometheusHandle, clock: &Clock) -> Router {
    let (handle, clock, started) = (handle.clone(), Arc::clone(clock), clock());
    let text = move || async move {
        let text = handle.render() + &crate::metrics::process(started, clock());
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
    };
    Router::new().route("/metrics", get(text))
}

async fn ready(State(state): State<Public>) -> Response {
    if state.readiness.is_ready() {
        "ready\n".into_response()
    } else {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

async fn metadata_at_root(State(state): State<Public>, headers: HeaderMap) -> Response {
    metadata(&state, &headers, "")
}

async fn metadata_below(
    State(state): State<Public>,
    headers: HeaderMap,
    Path(path): Path<String>,
) -> Response {
    metadata(&state, &headers, &format!("/{path}"))
}

/// RFC 9728 §2. The resource is found by host, and by the path that its identifier has (§3.1).
fn metadata(state: &Public, headers: &HeaderMap, path: &str) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(Host::parse);
    let generation = state.generation.load();
    let found = host.and_then(|host| generation.routes.protected().by_host(&host).cloned());
    let Some(resource) =
        found.filter(|resource| resource.metadata_url.ends_with(&format!("{WELL_KNOWN}{path}")))
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body = document(state, &resource, &generation.routes).to_string();
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")], body)
        .into_response()
}

fn document(state: &Public, resource: &ProtectedResource, routes: &Routes) -> Value {
    let servers: Vec<&str> = state
        .authorization_servers
        .iter()
        .filter(|(_, audiences)| resource.audiences().any(|own| audiences.iter().any(|known| known == own)))
        .map(|(issuer, _)| issuer.as_str())
        .collect();
    let mut document = json!({
        "resource": resource.identifier,
        "authorization_servers": servers,
        "scopes_supported": resource.scopes,
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": *state.algorithms,
        "dpop_bound_access_tokens_required": state.dpop_required,
    });
    let types = detail_types(resource, routes);
    if let Value::Object(members) = &mut document {
        members.insert("authorization_details_types_supported".to_owned(), json!(types));
        // §3.2: a member without any value is left out.
        members.retain(|_, member| member.as_array().is_none_or(|values| !values.is_empty()));
    }
    document
}

/// The types of authorization details that routes of this resource ask for (RFC 9728 §2, RFC 9396 §10). A hidden route
/// tells of itself nowhere.
fn detail_types<'a>(resource: &ProtectedResource, routes: &'a Routes) -> BTreeSet<&'a str> {
    let here = |route: &&Route| route.matches.host.as_ref().is_none_or(|host| *host == resource.host);
    let guards = routes.iter().filter(here).filter_map(|route| match &route.access {
        Access::Public | Access::Preflight => None,
        Access::Guarded(guard) => (!guard.hide).then_some(guard),
    });
    guards.flat_map(|guard| guard.authorization_details.iter().map(|detail| detail.kind.as_str())).collect()
}

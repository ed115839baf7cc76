//! Envoy Gateway: a `SecurityPolicy` asks, a `ClientTrafficPolicy` shapes the connection manager, an `EnvoyPatchPolicy` adds the rest.
//!
//! From `internal/xds/translator/{extauth,listener,httpfilters}.go` and `api/v1alpha1` of Envoy Gateway 1.9.0-rc.1 and later:
//! one `ext_authz` filter for each policy, switched off in the chain and on for each route that the policy covers.

mod client;
mod patch;
mod security;

pub(crate) use security::UNASKED;

use crate::linter::Linter;
use crate::rule::Rule;
use crate::rules::{fields, resources};
use crate::tree::Node;

/// What stands in the files.
#[derive(Debug, Default)]
pub(crate) struct Resources<'n> {
    security: Vec<&'n Node>,
    clients: Vec<&'n Node>,
    patches: Vec<&'n Node>,
    transports: Vec<&'n Node>,
    traffic: Vec<&'n Node>,
    /// `HTTPRoute` and `GRPCRoute`
    routes: Vec<&'n Node>,
}

impl<'n> Resources<'n> {
    /// Takes what is Envoy Gateway's, and of a kind that is known.
    pub(crate) fn take(&mut self, document: &'n Node) {
        let list = match document.text_of("kind") {
            "SecurityPolicy" => &mut self.security,
            "ClientTrafficPolicy" => &mut self.clients,
            "EnvoyPatchPolicy" => &mut self.patches,
            "BackendTLSPolicy" => &mut self.transports,
            "BackendTrafficPolicy" => &mut self.traffic,
            "HTTPRoute" | "GRPCRoute" => &mut self.routes,
            _ => return,
        };
        list.push(document);
    }

    /// Whether a policy asks.
    pub(crate) fn asks(&self) -> bool {
        self.asking().next().is_some()
    }

    /// The policies that ask, with their `extAuth`.
    fn asking(&self) -> impl Iterator<Item = (&'n Node, &'n Node)> {
        self.security.iter().filter_map(|policy| Some((*policy, policy.at("spec.extAuth")?)))
    }
}

/// Every rule of Envoy Gateway's resources.
pub(crate) static RULES: &[&Rule] = &[
    &security::TIMEOUT,
    &security::FAIL_OPEN,
    &security::STATUS,
    &security::ROUTE,
    &security::HIDDEN,
    &security::RETRY,
    &UNASKED,
    &security::REPLACED,
    &security::UNGUARDED,
    &security::PLAINTEXT,
    &client::SLASHES,
    &client::UNDERSCORES,
    &client::HOST_DOT,
    &client::STRIP,
    &client::HEADERS_TIME,
    &client::STREAM_TIME,
    &client::CERTIFICATES,
    &client::FORWARDED,
    &client::MERGE,
    &patch::PATCH,
];

/// Judges all that belongs together.
pub(crate) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    security::judge(resources, linter);
    client::judge(resources, linter);
    patch::judge(resources, linter);
    for traffic in &resources.traffic {
        if let Some(spec) = traffic.get("spec") {
            linter.within(traffic, |linter| fields::judge(&fields::BACKEND_TRAFFIC, spec, linter));
        }
    }
}

/// Whether a policy is for one of these kinds.
fn targets(policy: &Node) -> impl Iterator<Item = &Node> {
    let spec = policy.get("spec");
    spec.into_iter().flat_map(|spec| spec.list("targetRefs").iter().chain(spec.get("targetRef")))
}

/// `250ms`, `10s`, `1m30s`: the durations of the Gateway API.
fn duration(node: &Node) -> Option<std::time::Duration> {
    resources::duration(node.text()?)
}

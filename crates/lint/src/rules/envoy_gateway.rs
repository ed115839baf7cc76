//! Envoy Gateway: a `SecurityPolicy` asks, a `ClientTrafficPolicy` shapes the connection manager, an `EnvoyPatchPolicy` adds the rest.
//!
//! From `internal/xds/translator/{extauth,listener,httpfilters}.go` and `api/v1alpha1` of Envoy Gateway 1.9.0-rc.1 and later:
//! one `ext_authz` filter for each policy, switched off in the chain and on for each route that the policy covers.

mod client;
mod patch;
mod security;
mod target;

pub(crate) use security::UNASKED;

use crate::linter::Linter;
use crate::rule::Rule;
use crate::rules::resources::{name, namespace};
use crate::rules::{fields, kinds, resources};
use crate::tree::Node;

use target::Asked;

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
    /// `Gateway` of the Gateway API, but those of Istio.
    gateways: Vec<&'n Node>,
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
            "Gateway" if kinds::group(document) == kinds::GATEWAY_API && !is_istios(document) => {
                &mut self.gateways
            }
            _ => return,
        };
        list.push(document);
    }

    /// Whether a policy asks.
    pub(crate) fn asks(&self) -> bool {
        self.asking().next().is_some()
    }

    /// A Gateway, by name.
    fn gateway(&self, at: &str, wanted: &str) -> Option<&'n Node> {
        self.gateways.iter().copied().find(|one| namespace(one) == at && name(one) == wanted)
    }

    /// A route, by name.
    fn route(&self, kind: &str, at: &str, wanted: &str) -> Option<&'n Node> {
        let mut of_kind = self.routes.iter().copied().filter(|one| one.text_of("kind") == kind);
        of_kind.find(|one| namespace(one) == at && name(one) == wanted)
    }

    /// The Gateways that somebody asks at, each once, with a policy that does.
    fn asked(&self) -> Vec<(&'n Node, Asked<'n>)> {
        let mut all: Vec<(&Node, Asked<'_>)> = Vec::new();
        for (policy, _) in self.asking() {
            for gateway in target::asked(policy, self) {
                if !all.iter().any(|(_, known)| *known == gateway) {
                    all.push((policy, gateway));
                }
            }
        }
        all
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
    &target::UNSEEN,
    &target::ASTRAY,
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

/// Whether a Gateway is Istio's to make.
fn is_istios(gateway: &Node) -> bool {
    target::class(gateway).is_some_and(|class| class == "istio" || class.starts_with("istio-"))
}

/// `250ms`, `10s`, `1m30s`: the durations of the Gateway API.
fn duration(node: &Node) -> Option<std::time::Duration> {
    resources::duration(node.text()?)
}

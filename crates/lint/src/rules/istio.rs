//! Istio: a provider in `MeshConfig`, an `AuthorizationPolicy` that sends requests there, and what `EnvoyFilter` adds.
//!
//! From `pilot/pkg/security/authz/builder` of Istio 1.30 and 1.31: a shadow RBAC filter marks what the policy selects, and
//! `ext_authz` asks about what is marked (`filter_enabled_metadata`). What is not marked passes, unless `deny_at_disable` says no.

mod ingress;
mod patch;
mod pods;
mod policy;
mod provider;
mod proxy;
mod reach;
mod transport;
mod waypoint;

pub(crate) use provider::UNASKED;

use crate::linter::Linter;
use crate::rule::Rule;
use crate::rules::{check, fields, kinds};
use crate::tree::Node;

use reach::Pods;

/// What stands in the files.
#[derive(Debug, Default)]
pub(crate) struct Resources<'n> {
    /// `MeshConfig`, wherever it stood.
    meshes: Vec<&'n Node>,
    /// Values of istiod's chart.
    values: Vec<&'n Node>,
    policies: Vec<&'n Node>,
    filters: Vec<&'n Node>,
    peers: Vec<&'n Node>,
    destinations: Vec<&'n Node>,
    /// `Gateway` of Istio's own API.
    gateways: Vec<&'n Node>,
    /// `Gateway` of class `istio-waypoint`.
    waypoints: Vec<&'n Node>,
    /// Any other `Gateway` of the Gateway API.
    ingresses: Vec<&'n Node>,
    /// `HTTPRoute` and `GRPCRoute`
    routes: Vec<&'n Node>,
    namespaces: Vec<&'n Node>,
    services: Vec<&'n Node>,
    pods: Vec<Pods<'n>>,
}

impl<'n> Resources<'n> {
    /// Takes what is Istio's, and of a kind that is known.
    pub(crate) fn take(&mut self, document: &'n Node) {
        let list = match document.text_of("kind") {
            "IstioOperator" => {
                self.meshes.extend(document.at("spec.meshConfig"));
                self.values.extend(document.at("spec.values").into_iter().chain(document.get("spec")));
                return;
            }
            "" if document.get("meshConfig").is_some() => {
                self.meshes.extend(document.get("meshConfig"));
                self.values.push(document);
                return;
            }
            "" if document.get("extensionProviders").is_some() => &mut self.meshes,
            "AuthorizationPolicy" => &mut self.policies,
            "EnvoyFilter" => &mut self.filters,
            "PeerAuthentication" => &mut self.peers,
            "DestinationRule" => &mut self.destinations,
            "Namespace" => &mut self.namespaces,
            "Service" => &mut self.services,
            "HTTPRoute" | "GRPCRoute" => &mut self.routes,
            "Gateway" if kinds::group(document) == kinds::ISTIO => &mut self.gateways,
            "Gateway" if document.at("spec.gatewayClassName").and_then(Node::text) == Some(WAYPOINT) => {
                &mut self.waypoints
            }
            "Gateway" => &mut self.ingresses,
            _ => {
                self.pods.extend(Pods::of(document));
                return;
            }
        };
        list.push(document);
    }

    /// Takes a `MeshConfig` that is known to be one by where it stood.
    pub(crate) fn take_mesh(&mut self, mesh: &'n Node) {
        self.meshes.push(mesh);
    }

    /// Whether a policy asks a provider.
    pub(crate) fn asks(&self) -> bool {
        self.custom().next().is_some()
    }

    /// The namespace whose resources are for all of the mesh.
    fn root(&self) -> &'n str {
        let said = self.meshes.iter().find_map(|mesh| mesh.get("root_namespace")?.text());
        said.filter(|name| !name.is_empty()).unwrap_or("istio-system")
    }

    /// A waypoint, by name.
    fn waypoint(&self, at: &str, wanted: &str) -> Option<&'n Node> {
        self.waypoints.iter().copied().find(|one| reach::is(one, at, wanted))
    }

    /// Another Gateway of the Gateway API, by name.
    fn ingress(&self, at: &str, wanted: &str) -> Option<&'n Node> {
        self.ingresses.iter().copied().find(|one| reach::is(one, at, wanted))
    }

    /// The policies that send requests to a provider.
    fn custom(&self) -> impl Iterator<Item = &'n Node> {
        self.policies.iter().copied().filter(|policy| policy::is_custom(policy))
    }
}

const WAYPOINT: &str = "istio-waypoint";

/// Whether a document is a `MeshConfig`, or values of istiod's chart with one: neither has a kind.
pub(crate) fn is_mesh(document: &Node) -> bool {
    document.text_of("kind").is_empty()
        && ["meshConfig", "extensionProviders"].iter().any(|key| document.get(key).is_some())
}

/// Every rule of Istio's resources.
pub(crate) static RULES: &[&Rule] = &[
    &provider::NORMALIZATION,
    &provider::TIMEOUT,
    &provider::FAIL_OPEN,
    &provider::STATUS,
    &provider::ROUTE_CACHE,
    &UNASKED,
    &policy::PROVIDER_MISSING,
    &policy::SELECTS_NOTHING,
    &policy::SELECTS_PART,
    &policy::DRY_RUN,
    &policy::UNSEEN,
    &waypoint::NOT_AMBIENT,
    &waypoint::PAST,
    &waypoint::UNUSED,
    &waypoint::FOR,
    &pods::OUT,
    &pods::NOT_INJECTED,
    &ingress::UNASKED,
    &ingress::OPAQUE,
    &patch::PATCH,
    &patch::ASTRAY,
    &patch::CONTEXT,
    &patch::WAYPOINT_KEYS,
    &transport::PERMISSIVE,
    &transport::DESTINATION,
    &transport::UNVERIFIED,
    &transport::ASKERS,
];

/// Judges all that belongs together. `others`: whether another product asks at Gateways of the Gateway API.
pub(crate) fn judge(resources: &Resources<'_>, others: bool, linter: &mut Linter<'_>) {
    for mesh in &resources.meshes {
        provider::judge(mesh, resources, linter);
    }
    for policy in &resources.policies {
        linter.within(policy, |linter| policy::judge(policy, resources, linter));
    }
    for gateway in &resources.waypoints {
        linter.within(gateway, |linter| waypoint::judge_gateway(gateway, linter));
    }
    waypoint::judge_services(resources, linter);
    ingress::judge(resources, others, linter);
    pods::judge(resources, linter);
    patch::judge(resources, linter);
    transport::judge(resources, linter);
}

/// The providers that speak to Exequatur, by gRPC.
fn providers(mesh: &Node) -> impl Iterator<Item = (&Node, &Node)> {
    let all = mesh.list("extension_providers").iter();
    all.filter_map(|provider| Some((provider, provider.get("envoy_ext_authz_grpc")?)))
}

/// Providers that are asked by HTTP.
fn by_http(mesh: &Node, linter: &mut Linter<'_>) {
    for provider in mesh.list("extension_providers") {
        fields::judge(&fields::PROVIDERS, provider, linter);
        if let Some(http) = provider.get("envoy_ext_authz_http") {
            linter.report(&check::NOT_GRPC, http.place, "the provider is asked by HTTP");
        }
    }
}

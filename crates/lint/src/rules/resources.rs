//! Kubernetes resources, and the values of charts, that a mesh or a gateway makes Envoy's configuration from.
//!
//! What is generated is not in the file. Each product has a file of rules that knows what its control plane makes of each
//! key; what Envoy would get is held against the same rules as a bootstrap, as far as it is known.

use crate::linter::Linter;
use crate::reader::{self, Unreadable};
use crate::rule::{Rule, Severity};
use crate::rules::istio;
use crate::tree::{Node, shortened};

static NOT_JUDGED: Rule = Rule::new(
    Severity::Unknown,
    "resource-not-judged",
    &["N01"],
    "what this resource does to requests is not known here",
    "leave it out of what is judged together; or allow it, after reading what it does",
)
.allowable();

pub(crate) static RULES: &[&Rule] = &[&NOT_JUDGED];

/// Resources that send no request past a decision.
const HARMLESS: [&str; 20] = [
    "Certificate",
    "ClusterIssuer",
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "Gateway",
    "GatewayClass",
    "HorizontalPodAutoscaler",
    "Issuer",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodMonitor",
    "PrometheusRule",
    "ReferenceGrant",
    "RequestAuthentication",
    "Secret",
    "Service",
    "ServiceAccount",
    "ServiceMonitor",
];

/// Whether a document is one of those, and no bootstrap.
pub(crate) fn is_one(document: &Node) -> bool {
    ["apiVersion", "kind", "meshConfig", "extensionProviders"]
        .iter()
        .any(|key| document.entries().iter().any(|entry| entry.key == *key))
}

/// Judges all of them together.
pub(crate) fn judge(documents: Vec<Node>, texts: &[&str], linter: &mut Linter<'_>) -> Result<(), Unreadable> {
    let mut resources = documents;
    let mut meshes = Vec::new();
    for document in &resources {
        if let Some(text) = document.at("data.mesh").filter(|_| document.text_of("kind") == "ConfigMap") {
            let last = texts.get(text.place.text).map_or(1, |text| text.split(['\n', '\r']).count());
            meshes.push(inner(text, last)?);
        }
    }
    resources.extend(meshes);
    let mut mesh = istio::Resources::default();
    for resource in &resources {
        if !mesh.take(resource) && !HARMLESS.contains(&resource.text_of("kind")) {
            linter.within(resource, |linter| {
                let kind = shortened(resource.text_of("kind"));
                linter.report(&NOT_JUDGED, resource.place, format!("a `{kind}` is not judged"));
            });
        }
    }
    istio::judge(&mesh, linter);
    Ok(())
}

/// A configuration that stands as text in a value. Lines are those of the whole, columns those of the text.
fn inner(value: &Node, last: usize) -> Result<Node, Unreadable> {
    let place = value.place;
    // Its text begins on the line where the value does.
    let above = place.line.saturating_sub(1);
    let read = reader::read(value.text().unwrap_or_default());
    let read = read.map_err(|error| {
        let line = error.place.line.saturating_add(above);
        Unreadable { place: crate::Place { text: place.text, line, ..error.place }, ..error }
    })?;
    Ok(read.moved(place.text, above, last))
}

/// The namespace of a resource.
pub(crate) fn namespace(resource: &Node) -> &str {
    resource.at("metadata.namespace").and_then(Node::text).unwrap_or("default")
}

/// The name of a resource.
pub(crate) fn name(resource: &Node) -> String {
    shortened(resource.at("metadata.name").and_then(Node::text).unwrap_or_default())
}

//! `ProxyConfig`: what the mesh says of every proxy, and an annotation of one pod's.
//!
//! From `mesh/v1alpha1/proxy.proto` and `pkg/kube/inject` of Istio: `MeshConfig.defaultConfig`, into which the annotation
//! `proxy.istio.io/config` is merged.

use super::Resources;
use super::pods::OUT;
use super::reach::Pods;
use crate::linter::Linter;
use crate::reader;
use crate::rules::{bootstrap, check};
use crate::tree::{Node, Place, Value, shortened};

/// Annotations that say which interfaces and ports are redirected on the way in: judged with the pods.
const JUDGED: [&str; 3] = ["excludeInboundPorts", "excludeInterfaces", "includeInboundPorts"];
/// Those about the way out, where nobody asks.
const OUTBOUND: [&str; 4] =
    ["excludeOutboundIPRanges", "excludeOutboundPorts", "includeOutboundIPRanges", "includeOutboundPorts"];

/// Judges what each `MeshConfig` says of every proxy.
pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let keys = runtime_keys(resources);
    let meshes = resources.meshes.iter().filter_map(|mesh| mesh.get("default_config"));
    let values = resources.values.iter().filter_map(|values| values.at("meshConfig.default_config"));
    // Values hold the mesh that is judged already; a finding is told once.
    for config in meshes.chain(values) {
        judge_config(config, None, &keys, linter);
    }
}

/// Judges the annotations of pods by which what comes in passes their proxy, or another one is made of it.
pub(super) fn annotations(pods: &Pods<'_>, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let all = pods.template.at("metadata.annotations").map(Node::entries).unwrap_or_default();
    for entry in all {
        let (key, value) = (entry.key.as_str(), &entry.value);
        let (domain, name) = key.split_once('/').unwrap_or(("", key));
        match (domain, name) {
            _ if matches!(&value.value, Value::Null) || value.text() == Some("") => {}
            ("proxy.istio.io", "config") => merged(value, resources, linter),
            // Judged with the pods.
            ("proxy.istio.io", "overrides") => {}
            ("traffic.sidecar.istio.io", known) if JUDGED.contains(&known) || OUTBOUND.contains(&known) => {}
            ("traffic.sidecar.istio.io", "kubevirtInterfaces")
            | ("istio.io", "reroute-virtual-interfaces") => {
                let message = format!("what comes in by `{}` counts as going out", value.shown());
                linter.report(&OUT, value.place, message);
            }
            ("traffic.sidecar.istio.io" | "proxy.istio.io", _) => unknown(key, value, linter),
            ("istio.io", other) if other.starts_with("reroute") => unknown(key, value, linter),
            _ => {}
        }
    }
}

fn unknown(key: &str, value: &Node, linter: &mut Linter<'_>) {
    let message = format!("what the annotation `{}` does is not known here", shortened(key));
    linter.unknown(&OUT, value.place, message);
}

/// What stands as text in an annotation.
fn merged(value: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    match value.text().map(reader::read) {
        Some(Ok(config)) if matches!(config.value, Value::Map(_)) => {
            judge_config(&config, Some(value.place), &runtime_keys(resources), linter);
        }
        Some(Ok(_) | Err(_)) | None => {
            linter.unknown(&OUT, value.place, "`proxy.istio.io/config` cannot be read as a `ProxyConfig`");
        }
    }
}

/// `at`: where to say so, if the text has no places of its own.
fn judge_config(config: &Node, at: Option<Place>, keys: &[&str], linter: &mut Linter<'_>) {
    let place = |node: &Node| at.unwrap_or(node.place);
    let metadata = |name: &str| {
        let all = config.get("proxy_metadata").map(Node::entries).unwrap_or_default();
        all.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    };
    let modes = [config.get("interception_mode"), metadata("ISTIO_META_INTERCEPTION_MODE")];
    for mode in modes.into_iter().flatten() {
        if mode.is_member(&[("NONE", 2)]) {
            linter.report(&OUT, place(mode), "nothing is redirected to the proxy");
        } else if !mode.is_member(&[("REDIRECT", 0), ("TPROXY", 1)]) {
            let message = format!("the interception mode `{}` is not known here", mode.shown());
            linter.unknown(&OUT, place(mode), message);
        }
    }
    let files = ["custom_config_file", "proxy_bootstrap_template_path"].map(|key| config.get(key));
    let variables = ["ISTIO_BOOTSTRAP", "ISTIO_BOOTSTRAP_OVERRIDE"].map(metadata);
    for made in files.into_iter().chain(variables).flatten() {
        let message = format!("what the bootstrap `{}` makes of the proxy is not known", made.shown());
        linter.report(&OUT, place(made), message);
    }
    for entry in config.get("runtime_values").map(Node::entries).unwrap_or_default() {
        bootstrap::judge_runtime(&entry.key, &entry.value, at.unwrap_or(entry.place), keys, linter);
    }
}

/// The runtime keys that patches name.
fn runtime_keys<'n>(resources: &Resources<'n>) -> Vec<&'n str> {
    resources.filters.iter().flat_map(|filter| check::runtime_keys(filter)).collect()
}

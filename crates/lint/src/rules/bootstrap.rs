//! The bootstrap as a whole: where it comes from, administration, runtime; and that nothing was overlooked.

use crate::linter::Linter;
use crate::names;
use crate::rule::{Key, Part, Rule, Severity, never};
use crate::rules::{check, cluster, fields, listener, route};
use crate::tree::{Node, Place, Value, shortened};

static ADMIN_EXPOSED: Rule = Rule::new(
    Severity::Hole,
    "admin-exposed",
    &["E-02"],
    "whoever reaches the administration can stop Envoy, read its configuration and change its runtime settings",
    "listen on 127.0.0.1, ::1 or a Unix socket (`pipe`)",
);
static DYNAMIC_LISTENERS: Rule = Rule::new(
    Severity::Unknown,
    "dynamic-listeners",
    &["B-15"],
    "listeners that arrive while Envoy runs are not in this file, and may have no ext_authz",
    "judge what the control plane sends (for example `/config_dump` as a bootstrap), and allow it here",
);
static NO_LISTENER: Rule = Rule::new(
    Severity::Unknown,
    "no-listener",
    &["B-15"],
    "nothing in this file can be judged",
    "give the file that holds the listeners",
);
static RUNTIME: Rule = Rule::new(
    Severity::Unknown,
    "runtime-layer",
    &["B-15"],
    "runtime values that do not stand in this file can switch checks and safe defaults off",
    "keep to a `static_layer`, without `envoy.reloadable_features`",
);
static RUNTIME_KEY: Rule = Rule::new(
    Severity::Hole,
    "runtime-key",
    &["N01"],
    "it takes the place of the default that stands in the filter: where the filter is switched off, everything passes",
    "leave the key out of the runtime values, or set it to true",
);
static HEADER_PREFIX: Rule = Rule::new(
    Severity::Hole,
    "header-prefix",
    &["B-09"],
    "Exequatur knows the mark of a partial body by its usual name only",
    "leave `header_prefix` out",
)
.key(Key::may(Part::Bootstrap, "header_prefix", never, &["x-corp"]));
static INLINE_HEADERS: Rule = Rule::new(
    Severity::Hole,
    "inline-headers",
    &["N02"],
    "Envoy joins repeated headers of this name into one, so that a second proof is not seen as such",
    "leave it out of `inline_headers`",
);
static REGEX_ENGINE: Rule = Rule::new(
    Severity::Unknown,
    "regex-engine",
    &["N06"],
    "expressions mean to another engine what they do not mean here",
    "leave `default_regex_engine` out",
)
.key(Key::may(Part::Bootstrap, "default_regex_engine", never, &["{ name: a }"]));
static NOT_JUDGED: Rule = Rule::new(
    Severity::Unknown,
    "not-judged",
    &["N01"],
    "it stands where these rules do not look, so nothing is known of it",
    "put it where Envoy's own filters and routes stand, or remove it",
);

pub(crate) static RULES: &[&Rule] = &[
    &ADMIN_EXPOSED,
    &DYNAMIC_LISTENERS,
    &NO_LISTENER,
    &RUNTIME,
    &RUNTIME_KEY,
    &HEADER_PREFIX,
    &INLINE_HEADERS,
    &REGEX_ENGINE,
    &NOT_JUDGED,
];

/// Walks the whole file.
pub(crate) fn judge(bootstrap: &Node, linter: &mut Linter<'_>) {
    linter.keys(Part::Bootstrap, bootstrap);
    // A bootstrap has no metadata of its own; that of its node is the nearest.
    linter.within(bootstrap.get("node").unwrap_or(bootstrap), |linter| {
        fields::judge(&fields::BOOTSTRAP, bootstrap, linter);
    });
    admin(bootstrap, linter);
    runtime(bootstrap, linter);
    for header in bootstrap.list("inline_headers") {
        let name = header.text_of("inline_header_name");
        if names::reserved(name, linter.options) {
            linter.report(&INLINE_HEADERS, header.place, format!("`{}` is joined into one", shortened(name)));
        }
    }
    let resources = bootstrap.get("static_resources");
    let listeners = resources.map(|resources| resources.list("listeners")).unwrap_or_default();
    let lds = ["dynamic_resources.lds_config", "dynamic_resources.lds_resources_locator"];
    for dynamic in lds.iter().filter_map(|path| bootstrap.at(path)) {
        linter.report(&DYNAMIC_LISTENERS, dynamic.place, "listeners come from elsewhere");
    }
    if listeners.is_empty() {
        let place = bootstrap.nearest("static_resources.listeners").place;
        linter.report(&NO_LISTENER, place, "`static_resources.listeners` is missing or empty");
    }
    let clusters = resources.map(|resources| resources.list("clusters")).unwrap_or_default();
    for listener in listeners {
        listener::judge(listener, clusters, linter);
    }
    for cluster in clusters {
        linter.within(cluster, |linter| cluster::judge_upstream(cluster, linter));
    }
    route::to_check(bootstrap, linter);
    overlooked(bootstrap, linter);
}

fn admin(bootstrap: &Node, linter: &mut Linter<'_>) {
    let Some(address) = bootstrap.at("admin.address") else { return };
    if !cluster::is_local(address) {
        let message = format!("the administration listens on {}", cluster::shown_address(address));
        linter.report(&ADMIN_EXPOSED, address.place, message);
    }
}

fn runtime(bootstrap: &Node, linter: &mut Linter<'_>) {
    let keys = check::runtime_keys(bootstrap);
    let layers = bootstrap.at("layered_runtime.layers").map(Node::items).unwrap_or_default();
    for layer in layers {
        let Some(fixed) = layer.get("static_layer") else {
            let name = shortened(layer.text_of("name"));
            linter.report(&RUNTIME, layer.place, format!("runtime layer `{name}` is changed from outside"));
            continue;
        };
        for (name, place, value) in leaves(fixed) {
            judge_runtime(&name, value, place, &keys, linter);
        }
    }
}

/// Judges one runtime value. `keys`: those that filters read which were judged.
pub(crate) fn judge_runtime(name: &str, value: &Node, place: Place, keys: &[&str], linter: &mut Linter<'_>) {
    if name.starts_with("envoy.reloadable_features.") || name.starts_with("envoy.restart_features.") {
        let message = format!("`{}` changes how Envoy behaves by default", shortened(name));
        linter.report(&RUNTIME, place, message);
    }
    if keys.contains(&name) && value.truth() != Some(true) {
        let message = format!("`{}` is set to `{}`", shortened(name), value.shown());
        linter.report(&RUNTIME_KEY, place, message);
    }
}

/// The names in a runtime layer, and what they are set to: nested maps are names with dots.
fn leaves(layer: &Node) -> Vec<(String, Place, &Node)> {
    let mut names = Vec::new();
    let mut open: Vec<(String, &Node)> = vec![(String::new(), layer)];
    while let Some((prefix, node)) = open.pop() {
        for entry in node.entries() {
            let name = if prefix.is_empty() { entry.key.clone() } else { format!("{prefix}.{}", entry.key) };
            if entry.value.entries().is_empty() {
                names.push((name, entry.place, &entry.value));
            } else {
                open.push((name, &entry.value));
            }
        }
    }
    names
}

/// Reports every message of a kind that matters and that no rule came by: nested where nobody looks.
fn overlooked(bootstrap: &Node, linter: &mut Linter<'_>) {
    const KINDS: [&str; 3] = [listener::CONNECTION_MANAGER, check::FILTER, check::PER_ROUTE];
    let mut open = vec![bootstrap];
    while let Some(node) = open.pop() {
        if let Some((kind, message)) = node.typed().filter(|(kind, _)| KINDS.contains(kind))
            && !linter.was_judged(message)
        {
            linter.report(&NOT_JUDGED, node.place, format!("a `{kind}` in a place that is not judged"));
        }
        match &node.value {
            Value::List(items) => open.extend(items),
            Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.value)),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Text(_) => {}
        }
    }
}

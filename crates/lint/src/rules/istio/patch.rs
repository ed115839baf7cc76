//! `EnvoyFilter`: what is laid over the filters that Istio makes. The outcome is judged by the rules for a bootstrap.

use super::reach::Reach;
use super::{Resources, ingress, policy};
use crate::linter::Linter;
use crate::rule::{Part, Rule, Severity};
use crate::rules::listener::CONNECTION_MANAGER;
use crate::rules::resources::{given, name, namespace};
use crate::rules::{self, body, check, fields, mutation, order};
use crate::tree::{Entry, Node, Place, Value, shortened};

pub(super) static PATCH: Rule = Rule::new(
    Severity::Unknown,
    "istio-patch",
    &["N01"],
    "what this patch makes of listeners, filters or routes is not known here",
    "merge into ext_authz and the connection manager only, for every listener of the context; or allow it",
)
.allowable();

pub(super) static ASTRAY: Rule = Rule::new(
    Severity::Unknown,
    "istio-patch-astray",
    &["N01"],
    "this filter is for no workload of a CUSTOM policy: what it adds is missing there, and what it does elsewhere is not judged",
    "the policy's namespace and labels in the filter, for a policy whose workloads have a proxy that takes patches; or leave it out",
)
.allowable();

pub(super) static CONTEXT: Rule = Rule::new(
    Severity::Unknown,
    "istio-context",
    &["N01"],
    "patches for GATEWAY change nothing in a sidecar, and no Gateway here selects these workloads",
    "give the `Gateway` that selects them; for a sidecar the context SIDECAR_INBOUND",
)
.allowable();

pub(super) static WAYPOINT_KEYS: Rule = Rule::new(
    Severity::Weak,
    "istio-waypoint-keys",
    &["N02", "N05", "N06", "B-03", "M02"],
    "a waypoint takes no EnvoyFilter: headers sent twice arrive as one, no mutation rules, no certificate, no names stripped",
    "guard by a sidecar or a gateway, where these keys can be merged in; or allow it, after reading docs/how-to/istio.md",
)
.allowable();

const HTTP_MANAGER: &str = "envoy.filters.network.http_connection_manager";
const EXT_AUTHZ: &str = "envoy.filters.http.ext_authz";

/// What Istio itself writes: the provider's keys, which are judged where they stand, and what its proxies cannot be told.
/// `use_remote_address` is false in sidecars and waypoints: docs/how-to/istio.md says what that means.
const CHECK: &str = "{ failure_mode_allow: false, status_on_error: { code: 503 }, clear_route_cache: false }";
const CONNECTION: &str = "{ use_remote_address: true, xff_num_trusted_hops: 0, normalize_path: true, merge_slashes: true, \
     http_protocol_options: { accept_http_10: false, override_stream_error_on_invalid_http_message: false } }";

/// What the patches for one kind of proxy come to.
#[derive(Clone)]
struct Merged {
    check: Node,
    connection: Node,
    strips: bool,
}

/// Judges what is left of Istio's defaults once everything is merged, for the workloads of each policy that asks.
pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let root = resources.root();
    let (waypoints, others): (Vec<&Node>, Vec<&Node>) =
        resources.custom().partition(|custom| policy::is_of_waypoint(custom, resources));
    for custom in &waypoints {
        linter.within(custom, |linter| {
            linter.report(
                &WAYPOINT_KEYS,
                custom.place,
                "a waypoint asks, with none of the keys that an EnvoyFilter adds",
            );
        });
    }
    let filters = filters(resources);
    let wanted: Vec<(&Node, Reach)> = others
        .iter()
        .flat_map(|custom| {
            Reach::of(custom, policy::SELECTOR, root).into_iter().map(|reach| (*custom, reach))
        })
        .collect();
    for filter in &filters {
        linter.within(filter.resource, |linter| {
            if let Some(spec) = filter.resource.get("spec") {
                fields::judge(&fields::ENVOY_FILTER, spec, linter);
            }
            if resources.asks() && !wanted.iter().any(|(_, reach)| filter.meets(reach)) {
                let message =
                    format!("`{}` is for no workload of a CUSTOM policy here", name(filter.resource));
                linter.report(&ASTRAY, filter.resource.place, message);
                return;
            }
            let strange = |patch: &&Node| !TAKEN.contains(&context(patch));
            for patch in filter.patches().iter().filter(strange) {
                let message = format!(
                    "the context `{}` is not one that requests come in by",
                    shortened(context(patch))
                );
                linter.report(&PATCH, patch.place, message);
            }
        });
    }
    for (custom, reach) in &wanted {
        for context in contexts(reach, &filters, resources, linter) {
            guarded(custom, reach, context, &filters, linter);
        }
    }
}

/// An `EnvoyFilter`, and whom it is for.
struct Filter<'n> {
    resource: &'n Node,
    reaches: Vec<Reach>,
}

impl<'n> Filter<'n> {
    fn patches(&self) -> &'n [Node] {
        self.resource.at("spec.configPatches").map(Node::items).unwrap_or_default()
    }

    fn covers(&self, reach: &Reach) -> bool {
        self.reaches.iter().any(|own| own.covers(reach))
    }

    fn meets(&self, reach: &Reach) -> bool {
        self.reaches.iter().any(|own| own.meets(reach))
    }
}

/// In the order in which Istio applies them: by priority, those of the root namespace first. By age it is not known.
fn filters<'n>(resources: &Resources<'n>) -> Vec<Filter<'n>> {
    let root = resources.root();
    let mut filters: Vec<Filter<'n>> = resources
        .filters
        .iter()
        .map(|resource| Filter { resource, reaches: Reach::of(resource, "workloadSelector.labels", root) })
        .collect();
    let priority =
        |filter: &Filter<'_>| filter.resource.at("spec.priority").and_then(Node::integer).unwrap_or(0);
    filters.sort_by_key(|filter| (priority(filter), namespace(filter.resource) != root));
    filters
}

/// The contexts of the proxies of these workloads.
fn contexts<'f>(
    reach: &Reach,
    filters: &[Filter<'f>],
    resources: &Resources<'_>,
    linter: &mut Linter<'_>,
) -> Vec<&'f str> {
    if ingress::is_gateway(reach, resources) {
        return vec![GATEWAY];
    }
    let covering = || filters.iter().filter(|filter| filter.covers(reach));
    let mut named: Vec<&str> = covering()
        .flat_map(Filter::patches)
        .map(context)
        .filter(|named| [INBOUND, GATEWAY].contains(named))
        .collect();
    named.sort_unstable();
    named.dedup();
    if named == [GATEWAY]
        && let Some(filter) = covering().next()
    {
        linter.within(filter.resource, |linter| {
            linter.report(
                &CONTEXT,
                filter.resource.place,
                "whether these workloads are a gateway is not known here",
            );
        });
    }
    if named.is_empty() { vec![INBOUND] } else { named }
}

/// Judges what the proxies of one policy's workloads come to.
fn guarded(custom: &Node, reach: &Reach, wanted: &str, filters: &[Filter<'_>], linter: &mut Linter<'_>) {
    let (covering, partial): (Vec<_>, Vec<_>) =
        filters.iter().filter(|filter| filter.meets(reach)).partition(|filter| filter.covers(reach));
    let around = covering.first().map_or(custom, |filter| filter.resource);
    let place = around.place;
    let mut merged =
        Merged { check: given(CHECK, place), connection: given(CONNECTION, place), strips: false };
    let fits = |patch: &&Node| [wanted, ANY].contains(&context(patch));
    for filter in &covering {
        linter.within(filter.resource, |linter| {
            filter.patches().iter().filter(fits).for_each(|patch| lay(patch, &mut merged, linter));
        });
    }
    linter.within(around, |linter| {
        outcome(&merged, place, linter);
        // Some of the workloads have these too.
        for filter in partial {
            let mut merged = merged.clone();
            linter.within(filter.resource, |linter| {
                filter.patches().iter().filter(fits).for_each(|patch| lay(patch, &mut merged, linter));
                outcome(&merged, place, linter);
            });
        }
    });
}

const ANY: &str = "ANY";
const INBOUND: &str = "SIDECAR_INBOUND";
const GATEWAY: &str = "GATEWAY";
/// `WAYPOINT` is in the API since 1.29; no pilot up to 1.31 applies such a patch. `SIDECAR_OUTBOUND` is the caller's side.
const TAKEN: [&str; 3] = [ANY, INBOUND, GATEWAY];

fn context(patch: &Node) -> &str {
    patch.at("match.context").and_then(Node::text).unwrap_or(ANY)
}

fn lay(patch: &Node, merged: &mut Merged, linter: &mut Linter<'_>) {
    let value = patch.at("patch.value");
    let typed = value.and_then(|value| value.get("typed_config")).and_then(Node::typed);
    let operation = patch.at("patch.operation").and_then(Node::text).unwrap_or_default();
    let (network, http) = names(patch);
    let here = network == Some(HTTP_MANAGER) && is_wide(patch);
    let own = http == Some(EXT_AUTHZ);
    match (patch.text_of("applyTo"), operation, typed) {
        ("HTTP_FILTER", "MERGE", Some((check::FILTER, config))) if here && own => {
            elsewhere(config, &["grpc_service", "http_service"], linter);
            merged.check.merge(&fields_of(config));
        }
        ("HTTP_FILTER", "INSERT_BEFORE", Some((order::MUTATION, config))) if here && own => {
            for (name, place) in mutation::of_filter(config, linter) {
                linter.report(&order::MUTATION_BEFORE, place, format!("{name} is written before ext_authz"));
            }
            merged.strips |= value.is_some_and(order::strips_ours);
        }
        ("NETWORK_FILTER", "MERGE", Some((CONNECTION_MANAGER, config))) if here && http.is_none() => {
            let known = |name: &str| {
                let mut keys =
                    rules::all().filter_map(|rule| rule.key).filter(|key| key.part == Part::Connection);
                let spelt = crate::tree::camel(name);
                keys.any(|key| crate::tree::camel(key.path.split('.').next().unwrap_or_default()) == spelt)
            };
            let others =
                config.entries().iter().filter(|entry| !entry.key.starts_with('@') && !known(&entry.key));
            for other in others {
                let name = shortened(&other.key);
                linter.report(
                    &PATCH,
                    other.place,
                    format!("what `{name}` of the connection manager becomes is not judged"),
                );
            }
            merged.connection.merge(&fields_of(config));
        }
        (kind, ..) => {
            let message = format!("`{}` of `{}` is not judged", shortened(operation), shortened(kind));
            linter.report(&PATCH, patch.place, message);
        }
    }
}

/// The keys of a message that Protobuf would merge: `SANITIZE` is 0, and a 0 replaces nothing.
fn fields_of(config: &Node) -> Node {
    let zero = |entry: &Entry| {
        crate::tree::camel(&entry.key) == "forwardClientCertDetails"
            && entry.value.is_member(&[("SANITIZE", 0)])
    };
    let entries = config.entries().iter().filter(|entry| !entry.key.starts_with('@') && !zero(entry));
    Node { place: config.place, value: Value::Map(entries.cloned().collect()) }
}

fn elsewhere(config: &Node, keys: &[&str], linter: &mut Linter<'_>) {
    for value in keys.iter().filter_map(|key| config.get(key)) {
        linter.report(&PATCH, value.place, "the patch changes who is asked, or how");
    }
}

/// The network filter and the HTTP filter that a patch names.
fn names(patch: &Node) -> (Option<&str>, Option<&str>) {
    let filter = patch.at("match.listener.filterChain.filter");
    let text = |path| filter.and_then(|filter| filter.at(path)).and_then(Node::text);
    (text("name"), text("subFilter.name"))
}

/// Whether a patch is for every listener and filter chain of its context.
fn is_wide(patch: &Node) -> bool {
    let only = |path: &str, keys: &[&str]| {
        let entries = patch.at(path).map(Node::entries).unwrap_or_default();
        entries.iter().all(|entry| keys.contains(&entry.key.as_str()))
    };
    only("match", &["context", "listener"])
        && only("match.listener", &["filterChain"])
        && only("match.listener.filterChain", &["filter"])
}

fn outcome(merged: &Merged, place: Place, linter: &mut Linter<'_>) {
    fields::judge(&fields::CHECK, &merged.check, linter);
    linter.keys(Part::Check, &merged.check);
    mutation::judge(&merged.check, linter);
    check::hidden(&merged.check, linter);
    if let Some(settings) = merged.check.get("with_request_body") {
        body::judge(settings, linter);
    }
    fields::judge(&fields::CONNECTION, &merged.connection, linter);
    linter.keys(Part::Connection, &merged.connection);
    if !merged.strips {
        linter.report(
            &order::STRIP_MISSING,
            place,
            "nothing before ext_authz removes every `x-exequatur-…` header",
        );
    }
}

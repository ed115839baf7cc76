//! The way to Exequatur: whoever answers in its place permits.

use std::net::IpAddr;

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, elsewhere};
use crate::rules::route::UPSTREAM_FROM_HEADER;
use crate::rules::{fields, order};
use crate::tree::{Node, Place, shortened};

static MISSING: Rule = Rule::new(
    Severity::Unknown,
    "check-cluster-unknown",
    &["B-14"],
    "who answers the Check is not in this file",
    "define the cluster in `static_resources.clusters`",
)
.allowable();
static HTTP2: Rule = Rule::new(
    Severity::Weak,
    "check-http2",
    &["N01"],
    "gRPC needs HTTP/2: without it no Check is ever answered, and everything is refused",
    "explicit_http_config: { http2_protocol_options: { … } }",
)
.key(Key::must(Part::Protocol, "explicit_http_config.http2_protocol_options", elsewhere, &[]));
static KEEPALIVE: Rule = Rule::new(
    Severity::Weak,
    "check-keepalive",
    &["B-14"],
    "a connection that died silently is used until the kernel notices: requests are refused for minutes",
    "connection_keepalive: { interval: 30s, timeout: 5s }",
)
.key(Key::must(
    Part::Protocol,
    "explicit_http_config.http2_protocol_options.connection_keepalive",
    |node, _| {
        let within = |key: &str, most: u64| {
            node.get(key)
                .and_then(Node::duration)
                .is_some_and(|time| !time.is_zero() && time.as_secs() <= most)
        };
        within("interval", 300) && within("timeout", 60)
    },
    &["{}", "{ interval: 3600s, timeout: 5s }", "{ interval: 30s, timeout: 600s }"],
));
static PLAINTEXT: Rule = Rule::new(
    Severity::Hole,
    "check-plaintext",
    &["B-14"],
    "whoever is on the way reads tokens and proofs, and can answer yes",
    "reach Exequatur by loopback, by a Unix socket (`pipe`), or by TLS with a `trusted_ca` and its name checked",
)
.allowable();
static UNVERIFIED: Rule = Rule::new(
    Severity::Hole,
    "check-unverified",
    &["B-14"],
    "any server with any certificate can answer yes",
    "validation_context with `trusted_ca`, and `match_typed_subject_alt_names` or `auto_sni_san_validation`",
)
.allowable();
static ELSEWHERE: Rule = Rule::new(
    Severity::Unknown,
    "check-endpoints",
    &["B-14"],
    "where the Check goes is decided while Envoy runs",
    "type STATIC, STRICT_DNS or LOGICAL_DNS, with TLS; or allow it",
)
.allowable();

static TRANSPORT: Rule = Rule::new(
    Severity::Unknown,
    "check-transport",
    &["B-14"],
    "what this transport does with the Check is not known here: it may go by way of a proxy, or be copied",
    "no `transport_socket`, `raw_buffer` or TLS; or allow it",
)
.allowable();

pub(crate) static RULES: &[&Rule] =
    &[&MISSING, &HTTP2, &KEEPALIVE, &PLAINTEXT, &UNVERIFIED, &ELSEWHERE, &TRANSPORT];

/// Kinds of clusters that have no endpoints of their own.
const BY_REQUEST: [&str; 2] =
    ["envoy.extensions.clusters.dynamic_forward_proxy.", "envoy.extensions.clusters.reverse_connection."];
const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
pub(crate) const TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const RAW: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";

/// Judges the cluster that a Check is sent to. `from` names it.
pub(crate) fn judge(from: &Node, clusters: &[Node], linter: &mut Linter<'_>) {
    let name = from.text().unwrap_or_default();
    let Some(cluster) = clusters.iter().find(|cluster| cluster.text_of("name") == name) else {
        linter.report(&MISSING, from.place, format!("cluster `{}` is not in this file", from.shown()));
        return;
    };
    linter.within(cluster, |linter| {
        linter.keys(Part::Cluster, cluster);
        fields::judge(&fields::CLUSTER, cluster, linter);
        protocol(cluster, linter);
        endpoints(cluster, linter);
    });
}

/// Judges the way to any upstream, Exequatur included: who chooses the endpoint, and filters, which come after
/// the decision.
pub(crate) fn judge_upstream(cluster: &Node, linter: &mut Linter<'_>) {
    chosen(cluster, linter);
    if let Some(options) = protocol_options(cluster) {
        order::upstream(options.list("http_filters"), linter);
    }
}

fn chosen(cluster: &Node, linter: &mut Linter<'_>) {
    let original = cluster.get("original_dst_lb_config");
    let asks = original.and_then(|original| original.get("use_http_header"));
    let asks = asks.filter(|asks| asks.truth() != Some(false));
    let named = original.and_then(|original| original.get("http_header_name"));
    if let Some(header) = named.or(asks) {
        linter.report(&UPSTREAM_FROM_HEADER, header.place, "the endpoint is taken from a header");
    }
    let mut open = Vec::from_iter(cluster.get("load_balancing_policy"));
    while let Some(node) = open.pop() {
        for header in node.list("override_host_sources").iter().filter_map(|source| source.get("header")) {
            let message = format!("the endpoint is taken from header `{}`", header.shown());
            linter.report(&UPSTREAM_FROM_HEADER, header.place, message);
        }
        open.extend(node.items());
        open.extend(node.entries().iter().map(|entry| &entry.value));
    }
    let kind = cluster.at("cluster_type.typed_config").and_then(Node::typed);
    if let Some((kind, config)) = kind.filter(|(kind, _)| BY_REQUEST.iter().any(|by| kind.starts_with(by))) {
        let message = format!("a `{}` finds its endpoint by the request", shortened(kind));
        linter.unknown(&UPSTREAM_FROM_HEADER, config.place, message);
    }
}

fn protocol_options(cluster: &Node) -> Option<&Node> {
    let options = cluster.get("typed_extension_protocol_options");
    let mut options = options.into_iter().flat_map(Node::entries).filter_map(|entry| entry.value.typed());
    options.find(|(kind, _)| *kind == OPTIONS).map(|(_, options)| options)
}

fn protocol(cluster: &Node, linter: &mut Linter<'_>) {
    linter.keys(Part::Protocol, protocol_options(cluster).unwrap_or(cluster));
}

fn endpoints(cluster: &Node, linter: &mut Linter<'_>) {
    let fixed = cluster
        .get("type")
        .is_none_or(|kind| kind.is_member(&[("STATIC", 0), ("STRICT_DNS", 1), ("LOGICAL_DNS", 2)]));
    let fixed = fixed && cluster.get("cluster_type").is_none();
    if !fixed {
        linter.report(&ELSEWHERE, cluster.place, "the endpoints of Exequatur's cluster come from elsewhere");
    }
    let addresses = cluster.get("load_assignment").map(addresses).unwrap_or_default();
    if fixed && addresses.is_empty() {
        linter.report(&ELSEWHERE, cluster.place, "Exequatur's cluster has no endpoint in this file");
    }
    let remote = addresses.iter().find(|address| !is_local(address));
    let local = fixed && !addresses.is_empty() && remote.is_none();
    let place = remote.map_or(cluster.place, |address| address.place);
    let matches = cluster.list("transport_socket_matches").iter().map(|each| each.get("transport_socket"));
    for socket in matches.chain([cluster.get("transport_socket")]) {
        transport(socket, local, place, linter);
    }
}

/// Judges one way of speaking to the endpoints; `place` is that of an endpoint that is not on this machine.
fn transport(socket: Option<&Node>, local: bool, place: Place, linter: &mut Linter<'_>) {
    let typed = socket.map(|socket| (socket, socket.get("typed_config").and_then(Node::typed)));
    match typed {
        Some((_, Some((TLS, context)))) if !local => verified(context, linter),
        Some((_, Some((TLS | RAW, _)))) | None if local => {}
        Some((_, Some((RAW, _)))) | None => {
            linter.report(&PLAINTEXT, place, "Exequatur is reached over a network without TLS");
        }
        Some((socket, typed)) => {
            let kind = shortened(typed.map_or("without a `typed_config`", |(kind, _)| kind));
            linter.report(&TRANSPORT, socket.place, format!("Exequatur is reached by way of `{kind}`"));
        }
    }
}

/// Every address in an assignment, wherever it stands: of an endpoint, a further one, one given by name, or
/// that of a health check.
pub(crate) fn addresses(load: &Node) -> Vec<&Node> {
    let mut found = Vec::new();
    let mut open = vec![load];
    while let Some(node) = open.pop() {
        open.extend(node.items());
        for entry in node.entries() {
            if entry.key == "address" {
                found.push(&entry.value);
            } else {
                open.push(&entry.value);
            }
        }
    }
    found
}

fn verified(context: &Node, linter: &mut Linter<'_>) {
    let validation = ["validation_context", "combined_validation_context.default_validation_context"]
        .iter()
        .find_map(|path| context.get("common_tls_context")?.at(path));
    let Some(validation) = validation else {
        linter.report(&UNVERIFIED, context.place, "the certificate of Exequatur's server is not verified");
        return;
    };
    let trusted = ["trusted_ca", "ca_certificate_provider_instance", "system_root_certs"]
        .iter()
        .any(|key| validation.get(key).is_some());
    let pinned = ["verify_certificate_spki", "verify_certificate_hash"]
        .iter()
        .any(|key| !validation.list(key).is_empty());
    let accepts = validation
        .get("trust_chain_verification")
        .is_some_and(|trust| !trust.is_member(&[("VERIFY_TRUST_CHAIN", 0)]));
    if !pinned && (!trusted || accepts) {
        linter.report(&UNVERIFIED, validation.place, "the certificate of Exequatur's server is not verified");
    }
    let named = !validation.list("match_typed_subject_alt_names").is_empty()
        || context.says("auto_sni_san_validation")
        || pinned;
    if !named {
        linter.report(
            &UNVERIFIED,
            validation.place,
            "the name in the certificate of Exequatur's server is not checked",
        );
    }
}

/// Whether an address stays on this machine.
pub(crate) fn is_local(address: &Node) -> bool {
    if address.get("pipe").is_some() || address.get("envoy_internal_address").is_some() {
        return true;
    }
    let host = address.at("socket_address.address").and_then(Node::text).unwrap_or_default();
    host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

pub(crate) fn shown_address(address: &Node) -> String {
    let host = address.at("socket_address.address");
    host.map_or_else(
        || "an address that is not a literal one".to_owned(),
        |host| format!("`{}`", host.shown()),
    )
}

//! The mesh's TLS: towards the guarded workloads, and between their proxies and Exequatur.

use super::reach::{Reach, is};
use super::{Resources, policy, providers, waypoint};
use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity};
use crate::rules::resources::{name, namespace};
use crate::tree::{Node, shortened};

pub(super) static PERMISSIVE: Rule = Rule::new(
    Severity::Hole,
    "istio-permissive",
    &["S06"],
    "tokens and proofs cross the network in the clear, and a caller need not have an identity: Istio's default is PERMISSIVE",
    "a PeerAuthentication of the namespace with mtls: { mode: STRICT }",
)
.allowable()
.key(Key::must(
    Part::Peers,
    "mtls.mode",
    |node, _| node.is_member(&[("STRICT", 3)]),
    &["PERMISSIVE", "DISABLE", "UNSET"],
));
pub(super) static DESTINATION: Rule = Rule::new(
    Severity::Hole,
    "istio-check-plaintext",
    &["B-14"],
    "whoever is on the way reads tokens and proofs, and can answer yes",
    "a DestinationRule for the provider's service with tls: { mode: ISTIO_MUTUAL }, or SIMPLE or MUTUAL with its names checked",
)
.allowable()
.key(Key::must(
    Part::Destination,
    "trafficPolicy.tls.mode",
    |node, _| node.is_member(&[("SIMPLE", 1), ("MUTUAL", 2), ("ISTIO_MUTUAL", 3)]),
    &["DISABLE"],
));
pub(super) static UNVERIFIED: Rule = Rule::new(
    Severity::Hole,
    "istio-check-unverified",
    &["B-14"],
    "any server with any certificate can answer yes",
    "`subjectAltNames`, and `caCertificates` or `credentialName`; no `insecureSkipVerify`",
)
.allowable();
pub(super) static ASKERS: Rule = Rule::new(
    Severity::Weak,
    "istio-askers",
    &["B-14"],
    "every workload of the mesh can ask Checks: try out tokens, spend proofs and limits of others",
    "an ALLOW policy in Exequatur's namespace whose every rule names identities in `from.source.principals`",
)
.allowable();

/// Judges both ways.
pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    for peers in &resources.peers {
        let Some(spec) = peers.get("spec") else { continue };
        linter.within(peers, |linter| {
            linter.keys(Part::Peers, spec);
            for port in spec.get("portLevelMtls").map(Node::entries).unwrap_or_default() {
                if !port.value.get("mode").is_some_and(|mode| mode.is_member(&[("STRICT", 3)])) {
                    linter.report(
                        &PERMISSIVE,
                        port.place,
                        format!("port {} is not STRICT", shortened(&port.key)),
                    );
                }
            }
        });
    }
    for custom in resources.custom() {
        guarded(custom, resources, linter);
    }
    for (provider, grpc) in resources.meshes.iter().flat_map(|mesh| providers(mesh)) {
        let name = provider.text_of("name");
        let mut clients: Vec<&str> =
            resources.custom().filter(|custom| policy::provider(custom) == name).map(namespace).collect();
        clients.sort_unstable();
        clients.dedup();
        for client in &clients {
            towards(grpc, client, resources, linter);
        }
        if !clients.is_empty() {
            askers(grpc, resources, linter);
        }
    }
}

/// Each workload that a policy is for has to be covered: by a `PeerAuthentication` for it, its namespace, or the mesh.
fn guarded(custom: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let here = namespace(custom);
    let root = resources.root();
    let mut workloads = Reach::of(custom, policy::SELECTOR, root);
    if workloads.is_empty() || policy::is_of_waypoint(custom, resources) {
        // What is behind the waypoint; by what is not here, the namespace.
        let behind = resources.services.iter().filter(|service| waypoint::way(service, resources).is_some());
        let behind = behind.map(|one| Reach::within(namespace(one), one.at("spec.selector")));
        workloads = behind.filter(|reach| reach.namespace() == Some(here)).collect();
        if workloads.is_empty() {
            workloads.push(Reach::within(here, None));
        }
    }
    let covers = |peers: &Node, workloads: &Reach| {
        let own = Reach::within(namespace(peers), peers.at("spec.selector.matchLabels"));
        let of_mesh = namespace(peers) == root && own == Reach::within(root, None);
        (if of_mesh { own.everywhere() } else { own }).covers(workloads)
    };
    if workloads.iter().all(|one| resources.peers.iter().any(|peers| covers(peers, one))) {
        return;
    }
    linter.within(custom, |linter| {
        let message = format!(
            "no `PeerAuthentication` here covers these workloads of the namespace `{}`",
            shortened(here)
        );
        linter.report(&PERMISSIVE, custom.place, message);
    });
}

/// The way from a proxy of one namespace.
fn towards(grpc: &Node, client: &str, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let service = Service::of(grpc);
    let rules = service.rules(client, resources);
    if rules.is_empty() {
        let message =
            format!("no `DestinationRule` for `{}` reaches `{}`", shortened(service.host), shortened(client));
        linter.report(&DESTINATION, grpc.nearest("service").place, message);
    }
    for rule in rules {
        let Some(spec) = rule.get("spec") else { continue };
        linter.within(rule, |linter| destination(spec, linter));
    }
}

/// The Service that a provider names.
struct Service<'n> {
    host: &'n str,
    /// Empty if the host does not say.
    namespace: &'n str,
}

impl<'n> Service<'n> {
    fn of(grpc: &'n Node) -> Self {
        let service = grpc.text_of("service");
        let (said, host) = service.split_once('/').unwrap_or(("", service));
        let within = host.ends_with(".svc.cluster.local").then(|| host.split('.').nth(1)).flatten();
        Self { host, namespace: within.unwrap_or(said) }
    }

    /// The rules that Istio takes, for a proxy in that namespace: the most specific of its own; else those that the Service's
    /// namespace exports to it; else those of the root (`destinationRule` in `pilot/pkg/model/push_context.go`).
    fn rules(&self, client: &str, resources: &Resources<'n>) -> Vec<&'n Node> {
        let root = resources.root();
        let own = |rule: &Node| namespace(rule) == client && reaches(rule, client, resources);
        let exported = |rule: &Node, from: &str| {
            (from.is_empty() || namespace(rule) == from) && reaches(rule, client, resources)
        };
        let first = if client == root { Vec::new() } else { self.narrowest(resources, own) };
        let then = |found: Vec<&'n Node>, other: &dyn Fn(&Node) -> bool| {
            if found.is_empty() { self.narrowest(resources, other) } else { found }
        };
        let found = then(first, &|rule| exported(rule, self.namespace));
        then(found, &|rule| exported(rule, root) || (client == root && own(rule)))
    }

    /// Those of the rules whose host says most.
    fn narrowest(&self, resources: &Resources<'n>, takes: impl Fn(&Node) -> bool) -> Vec<&'n Node> {
        let fits = |rule: &Node| {
            Some((self.fit(rule)?, takes(rule))).filter(|(_, takes)| *takes).map(|(fit, _)| fit)
        };
        let all = resources.destinations.iter().copied();
        let found: Vec<(usize, &Node)> = all.filter_map(|rule| Some((fits(rule)?, rule))).collect();
        let most = found.iter().map(|(fit, _)| *fit).max();
        found.into_iter().filter(|(fit, _)| Some(*fit) == most).map(|(_, rule)| rule).collect()
    }

    /// How much of the host a rule says; `None` if it is for another one.
    fn fit(&self, rule: &Node) -> Option<usize> {
        let said = rule.at("spec.host").and_then(Node::text)?;
        if let Some(end) = said.strip_prefix('*') {
            return self.host.ends_with(end).then_some(end.len());
        }
        let whole = if said.contains('.') {
            said.to_owned()
        } else {
            format!("{said}.{}.svc.cluster.local", namespace(rule))
        };
        // A whole name is before any other.
        (whole == self.host).then_some(usize::MAX)
    }
}

/// Whom a rule is for: `None` is everybody.
fn exports(rule: &Node, resources: &Resources<'_>) -> Option<Vec<String>> {
    let own = rule.at("spec.exportTo").filter(|list| !list.items().is_empty());
    let default = || resources.meshes.iter().find_map(|mesh| mesh.get("default_destination_rule_export_to"));
    let list = own.or_else(default)?;
    Some(list.items().iter().filter_map(Node::text).map(str::to_owned).collect())
}

fn reaches(rule: &Node, client: &str, resources: &Resources<'_>) -> bool {
    exports(rule, resources).is_none_or(|to| {
        to.iter().any(|one| one == "*" || one == client || (one == "." && namespace(rule) == client))
    })
}

/// Who may ask, as far as Exequatur's own pods say.
fn askers(grpc: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let service = Service::of(grpc);
    if !service.host.ends_with(".svc.cluster.local") {
        return;
    }
    let place = grpc.nearest("service").place;
    let here = resources
        .services
        .iter()
        .find(|one| is(one, service.namespace, service.host.split('.').next().unwrap_or_default()));
    let pods = Reach::within(service.namespace, here.and_then(|one| one.at("spec.selector")));
    let port = grpc.get("port").and_then(Node::integer);
    let mut closed = false;
    for rule in resources.policies.iter().filter(|rule| policy::allows(rule)) {
        let reaches = Reach::of(rule, policy::SELECTOR, resources.root());
        if !reaches.iter().any(|one| one.meets(&pods)) {
            continue;
        }
        // By its labels alone it is not known whose pods it is for.
        closed |= reaches.iter().any(|one| one.covers(&pods));
        if !policy::names_callers(rule, port) {
            linter.within(rule, |linter| {
                let message = format!("`{}` does not name who may ask", name(rule));
                linter.report(&ASKERS, rule.place, message);
            });
        }
    }
    if !closed {
        let message = format!("no policy in `{}` says who may ask", shortened(service.namespace));
        linter.report(&ASKERS, place, message);
    }
}

fn destination(spec: &Node, linter: &mut Linter<'_>) {
    linter.keys(Part::Destination, spec);
    for key in ["subsets", "workloadSelector"] {
        if let Some(other) = spec.get(key) {
            linter.unknown(&DESTINATION, other.place, format!("whom `{key}` leaves out is not judged"));
        }
    }
    let ports = spec.at("trafficPolicy.portLevelSettings").map(Node::items).unwrap_or_default();
    for port in ports.iter().filter(|port| port.get("tls").is_some()) {
        linter.unknown(&DESTINATION, port.place, "TLS of single ports is not judged");
    }
    let Some(tls) = spec.at("trafficPolicy.tls") else { return };
    let own = tls.get("mode").is_some_and(|mode| mode.is_member(&[("SIMPLE", 1), ("MUTUAL", 2)]));
    let verified = !tls.list("subjectAltNames").is_empty()
        && (tls.get("caCertificates").is_some() || tls.get("credentialName").is_some());
    if (own && !verified) || tls.says("insecureSkipVerify") {
        linter.report(&UNVERIFIED, tls.place, "whose certificate answers is not checked");
    }
}

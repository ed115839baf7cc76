//! The mesh's TLS: towards the guarded workloads, and between their proxies and Exequatur.

use super::{Resources, policy, providers};
use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity};
use crate::rules::resources::namespace;
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
    for (_, grpc) in resources.meshes.iter().flat_map(|mesh| providers(mesh)) {
        towards(grpc, resources, linter);
    }
}

fn guarded(custom: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let here = namespace(custom);
    // The namespace of the mesh's own configuration counts for all.
    let covers = |peers: &&Node| [here, "istio-system"].contains(&namespace(peers));
    if !resources.peers.iter().any(covers) {
        linter.within(custom, |linter| {
            let message = format!("no `PeerAuthentication` for the namespace `{}` is here", shortened(here));
            linter.report(&PERMISSIVE, custom.place, message);
        });
    }
}

fn towards(grpc: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let service = grpc.text_of("service");
    let host = service.rsplit('/').next().unwrap_or(service);
    let ours = |rule: &&&Node| rule.at("spec.host").and_then(Node::text) == Some(host);
    let place = grpc.nearest("service").place;
    let mut rules = resources.destinations.iter().filter(|rule| ours(rule)).peekable();
    if rules.peek().is_none() {
        linter.report(&DESTINATION, place, format!("no `DestinationRule` for `{}` is here", shortened(host)));
    }
    for rule in rules {
        let Some(spec) = rule.get("spec") else { continue };
        linter.within(rule, |linter| destination(spec, linter));
    }
    let place_of = host.split('.').nth(1).unwrap_or_default();
    if host.ends_with(".svc.cluster.local") {
        let named = |rule: &&&Node| namespace(rule) == place_of && policy::names_callers(rule);
        if !resources.policies.iter().any(|rule| named(&rule)) {
            let message = format!("no policy in `{}` says who may ask", shortened(place_of));
            linter.report(&ASKERS, place, message);
        }
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

//! Ambient mode: a waypoint asks about what goes by it, and `ztunnel` has to turn away what does not.
//!
//! `istio.io/use-waypoint` of a Service, or of its Namespace, says what goes by which waypoint; `ztunnel` holds requests to ALLOW
//! policies without `targetRefs`, and takes whoever one of them lets in.

use super::reach::{Reach, is, labelled, targets};
use super::{Resources, policy};
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::resources::{name, namespace};
use crate::tree::{Node, shortened};

pub(super) static NOT_AMBIENT: Rule = Rule::new(
    Severity::Hole,
    "istio-ambient-selector",
    &["B-15"],
    "a waypoint follows `targetRefs` only, and ztunnel leaves CUSTOM out: nothing asks, and everything passes",
    "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: … } ]",
);
pub(super) static PAST: Rule = Rule::new(
    Severity::Hole,
    "istio-past-waypoint",
    &["B-15"],
    "who reaches the workload by its own address does not come by the waypoint, and is not asked about: ALLOW policies add up",
    "an ALLOW policy for the workload whose every rule names the waypoint's identity in `from.source.principals`, and no other for it",
)
.allowable();
pub(super) static UNUSED: Rule = Rule::new(
    Severity::Unknown,
    "istio-waypoint-unused",
    &["B-15"],
    "whether anything goes by the waypoint is not in these files; what does not is not asked about",
    "give the Service, its Namespace with `istio.io/dataplane-mode: ambient` and `istio.io/use-waypoint`, and the waypoint's Gateway",
)
.allowable();
pub(super) static FOR: Rule = Rule::new(
    Severity::Hole,
    "istio-waypoint-for",
    &["B-15"],
    "requests to a Service do not go by this waypoint, so that nobody asks about them",
    "istio.io/waypoint-for: service (or all)",
)
.allowable();

/// Judges where a policy is asked about by a waypoint.
pub(super) fn judge(policy: &Node, spec: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let here = namespace(policy);
    if targets(spec).next().is_none() {
        let ambient = resources.namespaces.iter().any(|one| name(one) == here && is_ambient(one));
        if ambient || resources.waypoints.iter().any(|gateway| namespace(gateway) == here) {
            let message = "the policy has no `targetRefs`, and this namespace is ambient";
            linter.report(&NOT_AMBIENT, policy.place, message);
        }
        return;
    }
    for target in targets(spec) {
        let wanted = target.text_of("name");
        match target.text_of("kind") {
            "Gateway" => {
                let Some(waypoint) = resources.waypoint(here, wanted) else { continue };
                let mut behind =
                    resources.services.iter().filter(|one| way(one, resources) == Some(waypoint)).peekable();
                if behind.peek().is_none() {
                    let message = format!("no `Service` here uses the waypoint `{}`", shortened(wanted));
                    linter.report(&UNUSED, target.place, message);
                }
                for service in behind {
                    guarded(policy, service, waypoint, resources, linter);
                }
            }
            "Service" => {
                let service = resources.services.iter().find(|one| is(one, here, wanted));
                match service.and_then(|service| Some((service, way(service, resources)?))) {
                    Some((service, waypoint)) => guarded(policy, service, waypoint, resources, linter),
                    None => {
                        let message =
                            format!("no waypoint here is used by a `Service` `{}`", shortened(wanted));
                        linter.report(&UNUSED, target.place, message);
                    }
                }
            }
            other => {
                let message = format!("what goes to a `{}` is not judged", shortened(other));
                linter.report(&UNUSED, target.place, message);
            }
        }
    }
}

/// Judges a waypoint.
pub(super) fn judge_gateway(waypoint: &Node, linter: &mut Linter<'_>) {
    let Some(of) = labelled(waypoint, "metadata.labels", "istio.io/waypoint-for") else { return };
    if !matches!(of.text(), Some("service" | "all")) {
        linter.report(&FOR, of.place, format!("`istio.io/waypoint-for` is `{}`", of.shown()));
    }
}

/// The waypoint that a Service's requests go by, if it is here.
pub(super) fn way<'n>(service: &Node, resources: &Resources<'n>) -> Option<&'n Node> {
    let around = resources.namespaces.iter().copied().find(|one| name(one) == namespace(service));
    let says = |resource: &&Node| labelled(resource, "metadata.labels", "istio.io/use-waypoint").is_some();
    let said = Some(service).filter(says).or_else(|| around.filter(says))?;
    named(said, namespace(service), resources)
}

/// The waypoint that the labels of a Service or of its Namespace name.
fn named<'n>(said: &Node, here: &str, resources: &Resources<'n>) -> Option<&'n Node> {
    let wanted = labelled(said, "metadata.labels", "istio.io/use-waypoint")?.text()?;
    let at = labelled(said, "metadata.labels", "istio.io/use-waypoint-namespace").and_then(Node::text);
    resources.waypoint(at.unwrap_or(here), wanted)
}

/// Judges Services that leave the waypoint of their namespace by a label of their own: for none, or for one where nobody asks.
pub(super) fn judge_services(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    for service in &resources.services {
        let Some(label) = labelled(service, "metadata.labels", "istio.io/use-waypoint") else { continue };
        let asked = way(service, resources).is_some_and(|waypoint| {
            asks(waypoint, "Gateway", resources) || asks(service, "Service", resources)
        });
        if !asked && is_guarded(namespace(service), resources) {
            linter.within(service, |linter| {
                let message = format!("no policy asks about what goes to `{}`", shortened(&name(service)));
                linter.report(&UNUSED, label.place, message);
            });
        }
    }
}

/// Whether a policy that asks is attached to it.
fn asks(to: &Node, kind: &str, resources: &Resources<'_>) -> bool {
    let of = |target: &Node| target.text_of("kind") == kind && target.text_of("name") == name(to);
    resources.custom().any(|custom| {
        namespace(custom) == namespace(to) && custom.get("spec").is_some_and(|spec| targets(spec).any(of))
    })
}

/// Whether somebody asks at a waypoint of that namespace, or at the one that it names.
fn is_guarded(at: &str, resources: &Resources<'_>) -> bool {
    resources.custom().any(|custom| namespace(custom) == at && policy::is_of_waypoint(custom, resources))
        || resources.namespaces.iter().any(|around| {
            name(around) == at
                && named(around, at, resources).is_some_and(|waypoint| asks(waypoint, "Gateway", resources))
        })
}

fn is_ambient(resource: &Node) -> bool {
    labelled(resource, "metadata.labels", "istio.io/dataplane-mode").and_then(Node::text) == Some("ambient")
}

/// What is behind a Service is reached by the waypoint, and by nobody else.
fn guarded(
    policy: &Node,
    service: &Node,
    waypoint: &Node,
    resources: &Resources<'_>,
    linter: &mut Linter<'_>,
) {
    let reach = Reach::within(namespace(service), service.at("spec.selector"));
    let around = resources.namespaces.iter().find(|one| name(one) == namespace(service));
    let mut pods = resources.pods.iter().filter(|pods| reach.covers(&pods.reach())).peekable();
    let alone = pods.peek().is_some() && pods.all(|pods| is_ambient(pods.template));
    if !alone && !around.is_some_and(|around| is_ambient(around)) {
        let message = format!("nothing here says that what is behind `{}` is in ambient mode", name(service));
        linter.report(&UNUSED, policy.place, message);
    }
    let account =
        labelled(waypoint, "metadata.annotations", "gateway.istio.io/service-account").and_then(Node::text);
    let waypoints = (namespace(waypoint), account.map_or_else(|| name(waypoint), str::to_owned));
    let root = resources.root();
    let allowing = |other: &&&Node| {
        policy::allows(other) && other.get("spec").is_none_or(|spec| targets(spec).next().is_none())
    };
    let mut closed = false;
    for other in resources.policies.iter().filter(allowing) {
        let reaches = Reach::of(other, policy::SELECTOR, root);
        if !reaches.iter().any(|one| one.meets(&reach)) {
            continue;
        }
        if !policy::names_only(other, waypoints.0, &waypoints.1) {
            linter.within(other, |linter| {
                let message =
                    format!("`{}` lets others in than the waypoint `{}`", name(other), name(waypoint));
                linter.report(&PAST, other.place, message);
            });
        }
        closed |= reaches.iter().any(|one| one.covers(&reach));
    }
    if !closed {
        let message =
            format!("no policy here turns away from `{}` who does not come by the waypoint", name(service));
        linter.report(&PAST, policy.place, message);
    }
}

//! What a policy is for: which Gateway, listener or route.
//!
//! A policy reaches its own namespace (`PolicyTargetReferences` in `api/v1alpha1/policy_helpers.go`), by name or by labels.

use super::Resources;
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::resources::{name, namespace};
use crate::tree::{Node, shortened};

pub(super) static UNSEEN: Rule = Rule::new(
    Severity::Unknown,
    "eg-target-unseen",
    &["B-15"],
    "what the policy is for is not in these files: whether it is there, and who comes in by it, is not known",
    "give the Gateway and its routes, in the policy's namespace, to the same run of the command; name them in `targetRefs`",
)
.allowable();
pub(super) static ASTRAY: Rule = Rule::new(
    Severity::Unknown,
    "eg-astray",
    &["N01"],
    "this policy is for no Gateway that Exequatur is asked at: what it says is missing there",
    "the Gateway of the SecurityPolicy with `extAuth` in its `targetRefs`, in the same namespace; or leave it out",
)
.allowable();

/// One resource, or a part of it, that a policy names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'n> {
    pub(super) kind: &'n str,
    pub(super) name: String,
    /// A listener of a Gateway, a rule of a route, a port of a Service.
    pub(super) section: Option<&'n str>,
}

/// Those that a policy names, and those that its labels select among what is here.
pub(super) fn of<'n>(policy: &'n Node, resources: &Resources<'n>) -> Vec<Target<'n>> {
    let Some(spec) = policy.get("spec") else { return Vec::new() };
    let named = references(spec).map(|target| Target {
        kind: target.text_of("kind"),
        name: target.text_of("name").to_owned(),
        section: target.get("sectionName").and_then(Node::text),
    });
    let selected =
        spec.list("targetSelectors").iter().filter(|selector| is_plain(selector)).flat_map(|selector| {
            let kind = selector.text_of("kind");
            let all = resources.gateways.iter().chain(&resources.routes);
            all.filter(move |one| {
                one.text_of("kind") == kind && namespace(one) == namespace(policy) && carries(one, selector)
            })
            .map(move |one| Target { kind, name: name(one), section: None })
        });
    named.chain(selected).collect()
}

fn references(spec: &Node) -> impl Iterator<Item = &Node> {
    spec.list("targetRefs").iter().chain(spec.get("targetRef"))
}

/// By labels of its own namespace alone.
fn is_plain(selector: &Node) -> bool {
    selector.entries().iter().all(|entry| ["group", "kind", "matchLabels"].contains(&entry.key.as_str()))
        && !selector.get("matchLabels").map(Node::entries).unwrap_or_default().is_empty()
}

fn carries(resource: &Node, selector: &Node) -> bool {
    let labels = resource.at("metadata.labels").map(Node::entries).unwrap_or_default();
    let wanted = selector.get("matchLabels").map(Node::entries).unwrap_or_default();
    wanted.iter().all(|one| {
        labels.iter().any(|label| label.key == one.key && label.value.shown() == one.value.shown())
    })
}

/// Reports what a policy names and is not here.
pub(super) fn seen(policy: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let Some(spec) = policy.get("spec") else { return };
    let here = namespace(policy);
    if references(spec).next().is_none() && spec.list("targetSelectors").is_empty() {
        linter.report(&UNSEEN, spec.place, "the policy is for nothing");
    }
    for target in references(spec) {
        let (kind, wanted) = (target.text_of("kind"), target.text_of("name"));
        let known = match kind {
            "Gateway" => resources.gateway(here, wanted).is_some(),
            "GRPCRoute" | "HTTPRoute" => resources.route(kind, here, wanted).is_some(),
            "GatewayClass" => resources.gateways.iter().any(|one| class(one) == Some(wanted)),
            _ => false,
        };
        if !known {
            let message = format!("the `{}` `{}` is not here", shortened(kind), shortened(wanted));
            linter.report(&UNSEEN, target.place, message);
        }
    }
    for selector in spec.list("targetSelectors").iter().filter(|selector| !is_plain(selector)) {
        linter.report(&UNSEEN, selector.place, "what is selected by more than `matchLabels` is not judged");
    }
}

/// The class of a Gateway.
pub(super) fn class(gateway: &Node) -> Option<&str> {
    gateway.at("spec.gatewayClassName").and_then(Node::text)
}

/// The listeners that requests come in by.
pub(super) fn listeners(gateway: &Node) -> impl Iterator<Item = &Node> {
    let all = gateway.at("spec.listeners").map(Node::items).unwrap_or_default();
    all.iter().filter(|listener| ["HTTP", "HTTPS"].contains(&listener.text_of("protocol")))
}

/// Whether the targets hold a Gateway: whole, that listener of it, or each of its listeners.
pub(super) fn hold(
    targets: &[Target<'_>],
    gateway: &str,
    known: Option<&Node>,
    listener: Option<&str>,
) -> bool {
    let section = |wanted: Option<&str>| {
        targets.iter().any(|one| one.kind == "Gateway" && one.name == gateway && one.section == wanted)
    };
    let each = || {
        let mut all = known.into_iter().flat_map(listeners).peekable();
        all.peek().is_some() && all.all(|one| section(Some(one.text_of("name"))))
    };
    section(None)
        || listener.is_some_and(|listener| section(Some(listener)))
        || (listener.is_none() && each())
}

/// A Gateway that somebody asks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked<'n> {
    pub(super) namespace: &'n str,
    pub(super) name: String,
    pub(super) known: Option<&'n Node>,
}

/// The Gateways that a policy asks at: those that it names, and those of the routes that it names.
pub(super) fn asked<'n>(policy: &'n Node, resources: &Resources<'n>) -> Vec<Asked<'n>> {
    let here = namespace(policy);
    let at = |at: &'n str, name: &str| Asked {
        namespace: at,
        name: name.to_owned(),
        known: resources.gateway(at, name),
    };
    let mut all = Vec::new();
    for target in of(policy, resources) {
        match target.kind {
            "Gateway" => all.push(at(here, &target.name)),
            kind => {
                let route = resources.route(kind, here, &target.name);
                let parents =
                    route.and_then(|route| route.at("spec.parentRefs")).map(Node::items).unwrap_or_default();
                for parent in parents.iter().filter(|parent| is_gateway(parent)) {
                    let around = parent.get("namespace").and_then(Node::text).unwrap_or(here);
                    all.push(at(around, parent.text_of("name")));
                }
            }
        }
    }
    all
}

/// Whether a route's parent is a Gateway, as it is unless something else is said.
pub(super) fn is_gateway(parent: &Node) -> bool {
    matches!(parent.get("kind").and_then(Node::text), None | Some("Gateway"))
}

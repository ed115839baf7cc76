//! `AuthorizationPolicy`: which requests Exequatur is asked about.

use super::reach::targets;
use super::{Resources, waypoint};
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::fields;
use crate::rules::resources::namespace;
use crate::tree::{Node, Value, shortened};

pub(super) static PROVIDER_MISSING: Rule = Rule::new(
    Severity::Unknown,
    "istio-provider-missing",
    &["N01"],
    "who is asked is not in these files; where Istio does not know the provider either, it refuses what the policy selects (403)",
    "the same name in `extensionProviders` of MeshConfig and in the policy; give both to one run of the command",
);
pub(super) static SELECTS_NOTHING: Rule = Rule::new(
    Severity::Hole,
    "istio-policy-empty",
    &["B-15"],
    "a CUSTOM policy without a rule selects no request: everything passes without a decision",
    "rules: [ {} ]",
);
pub(super) static SELECTS_PART: Rule = Rule::new(
    Severity::Hole,
    "istio-policy-part",
    &["B-15"],
    "what the rules do not select passes without a decision, unless `deny_at_disable` is merged in",
    "rules: [ {} ]: a public route is declared in Exequatur's configuration; or allow it with a reason",
)
.allowable();
pub(super) static DRY_RUN: Rule = Rule::new(
    Severity::Hole,
    "istio-dry-run",
    &["B-15"],
    "what a CUSTOM policy does under this annotation differs between versions of Istio, and is not what a decision says",
    "leave the annotation out, and try policies with `exequatur check --explain` and `exequatur policy test`",
);
pub(super) static UNSEEN: Rule = Rule::new(
    Severity::Unknown,
    "istio-target-unseen",
    &["B-15"],
    "what the policy is attached to, or selects, is not in these files: whether it is there, and asks, is not known",
    "give the Gateway or the pods, in the policy's namespace, to the same run of the command; look at names and labels",
)
.allowable();

/// Where the labels stand that a policy selects workloads by.
pub(super) const SELECTOR: &str = "selector.matchLabels";

pub(super) fn is_custom(policy: &Node) -> bool {
    policy.at("spec.action").is_some_and(|action| action.is_member(&[("CUSTOM", 3)]))
}

/// Whether a policy lets in whom its rules select.
pub(super) fn allows(policy: &Node) -> bool {
    policy.at("spec.action").is_none_or(|action| action.is_member(&[("ALLOW", 0)]))
}

/// Whether a policy is one that a waypoint follows.
pub(super) fn is_of_waypoint(policy: &Node, resources: &Resources<'_>) -> bool {
    let waypoint = |target: &Node| match target.text_of("kind") {
        "Gateway" => resources.waypoint(namespace(policy), target.text_of("name")).is_some(),
        // Nothing but a waypoint follows what is attached to a service.
        _ => true,
    };
    policy.get("spec").is_some_and(|spec| targets(spec).any(waypoint))
}

/// The provider that a policy names.
pub(super) fn provider(policy: &Node) -> &str {
    policy.at("spec.provider.name").and_then(Node::text).unwrap_or_default()
}

/// Whether a policy lets nobody ask at a port but identities that it names.
pub(super) fn names_callers(policy: &Node, port: Option<i64>) -> bool {
    let elsewhere = |to: &Node| {
        let ports = to.at("operation.ports").map(Node::items).unwrap_or_default();
        let other = |one: &Node| one.integer().is_some() && one.integer() != port;
        port.is_some() && !ports.is_empty() && ports.iter().all(other)
    };
    let closed = |rule: &Node| {
        let to = rule.list("to");
        (!to.is_empty() && to.iter().all(elsewhere)) || from(rule, |_| true)
    };
    policy.at("spec.rules").map(Node::items).unwrap_or_default().iter().all(closed)
}

/// Whether a policy lets in nobody but that one service account.
pub(super) fn names_only(policy: &Node, at: &str, account: &str) -> bool {
    let short = namespace(policy) == at;
    let (name, suffix) = (format!("{at}/{account}"), format!("/ns/{at}/sa/{account}"));
    let is = |one: &str| {
        let domain = one.strip_suffix(&suffix);
        domain.is_some_and(|domain| !domain.is_empty() && !domain.contains('/'))
            || one == name
            || (short && one == account)
    };
    policy.at("spec.rules").map(Node::items).unwrap_or_default().iter().all(|rule| from(rule, is))
}

/// Whether a rule is for such identities alone, each of them named in full.
fn from(rule: &Node, is: impl Fn(&str) -> bool) -> bool {
    let named = |source: &Node| {
        let identities = source.list("principals").iter().chain(source.list("serviceAccounts"));
        let mut names = identities.map(|identity| identity.text().unwrap_or("*")).peekable();
        names.peek().is_some() && names.all(|name| !name.contains('*') && is(name))
    };
    let from = rule.list("from");
    !from.is_empty() && from.iter().all(|from| from.get("source").is_some_and(named))
}

/// Judges an `AuthorizationPolicy`.
pub(super) fn judge(policy: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    if !is_custom(policy) {
        return;
    }
    let Some(spec) = policy.get("spec") else { return };
    fields::judge(&fields::POLICY, spec, linter);
    selected(policy, spec, linter);
    let annotations = policy.at("metadata.annotations").map(Node::entries).unwrap_or_default();
    if let Some(entry) = annotations.iter().find(|entry| entry.key == "istio.io/dry-run") {
        linter.report(&DRY_RUN, entry.place, "`istio.io/dry-run` is set");
    }
    let wanted = provider(policy);
    let mut known = resources.meshes.iter().flat_map(|mesh| mesh.list("extension_providers"));
    let asks = ["envoy_ext_authz_grpc", "envoy_ext_authz_http"];
    let is =
        |known: &Node| known.text_of("name") == wanted && asks.iter().any(|key| known.get(key).is_some());
    if !known.any(is) {
        let place = spec.nearest("provider.name").place;
        linter.report(
            &PROVIDER_MISSING,
            place,
            format!("no `MeshConfig` here has a provider `{}` that can be asked", shortened(wanted)),
        );
    }
    for target in targets(spec).filter(|target| target.text_of("kind") == "Gateway") {
        let (here, wanted) = (namespace(policy), target.text_of("name"));
        if resources.waypoint(here, wanted).or_else(|| resources.ingress(here, wanted)).is_none() {
            let message = format!("the `Gateway` `{}` is not here", shortened(wanted));
            linter.report(&UNSEEN, target.place, message);
        }
    }
    waypoint::judge(policy, spec, resources, linter);
}

fn selected(policy: &Node, spec: &Node, linter: &mut Linter<'_>) {
    let rules = spec.list("rules");
    if rules.is_empty() {
        let place = spec.get("rules").map_or(policy.place, |rules| rules.place);
        linter.report(&SELECTS_NOTHING, place, "the policy has no rule");
        return;
    }
    let every = |rule: &Node| {
        rule.entries().iter().all(|entry| match &entry.value.value {
            Value::Null => true,
            Value::List(items) => items.is_empty(),
            Value::Bool(_) | Value::Integer(_) | Value::Text(_) | Value::Map(_) => false,
        })
    };
    if !rules.iter().any(every) {
        let place = spec.nearest("rules").place;
        linter.report(&SELECTS_PART, place, "no rule is empty, so that some requests may be left out");
    }
}

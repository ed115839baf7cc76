//! `AuthorizationPolicy`: which requests Exequatur is asked about.

use super::Resources;
use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules::fields;
use crate::rules::resources::{name, namespace};
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
pub(super) static NOT_AMBIENT: Rule = Rule::new(
    Severity::Hole,
    "istio-ambient-selector",
    &["B-15"],
    "a waypoint follows `targetRefs` only, and ztunnel leaves CUSTOM out: nothing asks, and everything passes",
    "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: … } ]",
);
pub(super) static PAST_WAYPOINT: Rule = Rule::new(
    Severity::Hole,
    "istio-past-waypoint",
    &["B-15"],
    "who reaches the workload by its own address does not come by the waypoint, and is not asked about",
    "an ALLOW policy for the workload whose every rule names the waypoint's identity in `from.source.principals`",
)
.allowable();

pub(super) fn is_custom(policy: &Node) -> bool {
    policy.at("spec.action").is_some_and(|action| action.is_member(&[("CUSTOM", 3)]))
}

/// Whether a policy is one that a waypoint follows.
pub(super) fn is_of_waypoint(policy: &Node, resources: &Resources<'_>) -> bool {
    let targets = policy.get("spec").into_iter().flat_map(targets);
    let waypoint = |target: &Node| match target.text_of("kind") {
        "Gateway" => {
            let wanted = target.text_of("name");
            resources.waypoints.iter().any(|one| name(one) == wanted && namespace(one) == namespace(policy))
        }
        // Nothing but a waypoint follows what is attached to a service.
        _ => true,
    };
    targets.into_iter().any(waypoint)
}

fn targets(spec: &Node) -> impl Iterator<Item = &Node> {
    spec.list("targetRefs").iter().chain(spec.get("targetRef"))
}

/// The provider that a policy names.
pub(super) fn provider(policy: &Node) -> &str {
    policy.at("spec.provider.name").and_then(Node::text).unwrap_or_default()
}

/// Whether a policy lets in nobody but identities that it names.
pub(super) fn names_callers(policy: &Node) -> bool {
    let allows = policy.at("spec.action").is_none_or(|action| action.is_member(&[("ALLOW", 0)]));
    let rules = policy.at("spec.rules").map(Node::items).unwrap_or_default();
    let named = |source: &Node| {
        let identities = source.list("principals").iter().chain(source.list("serviceAccounts"));
        let mut names = identities.map(|identity| identity.text().unwrap_or("*")).peekable();
        names.peek().is_some() && names.all(|name| !name.contains('*'))
    };
    let strict = |rule: &Node| {
        let from = rule.list("from");
        !from.is_empty() && from.iter().all(|from| from.get("source").is_some_and(named))
    };
    allows && !rules.is_empty() && rules.iter().all(strict)
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
    ambient(policy, spec, resources, linter);
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

/// Where a waypoint stands, the policy has to be its own, and the way past it closed.
fn ambient(policy: &Node, spec: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let here = namespace(policy);
    let labelled = |resource: &Node| {
        let labels = resource.at("metadata.labels").map(Node::entries).unwrap_or_default();
        labels
            .iter()
            .any(|label| label.key == "istio.io/dataplane-mode" && label.value.text() == Some("ambient"))
    };
    let in_ambient = resources.namespaces.iter().any(|one| name(one) == here && labelled(one));
    let waypoint = resources.waypoints.iter().any(|gateway| namespace(gateway) == here);
    if targets(spec).count() == 0 {
        if in_ambient || waypoint {
            linter.report(
                &NOT_AMBIENT,
                policy.place,
                "the policy has no `targetRefs`, and this namespace is ambient",
            );
        }
        return;
    }
    let closed = |other: &&&Node| {
        namespace(other) == here && other.at("spec.targetRefs").is_none() && names_callers(other)
    };
    if waypoint && !resources.policies.iter().any(|other| closed(&other)) {
        linter.report(
            &PAST_WAYPOINT,
            policy.place,
            "no policy here turns away who does not come by the waypoint",
        );
    }
}

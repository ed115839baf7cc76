//! `SecurityPolicy`: how Exequatur is asked, and about which routes.

use super::target::{self, Target};
use super::{Resources, duration};
use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, is_false, never};
use crate::rules::per_route::BODY_NOT_SHOWN;
use crate::rules::resources::{name, namespace, shows_all, timely, written_later};
use crate::rules::{check, fields};
use crate::tree::{Node, shortened};

pub(super) static TIMEOUT: Rule = Rule::new(
    Severity::Weak,
    "eg-timeout",
    &["N01"],
    "the default is 10 s: requests are held that long; or Envoy gives up before Exequatur has answered",
    "timeout: 250ms: at least 50 ms above Exequatur's deadline, at most 10 s",
)
.key(Key::must(
    Part::Security,
    "timeout",
    |node, options| timely(duration(node), options),
    &["0s", "150ms", "30s"],
));
pub(super) static FAIL_OPEN: Rule = Rule::new(
    Severity::Hole,
    "eg-fail-open",
    &["N01"],
    "everything passes while Exequatur does not answer, and while the policy itself is not valid",
    "failOpen: false",
)
.key(Key::must(Part::Security, "failOpen", is_false, &["true"]).default_holds());
pub(super) static STATUS: Rule = Rule::new(
    Severity::Weak,
    "eg-status-on-error",
    &["N01"],
    "a fault looks like a refusal (403): clients and alarms take it for what it is not",
    "statusOnError: 503",
)
.key(Key::must(Part::Security, "statusOnError", |node, _| node.integer() == Some(503), &["403"]));
pub(super) static ROUTE: Rule = Rule::new(
    Severity::Hole,
    "eg-recompute-route",
    &["N09"],
    "the route is chosen anew after the decision, by headers that the decision has changed",
    "recomputeRoute: false",
)
.key(Key::must(Part::Security, "recomputeRoute", is_false, &["true"]).default_holds());
pub(super) static HIDDEN: Rule = Rule::new(
    Severity::Hole,
    "eg-hidden-headers",
    &["N02"],
    "the decision is made without a header that the upstream gets: Exequatur sees those of the list only",
    "leave `headersToExtAuth` out: all headers are shown",
)
.key(Key::may(
    Part::Security,
    "headersToExtAuth",
    shows_all,
    &["[ authorization ]", "[ authorization, dpop, content-type ]", "[ mcp-session-id, traceparent ]"],
));
pub(super) static RETRY: Rule = Rule::new(
    Severity::Hole,
    "eg-check-retry",
    &["B-13"],
    "a second Check of one proof is a replay: permitted requests are refused, and counted twice",
    "leave `backendSettings.retry` out",
)
.key(Key::may(Part::Security, "grpc.backendSettings.retry", never, &["{ numRetries: 1 }"]));
pub(crate) static UNASKED: Rule = Rule::new(
    Severity::Hole,
    "eg-unasked",
    &["B-15"],
    "nobody asks: no SecurityPolicy with `extAuth` is here",
    "a SecurityPolicy of the Gateway with `extAuth`, in the same run of the command",
);
pub(super) static REPLACED: Rule = Rule::new(
    Severity::Hole,
    "eg-replaced",
    &["B-15"],
    "a policy of a route replaces that of its Gateway: what it does not say itself, `extAuth` too, is gone there",
    "the same `extAuth` in it, or no policy of the route; or allow it with a reason",
)
.allowable();
pub(super) static UNGUARDED: Rule = Rule::new(
    Severity::Hole,
    "eg-unguarded-route",
    &["B-15"],
    "no policy with `extAuth` names this route or its Gateway: what it matches passes without a decision",
    "the Gateway in `targetRefs` of the SecurityPolicy, without a `sectionName`; or allow it with a reason",
)
.allowable();
pub(super) static PLAINTEXT: Rule = Rule::new(
    Severity::Hole,
    "eg-check-plaintext",
    &["B-14"],
    "whoever is on the way reads tokens and proofs, and can answer yes",
    "a BackendTLSPolicy for Exequatur's Service, with `hostname` and `caCertificateRefs`",
)
.allowable()
.key(Key::must(
    Part::BackendTls,
    "validation.hostname",
    |node, _| node.text().is_some_and(|name| !name.is_empty()),
    &[],
));

pub(super) fn judge(resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let asking: Vec<_> = resources.asking().collect();
    let others = resources.clients.first().or_else(|| resources.patches.first());
    if let (true, Some(place)) = (asking.is_empty(), resources.security.first().or(others)) {
        linter.report(&UNASKED, place.place, "no `SecurityPolicy` here has `extAuth`");
    }
    for policy in &resources.security {
        linter.within(policy, |linter| {
            target::seen(policy, resources, linter);
            if let Some(spec) = policy.get("spec") {
                headers(spec, linter);
            }
            if policy.at("spec.extAuth").is_none() && !asking.is_empty() {
                linter.report(&REPLACED, policy.place, format!("`{}` has no `extAuth`", name(policy)));
            }
        });
    }
    if !asking.is_empty() {
        ways(&asking, resources, linter);
    }
    for (policy, auth) in asking {
        linter.within(policy, |linter| {
            fields::judge(&fields::EXT_AUTH, auth, linter);
            linter.keys(Part::Security, auth);
            let says = |extension: &&Node| extension.text_of("name") == "exequatur_body";
            let shown = auth.list("contextExtensions").iter().find(says);
            if let (Some(shown), None) = (shown, auth.get("bodyToExtAuth")) {
                linter.report(&BODY_NOT_SHOWN, shown.place, "`exequatur_body` without `bodyToExtAuth`");
            }
            match auth.get("grpc") {
                Some(grpc) => asked(grpc, namespace(policy), resources, linter),
                None => linter.report(&check::NOT_GRPC, auth.place, "`extAuth` asks by HTTP"),
            }
        });
    }
}

/// Reports each way in that no policy asks about.
fn ways(asking: &[(&Node, &Node)], resources: &Resources<'_>, linter: &mut Linter<'_>) {
    let named: Vec<(&str, Vec<Target<'_>>)> =
        asking.iter().map(|(policy, _)| (namespace(policy), target::of(policy, resources))).collect();
    for route in resources.routes.iter().filter(|route| !covered(&named, route, resources)) {
        linter.within(route, |linter| {
            linter.report(&UNGUARDED, route.place, format!("nobody asks about the route `{}`", name(route)));
        });
    }
    let asked = resources.asked();
    let idle = |gateway: &&&Node| !asked.iter().any(|(_, one)| one.known == Some(**gateway));
    for gateway in resources.gateways.iter().filter(idle) {
        linter.within(gateway, |linter| {
            linter.report(
                &UNGUARDED,
                gateway.place,
                format!("nobody asks at the Gateway `{}`", name(gateway)),
            );
        });
    }
}

/// Whether policies that ask name a route, or each Gateway that it hangs on: by any other one requests come in unasked.
fn covered(asking: &[(&str, Vec<Target<'_>>)], route: &Node, resources: &Resources<'_>) -> bool {
    let own = Target { kind: route.text_of("kind"), name: name(route), section: None };
    let parents = route.at("spec.parentRefs").map(Node::items).unwrap_or_default();
    let through = |parent: &Node| {
        let at = parent.get("namespace").and_then(Node::text).unwrap_or_else(|| namespace(route));
        let gateway = parent.text_of("name");
        let (known, listener) =
            (resources.gateway(at, gateway), parent.get("sectionName").and_then(Node::text));
        let holds = |(from, targets): &(&str, Vec<Target<'_>>)| {
            *from == at && target::hold(targets, gateway, known, listener)
        };
        target::is_gateway(parent) && asking.iter().any(holds)
    };
    asking.iter().any(|(from, targets)| *from == namespace(route) && targets.contains(&own))
        || (!parents.is_empty() && parents.iter().all(through))
}

/// The names of ours that other parts of the policy write. They come after the decision.
fn headers<'a>(spec: &'a Node, linter: &mut Linter<'_>) {
    let providers = spec.at("jwt.providers").map(Node::items).unwrap_or_default();
    let claims = providers.iter().flat_map(|provider| provider.list("claimToHeaders"));
    let claims = claims.filter_map(|claim| claim.get("header"));
    let others = ["apiKeyAuth.forwardClientIDHeader", "basicAuth.forwardUsernameHeader"];
    let written: Vec<&'a Node> = claims.chain(others.iter().filter_map(|path| spec.at(path))).collect();
    written_later(&written, linter);
}

/// Who is asked has to show a certificate.
fn asked(grpc: &Node, around: &str, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    for backend in grpc.list("backendRefs").iter().chain(grpc.get("backendRef")) {
        let service = backend.text_of("name");
        let at = backend.get("namespace").and_then(Node::text).unwrap_or(around);
        let whole = Target { kind: "Service", name: service.to_owned(), section: None };
        let ours =
            |policy: &&&Node| namespace(policy) == at && target::of(policy, resources).contains(&whole);
        let mut found = false;
        for policy in resources.transports.iter().filter(ours) {
            found = true;
            let Some(spec) = policy.get("spec") else { continue };
            linter.within(policy, |linter| {
                linter.keys(Part::BackendTls, spec);
                let known = ["caCertificateRefs", "wellKnownCACertificates"];
                if !known.iter().any(|key| spec.get("validation").is_some_and(|by| by.get(key).is_some())) {
                    linter.report(&PLAINTEXT, spec.place, "no authority is named");
                }
            });
        }
        if !found {
            let message = format!("no `BackendTLSPolicy` for `{}` is here", shortened(service));
            linter.report(&PLAINTEXT, backend.place, message);
        }
    }
}

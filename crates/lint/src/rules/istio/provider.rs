//! `MeshConfig`: how Exequatur is asked.

use super::{Resources, by_http, policy, providers};
use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, is_false};
use crate::rules::{body, check, fields};
use crate::tree::{Node, shortened};

pub(super) static NORMALIZATION: Rule = Rule::new(
    Severity::Weak,
    "istio-normalization",
    &["N05"],
    "the upstream may read `//a` as `/a`, which was not judged: Istio's default does not merge slashes",
    "pathNormalization: { normalization: MERGE_SLASHES }",
)
.key(Key::must(
    Part::Mesh,
    "path_normalization.normalization",
    |node, _| node.is_member(&[("MERGE_SLASHES", 3)]),
    &["NONE", "BASE", "DEFAULT", "DECODE_AND_MERGE_SLASHES"],
));
pub(super) static TIMEOUT: Rule = Rule::new(
    Severity::Weak,
    "istio-timeout",
    &["N01"],
    "Istio's default is 600 s: requests are held without end; or Envoy gives up before Exequatur has answered",
    "timeout: 0.25s: at least 50 ms above Exequatur's deadline, at most 10 s",
)
.key(Key::must(Part::Provider, "timeout", check::is_timely, &["0s", "0.15s", "600s"]));
pub(super) static FAIL_OPEN: Rule = Rule::new(
    Severity::Hole,
    "istio-fail-open",
    &["N01"],
    "everything passes while Exequatur does not answer",
    "failOpen: false",
)
.key(Key::must(Part::Provider, "fail_open", is_false, &["true", "\"yes\""]).default_holds());
pub(super) static STATUS: Rule = Rule::new(
    Severity::Weak,
    "istio-status-on-error",
    &["N01"],
    "a fault looks like a refusal (403): clients and alarms take it for what it is not",
    "statusOnError: \"503\"",
)
.key(Key::must(
    Part::Provider,
    "status_on_error",
    |node, _| node.integer() == Some(503),
    &["\"403\"", "\"200\""],
));
pub(super) static ROUTE_CACHE: Rule = Rule::new(
    Severity::Hole,
    "istio-route-cache",
    &["N09"],
    "the route is chosen anew after the decision, by headers that the decision has changed",
    "leave `clearRouteCache` out",
)
.key(Key::may(Part::Provider, "clear_route_cache", is_false, &["true"]));
pub(crate) static UNASKED: Rule = Rule::new(
    Severity::Hole,
    "istio-unasked",
    &["B-15"],
    "nobody asks: no policy with `action: CUSTOM` names this provider",
    "an AuthorizationPolicy with `action: CUSTOM` and `provider: { name: … }`, in the same run of the command",
);

/// Judges a `MeshConfig`.
pub(super) fn judge(mesh: &Node, resources: &Resources<'_>, linter: &mut Linter<'_>) {
    linter.keys(Part::Mesh, mesh);
    by_http(mesh, linter);
    for (provider, grpc) in providers(mesh) {
        fields::judge(&fields::PROVIDER, grpc, linter);
        linter.keys(Part::Provider, grpc);
        if let Some(settings) = grpc.get("include_request_body_in_check") {
            body::judge(settings, linter);
        }
        let name = provider.text_of("name");
        if !resources.custom().any(|custom| policy::provider(custom) == name) {
            let message = format!("no policy names `{}`", shortened(name));
            linter.report(&UNASKED, provider.place, message);
        }
    }
}

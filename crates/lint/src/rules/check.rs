//! The `ext_authz` filter: without an answer nothing passes, and the Check shows all that was sent.

use std::time::Duration;

use crate::linter::Linter;
use crate::names::{self, DECIDING};
use crate::rule::{Key, Part, Rule, Severity, is_false, is_true, never};
use crate::rules::listener::Around;
use crate::rules::{body, cluster, fields, mutation};
use crate::tree::Node;
use crate::{MARGIN, Options};

pub(crate) const FILTER: &str = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
pub(crate) const PER_ROUTE: &str = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute";

/// Longest time that a request may wait for a decision.
const LONGEST: Duration = Duration::from_secs(10);
/// Most bytes of a denial: ours are below.
const MOST_BODY: i64 = 4096;

static FAILURE_MODE: Rule = Rule::new(
    Severity::Hole,
    "failure-mode",
    &["N01"],
    "everything passes while Exequatur does not answer",
    "failure_mode_allow: false",
)
.key(Key::must(Part::Check, "failure_mode_allow", is_false, &["true"]).default_holds());
static FAILURE_HEADER: Rule = Rule::new(
    Severity::Hole,
    "failure-mode-header",
    &["N01"],
    "upstreams are told of requests that passed without a decision, where none may pass",
    "leave `failure_mode_allow_header_add` out",
)
.key(Key::may(Part::Check, "failure_mode_allow_header_add", is_false, &["true"]));
static STATUS_ON_ERROR: Rule = Rule::new(
    Severity::Weak,
    "status-on-error",
    &["N01"],
    "a fault looks like a refusal (403), or worse, like a success: clients and alarms take it for what it is not",
    "status_on_error: { code: ServiceUnavailable }",
)
.key(Key::must(
    Part::Check,
    "status_on_error.code",
    |node, _| node.is_member(&[("ServiceUnavailable", 503)]),
    &["OK", "Forbidden", "200"],
));
static TIMEOUT: Rule = Rule::new(
    Severity::Weak,
    "check-timeout",
    &["N01"],
    "Envoy gives up before Exequatur has answered, or holds requests without end",
    "timeout: 0.25s: at least 50 ms above Exequatur's deadline, at most 10 s",
)
.key(Key::must(Part::Service, "timeout", is_timely, &["0s", "0.15s", "30s", "600s"]));
static RETRY: Rule = Rule::new(
    Severity::Hole,
    "check-retry",
    &["B-13"],
    "a second Check of one proof is a replay: permitted requests are refused, and counted twice",
    "leave `retry_policy` out",
)
.key(Key::may(Part::Service, "retry_policy", never, &["{ num_retries: 1 }"]));
static RETRY_INNER: Rule = Rule::new(
    Severity::Hole,
    "check-retry-grpc",
    &["B-13"],
    "a second Check of one proof is a replay: permitted requests are refused, and counted twice",
    "leave `retry_policy` out",
)
.key(Key::may(Part::Service, "envoy_grpc.retry_policy", never, &["{ num_retries: 1 }"]));
pub(crate) static NOT_GRPC: Rule = Rule::new(
    Severity::Unknown,
    "check-not-grpc",
    &["N01"],
    "Exequatur speaks gRPC only: whoever answers this is somebody else, or nobody",
    "grpc_service: { envoy_grpc: { cluster_name: exequatur }, timeout: 0.25s }",
);
static GOOGLE_GRPC: Rule = Rule::new(
    Severity::Unknown,
    "check-google-grpc",
    &["B-14"],
    "time-outs, retries and TLS are those of another client, which is not judged here",
    "grpc_service: { envoy_grpc: { cluster_name: exequatur }, timeout: 0.25s }",
);
static VALIDATE: Rule = Rule::new(
    Severity::Weak,
    "validate-mutations",
    &["N06"],
    "a header value with control characters goes on to the upstream",
    "validate_mutations: true",
)
.key(Key::must(Part::Check, "validate_mutations", is_true, &["false"]));
static ROUTE_CACHE: Rule = Rule::new(
    Severity::Hole,
    "route-cache",
    &["N09"],
    "the route is chosen anew after the decision, by headers that the decision has changed",
    "clear_route_cache: false",
)
.key(Key::must(Part::Check, "clear_route_cache", is_false, &["true"]).default_holds());
static CERTIFICATE: Rule = Rule::new(
    Severity::Weak,
    "peer-certificate",
    &["M02"],
    "Exequatur does not see the client certificate, so that tokens bound to one never pass",
    "include_peer_certificate: true",
)
.key(Key::must(Part::Check, "include_peer_certificate", is_true, &["false"]));
static RAW_HEADERS: Rule = Rule::new(
    Severity::Weak,
    "raw-headers",
    &["N02"],
    "headers that were sent twice arrive as one, and bytes that are not UTF-8 arrive changed",
    "encode_raw_headers: true",
)
.key(Key::must(Part::Check, "encode_raw_headers", is_true, &["false"]));
static HIDDEN: Rule = Rule::new(
    Severity::Hole,
    "hidden-headers",
    &["N02"],
    "the decision is made without a header that the upstream gets",
    "let `allowed_headers` be absent, and `disallowed_headers` name nothing but `cookie` and the like",
);
static DENIED_BODY: Rule = Rule::new(
    Severity::Weak,
    "denied-body",
    &["B-16"],
    "whoever answers in Exequatur's place can send callers a body of any size",
    "max_denied_response_body_bytes: 4096",
)
.key(Key::must(
    Part::Check,
    "max_denied_response_body_bytes",
    |node, _| node.integer().is_some_and(|size| (1..=MOST_BODY).contains(&size)),
    &["0", "1048576"],
));
static RESPONSE_LIMITS: Rule = Rule::new(
    Severity::Weak,
    "response-limits",
    &["B-16"],
    "whoever answers in Exequatur's place can add headers without bound",
    "enforce_response_header_limits: true",
)
.key(Key::must(Part::Check, "enforce_response_header_limits", is_true, &["false"]));
static DENY_AT_DISABLE: Rule = Rule::new(
    Severity::Weak,
    "deny-at-disable",
    &["B-15"],
    "if the filter is ever switched off by `filter_enabled` or a runtime value, everything passes",
    "deny_at_disable: { default_value: true, runtime_key: exequatur.deny_at_disable }",
)
.key(Key::must(Part::Check, "deny_at_disable.default_value", is_true, &["false"]));
static FILTER_ENABLED: Rule = Rule::new(
    Severity::Hole,
    "filter-enabled",
    &["B-15"],
    "a part of the requests, or all of them by a runtime value, passes without a decision",
    "leave `filter_enabled` out",
)
.key(Key::may(
    Part::Check,
    "filter_enabled",
    is_whole,
    &[
        "{ default_value: { numerator: 50 } }",
        "{ default_value: { numerator: 100, denominator: TEN_THOUSAND } }",
        "{ default_value: { numerator: 100 }, runtime_key: exequatur.share }",
        "{}",
    ],
));
static FILTER_ENABLED_METADATA: Rule = Rule::new(
    Severity::Hole,
    "filter-enabled-metadata",
    &["B-15"],
    "requests without that metadata pass without a decision",
    "leave `filter_enabled_metadata` out",
)
.key(Key::may(Part::Check, "filter_enabled_metadata", never, &["{ filter: a, path: [ { key: b } ] }"]));

static SHADOW: Rule = Rule::new(
    Severity::Hole,
    "shadow-mode",
    &["B-15"],
    "requests pass whatever the decision is: it is only noted",
    "leave `shadow_mode` out",
)
.key(Key::may(Part::Check, "shadow_mode", is_false, &["true", "\"yes\""]));
static ROUTE_CACHE_HEADERS: Rule = Rule::new(
    Severity::Hole,
    "route-cache-headers",
    &["N09"],
    "the route is chosen anew after the decision, by headers that the decision has changed",
    "leave `clear_route_cache_headers` out",
)
.key(Key::may(Part::Check, "clear_route_cache_headers", never, &["[ x-exequatur-user ]"]));

pub(crate) static RULES: &[&Rule] = &[
    &FAILURE_MODE,
    &FAILURE_HEADER,
    &STATUS_ON_ERROR,
    &TIMEOUT,
    &RETRY,
    &RETRY_INNER,
    &NOT_GRPC,
    &GOOGLE_GRPC,
    &VALIDATE,
    &ROUTE_CACHE,
    &CERTIFICATE,
    &RAW_HEADERS,
    &HIDDEN,
    &DENIED_BODY,
    &RESPONSE_LIMITS,
    &DENY_AT_DISABLE,
    &FILTER_ENABLED,
    &FILTER_ENABLED_METADATA,
    &SHADOW,
    &ROUTE_CACHE_HEADERS,
];

pub(crate) fn is_timely(node: &Node, options: &Options) -> bool {
    node.duration().is_some_and(|time| fits(time, options))
}

/// Whether Envoy may wait that long: above Exequatur's deadline, and not without end.
pub(crate) fn fits(time: Duration, options: &Options) -> bool {
    time >= options.deadline.saturating_add(MARGIN) && time <= LONGEST
}

/// All requests, and not by a value that changes while Envoy runs.
fn is_whole(node: &Node, _: &Options) -> bool {
    let share = node.get("default_value");
    let of = share.and_then(|share| share.get("denominator"));
    let hundred = of.is_none_or(|of| of.is_member(&[("HUNDRED", 0)]));
    let all = share.and_then(|share| share.get("numerator")).and_then(Node::integer);
    hundred && all == Some(100) && node.get("runtime_key").is_none()
}

/// Judges an `ExtAuthz`.
pub(crate) fn judge(check: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    linter.judged(check);
    fields::judge(&fields::CHECK, check, linter);
    linter.keys(Part::Check, check);
    mutation::judge(check, linter);
    hidden(check, linter);
    if let Some(settings) = check.get("with_request_body") {
        body::judge(settings, linter);
    }
    match check.get("grpc_service") {
        Some(grpc) => service(grpc, around, linter),
        None => {
            let place = check.nearest("http_service").place;
            linter.report(&NOT_GRPC, place, "the filter has no `grpc_service`");
        }
    }
}

/// Judges where a Check is sent, by the filter or by a route.
pub(crate) fn service(grpc: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    linter.keys(Part::Service, grpc);
    fields::judge(&fields::SERVICE, grpc, linter);
    if let Some(envoy) = grpc.get("envoy_grpc") {
        fields::judge(&fields::ENVOY_GRPC, envoy, linter);
    }
    match grpc.at("envoy_grpc.cluster_name") {
        Some(name) => cluster::judge(name, around.clusters, linter),
        None => linter.report(&GOOGLE_GRPC, grpc.place, "the Check is not sent by `envoy_grpc`"),
    }
}

/// A route sends its Checks elsewhere, and not by gRPC.
pub(crate) fn not_grpc(place: &Node, linter: &mut Linter<'_>) {
    linter.report(&NOT_GRPC, place.place, "a route sends its Checks by `http_service`");
}

pub(crate) fn hidden(check: &Node, linter: &mut Linter<'_>) {
    for (key, keeps) in [("allowed_headers", true), ("disallowed_headers", false)] {
        let Some(list) = check.get(key) else { continue };
        // An empty list selects nothing: to Envoy it is no list at all.
        if list.list("patterns").is_empty() {
            continue;
        }
        for name in DECIDING {
            match names::listed(list, name) {
                Some(selected) if selected == keeps => {}
                Some(_) => {
                    linter.report(&HIDDEN, list.place, format!("`{key}` hides `{name}` from Exequatur"))
                }
                None => {
                    linter.unknown(
                        &HIDDEN,
                        list.place,
                        format!("whether `{key}` hides `{name}` cannot be read"),
                    );
                }
            }
        }
        // Too many to tell of each.
        let twins: Vec<_> = linter.options.overrides.iter().flat_map(|name| names::twins(name)).collect();
        let mut hidden = twins.iter().filter(|name| names::listed(list, name) == Some(!keeps));
        if let Some(first) = hidden.next() {
            let more = hidden.count();
            let message =
                format!("`{key}` hides `{first}` and {more} more spellings of overrides from Exequatur");
            linter.report(&HIDDEN, list.place, message);
        }
    }
}

/// The runtime keys that a filter reads before it refuses what nobody asks about.
pub(crate) fn runtime_keys(tree: &Node) -> Vec<&str> {
    let mut keys = Vec::new();
    let mut open = vec![tree];
    while let Some(node) = open.pop() {
        keys.extend(node.at("deny_at_disable.runtime_key").and_then(Node::text));
        open.extend(node.items());
        open.extend(node.entries().iter().map(|entry| &entry.value));
    }
    keys
}

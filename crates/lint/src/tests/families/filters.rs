//! The filters, their order, and `ext_authz` among them.

use super::{MANAGER, any, each, filter};
use crate::tests::{hardened, ids, judged, remove};

const LUA: &str = filter!("envoy.extensions.filters.http.lua.v3.Lua");
const FAULT: &str = filter!("envoy.extensions.filters.http.fault.v3.HTTPFault");
const WRITES_PATH: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { append: { header: { key: \":path\", value: a } } } ] }"
);
const WRITES_OURS: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { append: { header: { key: X_Exequatur-User } } } ] }"
);
const REMOVES_TOKEN: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { remove: authorization } ] }"
);
const REMOVES_MUCH: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { remove_on_match: { key_matcher: { safe_regex: { regex: \".*\" } } } } ] }"
);
const QUERY: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { query_parameter_mutations: [ { remove: a } ] }"
);
const COPIES_TOKEN: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { append: { header: { key: x-copy, value: \"a %REQ(Authorization)%\" } } } ] }"
);
const WRITES_OTHER: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { append: { header: { key: x-other } } }, { remove: x-more } ] }"
);
const STRIP: &str = filter!(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "mutations: { request_mutations: [ { remove_on_match: { key_matcher: { prefix: x-exequatur } } } ] }"
);

/// N09, B-03: what stands before and after the Check.
#[test]
fn the_order_of_filters() {
    each(
        &format!("{MANAGER}/http_filters"),
        &[
            ("1", LUA, &["filter-before"]),
            ("2", LUA, &["filter-after"]),
            ("1", "{ name: a, config_discovery: {} }", &["filter-before"]),
            ("2", "{ name: a, config_discovery: {} }", &["filter-after"]),
            ("1", FAULT, &[]),
            ("2", FAULT, &[]),
            ("1", WRITES_PATH, &["mutation-before"]),
            ("2", WRITES_PATH, &["mutation-after"]),
            ("1", WRITES_OURS, &["mutation-before"]),
            ("2", WRITES_OURS, &["mutation-after"]),
            ("1", REMOVES_TOKEN, &["mutation-before"]),
            ("1", REMOVES_MUCH, &["mutation-before"]),
            ("2", QUERY, &["mutation-after"]),
            ("2", WRITES_OTHER, &[]),
            ("2", STRIP, &["strip-after"]),
            ("1", COPIES_TOKEN, &["mutation-before"]),
            (
                "2/typed_config/upstream_http_filters",
                "[ { name: a, config_discovery: {} } ]",
                &["filter-after"],
            ),
            (
                "2/typed_config/upstream_http_filters",
                concat!("[ ", filter!("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"), " ]"),
                &[],
            ),
            (
                "2/typed_config/upstream_log",
                "[ { typed_config: { a: \"%REQ(dpop)%\" } } ]",
                &["logged-credentials"],
            ),
            ("1/new", "a", &["unknown-field"]),
            ("0/disabled", "\"true\"", &["strip"]),
            (
                "2",
                filter!(
                    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                    "request_headers_to_add_when_not_enforced: [ { header: { key: x-exequatur-user } } ]"
                ),
                &["mutation-after"],
            ),
            ("0/disabled", "true", &["strip"]),
            ("0/is_optional", "yes", &["strip"]),
            ("1/disabled", "true", &["check-disabled"]),
            ("1/disabled", "false", &[]),
            ("1/is_optional", "true", &["check-optional"]),
            (
                "1/typed_config",
                any!(
                    "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
                    "extension_config: { name: a, typed_config: { \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, failure_mode_allow: false } }"
                ),
                &[
                    "check-not-grpc",
                    "conditional-check",
                    "denied-body",
                    "deny-at-disable",
                    "mutation-names",
                    "mutation-rules",
                    "mutation-rules-silent",
                    "peer-certificate",
                    "raw-headers",
                    "response-limits",
                    "route-cache",
                    "status-on-error",
                    "validate-mutations",
                ],
            ),
        ],
    );
    let mut tree = hardened();
    remove(&mut tree, &format!("{MANAGER}/http_filters/1"));
    // What routes say of a filter that is not there is judged by nobody, and said so.
    assert_eq!(ids(&judged(&tree).findings), ["not-judged", "unguarded-listener"]);
}

/// A configuration inside of a `TypedStruct` is the same configuration.
#[test]
fn typed_structs_are_looked_into() {
    each(
        &format!("{MANAGER}/http_filters/1"),
        &[(
            "typed_config",
            "{ \"@type\": type.googleapis.com/xds.type.v3.TypedStruct, type_url: a/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, value: { failure_mode_allow: true, http_service: {} } }",
            &[
                "check-not-grpc",
                "denied-body",
                "deny-at-disable",
                "failure-mode",
                "mutation-names",
                "mutation-rules",
                "mutation-rules-silent",
                "peer-certificate",
                "raw-headers",
                "response-limits",
                "route-cache",
                "status-on-error",
                "validate-mutations",
            ],
        )],
    );
}

/// N01, N02, N06, B-13, B-15
#[test]
fn the_check() {
    each(
        &format!("{MANAGER}/http_filters/1/typed_config"),
        &[
            ("failure_mode_allow", "on", &["failure-mode"]),
            ("failure_mode_allow", "\"True\"", &["failure-mode"]),
            ("failure_mode_allow", "tRUE", &["failure-mode"]),
            ("failure_mode_allow", "\"no\"", &[]),
            ("shadow_mode", "false", &[]),
            ("a_later_mode", "true", &["unknown-field"]),
            ("grpc_service/a", "true", &["unknown-field"]),
            ("grpc_service/envoy_grpc/a", "true", &["unknown-field"]),
            ("decoder_header_mutation_rules/a", "true", &["unknown-field"]),
            (
                "disallowed_headers",
                "{ patterns: [ { exact: DPOP, ignore_case: \"true\" } ] }",
                &["hidden-headers"],
            ),
            ("status_on_error/code", "503", &[]),
            ("status_on_error/code", "serviceunavailable", &[]),
            ("grpc_service/timeout", "0.2s", &[]),
            ("grpc_service/timeout", "0.199s", &["check-timeout"]),
            ("grpc_service/timeout", "10s", &[]),
            ("grpc_service/timeout", "10.1s", &["check-timeout"]),
            ("grpc_service/timeout", "0.25", &["check-timeout"]),
            ("grpc_service/envoy_grpc/cluster_name", "other", &["check-cluster-unknown"]),
            ("grpc_service", "{ timeout: 0.25s, google_grpc: {} }", &["check-google-grpc"]),
            ("allowed_headers", "{ patterns: [ { exact: authorization } ] }", &["hidden-headers"]),
            ("allowed_headers", "{ patterns: [ { prefix: \"\" } ] }", &[]),
            ("allowed_headers", "{ patterns: [ { safe_regex: { regex: \".*\" } } ] }", &[]),
            ("allowed_headers", "{ patterns: [] }", &[]),
            (
                "disallowed_headers",
                "{ patterns: [ { exact: DPoP, ignore_case: true } ] }",
                &["hidden-headers"],
            ),
            ("disallowed_headers", "{ patterns: [ { suffix: ation } ] }", &["hidden-headers"]),
            ("disallowed_headers", "{ patterns: [ { contains: ori } ] }", &["hidden-headers"]),
            ("disallowed_headers", "{ patterns: [ { safe_regex: { regex: \"(\" } } ] }", &["hidden-headers"]),
            ("disallowed_headers", "{ patterns: [ { prefix: x-secret- } ] }", &[]),
            // B-07: another spelling of an override is refused only if the decision sees it.
            ("disallowed_headers", "{ patterns: [ { prefix: x. } ] }", &["hidden-headers"]),
            (
                "disallowed_headers",
                "{ patterns: [ { exact: x-http-method_override } ] }",
                &["hidden-headers"],
            ),
            (
                "disallowed_headers",
                "{ patterns: [ { exact: X.Method, ignore_case: true } ] }",
                &["hidden-headers"],
            ),
            (
                "disallowed_headers",
                "{ patterns: [ { exact: x_http.method-override } ] }",
                &["hidden-headers"],
            ),
            ("disallowed_headers", "{ patterns: [ { exact: x-method-override } ] }", &[]),
            ("disallowed_headers", "{ patterns: [ { exact: x.methods } ] }", &[]),
            ("filter_enabled", "{ default_value: { numerator: 100, denominator: HUNDRED } }", &[]),
            ("decoder_header_mutation_rules/disallow_expression", "{ regex: dpop }", &["mutation-names"]),
            ("decoder_header_mutation_rules/disallow_expression", "{ regex: x-never }", &[]),
            // Set operations mean one thing here and another to Envoy.
            (
                "decoder_header_mutation_rules/allow_expression",
                "{ regex: \"[a-z&&x].*\" }",
                &["mutation-names"],
            ),
            ("with_request_body", "{ max_request_bytes: 1, pack_as_bytes: true }", &["partial-body"]),
        ],
    );
}

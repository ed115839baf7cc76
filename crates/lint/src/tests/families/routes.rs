//! Routes, what they make of what was judged, and what they say of the Check.

use super::{CHAIN, LISTENER, MANAGER, any, each};
use crate::tests::{at, hardened, ids, json, judged, put, remove};

/// B-15: every way to pass by, at every level, whatever the filter is called.
#[test]
fn bypasses() {
    const OFF: &str = concat!(
        "{ envoy.filters.http.ext_authz: ",
        any!("envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled: true"),
        " }"
    );
    const OFF_ELSEWHERE: &str = concat!(
        "{ some-name: ",
        any!("envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled: true"),
        " }"
    );
    const OFF_BY_FILTER_CONFIG: &str = concat!(
        "{ envoy.filters.http.ext_authz: ",
        any!("envoy.config.route.v3.FilterConfig", "disabled: yes"),
        " }"
    );
    const OFF_INSIDE: &str = concat!(
        "{ envoy.filters.http.ext_authz: { \"@type\": a/envoy.config.route.v3.FilterConfig, is_optional: true, config: ",
        any!("envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute", "disabled: true"),
        " } }"
    );
    const STRIP_OFF: &str =
        concat!("{ strip_inbound: ", any!("envoy.config.route.v3.FilterConfig", "disabled: true"), " }");
    const OTHER_OFF: &str =
        concat!("{ lua: ", any!("envoy.config.route.v3.FilterConfig", "disabled: true"), " }");
    const STRANGE: &str = concat!("{ envoy.filters.http.ext_authz: ", any!("envoy.Strange"), " }");
    for level in ["", "virtual_hosts/0/", "virtual_hosts/0/routes/2/"] {
        let path = format!("{level}typed_per_filter_config");
        for (settings, expected) in [
            (OFF, &["bypass-wide", "route-bypass"][..]),
            (OFF_ELSEWHERE, &["bypass-wide", "route-bypass"]),
            (OFF_BY_FILTER_CONFIG, &["bypass-wide", "route-bypass"]),
            (OFF_INSIDE, &["bypass-wide", "route-bypass", "route-optional"]),
            (STRIP_OFF, &["strip-bypass"]),
            (OTHER_OFF, &[]),
            (STRANGE, &["route-settings"]),
            ("{ envoy.filters.http.ext_authz: {} }", &["route-settings"]),
        ] {
            let mut tree = hardened();
            put(&mut tree, &format!("{MANAGER}/route_config/{path}"), settings);
            assert_eq!(ids(&judged(&tree).findings), expected, "{path} {settings}");
        }
    }
    let clusters = format!(
        "{{ weighted_clusters: {{ clusters: [ {{ name: upstream, typed_per_filter_config: {OFF} }} ] }} }}"
    );
    let route = format!(
        "{{ match: {{ path: /a }}, route: {{ cluster: upstream }}, typed_per_filter_config: {OFF} }}"
    );
    for (path, yaml, expected) in
        [("2/route", &clusters, &["bypass-wide", "route-bypass"][..]), ("0", &route, &["route-bypass"])]
    {
        let mut tree = hardened();
        put(&mut tree, &format!("{MANAGER}/route_config/virtual_hosts/0/routes/{path}"), yaml);
        assert_eq!(ids(&judged(&tree).findings), expected, "{path}");
    }
}

/// B-15: an allowance says what and why, and nothing more is allowed by it.
#[test]
fn allowances() {
    let metadata = |allow: &str| format!("{{ filter_metadata: {{ exequatur: {{ allow: {allow} }} }} }}");
    let health = format!("{MANAGER}/route_config/virtual_hosts/0/routes/0");
    for (allow, expected) in [
        ("{ route-bypass: why }", &[][..]),
        ("{ route-bypass: \"\" }", &["allowance-invalid", "route-bypass"]),
        ("{ route-bypass: ~ }", &["allowance-invalid", "route-bypass"]),
        ("{ route-bypass: true }", &["allowance-invalid", "route-bypass"]),
        ("{ bypass: why }", &["allowance-invalid", "route-bypass"]),
        ("{ route-bypass: why, failure-mode: why }", &["allowance-invalid"]),
        ("{ route-bypass: why, bypass-wide: why }", &["allowance-unused"]),
        ("why", &["allowance-invalid", "route-bypass"]),
        ("[ route-bypass ]", &["allowance-invalid", "route-bypass"]),
    ] {
        let mut tree = hardened();
        put(&mut tree, &format!("{health}/metadata"), &metadata(allow));
        assert_eq!(ids(&judged(&tree).findings), expected, "{allow}");
    }
    // Elsewhere it allows nothing here.
    let mut tree = hardened();
    remove(&mut tree, &format!("{health}/metadata"));
    assert_eq!(ids(&judged(&tree).findings), ["route-bypass"]);
    put(
        &mut tree,
        &format!("{MANAGER}/route_config/virtual_hosts/0/routes/2/metadata"),
        &metadata("{ route-bypass: why }"),
    );
    assert_eq!(ids(&judged(&tree).findings), ["allowance-unused", "route-bypass"]);
    // A bypass is named where it is: what is around it cannot allow those to come.
    for around in ["virtual_hosts/0", ""] {
        let mut tree = hardened();
        remove(&mut tree, &format!("{health}/metadata"));
        let path = format!("{MANAGER}/route_config/{around}/metadata").replace("//", "/");
        put(&mut tree, &path, &metadata("{ route-bypass: why }"));
        assert_eq!(ids(&judged(&tree).findings), ["allowance-unused", "route-bypass"], "{around}");
    }
    // M06: self-signed certificates, on a listener that says so.
    let mut tree = hardened();
    let trust = format!(
        "{CHAIN}/transport_socket/typed_config/common_tls_context/validation_context/trust_chain_verification"
    );
    put(&mut tree, &trust, "ACCEPT_UNTRUSTED");
    put(&mut tree, &format!("{LISTENER}/metadata"), &metadata("{ untrusted-certificates: binding only }"));
    let report = judged(&tree);
    assert_eq!(ids(&report.findings), [""; 0]);
    assert_eq!(report.allowed.len(), 2);
}

/// N09, N06, B-05, B-06, B-11, B-13, N07, N01: what a route makes of what was judged.
#[test]
fn routes() {
    each(
        &format!("{MANAGER}/route_config/virtual_hosts/0/routes/2/route"),
        &[
            ("prefix_rewrite", "/a", &["route-rewrite"]),
            ("regex_rewrite", "{}", &["route-rewrite"]),
            ("path_rewrite_policy", "{}", &["route-rewrite"]),
            ("path_rewrite", "a", &["route-rewrite"]),
            ("host_rewrite_literal", "a", &["route-rewrite"]),
            ("host_rewrite", "a", &["route-rewrite"]),
            ("host_rewrite_path_regex", "{}", &["route-rewrite"]),
            ("auto_host_rewrite", "true", &["route-rewrite"]),
            ("auto_host_rewrite", "false", &[]),
            ("host_rewrite_header", "x-host", &["host-from-header"]),
            ("cluster_header", "x-cluster", &["upstream-from-header"]),
            ("internal_redirect_policy", "{}", &["internal-redirect"]),
            ("internal_redirect_action", "HANDLE_INTERNAL_REDIRECT", &["internal-redirect"]),
            ("internal_redirect_action", "PASS_THROUGH_INTERNAL_REDIRECT", &[]),
            ("request_mirror_policies", "[ { cluster: upstream } ]", &["route-mirror"]),
            ("upgrade_configs", "[ { upgrade_type: websocket } ]", &["upgrades"]),
            ("upgrade_configs", "[ { upgrade_type: websocket, enabled: false } ]", &[]),
            ("cluster_specifier_plugin", "a", &["dynamic-routes"]),
            ("inline_cluster_specifier_plugin", "{}", &["dynamic-routes"]),
            ("timeout", "0.25s", &["route-timeout"]),
            ("timeout", "0.2s", &["route-timeout"]),
            ("timeout", "0.3s", &[]),
            ("timeout", "0s", &[]),
            ("max_stream_duration", "{ max_stream_duration: 0s }", &["route-stream-time"]),
            ("max_stream_duration", "{ grpc_timeout_header_max: 7200s }", &["route-stream-time"]),
            ("max_stream_duration", "{ max_stream_duration: 60s }", &[]),
            // A retry of the route's sends the request on again, and no second Check.
            ("retry_policy", "{ retry_on: 5xx }", &[]),
            (
                "weighted_clusters",
                "{ clusters: [ { name: a, host_rewrite_literal: b }, { cluster_header: c } ] }",
                &["route-rewrite", "upstream-from-header"],
            ),
        ],
    );
    each(
        &format!("{MANAGER}/route_config/virtual_hosts/0"),
        &[
            ("matcher", "{}", &["dynamic-routes"]),
            ("route_specifiers", "[ {} ]", &["dynamic-routes"]),
            ("routes/2/route_specifiers", "[ {} ]", &["dynamic-routes"]),
            ("a", "{}", &["unknown-field"]),
            ("routes/2/a", "{}", &["unknown-field"]),
            ("routes/2/route/a", "{}", &["unknown-field"]),
            ("routes/2/request_headers_to_remove", "[ X-Exequatur-User ]", &["route-header"]),
            ("routes/2/request_headers_to_remove", "[ x-other ]", &[]),
            ("request_mirror_policies", "[ {} ]", &["route-mirror"]),
            ("routes/2/match", "{ connect_matcher: {} }", &["connect-route"]),
            ("routes/3", "{ match: { prefix: / }, filter_action: {} }", &["dynamic-routes"]),
        ],
    );
    each(
        &format!("{MANAGER}/route_config"),
        &[
            ("vhds", "{}", &["dynamic-routes"]),
            ("route_specifiers", "[ {} ]", &["dynamic-routes"]),
            ("a", "{}", &["unknown-field"]),
            ("vhost_header", "x-host", &["upstream-from-header"]),
            ("ignore_path_parameters_in_path_matching", "true", &["path-parameters"]),
            ("cluster_specifier_plugins", "[ {} ]", &["dynamic-routes"]),
        ],
    );
    for level in ["", "virtual_hosts/0/", "virtual_hosts/0/routes/2/"] {
        for (name, clean) in [
            ("x-exequatur-user", false),
            ("X_Exequatur.Anything", false),
            ("authorization", false),
            (":path", false),
            ("Host", false),
            ("x-other", true),
        ] {
            let mut tree = hardened();
            let path = format!("{MANAGER}/route_config/{level}request_headers_to_add");
            put(&mut tree, &path, &format!("[ {{ header: {{ key: \"{name}\", value: a }} }} ]"));
            let expected: &[&str] = if clean { &[] } else { &["route-header"] };
            assert_eq!(ids(&judged(&tree).findings), expected, "{level} {name}");
        }
    }
}

/// B-03, B-06: what chooses an upstream is chosen before forged names are stripped and true ones are set.
#[test]
fn no_name_that_is_believed_chooses() {
    let routes = format!("{MANAGER}/route_config/virtual_hosts/0/routes");
    const CHOSEN: &[&str] = &["upstream-from-header"];
    for (name, expected) in [
        ("x-exequatur-tenant", CHOSEN),
        ("X-Exequatur-Not-Yet", CHOSEN),
        ("x.exequatur_tenant", CHOSEN),
        ("authorization", CHOSEN),
        ("DPoP", CHOSEN),
        ("x-forwarded-client-cert", CHOSEN),
        ("x-method-override", CHOSEN),
        ("x_method.override", CHOSEN),
        ("x-envoy-auth-partial-body", CHOSEN),
        (":method", &[]),
        (":authority", &[]),
        ("content-type", &[]),
        ("origin", &[]),
        ("x-version", &[]),
    ] {
        for matcher in ["string_match: { exact: globex }", "present_match: true", "invert_match: true"] {
            let mut tree = hardened();
            let matched = format!(
                "match: {{ prefix: /, headers: [ {{ name: \":method\" }}, {{ name: \"{name}\", {matcher} }} ] }}"
            );
            put(&mut tree, &format!("{routes}/2"), &format!("{{ {matched}, route: {{ cluster: globex }} }}"));
            assert_eq!(ids(&judged(&tree).findings), expected, "{name} {matcher}");
        }
        let mut tree = hardened();
        let weighted = format!("{{ header_name: \"{name}\", clusters: [ {{ name: a }}, {{ name: b }} ] }}");
        put(&mut tree, &format!("{routes}/2/route"), &format!("{{ weighted_clusters: {weighted} }}"));
        assert_eq!(ids(&judged(&tree).findings), expected, "{name}");
        // By a hash too, where it is made before the decision; among the machines of a cluster it is made after it.
        for (before, expected) in [("true", expected), ("false", &[])] {
            let mut tree = hardened();
            let hash = format!("hash_policy: [ {{ header: {{ header_name: \"{name}\" }} }} ]");
            let weighted =
                format!("{{ use_hash_policy: {before}, clusters: [ {{ name: a }}, {{ name: b }} ] }}");
            put(
                &mut tree,
                &format!("{routes}/2/route"),
                &format!("{{ {hash}, weighted_clusters: {weighted} }}"),
            );
            assert_eq!(ids(&judged(&tree).findings), expected, "{name} {before}");
        }
    }
    each(
        &routes,
        &[
            ("2/match/a_later_matcher", "{}", &["unknown-field"]),
            ("2/match/cookies", "[ { name: a } ]", &[]),
            ("2/match/safe_regex", "{ regex: /a }", &[]),
        ],
    );
    // A scope of routes, as a virtual host: by host, path or method, which are judged too, and by nothing else.
    for (fragment, expected) in [
        ("header_value_extractor: { name: x-exequatur-tenant, index: 0 }", CHOSEN),
        ("header_value_extractor: { name: x-scope, index: 0 }", CHOSEN),
        ("header_value_extractor: { name: \":authority\", index: 0 }", &[]),
        ("header_value_extractor: { name: Host, index: 0 }", &[]),
        ("a_later_extractor: {}", CHOSEN),
    ] {
        let mut tree = hardened();
        let mut hosts = String::new();
        json(at(&mut tree, &format!("{MANAGER}/route_config")), &mut hosts);
        remove(&mut tree, &format!("{MANAGER}/route_config"));
        let scopes = format!(
            "scoped_route_configurations: [ {{ name: a, key: {{}}, route_configuration: {hosts} }} ]"
        );
        let scoped = format!(
            "{{ name: a, scope_key_builder: {{ fragments: [ {{ {fragment} }} ] }}, scoped_route_configurations_list: {{ {scopes} }} }}"
        );
        put(&mut tree, &format!("{MANAGER}/scoped_routes"), &scoped);
        assert_eq!(ids(&judged(&tree).findings), expected, "{fragment}");
    }
    // By name, where it is meant.
    let mut tree = hardened();
    put(
        &mut tree,
        &format!("{routes}/2"),
        "{ match: { prefix: /, headers: [ { name: x-exequatur-user } ] }, direct_response: { status: 400 }, metadata: { filter_metadata: { exequatur: { allow: { upstream-from-header: \"refused here\" } } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
}

/// G29, B-09: a body that is said to be shown is shown, whole, at every level.
#[test]
fn bodies() {
    const PREFLIGHT: &str = "virtual_hosts/0/routes/1/typed_per_filter_config/envoy.filters.http.ext_authz";
    each(
        &format!("{MANAGER}/route_config/{PREFLIGHT}/check_settings"),
        &[
            ("with_request_body", "~", &["body-not-shown"]),
            ("disable_request_body_buffering", "true", &["body-not-shown"]),
            ("context_extensions", "{ exequatur_body: hidden }", &[]),
            ("http_service", "{}", &["check-not-grpc"]),
            ("grpc_service", "{ envoy_grpc: { cluster_name: exequatur } }", &["check-timeout"]),
            (
                "grpc_service",
                "{ envoy_grpc: { cluster_name: other }, timeout: 0.25s, retry_policy: {} }",
                &["check-cluster-unknown", "check-retry"],
            ),
        ],
    );
    const SHOWN: &str = concat!(
        "{ envoy.filters.http.ext_authz: ",
        any!(
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings: { context_extensions: { exequatur_body: shown } }"
        ),
        " }"
    );
    const BYTES: &str = concat!(
        "{ envoy.filters.http.ext_authz: ",
        any!(
            "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings: { with_request_body: { max_request_bytes: 9, allow_partial_message: false, pack_as_bytes: true } }"
        ),
        " }"
    );
    each(
        &format!("{MANAGER}/route_config/virtual_hosts/0"),
        &[
            ("typed_per_filter_config", SHOWN, &["body-not-shown"]),
            ("routes/2/typed_per_filter_config", SHOWN, &["body-not-shown"]),
            ("routes/2/typed_per_filter_config", BYTES, &["body-bytes-lost"]),
        ],
    );
    // Where the filter itself is given bodies, routes are too.
    for settings in [SHOWN, BYTES] {
        let mut tree = hardened();
        put(
            &mut tree,
            &format!("{MANAGER}/http_filters/1/typed_config/with_request_body"),
            "{ max_request_bytes: 9, allow_partial_message: false, pack_as_bytes: true }",
        );
        put(
            &mut tree,
            &format!("{MANAGER}/route_config/virtual_hosts/0/routes/2/typed_per_filter_config"),
            settings,
        );
        assert_eq!(ids(&judged(&tree).findings), [""; 0], "{settings}");
    }
}

/// B-14: no route leads to where Checks are asked.
#[test]
fn no_route_leads_to_the_check() {
    each(
        &format!("{MANAGER}/route_config/virtual_hosts/0/routes/3/route"),
        &[
            ("cluster", "exequatur", &["route-to-check"]),
            (
                "weighted_clusters",
                "{ clusters: [ { name: upstream, weight: 1 }, { name: exequatur, weight: 1 } ] }",
                &["route-to-check"],
            ),
            ("cluster", "exequatur-public", &[]),
        ],
    );
}

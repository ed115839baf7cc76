//! The HTTP connection manager.

use super::{MANAGER, any, each, filter};
use crate::tests::{hardened, ids, judged, put, remove};

/// N04–N07, B-06, B-11, B-14, E04
#[test]
fn connection_managers() {
    each(
        MANAGER,
        &[
            ("normalize_path", "\"true\"", &[]),
            ("normalize_path", "\"truthy\"", &["normalize-path"]),
            ("normalize_path", "1", &["normalize-path"]),
            ("path_with_escaped_slashes_action", "UNESCAPE_AND_REDIRECT", &[]),
            ("path_with_escaped_slashes_action", "2", &[]),
            ("path_with_escaped_slashes_action", "reject_request", &[]),
            ("forward_client_cert_details", "SANITIZE_SET", &[]),
            ("common_http_protocol_options/headers_with_underscores_action", "DROP_HEADER", &[]),
            ("original_ip_detection_extensions", "[ { name: a } ]", &["original-address"]),
            ("early_header_mutation_extensions", "[ { name: a } ]", &["early-mutation"]),
            (
                "early_header_mutation_extensions",
                concat!(
                    "[ { name: a, typed_config: ",
                    any!(
                        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                        "mutations: [ { append: { header: { key: \":path\" } } } ]"
                    ),
                    " } ]"
                ),
                &["early-mutation"],
            ),
            (
                "early_header_mutation_extensions",
                concat!(
                    "[ { name: a, typed_config: ",
                    any!(
                        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                        "mutations: [ { append: { header: { key: x-other } } } ]"
                    ),
                    " } ]"
                ),
                &[],
            ),
            ("not_yet_invented", "true", &["unknown-field"]),
            ("notYetInvented", "true", &["unknown-field"]),
            ("serverName", "a", &[]),
            (
                "tracing",
                "{ custom_tags: [ { tag: a, request_header: { name: authorization } } ] }",
                &["logged-credentials"],
            ),
            ("tracing", "{ custom_tags: [ { tag: a, request_header: { name: x-request-id } } ] }", &[]),
            ("upgrade_configs", "[ { upgrade_type: websocket } ]", &["upgrades"]),
            ("upgrade_configs", "[ { upgrade_type: CONNECT, enabled: false } ]", &[]),
            (
                "upgrade_configs",
                concat!(
                    "[ { upgrade_type: a, enabled: false, filters: [ ",
                    filter!("envoy.extensions.filters.http.router.v3.Router"),
                    " ] } ]"
                ),
                &["unguarded-listener"],
            ),
            ("local_reply_config", "{ mappers: [ { status_code: 200 } ] }", &["local-reply"]),
            ("local_reply_config", "{ mappers: [ { status_code: 503 } ] }", &[]),
            ("rds", "{ route_config_name: a }", &["dynamic-routes"]),
            ("scoped_routes", "{ scoped_rds: {} }", &["dynamic-routes"]),
            (
                "scoped_routes",
                "{ scoped_route_configurations_list: { scoped_route_configurations: [ { name: a } ] } }",
                &["dynamic-routes"],
            ),
            (
                "scoped_routes",
                "{ scoped_route_configurations_list: { scoped_route_configurations: [ { route_configuration: { vhds: {} } } ] } }",
                &["dynamic-routes"],
            ),
        ],
    );
    let mut tree = hardened();
    remove(&mut tree, &format!("{MANAGER}/route_config"));
    assert_eq!(ids(&judged(&tree).findings), ["dynamic-routes"]);
}

/// E04: neither tokens nor queries in a log.
#[test]
fn access_logs() {
    let path = format!("{MANAGER}/access_log/0/typed_config/log_format/text_format_source/inline_string");
    for (format, clean) in [
        ("%REQ(:METHOD)% %PATH(NQ)%", true),
        ("%REQ(x-request-id)% %RESPONSE_CODE%", true),
        ("%REQ(:PATH)%", false),
        ("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH):20%", false),
        ("%PATH%", false),
        ("%PATH(WQ)%", false),
        ("a %% %REQ(authorization)%", false),
        ("%REQ(x-a?dpop)%", false),
        ("%QUERY_PARAM(token)%", false),
        ("%REQUEST_HEADER(x-request-id)%", true),
        ("%REQUEST_HEADER(authorization)%", false),
        ("%REQUEST_HEADER(x-a?DPoP)%", false),
        ("%REQUEST_HEADER(:path)%", false),
        ("%REQ_WITHOUT_QUERY(:path)%", true),
        ("%REQ_WITHOUT_QUERY(cookie)%", false),
        ("%CEL(request.headers['x-request-id'])%", true),
        ("%CEL(request.headers['authorization'])%", false),
        ("%CEL((1 % 2) == 1 ? request.headers['dpop'] : '')%", false),
        ("%CEL(request.path)%", false),
        ("%CEL(request.url_path)%", true),
    ] {
        let mut tree = hardened();
        put(&mut tree, &path, &format!("\"{format}\""));
        assert_eq!(judged(&tree).findings.is_empty(), clean, "{format}");
    }
    let mut tree = hardened();
    remove(&mut tree, &format!("{MANAGER}/access_log/0/typed_config/log_format"));
    assert_eq!(ids(&judged(&tree).findings), ["logged-credentials"]);
    put(
        &mut tree,
        &format!("{MANAGER}/access_log"),
        "[ { name: a, typed_config: { additional_request_headers_to_log: [ Authorization ] } } ]",
    );
    assert_eq!(ids(&judged(&tree).findings), ["logged-credentials"]);
}

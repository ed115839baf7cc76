//! The bootstrap as a whole.

use super::{any, each};
use crate::tests::{hardened, ids, judged, put};

/// E-02, B-15
#[test]
fn the_bootstrap() {
    each(
        "",
        &[
            ("admin/address/socket_address/address", "0.0.0.0", &["admin-exposed"]),
            ("admin/address/socket_address/address", "10.0.0.1", &["admin-exposed"]),
            ("admin/address/socket_address/address", "localhost", &["admin-exposed"]),
            ("admin/address/socket_address/address", "\"::\"", &["admin-exposed"]),
            ("admin/address/socket_address/address", "127.0.0.9", &[]),
            ("admin/address/socket_address/address", "\"::1\"", &[]),
            ("admin/address", "{ pipe: { path: /run/envoy.sock } }", &[]),
            ("dynamic_resources", "{ lds_config: { ads: {} } }", &["dynamic-listeners"]),
            ("dynamic_resources", "{ cds_config: { ads: {} } }", &[]),
            ("layered_runtime", "{ layers: [ { name: a, admin_layer: {} } ] }", &["runtime-layer"]),
            ("layered_runtime", "{ layers: [ { name: a, rtds_layer: {} } ] }", &["runtime-layer"]),
            (
                "layered_runtime",
                "{ layers: [ { name: a, static_layer: { envoy: { reloadable_features: { b: false } } } } ] }",
                &["runtime-layer"],
            ),
            (
                "layered_runtime",
                "{ layers: [ { name: a, static_layer: { envoy.reloadable_features.b: false } } ] }",
                &["runtime-layer"],
            ),
            ("layered_runtime", "{ layers: [ { name: a, static_layer: { overload: { a: 1 } } } ] }", &[]),
            (
                "layered_runtime",
                "{ layers: [ { name: a, static_layer: { exequatur.deny_at_disable: 0 } } ] }",
                &["runtime-key"],
            ),
            (
                "layered_runtime",
                "{ layers: [ { name: a, static_layer: { exequatur: { deny_at_disable: false } } } ] }",
                &["runtime-key"],
            ),
            (
                "layered_runtime",
                "{ layers: [ { name: a, static_layer: { exequatur.deny_at_disable: true } } ] }",
                &[],
            ),
            ("default_regex_engine", "{ name: a }", &["regex-engine"]),
            (
                "inline_headers",
                "[ { inline_header_name: DPoP, inline_header_type: REQUEST_HEADER } ]",
                &["inline-headers"],
            ),
            (
                "inline_headers",
                "[ { inline_header_name: x-other, inline_header_type: REQUEST_HEADER } ]",
                &[],
            ),
            ("static_resources/listeners", "[]", &["no-listener"]),
        ],
    );
}

/// What stands where nobody looks is not clean.
#[test]
fn nothing_is_overlooked() {
    each(
        "",
        &[
            (
                "bootstrap_extensions",
                concat!(
                    "[ { name: a, typed_config: { inner: ",
                    any!("envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"),
                    " } } ]"
                ),
                &["not-judged", "unknown-field"],
            ),
            (
                "bootstrap_extensions",
                concat!(
                    "[ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"),
                    " } ]"
                ),
                &["not-judged", "unknown-field"],
            ),
        ],
    );
}

/// N01, B-15: what loads an extension, or is that of a newer Envoy, is not clean.
#[test]
fn fields_of_the_bootstrap() {
    each(
        "",
        &[
            ("a", "1", &["unknown-field"]),
            ("bootstrap_extensions", "[ { name: a } ]", &["unknown-field"]),
            ("hds_config", "{ api_type: GRPC }", &["unknown-field"]),
            ("stats_sinks", "[ { name: a } ]", &["unknown-field"]),
            ("overloadManager", "{}", &[]),
        ],
    );
    let mut tree = hardened();
    put(&mut tree, "stats_sinks", "[ { name: a } ]");
    put(
        &mut tree,
        "node",
        "{ metadata: { filter_metadata: { exequatur: { allow: { unknown-field: why } } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
}

//! Listeners and their TLS.

use super::{CHAIN, LISTENER, any, each};
use crate::tests::{hardened, ids, judged, put, remove};

/// B-15, B-06, S06
#[test]
fn listeners() {
    each(
        LISTENER,
        &[
            ("filter_chains/0/use_proxy_proto", "true", &["proxy-protocol"]),
            ("access_log", "[ { typed_config: { a: \"%REQ(dpop)%\" } } ]", &["logged-credentials"]),
            ("a", "1", &["unknown-field"]),
            ("filter_chains/0/a", "1", &["unknown-field"]),
            ("filter_chains/0/transport_socket/typed_config/a", "1", &["unknown-field"]),
            ("fcds_config", "{ name: a }", &["dynamic-filter-chains"]),
            (
                "filter_chains/0",
                concat!(
                    "{ filters: [ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
                    " } ] }"
                ),
                &["passes-bytes"],
            ),
            (
                "default_filter_chain",
                concat!(
                    "{ filters: [ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"),
                    " } ] }"
                ),
                &["passes-bytes"],
            ),
            ("filter_chains/0", "{ filters: [ { name: a, config_discovery: {} } ] }", &["network-filter"]),
            (
                "filter_chains/0",
                concat!(
                    "{ filters: [ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.network.wasm.v3.Wasm"),
                    " } ] }"
                ),
                &["network-filter"],
            ),
            (
                "filter_chains/0/filters/0",
                concat!(
                    "{ name: a, typed_config: ",
                    any!("envoy.extensions.filters.network.rbac.v3.RBAC"),
                    " }"
                ),
                &[],
            ),
            (
                "listener_filters",
                concat!(
                    "[ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"),
                    " } ]"
                ),
                &["proxy-protocol"],
            ),
            (
                "listener_filters",
                concat!(
                    "[ { name: a, typed_config: ",
                    any!("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"),
                    " } ]"
                ),
                &[],
            ),
            ("listener_filters", "[ { name: a } ]", &["network-filter"]),
            (
                "filter_chains/0",
                concat!(
                    "{ filters: [ { name: a, typed_config: ",
                    any!(
                        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "http_filters: []"
                    ),
                    " } ] }"
                ),
                &["unguarded-listener"],
            ),
            ("address/socket_address/address", "0.0.0.0", &[]),
        ],
    );
}

/// S06: TLS is only missed where others can connect.
#[test]
fn listeners_without_tls() {
    let mut tree = hardened();
    remove(&mut tree, &format!("{CHAIN}/transport_socket"));
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
    put(&mut tree, &format!("{LISTENER}/address/socket_address/address"), "0.0.0.0");
    assert_eq!(ids(&judged(&tree).findings), ["listener-plaintext"]);
    put(&mut tree, &format!("{LISTENER}/address/socket_address/address"), "127.0.0.1");
    put(
        &mut tree,
        &format!("{LISTENER}/additional_addresses"),
        "[ { address: { socket_address: { address: 0.0.0.0 } } } ]",
    );
    assert_eq!(ids(&judged(&tree).findings), ["listener-plaintext"]);
    put(
        &mut tree,
        &format!("{CHAIN}/transport_socket"),
        concat!(
            "{ name: raw, typed_config: ",
            any!("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
            " }"
        ),
    );
    assert_eq!(ids(&judged(&tree).findings), ["listener-plaintext"]);
}

/// M01, M06
#[test]
fn client_certificates() {
    each(
        &format!("{CHAIN}/transport_socket/typed_config/common_tls_context"),
        &[
            ("validation_context/trust_chain_verification", "accept_untrusted", &["untrusted-certificates"]),
            ("validation_context/trust_chain_verification", "1", &["untrusted-certificates"]),
            ("validation_context/trust_chain_verification", "VERIFY_TRUST_CHAIN", &[]),
            ("validation_context/allow_expired_certificate", "on", &["expired-certificates"]),
            ("validation_context/custom_validator_config", "{ name: a }", &["certificate-validation"]),
            ("validation_context_sds_secret_config", "{ name: a }", &["certificate-validation"]),
            ("combined_validation_context", "{}", &["certificate-validation"]),
            ("custom_handshaker", "{ name: a }", &["certificate-validation"]),
            ("tls_params/tls_minimum_protocol_version", "TLSv1_3", &[]),
        ],
    );
    each(
        CHAIN,
        &[
            (
                "transport_socket/typed_config",
                any!("envoy.extensions.transport_sockets.tap.v3.Tap"),
                &["transport-socket"],
            ),
            ("transport_socket/typed_config", "~", &["transport-socket"]),
        ],
    );
    // A combined context is looked into, whatever is allowed of it.
    let mut tree = hardened();
    put(
        &mut tree,
        &format!("{CHAIN}/transport_socket/typed_config/common_tls_context/combined_validation_context"),
        "{ default_validation_context: { trust_chain_verification: ACCEPT_UNTRUSTED } }",
    );
    put(
        &mut tree,
        &format!("{LISTENER}/metadata"),
        "{ filter_metadata: { exequatur: { allow: { certificate-validation: SDS } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), ["untrusted-certificates"]);
}

//! The way to Exequatur.

use super::{ADDRESS, CLUSTER, each};
use crate::tests::{hardened, ids, judged, put};

/// B-14: who answers in Exequatur's place permits.
#[test]
fn the_way_to_exequatur() {
    each(
        CLUSTER,
        &[
            ("type", "EDS", &["check-endpoints", "check-plaintext"]),
            ("type", "ORIGINAL_DST", &["check-endpoints", "check-plaintext"]),
            ("cluster_type", "{ name: a }", &["check-endpoints", "check-plaintext"]),
            ("load_assignment", "{}", &["check-endpoints", "check-plaintext"]),
        ],
    );
    each(
        CLUSTER,
        &[
            ("load_assignment/endpoints/0/load_balancer_endpoints", "{}", &["check-endpoints"]),
            ("load_assignment/endpoints/0/leds_cluster_locality_config", "{}", &["check-endpoints"]),
            (
                "load_assignment/endpoints/0/lb_endpoints/0/endpoint/additional_addresses",
                "[ { address: { socket_address: { address: 10.0.0.1 } } } ]",
                &["check-plaintext"],
            ),
            (
                "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address",
                "{ envoy_internal_address: { server_listener_name: a } }",
                &["check-plaintext"],
            ),
        ],
    );
    // Exequatur's own cluster is come by twice: its allowance is one.
    let mut tree = hardened();
    put(&mut tree, &format!("{ADDRESS}/socket_address/address"), "10.0.0.1");
    put(
        &mut tree,
        &format!("{CLUSTER}/metadata"),
        "{ filter_metadata: { exequatur: { allow: { check-plaintext: mesh } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
    each(
        ADDRESS,
        &[
            ("socket_address/address", "10.0.0.1", &["check-plaintext"]),
            ("socket_address/address", "exequatur.example", &["check-plaintext"]),
            ("socket_address/address", "localhost", &["check-plaintext"]),
        ],
    );
    let mut tree = hardened();
    put(&mut tree, ADDRESS, "{ pipe: { path: /run/exequatur.sock } }");
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
}

/// B-14: TLS helps only if it is verified whose certificate it is.
#[test]
fn tls_to_exequatur() {
    for (context, clean) in [
        ("", false),
        (", common_tls_context: { validation_context: {} }", false),
        (", common_tls_context: { validation_context: { trusted_ca: { filename: a } } }", false),
        (
            ", auto_sni_san_validation: true, common_tls_context: { validation_context: { trusted_ca: { filename: a } } }",
            true,
        ),
        (
            ", auto_sni_san_validation: true, common_tls_context: { validation_context: { trusted_ca: { filename: a }, trust_chain_verification: ACCEPT_UNTRUSTED } }",
            false,
        ),
        (
            ", common_tls_context: { validation_context: { trusted_ca: { filename: a }, match_typed_subject_alt_names: [ {} ] } }",
            true,
        ),
        (", common_tls_context: { validation_context: { verify_certificate_spki: [ a ] } }", true),
    ] {
        let mut tree = hardened();
        put(&mut tree, &format!("{ADDRESS}/socket_address/address"), "10.0.0.1");
        put(
            &mut tree,
            &format!("{CLUSTER}/transport_socket"),
            &format!(
                "{{ name: tls, typed_config: {{ \"@type\": a/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext{context} }} }}"
            ),
        );
        let expected: &[&str] = if clean { &[] } else { &["check-unverified"] };
        assert_eq!(ids(&judged(&tree).findings), expected, "{context}");
    }
}

/// N09, B-06: what a cluster makes of a request that was judged.
#[test]
fn upstreams() {
    // Filters of a cluster come after the decision, whatever the cluster is.
    const FILTERS: &str = "{ a: { \"@type\": a/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, http_filters: [ { name: a } ] } }";
    each("static_resources/clusters/1", &[("typed_extension_protocol_options", FILTERS, &["filter-after"])]);
    each(
        "static_resources/clusters/1",
        &[
            ("original_dst_lb_config", "{ use_http_header: true }", &["upstream-from-header"]),
            ("original_dst_lb_config", "{ use_http_header: false }", &[]),
            (
                "load_balancing_policy",
                "{ policies: [ { typed_extension_config: { typed_config: { \"@type\": a/envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost } } } ] }",
                &["upstream-from-header"],
            ),
        ],
    );
    let mut tree = hardened();
    put(&mut tree, "static_resources/clusters/1/typed_extension_protocol_options", FILTERS);
    put(
        &mut tree,
        "static_resources/clusters/1/metadata",
        "{ filter_metadata: { exequatur: { allow: { filter-after: why } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
}

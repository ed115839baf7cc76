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
    // Filters of a cluster come after the decision, whatever the cluster is.
    const FILTERS: &str = "{ a: { \"@type\": a/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, http_filters: [ { name: a } ] } }";
    each("static_resources/clusters/1", &[("typed_extension_protocol_options", FILTERS, &["filter-after"])]);
    let mut tree = hardened();
    put(&mut tree, "static_resources/clusters/1/typed_extension_protocol_options", FILTERS);
    put(
        &mut tree,
        "static_resources/clusters/1/metadata",
        "{ filter_metadata: { exequatur: { allow: { filter-after: why } } } }",
    );
    assert_eq!(ids(&judged(&tree).findings), [""; 0]);
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

//! The way to Exequatur.

use super::{ADDRESS, CLUSTER, any, each};
use crate::lint;
use crate::tests::{hardened, ids, judged, options, put};

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

/// B-14: every address counts, wherever in the assignment it stands.
#[test]
fn further_addresses_of_exequatur() {
    const REMOTE: &str = "{ address: { socket_address: { address: 203.0.113.9, port_value: 9191 } } }";
    const LOCAL: &str = "{ address: { socket_address: { address: 127.0.0.2, port_value: 9191 } } }";
    for (path, before, after) in [
        ("load_assignment/endpoints/0/lb_endpoints/0/endpoint/additional_addresses", "[ ", " ]"),
        ("load_assignment/endpoints/0/lb_endpoints/0/endpoint/health_check_config", "", ""),
        ("load_assignment/named_endpoints", "{ a: ", " }"),
        (
            "load_assignment/endpoints/1",
            "{ load_balancer_endpoints: { lb_endpoints: [ { endpoint: ",
            " } ] } }",
        ),
    ] {
        for (address, expected) in [(REMOTE, &["check-plaintext"][..]), (LOCAL, &[])] {
            let mut tree = hardened();
            put(&mut tree, &format!("{CLUSTER}/{path}"), &format!("{before}{address}{after}"));
            assert_eq!(ids(&judged(&tree).findings), expected, "{path}");
        }
    }
}

/// B-14: a transport on this machine may lead away from it.
#[test]
fn transports_to_exequatur() {
    const PROXY: &str = any!(
        "envoy.extensions.transport_sockets.http_11_proxy.v3.Http11ProxyUpstreamTransport",
        "default_proxy_address: { socket_address: { address: 203.0.113.9, port_value: 1 } }"
    );
    const TAP: &str = any!("envoy.extensions.transport_sockets.tap.v3.Tap");
    const RAW: &str = any!("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer");
    const TLS: &str = any!("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext");
    for (config, expected) in
        [(PROXY, &["check-transport"][..]), (TAP, &["check-transport"]), (RAW, &[]), (TLS, &[])]
    {
        let socket = format!("{{ name: a, typed_config: {config} }}");
        for (path, yaml) in [
            ("transport_socket", socket.clone()),
            ("transport_socket_matches", format!("[ {{ name: a, transport_socket: {socket} }} ]")),
        ] {
            let mut tree = hardened();
            put(&mut tree, &format!("{CLUSTER}/{path}"), &yaml);
            assert_eq!(ids(&judged(&tree).findings), expected, "{yaml}");
        }
    }
    each(CLUSTER, &[("transport_socket", "{ name: a }", &["check-transport"])]);
}

/// B-14: the example for another machine holds there; without its parts it does not, which on this machine is nobody's matter.
#[test]
fn the_example_with_certificates_holds_across_a_network() {
    let judge = |from: &str, to: &str, remote: bool| {
        let example = include_str!("../../../../../envoy/mutual-tls.yaml");
        assert!(example.contains(from), "{from}");
        let text = example.replace(from, to);
        let address = "address: 127.0.0.1, port_value: 9191";
        assert!(text.contains(address));
        let text = if remote { text.replace(address, "address: 10.0.0.2, port_value: 9191") } else { text };
        let found = ids(&lint(&text, &options()).unwrap().findings);
        found
            .into_iter()
            .filter(|id| ["check-plaintext", "check-unverified", "check-transport"].contains(id))
            .count()
    };
    let name = "match_typed_subject_alt_names: [ { san_type: DNS, matcher: { exact: localhost } } ]";
    let authority = "trusted_ca: { filename: tls/ca.crt }";
    assert_eq!(judge(name, name, true), 0);
    for without in [name, authority] {
        assert_eq!(judge(without, "", true), 1, "{without}");
        assert_eq!(judge(without, "", false), 0, "{without}");
    }
}

/// B-06: the caller does not choose the upstream.
#[test]
fn upstreams_that_the_caller_chooses() {
    each(
        "static_resources/clusters/1",
        &[
            ("original_dst_lb_config", "{ use_http_header: true }", &["upstream-from-header"]),
            ("original_dst_lb_config", "{ http_header_name: x-host }", &["upstream-from-header"]),
            ("original_dst_lb_config", "{ use_http_header: false }", &[]),
            (
                "load_balancing_policy",
                concat!(
                    "{ policies: [ { typed_extension_config: { name: a, typed_config: ",
                    any!(
                        "envoy.extensions.load_balancing_policies.override_host.v3.OverrideHost",
                        "overrideHostSources: [ { header: x-host } ]"
                    ),
                    " } } ] }"
                ),
                &["upstream-from-header"],
            ),
            (
                "load_balancing_policy",
                concat!(
                    "{ policies: [ { typed_extension_config: { name: a, typed_config: ",
                    any!("envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin"),
                    " } } ] }"
                ),
                &[],
            ),
            (
                "cluster_type",
                concat!(
                    "{ name: a, typed_config: ",
                    any!("envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"),
                    " }"
                ),
                &["upstream-from-header"],
            ),
            ("cluster_type", "{ name: a }", &[]),
        ],
    );
}

/// N01: a field of Exequatur's cluster that these rules do not know; that of another one is nobody's matter.
#[test]
fn fields_of_the_way_to_exequatur() {
    each(CLUSTER, &[("a", "1", &["unknown-field"]), ("filters", "[ { name: a } ]", &["unknown-field"])]);
    each(CLUSTER, &[("lb_policy", "LEAST_REQUEST", &[]), ("circuitBreakers", "{}", &[])]);
    each("static_resources/clusters/1", &[("a", "1", &[])]);
}

//! B-15: Istio's resources are held against each other: each of these differs from a good set of them by one thing.

use super::{ids, options};
use crate::{Report, Severity, lint_all};

const MESH: &str = include_str!("../../../../examples/istio/mesh.yaml");
const AROUND: &str = include_str!("../../../../examples/istio/exequatur.yaml");
const SIDECAR: &str = include_str!("../../../../examples/istio/sidecar.yaml");
const WAYPOINT: &str = include_str!("../../../../examples/istio/waypoint.yaml");
const GATEWAY: &str = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: public, namespace: documents }\nspec:\n  selector: { app: documents }\n  servers:\n  - { port: { number: 443, name: https, protocol: HTTPS }, hosts: [ \"*\" ], tls: { mode: SIMPLE, credentialName: a } }\n";
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: documents, namespace: documents }\nspec:\n  template:\n    metadata:\n      labels: { app: documents, version: v1 }\n      annotations: {}\n    spec: { containers: [] }\n";

fn judged(texts: &[&str]) -> Report {
    lint_all(texts, &options()).unwrap()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    let other = text.replacen(from, to, 1);
    assert_ne!(other, text, "{from}");
    other
}

/// What the sidecar's set breaks, with one thing in another way, and another file.
fn sidecar(from: &str, to: &str, other: &str) -> Vec<&'static str> {
    let texts = [MESH, AROUND, SIDECAR].map(|text| text.replacen(from, to, 1));
    assert!(
        from.is_empty() || texts.iter().any(|text| ![MESH, AROUND, SIDECAR].contains(&text.as_str())),
        "{from}"
    );
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    texts.extend(Some(other).filter(|other| !other.is_empty()));
    ids(&judged(&texts).findings)
}

fn waypoint(from: &str, to: &str, other: &str) -> Vec<&'static str> {
    let text = if from.is_empty() { WAYPOINT.to_owned() } else { replaced(WAYPOINT, from, to) };
    let mut texts = vec![MESH, AROUND, &text];
    texts.extend(Some(other).filter(|other| !other.is_empty()));
    ids(&judged(&texts).findings)
}

fn without(text: &str, kind: &str) -> String {
    let mark = format!("kind: {kind}\n");
    let kept: Vec<&str> = text.split("---\n").filter(|document| !document.contains(&mark)).collect();
    assert!(kept.len() < text.split("---\n").count(), "{kind}");
    kept.join("---\n")
}

fn allow(at: &str, rest: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: other, namespace: {at} }}\nspec: {{ action: ALLOW, {rest} }}\n"
    )
}

/// N01: an `EnvoyFilter` that is for other workloads adds nothing to these.
#[test]
fn a_filter_has_to_reach_the_workloads_of_the_policy() {
    let of = "kind: EnvoyFilter\nmetadata: { name: exequatur, namespace: documents }";
    for (from, to) in [
        (of, "kind: EnvoyFilter\nmetadata: { name: exequatur, namespace: other }"),
        ("workloadSelector: { labels: { app: documents } }", "workloadSelector: { labels: { app: other } }"),
        (
            "workloadSelector: { labels: { app: documents } }",
            "targetRefs: [ { kind: Service, name: documents } ]",
        ),
    ] {
        let found = sidecar(from, to, "");
        for id in ["istio-patch-astray", "strip", "validate-mutations", "deny-at-disable"] {
            assert!(found.contains(&id), "{to}: {found:?}");
        }
    }
    // For some of the workloads only: what it adds is missing in the others, and it is none of its own.
    let some = "workloadSelector: { labels: { app: documents, version: v1 } }";
    let found = sidecar("workloadSelector: { labels: { app: documents } }", some, "");
    assert!(found.contains(&"strip") && !found.contains(&"istio-patch-astray"), "{found:?}");
    // For more than them.
    assert!(sidecar("  workloadSelector: { labels: { app: documents } }\n", "", "").is_empty());
    assert!(
        sidecar(
            "selector: { matchLabels: { app: documents } }",
            "selector: { matchLabels: { app: documents, version: v1 } }",
            ""
        )
        .is_empty()
    );
    let wider = replaced(SIDECAR, "  selector: { matchLabels: { app: documents } }\n", "");
    assert!(ids(&judged(&[MESH, AROUND, &wider]).findings).contains(&"strip"));
    // From the root namespace it is for all, wherever that is.
    let root = "kind: EnvoyFilter\nmetadata: { name: exequatur, namespace: istio-system }";
    assert!(sidecar(of, root, "").is_empty());
    let text = replaced(SIDECAR, of, "kind: EnvoyFilter\nmetadata: { name: exequatur, namespace: meshes }");
    let mesh = replaced(MESH, "meshConfig:\n", "meshConfig:\n  rootNamespace: meshes\n");
    assert!(judged(&[&mesh, AROUND, &text]).findings.is_empty());
    assert!(!judged(&[MESH, AROUND, &text]).findings.is_empty());
}

/// A filter for some of the workloads is judged as well.
#[test]
fn a_filter_for_some_of_them_is_judged() {
    let other = |label: &str, value: &str| {
        format!(
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {{ name: other, namespace: documents }}\nspec:\n  workloadSelector: {{ labels: {{ {label} }} }}\n  configPatches:\n  - applyTo: HTTP_FILTER\n    match: {{ context: SIDECAR_INBOUND, listener: {{ filterChain: {{ filter: {{ name: envoy.filters.network.http_connection_manager, subFilter: {{ name: envoy.filters.http.ext_authz }} }} }} }} }}\n    patch: {{ operation: MERGE, value: {{ name: envoy.filters.http.ext_authz, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz, failure_mode_allow: {value} }} }} }}\n"
        )
    };
    assert_eq!(sidecar("", "", &other("version: v1", "true")), ["failure-mode"]);
    assert!(sidecar("", "", &other("version: v1", "false")).is_empty());
    assert_eq!(sidecar("", "", &other("app: other", "true")), ["istio-patch-astray"]);
}

/// N01: a patch for the side of the caller, or for gateways, changes nothing on the way in.
#[test]
fn a_patch_has_to_be_for_the_way_in() {
    let all = |context: &str| SIDECAR.replace("context: SIDECAR_INBOUND", &format!("context: {context}"));
    let found = ids(&judged(&[MESH, AROUND, &all("SIDECAR_OUTBOUND")]).findings);
    assert!(found.contains(&"istio-patch") && found.contains(&"strip"), "{found:?}");
    let gateway = all("GATEWAY");
    let report = judged(&[MESH, AROUND, &gateway]);
    assert_eq!(ids(&report.findings), ["istio-context"]);
    assert_eq!(report.findings[0].severity, Severity::Unknown);
    assert!(judged(&[MESH, AROUND, &gateway, GATEWAY]).findings.is_empty());
    assert!(judged(&[MESH, AROUND, &all("ANY")]).findings.is_empty());
    // The workloads are those of a gateway: what is for sidecars is not for them.
    let found = sidecar("", "", GATEWAY);
    assert!(found.contains(&"strip") && found.contains(&"validate-mutations"), "{found:?}");
    let template =
        replaced(DEPLOYMENT, "annotations: {}", "annotations: { inject.istio.io/templates: gateway }");
    assert!(judged(&[MESH, AROUND, &gateway, &template]).findings.is_empty());
}

/// B-15: where requests come in.
#[test]
fn a_gateway_asks_or_is_named() {
    let gateway = SIDECAR.replace("context: SIDECAR_INBOUND", "context: GATEWAY");
    let with = |other: &str| ids(&judged(&[MESH, AROUND, &gateway, GATEWAY, other]).findings);
    assert_eq!(with(&GATEWAY.replace("app: documents", "istio: ingress")), ["istio-gateway-unasked"]);
    assert_eq!(with(&GATEWAY.replace("namespace: documents", "namespace: other")), ["istio-gateway-unasked"]);
    // Where its pods are given, they count and not the Gateway's own namespace.
    let elsewhere = GATEWAY.replace("namespace: documents", "namespace: other");
    let pods = replaced(DEPLOYMENT, "annotations: {}", "annotations: { inject.istio.io/templates: gateway }");
    assert!(judged(&[MESH, AROUND, &gateway, GATEWAY, &elsewhere, &pods]).findings.is_empty());
    for (server, expected) in [
        ("{ port: { number: 80, protocol: HTTP } }", &["listener-plaintext"][..]),
        ("{ port: { number: 80, protocol: HTTP }, tls: { httpsRedirect: true } }", &[]),
        (
            "{ port: { number: 80, protocol: HTTP2 }, tls: { mode: SIMPLE, credentialName: a } }",
            &["listener-plaintext"],
        ),
        ("{ port: { number: 443, protocol: HTTPS }, tls: { mode: PASSTHROUGH } }", &["istio-gateway-opaque"]),
        ("{ port: { number: 443, protocol: HTTPS }, tls: { credentialName: a } }", &["istio-gateway-opaque"]),
        ("{ port: { number: 443, protocol: HTTPS }, tls: { mode: OPTIONAL_MUTUAL } }", &[]),
        (
            "{ port: { number: 443, protocol: TLS }, tls: { mode: AUTO_PASSTHROUGH } }",
            &["istio-gateway-opaque"],
        ),
        ("{ port: { number: 9, protocol: TCP } }", &["istio-gateway-opaque"]),
    ] {
        let text = format!("{GATEWAY}  - {server}\n");
        assert_eq!(with(&text), expected, "{server}");
    }
    // Gateways of the Gateway API, and routes whose gateway is not here.
    let ingress = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: in, namespace: documents }\nspec: { gatewayClassName: istio, listeners: [ { name: a, port: 443, protocol: HTTPS } ] }\n";
    assert_eq!(sidecar("", "", ingress), ["istio-gateway-unasked"]);
    let asking = gateway
        .replace(
            "  selector: { matchLabels: { app: documents } }\n",
            "  targetRefs: [ { kind: Gateway, name: in } ]\n",
        )
        .replace(
            "  workloadSelector: { labels: { app: documents } }\n",
            "  targetRefs: [ { kind: Gateway, name: in } ]\n",
        );
    assert!(judged(&[MESH, AROUND, &asking, ingress]).findings.is_empty());
    assert_eq!(ids(&judged(&[MESH, AROUND, &asking]).findings), ["istio-target-unseen"]);
    let route = |parent: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: a, namespace: documents }}\nspec: {{ parentRefs: [ {{ {parent} }} ], rules: [] }}\n"
        )
    };
    assert_eq!(sidecar("", "", &route("name: in")), ["istio-gateway-unasked"]);
    assert!(sidecar("", "", &route("kind: Service, name: documents")).is_empty());
    assert!(judged(&[MESH, AROUND, &asking, ingress, &route("name: in")]).findings.is_empty());
    assert_eq!(
        ids(&judged(&[MESH, AROUND, &asking, ingress, &route("name: in, namespace: other")]).findings),
        ["istio-gateway-unasked"]
    );
}

/// S06: a `PeerAuthentication` counts for whom it is.
#[test]
fn peers_are_those_of_the_workloads() {
    let of = "spec: { mtls: { mode: STRICT } }";
    assert!(
        sidecar(of, "spec: { selector: { matchLabels: { app: documents } }, mtls: { mode: STRICT } }", "")
            .is_empty()
    );
    assert_eq!(
        sidecar(of, "spec: { selector: { matchLabels: { app: other } }, mtls: { mode: STRICT } }", ""),
        ["istio-permissive"]
    );
    let name = "metadata: { name: documents, namespace: documents }";
    assert_eq!(sidecar(name, "metadata: { name: documents, namespace: other }", ""), ["istio-permissive"]);
    assert!(sidecar(name, "metadata: { name: documents, namespace: istio-system }", "").is_empty());
    let text = replaced(SIDECAR, name, "metadata: { name: documents, namespace: istio-system }");
    let text = replaced(
        &text,
        of,
        "spec: { selector: { matchLabels: { app: documents } }, mtls: { mode: STRICT } }",
    );
    assert_eq!(ids(&judged(&[MESH, AROUND, &text]).findings), ["istio-permissive"]);
}

/// B-14: the rule that counts is the one that Istio takes for the proxy that asks.
#[test]
fn a_destination_rule_counts_where_it_reaches() {
    let host = "host: exequatur.exequatur.svc.cluster.local";
    for good in ["host: exequatur", "host: \"*.exequatur.svc.cluster.local\"", "host: \"*\""] {
        assert!(sidecar(host, good, "").is_empty(), "{good}");
    }
    for other in ["host: other", "host: \"*.other.svc.cluster.local\"", "host: exequatur.exequatur"] {
        assert_eq!(sidecar(host, other, ""), ["istio-check-plaintext"], "{other}");
    }
    let whole = "spec:\n  host: exequatur.exequatur.svc.cluster.local\n";
    for (to, expected) in [
        ("[ \".\" ]", &["istio-check-plaintext"][..]),
        ("[ other ]", &["istio-check-plaintext"]),
        ("[ documents ]", &[]),
        ("[ \"*\" ]", &[]),
        ("[]", &[]),
    ] {
        assert_eq!(sidecar(whole, &format!("{whole}  exportTo: {to}\n"), ""), expected, "{to}");
    }
    let mesh = replaced(MESH, "meshConfig:\n", "meshConfig:\n  defaultDestinationRuleExportTo: [ \".\" ]\n");
    assert_eq!(ids(&judged(&[&mesh, AROUND, SIDECAR]).findings), ["istio-check-plaintext"]);
    let at = "kind: DestinationRule\nmetadata: { name: exequatur, namespace: exequatur }";
    let moved = |to: &str| format!("kind: DestinationRule\nmetadata: {{ name: exequatur, namespace: {to} }}");
    assert_eq!(sidecar(at, &moved("other"), ""), ["istio-check-plaintext"]);
    assert!(sidecar(at, &moved("istio-system"), "").is_empty());
    assert!(sidecar(at, &moved("documents"), "").is_empty());
    // One of the proxy's own namespace is taken, whatever that of the Service says.
    let shadow = |at: &str, host: &str, mode: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: all, namespace: {at} }}\nspec: {{ host: \"{host}\", trafficPolicy: {{ tls: {{ mode: {mode} }} }} }}\n"
        )
    };
    assert_eq!(sidecar("", "", &shadow("documents", "*", "DISABLE")), ["istio-check-plaintext"]);
    assert!(sidecar("", "", &shadow("documents", "*", "ISTIO_MUTUAL")).is_empty());
    assert!(sidecar("", "", &shadow("documents", "*.other.svc.cluster.local", "DISABLE")).is_empty());
    assert!(sidecar("", "", &shadow("istio-system", "*", "DISABLE")).is_empty());
    assert!(sidecar("", "", &shadow("exequatur", "*", "DISABLE")).is_empty());
}

/// B-14: whoever one policy lets ask may ask.
#[test]
fn every_policy_of_exequatur_names_who_asks() {
    assert_eq!(sidecar("", "", &allow("exequatur", "rules: [ {} ]")), ["istio-askers"]);
    assert!(
        sidecar("", "", &allow("exequatur", "rules: [ { to: [ { operation: { ports: [ \"9192\" ] } } ] } ]"))
            .is_empty()
    );
    assert_eq!(
        sidecar(
            "",
            "",
            &allow("exequatur", "rules: [ { to: [ { operation: { ports: [ \"9191\", \"9192\" ] } } ] } ]")
        ),
        ["istio-askers"]
    );
    let for_another = "kind: AuthorizationPolicy\nmetadata: { name: askers, namespace: exequatur }\nspec:\n";
    assert_eq!(
        sidecar(for_another, &format!("{for_another}  selector: {{ matchLabels: {{ app: other }} }}\n"), ""),
        ["istio-askers"]
    );
}

/// B-15: ports, pods and namespaces without a proxy.
#[test]
fn pods_stay_in_the_mesh() {
    let annotated = |annotation: &str| {
        replaced(DEPLOYMENT, "annotations: {}", &format!("annotations: {{ {annotation} }}"))
    };
    for good in [
        "sidecar.istio.io/inject: \"true\"",
        "traffic.sidecar.istio.io/includeInboundPorts: \"*\"",
        "traffic.sidecar.istio.io/excludeInboundPorts: \"\"",
        "traffic.sidecar.istio.io/excludeOutboundPorts: \"443\"",
        "inject.istio.io/templates: sidecar",
    ] {
        assert!(sidecar("", "", &annotated(good)).is_empty(), "{good}");
    }
    for bad in [
        "sidecar.istio.io/inject: \"false\"",
        "traffic.sidecar.istio.io/includeInboundPorts: \"8080\"",
        "traffic.sidecar.istio.io/includeInboundPorts: \"\"",
        "traffic.sidecar.istio.io/excludeInboundPorts: \"9090\"",
        "traffic.sidecar.istio.io/excludeInterfaces: eth1",
        "sidecar.istio.io/interceptionMode: NONE",
        "inject.istio.io/templates: grpc-agent",
        "sidecar.istio.io/bootstrapOverride: a",
    ] {
        assert_eq!(sidecar("", "", &annotated(bad)), ["istio-out-of-mesh"], "{bad}");
        // Somebody else's pods are not guarded.
        let other = annotated(bad).replace("app: documents", "app: other");
        let other = format!("{DEPLOYMENT}---\n{other}");
        assert!(sidecar("", "", &other).is_empty(), "{bad}");
        let other = annotated(bad).replace("namespace: documents", "namespace: other");
        assert!(sidecar("", "", &other).is_empty(), "{bad}");
    }
    let labelled = replaced(DEPLOYMENT, "version: v1", "version: v1, sidecar.istio.io/inject: \"false\"");
    assert_eq!(sidecar("", "", &labelled), ["istio-out-of-mesh"]);
    let both = replaced(
        &annotated("sidecar.istio.io/inject: \"false\""),
        "version: v1",
        "version: v1, sidecar.istio.io/inject: \"true\"",
    );
    assert!(sidecar("", "", &both).is_empty());
    assert_eq!(
        sidecar("", "", &replaced(DEPLOYMENT, "spec: { containers", "spec: { hostNetwork: true, containers")),
        ["istio-out-of-mesh"]
    );
    let excluded = annotated("traffic.sidecar.istio.io/excludeInboundPorts: \"9090\"");
    for (kind, version) in [("StatefulSet", "apps/v1"), ("DaemonSet", "apps/v1"), ("Job", "batch/v1")] {
        let text = excluded.replace("kind: Deployment", &format!("kind: {kind}")).replace("apps/v1", version);
        assert_eq!(sidecar("", "", &text), ["istio-out-of-mesh"], "{kind}");
    }
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: { name: a, namespace: documents, labels: { app: documents }, annotations: { sidecar.istio.io/inject: \"false\" } }\n";
    assert_eq!(sidecar("", "", pod), ["istio-out-of-mesh"]);
    let named = replaced(
        &excluded,
        "metadata: { name: documents, namespace: documents }",
        "metadata: { name: documents, namespace: documents, annotations: { exequatur.allow/istio-out-of-mesh: \"metrics alone\" } }",
    );
    let report = judged(&[MESH, AROUND, SIDECAR, &named]);
    assert!(report.findings.is_empty() && report.allowed.len() == 1, "{report:#?}");
}

/// B-15: that a proxy is there has to be said.
#[test]
fn injection_is_seen() {
    let alone = without(SIDECAR, "Namespace");
    let with = |other: &str| ids(&judged(&[MESH, AROUND, &alone, other]).findings);
    assert_eq!(with("apiVersion: v1\nkind: Secret\n"), ["istio-not-injected"]);
    let namespace = |label: &str| {
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{ name: documents, labels: {{ {label} }} }}\n")
    };
    assert!(with(&namespace("istio-injection: enabled")).is_empty());
    assert!(with(&namespace("istio.io/rev: stable")).is_empty());
    assert_eq!(with(&namespace("team: a")), ["istio-not-injected"]);
    assert_eq!(with(&namespace("istio-injection: disabled")), ["istio-out-of-mesh"]);
    assert_eq!(with(DEPLOYMENT), ["istio-not-injected"]);
    assert!(with(&replaced(DEPLOYMENT, "version: v1", "sidecar.istio.io/inject: \"true\"")).is_empty());
}

/// B-15: ALLOW policies add up, so that each of them has to name the waypoint and nobody else.
#[test]
fn nobody_is_let_past_the_waypoint() {
    let only = "principals: [ cluster.local/ns/documents/sa/waypoint ]";
    assert!(waypoint("", "", "").is_empty());
    for (to, expected) in [
        ("principals: [ cluster.local/ns/documents/sa/other ]", &["istio-past-waypoint"][..]),
        ("principals: [ cluster.local/ns/other/sa/waypoint ]", &["istio-past-waypoint"]),
        (
            "principals: [ cluster.local/ns/documents/sa/waypoint, cluster.local/ns/a/sa/b ]",
            &["istio-past-waypoint"],
        ),
        ("principals: [ \"*/ns/documents/sa/waypoint\" ]", &["istio-past-waypoint"]),
        ("principals: [ other.example/ns/documents/sa/waypoint ]", &[]),
        ("principals: [ a/ns/b/ns/documents/sa/waypoint ]", &["istio-past-waypoint"]),
        ("principals: [ /ns/documents/sa/waypoint ]", &["istio-past-waypoint"]),
        ("serviceAccounts: [ documents/waypoint ]", &[]),
        ("serviceAccounts: [ waypoint ]", &[]),
        ("namespaces: [ documents ]", &["istio-past-waypoint"]),
    ] {
        assert_eq!(waypoint(only, to, ""), expected, "{to}");
    }
    for rules in [
        "rules: [ {} ]",
        "rules: [ { to: [ { operation: { ports: [ \"9090\" ] } } ] } ]",
        "rules: [ { from: [ { source: { namespaces: [ monitoring ] } } ] } ]",
    ] {
        for at in ["documents", "istio-system"] {
            let found = waypoint("", "", &allow(at, rules));
            assert!(found.contains(&"istio-past-waypoint"), "{at} {rules}: {found:?}");
        }
        assert!(waypoint("", "", &allow("other", rules)).is_empty(), "{rules}");
        assert!(
            waypoint(
                "",
                "",
                &allow("documents", &format!("selector: {{ matchLabels: {{ app: other }} }}, {rules}"))
            )
            .is_empty()
        );
        assert!(waypoint("", "", &allow("documents", rules).replace("ALLOW", "DENY")).is_empty());
    }
    // The policy that closes has to be for what is behind the Service.
    assert_eq!(
        waypoint(
            "  selector: { matchLabels: { app: documents } }",
            "  selector: { matchLabels: { app: other } }",
            ""
        ),
        ["istio-past-waypoint"]
    );
    assert_eq!(
        waypoint("  selector: { app: documents }", "  selector: { tier: web }", ""),
        ["istio-past-waypoint"]
    );
    // It has another account if its Gateway says so.
    let account = "  labels: { istio.io/waypoint-for: service }\n";
    assert_eq!(
        waypoint(account, "  annotations: { gateway.istio.io/service-account: other }\n", ""),
        ["istio-past-waypoint"]
    );
}

/// B-15: a waypoint that nothing goes by asks about nothing.
#[test]
fn something_goes_by_the_waypoint() {
    let label = "istio.io/use-waypoint: waypoint";
    assert_eq!(waypoint(label, "istio.io/use-waypoint: none", ""), ["istio-waypoint-unused"]);
    assert_eq!(waypoint(label, "istio.io/use-waypoint: other", ""), ["istio-waypoint-unused"]);
    assert_eq!(
        waypoint(label, "istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: other", ""),
        ["istio-waypoint-unused"]
    );
    assert_eq!(waypoint("istio.io/dataplane-mode: ambient", "team: a", ""), ["istio-waypoint-unused"]);
    for kind in ["Service", "Namespace"] {
        let text = without(WAYPOINT, kind);
        assert_eq!(ids(&judged(&[MESH, AROUND, &text]).findings), ["istio-waypoint-unused"], "{kind}");
    }
    assert_eq!(
        waypoint("istio.io/waypoint-for: service", "istio.io/waypoint-for: none", ""),
        ["istio-waypoint-for"]
    );
    assert_eq!(
        waypoint("istio.io/waypoint-for: service", "istio.io/waypoint-for: workload", ""),
        ["istio-waypoint-for"]
    );
    assert!(waypoint("istio.io/waypoint-for: service", "istio.io/waypoint-for: all", "").is_empty());
    assert!(waypoint("  labels: { istio.io/waypoint-for: service }\n", "", "").is_empty());
    // By the Service alone, in a namespace that says nothing of waypoints.
    let text = replaced(
        &replaced(WAYPOINT, ", istio.io/use-waypoint: waypoint", ""),
        "metadata: { name: documents, namespace: documents }\nspec:\n  selector",
        "metadata: { name: documents, namespace: documents, labels: { istio.io/use-waypoint: waypoint } }\nspec:\n  selector",
    );
    assert!(judged(&[MESH, AROUND, &text]).findings.is_empty());
    let off = replaced(DEPLOYMENT, "version: v1", "istio.io/dataplane-mode: none");
    assert_eq!(waypoint("", "", &off), ["istio-out-of-mesh"]);
    let off = replaced(
        DEPLOYMENT,
        "annotations: {}",
        "annotations: { ambient.istio.io/bypass-inbound-capture: \"true\" }",
    );
    assert_eq!(waypoint("", "", &off), ["istio-out-of-mesh"]);
    assert!(waypoint("", "", DEPLOYMENT).is_empty());
}

/// B-15: a Service leaves the waypoint of its namespace by a label of its own.
#[test]
fn a_service_that_leaves_the_waypoint_is_seen() {
    let service = |at: &str, labels: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: reports, namespace: {at}, labels: {{ {labels} }} }}\nspec: {{ selector: {{ app: documents }}, ports: [ {{ port: 80 }} ] }}\n"
        )
    };
    for (labels, expected) in [
        ("istio.io/use-waypoint: none", &["istio-waypoint-unused"][..]),
        ("istio.io/use-waypoint: other", &["istio-waypoint-unused"]),
        (
            "istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: other",
            &["istio-waypoint-unused"],
        ),
        ("istio.io/use-waypoint: waypoint", &[]),
        ("team: a", &[]),
    ] {
        assert_eq!(waypoint("", "", &service("documents", labels)), expected, "{labels}");
        // Nobody said that what is elsewhere is guarded.
        let found = waypoint("", "", &service("other", labels));
        assert!(found.is_empty(), "{labels}: {found:?}");
    }
    let report = judged(&[MESH, AROUND, WAYPOINT, &service("documents", "istio.io/use-waypoint: none")]);
    assert_eq!((report.findings[0].place.text, report.findings[0].place.line), (3, 3));
    // A waypoint that is here, and at which nobody asks.
    let open = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: open, namespace: documents, labels: { istio.io/waypoint-for: service } }\nspec: { gatewayClassName: istio-waypoint, listeners: [ { name: mesh, port: 15008, protocol: HBONE } ] }\n---\n";
    let by_open = format!("{open}{}", service("documents", "istio.io/use-waypoint: open"));
    assert_eq!(waypoint("", "", &by_open), ["istio-waypoint-unused"]);
    // Its namespace goes by a waypoint of another one.
    let elsewhere = format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{ name: far, labels: {{ istio.io/dataplane-mode: ambient, istio.io/use-waypoint: waypoint, istio.io/use-waypoint-namespace: documents }} }}\n---\n{}",
        service("far", "istio.io/use-waypoint: none")
    );
    assert_eq!(waypoint("", "", &elsewhere), ["istio-waypoint-unused"]);
    let named = service("documents", "istio.io/use-waypoint: none")
        .replace("labels:", "annotations: { exequatur.allow/istio-waypoint-unused: \"public\" }, labels:");
    let report = judged(&[MESH, AROUND, WAYPOINT, &named]);
    assert!(report.findings.is_empty() && report.allowed.len() == 2, "{report:#?}");
}

/// B-15: a `ConfigMap` whose data has `mesh` is a `MeshConfig`, whatever that holds.
#[test]
fn a_mesh_in_a_config_map_is_one_whatever_it_holds() {
    let mesh = |text: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: istio-b, namespace: a }}\ndata:\n  mesh: \"{text}\"\n"
        )
    };
    assert_eq!(
        sidecar("", "", &mesh("defaultConfig: { interceptionMode: NONE }")),
        ["istio-normalization", "istio-out-of-mesh"]
    );
    assert!(sidecar("", "", &mesh("pathNormalization: { normalization: MERGE_SLASHES }")).is_empty());
    for kind in ["LimitRange", "PersistentVolumeClaim", "ResourceQuota"] {
        let text = format!("apiVersion: v1\nkind: {kind}\nmetadata: {{ name: a }}\n");
        assert!(sidecar("", "", &text).is_empty(), "{kind}");
    }
}

/// B-15: labels that no pod carries select nothing.
#[test]
fn a_policy_selects_pods_that_are_there() {
    let other = DEPLOYMENT.replace("app: documents", "app: document");
    assert_eq!(sidecar("", "", &other), ["istio-target-unseen"]);
    let both = format!("{DEPLOYMENT}---\n{other}");
    assert!(sidecar("", "", &both).is_empty());
    assert!(sidecar("", "", &other.replace("namespace: documents", "namespace: other")).is_empty());
}

/// B-15: what the values of istiod say is for every pod.
#[test]
fn every_pod_stays_in_the_mesh() {
    for (values, expected) in [
        ("global: { proxy: { excludeInboundPorts: \"9090\" } }", &["istio-out-of-mesh"][..]),
        ("global: { proxy: { includeInboundPorts: \"80\" } }", &["istio-out-of-mesh"]),
        ("global: { proxy: { autoInject: disabled } }", &["istio-out-of-mesh"]),
        (
            "global: { proxy: { includeInboundPorts: \"*\", excludeInboundPorts: \"\", autoInject: enabled } }",
            &[],
        ),
    ] {
        let mesh = format!("{MESH}{values}\n");
        assert_eq!(ids(&judged(&[&mesh, AROUND, SIDECAR]).findings), expected, "{values}");
        let inner =
            MESH.split_once("meshConfig:\n").unwrap().1.replace("\n  ", "\n    ").replacen("  ", "    ", 1);
        let operator = format!(
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  values: {{ {values} }}\n  meshConfig:\n{inner}"
        );
        assert_eq!(ids(&judged(&[&operator, AROUND, SIDECAR]).findings), expected, "{values}");
    }
}

/// The four forms in which a mesh is given, with another `defaultConfig`.
fn forms(config: &str) -> [(&'static str, String); 4] {
    let inner = MESH.split_once("meshConfig:\n").unwrap().1;
    let inner = format!("  defaultConfig: {config}\n{inner}");
    let at = |by: &str| inner.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    [
        ("values", format!("meshConfig:\n{inner}")),
        (
            "bare",
            inner.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect(),
        ),
        (
            "ConfigMap",
            format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: istio, namespace: istio-system }}\ndata:\n  mesh: |\n{}",
                at("  ")
            ),
        ),
        (
            "IstioOperator",
            format!(
                "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig:\n{}",
                at("  ")
            ),
        ),
    ]
}

/// What a `ProxyConfig` says, and what that breaks.
const PROXY_CONFIGS: [(&str, &[&str]); 12] = [
    ("{ interceptionMode: NONE }", &["istio-out-of-mesh"]),
    ("{ interceptionMode: 2 }", &["istio-out-of-mesh"]),
    ("{ interceptionMode: OF_TOMORROW }", &["istio-out-of-mesh"]),
    ("{ customConfigFile: a.json }", &["istio-out-of-mesh"]),
    ("{ proxyBootstrapTemplatePath: a.json }", &["istio-out-of-mesh"]),
    ("{ proxyMetadata: { ISTIO_META_INTERCEPTION_MODE: NONE } }", &["istio-out-of-mesh"]),
    ("{ proxyMetadata: { ISTIO_BOOTSTRAP_OVERRIDE: a.json } }", &["istio-out-of-mesh"]),
    ("{ runtimeValues: { exequatur.deny_at_disable: 'false' } }", &["runtime-key"]),
    ("{ runtimeValues: { envoy.reloadable_features.a: 'false' } }", &["runtime-layer"]),
    ("{ runtimeValues: { exequatur.deny_at_disable: 'true', overload.a: '1' } }", &[]),
    ("{ interceptionMode: TPROXY, proxyMetadata: { ISTIO_META_DNS_CAPTURE: 'true' } }", &[]),
    ("{ concurrency: 2 }", &[]),
];

/// B-15, N01: what a mesh says of every proxy is judged in whatever form it is given.
#[test]
fn a_proxy_config_is_judged_in_every_form() {
    for (config, expected) in PROXY_CONFIGS {
        for (form, mesh) in forms(config) {
            let report = judged(&[&mesh, AROUND, SIDECAR]);
            assert_eq!(ids(&report.findings), expected, "{form}: {config}: {mesh}");
            assert_eq!(report.findings.len(), expected.len(), "{form}: {config}");
        }
    }
}

/// B-15, N01: a pod says the same of its own proxy, as text.
#[test]
fn a_proxy_config_is_judged_in_an_annotation() {
    let annotated = |key: &str, text: &str| {
        replaced(DEPLOYMENT, "annotations: {}", &format!("annotations: {{ {key}: \"{text}\" }}"))
    };
    for (config, expected) in PROXY_CONFIGS {
        assert_eq!(sidecar("", "", &annotated("proxy.istio.io/config", config)), expected, "{config}");
    }
    let report = |key: &str, text: &str| judged(&[MESH, AROUND, SIDECAR, &annotated(key, text)]);
    let hole = report("proxy.istio.io/config", "interceptionMode: NONE");
    assert_eq!(hole.findings[0].severity, Severity::Hole);
    assert_eq!((hole.findings[0].place.text, hole.findings[0].place.line), (3, 8));
    for (key, text) in [
        ("proxy.istio.io/config", "a: [ b"),
        ("proxy.istio.io/config", "NONE"),
        ("proxy.istio.io/of-tomorrow", "a"),
        ("traffic.sidecar.istio.io/of-tomorrow", "a"),
        ("istio.io/reroute-of-tomorrow", "a"),
    ] {
        let report = report(key, text);
        assert_eq!(ids(&report.findings), ["istio-out-of-mesh"], "{key}");
        assert_eq!(report.findings[0].severity, Severity::Unknown, "{key}");
    }
    for key in ["traffic.sidecar.istio.io/kubevirtInterfaces", "istio.io/reroute-virtual-interfaces"] {
        let report = report(key, "net1");
        assert_eq!(report.findings[0].severity, Severity::Hole, "{key}");
        assert!(sidecar("", "", &annotated(key, "")).is_empty(), "{key}");
    }
    assert!(sidecar("", "", &annotated("proxy.istio.io/config", "")).is_empty());
    for key in ["includeOutboundPorts", "excludeOutboundIPRanges", "includeOutboundIPRanges"] {
        assert!(
            sidecar("", "", &annotated(&format!("traffic.sidecar.istio.io/{key}"), "1")).is_empty(),
            "{key}"
        );
    }
}

//! `examples/istio`, changed in one place at a time.

use super::manifests::Example;
use super::{ids, options};
use crate::rule::Part;
use crate::{Severity, lint, lint_all};

const MESH: &str = include_str!("../../../../examples/istio/mesh.yaml");
const AROUND: &str = include_str!("../../../../examples/istio/exequatur.yaml");
const SIDECAR_FILE: &str = include_str!("../../../../examples/istio/sidecar.yaml");
const WAYPOINT_FILE: &str = include_str!("../../../../examples/istio/waypoint.yaml");

const PARTS: &[Part] = &[
    Part::Mesh,
    Part::Provider,
    Part::Peers,
    Part::Destination,
    Part::Body,
    Part::Check,
    Part::Connection,
    Part::Strip,
];
/// Istio says these itself, and its keys for them are judged in their place.
const NOT_HERE: &[&str] = &[
    "failure-mode",
    "status-on-error",
    "route-cache",
    "remote-address",
    "trusted-hops",
    "normalize-path",
    "merge-slashes",
    "http-1.0",
    "lenient-http1",
];

const SIDECAR: Example = Example { files: &[MESH, AROUND, SIDECAR_FILE], parts: PARTS, not_here: NOT_HERE };
const WAYPOINT: Example = Example {
    files: &[MESH, AROUND, WAYPOINT_FILE],
    parts: &[Part::Mesh, Part::Provider, Part::Peers, Part::Destination, Part::Body],
    not_here: NOT_HERE,
};

const PROVIDER: &str = "0/meshConfig/extensionProviders/0";
const GRPC: &str = "0/meshConfig/extensionProviders/0/envoyExtAuthzGrpc";

#[test]
fn the_sidecar_is_clean_and_no_key_is_lost_unseen() {
    SIDECAR.holds();
}

#[test]
fn the_waypoint_is_clean_and_no_key_is_lost_unseen() {
    WAYPOINT.holds();
}

/// N01, B-15: who is asked, and by whom.
#[test]
fn provider_and_policy_name_each_other() {
    SIDECAR.breaks(&format!("{PROVIDER}/name"), "other", &["istio-provider-missing", "istio-unasked"]);
    SIDECAR.breaks("4/spec/provider/name", "other", &["istio-provider-missing", "istio-unasked"]);
    SIDECAR.misses("0", &["istio-provider-missing"]);
    // Nobody asks: then nothing is merged either.
    SIDECAR.misses("4", &["istio-unasked"]);
    SIDECAR.breaks("4/spec/action", "DENY", &["istio-unasked"]);
    SIDECAR.misses("4/spec/action", &["istio-unasked"]);
    SIDECAR.breaks(
        "0/meshConfig/extensionProviders/1",
        "{ name: other, envoyExtAuthzHttp: { service: a, port: 1 } }",
        &["check-not-grpc"],
    );
    SIDECAR.breaks(&format!("{GRPC}/clearRouteCache"), "true", &["istio-route-cache"]);
    SIDECAR.breaks(&format!("{GRPC}/shadow"), "true", &["unknown-field"]);
    SIDECAR.breaks(&format!("{GRPC}/includeRequestBodyInCheck/maxRequestBytes"), "1048576", &["body-size"]);
}

/// B-15: what a policy leaves out passes.
#[test]
fn a_policy_selects_everything() {
    SIDECAR.misses("4/spec/rules", &["istio-policy-empty"]);
    SIDECAR.breaks("4/spec/rules", "[]", &["istio-policy-empty"]);
    for rules in [
        "[ { to: [ { operation: { paths: [ /documents* ] } } ] } ]",
        "[ { to: [ { operation: { notPaths: [ /healthz ] } } ] } ]",
        "[ { from: [ { source: { notNamespaces: [ documents ] } } ] } ]",
        "[ { when: [ { key: \"request.headers[x-agent]\", values: [ a ] } ] } ]",
    ] {
        SIDECAR.breaks("4/spec/rules", rules, &["istio-policy-part"]);
    }
    for rules in ["[ { to: [] } ]", "[ { to: [ { operation: { paths: [ /a ] } } ] }, {} ]"] {
        SIDECAR.breaks("4/spec/rules", rules, &[]);
    }
    SIDECAR.breaks("4/metadata/annotations", "{ istio.io/dry-run: \"true\" }", &["istio-dry-run"]);
    SIDECAR.breaks("4/spec/exclude", "{}", &["unknown-field"]);
}

/// A part can be left out by name, with a reason.
#[test]
fn a_part_is_allowed_by_an_annotation() {
    let part = SIDECAR_FILE
        .replace("rules: [ {} ]", "rules: [ { to: [ { operation: { notPaths: [ /livez ] } } ] } ]");
    let named = "metadata: { name: exequatur, namespace: documents, annotations: { exequatur.allow/istio-policy-part: \"the kubelet's own question\" } }";
    let allowed = part.replacen("metadata: { name: exequatur, namespace: documents }", named, 1);
    assert_ne!(allowed, part);
    let report = lint_all(&[MESH, AROUND, &allowed], &options()).unwrap();
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    assert_eq!(report.allowed[0].reason, "the kubelet's own question");
    let idle = SIDECAR_FILE.replacen("metadata: { name: exequatur, namespace: documents }", named, 1);
    let report = lint_all(&[MESH, AROUND, &idle], &options()).unwrap();
    assert_eq!(ids(&report.findings), ["allowance-unused"]);
}

/// N06: what Istio verifies by itself comes after the decision.
#[test]
fn request_authentication_writes_no_identity() {
    for (rule, expected) in [
        ("outputClaimToHeaders: [ { header: X-Exequatur-User, claim: sub } ]", &["route-header"][..]),
        ("outputPayloadToHeader: x-exequatur-agent", &["route-header"]),
        ("outputPayloadToHeader: x-payload", &[]),
    ] {
        let other = format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{ name: a, namespace: documents }}\nspec: {{ jwtRules: [ {{ issuer: a, {rule} }} ] }}\n"
        );
        let report = lint_all(&[MESH, AROUND, SIDECAR_FILE, &other], &options()).unwrap();
        assert_eq!(ids(&report.findings), expected, "{rule}");
    }
}

/// S06, B-14: the mesh's TLS.
#[test]
fn the_ways_are_the_meshes() {
    // 1: DestinationRule, 2: PeerAuthentication of Exequatur, 3: who may ask, 5: PeerAuthentication of the workload.
    SIDECAR.misses("1", &["istio-check-plaintext"]);
    SIDECAR.breaks("1/spec/host", "other", &["istio-check-plaintext"]);
    SIDECAR.breaks("1/spec/trafficPolicy/tls", "{ mode: SIMPLE }", &["istio-check-unverified"]);
    SIDECAR.breaks(
        "1/spec/trafficPolicy/tls",
        "{ mode: MUTUAL, caCertificates: /ca.pem, subjectAltNames: [ exequatur ] }",
        &[],
    );
    SIDECAR.breaks(
        "1/spec/trafficPolicy/tls",
        "{ mode: MUTUAL, caCertificates: /ca.pem, subjectAltNames: [ a ], insecureSkipVerify: true }",
        &["istio-check-unverified"],
    );
    SIDECAR.breaks("1/spec/subsets", "[ { name: a } ]", &["istio-check-plaintext"]);
    SIDECAR.misses("3", &["istio-askers"]);
    SIDECAR.breaks("3/spec/rules/0/from/0/source/principals", "[ \"*\" ]", &["istio-askers"]);
    SIDECAR.breaks("3/spec/rules/2", "{}", &["istio-askers"]);
    SIDECAR.misses("5", &["istio-permissive"]);
    SIDECAR.breaks("5/metadata/namespace", "istio-system", &[]);
    SIDECAR.breaks("5/spec/portLevelMtls", "{ \"8080\": { mode: PERMISSIVE } }", &["istio-permissive"]);
}

/// B-15: a waypoint, and the way past it.
#[test]
fn a_waypoint_is_not_passed_by() {
    // 4: Gateway, 5: CUSTOM, 6: by the waypoint only.
    let mut tree = WAYPOINT.tree();
    super::remove(&mut tree, "5/spec/targetRefs");
    assert!(ids(&super::manifests::judged(&tree).findings).contains(&"istio-ambient-selector"));
    WAYPOINT.misses("5/metadata/annotations", &["istio-waypoint-keys"]);
    WAYPOINT.breaks("5/spec/targetRefs", "[ { kind: Service, name: documents } ]", &[]);
    WAYPOINT.misses("6", &["istio-past-waypoint"]);
    WAYPOINT.breaks("6/spec/rules", "[ {} ]", &["istio-past-waypoint"]);
    WAYPOINT.breaks("6/spec/action", "DENY", &["istio-past-waypoint"]);
    // The context is in Istio's API, and nothing comes of it.
    let mut tree = SIDECAR.tree();
    for patch in ["0", "1", "2"] {
        super::put(&mut tree, &format!("6/spec/configPatches/{patch}/match/context"), "WAYPOINT");
    }
    assert!(ids(&super::manifests::judged(&tree).findings).contains(&"istio-patch"));
    let ambient = "apiVersion: v1\nkind: Namespace\nmetadata: { name: documents, labels: { istio.io/dataplane-mode: ambient } }\n";
    let report = lint_all(&[MESH, AROUND, SIDECAR_FILE, ambient], &options()).unwrap();
    assert_eq!(ids(&report.findings), ["istio-ambient-selector"]);
}

/// N01: what a patch does that is not known is not taken for harmless.
#[test]
fn patches_are_judged_by_what_they_come_to() {
    let check = "6/spec/configPatches/0/patch/value/typed_config";
    for (key, value, expected) in [
        ("failure_mode_allow", "true", &["failure-mode"][..]),
        ("shadow_mode", "true", &["shadow-mode"]),
        ("filter_enabled", "{ default_value: { numerator: 50 } }", &["filter-enabled"]),
        ("clear_route_cache", "true", &["route-cache"]),
        ("allowed_headers", "{ patterns: [ { exact: authorization } ] }", &["hidden-headers"]),
        (
            "with_request_body",
            "{ max_request_bytes: 8, allow_partial_message: true, pack_as_bytes: true }",
            &["partial-body"],
        ),
        ("grpc_service", "{ timeout: 1s }", &["istio-patch"]),
        ("of_tomorrow", "true", &["unknown-field"]),
    ] {
        SIDECAR.breaks(&format!("{check}/{key}"), value, expected);
    }
    let manager = "6/spec/configPatches/2/patch/value/typed_config";
    SIDECAR.breaks(&format!("{manager}/merge_slashes"), "false", &["merge-slashes"]);
    SIDECAR.breaks(&format!("{manager}/forward_client_cert_details"), "SANITIZE", &["certificate-header"]);
    SIDECAR.breaks(&format!("{manager}/http_filters"), "[]", &["istio-patch"]);
    SIDECAR.breaks(
        "6/spec/configPatches/3",
        "{ applyTo: HTTP_ROUTE, patch: { operation: MERGE } }",
        &["istio-patch"],
    );
    SIDECAR.breaks(
        "6/spec/configPatches/1/patch/value/typed_config/mutations/request_mutations/1",
        "{ remove: authorization }",
        &["mutation-before"],
    );
    // For some listeners only, or of another filter, is not for all.
    for path in ["0", "1", "2"] {
        let listener = format!("6/spec/configPatches/{path}/match/listener/portNumber");
        let mut tree = SIDECAR.tree();
        super::put(&mut tree, &listener, "8080");
        assert!(ids(&super::manifests::judged(&tree).findings).contains(&"istio-patch"), "{path}");
    }
}

/// Without any `EnvoyFilter` everything that it would add is missing, and it is not a hole each.
#[test]
fn the_provider_alone_is_weak() {
    let mut tree = SIDECAR.tree();
    let crate::tree::Value::List(documents) = &mut tree.value else { panic!("documents") };
    documents.remove(6);
    let report = super::manifests::judged(&tree);
    for id in
        ["raw-headers", "mutation-rules", "validate-mutations", "deny-at-disable", "strip", "escaped-slashes"]
    {
        assert!(ids(&report.findings).contains(&id), "{id}");
    }
    let holes = report.findings.iter().filter(|finding| finding.severity == Severity::Hole);
    assert_eq!(holes.count(), 0);
}

/// The same `MeshConfig` in each of its wrappings; lines are those of the file.
#[test]
fn a_mesh_configuration_is_found_where_it_stands() {
    let inner = MESH.split_once("meshConfig:\n").unwrap().1;
    let bare = inner
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)))
        .collect::<String>();
    let operator = format!(
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig:\n{}",
        inner.replace("\n  ", "\n    ").replacen("  ", "    ", 1)
    );
    let indented = bare.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: istio, namespace: istio-system }}\ndata:\n  mesh: |\n{indented}"
    );
    for text in [MESH, &bare, &operator, &map] {
        let report = lint_all(&[text, AROUND, SIDECAR_FILE], &options()).unwrap();
        assert!(report.findings.is_empty(), "{text} {:#?}", report.findings);
        let open = text.replace("failOpen: false", "failOpen: true");
        let report = lint_all(&[&open, AROUND, SIDECAR_FILE], &options()).unwrap();
        assert_eq!(ids(&report.findings), ["istio-fail-open"]);
        let line = open.lines().position(|line| line.contains("failOpen")).unwrap() + 1;
        assert_eq!((report.findings[0].place.text, report.findings[0].place.line), (0, line), "{text}");
    }
    // In quotes its lines are not those of the file.
    let quoted = "apiVersion: v1\nkind: ConfigMap\ndata: { mesh: \"extensionProviders:\\n- name: a\\n  envoyExtAuthzGrpc: {}\" }";
    let report = lint(quoted, &options()).unwrap();
    assert!(report.findings.iter().all(|finding| finding.place.line <= 3) && !report.findings.is_empty());
    let broken = map.replace("failOpen: false", "failOpen: false\n          failOpen: true");
    let line = broken.lines().position(|line| line.contains("failOpen: true")).unwrap() + 1;
    assert_eq!(lint(&broken, &options()).unwrap_err().place.line, line);
}

#[test]
fn other_kinds_are_named() {
    let other = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a }\n";
    let report = lint_all(&[MESH, AROUND, SIDECAR_FILE, other], &options()).unwrap();
    assert_eq!(ids(&report.findings), ["resource-not-judged"]);
    assert_eq!(report.findings[0].place.text, 3);
}

//! B-15: where nothing that was given asks, nothing is good. And what is not known is not taken for harmless.

use super::{ids, options};
use crate::{Report, lint, lint_all};

const MESH: &str = include_str!("../../../../examples/istio/mesh.yaml");
const AROUND: &str = include_str!("../../../../examples/istio/exequatur.yaml");
const SIDECAR: &str = include_str!("../../../../examples/istio/sidecar.yaml");
const GATEWAY: &str = include_str!("../../../../examples/envoy-gateway/exequatur.yaml");

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: a, namespace: b }\nspec: { parentRefs: [ { name: agents } ], rules: [ { backendRefs: [ { name: c, port: 80 } ] } ] }\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: { name: a, namespace: b }\n";
const ALLOW: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: a, namespace: b }\nspec: { action: ALLOW, rules: [ {} ] }\n";

fn found(texts: &[&str]) -> Vec<&'static str> {
    ids(&judged(texts).findings)
}

fn judged(texts: &[&str]) -> Report {
    lint_all(texts, &options()).unwrap()
}

/// Each of these asks nobody, whatever else it says.
#[test]
fn what_asks_nobody_is_not_clean() {
    assert_eq!(found(&[ROUTE]), ["nobody-asks"]);
    assert_eq!(found(&[SERVICE]), ["nobody-asks"]);
    assert_eq!(found(&[ROUTE, SERVICE, ALLOW]), ["nobody-asks"]);
    assert_eq!(found(&[ALLOW]), ["nobody-asks"]);
    assert_eq!(
        found(&["meshConfig: { pathNormalization: { normalization: MERGE_SLASHES } }"]),
        ["nobody-asks"]
    );
    let peers = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: a }\nspec: { mtls: { mode: STRICT } }\n";
    assert_eq!(found(&[peers]), ["nobody-asks"]);
    let empty = "apiVersion: v1\nkind: List\nitems: []\n";
    assert_eq!(found(&[empty, SERVICE]), ["nobody-asks"]);
    assert_eq!(found(&["binds: []"]), ["agw-unguarded"]);
    assert_eq!(found(&["binds: [ { port: 1, listeners: [] } ]"]), ["agw-unguarded"]);
    assert_eq!(found(&["config: {}\nbinds: ~"]), ["agw-unguarded"]);
}

/// A kind that is not judged may be allowed; that nobody asks may not.
#[test]
fn an_allowance_does_not_ask() {
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: a, annotations: { exequatur.allow/resource-not-judged: \"read\" } }\n";
    assert_eq!(found(&[route]), ["nobody-asks"]);
    let allowed = SERVICE.replace("namespace: b", "annotations: { exequatur.allow/nobody-asks: \"meant\" }");
    assert_eq!(found(&[&allowed]), ["allowance-invalid", "nobody-asks"]);
}

/// A provider that nobody names, and a policy whose provider is not here, have rules of their own.
#[test]
fn half_of_a_question_is_said_once() {
    assert_eq!(found(&[MESH, AROUND]), ["istio-unasked"]);
    assert!(found(&[AROUND, SIDECAR]).contains(&"istio-provider-missing"));
    assert!(!found(&[AROUND, SIDECAR]).contains(&"nobody-asks"));
    let other = MESH.replace("envoyExtAuthzGrpc:", "zipkin:");
    assert!(found(&[&other, AROUND, SIDECAR]).contains(&"istio-provider-missing"));
    let report = judged(&[MESH, AROUND]);
    let said = report.findings.iter().find(|finding| finding.rule.id == "istio-unasked").unwrap();
    assert_eq!(said.place.text, 0);
}

/// A resource is what its group and version say.
#[test]
fn a_kind_is_of_a_group() {
    for (of, other) in [
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "apiVersion: example.com/v1\nkind: HTTPRoute",
        ),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute",
            "apiVersion: gateway.networking.k8s.io/v7\nkind: HTTPRoute",
        ),
        ("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute", "kind: HTTPRoute"),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway",
            "apiVersion: gateway.example.com/v1\nkind: Gateway",
        ),
    ] {
        let text = GATEWAY.replacen(of, other, 1);
        assert_ne!(text, GATEWAY);
        assert!(found(&[&text]).contains(&"resource-not-judged"), "{other}");
    }
    // A policy of another group asks nobody.
    let text = GATEWAY.replace(
        "gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy",
        "gateway.envoyproxy.io/v2\nkind: SecurityPolicy",
    );
    let ids = found(&[&text]);
    assert!(ids.contains(&"eg-unasked") && ids.contains(&"resource-not-judged"), "{ids:?}");
    for other in [
        "apiVersion: example.com/v1\nkind: Service\nmetadata: { name: a }\n",
        "apiVersion: apps/v9\nkind: Deployment\nmetadata: { name: a }\n",
        "apiVersion: networking.internal.knative.dev/v1alpha1\nkind: Certificate\nmetadata: { name: a }\n",
    ] {
        assert_eq!(found(&[GATEWAY, other]), ["resource-not-judged"], "{other}");
    }
    assert!(found(&[GATEWAY, SERVICE]).is_empty());
}

/// What `kubectl get -o yaml` prints is the same resources.
#[test]
fn a_list_is_its_items() {
    let mut list = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for document in GATEWAY.split("\n---\n") {
        let document = document.split_once("apiVersion").unwrap().1;
        list.push_str("- apiVersion");
        list.push_str(&document.replace('\n', "\n  "));
        list.push('\n');
    }
    assert!(found(&[&list]).is_empty(), "{:#?}", lint(&list, &options()));
    let open = list.replace("failOpen: false", "failOpen: true");
    assert_eq!(found(&[&open]), ["eg-fail-open"]);
}

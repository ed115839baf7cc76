//! B-15, N01: Envoy Gateway's policies are held against the Gateways, listeners and routes that they name.

use super::{ids, options};
use crate::{Report, lint, lint_all};

const ALL: &str = include_str!("../../../../examples/envoy-gateway/exequatur.yaml");
const AGENT: &str = include_str!("../../../../examples/agentgateway/config.yaml");

/// The example with one stretch of it in other words.
fn with(from: &str, to: &str) -> Vec<&'static str> {
    let text = ALL.replacen(from, to, 1);
    assert_ne!(text, ALL, "{from}");
    ids(&judged(&[&text]).findings)
}

fn judged(texts: &[&str]) -> Report {
    lint_all(texts, &options()).unwrap()
}

fn missing(found: &[&str]) -> bool {
    ["eg-strip", "eg-stream-time", "eg-underscores"].iter().all(|id| found.contains(id))
}

fn unpatched(found: &[&str]) -> bool {
    ["validate-mutations", "raw-headers", "mutation-rules"].iter().all(|id| found.contains(id))
}

const LISTENER: &str =
    "  - { name: https, port: 443, protocol: HTTPS, tls: { certificateRefs: [ { name: agents-tls } ] } }\n";
const CLIENT: &str = "kind: ClientTrafficPolicy\nmetadata: { name: agents, namespace: documents }\nspec:\n  targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]\n";
const PATCH: &str = "kind: EnvoyPatchPolicy\nmetadata: { name: exequatur, namespace: documents }\nspec:\n  targetRef: { group: gateway.networking.k8s.io, kind: Gateway, name: agents }\n";

fn of(policy: &str, from: &str, to: &str) -> Vec<&'static str> {
    let other = policy.replacen(from, to, 1);
    assert_ne!(other, policy);
    with(policy, &other)
}

/// A policy of another Gateway, namespace or kind leaves this one as Envoy Gateway makes it.
#[test]
fn a_client_policy_is_for_the_gateway_that_is_asked_at() {
    for (from, to) in [
        ("name: agents } ]", "name: other } ]"),
        ("namespace: documents", "namespace: other"),
        ("kind: Gateway", "kind: HTTPRoute"),
    ] {
        let found = of(CLIENT, from, to);
        assert!(
            missing(&found) && found.contains(&"eg-astray") && found.contains(&"eg-target-unseen"),
            "{to}: {found:?}"
        );
    }
    let found = of(
        CLIENT,
        "  targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]\n",
        "",
    );
    assert!(missing(&found) && found.contains(&"eg-target-unseen"), "{found:?}");
    assert!(
        of(
            CLIENT,
            "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]",
            "targetRef: { kind: Gateway, name: agents }"
        )
        .is_empty()
    );
    // One listener, of one or of two.
    assert!(of(CLIENT, "name: agents } ]", "name: agents, sectionName: https } ]").is_empty());
    assert!(missing(&of(CLIENT, "name: agents } ]", "name: agents, sectionName: other } ]")));
    let two = ALL.replace(LISTENER, &format!("{LISTENER}{}", LISTENER.replace("name: https", "name: more")));
    assert!(judged(&[&two]).findings.is_empty());
    let one =
        two.replace(CLIENT, &CLIENT.replace("name: agents } ]", "name: agents, sectionName: https } ]"));
    assert!(missing(&ids(&judged(&[&one]).findings)));
}

/// What labels select counts too, as far as it can be told.
#[test]
fn targets_are_selected_by_labels() {
    let labelled = ALL.replacen(
        "metadata: { name: agents, namespace: documents }",
        "metadata: { name: agents, namespace: documents, labels: { asks: exequatur } }",
        1,
    );
    let selecting = |selector: &str| {
        let to = CLIENT.replace(
            "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]",
            &format!("targetSelectors: [ {{ kind: Gateway, {selector} }} ]"),
        );
        ids(&judged(&[&labelled.replace(CLIENT, &to)]).findings)
    };
    assert!(selecting("matchLabels: { asks: exequatur }").is_empty());
    assert!(missing(&selecting("matchLabels: { asks: other }")));
    let elsewhere = CLIENT.replace("namespace: documents", "namespace: other").replace(
        "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]",
        "targetSelectors: [ { kind: Gateway, matchLabels: { asks: exequatur } } ]",
    );
    assert!(missing(&ids(&judged(&[&labelled.replace(CLIENT, &elsewhere)]).findings)));
    assert!(selecting("matchExpressions: [ { key: asks, operator: Exists } ]").contains(&"eg-target-unseen"));
}

/// A patch names a listener of Envoy's.
#[test]
fn a_patch_is_for_the_listener_that_is_asked_at() {
    for (from, to) in [
        ("namespace: documents", "namespace: other"),
        ("name: agents }", "name: other }"),
        ("kind: Gateway,", "kind: HTTPRoute,"),
    ] {
        let found = of(PATCH, from, to);
        assert!(unpatched(&found) && found.contains(&"eg-astray"), "{to}: {found:?}");
    }
    for to in ["documents/agents/other", "other/agents/https", "documents/other/https", "tcp-443", ""] {
        let text = ALL.replace("name: documents/agents/https", &format!("name: \"{to}\""));
        let found = ids(&judged(&[&text]).findings);
        assert!(unpatched(&found) && found.contains(&"eg-astray"), "{to}: {found:?}");
    }
    // By its class, where Gateways are merged.
    assert!(of(PATCH, "kind: Gateway, name: agents }", "kind: GatewayClass, name: eg }").is_empty());
    // Listeners of one port are one of Envoy's; of another port, another.
    let second = |port: &str| LISTENER.replace("name: https", "name: more").replace("443", port);
    assert!(with(LISTENER, &format!("{LISTENER}{}", second("443"))).is_empty());
    assert!(unpatched(&with(LISTENER, &format!("{LISTENER}{}", second("8443")))));
    let found = with(LISTENER, &format!("{}{LISTENER}", second("443")));
    assert!(unpatched(&found) && found.contains(&"eg-astray"), "{found:?}");
}

/// What is not here is said, and not taken for good.
#[test]
fn a_target_is_seen() {
    let gateway = ALL.split("---\n").next().unwrap();
    let rest = ALL.strip_prefix(gateway).unwrap();
    assert_eq!(ids(&judged(&[rest.strip_prefix("---\n").unwrap()]).findings), ["eg-target-unseen"]);
    let security =
        "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]\n  extAuth";
    assert_eq!(
        with(security, "targetRefs: []\n  extAuth"),
        ["eg-astray", "eg-target-unseen", "eg-unguarded-route"]
    );
    // A Gateway at which nobody asks.
    let other = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: open, namespace: documents }\nspec: { gatewayClassName: eg, listeners: [ { name: https, port: 443, protocol: HTTPS } ] }\n";
    assert_eq!(ids(&judged(&[ALL, other]).findings), ["eg-unguarded-route"]);
    assert!(
        with(security, "targetSelectors: [ { kind: Gateway, matchLabels: { a: b } } ]\n  extAuth")
            .contains(&"eg-unguarded-route")
    );
}

/// By listeners, one for one.
#[test]
fn a_route_is_asked_about_at_its_listener() {
    let security =
        "targetRefs: [ { group: gateway.networking.k8s.io, kind: Gateway, name: agents } ]\n  extAuth";
    let section = security.replace("name: agents }", "name: agents, sectionName: https }");
    assert!(with(security, &section).is_empty(), "its only listener");
    let two = ALL.replace(LISTENER, &format!("{LISTENER}{}", LISTENER.replace("name: https", "name: more")));
    let open = two.replacen(security, &section, 1);
    assert_eq!(ids(&judged(&[&open]).findings), ["eg-unguarded-route"]);
    let parent = |section: &str| {
        open.replacen(
            "parentRefs: [ { name: agents } ]",
            &format!("parentRefs: [ {{ name: agents, sectionName: {section} }} ]"),
            1,
        )
    };
    assert!(judged(&[&parent("https")]).findings.is_empty());
    assert_eq!(ids(&judged(&[&parent("more")]).findings), ["eg-unguarded-route"]);
    // Gateways of Istio are asked about by Istio's policies.
    assert!(with("gatewayClassName: eg", "gatewayClassName: istio").contains(&"eg-target-unseen"));
}

/// N01: what agentgateway puts in from its environment is not known.
#[test]
fn what_is_put_in_is_not_known() {
    for (from, to) in [
        ("host: exequatur.internal:9191", "host: $EXEQUATUR"),
        ("host: exequatur.internal:9191", "host: \"${EXEQUATUR:-exequatur.internal:9191}\""),
        ("hostname: exequatur.internal", "hostname: a$NAME"),
        ("protocol: { grpc: {} }", "protocol: { grpc: {}, \"$A\": ~ }"),
        ("name: documents", "name: ${A}$$B"),
    ] {
        let text = AGENT.replacen(from, to, 1);
        assert_ne!(text, AGENT);
        let report = lint(&text, &options()).unwrap();
        assert!(ids(&report.findings).contains(&"agw-environment"), "{to}: {report:#?}");
    }
    for to in ["name: a$", "name: $$B", "name: \"$ B\"", "name: $.b"] {
        let text = AGENT.replacen("name: documents", to, 1);
        assert!(lint(&text, &options()).unwrap().findings.is_empty(), "{to}");
    }
    assert!(
        lint(&format!("config: {{ logging: {{ level: $LEVEL }} }}\n{AGENT}"), &options())
            .unwrap()
            .findings
            .is_empty()
    );
}

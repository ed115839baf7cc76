//! `examples/envoy-gateway` and `examples/agentgateway`, changed in one place at a time.

use super::manifests::{Example, judged};
use super::{ids, options, put, remove};
use crate::rule::Part;
use crate::tree::Value;
use crate::{lint, lint_all};

const GATEWAY_FILE: &str = include_str!("../../../../examples/envoy-gateway/exequatur.yaml");
const AGENT_FILE: &str = include_str!("../../../../examples/agentgateway/config.yaml");

const GATEWAY: Example = Example {
    files: &[GATEWAY_FILE],
    parts: &[Part::Security, Part::BackendTls, Part::Client],
    not_here: &[],
};
const AGENT: Example = Example { files: &[AGENT_FILE], parts: &[Part::AgentAuth], not_here: &[] };

const AUTH: &str = "2/spec/extAuth";
const EXT_AUTHZ: &str = "0/binds/0/listeners/0/routes/0/policies/extAuthz";

#[test]
fn envoy_gateway_is_clean_and_no_key_is_lost_unseen() {
    GATEWAY.holds();
}

#[test]
fn agentgateway_is_clean_and_no_key_is_lost_unseen() {
    AGENT.holds();
}

/// Each patch is there for a rule.
#[test]
fn no_patch_is_lost_unseen() {
    let expected = [
        &["validate-mutations"][..],
        &["peer-certificate"],
        &["raw-headers"],
        &["body-as-text"],
        &["denied-body"],
        &["response-limits"],
        &["mutation-names", "mutation-rules", "mutation-rules-silent"],
        &["host-port"],
        &["headers-count"],
    ];
    for (index, expected) in expected.iter().enumerate() {
        GATEWAY.misses(&format!("5/spec/jsonPatches/{index}"), expected);
        GATEWAY.breaks(
            &format!("5/spec/jsonPatches/{index}/operation/op"),
            "remove",
            &[&["eg-patch"], *expected]
                .concat()
                .iter()
                .copied()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>(),
        );
    }
    GATEWAY.breaks(
        "5/spec/jsonPatches/0/operation/path",
        "/failure_mode_allow",
        &["failure-mode", "validate-mutations"],
    );
    GATEWAY.breaks(
        "5/spec/jsonPatches/0/operation/jsonPath",
        "..http_filters[0]",
        &["eg-patch", "validate-mutations"],
    );
    GATEWAY.breaks(
        "5/spec/jsonPatches/0/operation/path",
        "/grpc_service/timeout",
        &["eg-patch", "validate-mutations"],
    );
    GATEWAY.breaks("5/spec/jsonPatches/7/operation/path", "/http_filters", &["eg-patch", "host-port"]);
}

/// N01, N02, B-13, B-15: how Exequatur is asked, and by whom.
#[test]
fn a_security_policy_asks() {
    GATEWAY.breaks(&format!("{AUTH}/headersToExtAuth"), "[ authorization, dpop ]", &["eg-hidden-headers"]);
    GATEWAY.breaks(
        &format!("{AUTH}/grpc/backendSettings"),
        "{ retry: { numRetries: 2 } }",
        &["eg-check-retry"],
    );
    GATEWAY.breaks(&format!("{AUTH}/bodyToExtAuth/maxRequestBytes"), "1048576", &["body-size"]);
    GATEWAY.breaks(&format!("{AUTH}/of_tomorrow"), "true", &["unknown-field"]);
    GATEWAY.breaks("3/spec/targetRefs/0/name", "other", &["eg-check-plaintext"]);
    GATEWAY.misses("3", &["eg-check-plaintext"]);
    GATEWAY.misses("3/spec/validation/caCertificateRefs", &["eg-check-plaintext"]);
    GATEWAY.misses("2", &["eg-unasked"]);
    GATEWAY.misses("2/spec/extAuth", &["eg-unasked"]);
    GATEWAY.breaks(
        "2/spec/targetRefs/0/name",
        "other",
        &["eg-astray", "eg-target-unseen", "eg-unguarded-route"],
    );
    GATEWAY.breaks("2/spec/targetRefs/0/sectionName", "other", &["eg-unguarded-route"]);
    GATEWAY.breaks("2/spec/targetRefs", "[ { kind: HTTPRoute, name: documents } ]", &[]);
    GATEWAY.breaks(
        "2/spec/targetRefs",
        "[ { kind: HTTPRoute, name: other } ]",
        &["eg-astray", "eg-target-unseen", "eg-unguarded-route"],
    );
    GATEWAY.breaks("1/spec/parentRefs/0/name", "public", &["eg-unguarded-route"]);
    let other = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: { name: route, namespace: documents }\nspec: { targetRefs: [ { kind: HTTPRoute, name: documents } ], cors: {} }\n";
    let report = lint_all(&[GATEWAY_FILE, other], &options()).unwrap();
    assert_eq!(ids(&report.findings), ["eg-replaced"]);
    let mut tree = GATEWAY.tree();
    remove(&mut tree, &format!("{AUTH}/bodyToExtAuth"));
    assert!(ids(&judged(&tree).findings).contains(&"body-not-shown"));
    let mut tree = GATEWAY.tree();
    remove(&mut tree, &format!("{AUTH}/grpc"));
    put(&mut tree, &format!("{AUTH}/http"), "{}");
    assert_eq!(ids(&judged(&tree).findings), ["check-not-grpc"]);
}

/// B-14, B-15: a policy reaches its own namespace, and every way in has to be asked about.
#[test]
fn a_policy_reaches_its_own_namespace() {
    GATEWAY.breaks("2/metadata/namespace", "other", &["eg-astray", "eg-target-unseen", "eg-unguarded-route"]);
    GATEWAY.breaks("1/metadata/namespace", "other", &["eg-unguarded-route"]);
    GATEWAY.breaks("1/spec/parentRefs/0/namespace", "other", &["eg-unguarded-route"]);
    GATEWAY.breaks("1/spec/parentRefs/0/namespace", "documents", &[]);
    GATEWAY.breaks("1/spec/parentRefs", "[ { name: agents }, { name: open } ]", &["eg-unguarded-route"]);
    GATEWAY.breaks("1/spec/parentRefs", "[]", &["eg-unguarded-route"]);
    GATEWAY.breaks("3/metadata/namespace", "other", &["eg-check-plaintext"]);
    GATEWAY.breaks("3/spec/targetRefs/0/sectionName", "metrics", &["eg-check-plaintext"]);
}

/// N06: nothing after the decision writes what a permit says.
#[test]
fn no_other_part_of_a_policy_writes_identity() {
    let claim = |header: &str| {
        format!("{{ providers: [ {{ name: a, claimToHeaders: [ {{ header: {header}, claim: sub }} ] }} ] }}")
    };
    GATEWAY.breaks("2/spec/jwt", &claim("X-Exequatur-User"), &["route-header"]);
    GATEWAY.breaks("2/spec/jwt", &claim("x-other"), &[]);
    GATEWAY.breaks("2/spec/apiKeyAuth", "{ forwardClientIDHeader: x-exequatur-agent }", &["route-header"]);
    GATEWAY.breaks("2/spec/basicAuth", "{ forwardUsernameHeader: x-exequatur-user }", &["route-header"]);
}

/// What comes in before the decision, and what is changed after it.
#[test]
fn around_the_decision() {
    GATEWAY.breaks(
        "4/spec/clientIPDetection",
        "{ xForwardedFor: { numTrustedHops: 2 } }",
        &["unknown-field"],
    );
    GATEWAY.breaks(
        "4/spec/headers/earlyRequestHeaders/set",
        "[ { name: authorization, value: a } ]",
        &["unknown-field"],
    );
    GATEWAY.breaks("4/spec/path/disableMergeSlashes", "true", &["eg-merge-slashes"]);
    GATEWAY.breaks("4/spec/headers/xForwardedClientCert/mode", "ForwardOnly", &["eg-certificate-header"]);
    GATEWAY.breaks("0/spec/listeners/0/protocol", "HTTP", &["listener-plaintext"]);
    for (filter, expected) in [
        ("{ type: URLRewrite }", &["route-rewrite"][..]),
        ("{ type: RequestMirror }", &["route-mirror"]),
        ("{ type: ExtensionRef }", &["resource-not-judged"]),
        (
            "{ type: RequestHeaderModifier, requestHeaderModifier: { set: [ { name: X-Exequatur-User, value: a } ] } }",
            &["route-header"],
        ),
        ("{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [ x-other ] } }", &[]),
    ] {
        GATEWAY.breaks("1/spec/rules/0/filters", &format!("[ {filter} ]"), expected);
    }
    for (spec, expected) in
        [("{ retry: { numRetries: 2 } }", &[][..]), ("{ faultInjection: {} }", &["unknown-field"])]
    {
        let other =
            format!("apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\nspec: {spec}\n");
        let report = lint_all(&[GATEWAY_FILE, &other], &options()).unwrap();
        assert_eq!(ids(&report.findings), expected);
    }
    // Without a ClientTrafficPolicy each of its keys is missing.
    let mut tree = GATEWAY.tree();
    let Value::List(documents) = &mut tree.value else { panic!("documents") };
    documents.remove(4);
    for id in ["eg-strip", "eg-client-certificates", "eg-stream-time"] {
        assert!(ids(&judged(&tree).findings).contains(&id), "{id}");
    }
}

/// N01, N02, B-13, B-15: agentgateway.
#[test]
fn agentgateway_asks_for_each_route() {
    for (key, value, expected) in [
        ("failureMode", "allow", &["agw-fail-open", "agw-status-on-error"][..]),
        ("includeRequestHeaders", "[ authorization ]", &["agw-hidden-headers"]),
        ("cache", "{ key: [ request.path ], ttl: 1s }", &["agw-cache"]),
        ("protocol", "{ http: {} }", &["check-not-grpc"]),
        ("conditional", "[]", &["agw-conditional"]),
        ("protocol/grpc/context", "{ exequatur_body: shown }", &["body-not-shown"]),
        ("of_tomorrow", "true", &["unknown-field"]),
        (
            "includeRequestBody",
            "{ maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true }",
            &["partial-body"],
        ),
        ("policies/http/requestTimeout", "0s", &["agw-timeout"]),
        ("policies/backendTLS/insecure", "true", &["agw-check-plaintext"]),
    ] {
        AGENT.breaks(&format!("{EXT_AUTHZ}/{key}"), value, expected);
    }
    AGENT.misses(&format!("{EXT_AUTHZ}/policies/http"), &["agw-timeout"]);
    AGENT.misses(&format!("{EXT_AUTHZ}/policies/backendTLS"), &["agw-check-plaintext"]);
    let route = "0/binds/0/listeners/0/routes/0";
    AGENT.misses(&format!("{route}/policies"), &["agw-host", "agw-unguarded"]);
    AGENT.breaks(&format!("{route}/policies/transformations"), "{}", &["agw-policy"]);
    AGENT.breaks("0/binds/0/listeners/0/routes/1", "{ name: open, backends: [] }", &["agw-unguarded"]);
    AGENT.breaks("0/binds/0/listeners/0/tcpRoutes", "[ {} ]", &["agw-unguarded"]);
    AGENT.breaks("0/binds/0/listeners/0/protocol", "HTTP", &["agw-plaintext"]);
    AGENT.breaks("0/llm", "{}", &["agw-policy"]);
    AGENT.breaks("0/binds/0/of_tomorrow", "1", &["agw-policy"]);
    AGENT.breaks("0/binds/0/listeners/0/of_tomorrow", "1", &["agw-policy"]);
    AGENT.breaks(&format!("{route}/of_tomorrow"), "1", &["agw-policy"]);
    // After the decision: whoever the upstream takes the caller for is written here.
    let user = "{ set: { x-exequatur-user: admin } }";
    AGENT.breaks(
        &format!("{route}/backends/0/policies"),
        &format!("{{ requestHeaderModifier: {user} }}"),
        &["agw-policy"],
    );
    AGENT.breaks(
        &format!("{route}/backends/0/policies"),
        &format!("{{ transformations: {{ request: {user} }} }}"),
        &["agw-policy"],
    );
    AGENT.breaks(&format!("{route}/backends/0/policies"), "{ backendTLS: { root: ca.crt } }", &[]);
    AGENT.breaks(&format!("{route}/backends"), "[ { internal: admin } ]", &["agw-policy"]);
    let local = AGENT_FILE.replace("host: exequatur.internal:9191", "host: 127.0.0.1:9191");
    let local = local.lines().filter(|line| !line.contains("backendTLS")).collect::<Vec<_>>().join("\n");
    assert!(lint(&local, &options()).unwrap().findings.is_empty());
}

/// N09: agentgateway writes a backend's name into the `Host`, unless a route says no.
#[test]
fn agentgateway_keeps_the_host() {
    let route = "0/binds/0/listeners/0/routes/0";
    let metadata = "0/binds/0/listeners/0/routes/1";
    for at in [route, metadata] {
        AGENT.misses(&format!("{at}/policies/urlRewrite"), &["agw-host"]);
        for (rewrite, expected) in [
            ("{ authority: auto }", &["agw-host", "agw-policy"][..]),
            ("{ authority: { full: admin.internal } }", &["agw-host", "agw-policy"]),
            ("{ authority: none, path: { full: /admin } }", &["agw-host", "agw-policy"]),
            ("{ path: { full: /admin } }", &["agw-host", "agw-policy"]),
            ("{}", &["agw-host", "agw-policy"]),
            ("{ authority: none }", &[]),
        ] {
            AGENT.breaks(&format!("{at}/policies/urlRewrite"), rewrite, expected);
        }
    }
    // A listener's is not known to be a route's.
    AGENT.breaks("0/binds/0/listeners/0/policies", "{ urlRewrite: { authority: none } }", &["agw-policy"]);
    let rewrite = "        urlRewrite: { authority: none }";
    let bare = AGENT_FILE.lines().filter(|line| !line.starts_with(rewrite)).collect::<Vec<_>>().join("\n");
    assert_ne!(bare, AGENT_FILE.trim_end());
    for (backend, expected) in [
        ("documents.internal:8080", &["agw-host"][..]),
        ("localhost:8080", &["agw-host"]),
        ("10.0.0.1:8080", &[]),
        ("unix:/run/documents.sock", &[]),
    ] {
        let text =
            bare.replace("documents.internal:8080", backend).replace("exequatur.internal:9192", backend);
        assert_eq!(ids(&lint(&text, &options()).unwrap().findings), expected, "{backend}");
    }
}

/// Durations of the Gateway API, and what is none.
#[test]
fn durations_are_read() {
    use crate::rules::resources::duration;
    for (text, millis) in [("250ms", 250), ("10s", 10_000), ("1m30s", 90_000), ("1h", 3_600_000), ("0s", 0)] {
        assert_eq!(duration(text).map(|time| time.as_millis()), Some(millis), "{text}");
    }
    for text in ["", "1", "s", "1.5s", "-1s", "1d", "123456s", "10 s"] {
        assert_eq!(duration(text), None, "{text}");
    }
}

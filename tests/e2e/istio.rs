//! `examples/istio`, through the Envoy configuration that Istio makes of it.
//!
//! What it makes was read in Istio 1.30 and 1.31.0-rc.0: `pilot/pkg/security/authz/builder/{extauthz,builder}.go` (the
//! provider, the shadow RBAC filter and `filter_enabled_metadata`), `pilot/pkg/networking/core/listener_{builder,inbound}.go`
//! (the connection manager of a sidecar, the order of filters) and `…/core/envoyfilter/listener_patch.go` (what is merged).
//! Two listeners: a sidecar with the `EnvoyFilter`, and the provider alone, which is all that a waypoint gets.

use exequatur_tests::manifests::{any, behind, documents, merge, of_kind};
use exequatur_tests::tls::Shown;
use exequatur_tests::{Call, DOCUMENT, Raw, RawCaller, Stack, Version};
use serde_json::{Value, json};

const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// extauthz.go `generateGRPCConfig`, `withBodyRequest`, `generateFilterMatcherForProvider`.
fn provider() -> Value {
    let mesh = &documents("examples/istio/mesh.yaml")[0]["meshConfig"];
    let [provider] = mesh["extensionProviders"].as_array().unwrap().as_slice() else { panic!("{mesh}") };
    let grpc = &provider["envoyExtAuthzGrpc"];
    assert_eq!(grpc["timeout"], "0.25s");
    let code: u16 = grpc["statusOnError"].as_str().unwrap().parse().unwrap();
    let body = &grpc["includeRequestBodyInCheck"];
    let prefix = format!("istio-ext-authz-{}", provider["name"].as_str().unwrap());
    any(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        json!({
            "transport_api_version": "V3",
            "failure_mode_allow": grpc["failOpen"],
            "status_on_error": { "code": code },
            // Wider than it is, as everywhere in tests: a slow machine is no finding.
            "grpc_service": { "envoy_grpc": { "cluster_name": "exequatur", "authority": grpc["service"] }, "timeout": "10s" },
            "with_request_body": {
                "max_request_bytes": body["maxRequestBytes"],
                "allow_partial_message": body["allowPartialMessage"],
                "pack_as_bytes": body["packAsBytes"],
            },
            "filter_enabled_metadata": {
                "filter": "envoy.filters.http.rbac",
                "path": [{ "key": "istio_ext_authz_shadow_effective_policy_id" }],
                "value": { "string_match": { "prefix": prefix } },
            },
        }),
    )
}

/// builder.go `build`, `buildHTTP`: what the rules select is marked. No rule matches never.
fn marks(rules: &[Value]) -> Value {
    let principals = json!([{ "any": true }]);
    let one = |rule: &Value| {
        let paths = rule["to"][0]["operation"]["paths"].as_array();
        let permission = match paths {
            Some(paths) => {
                let path = |path: &Value| json!({ "url_path": { "path": { "prefix": path.as_str().unwrap().trim_end_matches('*') } } });
                json!({ "or_rules": { "rules": paths.iter().map(path).collect::<Vec<_>>() } })
            }
            None => json!({ "any": true }),
        };
        json!({ "permissions": [permission], "principals": principals })
    };
    let never = json!({ "permissions": [{ "not_rule": { "any": true } }], "principals": [{ "not_id": { "any": true } }] });
    let rules = if rules.is_empty() { vec![never] } else { rules.iter().map(one).collect() };
    let name = |index| format!("istio-ext-authz-exequatur-ns[documents]-policy[exequatur]-rule[{index}]");
    let policies: serde_json::Map<_, _> =
        rules.into_iter().enumerate().map(|(index, rule)| (name(index), rule)).collect();
    any(
        "envoy.extensions.filters.http.rbac.v3.RBAC",
        json!({
            "shadow_rules": { "action": "DENY", "policies": policies },
            "shadow_rules_stat_prefix": "istio_ext_authz_",
        }),
    )
}

/// listener_builder.go `buildHTTPConnectionManager` with listener_inbound.go and proxy_headers.go's defaults.
fn manager(check: Value, rules: &[Value], strip: Option<Value>) -> Value {
    let mesh = &documents("examples/istio/mesh.yaml")[0]["meshConfig"];
    assert_eq!(mesh["pathNormalization"]["normalization"], "MERGE_SLASHES");
    let filter = |name: &str, config: Value| json!({ "name": name, "typed_config": config });
    let mut filters = vec![filter("envoy.filters.http.rbac", marks(rules))];
    filters.extend(strip);
    filters.push(filter("envoy.filters.http.ext_authz", check));
    filters.push(filter(
        "envoy.filters.http.router",
        any("envoy.extensions.filters.http.router.v3.Router", json!({})),
    ));
    any(
        MANAGER,
        json!({
            "stat_prefix": "inbound_0.0.0.0_8080",
            "normalize_path": true,
            "merge_slashes": true,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "use_remote_address": false,
            "forward_client_cert_details": "APPEND_FORWARD",
            "set_current_client_cert_details": { "subject": true, "dns": true, "uri": true },
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "stream_idle_timeout": "0s",
            "http_filters": filters,
            "route_config": { "name": "inbound|8080||", "virtual_hosts": [{
                "name": "inbound|http|8080",
                "domains": ["*"],
                "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "upstream", "timeout": "0s" } }],
            }] },
        }),
    )
}

/// The sidecar: what the `EnvoyFilter` of the example merges, and inserts before `ext_authz`.
fn patched(rules: &[Value]) -> Value {
    let all = documents("examples/istio/sidecar.yaml");
    let patches = of_kind(&all, "EnvoyFilter")["spec"]["configPatches"].as_array().unwrap().clone();
    let of = |kind: &str, operation: &str| {
        let mut found = patches
            .iter()
            .filter(|patch| patch["applyTo"] == kind && patch["patch"]["operation"] == operation);
        found.next().unwrap()["patch"]["value"].clone()
    };
    let mut check = provider();
    merge(&mut check, &of("HTTP_FILTER", "MERGE")["typed_config"]);
    let mut manager = manager(check, rules, Some(of("HTTP_FILTER", "INSERT_BEFORE")));
    merge(&mut manager, &of("NETWORK_FILTER", "MERGE")["typed_config"]);
    manager
}

fn alone(rules: &[Value]) -> Value {
    manager(provider(), rules, None)
}

/// What the example's policies select.
fn rules(file: &str) -> Vec<Value> {
    let all = documents(file);
    let custom = all.iter().find(|document| document["spec"]["action"] == "CUSTOM").unwrap();
    custom["spec"]["rules"].as_array().unwrap().clone()
}

/// The sidecar, and the provider alone.
fn both(stack: &Stack, version: Version) -> [(&'static str, RawCaller); 2] {
    let main = stack.raw(version);
    [("patched", main.clone()), ("alone", main.at(stack.ports.second[0]))]
}

fn get() -> Raw {
    Raw::new("GET", DOCUMENT)
}

/// A permit, and denials that differ from it by one thing; the same with the provider alone, whose headers come joined.
#[tokio::test]
async fn the_manifests_permit_and_deny() {
    let sidecar = patched(&rules("examples/istio/sidecar.yaml"));
    let waypoint = alone(&rules("examples/istio/waypoint.yaml"));
    let mut stack = Stack::start(behind(&sidecar, &waypoint)).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    for version in [Version::Http1, Version::Http2] {
        for (name, caller) in both(&stack, version) {
            let before = stack.upstream.received().len();
            let forged = holder
                .sign(get())
                .with("x-exequatur-user", "corp:root")
                .with("x-exequatur-tomorrow", "forged");
            let answer = caller.send(&forged).await.unwrap();
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            let received = stack.upstream.received_after(before);
            assert_eq!(received[0].values("x-exequatur-user"), ["corp:alice"], "{name}");
            for gone in ["authorization", "dpop"] {
                assert!(received[0].values(gone).is_empty(), "{name}: {gone}");
            }
            // Without a strip filter a name that Exequatur does not know comes through.
            let unknown = received[0].values("x-exequatur-tomorrow");
            assert_eq!(unknown.is_empty(), name == "patched", "{name}: {unknown:?}");
        }
    }
    let before = stack.upstream.received().len();
    let proof = holder.proof("GET", DOCUMENT);
    for (name, caller) in both(&stack, Version::Http1) {
        let spent = holder.sign(get());
        assert_eq!(caller.send(&spent).await.unwrap().status, 200, "{name}");
        let twice = get().proven(&holder.token, &proof).with("dpop", &proof);
        let two_tokens = holder.sign(get()).with("authorization", format!("DPoP {}", holder.token));
        let cases = [
            ("no token", get(), 401),
            ("spent", spent, 401),
            ("two proofs", twice, 401),
            ("two tokens", two_tokens, 400),
            ("of another method", get().proven(&holder.token, &holder.proof("PUT", DOCUMENT)), 401),
            ("sealed", holder.sign(Raw::new("GET", "/tenants/acme/sealed/plan")), 403),
        ];
        for (what, request, status) in cases {
            let answer = caller.send(&request).await.unwrap();
            assert_eq!(answer.status, status, "{name}: {what}: {answer:?}");
            assert!(!answer.reason().is_empty(), "{name}: {what}: {answer:?}");
        }
        // Refused by Envoy where the keys are merged in, by Exequatur where they are not.
        let escaped =
            caller.send(&holder.sign(Raw::new("GET", "/tenants/acme/documents/..%2fplan"))).await.unwrap();
        assert_eq!(
            (escaped.status, escaped.reason().is_empty()),
            (400, name == "patched"),
            "{name}: {escaped:?}"
        );
        let large = holder.sign(Raw::new("PUT", DOCUMENT)).sized(vec![b'a'; 70_000]);
        assert_eq!(caller.send(&large).await.unwrap().status, 413, "{name}");
    }
    assert_eq!(stack.upstream.received().len(), before + 2);
    stack.stop_exequatur().await.unwrap();
    for (name, caller) in both(&stack, Version::Http1) {
        assert_eq!(caller.send(&holder.sign(get())).await.unwrap().status, 503, "{name}");
    }
}

/// M02: a token bound to a certificate passes where the `EnvoyFilter` shows the certificate, and nowhere else.
#[tokio::test]
async fn a_certificate_is_shown_by_the_filter_only() {
    let stack = Stack::start(behind(&patched(&[json!({})]), &alone(&[json!({})]))).await.unwrap();
    let (_, thumbprint) = stack.client_with_certificate().unwrap();
    let usual = stack.holder(&Value::Null).await.unwrap();
    let confirmation = json!({ "jkt": usual.agent.key.thumbprint(), "x5t#S256": thumbprint });
    let bound = stack.tokens.token(&usual.agent, &json!({ "cnf": confirmation }));
    let shown = Shown::named(stack.folder(), "client");
    let nonce = usual.nonce();
    let url = stack.url(DOCUMENT);
    for (name, caller) in both(&stack, Version::Http1) {
        let request = || get().proven(&bound, &usual.agent.proof("GET", &url, &bound, nonce));
        let with = caller.clone().showing(shown.clone()).send(&request()).await.unwrap();
        let expected =
            if name == "patched" { (200, String::new()) } else { (401, "mtls_cert_missing".to_owned()) };
        assert_eq!((with.status, with.reason()), expected, "{name}: {with:?}");
        let without = caller.send(&request()).await.unwrap();
        assert_eq!((without.status, without.reason().as_str()), (401, "mtls_cert_missing"), "{name}");
    }
}

/// B-15: what the rules leave out. The provider alone lets it pass, as `envoy lint` says (`istio-policy-empty`,
/// `istio-policy-part`); with `deny_at_disable` merged in it is refused.
#[tokio::test]
async fn what_no_rule_selects_passes_unless_merged() {
    let part = json!({ "to": [{ "operation": { "paths": ["/tenants/*"] } }] });
    let stack = Stack::start(behind(&patched(&[part]), &alone(&[]))).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let [(_, patched), (_, alone)] = both(&stack, Version::Http1);
    assert_eq!(patched.send(&holder.sign(get())).await.unwrap().status, 200);
    assert_eq!(patched.send(&get()).await.unwrap().status, 401);
    let before = stack.upstream.received().len();
    for path in ["/elsewhere", "/tenant", "/open"] {
        let answer = patched.send(&Raw::new("GET", path)).await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (503, ""), "{path}");
    }
    assert_eq!(stack.upstream.received().len(), before);
    let answer = alone.send(&get().with("x-exequatur-user", "corp:root")).await.unwrap();
    assert_eq!(answer.status, 200, "a policy without rules guards nothing");
    assert_eq!(stack.upstream.received_after(before)[0].values("x-exequatur-user"), ["corp:root"]);
    let url = stack.url("/elsewhere");
    assert_eq!(stack.send(&Call::new("GET", &url), None, None).await.unwrap().status, 503);
}

//! `examples/envoy-gateway`, through the Envoy configuration that Envoy Gateway makes of it, and what agentgateway asks.
//!
//! Read in Envoy Gateway 1.9.0-rc.1 and later: `internal/xds/translator/extauth.go` (the filter, off in the chain and on by
//! route), `listener.go` (the connection manager) and `jsonpatch.go`. Two listeners: with the `EnvoyPatchPolicy`, and without.
//! Read in agentgateway 1.4.1 and later: `crates/agentgateway/src/http/ext_authz.rs`.

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_tests::direct::{Decision, Direct, check};
use exequatur_tests::manifests::{any, behind, documents, merge, of_kind};
use exequatur_tests::tls::Shown;
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::{Value, json};

const MANAGER: &str = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
const EXAMPLE: &str = "examples/envoy-gateway/exequatur.yaml";

/// extauth.go `extAuthConfig`.
fn security() -> Value {
    let all = documents(EXAMPLE);
    let auth = &of_kind(&all, "SecurityPolicy")["spec"]["extAuth"];
    assert_eq!(auth["timeout"], "250ms");
    assert!(auth["headersToExtAuth"].is_null());
    any(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        json!({
            "transport_api_version": "V3",
            "failure_mode_allow": auth["failOpen"],
            "clear_route_cache": auth["recomputeRoute"],
            "with_request_body": { "max_request_bytes": auth["bodyToExtAuth"]["maxRequestBytes"] },
            // Wider than it is, as everywhere in tests: a slow machine is no finding.
            "grpc_service": { "envoy_grpc": { "cluster_name": "exequatur", "authority": "exequatur.exequatur:9191" }, "timeout": "10s" },
            "status_on_error": { "code": auth["statusOnError"] },
        }),
    )
}

/// listener.go, with what the `ClientTrafficPolicy` says; route by route extauth.go `patchRoute`.
fn manager(check: &Value) -> Value {
    const FILTER: &str = "envoy.filters.http.ext_authz/securitypolicy/documents/exequatur";
    let all = documents(EXAMPLE);
    let client = &of_kind(&all, "ClientTrafficPolicy")["spec"];
    assert_eq!(client["path"]["escapedSlashesAction"], "RejectRequest");
    let [strip] = client["headers"]["earlyRequestHeaders"]["removeOnMatch"].as_array().unwrap().as_slice()
    else {
        panic!("{client}")
    };
    assert_eq!(strip["type"], "Prefix");
    let extension = &of_kind(&all, "SecurityPolicy")["spec"]["extAuth"]["contextExtensions"][0];
    let on = any(
        "envoy.config.route.v3.FilterConfig",
        json!({ "config": any(
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        json!({ "check_settings": { "context_extensions": { (extension["name"].as_str().unwrap()): extension["value"] } } }),
    ) }),
    );
    any(
        MANAGER,
        json!({
            "stat_prefix": "https-10443",
            "use_remote_address": true,
            "normalize_path": true,
            "merge_slashes": !client["path"]["disableMergeSlashes"].as_bool().unwrap(),
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "common_http_protocol_options": {
                "headers_with_underscores_action": "REJECT_REQUEST",
                "max_stream_duration": client["connection"]["connectionLimit"]["maxStreamDuration"],
            },
            "request_headers_timeout": client["timeout"]["http"]["requestHeadersReceivedTimeout"],
            "strip_trailing_host_dot": client["headers"]["host"]["stripTrailingHostDot"],
            "early_header_mutation_extensions": [{ "name": "envoy.http.early_header_mutation.header_mutation", "typed_config": any(
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                json!({ "mutations": [{ "remove_on_match": { "key_matcher": { "prefix": strip["value"], "ignore_case": true } } }] }),
            ) }],
            "http_filters": [
                { "name": FILTER, "disabled": true, "typed_config": check },
                { "name": "envoy.filters.http.router", "typed_config": any("envoy.extensions.filters.http.router.v3.Router", json!({})) },
            ],
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
                "match": { "prefix": "/" },
                "route": { "cluster": "upstream" },
                "typed_per_filter_config": { FILTER: on },
            }] }] },
        }),
    )
}

/// jsonpatch.go: each operation at what its `jsonPath` finds.
fn patched() -> Value {
    let (mut check, mut manager_keys) = (security(), json!({}));
    let all = documents(EXAMPLE);
    for patch in of_kind(&all, "EnvoyPatchPolicy")["spec"]["jsonPatches"].as_array().unwrap() {
        let operation = &patch["operation"];
        assert_eq!(operation["op"], "add");
        let steps = operation["path"].as_str().unwrap().rsplit('/').filter(|step| !step.is_empty());
        let laid = steps.fold(operation["value"].clone(), |inner, step| json!({ step: inner }));
        let of_filter = operation["jsonPath"].as_str().unwrap().starts_with("..http_filters[");
        merge(if of_filter { &mut check } else { &mut manager_keys }, &laid);
    }
    let mut manager = manager(&check);
    merge(&mut manager, &manager_keys);
    manager
}

/// A permit, and denials that differ from it by one thing; and what is missing without the patches.
#[tokio::test]
async fn envoy_gateway_permits_and_denies() {
    let stack = Stack::start(behind(&patched(), &manager(&security()))).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let (_, thumbprint) = stack.client_with_certificate().unwrap();
    let confirmation = json!({ "jkt": holder.agent.key.thumbprint(), "x5t#S256": thumbprint });
    let bound = stack.tokens.token(&holder.agent, &json!({ "cnf": confirmation }));
    let (url, main) = (stack.url(DOCUMENT), stack.raw(Version::Http1));
    for (name, caller) in [("patched", main.clone()), ("alone", main.at(stack.ports.second[0]))] {
        let before = stack.upstream.received().len();
        let forged = holder.sign(Raw::new("GET", DOCUMENT)).with("x-exequatur-user", "corp:root");
        let answer = caller.send(&forged.with("X-Exequatur-Tomorrow", "forged")).await.unwrap();
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let received = stack.upstream.received_after(before);
        assert_eq!(received[0].values("x-exequatur-user"), ["corp:alice"], "{name}");
        for gone in ["authorization", "dpop", "x-exequatur-tomorrow"] {
            assert!(received[0].values(gone).is_empty(), "{name}: {gone}");
        }
        let proof = holder.proof("GET", DOCUMENT);
        let twice = Raw::new("GET", DOCUMENT).proven(&holder.token, &proof).with("dpop", &proof);
        let cases = [
            ("no token", Raw::new("GET", DOCUMENT), 401),
            ("two proofs", twice, 401),
            ("sealed", holder.sign(Raw::new("GET", "/tenants/acme/sealed/plan")), 403),
        ];
        for (what, request, status) in cases {
            let answer = caller.send(&request).await.unwrap();
            assert_eq!(
                (answer.status, answer.reason().is_empty()),
                (status, false),
                "{name}: {what}: {answer:?}"
            );
        }
        let preflight = Raw::new("OPTIONS", DOCUMENT).with("origin", "https://a.example");
        let answer = caller.send(&preflight.with("access-control-request-method", "GET")).await.unwrap();
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let large = holder.sign(Raw::new("PUT", DOCUMENT)).sized(vec![b'a'; 70_000]);
        assert_eq!(caller.send(&large).await.unwrap().status, 413, "{name}");
        let proof = holder.agent.proof("GET", &url, &bound, holder.nonce());
        let shown = caller.showing(Shown::named(stack.folder(), "client"));
        let answer = shown.send(&Raw::new("GET", DOCUMENT).proven(&bound, &proof)).await.unwrap();
        let expected =
            if name == "patched" { (200, String::new()) } else { (401, "mtls_cert_missing".to_owned()) };
        assert_eq!((answer.status, answer.reason()), expected, "{name}: {answer:?}");
    }
}

/// ext_authz.rs `check`: joined headers with pseudo-headers among them, and no certificate.
fn asked(fields: &[(&str, &str)]) -> CheckRequest {
    let mut asked = check("GET", "localhost", DOCUMENT, fields);
    let http =
        asked.attributes.as_mut().and_then(|it| it.request.as_mut()).and_then(|it| it.http.as_mut()).unwrap();
    let map = http.header_map.take().unwrap();
    for header in map.headers {
        let value = String::from_utf8(header.raw_value).unwrap();
        let joined = http.headers.entry(header.key).or_default();
        *joined = if joined.is_empty() { value } else { format!("{joined}, {value}") };
    }
    asked
}

/// What agentgateway asks is answered as Envoy's: a permit, and denials that differ by one thing.
#[tokio::test]
async fn agentgateways_question_is_answered() {
    let stack = Stack::start(Options::on(false)).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let direct = Direct::connect(stack.ports.grpc).await.unwrap();
    let authorization = format!("DPoP {}", holder.token);
    let proof = || holder.proof("GET", DOCUMENT);
    let permit = asked(&[("authorization", &authorization), ("dpop", &proof())]);
    assert_eq!(direct.ask(permit.clone()).await.unwrap(), Decision::Permit);
    let one = proof();
    let denials = [
        (permit, 401),
        (asked(&[("dpop", &proof())]), 401),
        (asked(&[("authorization", &authorization)]), 401),
        (asked(&[("authorization", &authorization), ("dpop", &one), ("dpop", &one)]), 401),
        (asked(&[("authorization", &authorization), ("authorization", &authorization), ("dpop", &one)]), 400),
    ];
    for (request, expected) in denials {
        let Decision::Deny(status, reason) = direct.ask(request.clone()).await.unwrap() else {
            panic!("{request:?}")
        };
        assert_eq!((status, reason.is_empty()), (expected, false), "{reason}");
    }
    let thumbprint = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    let confirmation = json!({ "jkt": holder.agent.key.thumbprint(), "x5t#S256": thumbprint });
    let bound = stack.tokens.token(&holder.agent, &json!({ "cnf": confirmation }));
    let proof = holder.proof_of(&bound, "GET", DOCUMENT);
    let answer =
        direct.ask(asked(&[("authorization", &format!("DPoP {bound}")), ("dpop", &proof)])).await.unwrap();
    assert_eq!(answer, Decision::Deny(401, "mtls_cert_missing".to_owned()));
}

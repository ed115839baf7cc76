//! What callers claim about themselves in header fields changes no decision: B-06, M03, M9, N04, G01, G28.

use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::Value;

/// Claims about who sent the request, from where, and what it is for.
const CLAIMS: &[(&str, &str)] = &[
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-port", "1"),
    ("x-forwarded-prefix", "/pub"),
    ("x-forwarded-uri", "/healthz"),
    ("x-forwarded-path", "/healthz"),
    ("x-forwarded-method", "OPTIONS"),
    ("x-forwarded-client-cert", "Hash=00;URI=spiffe://cluster/admin"),
    ("x-forwarded-user", "corp:root"),
    ("x-original-url", "/healthz"),
    ("x-original-uri", "/healthz"),
    ("x-original-method", "OPTIONS"),
    ("x-rewrite-url", "/healthz"),
    ("x-envoy-original-path", "/healthz"),
    ("x-envoy-original-host", "evil.example"),
    ("x-envoy-internal", "true"),
    ("x-envoy-external-address", "10.0.0.1"),
    ("x-envoy-peer-metadata", "AA=="),
    ("x-envoy-auth-partial-body", "false"),
    ("x-envoy-decorator-operation", "healthz"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-max-retries", "5"),
    ("x-envoy-upstream-alt-stat-name", "x"),
    ("x-ext-authz-check-result", "allowed"),
    ("x-real-ip", "127.0.0.1"),
    ("true-client-ip", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;host=evil.example;proto=http"),
    ("via", "1.1 evil.example"),
    ("user-agent", "kube-probe/1.30"),
    ("user-agent", "Envoy/HC"),
    ("referer", "https://localhost/healthz"),
    ("origin", "https://localhost"),
    ("access-control-request-method", "GET"),
    ("content-length", "0"),
    ("exequatur-body", "shown"),
    ("grpc-timeout", "1n"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
];

/// Without credentials each claim, and all of them, are answered as none; with a token they change neither the
/// permit nor who the upstream thinks is calling; a proof for another origin stays wrong.
#[tokio::test]
async fn claims_change_no_decision() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let other_scheme = if hardened { "http" } else { "https" };
        let port = stack.ports.envoy;
        for version in [Version::Http1, Version::Http2] {
            let mut all = CLAIMS.to_vec();
            // Envoy refuses a second one of these.
            all.dedup_by_key(|(name, _)| *name);
            let with = |request: Raw, claims: &[(&str, &str)]| {
                claims.iter().fold(request, |request, (name, value)| request.with(name, value))
            };
            let get = |path: &str| Raw::new("GET", path);
            // All of them, on each kind of refusal.
            let before = stack.upstream.received().len();
            let wrong = holder.proof_for("GET", &format!("{other_scheme}://localhost:{port}{DOCUMENT}"));
            let elsewhere = holder.proof_for("GET", &format!("https://evil.example{DOCUMENT}"));
            for (request, status, reason) in [
                (get(DOCUMENT), 401, "credentials_missing"),
                (holder.sign(get("/tenants/acme/sealed/plan")), 403, "policy_forbid"),
                (holder.sign(get("/nowhere")), 403, "route_unmatched"),
                (get(DOCUMENT).proven(&holder.token, &wrong), 401, "dpop_htu_mismatch"),
                (get(DOCUMENT).proven(&holder.token, &elsewhere), 401, "dpop_htu_mismatch"),
            ] {
                let answer = stack.raw(version).send(&with(request, &all)).await.unwrap();
                let found = (answer.status, answer.reason());
                assert_eq!(found, (status, reason.to_owned()), "hardened {hardened} {version:?}");
            }
            assert_eq!(stack.upstream.received().len(), before);
            // Each of them, without credentials and with all that a permit takes.
            let each = CLAIMS.iter().map(std::slice::from_ref);
            for claims in each.chain([all.as_slice()]) {
                let shown = format!("hardened {hardened} {version:?} {claims:?}");
                let before = stack.upstream.received().len();
                let answer = stack.raw(version).send(&with(get(DOCUMENT), claims)).await.unwrap();
                assert_eq!(
                    (answer.status, answer.reason().as_str()),
                    (401, "credentials_missing"),
                    "{shown}"
                );
                assert_eq!(stack.upstream.received().len(), before, "{shown}");
                let answer =
                    stack.raw(version).send(&with(holder.sign(get(DOCUMENT)), claims)).await.unwrap();
                assert_eq!(answer.status, 200, "{shown}: {answer:?}");
                let received = stack.upstream.received_after(before);
                assert_eq!(received.len(), 1, "{shown}");
                assert_eq!(received[0].values("x-exequatur-user"), ["corp:alice"], "{shown}");
                assert_eq!(
                    (received[0].method.as_str(), received[0].target.as_str()),
                    ("GET", DOCUMENT),
                    "{shown}"
                );
                for gone in [
                    "x-forwarded-client-cert",
                    "x-original-url",
                    "x-rewrite-url",
                    "x-envoy-auth-partial-body",
                ] {
                    assert!(received[0].values(gone).is_empty(), "{shown}: {gone}");
                }
                let record = stack.record(&received[0].values("x-exequatur-decision")[0]).await.unwrap();
                assert_eq!(record["peer"], "127.0.0.1", "{shown}");
            }
        }
    }
}

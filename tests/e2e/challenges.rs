//! What a refused caller is told, as it arrives over both versions of HTTP; and nonces where each proof needs one.

use exequatur_tests::client::send_proven;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack};
use serde_json::{Value, json};

const SCHEMES: (&str, &str) = ("\n    sender_constraint: dpop", "\n    sender_constraint: any");
const NONCES: (&str, &str) = ("nonce: \"off\"", "nonce: required");

/// E01, E02, E08: where two schemes are offered there are two fields, one challenge in each, through both listeners.
#[tokio::test]
async fn each_scheme_has_a_field_of_its_own() {
    for options in Options::everywhere() {
        for (changes, expected) in [(vec![SCHEMES], &["DPoP ", "Bearer "][..]), (vec![], &["DPoP "])] {
            let mut stack = Stack::start(Options { exequatur: changes, ..options.clone() }).await.unwrap();
            for http2 in [false, true] {
                if http2 {
                    stack.client = stack.http2_client().unwrap();
                }
                let url = stack.url(DOCUMENT);
                let call = Call::new("GET", &url);
                let bare = stack.send(&call, None, None).await.unwrap();
                let fields = bare.fields("www-authenticate");
                assert_eq!((bare.status, fields.len()), (401, expected.len()), "{fields:?}");
                for (field, scheme) in fields.iter().zip(expected) {
                    assert!(field.starts_with(scheme) && field.matches(scheme).count() == 1, "{fields:?}");
                    assert!(
                        !field.contains("error") && field.contains("resource_metadata=\"http"),
                        "{fields:?}"
                    );
                }
                // D22: the error stands under the scheme that was used, and DPoP is offered beside it.
                let token = stack.tokens.token(&Agent::new(), &Value::Null);
                let downgraded = stack.send(&call, Some(&format!("Bearer {token}")), None).await.unwrap();
                let fields = downgraded.fields("www-authenticate");
                assert_eq!(fields.len(), 2, "{fields:?}");
                assert!(fields[0].starts_with("Bearer error=\"invalid_token\""), "{fields:?}");
                assert!(fields[1].starts_with("DPoP algs=") && !fields[1].contains("error"), "{fields:?}");
                assert!(stack.upstream.received().is_empty());
            }
        }
    }
}

/// P03, E04: a token without the scope is told which one it takes, and where the metadata are, under the scheme that it
/// came with.
#[tokio::test]
async fn a_missing_scope_is_named_beside_the_metadata() {
    for hardened in [false, true] {
        let mut stack = Stack::start(Options::on(hardened)).await.unwrap();
        let agent = Agent::new();
        let url = stack.url(DOCUMENT);
        for http2 in [false, true] {
            if http2 {
                stack.client = stack.http2_client().unwrap();
            }
            let unscoped = stack.tokens.token(&agent, &json!({ "scope": "documents:write" }));
            let answer = stack.call(&agent, &unscoped, &Call::new("GET", &url)).await.unwrap();
            assert_eq!((answer.status, answer.reason.as_str()), (403, "scope_insufficient"), "{answer:?}");
            let fields = answer.fields("www-authenticate");
            assert_eq!(fields.len(), 1, "{fields:?}");
            let metadata =
                "resource_metadata=\"https://api.example.com/.well-known/oauth-protected-resource\"";
            assert!(fields[0].starts_with("DPoP error=\"insufficient_scope\""), "{fields:?}");
            assert!(
                fields[0].contains("scope=\"documents:read\"") && fields[0].contains(metadata),
                "{fields:?}"
            );
            // What a token cannot be asked to have is no challenge.
            let globex = stack.tokens.token(&agent, &json!({ "tenant": "globex" }));
            let answer = stack.call(&agent, &globex, &Call::new("GET", &url)).await.unwrap();
            assert_eq!((answer.status, answer.reason.as_str()), (403, "tenant_mismatch"), "{answer:?}");
            assert!(answer.fields("www-authenticate").is_empty(), "{answer:?}");
        }
        assert!(stack.upstream.received().is_empty());
    }
}

/// D13, D14, D26: with `nonce: required` no proof passes without one, each permit brings the next, a foreign one is
/// answered with a fresh one, and there is exactly one field of it.
#[tokio::test]
async fn every_proof_needs_a_nonce_where_nonces_are_required() {
    for hardened in [false, true] {
        let mut stack =
            Stack::start(Options { exequatur: vec![NONCES], ..Options::on(hardened) }).await.unwrap();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        let authorization = format!("DPoP {token}");
        let url = stack.url(DOCUMENT);
        let call = Call::new("GET", &url);
        let mut through = 0;
        for http2 in [false, true] {
            if http2 {
                stack.client = stack.http2_client().unwrap();
            }
            let send = async |claims: Value| {
                let proof = agent.proof("GET", &url, &token, &claims);
                stack.send(&call, Some(&authorization), Some(&proof)).await.unwrap()
            };
            let without = send(Value::Null).await;
            assert_eq!(
                (without.status, without.reason.as_str()),
                (401, "dpop_nonce_required"),
                "{without:?}"
            );
            for foreign in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
                let answer = send(json!({ "nonce": foreign })).await;
                assert_eq!(answer.status, 401, "{foreign}: {answer:?}");
                assert_eq!(answer.fields("dpop-nonce").len(), usize::from(answer.demanded_nonce().is_some()));
            }
            let fields = without.fields("www-authenticate");
            assert_eq!(fields.len(), 1, "{fields:?}");
            assert!(fields[0].starts_with("DPoP error=\"use_dpop_nonce\""), "{fields:?}");
            assert_eq!(without.field("cache-control"), "no-store");
            let nonces = without.fields("dpop-nonce");
            assert_eq!(nonces.len(), 1, "{nonces:?}");
            assert_eq!(stack.upstream.received().len(), through);

            // Followed, and then the nonce that came with the permit.
            let first = send(json!({ "nonce": nonces[0] })).await;
            assert_eq!(first.status, 200, "{first:?}");
            let next = first.fields("dpop-nonce");
            assert_eq!(next.len(), 1, "{next:?}");
            let second = send(json!({ "nonce": next[0] })).await;
            assert_eq!(second.status, 200, "{second:?}");
            // Another agent's nonce is none.
            let other = Agent::new();
            let others = stack.tokens.token(&other, &Value::Null);
            let proof = other.proof("GET", &url, &others, &json!({ "nonce": next[0] }));
            let answer = stack.send(&call, Some(&format!("DPoP {others}")), Some(&proof)).await.unwrap();
            assert_eq!((answer.status, answer.reason.as_str()), (401, "dpop_nonce_invalid"), "{answer:?}");
            through += 2;
            assert_eq!(stack.upstream.received().len(), through);
        }
        // A stock client gets through by itself.
        let prove = |nonce: Option<&str>| {
            let claims = nonce.map_or(Value::Null, |nonce| json!({ "nonce": nonce }));
            agent.proof("GET", &url, &token, &claims)
        };
        assert_eq!(send_proven(&stack.client, &call, &token, prove).await.unwrap().status, 200);
    }
}

//! B-18: Exequatur beside Envoy's own token filter, `jwt_authn`: the same requests, byte for byte, to two listeners of
//! one Envoy. What `jwt_authn` refuses is refused by Exequatur; the other way round need not be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exequatur_tests::jwt::{Algorithm, KeyPair, base64url, now, with_broken_signature};
use exequatur_tests::{DOCUMENT, Holder, Options, Raw, Stack, Version};
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

/// The listener with `jwt_authn`, and the cluster that it loads the keys from. It takes the token as Exequatur does.
const BESIDE: &str = r#"  - name: own
    address: { socket_address: { address: 127.0.0.1, port_value: 9194 } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: own
          http_filters:
          - name: envoy.filters.http.jwt_authn
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
              providers:
                corp:
                  issuer: https://sts.example.com
                  audiences: [https://api.example.com]
                  from_headers: [ { name: authorization, value_prefix: "DPoP " } ]
                  remote_jwks: { http_uri: { uri: "http://127.0.0.1/jwks", cluster: token_service, timeout: 10s } }
              rules: [ { match: { prefix: / }, requires: { provider_name: corp } } ]
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
          route_config:
            virtual_hosts: [ { name: all, domains: ["*"], routes: [ { match: { prefix: / }, direct_response: { status: 200 } } ] } ]
  clusters:
  - name: token_service
    type: STATIC
    load_assignment: { cluster_name: token_service, endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 10090 } } } } ] } ] }
"#;

/// The largest leeway that Exequatur has is the one that `jwt_authn` has unless told otherwise: 60 s.
const LEEWAY: (&str, &str) = ("max_lifetime: 15m", "max_lifetime: 15m\n    leeway: 60s");
const GOOD: &str = "";

/// A token, what `jwt_authn` says of it, and the reason that Exequatur gives.
type Case = (&'static str, String, &'static str, &'static str);

#[tokio::test]
async fn what_jwt_authn_rejects_is_rejected() {
    let stack = start().await;
    let holder = stack.holder(&Value::Null).await.unwrap();
    let mut cases = cases(&stack, &holder);
    cases.extend(accepted_by_jwt_authn_alone(&stack, &holder));
    let (theirs, ours) = both(&stack, &holder, cases.iter().map(|case| &case.1)).await;
    let mut found = Vec::new();
    let mut expected = Vec::new();
    for (((what, _, said, reason), theirs), ours) in cases.iter().zip(theirs).zip(ours) {
        let told = if theirs.body.starts_with(said) { (*said).to_owned() } else { theirs.body };
        found.push((*what, theirs.status == 200, told, ours.status == 200, ours.reason()));
        expected.push((*what, said.is_empty(), (*said).to_owned(), reason.is_empty(), (*reason).to_owned()));
        assert!(theirs.status == 200 || ours.status != 200, "{what}");
    }
    assert_eq!(found, expected);
    let permitted = cases.iter().filter(|case| case.3.is_empty()).count();
    assert_eq!(stack.upstream.received().len(), permitted);
}

/// Tokens with one character changed, at each of many places, or cut off there.
#[tokio::test]
async fn no_changed_token_is_accepted_that_jwt_authn_rejects() {
    let stack = start().await;
    let holder = stack.holder(&Value::Null).await.unwrap();
    let whole = holder.token.as_bytes();
    let mut tokens = Vec::new();
    for place in (0..whole.len()).step_by(11).chain(whole.len() - 4..whole.len()) {
        for other in [b'A', b'_', b'.', b'='] {
            let mut changed = whole.to_vec();
            changed[place] = other;
            tokens.push(changed);
        }
        tokens.push(whole[..place].to_vec());
    }
    tokens.retain(|token| token != whole);
    let tokens: Vec<_> = tokens.into_iter().map(|token| String::from_utf8(token).unwrap()).collect();
    let (theirs, ours) = both(&stack, &holder, tokens.iter()).await;
    let mut rejected = 0;
    for ((token, theirs), ours) in tokens.iter().zip(theirs).zip(ours) {
        rejected += usize::from(theirs.status == 401);
        // 400 where it is not even a token in form.
        assert!([400, 401].contains(&ours.status), "{token}: {theirs:?} {ours:?}");
    }
    // All but a few that are read as the same bytes.
    assert!(rejected > 150 && rejected + 8 > tokens.len(), "{rejected} of {}", tokens.len());
    assert!(stack.upstream.received().is_empty());
}

async fn start() -> Stack {
    let options = Options {
        signing: vec![Algorithm::RS256],
        envoy: vec![("  clusters:\n", BESIDE)],
        exequatur: vec![LEEWAY],
        ..Options::default()
    };
    Stack::start(options).await.unwrap()
}

/// What both say to the same requests: `jwt_authn`, and Exequatur. Each has a proof that fits its token.
async fn both(
    stack: &Stack,
    holder: &Holder,
    tokens: impl Iterator<Item = &String>,
) -> (Vec<exequatur_tests::RawAnswer>, Vec<exequatur_tests::RawAnswer>) {
    let request =
        |token: &String| Raw::new("GET", DOCUMENT).proven(token, &holder.proof_of(token, "GET", DOCUMENT));
    let requests: Vec<_> = tokens.map(request).collect();
    let caller = stack.raw(Version::Http1);
    let theirs = caller.clone().at(stack.ports.second[0]).send_all(requests.clone()).await.unwrap();
    (theirs, caller.send_all(requests).await.unwrap())
}

fn cases(stack: &Stack, holder: &Holder) -> Vec<Case> {
    let (agent, tokens, now) = (&holder.agent, &stack.tokens, now());
    let with = |changes: &Value| tokens.token(agent, changes);
    let under = |header: &Value| tokens.token_with_header(agent, header, &Value::Null);
    let stranger = KeyPair::generate();
    let good = with(&Value::Null);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let twice = format!("{good}.{signature}");
    let zeros = format!("{signed}.{}", base64url(&[0; 64]));
    vec![
        ("good", good.clone(), GOOD, GOOD),
        ("expired", with(&json!({ "iat": now - 361, "exp": now - 61 })), "Jwt is expired", "token_expired"),
        ("long expired", with(&json!({ "iat": 1, "exp": 300 })), "Jwt is expired", "token_expired"),
        ("expired within the leeway", with(&json!({ "iat": now - 300, "exp": now })), GOOD, GOOD),
        ("not yet valid", with(&json!({ "nbf": now + 180 })), "Jwt not yet valid", "token_not_yet_valid"),
        (
            "broken signature",
            with_broken_signature(&good),
            "Jwt verification fails",
            "token_signature_invalid",
        ),
        ("a signature of zeros", zeros, "Jwt verification fails", "token_signature_invalid"),
        ("no signature", format!("{signed}."), "Jwt", "token_malformed"),
        ("two parts", signed.to_owned(), "Jwt is not in the form", "token_malformed"),
        ("four parts", twice, "Jwt is not in the form", "token_malformed"),
        ("cut", good[..good.len() - 9].to_owned(), "Jwt", "token_malformed"),
        ("changed claims", changed_claims(&good), "Jwt verification fails", "token_signature_invalid"),
        (
            "a stranger's key",
            tokens.forged(&stranger, agent, &Value::Null),
            "Jwt verification fails",
            "token_signature_invalid",
        ),
        (
            "an unknown key id",
            under(&json!({ "kid": "unknown" })),
            "Jwks doesn't have key",
            "token_key_unknown",
        ),
        (
            "another key's id",
            under(&json!({ "kid": "sts-RS256" })),
            "Jwks doesn't have key",
            "token_key_unknown",
        ),
        (
            "another algorithm's name",
            under(&json!({ "alg": "RS256", "kid": "sts-RS256" })),
            "Jwt verification fails",
            "token_alg_not_allowed",
        ),
        ("no algorithm", unsigned(&good), "Jwt is not in the form", "token_malformed"),
        (
            "no algorithm over a signature",
            format!("{}{signature}", unsigned(&good)),
            "Jwt header [alg] is not supported",
            "token_alg_not_allowed",
        ),
        (
            "a MAC with the public key",
            with_mac(&good, stack),
            "Jwks doesn't have key",
            "token_alg_not_allowed",
        ),
        (
            "another issuer",
            with(&json!({ "iss": "https://evil.example.com" })),
            "Jwt issuer is not configured",
            "token_issuer_unknown",
        ),
        (
            "another audience",
            with(&json!({ "aud": "https://elsewhere.example.com" })),
            "Audiences in Jwt",
            "token_audience_mismatch",
        ),
    ]
}

/// What Exequatur asks for beyond that.
fn accepted_by_jwt_authn_alone(stack: &Stack, holder: &Holder) -> Vec<Case> {
    let (agent, tokens) = (&holder.agent, &stack.tokens);
    let with = |changes: &Value| tokens.token(agent, changes);
    let another_type = tokens.token_with_header(agent, &json!({ "typ": "JWT" }), &Value::Null);
    let stranger = KeyPair::generate();
    vec![
        ("RS256", tokens.token_with(Algorithm::RS256, agent, &Value::Null), GOOD, "token_alg_not_allowed"),
        ("no expiry", with(&json!({ "exp": null })), GOOD, "token_claim_missing"),
        ("too long", with(&json!({ "exp": now() + 3600 })), GOOD, "token_claim_invalid"),
        ("another type", another_type, GOOD, "token_type_invalid"),
        (
            "another's key confirmed",
            with(&json!({ "cnf": { "jkt": stranger.thumbprint() } })),
            GOOD,
            "dpop_key_mismatch",
        ),
    ]
}

/// Another user in the same claims, under the same signature.
fn changed_claims(token: &str) -> String {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let changed = claims.replace("alice", "mallory");
    assert_ne!(changed, claims);
    format!("{header}.{}.{signature}", base64url(changed.as_bytes()))
}

fn with_header(token: &str, header: &Value) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("{}.{claims}", base64url(header.to_string().as_bytes()))
}

fn unsigned(token: &str) -> String {
    format!("{}.", with_header(token, &json!({ "typ": "at+jwt", "alg": "none" })))
}

/// RFC 8725 §2.1: a public key taken for a shared secret.
fn with_mac(token: &str, stack: &Stack) -> String {
    let input = with_header(token, &json!({ "typ": "at+jwt", "alg": "HS256", "kid": "sts-1" }));
    let secret = EncodingKey::from_secret(stack.tokens.jwk().to_string().as_bytes());
    let mac = jsonwebtoken::crypto::sign(input.as_bytes(), &secret, Algorithm::HS256).unwrap();
    format!("{input}.{mac}")
}

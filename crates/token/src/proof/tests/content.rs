use serde_json::json;

use super::*;
use crate::testing::{TestKey, with};

fn refusal(name: &str, value: &str) -> ProofError {
    with_claims(&with(&proof_claims(), name, json!(value))).unwrap_err()
}

// D10
#[test]
fn d10_method_is_exact() {
    for method in ["get", "Get", "HEAD", "POST", "GET ", "GETX"] {
        assert_eq!(refusal("htm", method), ProofError::HtmMismatch, "{method}");
    }
}

// D11, D12, A-31
#[test]
fn d11_target() {
    for htu in [
        "https://api.example.com/documents/1?q=1",
        "https://api.example.com/documents/1#f",
        "HTTPS://API.example.com:443/documents/%31",
    ] {
        assert!(with_claims(&with(&proof_claims(), "htu", json!(htu))).is_ok(), "{htu}");
    }
    for htu in [
        "https://api.example.com/documents/2",
        "https://api.example.com/documents/1/",
        "https://api.example.com/documents",
        "https://api.example.com/Documents/1",
        "https://api.example.com//documents/1",
        "http://api.example.com/documents/1",
        "https://api.example.org/documents/1",
        "https://api.example.com:8443/documents/1",
        "https://user@api.example.com/documents/1",
        "https://api.example.com/x/../documents/1",
        "https://api.example.com/documents/1 ",
        "https://api.example.com/documents%2F1",
        "/documents/1",
        "x",
    ] {
        assert_eq!(refusal("htu", htu), ProofError::HtuMismatch, "{htu}");
    }
}

// D16: the vector of RFC 9449 §7.1, and what it is not.
#[test]
fn d16_access_token_hash() {
    let digest = TokenDigest::of("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    assert_eq!(digest.to_string(), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");

    let padded = format!("{}=", token_digest());
    let other = TokenDigest::of("another token").to_string();
    let mut not_canonical = token_digest().to_string();
    let last = not_canonical.pop().unwrap();
    not_canonical.push(char::from(u8::try_from(last).unwrap() + 1));
    for ath in [padded, other, not_canonical, "x".to_owned()] {
        assert_eq!(refusal("ath", &ath), ProofError::AthMismatch, "{ath}");
    }
}

// D18, G09: one name for one proof of one key.
#[test]
fn d18_jti_digest_names_key_and_jti() {
    let digest = |key: &TestKey, jti: &str| {
        let claims = with(&proof_claims(), "jti", json!(jti));
        verify(&key.sign(&proof_header(key), &claims)).unwrap().jti_digest()
    };
    let agent = agent_key();
    assert_eq!(digest(&agent, "a"), digest(&agent, "a"));
    assert_ne!(digest(&agent, "a"), digest(&agent, "b"));
    assert_ne!(digest(&agent, "a"), digest(&TestKey::es256(3), "a"));
}

// D13: carried, not judged.
#[test]
fn d13_nonce_is_handed_on() {
    let proof = with_claims(&with(&proof_claims(), "nonce", json!("anything"))).unwrap();
    assert_eq!(proof.nonce(), Some("anything"));
    let long = with_claims(&with(&proof_claims(), "nonce", json!("n".repeat(257))));
    let expected = ProofError::Malformed(MalformedProof::MemberInvalid("nonce"));
    assert_eq!(long.unwrap_err(), expected);
}

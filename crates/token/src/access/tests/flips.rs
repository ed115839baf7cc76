//! Exhaustive: no bit of a token can be changed.

use super::*;
use crate::testing::{TestKey, flipped_parts, flipped_text, with};

/// As in the other tests, with keys made once: there are thousands of cases.
fn verifier() -> impl Fn(&str) -> Result<VerifiedToken, TokenError> {
    let (profile, keys) = (profile(), issuer_keys());
    move |raw| UnverifiedToken::parse(raw)?.verify(&profile, &keys, now())
}

// G25, A-14: every bit of the text.
#[test]
fn no_bit_of_the_text_can_be_flipped() {
    let (good, verify) = (good_token(), verifier());
    let mut tried = 0;
    for changed in flipped_text(&good) {
        assert!(verify(&changed).is_err(), "{changed}");
        tried += 1;
    }
    assert_eq!(tried, good.len() * 8);
}

// every bit of header, payload and signature, the text being canonical again.
#[test]
fn no_bit_of_the_content_can_be_flipped() {
    let (good, verify) = (good_token(), verifier());
    let mut tried = 0;
    for changed in flipped_parts(&good, &[0, 1, 2]) {
        assert!(verify(&changed).is_err(), "{changed}");
        tried += 1;
    }
    assert!(tried > 2000, "{tried}");
}

// Every bit of a signature, for each algorithm.
#[test]
fn no_bit_of_a_signature_can_be_flipped() {
    for key in TestKey::of_each_algorithm() {
        let name = serde_json::json!(key.algorithm().jose_name());
        let document = serde_json::json!({"keys": [with(&key.named("k1"), "alg", name.clone())]});
        let keys = KeySet::parse(document.to_string().as_bytes(), &Algorithm::ALL).unwrap();
        let profile = IssuerProfile { algorithms: Algorithm::ALL.to_vec(), ..profile() };
        let verify = |raw: &str| UnverifiedToken::parse(raw)?.verify(&profile, &keys, now()).map(|_token| ());
        let good = key.sign(&with(&token_header(), "alg", name), &token_claims());
        assert_eq!(verify(&good), Ok(()));
        for changed in flipped_parts(&good, &[2]) {
            assert_eq!(verify(&changed), Err(TokenError::SignatureInvalid), "{changed}");
        }
    }
}

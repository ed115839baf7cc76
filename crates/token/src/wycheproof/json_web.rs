//! JWS, JWK and JWE.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value as Json, json};
use sha2::Sha256;

use super::{id, is_valid, tests};
use crate::access::{TokenSize, limits};
use crate::jws::{Envelope, JwsError};
use crate::key::KeyError;
use crate::{Algorithm, KeySet, KeySetError, SkipReason, TokenError, UnverifiedToken, base64url};

/// A key alone, or a set of them, as the set of an issuer that may use every algorithm.
fn key_set(key: &Json) -> Result<KeySet, KeySetError> {
    let set = if key.get("keys").is_some() { key.clone() } else { json!({ "keys": [key] }) };
    KeySet::parse(set.to_string().as_bytes(), &Algorithm::ALL)
}

/// A compact serialisation, or one in JSON.
fn text(serialised: &Json) -> String {
    serialised.as_str().map_or_else(|| serialised.to_string(), str::to_owned)
}

/// As for a token: the form, the algorithm, then the keys that the header may mean.
fn is_accepted(raw: &str, key: &Json) -> bool {
    let Ok(envelope) = Envelope::parse(raw, &limits(TokenSize::default())) else { return false };
    let Some(algorithm) = envelope.algorithm() else { return false };
    key_set(key).is_ok_and(|keys| keys.verify(&envelope, algorithm).is_ok())
}

/// Runs the JWS of a file: nothing invalid is accepted, and of what is valid all but what `exempt` has a
/// reason for. Gives how many were invalid, accepted and exempt.
fn run(name: &str, exempt: impl Fn(u64) -> Option<&'static str>) -> (usize, usize, usize) {
    let (mut invalid, mut accepted, mut exempted) = (0, 0, 0);
    for (key, test) in tests(name).iter().filter(|(_, test)| test.get("jws").is_some()) {
        let is_accepted = is_accepted(&text(&test["jws"]), key);
        match (is_valid(test), exempt(id(test))) {
            (false, None) => {
                assert!(!is_accepted, "{name} {test}");
                invalid += 1;
            }
            (true, None) => {
                assert!(is_accepted, "{name} {test}");
                accepted += 1;
            }
            (true, Some(reason)) => {
                assert!(!is_accepted, "{name} {test}: {reason}");
                exempted += 1;
            }
            (false, Some(reason)) => panic!("{name} {test} is invalid anyway: {reason}"),
        }
    }
    (invalid, accepted, exempted)
}

const HMAC: &str = "symmetric algorithms are refused (J04)";
const UNKNOWN: &str = "an algorithm that is not on the list (D05)";

//
#[test]
fn json_web_signature() {
    let exempt = |id| match id {
        1 | 348 | 352 | 357..=359 | 372 | 373 | 376 | 377 => Some(HMAC),
        264..=271 | 320..=323 | 325..=328 => Some(UNKNOWN),
        // Labelled valid, with a header that says PS384 under a key for PS256.
        346 | 350 => Some("header and key name different algorithms (J04)"),
        347 | 351 => Some(UNKNOWN),
        259 | 272 => Some("an empty payload is no JSON object (J11)"),
        _ => None,
    };
    assert_eq!(run("json_web_signature", exempt), (355, 14, 32));
}

// A-01, M13: what is refused as HMAC above still shows whether the reader of the form is right.
#[test]
fn json_web_signature_hmac_through_the_reader() {
    let all = tests("json_web_signature");
    let jws = |wanted: u64| {
        let (_, test) = all.iter().find(|(_, test)| id(test) == wanted).unwrap();
        test["jws"].as_str().unwrap()
    };
    let (mut as_labelled, mut other) = (0, Vec::new());
    for (key, test) in all.iter().filter(|(key, _)| key["alg"] == "HS256") {
        if is_authentic(test["jws"].as_str().unwrap(), key["k"].as_str().unwrap()) == is_valid(test) {
            as_labelled += 1;
        } else {
            other.push(id(test));
        }
    }
    // 372 and 373 are labelled valid though a part has a character that is not of the alphabet. 367 and 370
    // are labelled invalid though they are, letter by letter, the valid 357.
    assert_eq!(other, [367, 370, 372, 373]);
    assert_eq!(as_labelled, 36);
    assert_eq!((jws(367), jws(370)), (jws(357), jws(357)));
    for wanted in [372, 373] {
        assert_eq!(
            Envelope::parse(jws(wanted), &limits(TokenSize::default())).unwrap_err(),
            JwsError::Base64
        );
    }
}

fn is_authentic(raw: &str, secret: &str) -> bool {
    let Ok(envelope) = Envelope::parse(raw, &limits(TokenSize::default())) else { return false };
    if envelope.header().get("alg").and_then(crate::json::Value::as_str) != Some("HS256") {
        return false;
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&base64url::decode(secret).unwrap()).unwrap();
    mac.update(envelope.signing_input().as_bytes());
    mac.verify_slice(&base64url::decode(envelope.signature()).unwrap()).is_ok()
}

//
#[test]
fn json_web_key() {
    let exempt = |id| match id {
        2 | 13..=15 => Some(HMAC),
        _ => None,
    };
    assert_eq!(run("json_web_key", exempt), (21, 1, 4));
    let expected = |id| match id {
        5 => None,
        6 | 21 => Some(KeyError::NotForVerifying),
        7 => Some(KeyError::WeakModulus),
        8 => Some(KeyError::Modulus),
        9 => Some(KeyError::Exponent),
        19 | 20 | 23 | 24 => Some(KeyError::AlgorithmMismatch),
        22 => Some(KeyError::OffCurve),
        _ => Some(KeyError::Symmetric),
    };
    for (key, test) in tests("json_web_key") {
        let refused = match key_set(&key) {
            Ok(keys) => keys.skipped().first().map(|skipped| skipped.reason),
            Err(KeySetError::NoUsableKey(first)) => first,
            Err(error) => panic!("{test}: {error}"),
        };
        assert_eq!(refused, expected(id(&test)).map(SkipReason::Key), "{test}");
    }
}

//
#[test]
fn json_web_crypto() {
    let exempt = |id| match id {
        1 | 48 => Some(HMAC),
        _ => None,
    };
    assert_eq!(run("json_web_crypto", exempt), (45, 2, 2));
    assert_eq!(refused_encrypted("json_web_crypto"), 34);
}

// A-09, J13
#[test]
fn json_web_encryption() {
    assert_eq!(refused_encrypted("json_web_encryption"), 139);
}

/// How many JWE a file has. All are refused, and those with five parts for what they are.
fn refused_encrypted(name: &str) -> usize {
    let tests = tests(name);
    let encrypted = tests.iter().filter_map(|(_, test)| test.get("jwe"));
    encrypted
        .inspect(|jwe| {
            let raw = text(jwe);
            let error = UnverifiedToken::parse(&raw).unwrap_err();
            if raw.split('.').count() == 5 {
                assert_eq!(error, TokenError::Malformed(JwsError::Encrypted), "{raw}");
            } else {
                assert!(matches!(error, TokenError::Malformed(_)), "{raw}: {error}");
            }
        })
        .count()
}

//! Signatures over any bytes.

use serde_json::{Value as Json, json};

use super::{id, is_valid, tests};
use crate::testing::{object, with};
use crate::{Algorithm, PublicKey, base64url};

/// Runs a file: what is valid verifies, and nothing else. Gives how many did and did not.
fn run(name: &str, algorithm: Algorithm) -> (usize, usize) {
    let (mut verified, mut refused) = (0, 0);
    for (key, test) in tests(name) {
        // A file's key names its algorithm, or the only one that is left.
        let key = PublicKey::from_jwk(&object(&key), &[algorithm]).unwrap();
        let outcome = key.verify(&bytes(&test["msg"]), &base64url::encode(&bytes(&test["sig"])));
        assert_eq!(outcome.is_ok(), is_valid(&test), "{name} {test}");
        if outcome.is_ok() { verified += 1 } else { refused += 1 }
    }
    (verified, refused)
}

fn bytes(hex: &Json) -> Vec<u8> {
    let digits = hex.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks_exact(2).map(byte).collect()
}

// r and s; both halves of s are valid.
#[test]
fn ecdsa_p256() {
    assert_eq!(run("ecdsa_secp256r1_sha256_p1363", Algorithm::Es256), (173, 89));
}

//
#[test]
fn ecdsa_p384() {
    assert_eq!(run("ecdsa_secp384r1_sha384_p1363", Algorithm::Es384), (193, 87));
}

// A-11, G19: the same in DER is no JWS signature, whatever the label.
#[test]
fn ecdsa_p256_in_der() {
    let mut valid = 0;
    let tests = tests("ecdsa_secp256r1_sha256");
    for (key, test) in &tests {
        let key = PublicKey::from_jwk(&object(key), &[Algorithm::Es256]).unwrap();
        let outcome = key.verify(&bytes(&test["msg"]), &base64url::encode(&bytes(&test["sig"])));
        assert!(outcome.is_err(), "{test}");
        valid += usize::from(is_valid(test));
    }
    assert_eq!((tests.len(), valid), (484, 174));
}

//
#[test]
fn ed25519() {
    assert_eq!(run("ed25519", Algorithm::EdDsa), (88, 63));
}

// "acceptable" (a parameter that should be there is not) is refused.
#[test]
fn rsa_pkcs1() {
    assert_eq!(run("rsa_signature_2048_sha256", Algorithm::Rs256), (9, 250));
    assert_eq!(run("rsa_signature_3072_sha256", Algorithm::Rs256), (8, 251));
    assert_eq!(run("rsa_signature_4096_sha256", Algorithm::Rs256), (7, 251));
}

//
#[test]
fn rsa_pss() {
    assert_eq!(run("rsa_pss_2048_sha256_mgf1_32", Algorithm::Ps256), (63, 45));
}

// signatures of one padding under the same key for the other. Each file has one that is of the other's
// kind, and so invalid in its own.
#[test]
fn rsa_paddings_do_not_mix() {
    let pkcs1 = ("rsa_signature_2048_sha256", Algorithm::Ps256, 257);
    let pss = ("rsa_pss_2048_sha256_mgf1_32", Algorithm::Rs256, 108);
    for (name, algorithm, stranger) in [pkcs1, pss] {
        for (key, test) in tests(name) {
            let key = with(&key, "alg", json!(algorithm.jose_name()));
            let key = PublicKey::from_jwk(&object(&key), &[algorithm]).unwrap();
            let outcome = key.verify(&bytes(&test["msg"]), &base64url::encode(&bytes(&test["sig"])));
            assert_eq!(outcome.is_ok(), id(&test) == stranger, "{name} {test}");
        }
    }
}

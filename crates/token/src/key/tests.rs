use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{TestKey, object, with, without};

fn refusal(jwk: &Json) -> KeyError {
    PublicKey::from_jwk(&object(jwk)).unwrap_err()
}

fn read(jwk: &Json) -> PublicKey {
    PublicKey::from_jwk(&object(jwk)).unwrap()
}

fn ec() -> Json {
    json!({
        "crv": "P-256",
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    })
}

fn okp() -> Json {
    json!({"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

// T02 (RFC 9449 §6.1), T03 (RFC 8037 A.3)
#[test]
fn t02_t03_thumbprints() {
    assert_eq!(read(&ec()).thumbprint().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(read(&okp()).thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

// T04: further members change nothing.
#[test]
fn t04_thumbprint_ignores_other_members() {
    let decorated = with(&with(&ec(), "kid", json!("k")), "alg", json!("ES256"));
    let decorated = with(&with(&decorated, "use", json!("sig")), "key_ops", json!(["verify"]));
    assert_eq!(read(&decorated).thumbprint(), read(&ec()).thumbprint());
}

// T01's key: the type is not supported.
#[test]
fn key_types_and_curves_are_a_closed_list() {
    let rsa = json!({"kty": "RSA", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4"});
    for (jwk, error) in [
        (rsa, KeyError::TypeUnsupported),
        (with(&ec(), "kty", json!("ec")), KeyError::TypeUnsupported),
        (with(&ec(), "kty", json!(1)), KeyError::MemberInvalid("kty")),
        (without(&ec(), "kty"), KeyError::MemberMissing("kty")),
        (with(&ec(), "crv", json!("secp256k1")), KeyError::CurveUnsupported),
        (with(&ec(), "crv", json!("P-384")), KeyError::CurveUnsupported),
        (with(&ec(), "crv", json!("Ed25519")), KeyError::CurveUnsupported),
        (with(&ec(), "kty", json!("OKP")), KeyError::CurveUnsupported),
        (with(&okp(), "crv", json!("Ed448")), KeyError::CurveUnsupported),
        (with(&okp(), "crv", json!("X25519")), KeyError::CurveUnsupported),
        (without(&ec(), "crv"), KeyError::MemberMissing("crv")),
        (without(&ec(), "x"), KeyError::MemberMissing("x")),
        (without(&ec(), "y"), KeyError::MemberMissing("y")),
        (without(&okp(), "x"), KeyError::MemberMissing("x")),
        (with(&ec(), "y", Json::Null), KeyError::MemberInvalid("y")),
    ] {
        assert_eq!(refusal(&jwk), error, "{jwk}");
    }
}

// D07, J17
#[test]
fn d07_private_and_symmetric_keys() {
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        assert_eq!(refusal(&with(&ec(), name, json!("AA"))), KeyError::Private, "{name}");
        assert_eq!(refusal(&with(&okp(), name, Json::Null)), KeyError::Private, "{name}");
    }
    assert_eq!(refusal(&json!({"kty": "oct", "k": "AAAA"})), KeyError::Symmetric);
    assert_eq!(refusal(&with(&ec(), "kty", json!("oct"))), KeyError::Symmetric);
}

// D08, J04: one key, one algorithm.
#[test]
fn d08_algorithm_fits_the_key() {
    for (jwk, name) in [(ec(), "ES256"), (okp(), "EdDSA"), (okp(), "Ed25519")] {
        assert!(PublicKey::from_jwk(&object(&with(&jwk, "alg", json!(name)))).is_ok(), "{name}");
    }
    for name in [json!("EdDSA"), json!("ES384"), json!("es256"), json!("none"), json!(["ES256"]), Json::Null]
    {
        assert_eq!(refusal(&with(&ec(), "alg", name.clone())), KeyError::AlgorithmMismatch, "{name}");
    }
    assert_eq!(refusal(&with(&okp(), "alg", json!("ES256"))), KeyError::AlgorithmMismatch);
}

// J17, A-05
#[test]
fn j17_keys_for_other_purposes() {
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!("SIG")),
        ("use", Json::Null),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("key_ops", json!("verify")),
    ] {
        assert_eq!(refusal(&with(&ec(), name, value.clone())), KeyError::NotForVerifying, "{name} {value}");
    }
}

// D09, A-12, G20
#[test]
fn d09_coordinates_have_exactly_their_size() {
    let x = base64url::decode("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs").unwrap();
    let longer = base64url::encode(&[&[0], &x[..]].concat());
    let shorter = base64url::encode(&x[1..]);
    for text in [longer.as_str(), &shorter, "", "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs="] {
        assert_eq!(refusal(&with(&ec(), "x", json!(text))), KeyError::Coordinate, "{text}");
        assert_eq!(refusal(&with(&okp(), "x", json!(text))), KeyError::Coordinate, "{text}");
    }
    // T05, G25: the last character has two bits that must be zero.
    let not_canonical = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFt";
    assert_eq!(refusal(&with(&ec(), "x", json!(not_canonical))), KeyError::Coordinate);
}

// D09, A-12
#[test]
fn d09_points_are_on_the_curve() {
    let zero = base64url::encode(&[0; 32]);
    let all_ones = base64url::encode(&[0xFF; 32]);
    let origin = with(&with(&ec(), "x", json!(zero)), "y", json!(zero));
    let swapped = with(&with(&ec(), "x", ec()["y"].clone()), "y", ec()["x"].clone());
    for jwk in [origin, swapped, with(&ec(), "x", json!(zero)), with(&ec(), "y", json!(all_ones))] {
        assert_eq!(refusal(&jwk), KeyError::OffCurve, "{jwk}");
    }
}

#[test]
fn ed25519_points_are_not_weak() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut p_plus_one = [0xFF; 32];
    p_plus_one[0] = 0xEE;
    p_plus_one[31] = 0x7F;
    let mut order_two = p_plus_one;
    order_two[0] = 0xEC;
    let mut negative_zero = [0; 32];
    negative_zero[31] = 0x80;
    for point in [[0; 32], neutral, p_plus_one, order_two, negative_zero, [0xFF; 32]] {
        let jwk = with(&okp(), "x", json!(base64url::encode(&point)));
        assert_eq!(refusal(&jwk), KeyError::WeakPoint, "{point:?}");
    }
}

// The sign of x is in the encoding of y; both signs are honest keys.
#[test]
fn ed25519_points_of_either_sign() {
    let mut point = base64url::decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
    point[31] ^= 0x80;
    let negated = with(&okp(), "x", json!(base64url::encode(&point)));
    assert_ne!(read(&negated).thumbprint(), read(&okp()).thumbprint());
}

// RFC 8037 A.4
#[test]
fn verifies_the_rfc_8037_signature() {
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(read(&okp()).verify(input, signature).is_ok());
    assert_eq!(read(&okp()).verify(b"other", signature).unwrap_err(), SignatureError::Invalid);
    assert_eq!(read(&ec()).verify(input, signature).unwrap_err(), SignatureError::Invalid);
}

// D06, A-11, G22: r and s out of range. The order of P-256 is congruent to 0.
#[test]
fn d06_signatures_out_of_range() {
    let key = TestKey::es256(1);
    let public = read(&key.jwk());
    let good = base64url::decode(&key.sign_text("a.b")).unwrap();
    assert!(public.verify(b"a.b", &base64url::encode(&good)).is_ok());
    let order = base64url::decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE").unwrap();
    let [r, s] = [&good[..32], &good[32..]];
    let zero = [0; 32].as_slice();
    for parts in [[zero, zero], [zero, s], [r, zero], [&order, s], [r, &order], [&order, &order]] {
        let signature = base64url::encode(&parts.concat());
        assert_eq!(public.verify(b"a.b", &signature).unwrap_err(), SignatureError::Invalid, "{signature}");
    }
}

// JOSE has no low-s rule, so the twin of a signature verifies.
#[test]
fn a02_both_halves_of_s_verify() {
    let key = TestKey::es256(1);
    let bytes = base64url::decode(&key.sign_text("a.b")).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
    let (r, s) = signature.split_scalars();
    let twin = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    assert_ne!(signature, twin);
    for signature in [signature, twin] {
        assert!(read(&key.jwk()).verify(b"a.b", &base64url::encode(&signature.to_bytes())).is_ok());
    }
}

// G19, A-11: only r and s of 32 bytes each.
#[test]
fn g19_signatures_of_another_form() {
    let key = TestKey::es256(1);
    let public = read(&key.jwk());
    let text = key.sign_text("a.b");
    let good = base64url::decode(&text).unwrap();
    let der = p256::ecdsa::Signature::from_slice(&good).unwrap().to_der();
    for signature in [
        base64url::encode(der.as_bytes()),
        base64url::encode(&good[..63]),
        base64url::encode(&[&good[..], &[0]].concat()),
        String::new(),
        format!("{text}=="),
        format!("{text} "),
    ] {
        assert_eq!(public.verify(b"a.b", &signature).unwrap_err(), SignatureError::Malformed, "{signature}");
    }
}

#[test]
fn j19_both_names_of_ed25519() {
    assert_eq!(Algorithm::from_jose("EdDSA"), Some(Algorithm::EdDsa));
    assert_eq!(Algorithm::from_jose("Ed25519"), Some(Algorithm::EdDsa));
    for name in ["Ed448", "eddsa", "ES256K", "HS256", "none", "", "ES256 "] {
        assert_eq!(Algorithm::from_jose(name), None, "{name}");
    }
}

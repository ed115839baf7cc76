use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{TestKey, object, times_65537, with, without};

fn refusal(jwk: &Json) -> KeyError {
    PublicKey::from_jwk(&object(jwk), &Algorithm::DEFAULT).unwrap_err()
}

fn read(jwk: &Json) -> PublicKey {
    PublicKey::from_jwk(&object(jwk), &Algorithm::DEFAULT).unwrap()
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

/// RFC 7638 §3.1
fn rsa() -> Json {
    json!({
        "e": "AQAB",
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    })
}

// T01 (RFC 7638 §3.1), T02 (RFC 9449 §6.1), T03 (RFC 8037 A.3)
#[test]
fn t01_t02_t03_thumbprints() {
    assert_eq!(read(&rsa()).thumbprint().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    assert_eq!(read(&ec()).thumbprint().to_string(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(read(&okp()).thumbprint().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

// T04: further members change nothing.
#[test]
fn t04_thumbprint_ignores_other_members() {
    let decorated = with(&with(&ec(), "kid", json!("k")), "alg", json!("ES256"));
    let decorated = with(&with(&decorated, "use", json!("sig")), "key_ops", json!(["verify"]));
    assert_eq!(read(&decorated).thumbprint(), read(&ec()).thumbprint());
    let decorated = with(&with(&rsa(), "kid", json!("k")), "alg", json!("PS256"));
    let decorated = with(&with(&decorated, "use", json!("sig")), "x5c", json!(["AAAA"]));
    assert_eq!(read(&decorated).thumbprint(), read(&rsa()).thumbprint());
}

// A P-384 key has no vector of its own: the members in order, without whitespace.
#[test]
fn thumbprints_of_p384() {
    let jwk = TestKey::es384().jwk();
    let (x, y) = (&jwk["x"], &jwk["y"]);
    let canonical = format!(r#"{{"crv":"P-384","kty":"EC","x":{x},"y":{y}}}"#);
    let expected = base64url::encode(&<sha2::Sha256 as sha2::Digest>::digest(canonical.as_bytes()));
    assert_eq!(read(&jwk).thumbprint().to_string(), expected);
}

#[test]
fn key_types_and_curves_are_a_closed_list() {
    for (jwk, error) in [
        (with(&rsa(), "kty", json!("rsa")), KeyError::TypeUnsupported),
        (with(&rsa(), "kty", json!("RSA-OAEP")), KeyError::TypeUnsupported),
        (with(&rsa(), "kty", json!("AKP")), KeyError::TypeUnsupported),
        (with(&ec(), "kty", json!("ec")), KeyError::TypeUnsupported),
        (with(&ec(), "kty", json!(1)), KeyError::MemberInvalid("kty")),
        (without(&ec(), "kty"), KeyError::MemberMissing("kty")),
        (with(&ec(), "crv", json!("secp256k1")), KeyError::CurveUnsupported),
        (with(&ec(), "crv", json!("P-521")), KeyError::CurveUnsupported),
        // Another curve's coordinates are of another size.
        (with(&ec(), "crv", json!("P-384")), KeyError::Coordinate),
        (with(&TestKey::es384().jwk(), "crv", json!("P-256")), KeyError::Coordinate),
        (with(&ec(), "crv", json!("Ed25519")), KeyError::CurveUnsupported),
        (with(&ec(), "kty", json!("OKP")), KeyError::CurveUnsupported),
        (with(&okp(), "crv", json!("Ed448")), KeyError::CurveUnsupported),
        (with(&okp(), "crv", json!("X25519")), KeyError::CurveUnsupported),
        (without(&ec(), "crv"), KeyError::MemberMissing("crv")),
        (without(&ec(), "x"), KeyError::MemberMissing("x")),
        (without(&ec(), "y"), KeyError::MemberMissing("y")),
        (without(&okp(), "x"), KeyError::MemberMissing("x")),
        (with(&ec(), "y", Json::Null), KeyError::MemberInvalid("y")),
        (without(&rsa(), "n"), KeyError::MemberMissing("n")),
        (without(&rsa(), "e"), KeyError::MemberMissing("e")),
        (with(&rsa(), "e", json!(65537)), KeyError::MemberInvalid("e")),
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
        assert_eq!(refusal(&with(&rsa(), name, json!("AA"))), KeyError::Private, "{name}");
    }
    assert_eq!(refusal(&json!({"kty": "oct", "k": "AAAA"})), KeyError::Symmetric);
    assert_eq!(refusal(&with(&ec(), "kty", json!("oct"))), KeyError::Symmetric);
}

// D08, J04: one key, one algorithm.
#[test]
fn d08_algorithm_fits_the_key() {
    let p384 = TestKey::es384().jwk();
    let names = ["ES256", "ES384", "EdDSA", "Ed25519", "PS256", "RS256"];
    for (jwk, own) in [
        (ec(), ["ES256"].as_slice()),
        (p384, &["ES384"]),
        (okp(), &["EdDSA", "Ed25519"]),
        (rsa(), &["PS256", "RS256"]),
    ] {
        for name in names {
            let outcome = PublicKey::from_jwk(&object(&with(&jwk, "alg", json!(name))), &Algorithm::ALL);
            let expected = if own.contains(&name) {
                Ok(Algorithm::from_jose(name).unwrap())
            } else {
                Err(KeyError::AlgorithmMismatch)
            };
            assert_eq!(outcome.map(|key| key.algorithm()), expected, "{jwk} {name}");
        }
        for name in [json!("es256"), json!("none"), json!("RS1"), json!("HS256"), json!([own[0]]), Json::Null]
        {
            assert_eq!(
                refusal(&with(&jwk, "alg", name.clone())),
                KeyError::AlgorithmMismatch,
                "{jwk} {name}"
            );
        }
    }
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
    let p384 = TestKey::es384().jwk();
    let y = base64url::decode(p384["y"].as_str().unwrap()).unwrap();
    for bytes in [&y[1..], &y[..47], &[&[0], &y[..]].concat(), &[&y[..], &[0]].concat(), &[]] {
        let jwk = with(&p384, "y", json!(base64url::encode(bytes)));
        assert_eq!(refusal(&jwk), KeyError::Coordinate, "{jwk}");
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
    // The base point of secp256k1, and one of the twist: x = 1 has no y on P-256.
    let x = "eb5mfvncu6xVoGKVzocLBwKb_NstzijZWfKBWxb4F5g";
    let y = "SDradyajxGVdpPv8DhEIqP0XtEimhVQZnEfQj_sQ1Lg";
    let of_secp256k1 = with(&with(&ec(), "x", json!(x)), "y", json!(y));
    let mut one = [0; 32];
    one[31] = 1;
    let of_twist =
        with(&with(&ec(), "x", json!(base64url::encode(&one))), "y", json!(base64url::encode(&one)));
    // x as it is, and x + p, which is the same modulo p.
    let p = base64url::decode("_____wAAAAEAAAAAAAAAAAAAAAD_______________8").unwrap();
    let unreduced = with(&ec(), "x", json!(base64url::encode(&p)));
    for jwk in [of_secp256k1, of_twist, unreduced] {
        assert_eq!(refusal(&jwk), KeyError::OffCurve, "{jwk}");
    }
    let p384 = TestKey::es384().jwk();
    let zero = base64url::encode(&[0; 48]);
    let all_ones = base64url::encode(&[0xFF; 48]);
    let origin = with(&with(&p384, "x", json!(zero)), "y", json!(zero));
    let swapped = with(&with(&p384, "x", p384["y"].clone()), "y", p384["x"].clone());
    for jwk in [origin, swapped, with(&p384, "x", json!(zero)), with(&p384, "y", json!(all_ones))] {
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

// T04, A-13: the shortest form only.
#[test]
fn t04_numbers_of_rsa_keys_are_canonical() {
    let n = base64url::decode(rsa()["n"].as_str().unwrap()).unwrap();
    let leading_zero = base64url::encode(&[&[0], &n[..]].concat());
    for n in [leading_zero.as_str(), "", "AA", &format!("{}==", rsa()["n"].as_str().unwrap())] {
        assert_eq!(refusal(&with(&rsa(), "n", json!(n))), KeyError::Modulus, "{n}");
    }
    for e in ["AAEAAQ", "AAAB", "", "AA", "AQAB==", "AQAC\n"] {
        assert_eq!(refusal(&with(&rsa(), "e", json!(e))), KeyError::Exponent, "{e}");
    }
}

/// An odd number of so many bits.
fn odd(bits: usize) -> String {
    let mut number = vec![0; bits.div_ceil(8)];
    number[0] = 1 << ((bits - 1) % 8);
    *number.last_mut().unwrap() |= 1;
    base64url::encode(&number)
}

// D08, A-13: 2048 to 8192 bits, each bound exactly. The upper one is on the text, before anything is decoded.
#[test]
fn a13_modulus_sizes() {
    let outcome = |n: String| PublicKey::from_jwk(&object(&with(&rsa(), "n", json!(n))), &[Algorithm::Ps256]);
    for bits in [2048, 2049, 3072, 4096, 8191, 8192] {
        assert!(outcome(odd(bits)).is_ok(), "{bits}");
    }
    for bits in [1, 8, 1024, 2040, 2047, 8193, 8200, 16_384, 100_000] {
        assert_eq!(outcome(odd(bits)).unwrap_err(), KeyError::Modulus, "{bits}");
    }
    let mut even = base64url::decode(&odd(2048)).unwrap();
    even[255] = 2;
    assert_eq!(outcome(base64url::encode(&even)).unwrap_err(), KeyError::Modulus);
}

// D08, A-13: odd, from 3 to 2^32.
#[test]
fn a13_exponents() {
    let outcome = |e: &[u8]| {
        let jwk = with(&rsa(), "e", json!(base64url::encode(e)));
        PublicKey::from_jwk(&object(&jwk), &[Algorithm::Ps256]).map(|_key| ())
    };
    for e in [&[3][..], &[17], &[1, 0, 1], &[0xFF, 0xFF, 0xFF, 0xFF]] {
        assert_eq!(outcome(e), Ok(()), "{e:?}");
    }
    for e in [&[1][..], &[2], &[1, 0, 0], &[1, 0, 0, 0, 0], &[1, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1]] {
        assert_eq!(outcome(e), Err(KeyError::Exponent), "{e:?}");
    }
}

// A-13: a modulus that is 65537^k modulo every small prime is refused; changed anywhere else it is not.
#[test]
fn a13_moduli_of_a_weak_generator() {
    // 65537^128 has 2049 bits and the mark by construction.
    let mut number = (0..128).fold(vec![1], |power, _| times_65537(&power));
    let outcome = |n: &[u8]| {
        let jwk = with(&rsa(), "n", json!(base64url::encode(n)));
        PublicKey::from_jwk(&object(&jwk), &[Algorithm::Ps256]).map(|_key| ())
    };
    assert_eq!(number.len(), 257);
    assert_eq!(outcome(&number), Err(KeyError::WeakModulus));
    number[100] ^= 1;
    assert_eq!(outcome(&number), Ok(()));
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

// A-02: JOSE has no low-s rule, so the twin of a signature verifies.
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

// G19, A-11: of exactly the key's size, whatever the algorithm.
#[test]
fn signatures_have_exactly_their_size() {
    for key in TestKey::of_each_algorithm() {
        let public = key.public();
        let signature = base64url::decode(&key.sign_text("a.b")).unwrap();
        assert!(public.verify(b"a.b", &base64url::encode(&signature)).is_ok());
        assert_eq!(
            public.verify(b"a.c", &base64url::encode(&signature)).unwrap_err(),
            SignatureError::Invalid
        );
        let longer = [&signature[..], &[0]].concat();
        let led = [&[0], &signature[..]].concat();
        for signature in [&signature[1..], &signature[..signature.len() - 1], &longer, &led, &[]] {
            let outcome = public.verify(b"a.b", &base64url::encode(signature));
            assert_eq!(outcome.unwrap_err(), SignatureError::Malformed, "{}", key.algorithm());
        }
        let zero = base64url::encode(&vec![0; signature.len()]);
        assert_eq!(public.verify(b"a.b", &zero).unwrap_err(), SignatureError::Invalid, "{}", key.algorithm());
    }
}

// A-05: the padding of one RSA algorithm is not the other's.
#[test]
fn a05_rsa_paddings_do_not_mix() {
    let (pss, pkcs1) = (TestKey::ps256(0), TestKey::rs256(0));
    assert_eq!(pss.public().thumbprint(), pkcs1.public().thumbprint());
    assert!(pss.public().verify(b"a.b", &pss.sign_text("a.b")).is_ok());
    assert!(pkcs1.public().verify(b"a.b", &pkcs1.sign_text("a.b")).is_ok());
    assert_eq!(pss.public().verify(b"a.b", &pkcs1.sign_text("a.b")).unwrap_err(), SignatureError::Invalid);
    assert_eq!(pkcs1.public().verify(b"a.b", &pss.sign_text("a.b")).unwrap_err(), SignatureError::Invalid);
}

#[test]
fn j19_both_names_of_ed25519() {
    assert_eq!(Algorithm::from_jose("EdDSA"), Some(Algorithm::EdDsa));
    assert_eq!(Algorithm::from_jose("Ed25519"), Some(Algorithm::EdDsa));
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_jose(algorithm.jose_name()), Some(algorithm));
    }
    for name in ["Ed448", "eddsa", "ES256K", "ES512", "PS384", "RS1", "HS256", "none", "", "ES256 "] {
        assert_eq!(Algorithm::from_jose(name), None, "{name}");
    }
}

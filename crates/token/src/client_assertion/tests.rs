use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use serde_json::{Value, json};

use super::*;
use crate::jws::{CompactJws, JwsLimits};
use crate::key_set::KeySet;
use crate::testing::now;

const LIMITS: JwsLimits = JwsLimits { bytes: 4096, header_bytes: 1024, depth: 4, members: 16 };

fn pem(der: &[u8]) -> String {
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der))
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, crv: &str) -> (String, Value) {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let point = key.public_key().as_ref();
    let half = point.len().div_ceil(2);
    let [x, y] = [&point[1..half], &point[half..]].map(base64url::encode);
    (pem(key.to_pkcs8v1().unwrap().as_ref()), json!({"kty": "EC", "crv": crv, "x": x, "y": y}))
}

fn ed25519() -> (String, Value) {
    let key = Ed25519KeyPair::generate().unwrap();
    let x = base64url::encode(key.public_key().as_ref());
    (pem(key.to_pkcs8v1().unwrap().as_ref()), json!({"kty": "OKP", "crv": "Ed25519", "x": x}))
}

fn rsa() -> (String, Value) {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let n = base64url::encode(key.public_key().modulus().big_endian_without_leading_zero());
    let e = base64url::encode(key.public_key().exponent().big_endian_without_leading_zero());
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    (pem(der.as_ref()), json!({"kty": "RSA", "n": n, "e": e}))
}

/// S03, RFC 7523 §3: what the server needs to know who asks, and nothing that holds for long.
#[test]
fn an_assertion_says_who_asks_whom() {
    let (rsa, rsa_jwk) = rsa();
    let cases = [
        (ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"), Algorithm::Es256),
        (ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"), Algorithm::Es384),
        (ed25519(), Algorithm::EdDsa),
        ((rsa.clone(), rsa_jwk.clone()), Algorithm::Ps256),
        ((rsa, rsa_jwk), Algorithm::Rs256),
    ];
    for ((pem, mut jwk), algorithm) in cases {
        let key = AssertionKey::from_pem(&pem, algorithm, Some("k-1".to_owned())).unwrap();
        assert_eq!((key.algorithm(), key.key_id()), (algorithm, Some("k-1")));
        let claims =
            ClientAssertion { client_id: r#"exe"quatur\"#, audience: "https://sts.example.com", id: "a-1" };
        let raw = key.assertion(claims, now()).unwrap();
        let jws = CompactJws::parse(&raw, &LIMITS).unwrap();
        jwk["kid"] = json!("k-1");
        jwk["alg"] = json!(algorithm.jose_name());
        let keys = KeySet::parse(json!({"keys": [jwk]}).to_string().as_bytes(), &[algorithm]).unwrap();
        assert!(jws.verify(&keys, &[algorithm]).is_ok(), "{algorithm:?}");
        let text = |name: &str| jws.payload().get(name).and_then(json::Value::as_str);
        assert_eq!((text("iss"), text("sub")), (Some(r#"exe"quatur\"#), Some(r#"exe"quatur\"#)));
        assert_eq!((text("aud"), text("jti")), (Some("https://sts.example.com"), Some("a-1")));
        let number = |name: &str| jws.payload().get(name).and_then(|value| value.as_number()?.as_i64());
        assert_eq!((number("iat"), number("exp")), (Some(now().as_second()), Some(now().as_second() + 60)));
        assert_eq!(jws.payload().len(), 6);
        assert_eq!(jws.header().get("typ").and_then(json::Value::as_str), Some("JWT"));
        let unnamed =
            AssertionKey::from_pem(&pem, algorithm, None).unwrap().assertion(claims, now()).unwrap();
        assert!(!CompactJws::parse(&unnamed, &LIMITS).unwrap().header().contains("kid"));
    }
}

#[test]
fn a_key_fits_its_algorithm_or_is_refused() {
    let refused = |pem: &str, algorithm| AssertionKey::from_pem(pem, algorithm, None).unwrap_err();
    let (p256, _) = ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
    let (ed25519, _) = ed25519();
    for algorithm in [Algorithm::Es384, Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256] {
        assert_eq!(refused(&p256, algorithm), AssertionKeyError::Unfit, "{algorithm:?}");
    }
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ps256, Algorithm::Rs256] {
        assert_eq!(refused(&ed25519, algorithm), AssertionKeyError::Unfit, "{algorithm:?}");
    }
    let two = format!("{p256}{p256}");
    let sec1 = p256.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let encrypted = p256.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for text in ["", "secret", BEGIN, &two, &sec1, &encrypted, &p256.replacen("M", "!", 1)] {
        assert_eq!(refused(text, Algorithm::Es256), AssertionKeyError::NotPem, "{text}");
    }
    assert_eq!(refused(&pem(b"secret"), Algorithm::Es256), AssertionKeyError::NotPkcs8);
}

#[test]
fn a_key_is_not_shown() {
    let (pem, _) = ed25519();
    let key = AssertionKey::from_pem(&pem, Algorithm::EdDsa, None).unwrap();
    assert_eq!(format!("{key:?}"), "AssertionKey { algorithm: EdDsa, key_id: None, .. }");
}

//! A signature or its absence passed off as another kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::*;
use crate::base64url;
use crate::testing::{TestKey, token_claims, with, without};

/// The public key as a `SubjectPublicKeyInfo` (RFC 5480).
fn spki(x: &str, y: &str) -> Vec<u8> {
    let prefix = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
    [&prefix[..], &base64url::decode(x).unwrap(), &base64url::decode(y).unwrap()].concat()
}

fn pem(der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
}

/// Everything that somebody who has only the public keys could take for a shared secret.
fn secrets_from_public_keys() -> Vec<Vec<u8>> {
    let ec = issuer_key().jwk();
    let (x, y) = (ec["x"].as_str().unwrap(), ec["y"].as_str().unwrap());
    let der = spki(x, y);
    let rsa = TestKey::ps256(0).jwk();
    let n = rsa["n"].as_str().unwrap();
    vec![
        Vec::new(),
        vec![0],
        pem(&der).into_bytes(),
        pem(&der).trim_end().as_bytes().to_vec(),
        format!(" {}", pem(&der)).into_bytes(),
        pem(&der).replace('\n', "\r\n").into_bytes(),
        der.clone(),
        der[26..].to_vec(),
        base64url::decode(x).unwrap(),
        x.as_bytes().to_vec(),
        ec.to_string().into_bytes(),
        base64url::decode(n).unwrap(),
        n.as_bytes().to_vec(),
        rsa.to_string().into_bytes(),
        json!({"keys": [ec, rsa]}).to_string().into_bytes(),
    ]
}

fn with_mac(header: &Json, secret: &[u8]) -> String {
    let input =
        [header, &token_claims()].map(|part| base64url::encode(part.to_string().as_bytes())).join(".");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(input.as_bytes());
    format!("{input}.{}", base64url::encode(&mac.finalize().into_bytes()))
}

fn outcome(raw: &str) -> TokenError {
    // Keys that do not name their algorithm: it is theirs all the same.
    let keys = crate::testing::key_set(&[issuer_key().named("k1"), TestKey::ps256(0).named("k1")]);
    let profile = IssuerProfile { algorithms: Algorithm::ALL.to_vec(), ..profile() };
    let outcome = UnverifiedToken::parse(raw).and_then(|token| token.verify(&profile, &keys, now()));
    outcome.unwrap_err()
}

// A-04, G22: a public key is no secret, whatever form it is written in and whatever the header says.
#[test]
fn a04_public_keys_as_secrets() {
    for secret in secrets_from_public_keys() {
        for name in ["HS256", "HS384", "HS512", "hs256", "HS256 "] {
            let raw = with_mac(&with(&token_header(), "alg", json!(name)), &secret);
            assert_eq!(outcome(&raw), TokenError::AlgNotAllowed, "{name} {secret:?}");
        }
        for name in ["ES256", "PS256"] {
            let raw = with_mac(&with(&token_header(), "alg", json!(name)), &secret);
            assert_eq!(outcome(&raw), TokenError::SignatureInvalid, "{name} {secret:?}");
        }
        let raw = with_mac(&without(&token_header(), "alg"), &secret);
        assert_eq!(outcome(&raw), TokenError::AlgNotAllowed, "{secret:?}");
    }
}

// `none` in every spelling, with an empty signature, with that of a good token, with one over itself.
#[test]
fn a03_none() {
    let good = good_token();
    let (_, kept) = good.rsplit_once('.').unwrap();
    for name in ["none", "None", "NONE", "nOnE", " none", "none ", "", "null", "\u{ff4e}one"] {
        let header = with(&token_header(), "alg", json!(name));
        let parts = [&header, &token_claims()].map(|part| base64url::encode(part.to_string().as_bytes()));
        let input = parts.join(".");
        assert_eq!(outcome(&format!("{input}.{kept}")), TokenError::AlgNotAllowed, "{name}");
        let own = issuer_key().sign_text(&input);
        assert_eq!(outcome(&format!("{input}.{own}")), TokenError::AlgNotAllowed, "{name}");
        for empty in [format!("{input}."), input] {
            assert!(matches!(outcome(&empty), TokenError::Malformed(_)), "{empty}");
        }
    }
}

// A-09, J13: a token inside a token, whatever `cty` says.
#[test]
fn a09_nested_tokens() {
    let header = with(&token_header(), "cty", json!("JWT"));
    let nested = issuer_key().sign_raw(&header.to_string(), &good_token());
    let error = outcome(&nested);
    assert!(matches!(error, TokenError::Malformed(JwsError::Payload(_))), "{error}");
    // Five parts are an encrypted token, whatever is in them: nothing is decrypted, nothing inflated.
    for header in [
        json!({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}),
        json!({"alg": "RSA-OAEP", "enc": "A128CBC-HS256", "cty": "JWT"}),
        json!({"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2_000_000_000}),
        json!({"alg": "none", "enc": "none"}),
    ] {
        let raw = format!("{}.AAAA.AAAA.AAAA.AAAA", base64url::encode(header.to_string().as_bytes()));
        assert_eq!(outcome(&raw), TokenError::Malformed(JwsError::Encrypted), "{header}");
        let raw = format!("{}...AAAA.AAAA", base64url::encode(header.to_string().as_bytes()));
        assert_eq!(outcome(&raw), TokenError::Malformed(JwsError::Encrypted), "{header}");
    }
}

// A-19, J02: an issuer's key speaks for that issuer only, whatever `iss` and `kid` say.
#[test]
fn a19_keys_of_another_issuer() {
    let other = TestKey::es256(7);
    let keys = crate::testing::key_set(&[other.named("k1"), other.named("k7")]);
    let theirs = IssuerProfile {
        name: "other".parse().unwrap(),
        issuer: "https://other.example".to_owned(),
        ..profile()
    };
    let verify = |raw: &str, profile: &IssuerProfile, keys: &KeySet| {
        UnverifiedToken::parse(raw)?.verify(profile, keys, now()).map(|_token| ())
    };
    // Says that it is of `corp`, signed by `other`.
    let raw = other.sign(&token_header(), &token_claims());
    assert_eq!(verify(&raw, &profile(), &issuer_keys()), Err(TokenError::SignatureInvalid));
    assert_eq!(verify(&raw, &theirs, &keys), Err(TokenError::IssuerUnknown));
    // The same with the id that the key has in its own set.
    let raw = other.sign(&with(&token_header(), "kid", json!("k7")), &token_claims());
    assert_eq!(verify(&raw, &profile(), &issuer_keys()), Err(TokenError::KeyUnknown));
    // Says what it is.
    let claims = with(&token_claims(), "iss", json!("https://other.example"));
    let raw = other.sign(&token_header(), &claims);
    assert_eq!(verify(&raw, &profile(), &issuer_keys()), Err(TokenError::IssuerUnknown));
    assert_eq!(verify(&raw, &theirs, &keys), Ok(()));
}

// key ids are bytes; two spellings that look alike are two ids.
#[test]
fn a06_key_ids_are_not_normalised() {
    let (composed, decomposed) = ("cl\u{e9}", "cle\u{301}");
    let keys = crate::testing::key_set(&[issuer_key().named(composed)]);
    let outcome = |kid: &str| {
        let raw = issuer_key().sign(&with(&token_header(), "kid", json!(kid)), &token_claims());
        UnverifiedToken::parse(&raw)?.verify(&profile(), &keys, now()).map(|_token| ())
    };
    assert_eq!(outcome(composed), Ok(()));
    for kid in [decomposed, "CL\u{c9}", "cl\u{e9} ", "cl%C3%A9", "cl\\u00e9"] {
        assert_eq!(outcome(kid), Err(TokenError::KeyUnknown), "{kid}");
    }
}

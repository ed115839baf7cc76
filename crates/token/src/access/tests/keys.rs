use serde_json::json;

use super::*;
use crate::base64url;
use crate::testing::{TestKey, key_set, with, without};

fn with_alg(alg: Json) -> Result<VerifiedToken, TokenError> {
    with_header(&with(&token_header(), "alg", alg))
}

// J04, A-03, A-04, G22: the closed list, case-sensitively; no signature is even looked at.
#[test]
fn a03_algorithms() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!(" none"),
        json!(""),
        json!(null),
        json!(123),
        json!(["ES256"]),
        json!("HS256"),
        json!("HS384"),
        json!("RS1"),
        json!("RS384"),
        json!("PS512"),
        json!("ES512"),
        json!("ES256K"),
        json!("es256"),
    ] {
        assert_eq!(with_alg(alg.clone()).unwrap_err(), TokenError::AlgNotAllowed, "{alg}");
    }
    assert_eq!(with_header(&without(&token_header(), "alg")).unwrap_err(), TokenError::AlgNotAllowed);
}

// J04: a token of each algorithm, where its issuer is allowed it and nowhere else. RS256 is opt-in.
#[test]
fn j04_each_algorithm() {
    for key in TestKey::of_each_algorithm() {
        let algorithm = key.algorithm();
        let header = with(&token_header(), "alg", json!(algorithm.jose_name()));
        let raw = key.sign(&header, &token_claims());
        let document = json!({"keys": [with(&key.named("k1"), "alg", json!(algorithm.jose_name()))]});
        let keys = KeySet::parse(document.to_string().as_bytes(), &Algorithm::ALL).unwrap();
        let outcome = |algorithms: Vec<Algorithm>| {
            let profile = IssuerProfile { algorithms, ..profile() };
            UnverifiedToken::parse(&raw)?.verify(&profile, &keys, now()).map(|_token| ())
        };
        let (own, others): (Vec<_>, Vec<_>) = Algorithm::ALL.into_iter().partition(|a| *a == algorithm);
        assert_eq!(outcome(own), Ok(()), "{algorithm}");
        assert_eq!(outcome(others), Err(TokenError::AlgNotAllowed), "{algorithm}");
        let expected = if algorithm == Algorithm::Rs256 { Err(TokenError::AlgNotAllowed) } else { Ok(()) };
        assert_eq!(outcome(Algorithm::DEFAULT.to_vec()), expected, "{algorithm}");
    }
}

// the header names another algorithm than the key's; everything is allowed.
#[test]
fn a05_header_and_key_of_different_algorithms() {
    let profile = IssuerProfile { algorithms: Algorithm::ALL.to_vec(), ..profile() };
    for key in TestKey::of_each_algorithm() {
        let named = with(&key.named("k1"), "alg", json!(key.algorithm().jose_name()));
        let document = json!({"keys": [named]}).to_string();
        let keys = KeySet::parse(document.as_bytes(), &Algorithm::ALL).unwrap();
        for other in Algorithm::ALL.into_iter().filter(|other| *other != key.algorithm()) {
            let header = with(&token_header(), "alg", json!(other.jose_name()));
            let raw = key.sign(&header, &token_claims());
            let outcome = UnverifiedToken::parse(&raw).unwrap().verify(&profile, &keys, now());
            assert_eq!(outcome.unwrap_err(), TokenError::KeyUnknown, "{} as {other}", key.algorithm());
        }
    }
}

// J04: allowed in general, but not for this issuer.
#[test]
fn j04_algorithms_of_the_issuer() {
    let mut profile = profile();
    profile.algorithms = vec![Algorithm::EdDsa];
    let raw = good_token();
    let outcome = UnverifiedToken::parse(&raw).unwrap().verify(&profile, &issuer_keys(), now());
    assert_eq!(outcome.unwrap_err(), TokenError::AlgNotAllowed);
}

// J04, A-05: the header cannot choose another algorithm for a key.
#[test]
fn j04_algorithm_of_the_key() {
    assert_eq!(with_alg(json!("EdDSA")).unwrap_err(), TokenError::KeyUnknown);
}

// J19
#[test]
fn j19_both_names_of_ed25519() {
    let key = TestKey::ed25519();
    let keys = key_set(&[key.named("k1")]);
    for alg in ["EdDSA", "Ed25519"] {
        let raw = key.sign(&with(&token_header(), "alg", json!(alg)), &token_claims());
        assert!(UnverifiedToken::parse(&raw).unwrap().verify(&profile(), &keys, now()).is_ok(), "{alg}");
    }
}

// D06, J02: the same claims by another key; another payload under the same signature.
#[test]
fn forged_signatures() {
    let stranger = TestKey::es256(9);
    let forged = stranger.sign(&token_header(), &token_claims());
    assert_eq!(verify(&forged).unwrap_err(), TokenError::SignatureInvalid);

    let good = good_token();
    let (_, signature) = good.rsplit_once('.').unwrap();
    let other = issuer_key().sign(&token_header(), &with(&token_claims(), "sub", json!("bob")));
    let (input, _) = other.rsplit_once('.').unwrap();
    assert_eq!(verify(&format!("{input}.{signature}")).unwrap_err(), TokenError::SignatureInvalid);

    let (input, _) = good.rsplit_once('.').unwrap();
    for signature in [vec![0; 64], vec![0xFF; 64], vec![0; 63], vec![0; 65], vec![0; 1]] {
        let forged = format!("{input}.{}", base64url::encode(&signature));
        assert_eq!(verify(&forged).unwrap_err(), TokenError::SignatureInvalid);
    }
}

// J09, A-07, G23: keys that the token brings along.
#[test]
fn j09_keys_in_the_header() {
    let stranger = TestKey::es256(9);
    for (name, value) in [
        ("jwk", stranger.jwk()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AAAA"])),
    ] {
        let header = with(&token_header(), name, value);
        let forged = stranger.sign(&header, &token_claims());
        assert_eq!(verify(&forged).unwrap_err(), TokenError::SignatureInvalid, "{name}");
        assert!(with_header(&header).is_ok(), "{name}");
    }
}

// J15, A-06: a key id is compared, nothing else.
#[test]
fn a06_key_ids() {
    let kid = |kid: Json| with_header(&with(&token_header(), "kid", kid)).unwrap_err();
    for name in ["../../dev/null", "' OR 1=1", "*", "k1\0", "K1", "k", "k11", "\u{212a}1"] {
        assert_eq!(kid(json!(name)), TokenError::KeyUnknown, "{name}");
    }
    assert_eq!(kid(json!("k".repeat(256))), TokenError::KeyUnknown);
    for value in [json!("k".repeat(257)), json!(""), json!(["k1"]), json!(null), json!(1)] {
        assert_eq!(kid(value.clone()), TokenError::Malformed(JwsError::KeyId), "{value}");
    }
}

// J16, A-06: without a key id all fitting keys, at most four.
#[test]
fn j16_tokens_without_key_id() {
    let header = without(&token_header(), "kid");
    let raw = issuer_key().sign(&header, &token_claims());
    let outcome = |keys: &[Json]| {
        UnverifiedToken::parse(&raw).unwrap().verify(&profile(), &key_set(keys), now()).map(|_token| ())
    };
    let others: Vec<Json> = (2..=5).map(|seed| TestKey::es256(seed).named("other")).collect();
    let own = issuer_key().named("own");
    assert_eq!(outcome(std::slice::from_ref(&own)), Ok(()));
    assert_eq!(outcome(&[TestKey::ed25519().named("ed"), own.clone()]), Ok(()));
    assert_eq!(outcome(&[&others[..3], std::slice::from_ref(&own)].concat()), Ok(()));
    assert_eq!(outcome(&[&others[..4], &[own]].concat()), Err(TokenError::SignatureInvalid));
    assert_eq!(outcome(&[TestKey::ed25519().jwk()]), Err(TokenError::KeyUnknown));
}

// J16: several keys under one id are tried in turn.
#[test]
fn j16_keys_that_share_an_id() {
    let keys =
        key_set(&[TestKey::es256(2).named("k1"), TestKey::ed25519().named("k1"), issuer_key().named("k1")]);
    let raw = good_token();
    assert!(UnverifiedToken::parse(&raw).unwrap().verify(&profile(), &keys, now()).is_ok());
}

use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{TestKey, key_set, with};

fn parse(document: &Json) -> Result<KeySet, KeySetError> {
    KeySet::parse(document.to_string().as_bytes(), &Algorithm::DEFAULT)
}

fn thumbprints(keys: &KeySet, kid: Option<&str>, algorithm: Algorithm) -> Vec<String> {
    keys.candidates(kid, algorithm).map(|key| key.thumbprint().to_string()).collect()
}

// J17, J18: what cannot be used is skipped and told, the rest works.
#[test]
fn j18_unusable_keys_are_skipped() {
    let good = TestKey::es256(1).named("k1");
    let keys = parse(&json!({"keys": [
        {"kty": "new", "kid": "k1"},
        with(&good, "use", json!("enc")),
        with(&good, "d", json!("AA")),
        {"kty": "oct", "k": "AA"},
        with(&good, "kid", json!(7)),
        with(&good, "kid", json!("")),
        with(&good, "kid", json!("k".repeat(257))),
        "key",
        with(&good, "x", json!(base64url::encode(&[1; 32]))),
        good,
    ], "other": 1}))
    .unwrap();
    let reasons: Vec<SkipReason> = keys.skipped().iter().map(|skipped| skipped.reason).collect();
    assert_eq!(
        reasons,
        [
            SkipReason::Key(KeyError::TypeUnsupported),
            SkipReason::Key(KeyError::NotForVerifying),
            SkipReason::Key(KeyError::Private),
            SkipReason::Key(KeyError::Symmetric),
            SkipReason::KeyId,
            SkipReason::KeyId,
            SkipReason::KeyId,
            SkipReason::NotAnObject,
            SkipReason::Key(KeyError::OffCurve),
        ]
    );
    assert_eq!(keys.skipped()[8].index, 8);
    assert_eq!(keys.len(), 1);
}

// C-11: nothing of this replaces a good set.
#[test]
fn c11_documents_that_are_no_key_set() {
    let key = TestKey::es256(1).jwk();
    for (document, error) in [
        (json!({"keys": []}), KeySetError::NoUsableKey(None)),
        (
            json!({"keys": [{"kty": "new"}]}),
            KeySetError::NoUsableKey(Some(SkipReason::Key(KeyError::TypeUnsupported))),
        ),
        (json!({"keys": {"0": key}}), KeySetError::NotAKeySet),
        (json!([key]), KeySetError::NotAKeySet),
        (key, KeySetError::NotAKeySet),
        (json!({"keys": vec![Json::Null; 257]}), KeySetError::TooManyKeys),
    ] {
        assert_eq!(parse(&document).unwrap_err(), error, "{document}");
    }
    let html = KeySet::parse(b"<html></html>", &Algorithm::DEFAULT).unwrap_err();
    assert_eq!(html, KeySetError::Json(JsonError::UnexpectedCharacter));
    assert_eq!(
        KeySet::parse(&vec![b' '; 1024 * 1024 + 1], &Algorithm::DEFAULT).unwrap_err(),
        KeySetError::Json(JsonError::TooLong)
    );
    let twice = KeySet::parse(br#"{"keys":[],"keys":[]}"#, &Algorithm::DEFAULT).unwrap_err();
    assert_eq!(twice, KeySetError::Json(JsonError::DuplicateName));
}

// J16: by id and algorithm; without id all of the algorithm.
#[test]
fn j16_candidates() {
    let [first, second, third] = [1, 2, 3].map(TestKey::es256);
    let ed = TestKey::ed25519();
    let keys = key_set(&[first.named("a"), ed.named("a"), second.named("a"), third.named("b"), third.jwk()]);
    assert_eq!(thumbprints(&keys, Some("a"), Algorithm::Es256).len(), 2);
    assert_eq!(thumbprints(&keys, Some("a"), Algorithm::EdDsa).len(), 1);
    assert_eq!(thumbprints(&keys, Some("b"), Algorithm::Es256).len(), 1);
    assert_eq!(thumbprints(&keys, Some("b"), Algorithm::EdDsa).len(), 0);
    assert_eq!(thumbprints(&keys, Some("A"), Algorithm::Es256).len(), 0);
    assert_eq!(thumbprints(&keys, None, Algorithm::Es256).len(), 4);
    assert_eq!(thumbprints(&keys, None, Algorithm::EdDsa).len(), 1);
}

// J16: never more than four signatures for one token.
#[test]
fn j16_at_most_four_tries() {
    let keys: Vec<Json> = (1..=6).map(|seed| TestKey::es256(seed).named("same")).collect();
    let keys = key_set(&keys);
    assert_eq!(thumbprints(&keys, Some("same"), Algorithm::Es256).len(), 4);
    assert_eq!(thumbprints(&keys, None, Algorithm::Es256).len(), 4);
}

// A cached token names the set: it must change exactly with the usable content.
#[test]
fn id_follows_the_usable_content() {
    let [first, second] = [1, 2].map(TestKey::es256);
    let id = |keys: &[Json]| key_set(keys).id();
    let both = id(&[first.named("a"), second.named("b")]);
    assert_eq!(both, id(&[second.named("b"), first.named("a")]));
    assert_eq!(both, id(&[first.named("a"), json!({"kty": "new"}), second.named("b")]));
    for other in [
        id(&[first.named("a")]),
        id(&[first.named("b"), second.named("a")]),
        id(&[first.named("a"), second.jwk()]),
        id(&[first.named("a"), second.named("b"), second.jwk()]),
    ] {
        assert_ne!(both, other);
    }
}

// J04, A-04: an RSA key that does not name its algorithm has the one that the issuer is allowed; with two, none.
#[test]
fn j04_rsa_keys_without_an_algorithm() {
    let jwk = TestKey::ps256(0).named("k1");
    let outcome = |jwk: &Json, allowed: &[Algorithm]| {
        let document = json!({"keys": [jwk, TestKey::es256(1).named("k2")]}).to_string();
        let keys = KeySet::parse(document.as_bytes(), allowed).unwrap();
        match keys.skipped() {
            [] => Ok(Algorithm::ALL.into_iter().find(|a| keys.candidates(Some("k1"), *a).count() == 1)),
            skipped => Err(skipped[0].reason),
        }
    };
    use Algorithm::{Es256, Ps256, Rs256};
    assert_eq!(outcome(&jwk, &[Es256, Ps256]), Ok(Some(Ps256)));
    assert_eq!(outcome(&jwk, &[Es256, Rs256]), Ok(Some(Rs256)));
    let refused = |error| Err(SkipReason::Key(error));
    assert_eq!(outcome(&jwk, &[Es256]), refused(KeyError::AlgorithmNotAllowed));
    assert_eq!(outcome(&jwk, &[Es256, Ps256, Rs256]), refused(KeyError::AlgorithmAmbiguous));
    let named = with(&jwk, "alg", json!("RS256"));
    assert_eq!(outcome(&named, &[Es256, Ps256, Rs256]), Ok(Some(Rs256)));
    assert_eq!(outcome(&named, &[Es256, Ps256]), refused(KeyError::AlgorithmNotAllowed));
}

// J04: one key, one algorithm, also if the set says otherwise.
#[test]
fn j04_one_key_one_algorithm() {
    let key = |kid: &str, alg: &str| with(&TestKey::ps256(0).named(kid), "alg", json!(alg));
    let document = json!({"keys": [key("a", "PS256"), key("b", "RS256"), key("c", "PS256")]}).to_string();
    let keys = KeySet::parse(document.as_bytes(), &Algorithm::ALL).unwrap();
    let reason = SkipReason::Key(KeyError::SecondAlgorithm);
    assert_eq!(keys.skipped(), [SkippedKey { index: 1, reason }]);
    assert_eq!(thumbprints(&keys, None, Algorithm::Ps256).len(), 2);
    assert_eq!(thumbprints(&keys, None, Algorithm::Rs256).len(), 0);
}

// The same RSA key with another algorithm is another set.
#[test]
fn id_follows_the_algorithm() {
    let document = json!({"keys": [TestKey::ps256(0).named("a")]}).to_string();
    let id = |allowed: &[Algorithm]| KeySet::parse(document.as_bytes(), allowed).unwrap().id();
    assert_ne!(id(&[Algorithm::Ps256]), id(&[Algorithm::Rs256]));
}

use serde_json::{Value as Json, json};

use super::*;
use crate::testing::{TestKey, key_set, with};

fn parse(document: &Json) -> Result<KeySet, KeySetError> {
    KeySet::parse(document.to_string().as_bytes())
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
        (json!({"keys": []}), KeySetError::NoUsableKey),
        (json!({"keys": [{"kty": "RSA"}]}), KeySetError::NoUsableKey),
        (json!({"keys": {"0": key}}), KeySetError::NotAKeySet),
        (json!([key]), KeySetError::NotAKeySet),
        (key, KeySetError::NotAKeySet),
        (json!({"keys": vec![Json::Null; 257]}), KeySetError::TooManyKeys),
    ] {
        assert_eq!(parse(&document).unwrap_err(), error, "{document}");
    }
    let html = KeySet::parse(b"<html></html>").unwrap_err();
    assert_eq!(html, KeySetError::Json(JsonError::UnexpectedCharacter));
    assert_eq!(
        KeySet::parse(&vec![b' '; 1024 * 1024 + 1]).unwrap_err(),
        KeySetError::Json(JsonError::TooLong)
    );
    let twice = KeySet::parse(br#"{"keys":[],"keys":[]}"#).unwrap_err();
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

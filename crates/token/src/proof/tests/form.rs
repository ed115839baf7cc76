use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::base64url;
use crate::json::JsonError;
use crate::jws::JwsError;
use crate::key::KeyError;
use crate::testing::{TestKey, issuer_key, replaced, with, without};

fn header() -> Json {
    proof_header(&agent_key())
}

fn malformed(outcome: Result<VerifiedProof, ProofError>) -> MalformedProof {
    let error = outcome.unwrap_err();
    let ProofError::Malformed(reason) = error else { panic!("{error}") };
    reason
}

#[test]
fn a_good_proof_names_its_key() {
    for key in [agent_key(), TestKey::ed25519()] {
        let proof = verify(&key.sign(&proof_header(&key), &proof_claims())).unwrap();
        assert_eq!(proof.key(), key.public().thumbprint());
        assert_eq!(proof.issued_at(), now());
        assert_eq!(proof.nonce(), None);
    }
}

// D02, A-14
#[test]
fn d02_compact_serialisation_only() {
    let good = good_proof();
    let (input, _) = good.rsplit_once('.').unwrap();
    for (raw, error) in [
        (String::new(), JwsError::Parts),
        ("{}".to_owned(), JwsError::Parts),
        (format!("{good}.x.y"), JwsError::Encrypted),
        (format!("{good},{good}"), JwsError::Encrypted),
        (format!("{input}."), JwsError::EmptyPart),
        (format!("{good}="), JwsError::Base64),
        (format!("{good} "), JwsError::Base64),
        (format!(" {good}"), JwsError::Base64),
    ] {
        assert_eq!(malformed(verify(&raw)), MalformedProof::Jws(error), "{raw}");
    }
}

// D20: 4 KiB, header of 2 KiB, depth 8, unique names, no crit.
#[test]
fn d20_limits() {
    let sized = |extra: usize| good_proof_of(&with(&proof_claims(), "x", json!("a".repeat(extra))));
    let fits = (4096 - sized(0).len()) / 4 * 3;
    assert!(verify(&sized(fits - 4)).is_ok());
    assert_eq!(malformed(verify(&sized(fits + 4))), MalformedProof::Jws(JwsError::TooLarge));

    let overhead = with(&header(), "x", json!("")).to_string().len();
    let sized = |extra: usize| with_header(&with(&header(), "x", json!("a".repeat(extra - overhead))));
    assert!(sized(2048).is_ok());
    assert_eq!(malformed(sized(2051)), MalformedProof::Jws(JwsError::HeaderTooLarge));

    let deep = |depth: usize| (0..depth).fold(json!(0), |inner, _| json!([inner]));
    assert!(with_claims(&with(&proof_claims(), "x", deep(7))).is_ok());
    let outcome = with_claims(&with(&proof_claims(), "x", deep(8)));
    assert_eq!(malformed(outcome), MalformedProof::Jws(JwsError::Payload(JsonError::TooDeep)));

    let twice = proof_claims().to_string().replacen('{', "{\"jt\\u0069\":\"p-2\",", 1);
    let raw = agent_key().sign_raw(&header().to_string(), &twice);
    let error = JwsError::Payload(JsonError::DuplicateName);
    assert_eq!(malformed(verify(&raw)), MalformedProof::Jws(error));

    for (name, value) in [("crit", json!(["exp"])), ("crit", json!([])), ("b64", json!(false))] {
        let outcome = with_header(&with(&header(), name, value));
        assert_eq!(malformed(outcome), MalformedProof::Jws(JwsError::CritUnsupported), "{name}");
    }
}

// D03
#[test]
fn d03_required_members() {
    for name in ["typ", "alg", "jwk"] {
        let outcome = with_header(&without(&header(), name));
        assert_eq!(malformed(outcome), MalformedProof::MemberMissing(name), "{name}");
    }
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let outcome = with_claims(&without(&proof_claims(), name));
        assert_eq!(malformed(outcome), MalformedProof::MemberMissing(name), "{name}");
    }
}

// D03: exact types.
#[test]
fn d03_member_types() {
    for value in [json!(1), json!(null), json!(["x"]), json!({}), json!("")] {
        for name in ["typ", "alg"] {
            let outcome = with_header(&with(&header(), name, value.clone()));
            assert_eq!(malformed(outcome), MalformedProof::MemberInvalid(name), "{name} {value}");
        }
        for name in ["jti", "htm", "htu", "ath", "nonce"] {
            let outcome = with_claims(&with(&proof_claims(), name, value.clone()));
            assert_eq!(malformed(outcome), MalformedProof::MemberInvalid(name), "{name} {value}");
        }
    }
    for value in [json!("x"), json!(null), json!([agent_key().jwk()])] {
        let outcome = with_header(&with(&header(), "jwk", value.clone()));
        assert_eq!(malformed(outcome), MalformedProof::MemberInvalid("jwk"), "{value}");
    }
    for name in ["iat", "exp", "nbf"] {
        for value in [json!("1800000000"), json!(null), json!(true), json!([1])] {
            let outcome = with_claims(&with(&proof_claims(), name, value.clone()));
            assert_eq!(malformed(outcome), MalformedProof::MemberInvalid(name), "{name} {value}");
        }
    }
}

// D04
#[test]
fn d04_types() {
    for name in ["dpop+jwt", "application/dpop+jwt", "DPoP+JWT"] {
        assert!(with_header(&with(&header(), "typ", json!(name))).is_ok(), "{name}");
    }
    for name in ["JWT", "at+jwt", "dpop", "dpop+jwt ", "x/dpop+jwt"] {
        let outcome = with_header(&with(&header(), "typ", json!(name)));
        assert_eq!(malformed(outcome), MalformedProof::TypeInvalid, "{name}");
    }
}

// D05, A-30
#[test]
fn d05_algorithms() {
    for name in ["none", "None", "HS256", "ES256K", "RS1", "RS384", "PS384", "ES512", "es256", "Ed448"] {
        let outcome = with_header(&with(&header(), "alg", json!(name)));
        assert_eq!(outcome.unwrap_err(), ProofError::AlgNotAllowed, "{name}");
    }
    let limits = ProofLimits { algorithms: vec![Algorithm::EdDsa], ..ProofLimits::default() };
    assert_eq!(verify_at(&good_proof(), &limits, now()).unwrap_err(), ProofError::AlgNotAllowed);
}

// D05: each algorithm that is allowed, and none that is not; RS256 is not unless said so.
#[test]
fn d05_only_allowed_algorithms() {
    for key in TestKey::of_each_algorithm() {
        let raw = key.sign(&proof_header(&key), &proof_claims());
        let outcome = |algorithms: Vec<Algorithm>| {
            let limits = ProofLimits { algorithms, ..ProofLimits::default() };
            verify_at(&raw, &limits, now()).map(|proof| proof.key())
        };
        let (own, others): (Vec<_>, Vec<_>) =
            Algorithm::ALL.into_iter().partition(|algorithm| *algorithm == key.algorithm());
        assert_eq!(outcome(own), Ok(key.public().thumbprint()), "{}", key.algorithm());
        assert_eq!(outcome(others), Err(ProofError::AlgNotAllowed), "{}", key.algorithm());
        let by_default = verify(&raw).map(|_proof| ());
        if key.algorithm() == Algorithm::Rs256 {
            assert_eq!(by_default, Err(ProofError::AlgNotAllowed));
        } else {
            assert_eq!(by_default, Ok(()));
        }
    }
}

// D08, A-05: a proof's header names one algorithm, and its key is of another.
#[test]
fn a05_header_and_key_of_different_algorithms() {
    let limits = ProofLimits { algorithms: Algorithm::ALL.to_vec(), ..ProofLimits::default() };
    for key in TestKey::of_each_algorithm() {
        for other in Algorithm::ALL.into_iter().filter(|other| *other != key.algorithm()) {
            let header = with(&proof_header(&key), "alg", json!(other.jose_name()));
            let outcome = verify_at(&key.sign(&header, &proof_claims()), &limits, now());
            // An RSA key fits both of its algorithms: then it is the signature that does not.
            let rsa = [Algorithm::Ps256, Algorithm::Rs256];
            let expected = if rsa.contains(&key.algorithm()) && rsa.contains(&other) {
                ProofError::SignatureInvalid
            } else {
                ProofError::KeyInvalid(KeyError::AlgorithmNotAllowed)
            };
            assert_eq!(outcome.unwrap_err(), expected, "{} as {other}", key.algorithm());
            // With the key's own word for it not even that.
            let jwk = with(&key.jwk(), "alg", json!(key.algorithm().jose_name()));
            let outcome = verify_at(&key.sign(&with(&header, "jwk", jwk), &proof_claims()), &limits, now());
            assert!(matches!(outcome, Err(ProofError::KeyInvalid(_))), "{} as {other}", key.algorithm());
        }
    }
}

// D06: only the key in the header, whatever else is there.
#[test]
fn d06_signature_by_the_key_in_it() {
    let stranger = issuer_key();
    let forged = stranger.sign(&header(), &proof_claims());
    assert_eq!(verify(&forged).unwrap_err(), ProofError::SignatureInvalid);
    let hinted = with(&header(), "x5c", json!(["AAAA"]));
    let hinted = with(&with(&hinted, "kid", json!("k1")), "jku", json!("https://evil.example"));
    assert!(with_header(&hinted).is_ok());
    assert_eq!(verify(&stranger.sign(&hinted, &proof_claims())).unwrap_err(), ProofError::SignatureInvalid);
    let good = good_proof();
    let (input, _) = good.rsplit_once('.').unwrap();
    for signature in [vec![0; 64], vec![0; 63], vec![0xFF; 65], vec![0xFF; 64]] {
        let forged = format!("{input}.{}", base64url::encode(&signature));
        assert_eq!(verify(&forged).unwrap_err(), ProofError::SignatureInvalid);
    }
}

// D07, D08, D09, A-30
#[test]
fn d07_d08_d09_keys() {
    let jwk = agent_key().jwk();
    for (jwk, error) in [
        (with(&jwk, "d", json!("AA")), KeyError::Private),
        (json!({"kty": "oct", "k": "AAAA"}), KeyError::Symmetric),
        (json!({"kty": "RSA", "n": "AA", "e": "AQAB"}), KeyError::AlgorithmNotAllowed),
        (with(&jwk, "crv", json!("P-384")), KeyError::AlgorithmNotAllowed),
        (with(&jwk, "crv", json!("secp256k1")), KeyError::CurveUnsupported),
        (with(&jwk, "x", json!(base64url::encode(&[1; 32]))), KeyError::OffCurve),
        (with(&jwk, "x", json!("AAAA")), KeyError::Coordinate),
        (with(&jwk, "alg", json!("EdDSA")), KeyError::AlgorithmMismatch),
        (TestKey::ed25519().jwk(), KeyError::AlgorithmNotAllowed),
        (json!({}), KeyError::MemberMissing("kty")),
    ] {
        let outcome = with_header(&with(&header(), "jwk", jwk.clone()));
        assert_eq!(outcome.unwrap_err(), ProofError::KeyInvalid(error), "{jwk}");
    }
}

// D19, A-38
#[test]
fn d19_jti_length() {
    let jti = |text: String| with_claims(&with(&proof_claims(), "jti", json!(text)));
    assert!(jti("a".repeat(128)).is_ok());
    assert!(jti("é".repeat(64)).is_ok());
    for text in ["a".repeat(129), "é".repeat(65), String::new()] {
        assert_eq!(malformed(jti(text)), MalformedProof::MemberInvalid("jti"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    // Any one character of a valid proof replaced by any other.
    #[test]
    fn one_changed_character_is_refused(position in any::<prop::sample::Index>(), c in prop::char::range('\0', '\u{ff}')) {
        let good = good_proof();
        let position = position.index(good.len());
        let changed = replaced(&good, position, c);
        prop_assume!(changed != good);
        prop_assert!(verify(&changed).is_err(), "{changed}");
    }

    #[test]
    fn never_panics(header in "\\PC{0,40}", claims in "\\PC{0,40}") {
        let encoded = [header, claims].map(|part| base64url::encode(part.as_bytes())).join(".");
        let _outcome = verify(&format!("{encoded}.AAAA"));
    }
}

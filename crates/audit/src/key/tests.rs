use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn pem(der: &[u8]) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der))
}

pub(crate) fn ed25519(id: &str) -> SigningKey {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    SigningKey::from_pem(&pem(der.as_ref()), Some(id)).unwrap()
}

pub(crate) fn p256(id: &str) -> SigningKey {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    SigningKey::from_pem(&pem(der.as_ref()), Some(id)).unwrap()
}

pub(crate) fn public(key: &SigningKey) -> PublicKeys {
    PublicKeys::of(key, None).unwrap()
}

/// The key of RFC 8037 appendix A, and its thumbprint there.
fn example() -> String {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
    pem(&der)
}

#[test]
fn a_key_without_an_id_is_called_by_its_thumbprint() {
    let key = SigningKey::from_pem(&example(), None).unwrap();
    assert_eq!((key.id(), key.algorithm()), ("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "EdDSA"));
    assert_eq!(
        public(&key).jwks(),
        json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "use": "sig", "alg": "EdDSA",
        }] })
    );
}

/// RFC 7638 has the members of an EC key in the order crv, kty, x, y.
#[test]
fn the_thumbprint_of_a_p256_key_is_that_of_its_members_in_order() {
    let key = p256("any");
    let jwk = key.0.public.jwk();
    let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    assert_eq!(key.0.public.thumbprint(), URL_SAFE_NO_PAD.encode(Sha256::digest(text)));
}

#[test]
fn what_either_kind_signs_its_public_key_checks_and_no_other_does() {
    for (key, other) in [(ed25519("a"), ed25519("b")), (p256("a"), p256("b")), (ed25519("a"), p256("b"))] {
        let keys = PublicKeys::from_jwks(&public(&key).jwks().to_string()).unwrap();
        assert_eq!(keys, public(&key));
        let signature = key.sign(b"this").unwrap();
        let ours = keys.get("a").unwrap();
        assert!(ours.has_signed(b"this", &signature));
        assert!(!ours.has_signed(b"that", &signature));
        assert!(!other.0.public.has_signed(b"this", &signature));
        assert!(!ours.has_signed(b"this", &signature[..63]));
        assert_eq!(keys.get("b"), None);
        assert!(!format!("{key:?}").contains("pair"));
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    assert_eq!(SigningKey::from_pem("", None).err(), Some(KeyError::NotPem));
    assert_eq!(SigningKey::from_pem(&pem(b"no key"), None).err(), Some(KeyError::Kind));
    let other = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    assert_eq!(SigningKey::from_pem(&pem(other.as_ref()), None).err(), Some(KeyError::Kind));
    for id in ["", "a\"", "a\\", "a\n", "ä", &"a".repeat(129)] {
        assert_eq!(SigningKey::from_pem(&example(), Some(id)).err(), Some(KeyError::KeyId), "{id:?}");
    }
}

#[test]
fn a_set_holds_public_keys_each_with_an_id_of_its_own() {
    let good = public(&p256("a")).jwks()["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        PublicKeys::from_jwks(&json!({ "keys": [key] }).to_string()).err()
    };
    assert_eq!(with("x5t", json!("whatever")), None);
    assert_eq!(with("d", json!("AA")), Some(KeyError::Private(1)));
    for (name, value) in [
        ("kty", json!("RSA")),
        ("crv", json!("P-384")),
        ("x", json!("AA")),
        ("y", json!(null)),
        ("kid", json!(null)),
        ("alg", json!("EdDSA")),
    ] {
        assert_eq!(with(name, value), Some(KeyError::NotPublic(1)), "{name}");
    }
    assert_eq!(with("kid", json!("")), Some(KeyError::KeyId));
    let set = |keys: Vec<&Value>| PublicKeys::from_jwks(&json!({ "keys": keys }).to_string()).err();
    assert_eq!(set(vec![&good, &good]), Some(KeyError::Twice("a".to_owned())));
    assert_eq!(set(vec![]), Some(KeyError::Count));
    assert_eq!(PublicKeys::from_jwks("[]"), Err(KeyError::NotJwks));
    assert_eq!(PublicKeys::from_jwks("no json"), Err(KeyError::NotJwks));
}

#[test]
fn earlier_keys_stand_beside_the_current_one() {
    let (old, new) = (ed25519("old"), p256("new"));
    let both = PublicKeys::of(&new, Some(public(&old))).unwrap();
    assert!(both.get("old").is_some() && both.get("new").is_some());
    assert_eq!(PublicKeys::of(&new, Some(both.clone())), Ok(both), "it may be among them already");
    // Named before there is any; who verifies needs at least one.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("previous.json");
    std::fs::write(&file, r#"{"keys":[]}"#).unwrap();
    let none = PublicKeys::read_earlier(&file).unwrap();
    assert_eq!(PublicKeys::of(&new, Some(none)), Ok(public(&new)));
    assert_eq!(PublicKeys::read(&file), Err(KeyError::Count));
    std::fs::write(&file, json!({ "keys": vec![public(&old).jwks()["keys"][0].clone(); 65] }).to_string())
        .unwrap();
    assert_eq!(PublicKeys::read_earlier(&file), Err(KeyError::Count));
    let same = PublicKeys::of(&ed25519("old"), Some(public(&old)));
    assert_eq!(same, Err(KeyError::Twice("old".to_owned())));
}

#[test]
fn a_file_of_keys_has_a_bound() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    assert_eq!(PublicKeys::read(&file), Err(KeyError::Unreadable(std::io::ErrorKind::NotFound)));
    std::fs::write(&file, " ".repeat(64 * 1024 + 1)).unwrap();
    assert_eq!(PublicKeys::read(&file), Err(KeyError::TooLarge));
    assert_eq!(SigningKey::read(&file, None).err(), Some(KeyError::TooLarge));
    std::fs::write(&file, example()).unwrap();
    assert!(SigningKey::read(&file, None).is_ok());
}

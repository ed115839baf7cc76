use super::*;
use crate::testing::{at, now};

const EPOCH: Epoch = Epoch([7; 16]);

fn secret(byte: u8) -> NonceSecret {
    NonceSecret::new(&[byte; 32]).unwrap()
}

fn thumbprint(byte: u8) -> Thumbprint {
    Thumbprint::from_base64url(&base64url::encode(&[byte; 32])).unwrap()
}

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

#[test]
fn a_nonce_is_recognised() {
    let origin = origin("https://api.example.com");
    let scope = NonceScope { origin: &origin, key: thumbprint(1) };
    let nonces = Nonces::new(secret(1), vec![]);
    let nonce = nonces.issue(&scope, EPOCH, now());
    let verified = nonces.verify(&nonce, &scope, at(30)).unwrap();
    assert_eq!(verified.epoch(), EPOCH);
    assert_eq!(verified.issued_at(), now());
    assert_eq!(verified.age(at(30)), SignedDuration::from_secs(30));
}

// D26: NQCHAR of RFC 9449 §8.1.
#[test]
fn d26_syntax() {
    let origin = origin("https://api.example.com");
    let scope = NonceScope { origin: &origin, key: thumbprint(1) };
    let nonce = Nonces::new(secret(1), vec![]).issue(&scope, EPOCH, now());
    assert_eq!(nonce.len(), 76);
    assert!(nonce.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
}

// D13, A-39: another key's, another origin's, another server's, any change.
#[test]
fn d13_foreign_nonces() {
    let api = origin("https://api.example.com");
    let other = origin("https://api.example.org");
    let scope = NonceScope { origin: &api, key: thumbprint(1) };
    let nonces = Nonces::new(secret(1), vec![]);
    let nonce = nonces.issue(&scope, EPOCH, now());
    let refusal = |nonce: &str, scope: &NonceScope<'_>| nonces.verify(nonce, scope, now()).unwrap_err();

    assert_eq!(refusal(&nonce, &NonceScope { origin: &other, ..scope }), NonceError::Forged);
    assert_eq!(refusal(&nonce, &NonceScope { key: thumbprint(2), ..scope }), NonceError::Forged);
    assert_eq!(
        refusal(&Nonces::new(secret(2), vec![]).issue(&scope, EPOCH, now()), &scope),
        NonceError::Forged
    );

    let bytes = base64url::decode(&nonce).unwrap();
    for position in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << bit;
            let expected = if position == 0 { NonceError::Malformed } else { NonceError::Forged };
            assert_eq!(refusal(&base64url::encode(&changed), &scope), expected, "byte {position} bit {bit}");
        }
    }
    for text in [
        "",
        "nonce",
        &nonce.replacen("A", "", 1),
        &format!("{nonce}A"),
        &format!("{nonce}="),
        &format!("{nonce} "),
    ] {
        assert_eq!(refusal(text, &scope), NonceError::Malformed, "{text}");
    }
}

// D26: the old secret's nonces are good while both are configured, new ones are made with the new one.
#[test]
fn d26_rotation() {
    let origin = origin("https://api.example.com");
    let scope = NonceScope { origin: &origin, key: thumbprint(1) };
    let before = Nonces::new(secret(1), vec![]);
    let during = Nonces::new(secret(2), vec![secret(1)]);
    let after = Nonces::new(secret(2), vec![]);
    let old = before.issue(&scope, EPOCH, now());
    let new = during.issue(&scope, EPOCH, now());
    assert!(during.verify(&old, &scope, now()).is_ok());
    assert!(during.verify(&new, &scope, now()).is_ok());
    assert!(after.verify(&new, &scope, now()).is_ok());
    assert_eq!(after.verify(&old, &scope, now()), Err(NonceError::Forged));
    assert_eq!(before.verify(&new, &scope, now()), Err(NonceError::Forged));
}

#[test]
fn a39_nonces_from_the_future() {
    let origin = origin("https://api.example.com");
    let scope = NonceScope { origin: &origin, key: thumbprint(1) };
    let nonces = Nonces::new(secret(1), vec![]);
    let nonce = nonces.issue(&scope, EPOCH, at(10));
    assert!(nonces.verify(&nonce, &scope, now()).is_ok());
    assert_eq!(nonces.verify(&nonce, &scope, at(-1)), Err(NonceError::FromTheFuture));
}

#[test]
fn secrets_are_long_and_stay_secret() {
    assert_eq!(NonceSecret::new(&[1; 31]).unwrap_err(), NonceSecretError);
    assert_eq!(format!("{:?}", secret(1)), "NonceSecret(redacted)");
}

//! What a transmitter says, signed by it: whatever it is, it stops and says nothing beyond its bounds.

use std::sync::LazyLock;

use exequatur_signals::{Expected, Meaning, Response, Rules, Speaker, UnverifiedSet};
use exequatur_token::{Algorithm, KeySet};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::signed::{AUDIENCE, ISSUER, Key, key_set, now};

static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::parse(key_set().as_bytes(), &Algorithm::ALL).expect("a key set"));

fn expected() -> Expected {
    Expected { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), algorithms: Algorithm::ALL.to_vec() }
}

fn rules() -> Rules {
    let corp = Speaker {
        name: "corp".parse().expect("a name"),
        issuer: ISSUER.to_owned(),
        by_subject: true,
        by_email: true,
        by_session: true,
        longest: SignedDuration::from_mins(15),
    };
    Rules {
        speakers: vec![corp],
        credential_change: Response::Revoke,
        token_claims_change: Response::Revoke,
        attributes_for: SignedDuration::from_hours(24),
        stream_id: None,
        states: None,
    }
}

/// A set with this payload, whatever it is.
pub fn set(payload: &[u8]) -> String {
    let header = json!({ "typ": "secevent+jwt", "alg": "ES256", "kid": KEY_ID });
    Key::issuer().sign_bytes(&header, payload)
}

/// The id of the issuer's key.
const KEY_ID: &str = "k1";

/// The payload of a valid set.
pub fn payload(subject: &Value, uri: &str, event: &Value) -> Value {
    let now = now().as_second();
    json!({ "iss": ISSUER, "aud": AUDIENCE, "jti": "s", "iat": now, "sub_id": subject, "events": { uri: event } })
}

/// The laws.
pub fn run(data: &[u8]) {
    let (raw, now) = (set(data), now());
    let Ok(unverified) = UnverifiedSet::parse(&raw) else { return };
    let Ok(verified) = unverified.verify(&expected(), &KEYS, now) else { return };
    let ahead = SignedDuration::from_secs(60);
    assert!(verified.happened_at(now).duration_since(now) <= ahead);
    match rules().meaning(&verified, now) {
        Ok(Meaning::Stop(effects)) => {
            assert!((1..=2).contains(&effects.len()));
            for effect in effects {
                assert!(effect.what.name().starts_with("corp:") && effect.until > now);
                let longest = SignedDuration::from_mins(15) + ahead;
                assert_eq!(effect.until.duration_since(effect.issued_until), longest);
            }
        }
        Ok(Meaning::Say(sayings)) => {
            assert!((1..=2).contains(&sayings.len()));
            assert!(sayings.iter().all(|said| said.of.name().starts_with("corp:") && said.until > now));
        }
        Ok(Meaning::Nothing(_) | Meaning::Verified { asked: false } | Meaning::Stream(_)) | Err(_) => {}
        Ok(Meaning::Verified { asked: true }) => panic!("nobody has asked"),
    }
    assert_eq!(verified.id().as_str().len(), 22);
}

//! Signed sets for tests. Each is valid; a test then changes one thing.

use exequatur_token::{Algorithm, KeySet, base64url};
use jiff::Timestamp;
use jsonwebtoken::EncodingKey;
use serde_json::{Value, json};

use crate::set::Expected;

pub(crate) const ISSUER: &str = "https://idp.example.com";
pub(crate) const AUDIENCE: &str = "https://gateway.example.com";
pub(crate) const SESSION_REVOKED: &str =
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
pub(crate) const CREDENTIAL_CHANGE: &str =
    "https://schemas.openid.net/secevent/caep/event-type/credential-change";
pub(crate) const CLAIMS_CHANGE: &str =
    "https://schemas.openid.net/secevent/caep/event-type/token-claims-change";
pub(crate) const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";
pub(crate) const STREAM_UPDATED: &str = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated";

/// The second at which all tests happen.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

pub(crate) fn expected() -> Expected {
    Expected {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        algorithms: vec![Algorithm::EdDsa, Algorithm::Rs256],
    }
}

/// The key of RFC 8037 appendix A.2, under the id `a`.
pub(crate) const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

pub(crate) fn keys() -> KeySet {
    KeySet::parse(JWKS.as_bytes(), &Algorithm::ALL).unwrap()
}

/// A compact JWS by the key of RFC 8037 appendix A.1 over header and payload as written.
pub(crate) fn sign_raw(header: &str, payload: &str) -> String {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend(base64url::decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
    let input = [header, payload].map(|part| base64url::encode(part.as_bytes())).join(".");
    let key = EncodingKey::from_ed_der(&der);
    let signature =
        jsonwebtoken::crypto::sign(input.as_bytes(), &key, jsonwebtoken::Algorithm::EdDSA).unwrap();
    format!("{input}.{signature}")
}

pub(crate) fn header() -> Value {
    json!({ "typ": "secevent+jwt", "alg": "EdDSA", "kid": "a" })
}

pub(crate) fn alice() -> Value {
    json!({ "format": "iss_sub", "iss": "https://sts.example.com", "sub": "alice" })
}

/// Alice's sessions were revoked ten seconds ago.
pub(crate) fn payload() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "jti": "set-1", "iat": NOW - 5, "sub_id": alice(),
        "events": { SESSION_REVOKED: { "event_timestamp": NOW - 10 } },
    })
}

/// `object` with `changes` gone over it; `null` removes a member.
pub(crate) fn merged(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        let members = object.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    object
}

pub(crate) fn set_with(header_changes: &Value, changes: &Value) -> String {
    sign_raw(&merged(header(), header_changes).to_string(), &merged(payload(), changes).to_string())
}

pub(crate) fn set(changes: &Value) -> String {
    set_with(&Value::Null, changes)
}

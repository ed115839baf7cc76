//! The compact serialisation of a JWS (RFC 7515 §7.1) whose payload is a JSON object.

use crate::json::{self, JsonError, Object, Value};
use crate::key::SignatureVerified;
use crate::key_set::{KeySet, KeySetRefusal};
use crate::{Algorithm, base64url};

/// What a JWS may cost at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwsLimits {
    /// Length of the whole text in bytes.
    pub bytes: usize,
    /// Length of the decoded header in bytes.
    pub header_bytes: usize,
    /// Nesting of header and payload, each.
    pub depth: usize,
    /// Members of any one object.
    pub members: usize,
}

/// A well-formed compact JWS, nothing of which has been verified.
#[derive(Debug)]
pub struct CompactJws<'a> {
    payload: Object,
    envelope: Envelope<'a>,
}

/// What every compact JWS has, whatever its payload means.
#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    header: Object,
    payload: Vec<u8>,
    signing_input: &'a str,
    signature: &'a str,
}

impl<'a> CompactJws<'a> {
    /// Reads `raw`: three non-empty parts of canonical base64url, header and payload strict JSON objects.
    ///
    /// # Errors
    /// [`JwsError`]. `crit` is refused whatever it lists, since no extension is understood (RFC 7515
    /// §4.1.11, J08), and so is `b64`, with which the signed bytes would be others than the parsed ones.
    pub fn parse(raw: &'a str, limits: &JwsLimits) -> Result<Self, JwsError> {
        let envelope = Envelope::parse(raw, limits)?;
        let payload = object(&envelope.payload, limits, JwsError::Payload)?;
        Ok(Self { payload, envelope })
    }

    /// The protected header.
    #[must_use]
    pub fn header(&self) -> &Object {
        self.envelope.header()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Object {
        &self.payload
    }

    /// The signed text: header and payload as sent.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.envelope.signing_input
    }

    /// The signature as sent, in canonical base64url.
    #[must_use]
    pub fn signature(&self) -> &'a str {
        self.envelope.signature
    }

    /// The algorithm that the header names, if it is a known one. Nothing more than a word.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.envelope.algorithm()
    }

    /// The id of the key that the header names, if it names one. Nothing more than a word.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.header().get("kid").and_then(Value::as_str)
    }

    /// Verifies that it was signed with one of `keys` and an algorithm that is `allowed`, for kinds of JWT that have no
    /// check of their own here. Keys that the header names or carries (`jku`, `x5u`, `jwk`, `x5c`) are never used (J09).
    ///
    /// # Errors
    /// [`SignerError`]
    pub fn verify(&self, keys: &KeySet, allowed: &[Algorithm]) -> Result<SignatureVerified, SignerError> {
        let algorithm = self.algorithm().filter(|algorithm| allowed.contains(algorithm));
        let algorithm = algorithm.ok_or(SignerError::AlgNotAllowed)?;
        keys.verify(&self.envelope, algorithm).map_err(|refusal| match refusal {
            KeySetRefusal::KeyId => SignerError::KeyId,
            KeySetRefusal::KeyUnknown => SignerError::KeyUnknown,
            KeySetRefusal::SignatureInvalid => SignerError::SignatureInvalid,
        })
    }

    pub(crate) const fn envelope(&self) -> &Envelope<'a> {
        &self.envelope
    }
}

/// Why a JWS is not taken for one of a signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignerError {
    /// `alg` is unknown or not allowed.
    #[error("algorithm not allowed")]
    AlgNotAllowed,
    /// `kid` is not a string of 1 to 256 bytes (J15).
    #[error("key id malformed")]
    KeyId,
    /// The signer has no such key.
    #[error("key unknown")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("signature invalid")]
    SignatureInvalid,
}

impl<'a> Envelope<'a> {
    pub(crate) fn parse(raw: &'a str, limits: &JwsLimits) -> Result<Self, JwsError> {
        if raw.len() > limits.bytes {
            return Err(JwsError::TooLarge);
        }
        let (header, payload, signature) = three_parts(raw)?;
        if header.len() > base64url::encoded_len(limits.header_bytes) {
            return Err(JwsError::HeaderTooLarge);
        }
        let header = object(&decoded(header)?, limits, JwsError::Header)?;
        if header.contains("crit") || header.contains("b64") {
            return Err(JwsError::CritUnsupported);
        }
        let payload = decoded(payload)?;
        decoded(signature)?;
        let (signing_input, _) = raw.rsplit_once('.').ok_or(JwsError::Parts)?;
        Ok(Self { header, payload, signing_input, signature })
    }

    pub(crate) const fn header(&self) -> &Object {
        &self.header
    }

    /// The algorithm that the header names, if it is a known one.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.header.get("alg").and_then(Value::as_str).and_then(Algorithm::from_jose)
    }

    pub(crate) const fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    pub(crate) const fn signature(&self) -> &'a str {
        self.signature
    }
}

fn three_parts(raw: &str) -> Result<(&str, &str, &str), JwsError> {
    let mut parts = raw.split('.');
    let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(JwsError::Parts);
    };
    match parts.count() {
        0 => {}
        2 => return Err(JwsError::Encrypted),
        _ => return Err(JwsError::Parts),
    }
    if header.is_empty() || payload.is_empty() || signature.is_empty() {
        return Err(JwsError::EmptyPart);
    }
    Ok((header, payload, signature))
}

fn decoded(part: &str) -> Result<Vec<u8>, JwsError> {
    base64url::decode(part).or(Err(JwsError::Base64))
}

fn object(bytes: &[u8], limits: &JwsLimits, error: fn(JsonError) -> JwsError) -> Result<Object, JwsError> {
    let limits = json::Limits { bytes: limits.bytes, depth: limits.depth, members: limits.members };
    match json::parse(bytes, limits).map_err(error)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JwsError::NotAnObject)
        }
    }
}

/// Why a text is no acceptable JWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Longer than [`JwsLimits::bytes`].
    #[error("too large")]
    TooLarge,
    /// The header is longer than [`JwsLimits::header_bytes`].
    #[error("header too large")]
    HeaderTooLarge,
    /// Not three parts.
    #[error("not three parts")]
    Parts,
    /// Five parts: an encrypted token (JWE), which is not supported (J13).
    #[error("encrypted")]
    Encrypted,
    /// A part is empty.
    #[error("empty part")]
    EmptyPart,
    /// A part is not canonical unpadded base64url.
    #[error("part is not canonical base64url")]
    Base64,
    /// The header is not strict JSON.
    #[error("header: {0}")]
    Header(JsonError),
    /// The payload is not strict JSON.
    #[error("payload: {0}")]
    Payload(JsonError),
    /// Header or payload is JSON, but not an object.
    #[error("not a json object")]
    NotAnObject,
    /// `kid` is not a string of 1 to 256 bytes (J15).
    #[error("key id malformed")]
    KeyId,
    /// The header has `crit` or `b64`.
    #[error("critical header not understood")]
    CritUnsupported,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::TestKey;

    const LIMITS: JwsLimits = JwsLimits { bytes: 4096, header_bytes: 1024, depth: 8, members: 32 };

    /// Of a kind that this crate knows nothing of: the algorithm has to be allowed, the key known, the signature whole.
    #[test]
    fn a_jws_of_any_kind_is_verified() {
        let (key, other) = (TestKey::es256(1), TestKey::es256(2));
        let keys = crate::testing::key_set(&[key.named("a")]);
        let raw = |key: &TestKey, kid: &str| {
            key.sign(&json!({ "typ": "any+jwt", "alg": "ES256", "kid": kid }), &json!({ "a": 1 }))
        };
        let verified = |raw: &str, allowed: &[Algorithm]| {
            CompactJws::parse(raw, &LIMITS).unwrap().verify(&keys, allowed).map(|_evidence| ())
        };
        let (good, all) = (raw(&key, "a"), &Algorithm::ALL);
        assert_eq!(verified(&good, all), Ok(()));
        assert_eq!(verified(&good, &[Algorithm::Rs256]), Err(SignerError::AlgNotAllowed));
        assert_eq!(verified(&raw(&key, "b"), all), Err(SignerError::KeyUnknown));
        assert_eq!(verified(&raw(&key, ""), all), Err(SignerError::KeyId));
        assert_eq!(verified(&raw(&other, "a"), all), Err(SignerError::SignatureInvalid));
        let jws = CompactJws::parse(&good, &LIMITS).unwrap();
        assert_eq!((jws.key_id(), jws.algorithm()), (Some("a"), Some(Algorithm::Es256)));
    }
}

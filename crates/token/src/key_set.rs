//! An issuer's key set (RFC 7517 §5): the keys that can be used, and the choice of those to try.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::json::{self, JsonError, Object, Value};
use crate::jws::Envelope;
use crate::key::{KeyError, PublicKey, SignatureVerified};
use crate::{Algorithm, Thumbprint, base64url};

/// Largest key set that is read.
const MAX_BYTES: usize = 1024 * 1024;
/// Most keys in a set, usable or not.
const MAX_KEYS: usize = 256;
/// Most signatures verified for one token (J16): verifying is what costs.
const MAX_TRIES: usize = 4;
/// Longest key id (J15).
const MAX_KEY_ID_BYTES: usize = 256;
/// Certificates' chains and vendors' extensions stay well below.
const MAX_DEPTH: usize = 16;
const MAX_MEMBERS: usize = 128;

/// The usable keys of one issuer.
#[derive(Debug, Clone)]
pub struct KeySet {
    // INVARIANT: not empty.
    keys: Vec<NamedKey>,
    skipped: Vec<SkippedKey>,
    id: KeySetId,
}

#[derive(Debug, Clone)]
struct NamedKey {
    id: Option<String>,
    key: PublicKey,
}

impl KeySet {
    /// Reads a JWKS of at most 1 MiB and 256 keys, for tokens signed with one of `allowed`. Keys that cannot
    /// be used are skipped and reported by [`Self::skipped`], so that one key of a new kind does not stop the
    /// others (J18). A key that is there with two algorithms is used with the first (J04).
    ///
    /// # Errors
    /// [`KeySetError`]; a set without a usable key is an error.
    pub fn parse(bytes: &[u8], allowed: &[Algorithm]) -> Result<Self, KeySetError> {
        let limits = json::Limits { bytes: MAX_BYTES, depth: MAX_DEPTH, members: MAX_MEMBERS };
        let document = json::parse(bytes, limits)?;
        let entries = document
            .as_object()
            .and_then(|object| object.get("keys"))
            .and_then(Value::as_array)
            .ok_or(KeySetError::NotAKeySet)?;
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys);
        }
        let mut keys: Vec<NamedKey> = Vec::new();
        let mut skipped = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match NamedKey::from_value(entry, allowed) {
                Ok(named) if keys.iter().any(|known| known.key.contradicts(&named.key)) => {
                    let reason = SkipReason::Key(KeyError::SecondAlgorithm);
                    skipped.push(SkippedKey { index, reason });
                }
                Ok(named) => keys.push(named),
                Err(reason) => skipped.push(SkippedKey { index, reason }),
            }
        }
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey(skipped.first().map(|skipped| skipped.reason)));
        }
        let id = KeySetId::of(&keys);
        Ok(Self { keys, skipped, id })
    }

    /// Names the usable content: equal exactly if the same keys can be used under the same ids, whatever
    /// their order.
    #[must_use]
    pub const fn id(&self) -> KeySetId {
        self.id
    }

    /// How many keys can be used; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a key set is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that cannot be used, in order.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The keys to try for a token, at most four: those of its algorithm and, if it names a key, with that
    /// id. Keys may share an id (J16).
    pub fn candidates(&self, key_id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &PublicKey> {
        self.keys
            .iter()
            .filter(move |named| key_id.is_none() || named.id.as_deref() == key_id)
            .map(|named| &named.key)
            .filter(move |key| key.algorithm() == algorithm)
            .take(MAX_TRIES)
    }

    /// Whether a key of this thumbprint is among the usable ones.
    pub(crate) fn has(&self, thumbprint: Thumbprint) -> bool {
        self.keys.iter().any(|named| named.key.thumbprint() == thumbprint)
    }

    /// Verifies a signature with the key that `kid` names, or with each that it may be.
    ///
    /// # Errors
    /// [`KeySetRefusal`]
    pub(crate) fn verify(
        &self,
        jws: &Envelope<'_>,
        algorithm: Algorithm,
    ) -> Result<SignatureVerified, KeySetRefusal> {
        self.verify_by(jws, algorithm).map(|(verified, _key)| verified)
    }

    /// Like [`Self::verify`], and says by which key.
    ///
    /// # Errors
    /// [`KeySetRefusal`]
    pub(crate) fn verify_by(
        &self,
        jws: &Envelope<'_>,
        algorithm: Algorithm,
    ) -> Result<(SignatureVerified, &PublicKey), KeySetRefusal> {
        let key_id = key_id(jws.header()).or(Err(KeySetRefusal::KeyId))?;
        let mut outcome = Err(KeySetRefusal::KeyUnknown);
        for key in self.candidates(key_id, algorithm) {
            match key.verify(jws.signing_input().as_bytes(), jws.signature()) {
                Ok(verified) => return Ok((verified, key)),
                Err(_) => outcome = Err(KeySetRefusal::SignatureInvalid),
            }
        }
        outcome
    }
}

/// Why no key of a set verifies a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeySetRefusal {
    /// `kid` is malformed.
    KeyId,
    /// No key of the set is the one.
    KeyUnknown,
    /// The signature is not by any that may be the one.
    SignatureInvalid,
}

impl NamedKey {
    fn from_value(entry: &Value, allowed: &[Algorithm]) -> Result<Self, SkipReason> {
        let jwk = entry.as_object().ok_or(SkipReason::NotAnObject)?;
        let id = key_id(jwk).or(Err(SkipReason::KeyId))?;
        Ok(Self { id: id.map(ToOwned::to_owned), key: PublicKey::from_jwk(jwk, allowed)? })
    }
}

/// The `kid` of a key or of a header: absent, or a string of 1 to 256 bytes.
fn key_id(object: &Object) -> Result<Option<&str>, KeyIdInvalid> {
    match object.get("kid").map(Value::as_str) {
        None => Ok(None),
        Some(Some(id)) if (1..=MAX_KEY_ID_BYTES).contains(&id.len()) => Ok(Some(id)),
        Some(_) => Err(KeyIdInvalid),
    }
}

#[derive(Debug)]
struct KeyIdInvalid;

/// SHA-256 over the usable keys of a set: what a cached token names as the keys it was verified with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeySetId([u8; 32]);

impl KeySetId {
    fn of(keys: &[NamedKey]) -> Self {
        // An algorithm's name has no colon and a thumbprint's text has a fixed length, so that nothing runs
        // into a key id.
        let mut entries: Vec<String> = keys
            .iter()
            .map(|NamedKey { id, key }| match id {
                Some(id) => format!("{}:{}={id}", key.algorithm(), key.thumbprint()),
                None => format!("{}:{}-", key.algorithm(), key.thumbprint()),
            })
            .collect();
        entries.sort_unstable();
        entries.dedup();
        let mut hash = Sha256::new();
        for entry in entries {
            hash.update(Sha256::digest(entry.as_bytes()));
        }
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeySetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for KeySetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key of the set that is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its position in the set, from 0.
    pub index: usize,
    /// Why.
    pub reason: SkipReason,
}

/// Why a key of a set is not used (J17, J18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    /// Not a JSON object.
    #[error("not an object")]
    NotAnObject,
    /// `kid` is not a string of 1 to 256 bytes.
    #[error("key id malformed")]
    KeyId,
    /// The key itself was refused.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// Why a document is no usable key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Not strict JSON of at most 1 MiB.
    #[error("key set: {0}")]
    Json(#[from] JsonError),
    /// No object with an array `keys`.
    #[error("not a json web key set")]
    NotAKeySet,
    /// More than 256 keys.
    #[error("too many keys")]
    TooManyKeys,
    /// No key that can be used; why the first cannot, if there is one.
    #[error("no usable key{}", .0.map_or_else(String::new, |reason| format!(": {reason}")))]
    NoUsableKey(Option<SkipReason>),
}

#[cfg(test)]
mod tests;

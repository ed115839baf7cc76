//! The keys that checkpoints are signed and checked with: Ed25519, or ECDSA with P-256 and SHA-256 (RFC 7518 §3.4, RFC 8037).

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A signature of either kind, in bytes.
pub(crate) const SIGNATURE: usize = 64;
/// A coordinate, or an Ed25519 key, in bytes.
const COORDINATE: usize = 32;
/// Before the coordinates of a point that is not compressed (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;
/// Longest id of a key, in bytes: printable ASCII without quotes and backslashes.
const MAX_KEY_ID: usize = 128;
/// Most keys of a set, and the largest file of keys, in bytes.
const MAX_KEYS: usize = 64;
const MAX_FILE: u64 = 64 * 1024;

/// Why a key, or a set of keys, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read, or is too large.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// Larger than 64 KiB.
    #[error("larger than 64 KiB")]
    TooLarge,
    /// No PEM block `PRIVATE KEY`.
    #[error("not a PEM block `PRIVATE KEY` (PKCS #8, not encrypted)")]
    NotPem,
    /// Another kind of key.
    #[error("neither an Ed25519 nor a P-256 key")]
    Kind,
    /// A key's id that cannot be written.
    #[error("a key's id is 1 to 128 printable characters of ASCII without quotes and backslashes")]
    KeyId,
    /// No JWK set.
    #[error("not a JWK set (RFC 7517)")]
    NotJwks,
    /// A member of the set that checkpoints cannot be checked with.
    #[error(
        "key {0} of the set is no public key with `kid`, of `kty` `OKP` and `crv` `Ed25519`, or `EC` and `P-256`"
    )]
    NotPublic(usize),
    /// A private key where a public one has to be.
    #[error("key {0} of the set is private: take `d` out, and replace it")]
    Private(usize),
    /// An id twice: it would not be known which key is meant.
    #[error("two keys of the set have the id `{0}`")]
    Twice(String),
    /// No keys, or too many.
    #[error("a set has 1 to 64 keys")]
    Count,
    /// The system has no random numbers to sign with.
    #[error("cannot sign")]
    Unsigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519,
    P256,
}

impl Kind {
    const fn algorithm(self) -> &'static str {
        match self {
            Self::Ed25519 => "EdDSA",
            Self::P256 => "ES256",
        }
    }
}

/// A public key and its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    id: String,
    kind: Kind,
    /// 32 bytes, or 65: a point that is not compressed.
    bytes: Vec<u8>,
}

impl PublicKey {
    pub(crate) const fn algorithm(&self) -> &'static str {
        self.kind.algorithm()
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.kind {
            Kind::Ed25519 => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature),
            Kind::P256 => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes).verify(message, signature)
            }
        }
        .is_ok()
    }

    /// The members that its thumbprint is of, in the order of RFC 7638 §3.
    fn required(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self.kind {
            Kind::Ed25519 => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(&self.bytes) }),
            Kind::P256 => {
                let (x, y) =
                    self.bytes.get(1..).unwrap_or_default().split_at_checked(COORDINATE).unwrap_or_default();
                json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) })
            }
        }
    }

    /// RFC 7638: SHA-256, in base64url.
    fn thumbprint(&self) -> String {
        // Names in the order of the alphabet, which is how a JSON object is kept here.
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.required().to_string()))
    }

    fn jwk(&self) -> Value {
        let mut jwk = self.required();
        if let Value::Object(members) = &mut jwk {
            members.insert("kid".to_owned(), json!(self.id));
            members.insert("use".to_owned(), json!("sig"));
            members.insert("alg".to_owned(), json!(self.algorithm()));
        }
        jwk
    }

    fn of_jwk(jwk: &Value, number: usize) -> Result<Self, KeyError> {
        if jwk.get("d").is_some() {
            return Err(KeyError::Private(number));
        }
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let coordinate = |name: &str| {
            let bytes = text(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            bytes.filter(|bytes| bytes.len() == COORDINATE).ok_or(KeyError::NotPublic(number))
        };
        let (kind, bytes) = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => (Kind::Ed25519, coordinate("x")?),
            (Some("EC"), Some("P-256")) => {
                (Kind::P256, [vec![UNCOMPRESSED], coordinate("x")?, coordinate("y")?].concat())
            }
            _ => return Err(KeyError::NotPublic(number)),
        };
        let id = text("kid").ok_or(KeyError::NotPublic(number))?;
        let key = Self { id: key_id(id)?, kind, bytes };
        if text("alg").is_some_and(|algorithm| algorithm != key.algorithm()) {
            return Err(KeyError::NotPublic(number));
        }
        Ok(key)
    }
}

/// The public keys that checkpoints may be signed with, each with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Reads a JWK set (RFC 7517 §5) of public keys.
    ///
    /// # Errors
    /// [`KeyError`]: also for a key of another kind, a private one, and an id that is there twice.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        let keys = Self::earlier_from_jwks(text)?;
        if keys.0.is_empty() { Err(KeyError::Count) } else { Ok(keys) }
    }

    /// The same of keys that were used before: there may be none yet.
    fn earlier_from_jwks(text: &str) -> Result<Self, KeyError> {
        let set: Value = serde_json::from_str(text).or(Err(KeyError::NotJwks))?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(KeyError::NotJwks)?;
        if keys.len() > MAX_KEYS {
            return Err(KeyError::Count);
        }
        let read = keys.iter().zip(1..).map(|(jwk, number)| PublicKey::of_jwk(jwk, number));
        Self(Vec::new()).with(read.collect::<Result<Vec<_>, _>>()?)
    }

    /// Reads a file with a JWK set.
    ///
    /// # Errors
    /// As [`Self::from_jwks`], or the file cannot be read.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        Self::from_jwks(&read(file)?)
    }

    /// Reads a file with a JWK set of keys that were used before a current one. It may be empty, so that it can be named before there is
    /// any.
    ///
    /// # Errors
    /// As [`Self::read`], but for an empty set.
    pub fn read_earlier(file: &Path) -> Result<Self, KeyError> {
        Self::earlier_from_jwks(&read(file)?)
    }

    /// That of `key`, and these.
    ///
    /// # Errors
    /// [`KeyError::Twice`]: another key has the same id.
    pub fn of(key: &SigningKey, previous: Option<Self>) -> Result<Self, KeyError> {
        let previous = previous.map(|set| set.0).unwrap_or_default();
        // The current key may be in the list of the earlier ones already.
        let others = previous.into_iter().filter(|other| *other != key.0.public);
        Self(vec![key.0.public.clone()]).with(others.collect())
    }

    /// Whether the public half of `key` is one of these, by the same id.
    #[must_use]
    pub fn has(&self, key: &SigningKey) -> bool {
        self.0.contains(&key.0.public)
    }

    fn with(mut self, keys: Vec<PublicKey>) -> Result<Self, KeyError> {
        for key in keys {
            if self.0.iter().any(|other| other.id == key.id) {
                return Err(KeyError::Twice(key.id));
            }
            self.0.push(key);
        }
        Ok(self)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The set as JSON (RFC 7517 §5).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.0.iter().map(PublicKey::jwk).collect::<Vec<_>>() })
    }
}

/// A private key that signs checkpoints. Clones share it.
#[derive(Clone)]
pub struct SigningKey(Arc<Parts>);

struct Parts {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// Reads an unencrypted private key (PKCS #8 in PEM, RFC 7468 §10), Ed25519 or P-256. Its id is `key_id`, or else its
    /// thumbprint (RFC 7638).
    ///
    /// # Errors
    /// [`KeyError::NotPem`], [`KeyError::Kind`], [`KeyError::KeyId`]
    pub fn from_pem(pem: &str, id: Option<&str>) -> Result<Self, KeyError> {
        let id = id.map(key_id).transpose()?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).or(Err(KeyError::NotPem))?;
        let der = Zeroizing::new(der);
        let der = der.secret_pkcs8_der();
        let (pair, kind, bytes) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let bytes = pair.public_key().as_ref().to_vec();
            (Pair::Ed25519(pair), Kind::Ed25519, bytes)
        } else {
            let pair =
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).or(Err(KeyError::Kind))?;
            let bytes = pair.public_key().as_ref().to_vec();
            (Pair::P256(pair), Kind::P256, bytes)
        };
        let mut public = PublicKey { id: String::new(), kind, bytes };
        public.id = id.unwrap_or_else(|| public.thumbprint());
        Ok(Self(Arc::new(Parts { pair, public })))
    }

    /// Reads a file with such a key.
    ///
    /// # Errors
    /// As [`Self::from_pem`], or the file cannot be read.
    pub fn read(file: &Path, id: Option<&str>) -> Result<Self, KeyError> {
        Self::from_pem(&Zeroizing::new(read(file)?), id)
    }

    /// Whether a key can have this id.
    ///
    /// # Errors
    /// [`KeyError::KeyId`]
    pub fn check_id(id: &str) -> Result<String, KeyError> {
        key_id(id)
    }

    /// Its id: `kid` in checkpoints and in the set of public keys.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.public.id
    }

    /// The algorithm's name in JOSE: `EdDSA` or `ES256`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        self.0.public.algorithm()
    }

    /// # Errors
    /// [`KeyError::Unsigned`]
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE], KeyError> {
        let signature = match &self.0.pair {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        let signature = signature.or(Err(KeyError::Unsigned))?;
        signature.as_ref().try_into().or(Err(KeyError::Unsigned))
    }
}

/// The public half alone.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.0.public).finish()
    }
}

impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.public == other.0.public
    }
}

impl Eq for SigningKey {}

fn key_id(text: &str) -> Result<String, KeyError> {
    let allowed = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if (1..=MAX_KEY_ID).contains(&text.len()) && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(KeyError::KeyId)
}

fn read(file: &Path) -> Result<String, KeyError> {
    use std::io::Read as _;

    let unreadable = |error: std::io::Error| KeyError::Unreadable(error.kind());
    let mut text = String::new();
    let file = std::fs::File::open(file).map_err(unreadable)?;
    file.take(MAX_FILE.saturating_add(1)).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_FILE) {
        Ok(text)
    } else {
        Err(KeyError::TooLarge)
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Signing, and spoiling what was signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A P-256 key pair.
pub struct KeyPair {
    private: EncodingKey,
    x: String,
    y: String,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("x", &self.x).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new random pair.
    ///
    /// # Panics
    /// If the machine has no randomness.
    #[must_use]
    pub fn generate() -> Self {
        let secret = loop {
            let mut bytes = [0_u8; 32];
            getrandom::fill(&mut bytes).expect("randomness");
            // Not every 32 bytes are a scalar of the curve.
            if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
                break secret;
            }
        };
        let der = secret.to_pkcs8_der().expect("a P-256 key has a PKCS #8 form");
        // 0x04, then the two coordinates.
        let point = secret.public_key().to_sec1_point(false);
        let point = point.as_bytes();
        Self {
            private: EncodingKey::from_ec_der(der.as_bytes()),
            x: base64url(&point[1..33]),
            y: base64url(&point[33..65]),
        }
    }

    /// The public half, as a JWK without optional members.
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({ "crv": "P-256", "kty": "EC", "x": self.x, "y": self.y })
    }

    /// RFC 7638.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x, self.y);
        digest(&canonical)
    }

    /// A compact JWS over `payload`.
    ///
    /// # Panics
    /// If the signature cannot be made.
    #[must_use]
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        let input = format!(
            "{}.{}",
            base64url(header.to_string().as_bytes()),
            base64url(payload.to_string().as_bytes())
        );
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &self.private, Algorithm::ES256)
            .expect("ES256 signature");
        format!("{input}.{signature}")
    }
}

/// `base64url(SHA-256(text))`: `ath`, and thumbprints.
#[must_use]
pub fn digest(text: &str) -> String {
    base64url(&Sha256::digest(text.as_bytes()))
}

/// Unpadded base64url.
#[must_use]
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A new `jti`.
///
/// # Panics
/// If the machine has no randomness.
#[must_use]
pub fn random_id() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("randomness");
    base64url(&bytes)
}

/// The same JWS with one character of its signature changed.
#[must_use]
pub fn with_broken_signature(jws: &str) -> String {
    let middle = jws.len() - 20;
    let changed = if jws.as_bytes()[middle] == b'A' { "B" } else { "A" };
    format!("{}{changed}{}", &jws[..middle], &jws[middle + 1..])
}

/// `base` with the members of `changes` put over it; `null` removes one.
#[must_use]
pub fn merged(mut base: Value, changes: &Value) -> Value {
    if let (Some(base), Some(changes)) = (base.as_object_mut(), changes.as_object()) {
        for (name, value) in changes {
            if value.is_null() {
                base.remove(name);
            } else {
                base.insert(name.clone(), value.clone());
            }
        }
    }
    base
}

/// Seconds since 1970, now.
#[must_use]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

//! Keys that sign, and their public faces.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A P-256 key.
pub(crate) struct Key {
    signing: EncodingKey,
    pub(crate) jwk: Value,
    /// RFC 7638.
    pub(crate) thumbprint: String,
}

impl Key {
    /// Another key for each seed but 0.
    pub(crate) fn new(seed: u8) -> Self {
        let secret = p256::SecretKey::from_slice(&[seed; 32]).unwrap();
        let point = secret.public_key().to_sec1_point(false);
        let [x, y] = [point.x().unwrap(), point.y().unwrap()].map(|c| base64url(c));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Self {
            signing: EncodingKey::from_ec_der(secret.to_pkcs8_der().unwrap().as_bytes()),
            jwk: json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            thumbprint: digest(canonical.as_bytes()),
        }
    }

    /// The issuer's, `k1` in its set.
    pub(crate) fn issuer() -> Self {
        Self::new(1)
    }

    /// The agent's, which its tokens are bound to.
    pub(crate) fn agent() -> Self {
        Self::new(2)
    }

    /// Nobody's that matters.
    pub(crate) fn stranger() -> Self {
        Self::new(3)
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = [header, claims].map(|part| base64url(part.to_string().as_bytes())).join(".");
        let signature =
            jsonwebtoken::crypto::sign(input.as_bytes(), &self.signing, Algorithm::ES256).unwrap();
        format!("{input}.{signature}")
    }

    /// As a member of a key set.
    pub(crate) fn named(&self, kid: &str) -> Value {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(kid);
        jwk
    }
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256, as JOSE writes it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    base64url(&Sha256::digest(bytes))
}

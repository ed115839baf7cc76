//! Signing, and spoiling what was signed.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub use jsonwebtoken::Algorithm;

/// A key pair for one algorithm.
pub struct KeyPair {
    algorithm: Algorithm,
    signer: Signer,
    public: Value,
}

enum Signer {
    Jwt(EncodingKey),
    Rsa(Box<RsaKeyPair>),
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyPair").field("public", &self.public).finish_non_exhaustive()
    }
}

impl KeyPair {
    /// A new random pair for ES256.
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
        let point = secret.public_key().to_sec1_point(false);
        Self::ec(Algorithm::ES256, "P-256", der.as_bytes(), point.as_bytes())
    }

    /// A new random pair.
    ///
    /// # Panics
    /// If Exequatur has no such algorithm, or the machine has no randomness.
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::ES256 => Self::generate(),
            Algorithm::ES384 => {
                let key = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).expect("a P-384 key");
                let der = key.to_pkcs8v1().expect("a P-384 key has a PKCS #8 form");
                Self::ec(algorithm, "P-384", der.as_ref(), key.public_key().as_ref())
            }
            Algorithm::EdDSA => {
                let key = Ed25519KeyPair::generate().expect("an Ed25519 key");
                let der = key.to_pkcs8v1().expect("an Ed25519 key has a PKCS #8 form");
                let x = base64url(key.public_key().as_ref());
                let public = json!({ "crv": "Ed25519", "kty": "OKP", "x": x });
                Self { algorithm, signer: Signer::Jwt(EncodingKey::from_ed_der(der.as_ref())), public }
            }
            Algorithm::PS256 | Algorithm::RS256 => {
                let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
                let n = base64url(key.public_key().modulus().big_endian_without_leading_zero());
                let e = base64url(key.public_key().exponent().big_endian_without_leading_zero());
                let public = json!({ "e": e, "kty": "RSA", "n": n });
                Self { algorithm, signer: Signer::Rsa(Box::new(key)), public }
            }
            other => panic!("{other:?} is none of Exequatur's algorithms"),
        }
    }

    /// `point` is 0x04 and the two coordinates.
    fn ec(algorithm: Algorithm, curve: &str, der: &[u8], point: &[u8]) -> Self {
        let (x, y) = point[1..].split_at(point.len() / 2);
        let public = json!({ "crv": curve, "kty": "EC", "x": base64url(x), "y": base64url(y) });
        Self { algorithm, signer: Signer::Jwt(EncodingKey::from_ec_der(der)), public }
    }

    /// The name of its algorithm, as `alg` has it.
    #[must_use]
    pub fn alg(&self) -> Value {
        json!(self.algorithm)
    }

    /// The public half, as a JWK without optional members.
    #[must_use]
    pub fn jwk(&self) -> Value {
        self.public.clone()
    }

    /// RFC 7638: the JWK as it is, its members being the required ones in order.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        digest(&self.public.to_string())
    }

    /// A compact JWS over `payload`.
    ///
    /// # Panics
    /// If the signature cannot be made.
    #[must_use]
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_text(header, &payload.to_string())
    }

    /// The same over a payload that is no JSON of ours.
    ///
    /// # Panics
    /// If the signature cannot be made.
    #[must_use]
    pub fn sign_text(&self, header: &Value, payload: &str) -> String {
        let input = format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(payload.as_bytes()));
        let signature = match &self.signer {
            Signer::Jwt(key) => {
                jsonwebtoken::crypto::sign(input.as_bytes(), key, self.algorithm).expect("a signature")
            }
            Signer::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let padding: &dyn RsaEncoding =
                    if self.algorithm == Algorithm::PS256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                key.sign(padding, &SystemRandom::new(), input.as_bytes(), &mut signature)
                    .expect("an RSA signature");
                base64url(&signature)
            }
        };
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

/// What the JWS says, whoever signed it.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn payload(jws: &str) -> Value {
    let payload = jws.split('.').nth(1).expect("a JWS has a payload");
    let payload = URL_SAFE_NO_PAD.decode(payload).expect("a payload is base64url");
    serde_json::from_slice(&payload).expect("a payload is JSON")
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

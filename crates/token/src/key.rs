//! Public keys: checked once, when read, and bound to one algorithm each.

use jsonwebtoken::DecodingKey;

use crate::Algorithm;
use crate::base64url;
use crate::digest::Thumbprint;
use crate::json::{Object, Value};

/// Private parts of any key type (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Both algorithms have signatures of 64 bytes: `r` and `s`, or `R` and `S`.
const SIGNATURE_BYTES: usize = 64;

/// A public key that passed every check of its type.
#[derive(Debug, Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    thumbprint: Thumbprint,
    material: DecodingKey,
}

impl PublicKey {
    /// Reads a JWK (RFC 7517).
    ///
    /// # Errors
    /// [`KeyError`]: `kty`, `crv` and `alg` must agree, `use` and `key_ops` must allow verifying, no private
    /// or symmetric part may be there (D07), coordinates have exactly 32 bytes and are on the curve (D09).
    /// Ed25519: canonical encodings of points outside the small subgroup; whether the point decompresses is
    /// not known before the first verification, which then fails.
    pub fn from_jwk(jwk: &Object) -> Result<Self, KeyError> {
        let key_type = text(jwk, "kty")?;
        if key_type == "oct" {
            return Err(KeyError::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains(name)) {
            return Err(KeyError::Private);
        }
        check_purpose(jwk)?;
        let key = match (key_type, text(jwk, "crv")) {
            ("EC", Ok("P-256")) => Self::p256(text(jwk, "x")?, text(jwk, "y")?)?,
            ("OKP", Ok("Ed25519")) => Self::ed25519(text(jwk, "x")?)?,
            ("EC" | "OKP", Ok(_)) => return Err(KeyError::CurveUnsupported),
            ("EC" | "OKP", Err(error)) => return Err(error),
            _ => return Err(KeyError::TypeUnsupported),
        };
        match jwk.get("alg").map(Value::as_str) {
            None => Ok(key),
            Some(Some(name)) if Algorithm::from_jose(name) == Some(key.algorithm) => Ok(key),
            Some(_) => Err(KeyError::AlgorithmMismatch),
        }
    }

    fn p256(x: &str, y: &str) -> Result<Self, KeyError> {
        let mut sec1 = Vec::with_capacity(65);
        sec1.push(4);
        sec1.extend_from_slice(&coordinate(x)?);
        sec1.extend_from_slice(&coordinate(y)?);
        // Refuses coordinates that are not reduced, points off the curve and (0, 0).
        p256::PublicKey::from_sec1_bytes(&sec1).or(Err(KeyError::OffCurve))?;
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Ok(Self {
            algorithm: Algorithm::Es256,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_ec_der(&sec1),
        })
    }

    fn ed25519(x: &str) -> Result<Self, KeyError> {
        let point = coordinate(x)?;
        if ed25519::is_weak(&point) {
            return Err(KeyError::WeakPoint);
        }
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Ok(Self {
            algorithm: Algorithm::EdDsa,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_ed_der(&point),
        })
    }

    /// The one algorithm this key may be used with (RFC 8725 §3.1).
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// RFC 7638.
    #[must_use]
    pub const fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Verifies a JWS signature with the algorithm of this key.
    ///
    /// # Errors
    /// [`SignatureError`], also for signatures in DER or of another length (G19).
    pub fn verify(
        &self,
        signing_input: &[u8],
        signature_b64: &str,
    ) -> Result<SignatureVerified, SignatureError> {
        base64url::decode_array::<SIGNATURE_BYTES>(signature_b64).or(Err(SignatureError::Malformed))?;
        let algorithm = match self.algorithm {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        };
        match jsonwebtoken::crypto::verify(signature_b64, signing_input, &self.material, algorithm) {
            Ok(true) => Ok(SignatureVerified(())),
            Ok(false) | Err(_) => Err(SignatureError::Invalid),
        }
    }
}

/// Evidence that a signature was verified. Only [`PublicKey::verify`] makes one.
#[derive(Debug)]
pub struct SignatureVerified(());

/// J17: a key published for encryption, or for signing only, verifies nothing.
fn check_purpose(jwk: &Object) -> Result<(), KeyError> {
    let usable = match jwk.get("use") {
        None => true,
        Some(purpose) => purpose.as_str() == Some("sig"),
    };
    let verifies = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations
            .as_array()
            .is_some_and(|operations| operations.iter().any(|name| name.as_str() == Some("verify"))),
    };
    if usable && verifies { Ok(()) } else { Err(KeyError::NotForVerifying) }
}

fn text<'a>(jwk: &'a Object, name: &'static str) -> Result<&'a str, KeyError> {
    jwk.get(name).ok_or(KeyError::MemberMissing(name))?.as_str().ok_or(KeyError::MemberInvalid(name))
}

/// G20: 31 bytes with the leading zero stripped would be another thumbprint of the same key.
fn coordinate(text: &str) -> Result<[u8; 32], KeyError> {
    base64url::decode_array(text).or(Err(KeyError::Coordinate))
}

/// Why a JWK was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A member that this key type needs is absent.
    #[error("member `{0}` missing")]
    MemberMissing(&'static str),
    /// A member is not a string.
    #[error("member `{0}` is not a string")]
    MemberInvalid(&'static str),
    /// A `kty` that is not supported.
    #[error("key type not supported")]
    TypeUnsupported,
    /// A `crv` that is not supported.
    #[error("curve not supported")]
    CurveUnsupported,
    /// A symmetric key.
    #[error("symmetric key")]
    Symmetric,
    /// A private part is there.
    #[error("private key")]
    Private,
    /// `use` or `key_ops` exclude verifying.
    #[error("key is not for verifying signatures")]
    NotForVerifying,
    /// `alg` is another than the key type's, or than the one that the header names.
    #[error("algorithm does not fit the key")]
    AlgorithmMismatch,
    /// A coordinate is not 32 bytes in canonical base64url.
    #[error("coordinate malformed")]
    Coordinate,
    /// The point is not on the curve.
    #[error("point not on the curve")]
    OffCurve,
    /// An Ed25519 point of small order or in a non-canonical encoding.
    #[error("weak point")]
    WeakPoint,
}

/// Why a signature was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 64 bytes in canonical base64url.
    #[error("signature malformed")]
    Malformed,
    /// Does not verify.
    #[error("signature invalid")]
    Invalid,
}

mod ed25519;
#[cfg(test)]
mod tests;

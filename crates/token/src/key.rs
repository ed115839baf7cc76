//! Public keys: checked once, when read, and bound to one algorithm each.

use jsonwebtoken::DecodingKey;

use crate::Algorithm;
use crate::base64url;
use crate::digest::Thumbprint;
use crate::json::{Object, Value};

pub use self::error::{KeyError, SignatureError};

/// Private parts of any key type (RFC 7518 §6.2.2, §6.3.2, §6.4; RFC 8037 §2).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that passed every check of its type.
#[derive(Debug, Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    thumbprint: Thumbprint,
    material: DecodingKey,
    /// Exactly how long its signatures are.
    signature_bytes: usize,
}

impl PublicKey {
    /// Reads a JWK (RFC 7517) that may be used with one of `allowed`.
    ///
    /// The key names its algorithm, or only one of `allowed` fits it: what a token's header says plays no
    /// part in it (RFC 8725 §3.1, J04).
    ///
    /// # Errors
    /// [`KeyError`]: `kty`, `crv` and `alg` must agree, `use` and `key_ops` must allow verifying, no private
    /// or symmetric part may be there (D07), coordinates have exactly the size of the field and are on the
    /// curve (D09), an RSA modulus has 2048 to 8192 bits and its exponent is odd, from 3 to 2^32 (D08).
    /// Ed25519: canonical encodings of points outside the small subgroup; whether the point decompresses is
    /// not known before the first verification, which then fails.
    pub fn from_jwk(jwk: &Object, allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let key_type = text(jwk, "kty")?;
        if key_type == "oct" {
            return Err(KeyError::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains(name)) {
            return Err(KeyError::Private);
        }
        check_purpose(jwk)?;
        let kind = Kind::of(jwk, key_type)?;
        let algorithm = choose(jwk.get("alg"), kind.algorithms(), allowed)?;
        match kind {
            Kind::P256 => Self::p256(text(jwk, "x")?, text(jwk, "y")?),
            Kind::P384 => Self::p384(text(jwk, "x")?, text(jwk, "y")?),
            Kind::Ed25519 => Self::ed25519(text(jwk, "x")?),
            Kind::Rsa => Self::rsa(text(jwk, "n")?, text(jwk, "e")?, algorithm),
        }
    }

    fn p256(x: &str, y: &str) -> Result<Self, KeyError> {
        let sec1 = uncompressed::<32>(x, y)?;
        // Refuses coordinates that are not reduced, points off the curve and (0, 0).
        p256::PublicKey::from_sec1_bytes(&sec1).or(Err(KeyError::OffCurve))?;
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Ok(Self {
            algorithm: Algorithm::Es256,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_ec_der(&sec1),
            signature_bytes: 64,
        })
    }

    fn p384(x: &str, y: &str) -> Result<Self, KeyError> {
        let sec1 = uncompressed::<48>(x, y)?;
        p384::PublicKey::from_sec1_bytes(&sec1).or(Err(KeyError::OffCurve))?;
        let canonical = format!(r#"{{"crv":"P-384","kty":"EC","x":"{x}","y":"{y}"}}"#);
        Ok(Self {
            algorithm: Algorithm::Es384,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_ec_der(&sec1),
            signature_bytes: 96,
        })
    }

    fn ed25519(x: &str) -> Result<Self, KeyError> {
        let point = coordinate::<32>(x)?;
        if ed25519::is_weak(&point) {
            return Err(KeyError::WeakPoint);
        }
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        Ok(Self {
            algorithm: Algorithm::EdDsa,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_ed_der(&point),
            signature_bytes: 64,
        })
    }

    fn rsa(n: &str, e: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        let components = rsa::Components::read(n, e)?;
        let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        Ok(Self {
            algorithm,
            thumbprint: Thumbprint::of_canonical_jwk(&canonical),
            material: DecodingKey::from_rsa_raw_components(&components.modulus, &components.exponent),
            signature_bytes: components.modulus.len(),
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

    /// Whether this is the same key with another algorithm.
    pub(crate) fn contradicts(&self, other: &Self) -> bool {
        self.algorithm != other.algorithm && self.thumbprint == other.thumbprint
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
        let signature = base64url::decode(signature_b64).or(Err(SignatureError::Malformed))?;
        if signature.len() != self.signature_bytes {
            return Err(SignatureError::Malformed);
        }
        let algorithm = match self.algorithm {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
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

/// What a JWK's `kty` and `crv` say it is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Kind {
    fn of(jwk: &Object, key_type: &str) -> Result<Self, KeyError> {
        match key_type {
            "RSA" => Ok(Self::Rsa),
            "EC" | "OKP" => match (key_type, text(jwk, "crv")?) {
                ("EC", "P-256") => Ok(Self::P256),
                ("EC", "P-384") => Ok(Self::P384),
                ("OKP", "Ed25519") => Ok(Self::Ed25519),
                _ => Err(KeyError::CurveUnsupported),
            },
            _ => Err(KeyError::TypeUnsupported),
        }
    }

    const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::P256 => &[Algorithm::Es256],
            Self::P384 => &[Algorithm::Es384],
            Self::Ed25519 => &[Algorithm::EdDsa],
            Self::Rsa => &[Algorithm::Ps256, Algorithm::Rs256],
        }
    }
}

/// The one algorithm of a key: the one it names, or the only one in question.
fn choose(
    named: Option<&Value>,
    fitting: &[Algorithm],
    allowed: &[Algorithm],
) -> Result<Algorithm, KeyError> {
    let mut candidates = fitting.iter().copied().filter(|algorithm| allowed.contains(algorithm));
    if let Some(name) = named {
        let algorithm = name.as_str().and_then(Algorithm::from_jose);
        let algorithm = algorithm.filter(|algorithm| fitting.contains(algorithm));
        let algorithm = algorithm.ok_or(KeyError::AlgorithmMismatch)?;
        return candidates.find(|candidate| *candidate == algorithm).ok_or(KeyError::AlgorithmNotAllowed);
    }
    match (candidates.next(), candidates.next()) {
        (None, _) => Err(KeyError::AlgorithmNotAllowed),
        (Some(algorithm), None) => Ok(algorithm),
        (Some(_), Some(_)) => Err(KeyError::AlgorithmAmbiguous),
    }
}

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

/// A point as 0x04 and both coordinates (SEC 1 §2.3.3).
fn uncompressed<const N: usize>(x: &str, y: &str) -> Result<Vec<u8>, KeyError> {
    Ok([&[4], coordinate::<N>(x)?.as_slice(), coordinate::<N>(y)?.as_slice()].concat())
}

/// G20: with the leading zero stripped it would be another thumbprint of the same key.
fn coordinate<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    base64url::decode_array(text).or(Err(KeyError::Coordinate))
}

mod ed25519;
mod error;
mod rsa;
#[cfg(test)]
mod tests;

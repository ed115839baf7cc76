//! SHA-256 values with a meaning: of a key, of a certificate, of a token. Compared in constant time.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::base64url::{self, Base64UrlError};

/// A text that is not the canonical base64url form of 32 bytes (43 characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sha-256 value in canonical base64url")]
pub struct DigestError;

#[derive(Clone, Copy)]
struct Digest([u8; 32]);

impl Digest {
    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    fn from_base64url(text: &str) -> Result<Self, DigestError> {
        match base64url::decode_array(text) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(Base64UrlError::NotCanonical | Base64UrlError::Length) => Err(DigestError),
        }
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The JWK thumbprint of a public key (RFC 7638, SHA-256); what `cnf.jkt` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint(Digest);

impl Thumbprint {
    /// Of the canonical JSON form of a key: its required members, sorted, without whitespace.
    pub(crate) fn of_canonical_jwk(json: &str) -> Self {
        Self(Digest::of(json.as_bytes()))
    }

    /// Reads a `jkt`.
    ///
    /// # Errors
    /// Anything but 43 characters of canonical base64url (T05).
    pub fn from_base64url(text: &str) -> Result<Self, DigestError> {
        Digest::from_base64url(text).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of a certificate's DER form; what `cnf.x5t#S256` holds (RFC 8705 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateThumbprint(Digest);

impl CertificateThumbprint {
    pub(crate) fn of_der(der: &[u8]) -> Self {
        Self(Digest::of(der))
    }

    /// Reads an `x5t#S256`.
    ///
    /// # Errors
    /// Anything but 43 characters of canonical base64url.
    pub fn from_base64url(text: &str) -> Result<Self, DigestError> {
        Digest::from_base64url(text).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for CertificateThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The SHA-256 of an access token exactly as it was sent: what a proof's `ath` must hold (RFC 9449 §4.2),
/// and the key under which a verified token may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenDigest(Digest);

impl TokenDigest {
    /// Of the token as sent, without the scheme.
    #[must_use]
    pub fn of(raw: &str) -> Self {
        Self(Digest::of(raw.as_bytes()))
    }

    /// Reads an `ath`.
    pub(crate) fn from_base64url(text: &str) -> Result<Self, DigestError> {
        Digest::from_base64url(text).map(Self)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0.0
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

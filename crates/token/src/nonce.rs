//! DPoP nonces of a resource server (RFC 9449 §9) that need no memory: each says when, under which state
//! of the store and for whom it was made, and that it was made here.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

use crate::base64url;
use crate::digest::Thumbprint;
use crate::htu::Origin;

const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"exequatur dpop nonce\0";
const MIN_SECRET_BYTES: usize = 32;
const NONCE_BYTES: usize = 57;
/// How far another replica's clock may be ahead.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(10);

/// The secret that nonces are made with; shared by all replicas.
pub struct NonceSecret {
    /// As long as a block of HMAC-SHA256, so that it is used as it is.
    key: Zeroizing<[u8; 64]>,
}

impl NonceSecret {
    /// Takes at least 32 bytes of secret material.
    ///
    /// # Errors
    /// [`NonceSecretError`], if it is shorter.
    pub fn new(material: &[u8]) -> Result<Self, NonceSecretError> {
        if material.len() < MIN_SECRET_BYTES {
            return Err(NonceSecretError);
        }
        Ok(Self { key: Zeroizing::new(Sha512::digest(material).into()) })
    }

    fn mac(&self, scope: &NonceScope<'_>, time: [u8; 8], epoch: Epoch) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(DOMAIN);
        mac.update(&[VERSION]);
        // All fields but the origin have a fixed length, so that no two inputs read the same.
        mac.update(scope.key.as_bytes());
        mac.update(&time);
        mac.update(&epoch.0);
        mac.update(scope.origin.as_str().as_bytes());
        mac
    }
}

impl fmt::Debug for NonceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSecret(redacted)")
    }
}

/// Too little secret material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a nonce secret has at least 32 bytes")]
pub struct NonceSecretError;

/// Names one unbroken memory of the replay store; a store that lost its memory gets another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(pub [u8; 16]);

/// For whom a nonce is good: one resource server and one key (D13).
#[derive(Debug, Clone, Copy)]
pub struct NonceScope<'a> {
    /// The resource server's origin.
    pub origin: &'a Origin,
    /// The key that the proof was signed with.
    pub key: Thumbprint,
}

/// Makes and recognises nonces.
#[derive(Debug)]
pub struct Nonces {
    issuing: NonceSecret,
    accepted: Vec<NonceSecret>,
}

impl Nonces {
    /// New nonces are made with `issuing`; those made with one of `also_accepted` are recognised too, so
    /// that a secret can be replaced while its nonces are in use (D26).
    #[must_use]
    pub const fn new(issuing: NonceSecret, also_accepted: Vec<NonceSecret>) -> Self {
        Self { issuing, accepted: also_accepted }
    }

    /// Makes a nonce: 76 characters of base64url, as a header field allows (RFC 9449 §8.1).
    #[must_use]
    pub fn issue(&self, scope: &NonceScope<'_>, epoch: Epoch, now: Timestamp) -> String {
        let time = now.as_millisecond().to_be_bytes();
        let mac = self.issuing.mac(scope, time, epoch).finalize().into_bytes();
        let mut bytes = Vec::with_capacity(NONCE_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&time);
        bytes.extend_from_slice(&epoch.0);
        bytes.extend_from_slice(&mac);
        base64url::encode(&bytes)
    }

    /// Recognises a nonce that was made here for `scope`. Its age and epoch are the caller's to judge.
    ///
    /// # Errors
    /// [`NonceError`]
    pub fn verify(
        &self,
        nonce: &str,
        scope: &NonceScope<'_>,
        now: Timestamp,
    ) -> Result<VerifiedNonce, NonceError> {
        let (time, epoch, mac) = fields(nonce).ok_or(NonceError::Malformed)?;
        let forged = |secret: &NonceSecret| secret.mac(scope, time, epoch).verify_slice(&mac).is_err();
        if std::iter::once(&self.issuing).chain(&self.accepted).all(forged) {
            return Err(NonceError::Forged);
        }
        let issued_at =
            Timestamp::from_millisecond(i64::from_be_bytes(time)).or(Err(NonceError::Malformed))?;
        if issued_at.duration_since(now) > CLOCK_TOLERANCE {
            return Err(NonceError::FromTheFuture);
        }
        Ok(VerifiedNonce { epoch, issued_at })
    }
}

/// Time, epoch and MAC of a nonce of this version.
fn fields(nonce: &str) -> Option<([u8; 8], Epoch, [u8; 32])> {
    let bytes: [u8; NONCE_BYTES] = base64url::decode_array(nonce).ok()?;
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (epoch, rest) = rest.split_first_chunk::<16>()?;
    Some((*time, Epoch(*epoch), rest.try_into().ok()?))
}

/// A nonce that was made here for this origin and key. Only [`Nonces::verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedNonce {
    epoch: Epoch,
    issued_at: Timestamp,
}

impl VerifiedNonce {
    /// The store's memory it was made under.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// When it was made, to the millisecond.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// How long ago that was; negative by at most 10 s if another replica's clock is ahead.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.issued_at)
    }
}

/// Why a nonce was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Not of the form of ours: perhaps another server's.
    #[error("nonce malformed")]
    Malformed,
    /// Not made here, or for another origin or key.
    #[error("nonce not recognised")]
    Forged,
    /// Made by a clock that is too far ahead.
    #[error("nonce from the future")]
    FromTheFuture,
}

#[cfg(test)]
mod tests;

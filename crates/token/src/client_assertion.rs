//! What a client shows to an authorization server in place of a secret: a short-lived JWT that it signs (RFC 7523 §2.2, §3).

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::EncodingKey;
use p256::pkcs8::PrivateKeyInfoRef;
use zeroize::Zeroizing;

use crate::{Algorithm, base64url, json};

/// How long one is good for: as far as clocks differ, and a request takes.
const LIFETIME: SignedDuration = SignedDuration::from_secs(60);
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// A client's own private key, for one algorithm.
#[derive(Clone)]
pub struct AssertionKey {
    key: EncodingKey,
    algorithm: Algorithm,
    key_id: Option<String>,
}

/// What one assertion says.
#[derive(Debug, Clone, Copy)]
pub struct ClientAssertion<'a> {
    /// Who signs it, and for whom: `iss` and `sub`.
    pub client_id: &'a str,
    /// The authorization server, as it knows itself.
    pub audience: &'a str,
    /// Not used before.
    pub id: &'a str,
}

impl AssertionKey {
    /// Reads an unencrypted private key (PKCS #8 in PEM, RFC 7468 §10) for `algorithm`. `key_id` is the `kid` that the server
    /// knows it by.
    ///
    /// # Errors
    /// [`AssertionKeyError`], also for a key that `algorithm` cannot be used with.
    pub fn from_pem(
        pem: &str,
        algorithm: Algorithm,
        key_id: Option<String>,
    ) -> Result<Self, AssertionKeyError> {
        let der = pkcs8(pem)?;
        let info = PrivateKeyInfoRef::try_from(der.as_slice()).or(Err(AssertionKeyError::NotPkcs8))?;
        let key = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => EncodingKey::from_ec_der(&der),
            Algorithm::EdDsa => EncodingKey::from_ed_der(&der),
            // The signer takes the key alone, without what PKCS #8 wraps it in.
            Algorithm::Ps256 | Algorithm::Rs256 => EncodingKey::from_rsa_der(info.private_key.as_bytes()),
        };
        let key = Self { key, algorithm, key_id };
        // What the key is shows only when it signs; RSA below 2048 bits does not.
        key.signature("probe")?;
        Ok(key)
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `kid` of what it signs.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// A compact JWS that is good for a minute from `now`.
    ///
    /// # Errors
    /// [`AssertionKeyError::Unfit`], if signing fails.
    pub fn assertion(
        &self,
        claims: ClientAssertion<'_>,
        now: Timestamp,
    ) -> Result<String, AssertionKeyError> {
        let quote = json::quote;
        let kid = self.key_id.as_ref().map(|id| format!(r#","kid":{}"#, quote(id))).unwrap_or_default();
        let header = format!(r#"{{"alg":"{}","typ":"JWT"{kid}}}"#, self.algorithm.jose_name());
        let issued_at = now.as_second();
        let expires_at = issued_at.saturating_add(LIFETIME.as_secs());
        let client = quote(claims.client_id);
        let payload = format!(
            r#"{{"iss":{client},"sub":{client},"aud":{},"jti":{},"iat":{issued_at},"exp":{expires_at}}}"#,
            quote(claims.audience),
            quote(claims.id),
        );
        let input = [header, payload].map(|part| base64url::encode(part.as_bytes())).join(".");
        let signature = self.signature(&input)?;
        Ok(format!("{input}.{signature}"))
    }

    fn signature(&self, input: &str) -> Result<String, AssertionKeyError> {
        let algorithm = match self.algorithm {
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        };
        jsonwebtoken::crypto::sign(input.as_bytes(), &self.key, algorithm).or(Err(AssertionKeyError::Unfit))
    }
}

/// The algorithm alone: the rest is secret.
impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Why a key cannot be used for assertions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionKeyError {
    /// Not exactly one PEM block `PRIVATE KEY`.
    #[error("not one PEM block `PRIVATE KEY` (PKCS #8, not encrypted)")]
    NotPem,
    /// What is in the PEM block is no PKCS #8.
    #[error("not a PKCS #8 private key")]
    NotPkcs8,
    /// Of another type or curve than the algorithm needs, or too short.
    #[error("the key does not fit the algorithm")]
    Unfit,
}

fn pkcs8(pem: &str) -> Result<Zeroizing<Vec<u8>>, AssertionKeyError> {
    let (_before, rest) = pem.split_once(BEGIN).ok_or(AssertionKeyError::NotPem)?;
    let (body, after) = rest.split_once(END).ok_or(AssertionKeyError::NotPem)?;
    if after.contains("-----BEGIN") {
        return Err(AssertionKeyError::NotPem);
    }
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    STANDARD.decode(body.as_bytes()).map(Zeroizing::new).or(Err(AssertionKeyError::NotPem))
}

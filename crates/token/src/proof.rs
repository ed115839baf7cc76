//! DPoP proofs (RFC 9449 §4.3). Whether a proof was used before is the store's question, not this one.

mod error;
mod limits;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::Algorithm;
use crate::digest::{Thumbprint, TokenDigest};
use crate::htu::TargetUri;
use crate::json::{Object, Value};
use crate::jws::{CompactJws, JwsLimits};
use crate::key::{PublicKey, SignatureVerified};
use crate::numeric_date::{NumericDateError, numeric_date};

pub use self::error::{MalformedProof, ProofError};
pub use self::limits::ProofLimits;

const LIMITS: JwsLimits = JwsLimits { bytes: 4 * 1024, header_bytes: 2 * 1024, depth: 8, members: 64 };

/// Longest `jti` in bytes (D19).
const MAX_JTI_BYTES: usize = 128;
/// Longest `nonce` in bytes; ours have 76.
const MAX_NONCE_BYTES: usize = 256;
/// Separates the digests that name proofs from any other use of SHA-256.
const JTI_DOMAIN: &[u8] = b"exequatur dpop jti v1\0";

/// What a proof must be a proof of.
#[derive(Debug, Clone, Copy)]
pub struct ProofExpectation<'a> {
    /// The request's method, as sent.
    pub method: &'a str,
    /// The request's target.
    pub target: &'a TargetUri,
    /// The access token that came with it.
    pub token: &'a TokenDigest,
    /// How old or new it may be.
    pub limits: &'a ProofLimits,
}

/// The check of a proof.
#[derive(Debug)]
pub struct Proof;

impl Proof {
    /// Verifies the one value of the `DPoP` header: that the holder of the key in it signed it for this
    /// method, target and token at about `now`.
    ///
    /// The nonce is not judged here: whether one is needed depends on the store.
    ///
    /// # Errors
    /// [`ProofError`]; syntax before claims before the signature.
    pub fn verify(
        raw: &str,
        expect: &ProofExpectation<'_>,
        now: Timestamp,
    ) -> Result<VerifiedProof, ProofError> {
        let jws = CompactJws::parse(raw, &LIMITS).map_err(MalformedProof::Jws)?;
        let key = check_header(jws.header(), expect.limits)?;
        let payload = jws.payload();

        let jti = text(payload, "jti", MAX_JTI_BYTES)?;
        let nonce = optional_text(payload, "nonce", MAX_NONCE_BYTES)?;
        if text(payload, "htm", LIMITS.bytes)? != expect.method {
            return Err(ProofError::HtmMismatch);
        }
        // An htu that cannot be read names no target that could match.
        if TargetUri::parse_claim(text(payload, "htu", LIMITS.bytes)?).ok().as_ref() != Some(expect.target) {
            return Err(ProofError::HtuMismatch);
        }
        let issued_at = check_dates(payload, expect.limits, now)?;
        let ath = text(payload, "ath", LIMITS.bytes)?;
        if TokenDigest::from_base64url(ath).ok().as_ref() != Some(expect.token) {
            return Err(ProofError::AthMismatch);
        }
        let signature = key
            .verify(jws.signing_input().as_bytes(), jws.signature())
            .or(Err(ProofError::SignatureInvalid))?;
        Ok(VerifiedProof {
            key: key.thumbprint(),
            jti_digest: jti_digest(key.thumbprint(), jti),
            issued_at,
            nonce: nonce.map(ToOwned::to_owned),
            _signature: signature,
        })
    }
}

/// D04 to D09. A `kid`, `x5c` or `jku` beside the key is never used.
fn check_header(header: &Object, limits: &ProofLimits) -> Result<PublicKey, ProofError> {
    let token_type = text(header, "typ", LIMITS.header_bytes)?;
    // RFC 8725 §3.11: a media type may be written with or without `application/`.
    let known = ["dpop+jwt", "application/dpop+jwt"];
    if !known.iter().any(|name| token_type.eq_ignore_ascii_case(name)) {
        return Err(MalformedProof::TypeInvalid.into());
    }
    let algorithm = Algorithm::from_jose(text(header, "alg", LIMITS.header_bytes)?)
        .filter(|algorithm| limits.algorithms.contains(algorithm))
        .ok_or(ProofError::AlgNotAllowed)?;
    let jwk = header.get("jwk").ok_or(MalformedProof::MemberMissing("jwk"))?;
    let jwk = jwk.as_object().ok_or(MalformedProof::MemberInvalid("jwk"))?;
    PublicKey::from_jwk(jwk, &[algorithm]).map_err(ProofError::KeyInvalid)
}

/// D14, D15: `iat` in the window, `exp` and `nbf` honoured if there.
fn check_dates(payload: &Object, limits: &ProofLimits, now: Timestamp) -> Result<Timestamp, ProofError> {
    let issued_at = date(payload, "iat")?.ok_or(MalformedProof::MemberMissing("iat"))?;
    let expires_at = date(payload, "exp")?;
    let not_before = date(payload, "nbf")?;
    let too_old = now.duration_since(issued_at) > limits.span();
    let too_new = issued_at.duration_since(now) > limits.effective_future();
    let expired = expires_at.is_some_and(|exp| now.duration_since(exp) >= limits.effective_skew());
    let early = not_before.is_some_and(|nbf| nbf.duration_since(now) > limits.effective_future());
    if too_old || too_new || expired || early { Err(ProofError::IatOutOfWindow) } else { Ok(issued_at) }
}

fn date(payload: &Object, name: &'static str) -> Result<Option<Timestamp>, ProofError> {
    let Some(value) = payload.get(name) else { return Ok(None) };
    match numeric_date(value) {
        Ok(date) => Ok(Some(date)),
        Err(NumericDateError::NotANumber) => Err(MalformedProof::MemberInvalid(name).into()),
        Err(NumericDateError::OutOfRange) => Err(ProofError::IatOutOfWindow),
    }
}

fn text<'a>(object: &'a Object, name: &'static str, max_bytes: usize) -> Result<&'a str, ProofError> {
    Ok(optional_text(object, name, max_bytes)?.ok_or(MalformedProof::MemberMissing(name))?)
}

fn optional_text<'a>(
    object: &'a Object,
    name: &'static str,
    max_bytes: usize,
) -> Result<Option<&'a str>, ProofError> {
    match object.get(name).map(Value::as_str) {
        None => Ok(None),
        Some(Some(text)) if (1..=max_bytes).contains(&text.len()) => Ok(Some(text)),
        Some(_) => Err(MalformedProof::MemberInvalid(name).into()),
    }
}

/// Scoped by the key: two clients may choose the same `jti` (G09).
fn jti_digest(key: Thumbprint, jti: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(JTI_DOMAIN);
    hash.update(key.as_bytes());
    hash.update(jti.as_bytes());
    hash.finalize().into()
}

/// A proof that its key signed for this request. Only [`Proof::verify`] makes one.
///
/// It proves possession of *a* key; that it is the token's key is for [`crate::bind`] to say.
#[derive(Debug)]
pub struct VerifiedProof {
    key: Thumbprint,
    jti_digest: [u8; 32],
    issued_at: Timestamp,
    nonce: Option<String>,
    _signature: SignatureVerified,
}

impl VerifiedProof {
    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> Thumbprint {
        self.key
    }

    /// SHA-256 over the key and the `jti`: what may be used once.
    #[must_use]
    pub const fn jti_digest(&self) -> [u8; 32] {
        self.jti_digest
    }

    /// `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.issued_at
    }

    /// The last instant, inclusive, at which this proof could pass under `limits`: until then its use must
    /// be remembered (G08).
    #[must_use]
    pub fn passable_until(&self, limits: &ProofLimits) -> Timestamp {
        self.issued_at.checked_add(limits.span()).unwrap_or(Timestamp::MAX)
    }

    /// The nonce in it, which nobody has judged yet.
    #[must_use]
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }
}

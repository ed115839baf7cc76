//! An authorization server's answer about a token (RFC 7662 §2.2), plain or signed (RFC 9701): from text to evidence.
//!
//! An [`Answer`] is the server's own; whether it makes a token valid is decided by the same rules as for one that its issuer
//! signed ([`ActiveAnswer::token`]).

mod error;
#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};

use crate::access::{Facts, MAX_ISSUED_AHEAD, Source, TokenError, VerifiedToken};
use crate::claims::{self, Claim};
use crate::confirmation::Confirmation;
use crate::digest::TokenDigest;
use crate::issuer::IssuerProfile;
use crate::json::{self, Object, Value};
use crate::jws::{CompactJws, JwsError, JwsLimits, SignerError};
use crate::key::SignatureVerified;
use crate::key_set::{KeySet, KeySetId};
use crate::numeric_date::numeric_date;

pub use self::error::AnswerError;

/// Longest answer, in bytes.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// How old a signed answer may be when it comes: as far as clocks differ.
pub const MAX_ANSWER_AGE: SignedDuration = SignedDuration::from_secs(60);

/// A certificate chain may stand in the header, which is not looked at.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// As of a token's claims (J12), and one more for where they stand in.
const MAX_DEPTH: usize = 17;
const MAX_MEMBERS: usize = 128;

/// What the server says of a token.
#[derive(Debug)]
pub enum Answer {
    /// It is active; see what else it says.
    Active(ActiveAnswer),
    /// It is not, or the server did not say `true`.
    Inactive,
}

/// The server's word that a token is active, with all that it says of it.
#[derive(Debug)]
pub struct ActiveAnswer {
    claims: Object,
    voucher: Voucher,
}

/// Why an answer is the server's.
#[derive(Debug)]
pub(crate) enum Voucher {
    /// It is signed.
    Signed { key_set: KeySetId, _verified: SignatureVerified },
    /// It came from the server: whoever read it says so.
    Connection,
}

impl Voucher {
    pub(crate) const fn key_set(&self) -> Option<KeySetId> {
        match self {
            Self::Signed { key_set, .. } => Some(*key_set),
            Self::Connection => None,
        }
    }
}

/// Evidence that the server says of a signed token that it is active. Only [`ActiveAnswer::confirms`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StillActive(());

impl Answer {
    /// Reads a plain answer (RFC 7662 §2.2). That it came from the server, over a connection that nobody else can write to, is
    /// for the caller to know.
    ///
    /// # Errors
    /// [`AnswerError`]: not strict JSON of at most [`MAX_ANSWER_BYTES`], or without `active`.
    pub fn plain(raw: &[u8]) -> Result<Self, AnswerError> {
        let limits = json::Limits { bytes: MAX_ANSWER_BYTES, depth: MAX_DEPTH, members: MAX_MEMBERS };
        match json::parse(raw, limits)? {
            Value::Object(claims) => Self::read(claims, Voucher::Connection),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err(AnswerError::NotAnObject)
            }
        }
    }

    /// Verifies a signed answer (RFC 9701 §5): of the issuer of `profile`, signed with one of `keys`, for us as `audience`,
    /// and made now.
    ///
    /// # Errors
    /// [`AnswerError`]; the signature is judged after all that is cheaper.
    pub fn signed(
        raw: &[u8],
        audience: &str,
        profile: &IssuerProfile,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<Self, AnswerError> {
        const NOT_ASCII: AnswerError = AnswerError::Malformed(JwsError::Base64);
        let limits = JwsLimits {
            bytes: MAX_ANSWER_BYTES,
            header_bytes: MAX_HEADER_BYTES,
            depth: MAX_DEPTH,
            members: MAX_MEMBERS,
        };
        // An answer may end in a line break that no token has.
        let raw = str::from_utf8(raw.trim_ascii_end()).or(Err(NOT_ASCII))?;
        let jws = CompactJws::parse(raw, &limits).map_err(AnswerError::Malformed)?;
        check_type(jws.header())?;
        let payload = jws.payload();
        let issuer = payload.get("iss").ok_or(AnswerError::ClaimMissing(Claim::Iss))?;
        if issuer.as_str() != Some(profile.issuer.as_str()) {
            return Err(AnswerError::IssuerMismatch);
        }
        if !payload.contains("aud") {
            return Err(AnswerError::ClaimMissing(Claim::Aud));
        }
        let audiences = claims::audiences(payload).or(Err(AnswerError::ClaimInvalid(Claim::Aud)))?;
        if !audiences.iter().any(|named| named == audience) {
            return Err(AnswerError::AudienceMismatch);
        }
        check_dates(payload, profile, now)?;
        let inner = payload.get(Claim::TokenIntrospection.as_str());
        let inner = inner.ok_or(AnswerError::ClaimMissing(Claim::TokenIntrospection))?;
        let inner = inner.as_object().ok_or(AnswerError::ClaimInvalid(Claim::TokenIntrospection))?.clone();
        let verified = jws.verify(keys, &profile.algorithms).map_err(|error| match error {
            SignerError::AlgNotAllowed => AnswerError::AlgNotAllowed,
            SignerError::KeyId => AnswerError::Malformed(JwsError::KeyId),
            SignerError::KeyUnknown => AnswerError::KeyUnknown,
            SignerError::SignatureInvalid => AnswerError::SignatureInvalid,
        })?;
        Self::read(inner, Voucher::Signed { key_set: keys.id(), _verified: verified })
    }

    /// S03: only JSON's `true` is a yes.
    fn read(claims: Object, voucher: Voucher) -> Result<Self, AnswerError> {
        match claims.get(Claim::Active.as_str()) {
            None => Err(AnswerError::ClaimMissing(Claim::Active)),
            Some(Value::Bool(true)) => Ok(Self::Active(ActiveAnswer { claims, voucher })),
            Some(_) => Ok(Self::Inactive),
        }
    }
}

impl ActiveAnswer {
    /// The key set that its signature was verified with; `None` if it was not signed.
    #[must_use]
    pub const fn key_set(&self) -> Option<KeySetId> {
        self.voucher.key_set()
    }

    /// The token that was asked about, with what the answer says as its claims: they are read and judged as those of a token
    /// that its issuer signed (RFC 7662 §4), but for what [`Source::Introspection`] has.
    ///
    /// `iss` may be absent where the answer is signed, whose own `iss` says it then. `token_type` must be there: several
    /// servers leave it out where they are asked about a refresh token.
    ///
    /// # Errors
    /// [`TokenError`]: `TypeInvalid` if it is not said to be an access token; those of claims and dates. The audience is
    /// judged by [`VerifiedToken::current`].
    pub fn token(
        self,
        token: &TokenDigest,
        profile: &IssuerProfile,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        match (self.claims.get("iss").map(Value::as_str), &self.voucher) {
            (Some(Some(issuer)), _) if issuer == profile.issuer => {}
            (Some(Some(_another)), _) => return Err(TokenError::IssuerUnknown),
            (Some(None), _) => return Err(TokenError::ClaimInvalid(Claim::Iss)),
            (None, Voucher::Signed { .. }) => {}
            (None, Voucher::Connection) => return Err(TokenError::ClaimMissing(Claim::Iss)),
        }
        let constrained = is_dpop(&self.claims)?;
        let id = token.to_string();
        let facts = Facts::from_payload(&self.claims, profile, Source::Introspection { id: &id })?;
        if constrained && !facts.has_proof_key() {
            return Err(TokenError::BindingUnsupported);
        }
        facts.check_dates(profile, now)?;
        Ok(VerifiedToken::introspected(facts, self.voucher))
    }

    /// That it is about `token`, which its issuer signed: whatever of `iss`, `sub`, `cnf`, `aud` and of what
    /// stands for `client_id` and `jti` it says is as the token says.
    ///
    /// # Errors
    /// [`AnswerError::AnotherToken`]
    pub fn confirms(
        &self,
        token: &VerifiedToken,
        profile: &IssuerProfile,
    ) -> Result<StillActive, AnswerError> {
        let names = &profile.claims;
        let same = [
            ("iss", profile.issuer.as_str()),
            ("sub", token.subject()),
            (names.client.as_str(), token.client_id()),
            (names.id.as_str(), token.jti()),
        ];
        let differs = |(name, value): (&str, &str)| {
            self.claims.get(name).is_some_and(|said| said.as_str() != Some(value))
        };
        let cnf_differs = self.claims.contains("cnf")
            && Confirmation::from_payload(&self.claims).as_ref() != Ok(token.confirmation());
        let aud_differs = self.claims.contains("aud")
            && !claims::audiences(&self.claims)
                .is_ok_and(|said| said.iter().any(|audience| token.audiences().contains(audience)));
        if same.into_iter().any(differs) || cnf_differs || aud_differs {
            return Err(AnswerError::AnotherToken);
        }
        Ok(StillActive(()))
    }
}

/// RFC 9701 §8.1: nothing else that the server signs is taken for an answer.
fn check_type(header: &Object) -> Result<(), AnswerError> {
    let name = header.get("typ").and_then(Value::as_str).ok_or(AnswerError::TypeInvalid)?;
    let known = ["token-introspection+jwt", "application/token-introspection+jwt"];
    if known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        Ok(())
    } else {
        Err(AnswerError::TypeInvalid)
    }
}

/// An old answer may be about a time when the token was still good.
fn check_dates(payload: &Object, profile: &IssuerProfile, now: Timestamp) -> Result<(), AnswerError> {
    let date = |claim: Claim| {
        payload.get(claim.as_str()).map(numeric_date).transpose().or(Err(AnswerError::ClaimInvalid(claim)))
    };
    let issued_at = date(Claim::Iat)?.ok_or(AnswerError::ClaimMissing(Claim::Iat))?;
    if issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
        return Err(AnswerError::NotYetValid);
    }
    let leeway = profile.effective_leeway();
    let expired = date(Claim::Exp)?.is_some_and(|expires_at| now.duration_since(expires_at) >= leeway);
    if expired || now.duration_since(issued_at) > MAX_ANSWER_AGE {
        return Err(AnswerError::Stale);
    }
    Ok(())
}

/// Whether it is said to need a proof; else to be a bearer token. Names are compared as RFC 6749 §5.1 has it. `token_use` is
/// what some servers tell refresh tokens by.
fn is_dpop(claims: &Object) -> Result<bool, TokenError> {
    if claims.get("token_use").is_some_and(|stated| stated.as_str() != Some("access_token")) {
        return Err(TokenError::TypeInvalid);
    }
    let name = claims.get(Claim::TokenType.as_str());
    let name = name.ok_or(TokenError::ClaimMissing(Claim::TokenType))?;
    match name.as_str() {
        Some(name) if name.eq_ignore_ascii_case("Bearer") => Ok(false),
        Some(name) if name.eq_ignore_ascii_case("DPoP") => Ok(true),
        Some(_) | None => Err(TokenError::TypeInvalid),
    }
}

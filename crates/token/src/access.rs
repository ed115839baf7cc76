//! Access tokens (RFC 9068): from text to evidence, in three steps. [`UnverifiedToken`] is well-formed,
//! [`VerifiedToken`] is authentic, [`CurrentToken`] may be used now and for this audience.

mod error;
mod facts;
mod size;
#[cfg(test)]
mod tests;
mod verified;

use jiff::Timestamp;

pub(crate) use self::facts::{Facts, Source};
use crate::Algorithm;
use crate::claims::{self, Claim};
use crate::issuer::IssuerProfile;
use crate::json::{Object, Value};
use crate::jws::{CompactJws, JwsError, JwsLimits};
use crate::key_set::{KeySet, KeySetRefusal};

pub use self::error::TokenError;
pub use self::facts::MAX_ISSUED_AHEAD;
pub use self::size::TokenSize;
pub use self::verified::{CurrentToken, TokenSource, VerifiedToken};

/// What a token may cost at most (J12).
pub(crate) const fn limits(size: TokenSize) -> JwsLimits {
    JwsLimits { bytes: size.bytes(), header_bytes: 1024, depth: 16, members: 128 }
}

/// A well-formed token whose issuer can be looked up. Nothing in it is to be believed.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    jws: CompactJws<'a>,
    issuer: String,
    token_type: TokenType,
    algorithm: Algorithm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenType {
    AccessToken,
    /// `JWT`: says nothing about what kind of token it is.
    Legacy,
}

impl<'a> UnverifiedToken<'a> {
    /// Reads a token of the usual size as it was sent, without the scheme.
    ///
    /// # Errors
    /// Those of [`Self::parse_within`].
    pub fn parse(raw: &'a str) -> Result<Self, TokenError> {
        Self::parse_within(raw, TokenSize::default())
    }

    /// Reads a token as it was sent, without the scheme.
    ///
    /// # Errors
    /// Everything that can be said without knowing the issuer: [`TokenError::TooLarge`], `Malformed`,
    /// `CritUnsupported`, `TypeInvalid`, `AlgNotAllowed`, and `ClaimMissing` or `ClaimInvalid` for `iss`.
    pub fn parse_within(raw: &'a str, size: TokenSize) -> Result<Self, TokenError> {
        let jws = CompactJws::parse(raw, &limits(size)).map_err(|error| match error {
            JwsError::TooLarge | JwsError::HeaderTooLarge => TokenError::TooLarge,
            JwsError::CritUnsupported => TokenError::CritUnsupported,
            JwsError::Parts
            | JwsError::Encrypted
            | JwsError::EmptyPart
            | JwsError::Base64
            | JwsError::Header(_)
            | JwsError::Payload(_)
            | JwsError::NotAnObject
            | JwsError::KeyId => TokenError::Malformed(error),
        })?;
        let token_type = token_type(jws.header())?;
        let algorithm = jws.envelope().algorithm().ok_or(TokenError::AlgNotAllowed)?;
        let issuer = match jws.payload().get("iss").map(Value::as_str) {
            None => return Err(TokenError::ClaimMissing(Claim::Iss)),
            Some(Some(issuer)) if !issuer.is_empty() => issuer.to_owned(),
            Some(_) => return Err(TokenError::ClaimInvalid(Claim::Iss)),
        };
        Ok(Self { jws, issuer, token_type, algorithm })
    }

    /// The claimed `iss`: the key to a configured issuer, nothing more.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of the key that the header names, if it names one. A word to look a key up by, nothing more.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.jws.header().get("kid").and_then(Value::as_str)
    }

    /// The algorithm that the header names.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Verifies that the issuer of `profile` made this token with one of `keys`, and reads its claims.
    ///
    /// Keys named or carried by the header (`jku`, `x5u`, `jwk`, `x5c`) are never used (J09). The audience
    /// is judged by [`VerifiedToken::current`], since it depends on the route.
    ///
    /// # Errors
    /// [`TokenError`]; claims are judged before the signature, which costs the most.
    pub fn verify(
        self,
        profile: &IssuerProfile,
        keys: &KeySet,
        now: Timestamp,
    ) -> Result<VerifiedToken, TokenError> {
        if self.issuer != profile.issuer {
            return Err(TokenError::IssuerUnknown);
        }
        if self.token_type == TokenType::Legacy && !profile.accept_typ_jwt {
            return Err(TokenError::TypeInvalid);
        }
        if !profile.algorithms.contains(&self.algorithm) {
            return Err(TokenError::AlgNotAllowed);
        }
        let facts = Facts::from_payload(self.jws.payload(), profile, Source::Jwt)?;
        facts.check_dates(profile, now)?;
        let signature =
            keys.verify(self.jws.envelope(), self.algorithm).map_err(|refusal| match refusal {
                KeySetRefusal::KeyId => TokenError::Malformed(JwsError::KeyId),
                KeySetRefusal::KeyUnknown => TokenError::KeyUnknown,
                KeySetRefusal::SignatureInvalid => TokenError::SignatureInvalid,
            })?;
        Ok(VerifiedToken::signed(facts, keys.id(), signature))
    }
}

/// What an operator's token says of his roles, beside who he is.
#[derive(Debug)]
pub struct WithWords {
    /// The token.
    pub token: VerifiedToken,
    /// The strings of the claim, as they stand in it.
    pub words: Vec<String>,
}

impl UnverifiedToken<'_> {
    /// As [`Self::verify`], with the strings of one more claim: `path` is its name, or the names of members down to it.
    ///
    /// # Errors
    /// [`TokenError`]; the claim may be missing or invalid, as [`Claim::Roles`].
    pub fn verify_with_words(
        self,
        profile: &IssuerProfile,
        keys: &KeySet,
        now: Timestamp,
        path: &[String],
    ) -> Result<WithWords, TokenError> {
        let words = claims::words(self.jws.payload(), path);
        let token = self.verify(profile, keys, now)?;
        Ok(WithWords { token, words: words? })
    }
}

/// RFC 9068 §4, RFC 8725 §3.11: explicit typing keeps other kinds of JWT out.
fn token_type(header: &Object) -> Result<TokenType, TokenError> {
    let name = header.get("typ").and_then(Value::as_str).ok_or(TokenError::TypeInvalid)?;
    if name.eq_ignore_ascii_case("at+jwt") || name.eq_ignore_ascii_case("application/at+jwt") {
        Ok(TokenType::AccessToken)
    } else if name.eq_ignore_ascii_case("JWT") {
        Ok(TokenType::Legacy)
    } else {
        Err(TokenError::TypeInvalid)
    }
}

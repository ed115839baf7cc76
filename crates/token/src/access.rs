//! Access tokens (RFC 9068): from text to evidence, in three steps. [`UnverifiedToken`] is well-formed,
//! [`VerifiedToken`] is authentic, [`CurrentToken`] may be used now and for this audience.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::Algorithm;
use crate::claims::{self, Claim};
use crate::confirmation::Confirmation;
use crate::delegation::{Delegation, DelegationError};
use crate::issuer::{IssuerName, IssuerProfile, ScopedId};
use crate::json::{Object, Value};
use crate::jws::{CompactJws, JwsError, JwsLimits};
use crate::key::SignatureVerified;
use crate::key_set::{KeySet, KeySetId, key_id};
use crate::scopes::Scopes;

/// Longest token in bytes (J12).
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far ahead `iat` may be (J05): clocks differ, but a token from the far future says nothing.
pub const MAX_ISSUED_AHEAD: SignedDuration = SignedDuration::from_secs(60);

const LIMITS: JwsLimits = JwsLimits { bytes: MAX_TOKEN_BYTES, header_bytes: 1024, depth: 16, members: 128 };

/// A well-formed token whose issuer can be looked up. Nothing in it is to be believed.
#[derive(Debug)]
pub struct UnverifiedToken<'a> {
    jws: CompactJws<'a>,
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
    /// Reads a token as it was sent, without the scheme.
    ///
    /// # Errors
    /// Everything that can be said without knowing the issuer: [`TokenError::TooLarge`], `Malformed`,
    /// `CritUnsupported`, `TypeInvalid`, `AlgNotAllowed`, and `ClaimMissing` or `ClaimInvalid` for `iss`.
    pub fn parse(raw: &'a str) -> Result<Self, TokenError> {
        let jws = CompactJws::parse(raw, &LIMITS).map_err(|error| match error {
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
        let algorithm = jws
            .header()
            .get("alg")
            .and_then(Value::as_str)
            .and_then(Algorithm::from_jose)
            .ok_or(TokenError::AlgNotAllowed)?;
        let issuer = jws.payload().get("iss").ok_or(TokenError::ClaimMissing(Claim::Iss))?;
        if issuer.as_str().is_none_or(str::is_empty) {
            return Err(TokenError::ClaimInvalid(Claim::Iss));
        }
        Ok(Self { jws, token_type, algorithm })
    }

    /// The claimed `iss`: the key to a configured issuer, nothing more.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.jws.payload().get("iss").and_then(Value::as_str).unwrap_or_default()
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
        if self.issuer() != profile.issuer {
            return Err(TokenError::IssuerUnknown);
        }
        if self.token_type == TokenType::Legacy && !profile.accept_typ_jwt {
            return Err(TokenError::TypeInvalid);
        }
        if !profile.algorithms.contains(&self.algorithm) {
            return Err(TokenError::AlgNotAllowed);
        }
        let facts = Facts::from_payload(self.jws.payload(), profile)?;
        facts.check_dates(profile, now)?;
        let signature = self.verify_signature(keys)?;
        Ok(VerifiedToken { facts, key_set: keys.id(), _signature: signature })
    }

    fn verify_signature(&self, keys: &KeySet) -> Result<SignatureVerified, TokenError> {
        let key_id = key_id(self.jws.header()).or(Err(TokenError::Malformed(JwsError::KeyId)))?;
        let mut outcome = Err(TokenError::KeyUnknown);
        for key in keys.candidates(key_id, self.algorithm) {
            match key.verify(self.jws.signing_input().as_bytes(), self.jws.signature()) {
                Ok(verified) => return Ok(verified),
                Err(_) => outcome = Err(TokenError::SignatureInvalid),
            }
        }
        outcome
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

/// A token that its issuer signed. Whether it may be used now is another question: [`Self::current`].
///
/// It may be cached under its [`crate::TokenDigest`] as long as the issuer's key set is [`Self::key_set`]
/// and the profile is the same.
#[derive(Debug)]
pub struct VerifiedToken {
    facts: Facts,
    key_set: KeySetId,
    _signature: SignatureVerified,
}

#[derive(Debug)]
struct Facts {
    issuer: IssuerName,
    agent: ScopedId,
    user: Option<ScopedId>,
    tenant: Option<String>,
    subject: String,
    client_id: String,
    jti: String,
    audiences: Vec<String>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    not_before: Option<Timestamp>,
    scopes: Scopes,
    confirmation: Confirmation,
    delegation: Delegation,
}

impl Facts {
    fn from_payload(payload: &Object, profile: &IssuerProfile) -> Result<Self, TokenError> {
        let subject = claims::required_id(payload, "sub", Claim::Sub)?;
        let client_id = claims::required_id(payload, "client_id", Claim::ClientId)?;
        let jti = claims::required_id(payload, "jti", Claim::Jti)?;
        let issued_at = claims::required_date(payload, Claim::Iat)?;
        let expires_at = claims::required_date(payload, Claim::Exp)?;
        let not_before = claims::optional_date(payload, Claim::Nbf)?;
        let audiences = claims::audiences(payload)?;
        let scopes =
            Scopes::parse(claims::scope(payload)?).or(Err(TokenError::ClaimInvalid(Claim::Scope)))?;
        let confirmation = Confirmation::from_payload(payload).or(Err(TokenError::BindingUnsupported))?;
        let delegation = Delegation::from_payload(payload).map_err(|error| match error {
            DelegationError::Malformed => TokenError::ClaimInvalid(Claim::Act),
            DelegationError::TooDeep => TokenError::DelegationTooDeep,
        })?;
        let names = &profile.claims;
        if names.user.as_deref() == Some("sub") && subject == client_id {
            return Err(TokenError::ClaimInvalid(Claim::Sub));
        }
        let scoped =
            |id: &str, claim| ScopedId::new(&profile.name, id).or(Err(TokenError::ClaimInvalid(claim)));
        let agent = scoped(claims::required_id(payload, &names.agent, Claim::Agent)?, Claim::Agent)?;
        let user = match &names.user {
            Some(name) => claims::optional_id(payload, name, Claim::User)?,
            None => None,
        };
        let user = user.map(|id| scoped(id, Claim::User)).transpose()?;
        let tenant = match &names.tenant {
            Some(name) => claims::optional_id(payload, name, Claim::Tenant)?,
            None => None,
        };
        Ok(Self {
            issuer: profile.name.clone(),
            agent,
            user,
            tenant: tenant.map(ToOwned::to_owned),
            subject: subject.to_owned(),
            client_id: client_id.to_owned(),
            jti: jti.to_owned(),
            audiences,
            issued_at,
            expires_at,
            not_before,
            scopes,
            confirmation,
            delegation,
        })
    }

    fn check_dates(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        let lifetime = self.expires_at.duration_since(self.issued_at);
        if lifetime <= SignedDuration::ZERO || lifetime > profile.max_lifetime {
            return Err(TokenError::ClaimInvalid(Claim::Exp));
        }
        if self.issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
            return Err(TokenError::NotYetValid);
        }
        self.check_now(profile, now)
    }

    /// RFC 7519 §4.1.4, §4.1.5: `now` must be before `exp` and not before `nbf`, give or take the leeway.
    fn check_now(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        let leeway = profile.effective_leeway();
        if now.duration_since(self.expires_at) >= leeway {
            return Err(TokenError::Expired);
        }
        if self.not_before.is_some_and(|not_before| not_before.duration_since(now) > leeway) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

impl VerifiedToken {
    /// Decides whether the token may be used at `now` for `audience`, which is what the route requires.
    /// To be asked at every use, whether the token comes from a cache or not.
    ///
    /// # Errors
    /// [`TokenError::Expired`], `NotYetValid`, `AudienceMismatch` unless `audience` is exactly a member of
    /// the token's audiences and of the profile's, `IssuerUnknown` if `profile` is of another issuer.
    pub fn current(
        self: &Arc<Self>,
        now: Timestamp,
        audience: &str,
        profile: &IssuerProfile,
    ) -> Result<CurrentToken, TokenError> {
        if self.facts.issuer != profile.name {
            return Err(TokenError::IssuerUnknown);
        }
        self.facts.check_now(profile, now)?;
        let named = |audiences: &[String]| audiences.iter().any(|candidate| candidate == audience);
        if !named(&self.facts.audiences) || !named(&profile.audiences) {
            return Err(TokenError::AudienceMismatch);
        }
        Ok(CurrentToken { token: Arc::clone(self) })
    }

    /// The short name of the issuer.
    #[must_use]
    pub const fn issuer_name(&self) -> &IssuerName {
        &self.facts.issuer
    }

    /// The agent.
    #[must_use]
    pub const fn agent(&self) -> &ScopedId {
        &self.facts.agent
    }

    /// The user on whose behalf, if any.
    #[must_use]
    pub const fn user(&self) -> Option<&ScopedId> {
        self.facts.user.as_ref()
    }

    /// The tenant, if the token names one.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.facts.tenant.as_deref()
    }

    /// `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// `client_id`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.facts.client_id
    }

    /// The scopes.
    #[must_use]
    pub const fn scopes(&self) -> &Scopes {
        &self.facts.scopes
    }

    /// `jti`: 1 to 256 characters, unique per issuer if the issuer keeps to the rules.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.facts.jti
    }

    /// The sender constraints.
    #[must_use]
    pub const fn confirmation(&self) -> &Confirmation {
        &self.facts.confirmation
    }

    /// The actors.
    #[must_use]
    pub const fn delegation(&self) -> &Delegation {
        &self.facts.delegation
    }

    /// `iat`.
    #[must_use]
    pub const fn issued_at(&self) -> Timestamp {
        self.facts.issued_at
    }

    /// `exp`, without leeway.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.facts.expires_at
    }

    /// The key set that the signature was verified with.
    #[must_use]
    pub const fn key_set(&self) -> KeySetId {
        self.key_set
    }

    /// `aud`.
    #[must_use]
    pub fn audiences(&self) -> &[String] {
        &self.facts.audiences
    }
}

/// A verified token that may be used now, for one audience. Only [`VerifiedToken::current`] makes one.
#[derive(Debug)]
pub struct CurrentToken {
    token: Arc<VerifiedToken>,
}

impl CurrentToken {
    /// The token.
    #[must_use]
    pub fn token(&self) -> &VerifiedToken {
        &self.token
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS of strict JSON objects.
    #[error("token malformed: {0}")]
    Malformed(JwsError),
    /// Longer than [`MAX_TOKEN_BYTES`], or a header longer than 1 KiB.
    #[error("token too large")]
    TooLarge,
    /// `typ` is not that of an access token.
    #[error("token type not accepted")]
    TypeInvalid,
    /// `alg` is unknown or not allowed for the issuer.
    #[error("algorithm not allowed")]
    AlgNotAllowed,
    /// The header asks for an extension.
    #[error("critical header not understood")]
    CritUnsupported,
    /// `iss` is no configured issuer, or not the one whose profile was given.
    #[error("issuer unknown")]
    IssuerUnknown,
    /// The issuer has no such key.
    #[error("key unknown")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("signature invalid")]
    SignatureInvalid,
    /// `exp` has passed.
    #[error("token expired")]
    Expired,
    /// `nbf`, or an `iat` too far ahead, has not come.
    #[error("token not yet valid")]
    NotYetValid,
    /// Not for this audience.
    #[error("audience mismatch")]
    AudienceMismatch,
    /// A required claim is absent.
    #[error("claim `{0}` missing")]
    ClaimMissing(Claim),
    /// A claim has a wrong type or an impossible value.
    #[error("claim `{0}` invalid")]
    ClaimInvalid(Claim),
    /// `cnf` holds a sender constraint that is not understood.
    #[error("sender constraint not supported")]
    BindingUnsupported,
    /// `act` is nested too deep.
    #[error("delegation too deep")]
    DelegationTooDeep,
}

#[cfg(test)]
mod tests;

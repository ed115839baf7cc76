//! Authentic tokens, and those that may be used now.

use std::sync::Arc;

use jiff::Timestamp;

use super::TokenError;
use super::facts::Facts;
use crate::confirmation::Confirmation;
use crate::delegation::Delegation;
use crate::issuer::{IssuerName, IssuerProfile, ScopedId};
use crate::key::SignatureVerified;
use crate::key_set::KeySetId;
use crate::scopes::Scopes;
use crate::status::StatusReference;

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

impl VerifiedToken {
    /// Asserts that `facts` are the claims of a token whose signature `signature` is the proof of.
    pub(super) const fn assertion(facts: Facts, key_set: KeySetId, signature: SignatureVerified) -> Self {
        Self { facts, key_set, _signature: signature }
    }

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

    /// `sid`, scoped by the issuer, if the token names a session (OpenID Connect Front-Channel Logout §3).
    #[must_use]
    pub const fn session(&self) -> Option<&ScopedId> {
        self.facts.session.as_ref()
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

    /// Where the issuer keeps the token's status, if it says so: a token that has one is good for nothing until it was
    /// looked up.
    #[must_use]
    pub const fn status(&self) -> Option<&StatusReference> {
        self.facts.status.as_ref()
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

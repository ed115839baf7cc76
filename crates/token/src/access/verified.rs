//! Authentic tokens, and those that may be used now.

use std::sync::Arc;

use jiff::Timestamp;

use super::TokenError;
use super::facts::Facts;
use crate::authentication::Authentication;
use crate::authorization_details::AuthorizationDetails;
use crate::certificate::ClientCertificate;
use crate::confirmation::Confirmation;
use crate::delegation::{Actor, Delegation};
use crate::intent::Intent;
use crate::introspection::Voucher;
use crate::issuer::{IssuerName, IssuerProfile, ScopedId};
use crate::key::SignatureVerified;
use crate::key_set::KeySetId;
use crate::scopes::Scopes;
use crate::status::StatusReference;
use crate::tenant_scope::{CertifiedTenantError, Tenancy};

/// A token that its issuer vouches for, by a signature or by its answer about it. Whether it may be used now is another
/// question: [`Self::current`].
///
/// It may be cached under its [`crate::TokenDigest`] as long as the issuer's key set is [`Self::key_set`]
/// and the profile is the same; one that an answer vouches for no longer than the answer counts.
#[derive(Debug)]
pub struct VerifiedToken {
    facts: Facts,
    evidence: Evidence,
}

/// Why the claims are believed.
#[derive(Debug)]
enum Evidence {
    /// The issuer signed the token.
    Signature { key_set: KeySetId, _verified: SignatureVerified },
    /// The issuer was asked, and said so.
    Answer(Voucher),
    /// The same token is believed, and was uncertified.
    Uncertified(Arc<VerifiedToken>),
}

/// Where the claims come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSource {
    /// The token, which is signed.
    Jwt,
    /// The authorization server's answer about it (RFC 7662).
    Introspection,
}

impl TokenSource {
    /// The word that policies and records use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Introspection => "introspection",
        }
    }
}

impl VerifiedToken {
    /// Asserts that `facts` are the claims of a token whose signature `signature` is the proof of.
    pub(super) const fn signed(facts: Facts, key_set: KeySetId, signature: SignatureVerified) -> Self {
        Self { facts, evidence: Evidence::Signature { key_set, _verified: signature } }
    }

    /// Asserts that `facts` are the claims of the answer that `voucher` is from.
    pub(crate) const fn introspected(facts: Facts, voucher: Voucher) -> Self {
        Self { facts, evidence: Evidence::Answer(voucher) }
    }

    /// Where its claims come from.
    #[must_use]
    pub fn source(&self) -> TokenSource {
        match &self.evidence {
            Evidence::Signature { .. } => TokenSource::Jwt,
            Evidence::Answer(_) => TokenSource::Introspection,
            Evidence::Uncertified(token) => token.source(),
        }
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

    /// The agent that the token was issued to.
    #[must_use]
    pub const fn client(&self) -> &ScopedId {
        &self.facts.client
    }

    /// Who acts now: the outermost actor of the delegation, else the client (RFC 8693 §4.1, X04).
    #[must_use]
    pub fn actor(&self) -> &ScopedId {
        self.facts.delegation.current_actor().map_or(&self.facts.client, Actor::id)
    }

    /// The user on whose behalf, if any.
    #[must_use]
    pub const fn user(&self) -> Option<&ScopedId> {
        self.facts.user.as_ref()
    }

    /// Whom the claim of the user names in a token that is taken for the client's own, if that is not [`Self::subject`]. Nobody
    /// acts in that name; it counts where the token is stopped.
    #[must_use]
    pub fn named_user(&self) -> Option<ScopedId> {
        let named = self.facts.named.as_deref()?;
        ScopedId::new(&self.facts.issuer, named).ok()
    }

    /// The tenant, if it is of one. One that its certificate has to say is not known before [`Self::certified`].
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        match &self.facts.tenancy {
            Tenancy::Known(tenant) => tenant.as_deref(),
            Tenancy::ToBeCertified { .. } => None,
            Tenancy::Certified(said) => Some(&said.tenant),
        }
    }

    /// The token with the tenant that its certificate says, where that is how its issuer has it; else as it is. Only such a
    /// token can be bound to its sender.
    ///
    /// # Errors
    /// [`CertifiedTenantError`]
    pub fn certified(
        self: Arc<Self>,
        profile: &IssuerProfile,
        certificate: Option<&ClientCertificate>,
        now: Timestamp,
    ) -> Result<Arc<Self>, CertifiedTenantError> {
        let Tenancy::ToBeCertified { claimed } = &self.facts.tenancy else { return Ok(self) };
        let claimed = claimed.as_deref();
        let said = profile.tenants.certified(claimed, self.confirmation(), certificate, now)?;
        let facts = Facts { tenancy: Tenancy::Certified(said), ..self.facts.clone() };
        Ok(Arc::new(Self { facts, evidence: Evidence::Uncertified(self) }))
    }

    /// Whether it is still to be certified of which tenant it is.
    pub(crate) const fn is_uncertified(&self) -> bool {
        matches!(self.facts.tenancy, Tenancy::ToBeCertified { .. })
    }

    /// Until when what its certificate says of the tenant counts without another look, if that is who says it.
    #[must_use]
    pub const fn certified_until(&self) -> Option<Timestamp> {
        match &self.facts.tenancy {
            Tenancy::Certified(said) => Some(said.until),
            Tenancy::Known(_) | Tenancy::ToBeCertified { .. } => None,
        }
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

    /// `sub`, scoped by the issuer, if the token has one.
    #[must_use]
    pub fn scoped_subject(&self) -> Option<ScopedId> {
        ScopedId::new(&self.facts.issuer, &self.facts.subject).ok()
    }

    /// The agent with which a chain of actors begins, where that is no user: it handed its own token on, and none of the actors
    /// names it.
    #[must_use]
    pub fn first_agent(&self) -> Option<ScopedId> {
        let handed_on = self.facts.user.is_none() && self.facts.delegation.depth() > 0;
        let subject = self.scoped_subject().filter(|_| handed_on)?;
        let named = self.facts.delegation.actors().iter().any(|actor| *actor.id() == subject);
        (!named).then_some(subject)
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

    /// Whether the current actor, if there is one, is the party that `may_act` names, if the token has that.
    ///
    /// `may_act` says who may come to act for the subject (RFC 8693 §4.4, X06). Whether it speaks of this hop or of the next,
    /// a resource server cannot tell: a token that somebody else acts with than it names is refused.
    #[must_use]
    pub fn actor_is_permitted(&self) -> bool {
        match (&self.facts.may_act, self.facts.delegation.current_actor()) {
            (Some(may_act), Some(actor)) => may_act.names(actor),
            (None, _) | (Some(_), None) => true,
        }
    }

    /// Where the issuer keeps the token's status, if it says so: a token that has one is good for nothing until it was
    /// looked up.
    #[must_use]
    pub const fn status(&self) -> Option<&StatusReference> {
        self.facts.status.as_ref()
    }

    /// How and when the user was authenticated, as far as the token says.
    #[must_use]
    pub const fn authentication(&self) -> &Authentication {
        &self.facts.authentication
    }

    /// What exactly was granted, if the token says so.
    #[must_use]
    pub const fn authorization_details(&self) -> &AuthorizationDetails {
        &self.facts.authorization_details
    }

    /// Why, as the issuer says, for records.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.facts.intent
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

    /// The key set that the signature was verified with, of the token or of the answer about it; `None` if the answer was
    /// not signed.
    #[must_use]
    pub fn key_set(&self) -> Option<KeySetId> {
        match &self.evidence {
            Evidence::Signature { key_set, .. } => Some(*key_set),
            Evidence::Answer(voucher) => voucher.key_set(),
            Evidence::Uncertified(token) => token.key_set(),
        }
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

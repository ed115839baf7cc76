//! The claims of an access token (RFC 9068 §2.2) and the rules about its dates.

use jiff::{SignedDuration, Timestamp};

use super::TokenError;
use crate::claims::{self, Claim};
use crate::confirmation::Confirmation;
use crate::delegation::{Delegation, DelegationError};
use crate::issuer::{IssuerName, IssuerProfile, ScopedId};
use crate::json::Object;
use crate::scopes::Scopes;
use crate::status::{StatusClaimError, StatusReference};

/// How far ahead `iat` may be (J05): clocks differ, but a token from the far future says nothing.
pub const MAX_ISSUED_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// What the claims say, read and checked, but believed only inside a [`super::VerifiedToken`].
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) issuer: IssuerName,
    pub(super) agent: ScopedId,
    pub(super) user: Option<ScopedId>,
    pub(super) tenant: Option<String>,
    pub(super) session: Option<ScopedId>,
    pub(super) subject: String,
    pub(super) client_id: String,
    pub(super) jti: String,
    pub(super) audiences: Vec<String>,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) not_before: Option<Timestamp>,
    pub(super) scopes: Scopes,
    pub(super) confirmation: Confirmation,
    pub(super) delegation: Delegation,
    pub(super) status: Option<StatusReference>,
}

impl Facts {
    pub(super) fn from_payload(payload: &Object, profile: &IssuerProfile) -> Result<Self, TokenError> {
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
        let delegation = Delegation::from_payload(payload, profile).map_err(|error| match error {
            DelegationError::Malformed | DelegationError::ForeignIssuer | DelegationError::Cycle => {
                TokenError::ClaimInvalid(Claim::Act)
            }
            DelegationError::TooDeep => TokenError::DelegationTooDeep,
        })?;
        let status = StatusReference::from_payload(payload).map_err(|error| match error {
            StatusClaimError::Malformed => TokenError::ClaimInvalid(Claim::Status),
            StatusClaimError::Unsupported => TokenError::StatusUnsupported,
        })?;
        if profile.status_required && status.is_none() {
            return Err(TokenError::ClaimMissing(Claim::Status));
        }
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
        let session = claims::optional_id(payload, "sid", Claim::Sid)?;
        let session = session.map(|id| scoped(id, Claim::Sid)).transpose()?;
        let tenant = match &names.tenant {
            Some(name) => claims::optional_id(payload, name, Claim::Tenant)?,
            None => None,
        };
        if tenant.is_some_and(|tenant| !profile.tenants.covers(tenant)) {
            return Err(TokenError::ClaimInvalid(Claim::Tenant));
        }
        Ok(Self {
            issuer: profile.name.clone(),
            agent,
            user,
            tenant: tenant.map(ToOwned::to_owned),
            session,
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
            status,
        })
    }

    pub(super) fn check_dates(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        let lifetime = self.expires_at.duration_since(self.issued_at);
        if lifetime <= SignedDuration::ZERO || lifetime > profile.max_lifetime {
            return Err(TokenError::ClaimInvalid(Claim::Exp));
        }
        self.check_now(profile, now)
    }

    /// RFC 7519 §4.1.4, §4.1.5: `now` must be before `exp` and not before `nbf`, give or take the leeway; nor far
    /// before `iat`, which a clock that was set back can bring about after the token was verified.
    pub(super) fn check_now(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        if self.issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
            return Err(TokenError::NotYetValid);
        }
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

//! The claims of an access token (RFC 9068 §2.2) and the rules about its dates.

use jiff::{SignedDuration, Timestamp};

use super::TokenError;
use crate::authentication::Authentication;
use crate::authorization_details::AuthorizationDetails;
use crate::claim_names::Whose;
use crate::claims::{self, Claim};
use crate::confirmation::Confirmation;
use crate::delegation::{self, Delegation, DelegationError, MayAct};
use crate::intent::Intent;
use crate::issuer::{IssuerName, IssuerProfile, ScopedId};
use crate::json::Object;
use crate::scopes::Scopes;
use crate::status::{StatusClaimError, StatusReference};
use crate::tenant_scope::Tenancy;

/// How far ahead `iat` and `auth_time` may be (J05): clocks differ, but a token from the far future says nothing.
pub const MAX_ISSUED_AHEAD: SignedDuration = SignedDuration::from_secs(60);

/// Where claims come from, and so which of them may be absent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    /// The token itself (RFC 9068 §2.2): none of `sub`, `client_id`, `jti`.
    Jwt,
    /// The authorization server's word about a token that says nothing itself (RFC 7662 §2.2): `sub`, since there is nobody
    /// but the client then, as RFC 9068 §2.2 has it; and `jti`, whose place this id takes.
    Introspection {
        /// 1 to 256 characters without control characters.
        id: &'a str,
    },
}

impl<'a> Source<'a> {
    fn subject(self, payload: &'a Object, client_id: &'a str) -> Result<&'a str, TokenError> {
        match self {
            Self::Jwt => claims::required_id(payload, "sub", Claim::Sub),
            Self::Introspection { .. } => {
                Ok(claims::optional_id(payload, "sub", Claim::Sub)?.unwrap_or(client_id))
            }
        }
    }

    fn id(self, payload: &'a Object, name: &str) -> Result<&'a str, TokenError> {
        match self {
            Self::Jwt => claims::required_id(payload, name, Claim::Jti),
            Self::Introspection { id } => Ok(claims::optional_id(payload, name, Claim::Jti)?.unwrap_or(id)),
        }
    }
}

/// What the claims say, read and checked, but believed only inside a [`super::VerifiedToken`].
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(super) issuer: IssuerName,
    pub(super) client: ScopedId,
    pub(super) user: Option<ScopedId>,
    /// Whom the claim of the user names, where the token is the client's own and that is not the subject.
    pub(super) named: Option<Box<str>>,
    pub(super) tenancy: Tenancy,
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
    pub(super) may_act: Option<MayAct>,
    pub(super) status: Option<StatusReference>,
    pub(super) authentication: Authentication,
    pub(super) authorization_details: AuthorizationDetails,
    pub(super) intent: Intent,
}

impl Facts {
    pub(crate) fn from_payload(
        payload: &Object,
        profile: &IssuerProfile,
        source: Source<'_>,
    ) -> Result<Self, TokenError> {
        let names = &profile.claims;
        let client_id = claims::required_id(payload, &names.client, Claim::ClientId)?;
        let subject = source.subject(payload, client_id)?;
        let jti = source.id(payload, &names.id)?;
        let issued_at = claims::required_date(payload, Claim::Iat)?;
        let expires_at = claims::required_date(payload, Claim::Exp)?;
        let not_before = claims::optional_date(payload, Claim::Nbf)?;
        let audiences = claims::audiences(payload)?;
        let scopes = claims::scopes(payload, &names.scopes)?;
        let confirmation = Confirmation::from_payload(payload).or(Err(TokenError::BindingUnsupported))?;
        let delegation = Delegation::from_payload(payload, profile).map_err(|error| match error {
            DelegationError::Malformed | DelegationError::ForeignIssuer | DelegationError::Cycle => {
                TokenError::ClaimInvalid(Claim::Act)
            }
            DelegationError::TooDeep => TokenError::DelegationTooDeep,
        })?;
        let may_act =
            delegation::may_act(payload, profile).or(Err(TokenError::ClaimInvalid(Claim::MayAct)))?;
        let status = StatusReference::from_payload(payload).map_err(|error| match error {
            StatusClaimError::Malformed => TokenError::ClaimInvalid(Claim::Status),
            StatusClaimError::Unsupported => TokenError::StatusUnsupported,
        })?;
        if profile.status_required && status.is_none() {
            return Err(TokenError::ClaimMissing(Claim::Status));
        }
        let scoped =
            |id: &str, claim| ScopedId::new(&profile.name, id).or(Err(TokenError::ClaimInvalid(claim)));
        let agent = claims::required_id(payload, &names.agent, Claim::Agent)?;
        let client = scoped(agent, Claim::Agent)?;
        let whose = match &names.user {
            Some(claim) => claim.read(payload, [client_id, agent])?,
            None => Whose::Client { named: None },
        };
        let (user, named) = match whose {
            Whose::User(id) => (Some(scoped(id, Claim::User)?), None),
            Whose::Client { named } => (None, named.filter(|named| *named != subject)),
        };
        let session = claims::optional_id(payload, "sid", Claim::Sid)?;
        let session = session.map(|id| scoped(id, Claim::Sid)).transpose()?;
        let tenant = match &names.tenant {
            Some(name) => claims::optional_id(payload, name, Claim::Tenant)?,
            None => None,
        };
        let tenancy = profile.tenants.tenancy(tenant).or(Err(TokenError::ClaimInvalid(Claim::Tenant)))?;
        Ok(Self {
            issuer: profile.name.clone(),
            client,
            user,
            named: named.map(Box::from),
            tenancy,
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
            may_act,
            status,
            authentication: Authentication::from_payload(payload)?,
            authorization_details: AuthorizationDetails::from_payload(payload)?,
            intent: Intent::from_payload(payload, names)?,
        })
    }

    /// Whether proofs of one key are asked for.
    pub(crate) const fn has_proof_key(&self) -> bool {
        self.confirmation.jkt().is_some()
    }

    pub(crate) fn check_dates(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        let lifetime = self.expires_at.duration_since(self.issued_at);
        if lifetime <= SignedDuration::ZERO || lifetime > profile.max_lifetime {
            return Err(TokenError::ClaimInvalid(Claim::Exp));
        }
        self.check_now(profile, now)
    }

    /// RFC 7519 §4.1.4, §4.1.5: `now` must be before `exp` and not before `nbf`, give or take the leeway; nor far
    /// before `iat` or `auth_time`, which a clock that was set back can bring about after the token was verified.
    pub(super) fn check_now(&self, profile: &IssuerProfile, now: Timestamp) -> Result<(), TokenError> {
        if self.issued_at.duration_since(now) > MAX_ISSUED_AHEAD {
            return Err(TokenError::NotYetValid);
        }
        if self.authentication.at().is_some_and(|at| at.duration_since(now) > MAX_ISSUED_AHEAD) {
            return Err(TokenError::ClaimInvalid(Claim::AuthTime));
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

//! What is configured for an issuer, and the ids that are scoped by it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::Algorithm;
use crate::claim_names::ClaimNames;
use crate::tenant_scope::TenantScope;

/// Most tolerance for the issuer's clock that a profile can give.
pub const MAX_LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// Longest id taken from a claim, in characters.
const MAX_ID_CHARS: usize = 256;

/// What this service expects of one issuer's tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerProfile {
    /// The short name that scopes this issuer's ids.
    pub name: IssuerName,
    /// The exact `iss`; compared byte by byte (J02).
    pub issuer: String,
    /// The audiences that tokens of this issuer may be used for here.
    pub audiences: Vec<String>,
    /// The allowed algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Longest accepted lifetime, `exp` minus `iat`.
    pub max_lifetime: SignedDuration,
    /// Tolerance for `exp` and `nbf`; taken as 0 if negative and as [`MAX_LEEWAY`] if larger.
    pub leeway: SignedDuration,
    /// Whether the legacy `typ` of `JWT` is accepted too (J01).
    pub accept_typ_jwt: bool,
    /// Which claims say who.
    pub claims: ClaimNames,
    /// The tenants that this issuer may speak for.
    pub tenants: TenantScope,
    /// Whether each token must say where its status is kept (`status.status_list`).
    pub status_required: bool,
}

impl IssuerProfile {
    /// Everything that makes this profile unusable or wider than it may be; empty if it is sound.
    #[must_use]
    pub fn problems(&self) -> Vec<ProfileProblem> {
        let ClaimNames { agent, client, id, scopes, user, tenant, purpose, prompt_hash } = &self.claims;
        let names = [agent, client, id].into_iter().chain(scopes).chain(tenant).chain(purpose);
        let names = names.chain(prompt_hash);
        let mut names = names.chain(user.as_ref().map(|user| &user.name));
        let checks = [
            (self.issuer.is_empty(), ProfileProblem::IssuerEmpty),
            (self.audiences.is_empty(), ProfileProblem::NoAudience),
            (self.audiences.iter().any(String::is_empty), ProfileProblem::AudienceEmpty),
            (self.algorithms.is_empty(), ProfileProblem::NoAlgorithm),
            (self.max_lifetime <= SignedDuration::ZERO, ProfileProblem::MaxLifetime),
            (self.leeway != self.effective_leeway(), ProfileProblem::Leeway),
            (names.any(String::is_empty), ProfileProblem::ClaimNameEmpty),
            (self.tenants.known().any(|tenant| check_id(tenant).is_err()), ProfileProblem::TenantName),
        ];
        checks.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem)).collect()
    }

    /// Whether a token can be of `tenant`.
    #[must_use]
    pub fn speaks_for(&self, tenant: &str) -> bool {
        match &self.tenants {
            TenantScope::Any => self.claims.tenant.is_some(),
            TenantScope::Only(_) => {
                self.claims.tenant.is_some() && self.tenants.known().any(|known| known == tenant)
            }
            TenantScope::Always(own) => own == tenant,
            TenantScope::Certified { only, .. } => {
                only.is_none() || self.tenants.known().any(|known| known == tenant)
            }
        }
    }

    /// Whether a token can be of any tenant at all.
    #[must_use]
    pub fn names_tenants(&self) -> bool {
        let otherwise = matches!(self.tenants, TenantScope::Always(_) | TenantScope::Certified { .. });
        self.claims.tenant.is_some() || otherwise
    }

    pub(crate) fn effective_leeway(&self) -> SignedDuration {
        self.leeway.clamp(SignedDuration::ZERO, MAX_LEEWAY)
    }
}

/// A mistake in an [`IssuerProfile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProfileProblem {
    /// `issuer` is empty.
    #[error("issuer is empty")]
    IssuerEmpty,
    /// No audience.
    #[error("no audience")]
    NoAudience,
    /// An audience is empty.
    #[error("audience is empty")]
    AudienceEmpty,
    /// No algorithm.
    #[error("no algorithm")]
    NoAlgorithm,
    /// The longest lifetime is not positive.
    #[error("max lifetime is not positive")]
    MaxLifetime,
    /// The leeway is negative or above a minute.
    #[error("leeway is not between 0 and 60 seconds")]
    Leeway,
    /// A claim name is empty.
    #[error("claim name is empty")]
    ClaimNameEmpty,
    /// A tenant that no token could name.
    #[error("a tenant is 1 to 256 characters without control characters")]
    TenantName,
}

/// The short name of an issuer: 1 to 32 of `a`-`z`, `0`-`9` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerName(Arc<str>);

impl IssuerName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IssuerName {
    type Err = IssuerNameError;

    fn from_str(text: &str) -> Result<Self, IssuerNameError> {
        let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(IssuerNameError)
        }
    }
}

impl fmt::Display for IssuerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Not an issuer name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an issuer name is 1 to 32 of a-z, 0-9 and -")]
pub struct IssuerNameError;

/// An id from a claim, scoped by the issuer that vouches for it: `<issuer name>:<id>`. Two issuers can thus
/// never speak of the same agent, user or actor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopedId {
    issuer: IssuerName,
    // INVARIANT: the issuer's name, a colon, the id.
    text: Arc<str>,
}

impl ScopedId {
    /// Scopes `id`, which is 1 to 256 characters without control characters.
    ///
    /// # Errors
    /// [`IdError`]
    pub fn new(issuer: &IssuerName, id: &str) -> Result<Self, IdError> {
        check_id(id)?;
        Ok(Self { issuer: issuer.clone(), text: format!("{issuer}:{id}").into() })
    }

    /// Who vouches for it.
    #[must_use]
    pub const fn issuer(&self) -> &IssuerName {
        &self.issuer
    }

    /// The id as the issuer writes it.
    #[must_use]
    pub fn id(&self) -> &str {
        // An issuer's name has no colon, so the first one ends it.
        self.text.split_once(':').map_or("", |(_, id)| id)
    }

    /// The scoped id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ScopedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An id that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 256 characters without control characters")]
pub struct IdError;

/// Whether `id` is 1 to 256 characters without control characters: ids end up in headers, records and policies.
///
/// # Errors
/// [`IdError`]
pub fn check_id(id: &str) -> Result<(), IdError> {
    let fits = !id.is_empty() && id.chars().nth(MAX_ID_CHARS).is_none();
    if fits && !id.chars().any(char::is_control) { Ok(()) } else { Err(IdError) }
}

#[cfg(test)]
mod tests;

//! Whose tenants an issuer speaks for, and where a token's tenant is said.

use jiff::Timestamp;

use crate::binding::BindingError;
use crate::certificate::ClientCertificate;
use crate::certified_tenant::{CertifiedTenant, CertifiedTenants, ClientAuthorities};
use crate::confirmation::Confirmation;

/// The tenants that an issuer's tokens may be of. Tenants are not scoped by issuer, so this is what keeps one issuer out of
/// another's tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantScope {
    /// Every tenant.
    Any,
    /// These, compared byte by byte. A token that names no tenant is not refused: it reaches none.
    Only(Vec<String>),
    /// The issuer is one tenant's: every token of it is of this tenant, whether it says so or not, and one that names another
    /// is refused.
    Always(String),
    /// Every token is of the tenant that the certificate says which it is bound to; one that names another is refused.
    Certified {
        /// By whose word, and where.
        by: CertifiedTenants,
        /// The tenants that may be said there; `None` for every one.
        only: Option<Vec<String>>,
    },
}

/// The tenant of a token, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// By the token or its issuer.
    Known(Option<String>),
    /// By the certificate, which nobody has looked at yet.
    ToBeCertified {
        /// What the token says itself, which has to be the same.
        claimed: Option<String>,
    },
    /// By the certificate that the token is bound to.
    Certified(CertifiedTenant),
}

impl TenantScope {
    /// By whose word tenants are said in certificates, if they are.
    #[must_use]
    pub const fn authorities(&self) -> Option<&ClientAuthorities> {
        match self {
            Self::Certified { by, only: _ } => Some(&by.authorities),
            Self::Any | Self::Only(_) | Self::Always(_) => None,
        }
    }

    /// The tenant of a token that claims `claimed`.
    ///
    /// # Errors
    /// [`ForeignTenant`]
    pub(crate) fn tenancy(&self, claimed: Option<&str>) -> Result<Tenancy, ForeignTenant> {
        let claimed = claimed.map(ToOwned::to_owned);
        match (self, claimed) {
            (Self::Any, claimed) => Ok(Tenancy::Known(claimed)),
            (Self::Only(_), None) => Ok(Tenancy::Known(None)),
            (Self::Only(tenants), Some(claimed)) if tenants.contains(&claimed) => {
                Ok(Tenancy::Known(Some(claimed)))
            }
            (Self::Always(own), None) => Ok(Tenancy::Known(Some(own.clone()))),
            (Self::Always(own), Some(claimed)) if *own == claimed => Ok(Tenancy::Known(Some(claimed))),
            (Self::Only(_) | Self::Always(_), Some(_)) => Err(ForeignTenant),
            (Self::Certified { .. }, claimed) => Ok(Tenancy::ToBeCertified { claimed }),
        }
    }

    /// What the certificate says that a token is bound to.
    ///
    /// # Errors
    /// [`CertifiedTenantError`]
    pub(crate) fn certified(
        &self,
        claimed: Option<&str>,
        confirmation: &Confirmation,
        certificate: Option<&ClientCertificate>,
        now: Timestamp,
    ) -> Result<CertifiedTenant, CertifiedTenantError> {
        const UNTRUSTED: CertifiedTenantError =
            CertifiedTenantError::Binding(BindingError::CertificateUntrusted);
        let Self::Certified { by, only } = self else { return Err(UNTRUSTED) };
        let bound_to = confirmation.x5t().ok_or(CertifiedTenantError::Unbound)?;
        let certificate =
            certificate.ok_or(CertifiedTenantError::Binding(BindingError::CertificateMissing))?;
        if bound_to != certificate.thumbprint() {
            return Err(CertifiedTenantError::Binding(BindingError::CertificateMismatch));
        }
        let said = by.tenant(certificate, now).or(Err(UNTRUSTED))?;
        let foreign = only.as_ref().is_some_and(|only| !only.contains(&said.tenant));
        if foreign || claimed.is_some_and(|claimed| claimed != said.tenant) {
            return Err(CertifiedTenantError::Foreign);
        }
        Ok(said)
    }

    /// The tenants that can be named here, as far as they are known before a token comes.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let (several, one) = match self {
            Self::Any | Self::Certified { only: None, .. } => (&[][..], None),
            Self::Only(tenants) | Self::Certified { only: Some(tenants), .. } => (tenants.as_slice(), None),
            Self::Always(own) => (&[][..], Some(own)),
        };
        several.iter().chain(one).map(String::as_str)
    }
}

/// A tenant that the issuer does not speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tenant that the issuer does not speak for")]
pub(crate) struct ForeignTenant;

/// Why a token whose tenant its certificate says has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertifiedTenantError {
    /// The token is bound to no certificate.
    #[error("the token is bound to no certificate, and its tenant is said by one")]
    Unbound,
    /// The certificate that it is bound to is not there, or nobody's word.
    #[error("{0}")]
    Binding(#[from] BindingError),
    /// A tenant that the issuer does not speak for, or another than the token says.
    #[error("the client certificate says a tenant that the issuer does not speak for, or the token another")]
    Foreign,
}

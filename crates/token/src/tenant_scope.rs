//! Whose tenants an issuer speaks for, and where a token says which.

/// The tenants that an issuer's tokens may name. Tenants are not scoped by issuer, so this is what keeps one issuer out of
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
}

impl TenantScope {
    /// The tenant of a token that claims `claimed`.
    ///
    /// # Errors
    /// [`ForeignTenant`]
    pub(crate) fn tenant<'a>(&'a self, claimed: Option<&'a str>) -> Result<Option<&'a str>, ForeignTenant> {
        match (self, claimed) {
            (Self::Any, claimed) => Ok(claimed),
            (Self::Only(_), None) => Ok(None),
            (Self::Only(tenants), Some(claimed)) if tenants.iter().any(|known| known == claimed) => {
                Ok(Some(claimed))
            }
            (Self::Always(own), None) => Ok(Some(own)),
            (Self::Always(own), Some(claimed)) if own == claimed => Ok(Some(own)),
            (Self::Only(_) | Self::Always(_), Some(_)) => Err(ForeignTenant),
        }
    }

    /// The tenants that can be named here, as far as they are known before a token comes.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        let (several, one) = match self {
            Self::Any => (&[][..], None),
            Self::Only(tenants) => (tenants.as_slice(), None),
            Self::Always(own) => (&[][..], Some(own)),
        };
        several.iter().chain(one).map(String::as_str)
    }
}

/// A tenant that the issuer does not speak for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("tenant that the issuer does not speak for")]
pub(crate) struct ForeignTenant;

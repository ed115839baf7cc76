//! Fourth stage: what the route asks of an identity that is proven. Pure.

use exequatur_token::CurrentToken;

use crate::authenticate::Authenticated;
use crate::denial::{Denial, Refusal};
use crate::trail::SenderFact;

/// How the sender must be constrained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderRequirement {
    /// A bearer token will do.
    None,
    /// A DPoP proof or a client certificate, whichever the token names.
    Any,
    /// A DPoP proof.
    Dpop,
    /// A client certificate.
    Mtls,
}

/// Evidence that the route's requirements are met.
#[derive(Debug)]
pub(crate) struct Required {
    pub(crate) authenticated: Authenticated,
    _met: Met,
}

/// Only [`require`] makes it.
#[derive(Debug)]
struct Met(());

/// Checks tenant, scopes and sender constraint, in this order.
///
/// # Errors
/// [`Denial::TenantMismatch`], [`Denial::ScopeInsufficient`] with every scope that the route needs (E05),
/// [`Denial::BindingRequired`].
pub(crate) fn require(authenticated: Authenticated) -> Result<Required, Refusal> {
    let token = authenticated.bound.token();
    check_tenant(token, authenticated.request.resource.tenant.as_deref())?;
    check_scopes(token, &authenticated.request.scopes)?;
    if !authenticated.request.guard.sender.is_met_by(SenderFact::of(&authenticated.bound)) {
        return Err(Denial::BindingRequired.into());
    }
    Ok(Required { authenticated, _met: Met(()) })
}

fn check_tenant(token: &CurrentToken, asked: Option<&str>) -> Result<(), Denial> {
    match (token.token().tenant(), asked) {
        (_, None) => Ok(()),
        (Some(own), Some(asked)) if own == asked => Ok(()),
        (Some(_) | None, Some(_)) => Err(Denial::TenantMismatch),
    }
}

fn check_scopes(token: &CurrentToken, needed: &[String]) -> Result<(), Denial> {
    if needed.iter().all(|scope| token.token().scopes().contains(scope)) {
        return Ok(());
    }
    Err(Denial::ScopeInsufficient { needed: needed.to_vec() })
}

impl SenderRequirement {
    /// Whether meeting `self` implies meeting `least`: a route may ask for more than the general setting.
    #[must_use]
    pub fn at_least(self, least: Self) -> bool {
        match (self, least) {
            (_, Self::None) => true,
            (Self::None, Self::Any | Self::Dpop | Self::Mtls) => false,
            (Self::Any | Self::Dpop | Self::Mtls, Self::Any) => true,
            (Self::Dpop, Self::Dpop) | (Self::Mtls, Self::Mtls) => true,
            (Self::Any | Self::Mtls, Self::Dpop) | (Self::Any | Self::Dpop, Self::Mtls) => false,
        }
    }

    fn is_met_by(self, sender: SenderFact) -> bool {
        match (self, sender) {
            (Self::None, _) => true,
            (Self::Any, SenderFact::Dpop | SenderFact::Mtls | SenderFact::DpopAndMtls) => true,
            (Self::Dpop, SenderFact::Dpop | SenderFact::DpopAndMtls) => true,
            (Self::Mtls, SenderFact::Mtls | SenderFact::DpopAndMtls) => true,
            (Self::Any | Self::Dpop | Self::Mtls, SenderFact::Bearer)
            | (Self::Dpop, SenderFact::Mtls)
            | (Self::Mtls, SenderFact::Dpop) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole matrix: requirement × sender.
    #[test]
    fn a_requirement_is_met_only_by_what_it_names() {
        use SenderFact::{Bearer, Dpop, DpopAndMtls, Mtls};
        let cases = [
            (SenderRequirement::None, [true, true, true, true]),
            (SenderRequirement::Any, [false, true, true, true]),
            (SenderRequirement::Dpop, [false, true, false, true]),
            (SenderRequirement::Mtls, [false, false, true, true]),
        ];
        for (requirement, met) in cases {
            for (sender, met) in [Bearer, Dpop, Mtls, DpopAndMtls].into_iter().zip(met) {
                assert_eq!(requirement.is_met_by(sender), met, "{requirement:?} {sender:?}");
            }
        }
    }

    /// A route never asks for less than the general setting: whatever meets it, meets that too.
    #[test]
    fn tightening_is_implication() {
        use SenderFact::{Bearer, Dpop, DpopAndMtls, Mtls};
        let all = [
            SenderRequirement::None,
            SenderRequirement::Any,
            SenderRequirement::Dpop,
            SenderRequirement::Mtls,
        ];
        for route in all {
            for general in all {
                let implied = [Bearer, Dpop, Mtls, DpopAndMtls]
                    .into_iter()
                    .filter(|sender| route.is_met_by(*sender))
                    .all(|sender| general.is_met_by(sender));
                assert_eq!(route.at_least(general), implied, "{route:?} {general:?}");
            }
        }
    }
}

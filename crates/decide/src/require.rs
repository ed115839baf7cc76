//! Fourth stage: what the route asks of an identity that is proven. Pure.

use exequatur_token::CurrentToken;

use crate::authenticate::Authenticated;
use crate::denial::{Denial, Refusal};
use crate::trail::SenderFact;

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

//! Fourth stage: what the route asks of an identity that is proven. Pure.

use std::sync::Arc;

use exequatur_token::CurrentToken;
use jiff::Timestamp;

use crate::authenticate::Authenticated;
use crate::authorization_details::NeededDetail;
use crate::denial::{Denial, Refusal};
use crate::federation::{Federation, Federations};
use crate::generation::Generation;
use crate::route::GuardedRequest;
use crate::routes::UserRequirement;
use crate::step_up::StepUp;
use crate::trail::{RequirementFact, SenderFact, Trail};

/// Evidence that the route's requirements are met.
#[derive(Debug)]
pub(crate) struct Required {
    pub(crate) authenticated: Authenticated,
    pub(crate) reach: Reach,
    _met: Met,
}

/// Evidence of why the token may ask for a resource of that tenant.
#[derive(Debug)]
pub(crate) enum Reach {
    /// The resource has no tenant.
    Unbounded,
    /// It is the token's own.
    Own,
    /// It is another's, and this rule leads there. Whether it may be had is for the policies that know of the rule.
    Federated(Arc<Federation>),
}

impl Reach {
    /// The rule, if the resource is another tenant's.
    pub(crate) fn federation(&self) -> Option<&Federation> {
        match self {
            Self::Unbounded | Self::Own => None,
            Self::Federated(rule) => Some(rule),
        }
    }
}

/// Only [`require`] makes it.
#[derive(Debug)]
struct Met(());

/// Checks tenant, scopes, step-up, authorization details, who acts and for whom, and the sender constraint, in this order.
///
/// A token of another tenant than the resource's is refused, but where a rule of the configuration leads from the one to the
/// other by this route (D-20).
///
/// # Errors
/// [`Denial::TenantMismatch`], [`Denial::ScopeInsufficient`] with every scope that the route needs (E05),
/// [`Denial::StepUpRequired`], [`Denial::AuthorizationDetailsInsufficient`], [`Denial::ActorNotPermitted`] (X06),
/// [`Denial::UserRequired`], [`Denial::UserNotAllowed`], [`Denial::BindingRequired`].
pub(crate) fn require(
    authenticated: Authenticated,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Required, Refusal> {
    let token = authenticated.bound.token();
    let reach = reach(token, &authenticated, &generation.federations)?;
    trail.facts.federation = reach.federation().map(|rule| rule.name.clone());
    check_scopes(token, &authenticated.request.scopes)?;
    check_step_up(token, authenticated.request.guard.step_up.as_ref(), now, trail)?;
    check_details(token, &authenticated.request, trail)?;
    if !token.token().actor_is_permitted() {
        return Err(Denial::ActorNotPermitted.into());
    }
    check_user(token, authenticated.request.guard.user)?;
    if !authenticated.request.guard.sender.is_met_by(SenderFact::of(&authenticated.bound)) {
        return Err(Denial::BindingRequired.into());
    }
    Ok(Required { authenticated, reach, _met: Met(()) })
}

fn reach(
    token: &CurrentToken,
    authenticated: &Authenticated,
    federations: &Federations,
) -> Result<Reach, Denial> {
    let request = &authenticated.request;
    match (token.token().tenant(), request.resource.tenant.as_deref()) {
        (_, None) => Ok(Reach::Unbounded),
        (Some(own), Some(asked)) if own == asked => Ok(Reach::Own),
        (Some(own), Some(asked)) => match federations.find(&request.route, own, asked) {
            Some(rule) => Ok(Reach::Federated(Arc::clone(rule))),
            None => Err(Denial::TenantMismatch),
        },
        (None, Some(_)) => Err(Denial::TenantMismatch),
    }
}

fn check_user(token: &CurrentToken, needed: UserRequirement) -> Result<(), Denial> {
    match (needed, token.token().user()) {
        (UserRequirement::Any, _)
        | (UserRequirement::Required, Some(_))
        | (UserRequirement::Refused, None) => Ok(()),
        (UserRequirement::Required, None) => Err(Denial::UserRequired),
        (UserRequirement::Refused, Some(_)) => Err(Denial::UserNotAllowed),
    }
}

fn check_scopes(token: &CurrentToken, needed: &[String]) -> Result<(), Denial> {
    if needed.iter().all(|scope| token.token().scopes().contains(scope)) {
        return Ok(());
    }
    Err(Denial::ScopeInsufficient { needed: needed.to_vec() })
}

/// RFC 9470 §3: a token that would do but for how its user was authenticated.
fn check_step_up(
    token: &CurrentToken,
    needed: Option<&StepUp>,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<(), Denial> {
    let Some(needed) = needed else { return Ok(()) };
    // Nobody has logged in for a client's own token, whatever it says of a login.
    let met = token.token().user().is_some() && needed.is_met_by(token.token().authentication(), now);
    trail.facts.step_up = Some(RequirementFact::of(met));
    if met { Ok(()) } else { Err(Denial::StepUpRequired(needed.clone())) }
}

/// RFC 9396 §9.1: each entry of the route by one detail of the token; details are not added up.
fn check_details(
    token: &CurrentToken,
    request: &GuardedRequest,
    trail: &mut Trail<'_>,
) -> Result<(), Denial> {
    if request.details.is_empty() {
        return Ok(());
    }
    let granted = |needed: &NeededDetail| {
        let mut details = token.token().authorization_details().iter();
        details.any(|detail| needed.is_met_by(detail, request.audience()))
    };
    let met = request.details.iter().all(granted);
    trail.facts.authorization_details = Some(RequirementFact::of(met));
    if met { Ok(()) } else { Err(Denial::AuthorizationDetailsInsufficient) }
}

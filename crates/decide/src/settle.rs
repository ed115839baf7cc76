//! Last stage: what goes with the permit. What is consumed once, or given back, belongs here too.

use jiff::Timestamp;

use crate::admit::Admitted;
use crate::authenticate::fresh_nonce;
use crate::authorize::Authorized;
use crate::decider::{Decider, NonceMode};
use crate::denial::FreshNonce;
use crate::limits::{Held, LimitStanding};
use crate::route::PublicRequest;
use crate::routes::CredentialHandling;

/// A permit: only a request that went through every stage, or a public one, has it.
#[derive(Debug)]
pub struct Settled {
    grant: Option<Grant>,
    next_nonce: Option<FreshNonce>,
    limits: Vec<LimitStanding>,
    held: Option<Held>,
}

/// What the upstream may know of the caller.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The agent that acts now, scoped by its issuer.
    pub agent: String,
    /// The user, scoped by the issuer.
    pub user: Option<String>,
    /// The token's tenant.
    pub tenant: Option<String>,
    /// The token's scopes.
    pub scopes: Vec<String>,
    /// The actors, current one first.
    pub delegation: Vec<String>,
    /// Whether the caller's own credentials go on to the upstream.
    pub credentials: CredentialHandling,
}

impl Settled {
    /// The caller, or `None` on a public route.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// The nonce for the caller's next proof, where nonces are on.
    #[must_use]
    pub fn next_nonce(&self) -> Option<&FreshNonce> {
        self.next_nonce.as_ref()
    }

    /// How each limit stands that the request was charged to.
    #[must_use]
    pub fn limits(&self) -> &[LimitStanding] {
        &self.limits
    }

    /// The request is permitted: what quotas were charged stays charged. Where this is not said, it is given back.
    pub fn keep_charges(mut self) {
        if let Some(held) = &mut self.held {
            held.keep();
        }
    }
}

/// A public route's permit carries nobody's name.
pub(crate) fn settle_public(_request: PublicRequest) -> Settled {
    Settled { grant: None, next_nonce: None, limits: Vec::new(), held: None }
}

/// The permit of a guarded route.
pub(crate) fn settle(authorized: Authorized, decider: &Decider, now: Timestamp) -> Settled {
    let authenticated = &authorized.admitted.required.authenticated;
    let token = authenticated.bound.token().token();
    let claimed = authenticated.bound.proof().zip(authorized.admitted.epoch());
    let next_nonce = match (decider.nonce_mode(), claimed) {
        (NonceMode::Required { .. }, Some((proof, epoch))) => {
            Some(fresh_nonce(decider, &authenticated.request, proof, epoch, now))
        }
        (NonceMode::Required { .. }, None) | (NonceMode::Off, _) => None,
    };
    let grant = Grant {
        agent: token.actor().to_string(),
        user: token.user().map(ToString::to_string),
        tenant: token.tenant().map(str::to_owned),
        scopes: token.scopes().iter().map(str::to_owned).collect(),
        delegation: token.delegation().actors().iter().map(|actor| actor.id().to_string()).collect(),
        credentials: authenticated.request.guard.credentials.clone(),
    };
    let Admitted { limits, held, .. } = authorized.admitted;
    Settled { grant: Some(grant), next_nonce, limits, held }
}

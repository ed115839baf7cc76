//! Sixth stage: what the policies say of this action on this resource.

use exequatur_policy::{Answer, ContextFacts, Permitted, Question, ResourceFact, SenderConstraint, Who};
use jiff::Timestamp;

use crate::admit::Admitted;
use crate::denial::{Denial, Fault, Refusal};
use crate::generation::Generation;
use crate::trail::{SenderFact, Trail};

/// Evidence that a policy permits and none forbids.
#[derive(Debug)]
pub(crate) struct Authorized {
    pub(crate) admitted: Admitted,
    _permitted: Permitted,
}

/// Asks the policies.
///
/// # Errors
/// [`Denial::Forbidden`], [`Denial::NotPermitted`]; a fault if a policy failed, even beside a permit.
pub(crate) fn authorize(
    admitted: Admitted,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Authorized, Refusal> {
    let answer = ask(&admitted, generation, now)?;
    match answer {
        Answer::Permit(permitted) => {
            trail.facts.policies = permitted.policies().iter().map(ToString::to_string).collect();
            Ok(Authorized { admitted, _permitted: permitted })
        }
        Answer::Forbid { policies } => {
            let policies: Vec<String> = policies.iter().map(ToString::to_string).collect();
            trail.facts.policies.clone_from(&policies);
            Err(Denial::Forbidden { policies }.into())
        }
        Answer::NoPermit => Err(Denial::NotPermitted.into()),
    }
}

fn ask(admitted: &Admitted, generation: &Generation, now: Timestamp) -> Result<Answer, Fault> {
    let authenticated = &admitted.required.authenticated;
    let request = &authenticated.request;
    let token = authenticated.bound.token().token();
    let scopes: Vec<&str> = token.scopes().iter().collect();
    let question = Question {
        who: Who::Ready(&authenticated.known.subject),
        action: &request.guard.action,
        resource: ResourceFact {
            kind: &request.guard.resource.kind,
            id: &request.resource.id,
            tenant: request.resource.tenant.as_deref(),
            attributes: request.resource.attributes.clone(),
        },
        context: ContextFacts {
            scopes,
            sender_constraint: constraint(SenderFact::of(&authenticated.bound)),
            method: &request.presented.method,
            route: &request.route,
            now,
            token_age_s: now.duration_since(token.issued_at()).as_secs().max(0),
            token_remaining_s: token.expires_at().duration_since(now).as_secs().max(0),
            delegation_depth: i64::try_from(token.delegation().actors().len()).unwrap_or(i64::MAX),
            actor: token.delegation().current_actor().map(|actor| actor.id().as_str()),
        },
    };
    generation.policies.decide(&question).map_err(Fault::Policy)
}

fn constraint(sender: SenderFact) -> SenderConstraint {
    match sender {
        SenderFact::Bearer => SenderConstraint::Bearer,
        SenderFact::Dpop => SenderConstraint::Dpop,
        SenderFact::Mtls => SenderConstraint::Mtls,
        SenderFact::DpopAndMtls => SenderConstraint::DpopMtls,
    }
}

//! Sixth stage: what the policies say of this action on this resource.

use exequatur_policy::{
    Answer, ContextFacts, Permitted, PolicyFault, Question, ResourceFact, SenderConstraint, SignalFacts,
    SubjectSignals, Who,
};
use exequatur_store::{DeviceCompliance, OfSubject, RevocationKind, RiskLevel};
use jiff::Timestamp;

use crate::admit::Admitted;
use crate::decider::Decider;
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
/// [`Denial::Forbidden`], [`Denial::NotPermitted`]; a fault if a policy failed, even beside a permit, or reads what signals have
/// said where that is not known.
pub(crate) fn authorize(
    admitted: Admitted,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Authorized, Refusal> {
    let answer = ask(&admitted, decider, generation, now)?;
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

fn ask(
    admitted: &Admitted,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
) -> Result<Answer, Fault> {
    let authenticated = &admitted.required.authenticated;
    let request = &authenticated.request;
    let token = authenticated.bound.token().token();
    let scopes: Vec<&str> = token.scopes().iter().collect();
    let told = told(admitted, decider, now);
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
            signals: told.as_ref().map(|[agent, user, session]| SignalFacts {
                agent: signals(agent),
                user: signals(user),
                session: signals(session),
            }),
        },
    };
    generation.policies.decide(&question).map_err(|fault| match fault {
        PolicyFault::SignalsUnknown => Fault::Signals,
        fault @ (PolicyFault::Evaluation { .. } | PolicyFault::Question(_)) => Fault::Policy(fault),
    })
}

/// What signals have said of agent, user and session; `None` if that is not known (V08). What was heard too long ago is gone by
/// only where that is so for revocations too, and recorded.
fn told(admitted: &Admitted, decider: &Decider, now: Timestamp) -> Option<[OfSubject; 3]> {
    let targets = || admitted.required.authenticated.known.revocable_by.iter().map(|asked| &asked.target);
    // The first agent is the caller; actors of the chain come after it.
    let first = |kind| targets().find(|target| target.kind == kind);
    let kinds = [RevocationKind::Agent, RevocationKind::User, RevocationKind::Session];
    decider.subjects().ask(kinds.map(first), admitted.is_degraded(), now).ok()
}

fn signals(of: &OfSubject) -> SubjectSignals<'_> {
    let assurance = of.assurance.iter().map(|assurance| (assurance.namespace(), assurance.level()));
    SubjectSignals {
        risk: of.risk.map(RiskLevel::word),
        device: of.device.map(DeviceCompliance::word),
        assurance: assurance.collect(),
    }
}

fn constraint(sender: SenderFact) -> SenderConstraint {
    match sender {
        SenderFact::Bearer => SenderConstraint::Bearer,
        SenderFact::Dpop => SenderConstraint::Dpop,
        SenderFact::Mtls => SenderConstraint::Mtls,
        SenderFact::DpopAndMtls => SenderConstraint::DpopMtls,
    }
}

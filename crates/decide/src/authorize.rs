//! Sixth stage: what the policies say of this action on this resource.

use exequatur_policy::{
    Answer, AuthenticationFacts, ContextFacts, Granted, Permitted, PolicyFault, Question, ResourceFact,
    SenderConstraint, SignalFacts, SubjectSignals, TokenSource, Who,
};
use exequatur_store::{DeviceCompliance, OfSubject, RevocationKind, RiskLevel};
use exequatur_token::{Authentication, AuthorizationDetail, AuthorizationDetails};
use jiff::Timestamp;

use crate::admit::Admitted;
use crate::decider::Decider;
use crate::denial::{Denial, Fault, Refusal};
use crate::generation::Generation;
use crate::route::GuardedRequest;
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
        Answer::NoPermit { principal } => {
            trail.facts.unpermitted = Some(principal);
            Err(Denial::NotPermitted { principal }.into())
        }
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
        principals: request.guard.principals,
        action: &request.guard.action,
        resource: ResourceFact {
            kind: &request.guard.resource.kind,
            id: &request.resource.id,
            tenant: request.resource.tenant.as_deref().map(|tenant| generation.tenants.fact(tenant)),
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
            token_lifetime_s: token.expires_at().duration_since(token.issued_at()).as_secs().max(0),
            token_source: source(token.source()),
            authentication: authentication(token.authentication(), now),
            authorization_details: details(token.authorization_details(), request),
            federation: admitted.required.reach.federation().map(|rule| rule.name.as_str()),
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

/// RFC 9470: an `auth_time` ahead of `now`, as far as it may be, is one of now.
fn authentication(of: &Authentication, now: Timestamp) -> AuthenticationFacts<'_> {
    AuthenticationFacts {
        acr: of.context(),
        methods: of.methods().collect(),
        age_s: of.at().map(|at| now.duration_since(at).as_secs().max(0)),
    }
}

/// Those that are for this place, if they say where they are for (RFC 9396 §2.2), and of which no member is passed over: what
/// only a type knows may narrow it, unless the route leaves that to the upstream.
fn details<'t>(
    of: &'t AuthorizationDetails,
    request: &GuardedRequest,
) -> Vec<exequatur_policy::AuthorizationDetail<'t>> {
    let here = |detail: &&AuthorizationDetail| {
        let audience = request.audience();
        detail.locations().is_none_or(|locations| locations.iter().any(|location| **location == *audience))
    };
    let whole = |detail: &&AuthorizationDetail| {
        detail.others().next().is_none()
            || request.details.iter().any(|needed| needed.leaves_others_of(detail))
    };
    of.iter().filter(here).filter(whole).filter_map(detail).collect()
}

/// A detail that narrows itself by several members is left out: a record of one value would seem to be for all of the others.
fn detail(of: &AuthorizationDetail) -> Option<exequatur_policy::AuthorizationDetail<'_>> {
    let granted = match (of.actions(), of.datatypes(), of.privileges()) {
        (None, None, None) => Granted::Whole,
        (Some(actions), None, None) => Granted::Actions(texts(actions)),
        (None, Some(datatypes), None) => Granted::Datatypes(texts(datatypes)),
        (None, None, Some(privileges)) => Granted::Privileges(texts(privileges)),
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => return None,
    };
    Some(exequatur_policy::AuthorizationDetail { kind: of.kind(), granted, identifier: of.identifier() })
}

fn texts(named: &[Box<str>]) -> Vec<&str> {
    named.iter().map(AsRef::as_ref).collect()
}

/// What signals have said of agent, user and session; `None` if that is not known (V08). What was heard too long ago is gone by
/// only where that is so for revocations too, and recorded.
fn told(admitted: &Admitted, decider: &Decider, now: Timestamp) -> Option<[OfSubject; 3]> {
    let known = &admitted.required.authenticated.known;
    let targets = || known.revocable_by.iter().map(|asked| &asked.target);
    // The first agent is the one that acts and the first user the token's, if it has one; actors come after them.
    let first = |kind| targets().find(|target| target.kind == kind);
    let user = known.token.user().and_then(|_| first(RevocationKind::User));
    let subjects = [first(RevocationKind::Agent), user, first(RevocationKind::Session)];
    decider.subjects().ask(subjects, admitted.is_degraded(), now).ok()
}

fn signals(of: &OfSubject) -> SubjectSignals<'_> {
    let assurance = of.assurance.iter().map(|assurance| (assurance.namespace(), assurance.level()));
    SubjectSignals {
        risk: of.risk.map(RiskLevel::word),
        device: of.device.map(DeviceCompliance::word),
        assurance: assurance.collect(),
    }
}

const fn source(source: exequatur_token::TokenSource) -> TokenSource {
    match source {
        exequatur_token::TokenSource::Jwt => TokenSource::Jwt,
        exequatur_token::TokenSource::Introspection => TokenSource::Introspection,
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

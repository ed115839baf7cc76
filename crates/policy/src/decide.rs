use std::sync::Arc;

use cedar_policy::{Decision, Request};

use crate::answers::Print;
use crate::entities::Asked;
use crate::question::{Identity, PrincipalKind, Question};
use crate::set::PolicySet;
use crate::slice::{ActionSlices, Slice};
use crate::subject::Subject;

/// What the policies say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// At least one `permit` holds and no `forbid`.
    Permit(Permitted),
    /// At least one `forbid` holds.
    Forbid {
        /// The `forbid` policies that hold, sorted.
        policies: Vec<Arc<str>>,
    },
    /// Nothing holds.
    NoPermit {
        /// Whom nothing permits it; the agent, if that is so of both.
        principal: PrincipalKind,
    },
}

/// Evidence that a policy set permitted something; made by [`PolicySet::decide`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permitted {
    policies: Vec<Arc<str>>,
}

impl Permitted {
    /// The `permit` policies that hold, sorted. Never empty.
    pub fn policies(&self) -> &[Arc<str>] {
        &self.policies
    }
}

impl Answer {
    /// The ids of the policies that made the answer what it is, sorted; none for
    /// [`Answer::NoPermit`].
    pub fn policies(&self) -> &[Arc<str>] {
        match self {
            Self::Permit(permitted) => permitted.policies(),
            Self::Forbid { policies } => policies,
            Self::NoPermit { .. } => &[],
        }
    }
}

/// No answer could be had. Never to be read as a permit, and not the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Policies failed while they were evaluated. Cedar would pass them over, and with them perhaps
    /// the `forbid` that mattered.
    #[error("{} of the policies failed in evaluation", policies.len())]
    Evaluation {
        /// The failed policies, sorted.
        policies: Vec<Arc<str>>,
    },
    /// A policy reads what signals have said, and that is not known: as if nobody had said anything would be another answer.
    #[error("it is not known what signals have said of the subjects")]
    SignalsUnknown,
    /// The question does not fit the schema: the route and the policies do not belong together.
    #[error("the question does not fit the schema: {0}")]
    Question(#[from] QuestionMisfit),
}

/// How a question fails to fit the schema. Names are those of the schema or of the route, never
/// values of the request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionMisfit {
    /// The schema has no such action.
    #[error("unknown action")]
    ActionUnknown,
    /// The action does not apply to this resource type.
    #[error("the action does not apply to this resource type")]
    ResourceUnknown,
    /// The resource type is enumerated, and this is none of its ids.
    #[error("the resource type has no entity of this id")]
    ResourceId,
    /// The resource type declares no such attribute (or it is `tenant`, which has its own place).
    #[error("unknown attribute `{0}`")]
    AttributeUnknown(String),
    /// A required attribute has no value.
    #[error("attribute `{0}` is missing")]
    AttributeMissing(String),
    /// An attribute's value is of another type than the schema says.
    #[error("attribute `{0}` has a value of another type")]
    AttributeType(String),
    /// The user is asked about, and there is none, or the action takes no users.
    #[error("no user to ask about")]
    User,
    /// An attribute has two values.
    #[error("attribute `{0}` is given twice")]
    AttributeTwice(String),
    /// Agent, user and resource contradict each other: one entity, two sets of attributes.
    #[error("one entity is described in two ways")]
    EntityTwice,
    /// A value that Cedar cannot represent, for example an instant before the year 0.
    #[error("a value is out of range")]
    Value,
}

impl PolicySet {
    /// Makes somebody ready to ask often, under this set or a later one.
    ///
    /// # Errors
    /// If a value cannot be said in Cedar's terms.
    pub fn subject(&self, identity: &Identity<'_>) -> Result<Subject, PolicyFault> {
        Subject::new(&self.types, identity)
    }

    /// Decides. The same set and question always give the same answer, so one that was given before is given again.
    ///
    /// # Errors
    /// If a policy fails, whatever the others say, and if the question does not fit the schema.
    pub fn decide(&self, question: &Question<'_>) -> Result<Answer, PolicyFault> {
        let action = self.slices.action(question.action).ok_or(QuestionMisfit::ActionUnknown)?;
        let slice = action.on(question.resource.kind).ok_or(QuestionMisfit::ResourceUnknown)?;
        let print = Print::of(question, &slice.needs);
        if let Some(answer) = print.and_then(|print| self.answers.get(&print)) {
            return Ok(answer);
        }
        let answer = self.evaluate(question, action, slice)?;
        if let Some(print) = print {
            self.answers.put(print, &answer);
        }
        Ok(answer)
    }

    /// Asks Cedar.
    pub(crate) fn evaluate(
        &self,
        question: &Question<'_>,
        action: &ActionSlices,
        slice: &Slice,
    ) -> Result<Answer, PolicyFault> {
        let subject = Subject::of(&self.types, &question.who)?;
        let asked = Asked::new(&self.types, question, &subject, action, &slice.resource, &slice.needs)?;
        let mut found = Vec::new();
        for kind in question.principals.kinds() {
            if *kind == PrincipalKind::User && !action.takes_users {
                return Err(QuestionMisfit::User.into());
            }
            let principal = subject.principal(*kind).ok_or(QuestionMisfit::User)?.own();
            let (resource, context) = (asked.resource.clone(), asked.context.clone());
            let request = Request::new(principal, action.uid.clone(), resource, context, None)
                .map_err(|_error| QuestionMisfit::Value)?;
            let mut one = self.ask(&request, &asked, slice);
            if question.context.federation.is_some() {
                one.permits.retain(|id| self.federated.contains(id));
            }
            found.push((*kind, one));
        }
        combine(&found)
    }

    /// Asks Cedar about one principal.
    fn ask(&self, request: &Request, asked: &Asked, slice: &Slice) -> Found {
        let mut found = Found::default();
        for set in slice.sets(&asked.resource, asked.tenant.as_ref()) {
            let response = self.authorizer.is_authorized(request, set, &asked.entities);
            let reasons = response.diagnostics().reason().map(|id| self.id(id));
            match response.decision() {
                Decision::Allow => found.permits.extend(reasons),
                Decision::Deny => found.forbids.extend(reasons),
            }
            found.failed.extend(response.diagnostics().errors().map(|error| match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(error) => self.id(error.policy_id()),
            }));
        }
        found
    }
}

/// The policies that hold for one principal, and those that failed.
#[derive(Debug, Default)]
struct Found {
    permits: Vec<Arc<str>>,
    forbids: Vec<Arc<str>>,
    failed: Vec<Arc<str>>,
}

/// A failure of one is a failure of all, a `forbid` of one forbids, and each of them has to be permitted.
fn combine(found: &[(PrincipalKind, Found)]) -> Result<Answer, PolicyFault> {
    let lacking = found.iter().find(|(_, one)| one.permits.is_empty()).map(|(kind, _)| *kind);
    let of = |pick: fn(&Found) -> &Vec<Arc<str>>| {
        let mut ids: Vec<_> = found.iter().flat_map(|(_, one)| pick(one)).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (failed, policies) = (of(|one| &one.failed), of(|one| &one.forbids));
    match (failed.is_empty(), policies.is_empty(), lacking) {
        (false, _, _) => Err(PolicyFault::Evaluation { policies: failed }),
        (true, false, _) => Ok(Answer::Forbid { policies }),
        (true, true, Some(principal)) => Ok(Answer::NoPermit { principal }),
        (true, true, None) if found.is_empty() => Err(QuestionMisfit::User.into()),
        (true, true, None) => Ok(Answer::Permit(Permitted { policies: of(|one| &one.permits) })),
    }
}

#[cfg(test)]
mod tests;

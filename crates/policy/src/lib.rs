//! What is permitted: schema, policies, decisions and policy tests, all in Cedar.
//!
//! A [`PolicyFolder`] is read once ([`PolicyFolder::read`] is the only file access), becomes a
//! validated [`PolicySet`], and answers [`Question`]s. Everything is pure and synchronous: `now` is
//! part of the question. Where a policy fails, the answer is a [`PolicyFault`] and never a permit.

mod answers;
mod base;
mod check;
mod decide;
mod entities;
mod extent;
mod federation;
mod format;
mod needs;
mod parse;
mod prior;
mod problem;
mod question;
mod schema;
mod set;
mod shape;
mod slice;
mod source;
mod subject;
mod test_suite;
#[cfg(test)]
mod testing;

pub use base::{BASE_SCHEMA, BASE_SCHEMA_VERSION};
pub use check::RouteMisfit;
pub use decide::{Answer, Permitted, PolicyFault, QuestionMisfit};
pub use extent::{Excess, MAX_COPIED, MAX_DEPTH, yaml_extent};
pub use format::format;
pub use problem::{Colour, Problem, Problems};
pub use question::{
    AttributeValue, AuthenticationFacts, AuthorizationDetail, ContextFacts, Granted, Identity, Principal,
    PrincipalKind, Principals, Question, ResourceFact, SenderConstraint, SignalFacts, SubjectSignals,
    TenantFact, TokenSource, Who,
};
pub use schema::merged_schema;
pub use set::PolicySet;
pub use shape::{AttributeKind, EntityKind};
pub use source::{Limits, PolicyFolder, Source};
pub use subject::Subject;
pub use test_suite::{CaseResult, Outcome, Verdict, never_determining, run};

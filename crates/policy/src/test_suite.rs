//! Policy tests: YAML files of cases, each a question with the answer and the policies that it has to
//! have.

mod case;
mod circumstances;
mod layers;
mod yaml;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::decide::{Answer, PolicyFault};
use crate::problem::Problems;
use crate::set::PolicySet;
use crate::source::Source;
use case::Case;

/// What a case expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Permitted.
    Permit,
    /// Forbidden by a policy.
    Forbid,
    /// No policy holds.
    NoPermit,
}

impl Verdict {
    /// As test files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
            Self::NoPermit => "no_permit",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Permit, Self::Forbid, Self::NoPermit].into_iter().find(|each| each.as_str() == text)
    }
}

/// A verdict and the policies that it is due to, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The policies; none with [`Verdict::NoPermit`].
    pub policies: Vec<Arc<str>>,
}

impl From<Answer> for Outcome {
    fn from(answer: Answer) -> Self {
        let verdict = match &answer {
            Answer::Permit(_) => Verdict::Permit,
            Answer::Forbid { .. } => Verdict::Forbid,
            Answer::NoPermit { .. } => Verdict::NoPermit,
        };
        Self { verdict, policies: answer.policies().to_vec() }
    }
}

/// One case, run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// The case's name; unique in its file.
    pub name: String,
    /// The file, as in [`Source::name`].
    pub file: String,
    /// The line where the case begins, from 1.
    pub line: usize,
    /// What the case expects.
    pub expected: Outcome,
    /// What the policies say.
    pub got: Result<Outcome, PolicyFault>,
}

impl CaseResult {
    /// Whether verdict and policies are those that the case expects.
    pub fn passed(&self) -> bool {
        self.got.as_ref() == Ok(&self.expected)
    }
}

/// Runs every case of a test file.
///
/// # Errors
/// Every mistake in the file; then no case is run.
pub fn run(set: &PolicySet, source: &Source) -> Result<Vec<CaseResult>, Problems> {
    let cases = case::read(set, source)?;
    let result = |case: Case| CaseResult {
        got: case.ask(set).map(Outcome::from),
        name: case.name,
        file: source.name.clone(),
        line: case.line,
        expected: case.expected,
    };
    Ok(cases.into_iter().map(result).collect())
}

/// The policies that determined no answer in any of these cases, sorted: nothing tests them.
pub fn never_determining(set: &PolicySet, results: &[CaseResult]) -> Vec<Arc<str>> {
    let determining: BTreeSet<&Arc<str>> =
        results.iter().filter_map(|result| result.got.as_ref().ok()).flat_map(|got| &got.policies).collect();
    set.ids().filter(|id| !determining.contains(id)).cloned().collect()
}

#[cfg(test)]
mod tests;

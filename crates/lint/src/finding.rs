//! What is reported.

use crate::rule::{Rule, Severity};
use crate::tree::Place;

/// One setting that opens a hole, or may.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The rule that it breaks.
    pub rule: &'static Rule,
    /// How bad it is here.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is there, or is missing.
    pub message: String,
}

/// A breach that the operator has named, with a reason.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The rule that would have been broken.
    pub rule: &'static Rule,
    /// Where.
    pub place: Place,
    /// What is there.
    pub message: String,
    /// Why it may be, in the operator's words.
    pub reason: String,
}

/// Everything that was found, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must be mended. Empty: the configuration is clean.
    pub findings: Vec<Finding>,
    /// What is allowed by name.
    pub allowed: Vec<Allowed>,
}

//! How a command ends: exit codes are part of the interface.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Shown below `--help`.
pub(crate) const HELP: &str = "Exit codes: 0 done; 1 not permitted, or findings; 2 wrong usage; 3 invalid configuration or policies; \
    4 policy tests failed; 5 anything else (files, listeners, network)";

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request that was checked or called is not permitted; what there is to say has been said.
    NotPermitted,
    /// A linter found something; what there is to say has been said.
    Findings,
    /// Arguments that do not fit together.
    Usage(String),
    /// Configuration or policies.
    Invalid(String),
    /// Policy tests; what there is to say has been said.
    TestsFailed,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Anything else, by its own words.
    pub(crate) fn other(error: impl Display) -> Self {
        Self::Other(error.to_string())
    }

    /// A mistake in configuration or policies.
    pub(crate) fn invalid(error: impl Display) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Prints to standard output; a closed pipe ends the command quietly.
pub(crate) fn say(text: impl Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::other)
}

/// The process's exit code.
pub(crate) fn finish(outcome: Result<(), Failure>) -> ExitCode {
    let (code, text) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::NotPermitted | Failure::Findings) => (1, None),
        Err(Failure::Usage(text)) => (2, Some(text)),
        Err(Failure::Invalid(text)) => (3, Some(text)),
        Err(Failure::TestsFailed) => (4, None),
        Err(Failure::Other(text)) => (5, Some(text)),
    };
    if let Some(text) = text {
        // Nobody is left to tell if this fails too.
        drop(writeln!(std::io::stderr(), "exequatur: {text}"));
    }
    ExitCode::from(code)
}

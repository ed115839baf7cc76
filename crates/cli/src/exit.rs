//! How a command ends: exit codes are part of the interface.

use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Shown below `--help`.
pub(crate) const HELP: &str = "Exit codes: 0 done; 1 not permitted, findings, or not found; 2 wrong usage; \
    3 invalid configuration or policies; 4 policy tests failed, or policies not laid out; 5 anything \
    else (files, listeners, network); 6 records that nothing vouches for, or that could not all be read";

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request that was checked or called is not permitted; what there is to say has been said.
    NotPermitted,
    /// A linter found something; what there is to say has been said.
    Findings,
    /// Records are as they were written as far as that can be known, and not all can; what there is to say has been said.
    Unvouched,
    /// What was asked for is not there; what there is to say has been said.
    NotFound,
    /// Arguments that do not fit together.
    Usage(String),
    /// Configuration or policies.
    Invalid(String),
    /// Policy tests, or the layout of policies; what there is to say has been said.
    TestsFailed,
    /// Whoever read the output has stopped reading: there is nobody to tell.
    ReaderGone,
    /// Anything else.
    Other(String),
}

impl Failure {
    /// Anything else, by its own words.
    pub(crate) fn other(error: impl Display) -> Self {
        Self::Other(error.to_string())
    }

    /// Standard output takes no more.
    pub(crate) fn unsaid(error: std::io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe { Self::ReaderGone } else { Self::other(error) }
    }

    /// A mistake in configuration or policies.
    pub(crate) fn invalid(error: impl Display) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::Invalid(text) | Self::Other(text) => f.write_str(text),
            Self::NotPermitted | Self::Findings | Self::Unvouched | Self::NotFound | Self::TestsFailed => {
                f.write_str("what there is to say has been said")
            }
            Self::ReaderGone => f.write_str("whoever read has gone"),
        }
    }
}

/// Prints to standard output; a closed pipe ends the command quietly.
pub(crate) fn say(text: impl Display) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(Failure::unsaid)
}

/// Prints to standard error.
pub(crate) fn warn(text: impl Display) {
    // Nobody is left to tell if this fails too.
    drop(writeln!(std::io::stderr(), "exequatur: {text}"));
}

/// The process's exit code.
pub(crate) fn finish(outcome: Result<(), Failure>) -> ExitCode {
    let (code, text) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::NotPermitted | Failure::Findings | Failure::NotFound) => (1, None),
        Err(Failure::Usage(text)) => (2, Some(text)),
        Err(Failure::Invalid(text)) => (3, Some(text)),
        Err(Failure::TestsFailed) => (4, None),
        // Not 0: for some commands that would be a permit.
        Err(Failure::ReaderGone) => (5, None),
        Err(Failure::Other(text)) => (5, Some(text)),
        Err(Failure::Unvouched) => (6, None),
    };
    if let Some(text) = text {
        warn(text);
    }
    ExitCode::from(code)
}

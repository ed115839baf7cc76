//! Reads an Envoy bootstrap and reports each setting that opens a hole. Text in, findings out.
//!
//! [`lint`] reads the text as Envoy does ([`reader`](self)), walks every listener, filter chain, connection
//! manager, route and cluster, and holds them against the rules, one file per family below `rules/`. What
//! cannot be judged from the file is a finding too.

mod allowance;
mod finding;
mod linter;
mod names;
mod reader;
mod rule;
mod rules;
#[cfg(test)]
mod tests;
mod tree;

use std::time::Duration;

pub use finding::{Allowed, Finding, Report};
pub use reader::{Cause, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Unreadable};
pub use rule::{Key, Part, Rule, Severity};
pub use rules::all as rules;
pub use tree::Place;

use linter::Linter;

/// What the rules have to know of Exequatur.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its deadline for a decision. Envoy has to wait for at least [`MARGIN`] longer.
    pub deadline: Duration,
    /// Every header name that a permit may set or remove, in lower case.
    pub headers: Vec<String>,
    /// Those by which an upstream is asked for another method or path, in lower case with `-`. A request with
    /// another spelling of one is refused, if the decision sees it.
    pub overrides: Vec<String>,
    /// The longest Check that it reads, in bytes.
    pub largest_check: usize,
}

/// What Envoy's time-out leaves at least for the way there and back, above Exequatur's deadline.
pub const MARGIN: Duration = Duration::from_millis(50);

/// Judges a bootstrap, in YAML or JSON.
///
/// # Errors
/// [`Unreadable`] if the text is not one configuration that both Envoy and this crate read in the same way.
pub fn lint(text: &str, options: &Options) -> Result<Report, Unreadable> {
    let bootstrap = reader::read(text)?;
    let mut linter = Linter::new(options);
    rules::bootstrap::judge(&bootstrap, &mut linter);
    Ok(linter.finish())
}

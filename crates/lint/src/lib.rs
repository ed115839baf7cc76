//! Reads an Envoy bootstrap, or what a mesh or gateway makes one from, and reports each setting that opens a hole. Text in,
//! findings out.
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
mod ways;

use std::time::Duration;

pub use finding::{Allowed, Finding, Report};
pub use reader::{Cause, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Unreadable};
pub use rule::{Key, Part, Rule, Severity};
pub use rules::{all as rules, table};
pub use tree::Place;

pub use ways::{Endpoint, Way, ways};

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

/// Judges a configuration, in YAML or JSON: a bootstrap of Envoy's, or resources for what configures Envoy.
///
/// # Errors
/// [`Unreadable`] if the text is not one configuration that both its reader and this crate read in the same way.
pub fn lint(text: &str, options: &Options) -> Result<Report, Unreadable> {
    lint_all(&[text], options)
}

/// Judges several texts. A bootstrap is judged by itself; resources are judged together, whichever text they stand in.
///
/// # Errors
/// [`Unreadable`], with the number of the text in its place.
pub fn lint_all(texts: &[&str], options: &Options) -> Result<Report, Unreadable> {
    let mut linter = Linter::new(options);
    let mut resources = Vec::new();
    let mut bootstraps = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let inside = |error: Unreadable| Unreadable { place: Place { text: index, ..error.place }, ..error };
        let documents = reader::read_all(text).map_err(inside)?;
        if documents.iter().any(rules::resources::is_one) {
            let documents = documents.into_iter().map(|document| document.moved(index, 0, usize::MAX));
            resources.extend(documents.collect::<Vec<_>>());
        } else {
            bootstraps.push(reader::read(text).map_err(inside)?.moved(index, 0, usize::MAX));
        }
    }
    for bootstrap in &bootstraps {
        rules::bootstrap::judge(bootstrap, &mut linter);
    }
    if !resources.is_empty() {
        rules::resources::judge(resources, texts, &mut linter)?;
    }
    Ok(linter.finish())
}

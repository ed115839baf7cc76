//! `exequatur policy check|test|schema|fmt`

mod fmt;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use exequatur_policy::{Limits, Outcome, PolicyFolder, PolicySet};

use crate::exit::{Failure, say};

/// Look at policies.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Check schema and policies; every mistake is shown.
    Check(Folder),
    /// Run the tests beside the policies.
    Test(Folder),
    /// Print the merged schema: the base schema and that of the folder, in Cedar's schema syntax.
    Schema(Folder),
    Fmt(fmt::Fmt),
}

#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The policy folder.
    #[arg(default_value = "policies", value_name = "FOLDER")]
    folder: PathBuf,
}

impl Policy {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(Folder { folder }) => {
                let (_, set) = load(&folder)?;
                for warning in set.warnings() {
                    say(warning.render(exequatur_policy::Colour::Plain))?;
                }
                say(format_args!(
                    "{}: valid ({} policies, {} of them unscoped, set {})",
                    folder.display(),
                    set.len(),
                    set.unscoped(),
                    set.content_hash(),
                ))
            }
            Self::Test(Folder { folder }) => test(&folder),
            Self::Schema(Folder { folder }) => schema(&folder),
            Self::Fmt(fmt) => fmt.run(),
        }
    }
}

fn load(folder: &Path) -> Result<(PolicyFolder, Arc<PolicySet>), Failure> {
    let files = PolicyFolder::read(folder, Limits::default()).map_err(Failure::invalid)?;
    let set = PolicySet::load(&files).map_err(Failure::invalid)?;
    Ok((files, set))
}

/// Broken policies do not keep anyone from the schema that they are to be mended with.
fn schema(folder: &Path) -> Result<(), Failure> {
    let files = PolicyFolder::read(folder, Limits::default()).map_err(Failure::invalid)?;
    let text = exequatur_policy::merged_schema(&files.schema).map_err(Failure::invalid)?;
    say(text.trim_end())
}

fn test(folder: &Path) -> Result<(), Failure> {
    let (files, set) = load(folder)?;
    let mut results = Vec::new();
    for source in &files.tests {
        results.extend(exequatur_policy::run(&set, source).map_err(Failure::invalid)?);
    }
    let mut failed = 0_usize;
    for result in results.iter().filter(|result| !result.passed()) {
        failed = failed.saturating_add(1);
        say(format_args!("{}:{}: {}", result.file, result.line, result.name))?;
        say(format_args!("    expected {}", outcome(&result.expected)))?;
        match &result.got {
            Ok(got) => say(format_args!("    got      {}", outcome(got)))?,
            Err(fault) => say(format_args!("    got      a fault: {fault}"))?,
        }
    }
    for id in exequatur_policy::never_determining(&set, &results) {
        say(format_args!("note: no case is determined by policy `{id}`"))?;
    }
    say(format_args!("{} passed, {failed} failed", results.len().saturating_sub(failed)))?;
    if failed == 0 { Ok(()) } else { Err(Failure::TestsFailed) }
}

fn outcome(outcome: &Outcome) -> String {
    let policies: Vec<&str> = outcome.policies.iter().map(AsRef::as_ref).collect();
    format!("{} {}", outcome.verdict.as_str(), policies.join(", "))
}

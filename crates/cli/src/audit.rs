//! `exequatur audit …`

mod asked;
mod export;
mod prove;
mod query;
mod readable;
mod row;
mod source;
mod tail;
mod timeline;
mod verify;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use exequatur_audit::{DecisionId, Found, Search, search};
use exequatur_server::config;
use serde_json::json;

use crate::exit::{Failure, say};
use crate::output::{Output, say_json};

/// Read large pieces: a file of records may have many gigabytes.
const BUFFER: usize = 256 * 1024;

/// Look at decision records, and check them.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    Show(Show),
    Query(Box<query::Query>),
    Timeline(Box<timeline::Timeline>),
    Tail(Box<tail::Tail>),
    Export(export::Export),
    Verify(verify::Verify),
    Prove(prove::Prove),
    VerifyProof(prove::VerifyProof),
}

/// Show the record of one decision, and what came of it.
///
/// Ends with 1 if no file has it. Files are read from their beginning to their end, in the order given.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The decision's id, as denials quote it and `x-exequatur-decision` carries it.
    #[arg(value_name = "DECISION")]
    decision: String,
    /// The configuration file, whose `records.file` is searched.
    #[arg(long, short, value_name = "FILE", required_unless_present = "file")]
    config: Option<PathBuf>,
    /// A file of records, such as one that was rotated; `-` for standard input. May be repeated.
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// A file and what was found in it.
struct Searched {
    name: String,
    search: Search,
}

impl Audit {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(),
            Self::Query(query) => query.run(),
            Self::Timeline(timeline) => timeline.run(),
            Self::Tail(tail) => tail.run(),
            Self::Export(export) => export.run(),
            Self::Verify(verify) => verify.run(),
            Self::Prove(prove) => prove.run(),
            Self::VerifyProof(verify) => verify.run(),
        }
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let id = DecisionId::parse(&self.decision).map_err(|error| Failure::Usage(error.to_string()))?;
        let mut searched = Vec::new();
        for path in self.paths()? {
            searched.push(open(&path, &id)?);
        }
        match self.output {
            Output::Text => {
                tell(&searched)?;
                tell_outcomes(&searched)?;
            }
            Output::Json => tell_json(&self.decision, &searched)?,
        }
        if searched.iter().any(|file| !file.search.found.is_empty()) {
            return Ok(());
        }
        if let Output::Text = self.output {
            complain(&self.decision, &searched);
        }
        Err(Failure::NotFound)
    }

    fn paths(&self) -> Result<Vec<PathBuf>, Failure> {
        let mut paths = self.file.clone();
        if let Some(path) = &self.config {
            let config = config::load(path).map_err(Failure::invalid)?;
            let Some(records) = config.records else {
                return Err(Failure::Usage(format!("{}: no records are kept (`records`)", path.display())));
            };
            let Some(file) = records.file else {
                return Err(Failure::Usage(format!(
                    "{}: records are kept in no file (`records.file`)",
                    path.display()
                )));
            };
            paths.push(file);
        }
        Ok(paths)
    }
}

fn open(path: &Path, id: &DecisionId) -> Result<Searched, Failure> {
    let unreadable = |error| Failure::Other(format!("{} cannot be read: {error}", path.display()));
    let read = |reader: &mut dyn BufRead, name: String| -> Result<Searched, Failure> {
        Ok(Searched { name, search: search(&mut &mut *reader, id).map_err(unreadable)? })
    };
    if path == Path::new("-") {
        return read(&mut std::io::stdin().lock(), "standard input".to_owned());
    }
    let file = File::open(path).map_err(unreadable)?;
    read(&mut BufReader::with_capacity(BUFFER, file), path.display().to_string())
}

fn tell(searched: &[Searched]) -> Result<(), Failure> {
    let mut first = true;
    for Searched { name, search } in searched {
        for found in &search.found {
            if !first {
                say("")?;
            }
            first = false;
            say(readable::record(found, name))?;
        }
        if search.more > 0 {
            say(format_args!("\n{} more records of this decision in {name}", search.more))?;
        }
    }
    Ok(())
}

/// What came of the decision, from all files at once: with several replicas it may stand in another file than the record.
fn tell_outcomes(searched: &[Searched]) -> Result<(), Failure> {
    let mut reported = 0_u64;
    for Searched { name, search } in searched {
        for found in &search.outcomes {
            reported = reported.saturating_add(1);
            say(format_args!("\n{}", readable::outcome(found, name)))?;
        }
        if search.more_outcomes > 0 {
            say(format_args!("\n{} more outcomes of this decision in {name}", search.more_outcomes))?;
        }
    }
    let mut verdicts = searched.iter().flat_map(|file| &file.search.found);
    let Some(Found { record, .. }) = verdicts.next().filter(|_| reported == 0) else { return Ok(()) };
    say(format_args!("\n{}", readable::no_outcome(record)))
}

/// What makes an absence less than certain is said with it.
fn complain(decision: &str, searched: &[Searched]) {
    let mut notes = vec![format!("no record of decision {decision}")];
    for Searched { name, search } in searched {
        let Search { lines, gaps, unreadable, torn, .. } = search;
        notes.push(format!("  {name}: {lines} lines read"));
        if *gaps > 0 {
            notes.push(format!("  {name}: {gaps} decisions could not be recorded, says the file"));
        }
        if *unreadable > 0 {
            notes.push(format!("  {name}: {unreadable} damaged lines name it"));
        }
        if *torn {
            notes.push(format!("  {name}: the last line is torn, or is just being written"));
        }
    }
    crate::exit::warn(notes.join("\n"));
}

fn tell_json(decision: &str, searched: &[Searched]) -> Result<(), Failure> {
    let records = searched.iter().flat_map(|Searched { name, search }| {
        search
            .found
            .iter()
            .map(move |found| json!({ "file": name, "line": found.line, "in_chain": found.standing.in_chain(), "record": found.record }))
    });
    let outcomes = searched.iter().flat_map(|Searched { name, search }| {
        let outcomes = search.outcomes.iter();
        outcomes.map(move |found| {
            json!({ "file": name, "line": found.line, "in_chain": found.standing.in_chain(), "outcome": found.record })
        })
    });
    let files = searched.iter().map(|Searched { name, search }| {
        let Search { found: _, more, outcomes: _, more_outcomes, lines, gaps, unreadable, torn } = search;
        json!({
            "file": name, "lines": lines, "more": more, "more_outcomes": more_outcomes, "gaps": gaps, "unreadable": unreadable, "torn": torn,
        })
    });
    say_json(&json!({
        "decision": decision,
        "records": records.collect::<Vec<_>>(),
        "outcomes": outcomes.collect::<Vec<_>>(),
        "searched": files.collect::<Vec<_>>(),
    }))
}

//! `exequatur audit timeline`

use std::path::PathBuf;

use clap::Args;
use exequatur_audit::{Came, Event, LineKind, Merge, Tally, Unreadable};
use serde_json::Value;

use super::asked::Asked;
use super::query::{Within, come_to};
use super::row::{Printer, event};
use super::source::Source;
use super::verify::unreadable;
use crate::exit::Failure;
use crate::output::Output;

/// Show what happened, in the order of time.
///
/// Reads all files at once, of several replicas too, and shows the decisions that were asked for, each with what came of it; the
/// orders that concern them; and, whoever is asked for, what may be missing: gaps, and when a writer began and ended. Ends
/// with 1 if no decision, order or outcome is there, and with 6 as `query` does.
#[derive(Debug, Args)]
pub(crate) struct Timeline {
    /// A file of records; `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    within: Within,
    /// How wide rows may be; unless given, as wide as the terminal, and not folded where there is none.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    /// `json`: the lines as they stand in the files, an outcome behind its decision.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Timeline {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let criteria = self.asked.criteria(&self.files)?;
        let from = self.within.from(&criteria)?;
        let (mut names, mut sources) = (Vec::new(), Vec::new());
        for path in &self.files {
            let (name, lines) = Source::open_from(path, from, self.files.len())?.into_lines();
            names.push(name);
            sources.push(lines);
        }
        let unread = |Unreadable { file, error }| match self.files.get(file) {
            Some(path) => unreadable(path, &error),
            None => Failure::other(error),
        };
        let mut merge = Merge::new(sources).map_err(unread)?;
        let mut timeline = exequatur_audit::Timeline::new(&criteria);
        let mut tallies = vec![Tally::default(); names.len()];
        let (mut printer, mut found) = (Printer::new(self.width), 0_u64);
        loop {
            let taken = merge.next_line(|file, time, line| {
                if let Some(tally) = tallies.get_mut(file) {
                    tally.take(timeline.filter(), line);
                }
                timeline.take(time, line.bytes);
            });
            let more = taken.map_err(unread)?.is_some();
            if !more {
                timeline.end();
            }
            while let Some(event) = timeline.next_event() {
                found = found.saturating_add(u64::from(is_of_somebody(&event)));
                self.print(&mut printer, &event)?;
            }
            if !more {
                break;
            }
        }
        printer.flush()?;
        let read: Vec<_> = names.into_iter().zip(tallies).collect();
        come_to(found, &read)
    }

    fn print(&self, printer: &mut Printer, happened: &Event) -> Result<(), Failure> {
        if self.output == Output::Text {
            let record: Value = serde_json::from_slice(&happened.line).map_err(Failure::other)?;
            return printer.row(&event(happened, &record));
        }
        printer.line(&happened.line)?;
        match &happened.came {
            Came::Reported(outcome) => printer.line(outcome),
            Came::Nothing | Came::NotYet | Came::Never => Ok(()),
        }
    }
}

const fn is_of_somebody(event: &Event) -> bool {
    match event.kind {
        LineKind::Decision | LineKind::Outcome | LineKind::Order => true,
        LineKind::Gap | LineKind::SinkGap | LineKind::Header | LineKind::Checkpoint => false,
    }
}

//! `exequatur audit query`

use std::path::PathBuf;

use clap::Args;
use exequatur_audit::{Criteria, Filter, Tally};
use exequatur_server::config;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::asked::Asked;
use super::row::{Printer, row, titles};
use super::source::Source;
use crate::exit::{Failure, warn};
use crate::output::{Output, harmless};

/// How long after it is dated a line may be written: decisions last up to 10 s.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_secs(15);

/// Find records by who, for whom, under which delegation, in which trace.
///
/// Reads the files in the order given and prints the lines that were asked for, in the order in which they stand there; all
/// that is asked for has to be so. Ends with 1 if there are none, and with 6 if some lines could not be read as records, or
/// name identities by digests and no key was given, so that there could be more.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// A file of records; `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    within: Within,
    /// Print so many lines at most.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// How wide rows may be; unless given, as wide as the terminal, and not folded where there is none.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    /// `json`: the lines as they stand in the files, one after the other.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// How much of files has to be read.
#[derive(Debug, Args)]
pub(super) struct Within {
    /// No clock that dated these lines was ever further from the time than this: with `--since`, files are then not read from
    /// their beginning. Unless given, every line is looked at.
    #[arg(long, value_name = "DURATION", requires = "since")]
    clock_within: Option<String>,
}

impl Within {
    /// From which time on lines have to be read.
    pub(super) fn from(&self, criteria: &Criteria) -> Result<Option<Timestamp>, Failure> {
        let Some((since, within)) = criteria.since.zip(self.clock_within.as_deref()) else { return Ok(None) };
        let within = config::parse_duration(within).and_then(|within| SignedDuration::try_from(within).ok());
        let within = within
            .ok_or_else(|| Failure::Usage("--clock-within: no duration, such as 15s or 2m".to_owned()))?;
        // One clock may be late and another one early.
        let apart = within.saturating_mul(2).saturating_add(WRITTEN_WITHIN);
        Ok(Some(since.checked_sub(apart).unwrap_or(Timestamp::MIN)))
    }
}

impl Query {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let criteria = self.asked.criteria(&self.files)?;
        let from = self.within.from(&criteria)?;
        let filter = Filter::new(&criteria);
        let mut printer = Printer::new(self.width);
        let (mut found, mut read) = (0_u64, Vec::new());
        'files: for path in &self.files {
            let mut source = Source::open_from(path, from, 1)?;
            let mut tally = Tally::default();
            while let Some(line) = source.next_line()? {
                if !tally.take(&filter, &line) {
                    continue;
                }
                if self.limit.is_some_and(|limit| found >= limit) {
                    warn(format_args!("there are more than {found}: --limit"));
                    read.push((source.name, tally));
                    break 'files;
                }
                if found == 0 && self.output == Output::Text {
                    printer.row(&titles())?;
                }
                found = found.saturating_add(1);
                self.print(&mut printer, line.bytes)?;
            }
            read.push((source.name, tally));
        }
        printer.flush()?;
        come_to(found, &read)
    }

    fn print(&self, printer: &mut Printer, line: &[u8]) -> Result<(), Failure> {
        match self.output {
            Output::Json => printer.line(line),
            Output::Text => {
                let record: Value = serde_json::from_slice(line).map_err(Failure::other)?;
                printer.row(&row(&record))
            }
        }
    }
}

/// Says what makes the answer less than certain, and ends so.
pub(super) fn come_to(found: u64, read: &[(String, Tally)]) -> Result<(), Failure> {
    all_read(read)?;
    if found == 0 {
        let lines = read.iter().map(|(_, tally)| tally.lines).fold(0, u64::saturating_add);
        warn(format_args!("nothing of that kind in {lines} lines"));
        return Err(Failure::NotFound);
    }
    Ok(())
}

/// Whether what is looked for could stand where nothing was understood.
pub(super) fn all_read(read: &[(String, Tally)]) -> Result<(), Failure> {
    for (name, tally) in read {
        let Tally { lines, no_records, torn, gaps, not_given, digested } = tally;
        let say = |text: String| warn(harmless(&format!("{name}: {text}")));
        if *no_records > 0 {
            say(format!("{no_records} of {lines} lines are no records: torn, damaged, or somebody else's"));
        }
        if *torn {
            say("the last line is torn, or is just being written".to_owned());
        }
        if *gaps > 0 {
            say(format!("{gaps} decisions could not be recorded, says the file"));
        }
        if *not_given > 0 {
            say(format!(
                "{not_given} lines are missing in this copy, says the file: its sink did not take them"
            ));
        }
        if *digested {
            say(
                "names stand there as digests (`hmac:…`): --digest-key-file finds them, or the digest itself"
                    .to_owned(),
            );
        }
    }
    if !read.iter().all(|(_, tally)| tally.is_all()) {
        return Err(Failure::Unvouched);
    }
    Ok(())
}

//! `exequatur audit tail`

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use exequatur_audit::{Filter, Follow, Lines, Seen, Tally, last_lines, last_of};
use serde_json::Value;

use super::asked::Asked;
use super::query::come_to;
use super::row::{Printer, row};
use super::verify::unreadable;
use crate::exit::{Failure, warn};
use crate::output::Output;

/// How often is looked whether there is more.
const EVERY: Duration = Duration::from_millis(200);

/// Show the last records that were asked for, and those that come.
///
/// With `--follow` it goes on with the next file once the one of that name was moved away, and reads a file that was cut from its
/// beginning. Ends as `query` does.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The file of records; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show so many; 0 with `--follow` alone.
    #[arg(short = 'n', long = "lines", value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100_000))]
    count: u32,
    /// Go on with those that come.
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    asked: Asked,
    /// How wide rows may be; unless given, as wide as the terminal, and not folded where there is none.
    #[arg(long, value_name = "COLUMNS")]
    width: Option<u16>,
    /// `json`: the lines as they stand in the file.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Why following ends.
struct Ended(Failure);

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self(Failure::other(error))
    }
}

impl Tail {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.count == 0 && !self.follow {
            return Err(Failure::Usage("--lines 0 shows nothing without --follow".to_owned()));
        }
        let criteria = self.asked.criteria(std::slice::from_ref(&self.file))?;
        let filter = Filter::new(&criteria);
        let mut printer = Printer::new(self.width);
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let failed = |error: io::Error| unreadable(&self.file, &error);
        if self.file == Path::new("-") {
            if self.follow {
                return Err(Failure::Usage("--follow needs a file".to_owned()));
            }
            let mut lines = Lines::new(io::stdin());
            let (last, tally) = last_of(&mut lines, &filter, count).map_err(failed)?;
            return self.come_to(&mut printer, &last.into(), tally);
        }
        let mut file = File::open(&self.file).map_err(failed)?;
        if !self.follow {
            let (last, tally) = last_lines(&mut file, &filter, count).map_err(failed)?;
            return self.come_to(&mut printer, &last.into(), tally);
        }
        let mut follow = Follow::at_end(&self.file, file).map_err(failed)?;
        let (last, _) = follow.last_lines(&filter, count).map_err(failed)?;
        for line in last {
            self.print(&mut printer, &line)?;
        }
        self.follow(&filter, &mut printer, &mut follow)
    }

    fn come_to(&self, printer: &mut Printer, last: &Vec<Vec<u8>>, tally: Tally) -> Result<(), Failure> {
        for line in last {
            self.print(printer, line)?;
        }
        printer.flush()?;
        let found = u64::try_from(last.len()).unwrap_or(u64::MAX);
        come_to(found, &[(self.file.display().to_string(), tally)])
    }

    /// Until nobody listens, or somebody ends it.
    fn follow(&self, filter: &Filter, printer: &mut Printer, follow: &mut Follow) -> Result<(), Failure> {
        let (mut tally, mut told) = (Tally::default(), Tally::default());
        loop {
            let mut each = |seen: Seen<'_>| -> Result<(), Ended> {
                match seen {
                    Seen::Line(line) if tally.take(filter, &line) => {
                        self.print(printer, line.bytes).map_err(Ended)?;
                    }
                    Seen::Line(_) => {}
                    Seen::Cut => warn("the file was cut: lines may be missing"),
                    Seen::Another => warn("the file was moved away: on with the next one"),
                }
                Ok(())
            };
            follow.poll(&mut each).map_err(|Ended(failure)| failure)?;
            printer.flush()?;
            tell(&tally, &told);
            told.clone_from(&tally);
            std::thread::park_timeout(EVERY);
        }
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

/// What has become known since it was told last.
fn tell(now: &Tally, told: &Tally) {
    let news = now.no_records.saturating_sub(told.no_records);
    if news > 0 || (now.torn && !told.torn) {
        warn(format_args!("{} lines are no records", news.saturating_add(u64::from(now.torn && !told.torn))));
    }
    if now.digested && !told.digested {
        warn("names stand there as digests (`hmac:…`): --digest-key-file finds them, or the digest itself");
    }
}

//! `exequatur audit export`

use std::io::{BufWriter, IsTerminal as _, Read, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use exequatur_audit::{ExportError, Exported, Format, Skipped, export};

use super::source::open;
use super::verify::unreadable;
use crate::exit::{Failure, warn};
use crate::output::harmless;

/// So many lines that are left out of a file are named.
const MOST_NAMED: u64 = 20;

/// Write records in the form that a collector reads.
///
/// Reads files line by line and writes each line in the form, in the same order, to standard output. Lines that are no
/// records, and a last line that is torn, are left out and told on standard error; then it ends with 6. The chain is not checked:
/// `audit verify` does that.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The form.
    #[arg(long, value_enum)]
    format: Form,
    /// A file of records; `-` for standard input.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Events of the Open Cybersecurity Schema Framework, version 1.8.0.
    Ocsf,
    /// Documents of the Elastic Common Schema, version 9.4.0.
    Ecs,
    /// The lines as they are.
    Own,
}

impl Export {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let format = match self.format {
            Form::Ocsf => Format::Ocsf,
            Form::Ecs => Format::Ecs,
            Form::Own => Format::Own,
        };
        let stdout = std::io::stdout().lock();
        let terminal = stdout.is_terminal();
        let mut out = Out { out: BufWriter::new(stdout), terminal };
        let mut skipped = 0_u64;
        for path in &self.files {
            let (name, mut records) = open(path)?;
            match one(&name, &mut records, format, &mut out) {
                Ok(exported) => skipped = skipped.saturating_add(exported.skipped),
                Err(ExportError::Read(error)) => return Err(unreadable(path, &error)),
                Err(ExportError::Write(error)) => return Err(Failure::unsaid(error)),
            }
        }
        out.flush().map_err(Failure::unsaid)?;
        if skipped > 0 { Err(Failure::Unvouched) } else { Ok(()) }
    }
}

fn one(
    name: &str,
    records: &mut impl Read,
    format: Format,
    out: &mut impl Write,
) -> Result<Exported, ExportError> {
    let mut named = 0_u64;
    let exported = export(records, format, out, |line, why: Skipped| {
        named = named.saturating_add(1);
        if named <= MOST_NAMED {
            warn(harmless(&format!("{name}, line {line}: {why}")));
        }
    })?;
    let Exported { written, skipped, gaps } = exported;
    if skipped > 0 {
        warn(harmless(&format!("{name}: {written} lines written, {skipped} left out")));
    }
    if gaps > 0 {
        warn(harmless(&format!("{name}: {gaps} records are missing, says the file")));
    }
    Ok(exported)
}

/// Standard output; a terminal gets no character that it would obey.
struct Out<W> {
    out: W,
    terminal: bool,
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if self.terminal {
            return self.out.write_all(harmless(&String::from_utf8_lossy(bytes)).as_bytes());
        }
        self.out.write_all(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_nothing_that_it_obeys() {
        let written = |terminal| {
            let mut out = Out { out: Vec::new(), terminal };
            out.write_all(b"a\x1b]0;x\x07\xff\x9bz\n").unwrap();
            out.out
        };
        assert_eq!(written(false), b"a\x1b]0;x\x07\xff\x9bz\n");
        let shown = String::from_utf8(written(true)).unwrap();
        assert!(shown.starts_with('a') && shown.ends_with("z\n"), "{shown:?}");
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
    }
}

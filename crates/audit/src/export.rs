//! Files of records in another form, line by line.

use std::io::{self, Read, Write};

use crate::format::Format;
use crate::lines::{Ending, Line, Lines};

use crate::statement::Statement;

/// What an export came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Lines that were written.
    pub written: u64,
    /// Lines that were not.
    pub skipped: u64,
    /// Decisions, and lines of a sink, that the file itself says are missing.
    pub gaps: u64,
}

/// Why a line was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It says nothing that a line of records says.
    #[error("not a line of records")]
    Foreign,
    /// Longer than 64 KiB.
    #[error("longer than a line of records can be")]
    TooLong,
    /// It has no end: it is being written, or its writer was stopped.
    #[error("torn, or just being written")]
    Torn,
}

/// Why an export did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The records cannot be read.
    #[error("the records cannot be read: {0}")]
    Read(io::Error),
    /// What is exported cannot be written.
    #[error("the output takes no more: {0}")]
    Write(io::Error),
}

/// Reads all of a file of records, and writes its lines in a form. `skipped` is told the number, from 1, of each line that is left
/// out. The chain is not checked. Memory does not depend on the length of the file or of its lines.
///
/// # Errors
/// [`ExportError`]
pub fn export(
    records: impl Read,
    format: Format,
    out: &mut impl Write,
    mut skipped: impl FnMut(u64, Skipped),
) -> Result<Exported, ExportError> {
    let (mut lines, mut exported, mut run) = (Lines::new(records), Exported::default(), String::new());
    while let Some(Line { bytes, number, ending }) = lines.next_line().map_err(ExportError::Read)? {
        let statement = Statement::read(bytes).filter(|_| ending != Ending::TooLong);
        if let Some(begun) = statement.as_ref().and_then(Statement::run) {
            begun.clone_into(&mut run);
        }
        let form = statement.as_ref().and_then(|statement| format.form(&run, statement));
        match (form, statement) {
            (Some(form), Some(statement)) => {
                exported.gaps = exported.gaps.saturating_add(statement.missing());
                out.write_all(&form).and_then(|()| out.write_all(b"\n")).map_err(ExportError::Write)?;
                exported.written = exported.written.saturating_add(1);
            }
            (None, _) | (_, None) => {
                exported.skipped = exported.skipped.saturating_add(1);
                let why = match ending {
                    Ending::Whole => Skipped::Foreign,
                    Ending::Torn => Skipped::Torn,
                    Ending::TooLong => Skipped::TooLong,
                };
                skipped(number, why);
            }
        }
    }
    Ok(exported)
}

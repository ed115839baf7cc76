//! The file that overrides outlive the process in: written whole with each change, and put in place of the one before in
//! one step, so that a crash leaves the one or the other.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::entry::Encoded;
use super::ledger::Ledger;
use crate::disk::Disk;

const NAME: &str = "limits";
const DRAFT: &str = "limits.draft";
/// The first line: name and version of the format, and how many lines follow, so that none can be missing.
const HEADER: &str = "exequatur limits 1 ";

/// Why it is not known which limits are set otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideOpenError {
    /// The system refuses.
    #[error("{}: {cause}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: ErrorKind,
    },
    /// The file does not say what was written.
    #[error("{}: line {line} is not what this version writes; restore the file from a copy, or move it away and set the limits anew", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
    },
}

/// Reads the file, if there is one.
pub(super) fn read(folder: &Path) -> Result<Ledger, OverrideOpenError> {
    let file = folder.join(NAME);
    let bytes = match std::fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ledger::default()),
        Err(error) => return Err(OverrideOpenError::Io { file, cause: error.kind() }),
    };
    parse(&bytes).map_err(|line| OverrideOpenError::Damaged { file, line })
}

/// # Errors
/// The line that cannot be read, or that is missing.
fn parse(bytes: &[u8]) -> Result<Ledger, usize> {
    let text = std::str::from_utf8(bytes).or(Err(1_usize))?;
    let mut lines = text.split_inclusive('\n').zip(1_usize..);
    let header = lines.next().and_then(|(line, _)| line.strip_suffix('\n')?.strip_prefix(HEADER));
    let count = header.and_then(|count| count.parse::<usize>().ok()).ok_or(1_usize)?;
    let (mut ledger, mut last) = (Ledger::default(), 1_usize);
    for (line, number) in lines {
        let entry = line.strip_suffix('\n').and_then(|line| line.split_once('\t'));
        let (place, rest) = entry.ok_or(number)?;
        let (place, revised) = Encoded::read(place, rest).ok_or(number)?;
        ledger.take(place, revised);
        last = number;
    }
    if ledger.len() == count { Ok(ledger) } else { Err(last.saturating_add(1)) }
}

/// Puts a file with this in place of the one that is there. After an error the one before stands.
pub(super) fn write(disk: &Disk, folder: &Path, ledger: &Ledger) -> io::Result<()> {
    let draft = folder.join(DRAFT);
    let mut text = format!("{HEADER}{}\n", ledger.len());
    for encoded in ledger.encoded() {
        let Encoded { place, rest } = encoded?;
        text.push_str(&place);
        text.push('\t');
        text.push_str(&rest);
        text.push('\n');
    }
    let file = disk.create(&draft)?;
    disk.write(&file, text.as_bytes(), 0)?;
    disk.sync(&file)?;
    disk.rename(&draft, &folder.join(NAME))?;
    disk.sync_folder(folder)
}

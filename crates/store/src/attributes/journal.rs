//! The file that attributes outlive the process in: a line for each change, appended and synced before it is answered, and all of
//! it written anew when most lines are over.
//!
//! A line is the check of the rest (16 hexadecimal digits of a SHA-256), place and JSON, with tabs between them. Only the last can
//! be torn: it was never answered then, and is cut. Anything else that does not check out is damage, which is never guessed about.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::entry::{Encoded, Held, Place};
use crate::disk::Disk;

const NAME: &str = "attributes";
const DRAFT: &str = "attributes.draft";
/// The first line: name and version of the format.
const HEADER: &str = "exequatur attributes 1\n";
/// Lines that may be over before the file is written anew, if they are more than those that are not.
const OVER: usize = 10_000;

/// Why it is not known which attributes subjects have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeOpenError {
    /// The system refuses.
    #[error("{}: {cause}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: ErrorKind,
    },
    /// The file does not say what was written.
    #[error("{}: line {line} is not what this version writes; restore the file from a copy, or move it away", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
    },
}

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Disk,
    folder: PathBuf,
    file: File,
    length: u64,
    lines: usize,
    /// It is not known what the file holds: nothing more is written.
    broken: bool,
}

impl Journal {
    /// Opens the file or makes it, and tells every line in it. A torn end is cut.
    pub(super) fn open(
        disk: Disk,
        folder: &Path,
        mut told: impl FnMut(Place, Held),
    ) -> Result<Self, AttributeOpenError> {
        let path = folder.join(NAME);
        let failed = |error: io::Error| AttributeOpenError::Io { file: path.clone(), cause: error.kind() };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (file, length) = write_whole(&disk, folder, &[]).map_err(|(error, _)| failed(error))?;
                return Ok(Self { disk, folder: folder.to_owned(), file, length, lines: 0, broken: false });
            }
            Err(error) => return Err(failed(error)),
        };
        let damaged = |line| AttributeOpenError::Damaged { file: path.clone(), line };
        let (mut length, mut lines) = (0, 0_usize);
        let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        for (line, number) in bytes.split_inclusive(|byte| *byte == b'\n').zip(1_usize..) {
            let end = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(length);
            if number == 1 {
                if line != HEADER.as_bytes() {
                    return Err(damaged(1));
                }
            } else {
                match read_line(line) {
                    Checked::Entry(place, held) => told(place, held),
                    Checked::Torn if end == whole => break,
                    Checked::Torn | Checked::Foreign => return Err(damaged(number)),
                }
                lines = lines.saturating_add(1);
            }
            length = end;
        }
        if length == 0 {
            return Err(damaged(1));
        }
        let file = disk.open(&path).map_err(failed)?;
        if length < whole {
            tracing::warn!(
                offset = length,
                "the file of attributes ended in a change that was never acknowledged; it was cut"
            );
            disk.cut(&file, length).map_err(failed)?;
            disk.sync(&file).map_err(failed)?;
        }
        Ok(Self { disk, folder: folder.to_owned(), file, length, lines, broken: false })
    }

    /// Returns once it is on the disk.
    pub(super) fn append(&mut self, place: &Place, held: &Held) -> io::Result<()> {
        if self.broken {
            return Err(ErrorKind::Other.into());
        }
        let line = line(place, held)?;
        let written = self.disk.write(&self.file, line.as_bytes(), self.length);
        if let Err(error) = written.and_then(|()| self.disk.sync(&self.file)) {
            // What comes next must not stand behind half a line.
            self.broken = self.disk.cut(&self.file, self.length).is_err();
            return Err(error);
        }
        self.length = self.length.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        self.lines = self.lines.saturating_add(1);
        Ok(())
    }

    /// Whether most lines are over, when so many are not.
    pub(super) fn is_long_for(&self, kept: usize) -> bool {
        !self.broken && self.lines.saturating_sub(kept) > OVER.max(kept)
    }

    /// Puts a file with these in place of the one that is there.
    pub(super) fn write_anew(&mut self, kept: &[(Place, Held)]) -> io::Result<()> {
        match write_whole(&self.disk, &self.folder, kept) {
            Ok((file, length)) => {
                (self.file, self.length, self.lines) = (file, length, kept.len());
                Ok(())
            }
            Err((error, replaced)) => {
                // Which of the two has the name after a crash is not known.
                self.broken |= replaced;
                // Not with each change that comes.
                self.lines = kept.len();
                Err(error)
            }
        }
    }
}

/// Writes them apart and gives them the name.
///
/// # Errors
/// And whether the name may have been given.
fn write_whole(disk: &Disk, folder: &Path, kept: &[(Place, Held)]) -> Result<(File, u64), (io::Error, bool)> {
    let draft = folder.join(DRAFT);
    let mut text = HEADER.to_owned();
    for (place, held) in kept {
        text.push_str(&line(place, held).map_err(|error| (error, false))?);
    }
    let written = || {
        let file = disk.create(&draft)?;
        disk.write(&file, text.as_bytes(), 0)?;
        disk.sync(&file)?;
        Ok(file)
    };
    let file = written().map_err(|error| (error, false))?;
    let named = disk.rename(&draft, &folder.join(NAME)).and_then(|()| disk.sync_folder(folder));
    named.map_err(|error| (error, true))?;
    Ok((file, u64::try_from(text.len()).unwrap_or(u64::MAX)))
}

fn line(place: &Place, held: &Held) -> io::Result<String> {
    let Encoded { place, rank: _, json } = Encoded::of(place, held)?;
    let rest = format!("{place}\t{json}\n");
    Ok(format!("{}\t{rest}", check(rest.as_bytes())))
}

fn check(rest: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(rest).into();
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

enum Checked {
    Entry(Place, Held),
    /// It is not whole.
    Torn,
    /// It is whole, and not of this version.
    Foreign,
}

fn read_line(line: &[u8]) -> Checked {
    let text = std::str::from_utf8(line).ok();
    let Some((said, rest)) = text.and_then(|text| text.split_once('\t')) else { return Checked::Torn };
    if said != check(rest.as_bytes()) {
        return Checked::Torn;
    }
    let parts = rest.strip_suffix('\n').and_then(|rest| rest.split_once('\t'));
    match parts.and_then(|(place, json)| Encoded::read(place, json)) {
        Some((place, held)) => Checked::Entry(place, held),
        None => Checked::Foreign,
    }
}

//! The file of records: whole lines or nothing.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::error::AuditError;
use crate::tail::{Tail, tail};

/// A file that is only appended to, by this process only. A regular file is rolled back to its last whole line when
/// an append fails; where that cannot be done, the next append begins a new line.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    regular: bool,
    torn: bool,
    /// What a test lets each sync wait for.
    #[cfg(test)]
    pub(crate) slow: Option<std::sync::mpsc::Receiver<()>>,
}

impl Journal {
    /// Opens or creates the file, readable for its owner only.
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        // A pipe that we could read ourselves would never tell that its reader is gone.
        let readable = std::fs::metadata(path).map_or(true, |metadata| metadata.is_file());
        let opened = OpenOptions::new().read(readable).append(true).create(true).mode(0o600).open(path);
        Self::over(opened.map_err(|error| AuditError::Open(error.kind()))?)
    }

    pub(crate) fn over(mut file: File) -> Result<Self, AuditError> {
        let metadata = file.metadata().map_err(|error| AuditError::Open(error.kind()))?;
        let regular = metadata.is_file();
        if regular {
            match file.try_lock() {
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Err(AuditError::InUse),
                Err(std::fs::TryLockError::Error(error)) => return Err(AuditError::Open(error.kind())),
            }
        }
        let torn = regular && metadata.len() > 0 && !ends_in_newline(&mut file)?;
        Ok(Self {
            file,
            regular,
            torn,
            #[cfg(test)]
            slow: None,
        })
    }

    pub(crate) const fn is_regular(&self) -> bool {
        self.regular
    }

    /// Whether the file may end in a piece of a line.
    pub(crate) const fn is_torn(&self) -> bool {
        self.torn
    }

    /// What the file ends with. Nothing, where it cannot be read again.
    pub(crate) fn tail(&mut self) -> Result<Tail, AuditError> {
        if !self.regular {
            return Ok(Tail::unseen());
        }
        let tail = tail(&mut self.file).map_err(|error| AuditError::Open(error.kind()))?;
        self.torn = tail.unended;
        Ok(tail)
    }

    /// Whether `path` still names this very file.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        let named = std::fs::metadata(path).map(|named| (named.dev(), named.ino()));
        let ours = self.file.metadata().map(|ours| (ours.dev(), ours.ino()));
        matches!((named, ours), (Ok(named), Ok(ours)) if named == ours)
    }

    /// Appends whole lines, all of them or none.
    pub(crate) fn append(&mut self, lines: &[u8], sync: bool) -> Result<(), AuditError> {
        let length = if self.regular {
            Some(self.file.metadata().map_err(|error| AuditError::Write(error.kind()))?.len())
        } else {
            None
        };
        let written = self.write(lines).and_then(|()| if sync { self.sync() } else { Ok(()) });
        if written.is_err() {
            self.roll_back(length);
        }
        written
    }

    /// Returns once the file's contents are on the disk, as far as the system says so.
    pub(crate) fn sync(&self) -> Result<(), AuditError> {
        if !self.regular {
            return Ok(());
        }
        #[cfg(test)]
        if let Some(slow) = &self.slow {
            let _over = slow.recv();
        }
        self.file.sync_data().map_err(|error| AuditError::Sync(error.kind()))
    }

    fn write(&mut self, lines: &[u8]) -> Result<(), AuditError> {
        let failed = |error: std::io::Error| AuditError::Write(error.kind());
        if self.torn {
            self.file.write_all(b"\n").map_err(failed)?;
        }
        self.file.write_all(lines).map_err(failed)?;
        self.torn = false;
        Ok(())
    }

    fn roll_back(&mut self, length: Option<u64>) {
        // What was torn before this append is torn again: the line break that ended it is rolled back too.
        self.torn = match length {
            Some(0) => self.file.set_len(0).is_err(),
            Some(length) => {
                self.file.set_len(length).is_err() || !ends_in_newline(&mut self.file).unwrap_or(false)
            }
            None => true,
        };
    }
}

fn ends_in_newline(file: &mut File) -> Result<bool, AuditError> {
    let read = |file: &mut File| -> std::io::Result<[u8; 1]> {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last)
    };
    match read(file) {
        Ok(last) => Ok(last == *b"\n"),
        // Cut by someone else in the meantime: a new line does no harm.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(AuditError::Open(error.kind())),
    }
}

#[cfg(test)]
mod tests;

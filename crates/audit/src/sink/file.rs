//! Lines into a file, a pipe or the standard output.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Delivery, Outlet, OutletError};
use crate::error::AuditError;
use crate::format::Format;

/// Lines that are appended to something that is open. What is written of a line that could not be ended is taken back, or
/// else ended by a line break before the line comes again.
#[derive(Debug)]
pub struct LineFile {
    format: Format,
    /// Where it can be opened again.
    path: Option<PathBuf>,
    file: File,
    /// It can be cut, and nobody else writes there.
    regular: bool,
    /// Its last line may lack its end.
    torn: bool,
}

impl LineFile {
    /// Opens a file, a device, or a pipe that has its reader. Creates a file with mode 0600.
    ///
    /// # Errors
    /// It cannot be opened, or another process has it.
    pub fn open(path: &Path, format: Format) -> Result<Self, AuditError> {
        let (file, regular) = append_to(path)?;
        let torn = regular && !ends_whole(path);
        Ok(Self { format, path: Some(path.to_owned()), file, regular, torn })
    }

    /// The process's standard output.
    ///
    /// # Errors
    /// It is closed.
    pub fn stdout(format: Format) -> Result<Self, AuditError> {
        let fd = std::io::stdout().as_fd().try_clone_to_owned();
        let file = File::from(fd.map_err(|error| AuditError::Open(error.kind()))?);
        Ok(Self { format, path: None, file, regular: false, torn: false })
    }

    /// Writes as many of the bytes as can be, and says how many that are.
    fn write(&mut self, bytes: &[u8]) -> (usize, Option<ErrorKind>) {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return (written, Some(ErrorKind::WriteZero)),
                Ok(count) => written = written.saturating_add(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return (written, Some(error.kind())),
            }
        }
        (written, None)
    }

    /// Takes back what is behind the last whole line.
    fn take_back(&mut self, bytes: usize) {
        let cut = || {
            let length = self.file.metadata().ok()?.len();
            self.file.set_len(length.checked_sub(u64::try_from(bytes).ok()?)?).ok()
        };
        self.torn = bytes > 0 && !(self.regular && cut().is_some());
    }
}

impl Outlet for LineFile {
    fn deliver(&mut self, run: &str, lines: &[&[u8]]) -> Delivery {
        let (rendered, refused) = self.format.first_of(run, lines);
        if let Some(error) = refused.filter(|_| rendered.is_empty()) {
            return Delivery { taken: 0, refused: 1, error: Some(error) };
        }
        let mut bytes = Vec::new();
        if self.torn {
            bytes.push(b'\n');
        }
        let start = bytes.len();
        for line in &rendered {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        let (written, error) = self.write(&bytes);
        let Some(error) = error else {
            self.torn = false;
            return Delivery { taken: rendered.len(), refused: 0, error: None };
        };
        if written < start {
            return Delivery::cut(0, OutletError::Io(error));
        }
        let through = bytes.get(start..written).unwrap_or_default();
        let whole = memchr::memrchr(b'\n', through).map_or(0, |last| last.saturating_add(1));
        self.take_back(through.len().saturating_sub(whole));
        let taken = memchr::memchr_iter(b'\n', through).count();
        Delivery::cut(taken, OutletError::Io(error))
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        let named = std::fs::metadata(path).map(|named| (named.dev(), named.ino()));
        let ours = self.file.metadata().map(|ours| (ours.dev(), ours.ino()));
        if matches!((named, ours), (Ok(named), Ok(ours)) if named == ours) {
            return;
        }
        // Where nothing better is to be had, the old one goes on.
        if let Ok((file, regular)) = append_to(path) {
            (self.torn, self.file, self.regular) = (regular && !ends_whole(path), file, regular);
        }
    }
}

fn append_to(path: &Path) -> Result<(File, bool), AuditError> {
    let failed = |error: std::io::Error| AuditError::Open(error.kind());
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(failed)?;
    let regular = file.metadata().map_err(failed)?.is_file();
    if regular {
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(AuditError::InUse),
            Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Ok((file, regular))
}

/// Whether a file is empty or ends in a line break.
fn ends_whole(path: &Path) -> bool {
    let last = || -> std::io::Result<bool> {
        let file = File::open(path)?;
        let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(true) };
        let mut byte = [0];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut byte, last)?;
        Ok(byte == *b"\n")
    };
    last().unwrap_or(false)
}

#[cfg(test)]
mod tests;

//! The folder of what outlives the process.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A folder that only this process writes in, as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
}

/// Why the folder cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FolderError {
    /// The system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        cause: ErrorKind,
    },
    /// Another process has it.
    #[error("{}: another process uses this folder", .0.display())]
    InUse(PathBuf),
}

impl StateFolder {
    /// Opens the folder, or makes it with mode 0700, and locks it against other processes.
    ///
    /// # Errors
    /// [`FolderError`]
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |path: &Path, cause| FolderError::Io { path: path.to_owned(), cause };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| failed(path, error.kind()))?;
        let file = path.join("lock");
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&file);
        let lock = opened.map_err(|error| failed(&file, error.kind()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(&file, error.kind())),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn one_process_at_a_time_has_a_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/state");
        let folder = StateFolder::open(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("lock"))), (0o700, 0o600));
        assert_eq!(StateFolder::open(&path).unwrap_err(), FolderError::InUse(path.clone()));
        drop(folder);
        assert!(StateFolder::open(&path).is_ok());
    }
}

//! Files with secrets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use thiserror::Error;

/// What a file's mode grants to those who are neither its owner nor of its group.
const OTHERS: u32 = 0o007;

/// A secret that everybody on the machine may read or replace.
#[derive(Debug, Error)]
#[error("a secret that others may read or replace (mode {mode:04o}): `chmod o-rwx` it")]
pub(super) struct Exposed {
    mode: u32,
}

/// Looks at who may read the file (C-16). One that is not there is told by whoever reads it.
///
/// # Errors
/// [`Exposed`], if everybody may.
pub(super) fn private(file: &Path) -> Result<(), Exposed> {
    let Ok(metadata) = std::fs::metadata(file) else { return Ok(()) };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 { Ok(()) } else { Err(Exposed { mode }) }
}

//! Secrets in files: read when they are needed, and never shown.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Longest file, in bytes.
const MAX_BYTES: u64 = 16 * 1024;
/// A shorter secret could be guessed.
const MIN_BYTES: usize = 16;

/// One line of printable ASCII.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// Why a file holds no secret that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// Too long, too short, or not one or two lines of printable ASCII.
    #[error("not one line of 16 characters or more in printable ASCII")]
    Malformed,
}

impl Secret {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn read(file: &Path) -> Result<Self, SecretError> {
        Self::read_lines(file)?.into_iter().next().ok_or(SecretError::Malformed)
    }

    /// Reads one line or two: what counts, and what counted before.
    ///
    /// # Errors
    /// [`SecretError`]
    pub fn read_lines(file: &Path) -> Result<Vec<Self>, SecretError> {
        let failed = |error: std::io::Error| SecretError::Unreadable(error.kind());
        let mut text = Zeroizing::new(String::new());
        let open = std::fs::File::open(file).map_err(failed)?;
        let length = open.take(MAX_BYTES.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let fits =
            |line: &&str| line.len() >= MIN_BYTES && line.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let small = u64::try_from(length).is_ok_and(|length| length <= MAX_BYTES);
        if !small || !(1..=2).contains(&lines.len()) || !lines.iter().all(fits) {
            return Err(SecretError::Malformed);
        }
        Ok(lines.into_iter().map(|line| Self(Zeroizing::new(line.to_owned()))).collect())
    }

    /// The secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

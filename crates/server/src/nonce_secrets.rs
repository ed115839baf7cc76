//! The secrets of nonces, as their files say at one look.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use exequatur_token::{NonceSecret, NonceSecretError, Nonces};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{NonceSecretFiles, Sender};

/// Before a secret, so that its mark is the digest of nothing else.
const MARK: &[u8] = b"exequatur: mark of a nonce secret\0";

/// Most that is read of a file, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Why there are no nonces.
#[derive(Debug, Error)]
pub enum NonceSecretsError {
    /// A file cannot be read.
    #[error("nonce secret file {}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A secret cannot be used.
    #[error("nonce secret file {}: {source}", file.display())]
    Secret {
        /// Whose.
        file: PathBuf,
        /// Why.
        source: NonceSecretError,
    },
    /// No random bytes for one.
    #[error("no randomness for a nonce secret")]
    NoRandomness,
}

impl NonceSecretsError {
    /// In one line, without the folder.
    pub(crate) fn first_line(&self) -> String {
        let named = |file: &Path, why: &dyn fmt::Display| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            format!("nonce secret file {name}: {why}")
        };
        match self {
            Self::File { file, source } => named(file, source),
            Self::Secret { file, source } => named(file, source),
            Self::NoRandomness => self.to_string(),
        }
    }
}

/// By what replicas tell whether they have the same secrets: 32 bits of a digest each. Of a secret of 32 random bytes they say nothing,
/// and of one that could be guessed they do not say whether a guess is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NonceMarks {
    /// Of the secret that nonces are made with.
    pub(crate) made: u32,
    /// Of the one besides whose nonces are taken.
    pub(crate) taken: Option<u32>,
}

fn mark(secret: &[u8]) -> u32 {
    let mut digest = Sha256::new();
    digest.update(MARK);
    digest.update(secret);
    let [first, second, third, fourth, ..] = <[u8; 32]>::from(digest.finalize());
    u32::from_be_bytes([first, second, third, fourth])
}

/// What the files said. Shown is nothing of it.
pub(crate) struct NonceSecrets {
    current: NonceSecret,
    previous: Option<NonceSecret>,
    digest: [u8; 32],
    marks: NonceMarks,
}

impl fmt::Debug for NonceSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceSecrets(redacted)")
    }
}

impl NonceSecrets {
    /// Reads the files; nothing, where none is named.
    ///
    /// # Errors
    /// [`NonceSecretsError`]
    pub(crate) fn read(files: Option<&NonceSecretFiles>) -> Result<Option<Self>, NonceSecretsError> {
        let Some(NonceSecretFiles { current, previous }) = files else { return Ok(None) };
        let mut digest = Sha256::new();
        let mut secret = |file: &Path| {
            let material = read(file)?;
            digest.update(Sha256::digest(&*material));
            let unusable = |source| NonceSecretsError::Secret { file: file.to_owned(), source };
            NonceSecret::new(&material).map_err(unusable).map(|secret| (secret, mark(&material)))
        };
        let (current, made) = secret(current)?;
        let (previous, taken) = previous.as_deref().map(secret).transpose()?.unzip();
        let marks = NonceMarks { made, taken };
        Ok(Some(Self { current, previous, digest: digest.finalize().into(), marks }))
    }

    /// What other replicas may know of them.
    pub(crate) const fn marks(&self) -> NonceMarks {
        self.marks
    }

    /// By it a change is seen. Of a secret of 32 random bytes it says nothing.
    pub(crate) const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What makes nonces with the one secret, and recognises those of both.
    pub(crate) fn into_nonces(self) -> Nonces {
        Nonces::new(self.current, self.previous.into_iter().collect())
    }
}

/// Those that nonces are made and recognised with, or a random one.
///
/// # Errors
/// [`NonceSecretsError`]
pub(crate) fn nonces(sender: &Sender) -> Result<Nonces, NonceSecretsError> {
    if let Some(secrets) = NonceSecrets::read(sender.nonce_secret.as_ref())? {
        return Ok(secrets.into_nonces());
    }
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(|_no_entropy| NonceSecretsError::NoRandomness)?;
    let secret = NonceSecret::new(&*random).or(Err(NonceSecretsError::NoRandomness))?;
    Ok(Nonces::new(secret, Vec::new()))
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, NonceSecretsError> {
    let unreadable = |source| NonceSecretsError::File { file: file.to_owned(), source };
    let mut material = Zeroizing::new(Vec::new());
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(MAX_BYTES).read_to_end(&mut material).map_err(unreadable)?;
    Ok(material)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same for the same secret, whatever its file; another for another, and for one that is in use besides.
    #[test]
    fn a_mark_tells_secrets_apart_and_nothing_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, secret: &[u8]| {
            std::fs::write(folder.path().join(name), secret).unwrap();
            folder.path().join(name)
        };
        let (one, copy, other) = (file("a", &[1; 32]), file("b", &[1; 32]), file("c", &[2; 32]));
        let marks = |current: &Path, previous: Option<&Path>| {
            let files =
                NonceSecretFiles { current: current.to_owned(), previous: previous.map(Path::to_owned) };
            NonceSecrets::read(Some(&files)).unwrap().unwrap().marks()
        };
        assert_eq!(marks(&one, None), marks(&copy, None));
        assert_ne!(marks(&one, None), marks(&other, None));
        assert_eq!(marks(&other, Some(&one)).taken, Some(marks(&one, None).made));
        // Nor is it a digest of the secret itself, which somebody may have published.
        let plain: [u8; 32] = Sha256::digest([1; 32]).into();
        assert_ne!(marks(&one, None).made.to_be_bytes(), plain[..4]);
    }
}

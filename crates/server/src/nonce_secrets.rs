//! The secrets of nonces, as their files say at one look.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use exequatur_token::{NonceSecret, NonceSecretError, Nonces};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{NonceSecretFiles, Sender};

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

/// What the files said. Shown is nothing of it.
pub(crate) struct NonceSecrets {
    current: NonceSecret,
    previous: Option<NonceSecret>,
    digest: [u8; 32],
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
            NonceSecret::new(&material).map_err(unusable)
        };
        let current = secret(current)?;
        let previous = previous.as_deref().map(secret).transpose()?;
        Ok(Some(Self { current, previous, digest: digest.finalize().into() }))
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

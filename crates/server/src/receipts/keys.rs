//! The key that signs checkpoints, and those that they are checked with, as the files say.

use std::path::{Path, PathBuf};

use exequatur_audit::{PublicKeys, SigningKey};
use sha2::{Digest as _, Sha256};

use super::ReceiptsError;
use crate::config::RecordCheckpoints;

/// What signs checkpoints, and what they are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptKeys {
    file: PathBuf,
    signing: SigningKey,
    public: PublicKeys,
}

impl ReceiptKeys {
    /// Reads the files, where a key is named.
    ///
    /// # Errors
    /// [`ReceiptsError::Key`]
    pub(crate) fn read(checkpoints: &RecordCheckpoints) -> Result<Option<Self>, ReceiptsError> {
        let RecordCheckpoints { key_file, key_id, previous_keys_file, every: _, records: _ } = checkpoints;
        let failed = |file: &Path| {
            let file = file.to_owned();
            |source| ReceiptsError::Key { file, source }
        };
        let Some(file) = key_file.as_deref() else { return Ok(None) };
        let signing = SigningKey::read(file, key_id.as_deref()).map_err(failed(file))?;
        let previous = previous_keys_file.as_deref();
        let earlier =
            previous.map(|file| PublicKeys::read_earlier(file).map_err(failed(file))).transpose()?;
        // Where there are no earlier ones, none has the id of another.
        let public =
            PublicKeys::of(&signing, earlier).map_err(failed(previous.unwrap_or_else(|| Path::new(""))))?;
        Ok(Some(Self { file: file.to_owned(), signing, public }))
    }

    /// Of all public keys, and of which one signs.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.signing.id());
        digest.update([0]);
        digest.update(self.public.jwks().to_string());
        digest.finalize().into()
    }

    /// The one that signs.
    pub(super) const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// Those that checkpoints are checked with.
    pub(super) const fn public(&self) -> &PublicKeys {
        &self.public
    }

    /// Whether what was signed with `used` can be verified with what these show.
    ///
    /// # Errors
    /// [`ReceiptsError::Forgotten`]
    pub(crate) fn follow(&self, used: &[SigningKey]) -> Result<(), ReceiptsError> {
        let forgotten = used.iter().find(|key| !self.public.has(key));
        forgotten.map_or(Ok(()), |key| {
            Err(ReceiptsError::Forgotten { file: self.file.clone(), before: key.id().to_owned() })
        })
    }
}

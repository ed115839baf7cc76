//! What is remembered: opened when the server starts, tended while it runs.

use std::sync::Arc;

use exequatur_store::{
    EmbeddedRevocations, FolderError, RevocationError, RevocationHealth, RevocationLimits,
    RevocationOpenError, RevocationStore, StateFolder,
};
use jiff::Timestamp;
use thiserror::Error;

use crate::config::Store;
use crate::metrics;

/// Why what is remembered cannot be opened.
#[derive(Debug, Error)]
pub enum StateError {
    /// The folder.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// The file of revocations.
    #[error("revocations: {0}")]
    Revocations(#[from] RevocationOpenError),
}

/// Opens the revocations that the configuration names.
///
/// # Errors
/// What was revoked cannot be known.
pub(crate) fn open_revocations(
    store: &Store,
    now: Timestamp,
) -> Result<Arc<dyn RevocationStore>, StateError> {
    let folder = store.path.as_deref().map(StateFolder::open).transpose()?.map(Arc::new);
    let limits = RevocationLimits { max_revocations: store.max_revocations, ..RevocationLimits::default() };
    let revocations = EmbeddedRevocations::open(folder, limits, now)?;
    if let Some(torn) = revocations.torn() {
        tracing::warn!(
            offset = torn.offset,
            bytes = torn.bytes,
            "the file of revocations ended in a change that was never acknowledged; it was cut"
        );
    }
    tracing::info!(revocations = revocations.snapshot().len(), "revocations loaded");
    Ok(Arc::new(revocations))
}

/// Keeps the revocations tidy, and tells what is wrong with them.
#[derive(Debug)]
pub(crate) struct Tending {
    revocations: Arc<dyn RevocationStore>,
    told: Option<RevocationHealth>,
}

impl Tending {
    pub(crate) fn new(revocations: Arc<dyn RevocationStore>) -> Self {
        Self { revocations, told: None }
    }

    /// Forgets a part of what is over, and measures.
    pub(crate) async fn tend(&mut self, now: Timestamp) {
        match self.revocations.tend(now).await {
            // When changes crowd, there is time for this later.
            Ok(()) | Err(RevocationError::Busy) => {}
            Err(error) => tracing::error!(%error, "revocations are not tended"),
        }
        let health = self.revocations.health();
        metrics::revocations(health.entries, health.broken.is_some());
        let before = self.told.replace(health);
        let before = |of: fn(&RevocationHealth) -> Option<std::io::ErrorKind>| before.as_ref().and_then(of);
        if let Some(cause) = health.broken
            && before(|health| health.broken).is_none()
        {
            tracing::error!(%cause, "revocations are not written to the disk any more: mend it and restart");
        }
        if let Some(cause) = health.not_compacted
            && before(|health| health.not_compacted) != Some(cause)
        {
            tracing::warn!(%cause, "the file of revocations could not be written anew; it grows");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_opened_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { path: Some(folder.path().join("state")), ..Store::default() };
        let now = Timestamp::UNIX_EPOCH;
        let first = open_revocations(&store, now).unwrap();
        assert!(matches!(open_revocations(&store, now), Err(StateError::Folder(FolderError::InUse(_)))));
        drop(first);
        assert!(open_revocations(&store, now).is_ok());
    }
}

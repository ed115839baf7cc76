//! The records of decisions, read for one answer at a time, beside the thread that answers.

use std::fs::File;
use std::io::ErrorKind;
use std::sync::Arc;

use exequatur_audit::{DecisionId, Lookup, look_up};

use super::Desk;

/// Why nothing was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    NotKept,
    Busy,
    Unreadable(ErrorKind),
}

impl Desk {
    /// # Errors
    /// [`Unseen`]
    pub(crate) async fn look_up(&self, id: &DecisionId) -> Result<Lookup, Unseen> {
        let file = self.parts.records.clone().ok_or(Unseen::NotKept)?;
        let place = Arc::clone(&self.reading).try_acquire_owned().or(Err(Unseen::Busy))?;
        let id = id.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let found = File::open(file).and_then(|mut file| look_up(&mut file, &id));
            drop(place);
            found
        });
        match looked.await {
            Ok(found) => found.map_err(|error| Unseen::Unreadable(error.kind())),
            Err(_broken) => Err(Unseen::Unreadable(ErrorKind::Other)),
        }
    }
}

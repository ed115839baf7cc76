//! Overrides inside the process: for one replica.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::entry::{LimitOverride, OverridePlace, Revised, Standing};
use super::file::{self, OverrideOpenError};
use super::ledger::Ledger;
use super::view::Overrides;
use super::{Overridden, OverrideError, OverrideFuture, OverrideStore};
use crate::disk::Disk;
use crate::folder::StateFolder;
use crate::limit::micros;
use crate::revocation::{Keeping, Note};

/// Overrides in memory, and, where there is a folder, in a file that outlives the process. A change is on the disk before
/// it is in force.
#[derive(Debug, Clone)]
pub struct EmbeddedOverrides(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    overrides: Arc<Overrides>,
    ledger: Mutex<Ledger>,
    most: usize,
    disk: Disk,
    /// Nobody else may write in it as long as this lives.
    folder: Option<Arc<StateFolder>>,
}

impl EmbeddedOverrides {
    /// Opens the overrides of a folder; without one they last as long as the process. `most`: how many there may be,
    /// usually [`MAX_OVERRIDES`](super::MAX_OVERRIDES).
    ///
    /// # Errors
    /// [`OverrideOpenError`]: it is not known what was set.
    pub fn open(folder: Option<Arc<StateFolder>>, most: usize) -> Result<Self, OverrideOpenError> {
        Self::open_on(Disk::default(), folder, most)
    }

    fn open_on(disk: Disk, folder: Option<Arc<StateFolder>>, most: usize) -> Result<Self, OverrideOpenError> {
        let ledger = folder.as_ref().map(|folder| file::read(folder.path())).transpose()?.unwrap_or_default();
        let overrides = Arc::new(Overrides::default());
        overrides.publish(ledger.view());
        Ok(Self(Arc::new(Inner { overrides, ledger: Mutex::new(ledger), most, disk, folder })))
    }

    /// A change goes on to its end, also when nobody waits for it any more.
    fn change(
        &self,
        place: OverridePlace,
        standing: Option<Standing>,
        note: Note,
        now: Timestamp,
    ) -> OverrideFuture<'_> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let changing = tokio::task::spawn_blocking(move || inner.change(place, standing, note, now));
            changing.await.unwrap_or(Err(OverrideError::Closed))
        })
    }
}

impl Inner {
    fn change(
        &self,
        place: OverridePlace,
        standing: Option<Standing>,
        note: Note,
        now: Timestamp,
    ) -> Result<Overridden, OverrideError> {
        let mut kept = self.ledger.lock().or(Err(OverrideError::Closed))?;
        let mut ledger = kept.clone();
        for (over, revision) in ledger.forgettable(now) {
            ledger.forget(&over, revision);
        }
        let before = ledger.get(&place).and_then(|known| known.in_force(now));
        if before.is_none() && standing.is_none() {
            return Ok(Overridden { changed: false });
        }
        if ledger.get(&place).is_none() && ledger.len() >= self.most {
            return Err(OverrideError::Full);
        }
        let revision = micros(now).max(ledger.revision(&place).saturating_add(1));
        ledger.take(place, Revised { revision, standing, note });
        if let Some(folder) = &self.folder {
            let written = file::write(&self.disk, folder.path(), &ledger);
            written.map_err(|error| OverrideError::NotKept(error.kind()))?;
        }
        self.overrides.publish(ledger.view());
        *kept = ledger;
        Ok(Overridden { changed: before != standing })
    }
}

impl OverrideStore for EmbeddedOverrides {
    fn overrides(&self) -> &Arc<Overrides> {
        &self.0.overrides
    }

    fn set<'a>(&'a self, order: &'a LimitOverride, now: Timestamp) -> OverrideFuture<'a> {
        let standing = Standing { figure: order.figure, until: order.until };
        self.change(order.place.clone(), Some(standing), order.note.clone(), now)
    }

    fn take_back<'a>(
        &'a self,
        place: &'a OverridePlace,
        note: &'a Note,
        now: Timestamp,
    ) -> OverrideFuture<'a> {
        self.change(place.clone(), None, note.clone(), now)
    }

    fn list(
        &self,
        after: Option<&OverridePlace>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<LimitOverride>, OverrideError> {
        Ok(self.0.ledger.lock().or(Err(OverrideError::Closed))?.list(after, most, now))
    }

    fn keeping(&self) -> Keeping {
        if self.0.folder.is_some() { Keeping::OnDisk } else { Keeping::UntilRestart }
    }
}

#[cfg(test)]
mod tests;

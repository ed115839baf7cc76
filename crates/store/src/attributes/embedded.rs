//! Attributes inside the process: for one replica.

use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;

use super::entry::SubjectAttribute;
use super::journal::{AttributeOpenError, Journal};
use super::subjects::Subjects;
use super::{AttributeError, AttributeFuture, AttributeSet, AttributeStore};
use crate::disk::Disk;
use crate::folder::StateFolder;
use crate::revocation::Keeping;

/// Attributes in memory, and, where there is a folder, in a file that outlives the process. A change is on the disk before
/// it is in force.
#[derive(Debug, Clone)]
pub struct EmbeddedAttributes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    subjects: Arc<Subjects>,
    journal: Mutex<Option<Journal>>,
    most: usize,
    keeping: Keeping,
    /// Nobody else may write in it as long as this lives.
    _folder: Option<Arc<StateFolder>>,
}

impl EmbeddedAttributes {
    /// Opens the attributes of a folder; without one they last as long as the process. `most`: how many there may be,
    /// usually [`MAX_ATTRIBUTES`](super::MAX_ATTRIBUTES).
    ///
    /// # Errors
    /// [`AttributeOpenError`]: it is not known what was told.
    pub fn open(folder: Option<Arc<StateFolder>>, most: usize) -> Result<Self, AttributeOpenError> {
        Self::open_on(Disk::default(), folder, most)
    }

    fn open_on(
        disk: Disk,
        folder: Option<Arc<StateFolder>>,
        most: usize,
    ) -> Result<Self, AttributeOpenError> {
        let subjects = Arc::new(Subjects::local());
        let journal = match &folder {
            None => None,
            Some(folder) => Some(Journal::open(disk, folder.path(), |place, held| {
                // Nobody else has them yet, so that no lock can be poisoned.
                let _taken = subjects.take(place, held);
            })?),
        };
        let keeping = if folder.is_some() { Keeping::OnDisk } else { Keeping::UntilRestart };
        let journal = Mutex::new(journal);
        Ok(Self(Arc::new(Inner { subjects, journal, most, keeping, _folder: folder })))
    }
}

impl Inner {
    fn set(&self, event: &SubjectAttribute, now: Timestamp) -> Result<AttributeSet, AttributeError> {
        let (place, held) = (event.place(), event.held(now)?);
        let mut journal = self.journal()?;
        match self.subjects.get(&place).or(Err(AttributeError::Closed))? {
            Some(known) if !held.counts_before(&known) => return Ok(AttributeSet { changed: false }),
            Some(_) => {}
            None if self.subjects.count() >= self.most => {
                self.forget_over(now)?;
                if self.subjects.count() >= self.most {
                    return Err(AttributeError::Full);
                }
            }
            None => {}
        }
        if let Some(journal) = journal.as_mut() {
            journal.append(&place, &held).map_err(|error| AttributeError::NotKept(error.kind()))?;
        }
        let changed = self.subjects.take(place, held).or(Err(AttributeError::Closed))?;
        self.shorten(&mut journal, now)?;
        Ok(AttributeSet { changed })
    }

    fn shorten(
        &self,
        journal: &mut MutexGuard<'_, Option<Journal>>,
        now: Timestamp,
    ) -> Result<(), AttributeError> {
        let Some(journal) = journal.as_mut() else { return Ok(()) };
        if journal.is_long_for(self.subjects.count()) {
            let kept = self.subjects.worth_telling(now).or(Err(AttributeError::Closed))?;
            if let Err(error) = journal.write_anew(&kept) {
                // What was answered is in the file that is there.
                tracing::warn!(cause = %error.kind(), "the file of attributes could not be written anew; it grows");
            }
        }
        Ok(())
    }

    fn forget_over(&self, now: Timestamp) -> Result<(), AttributeError> {
        self.subjects.forget_over(now).map(drop).or(Err(AttributeError::Closed))
    }

    fn journal(&self) -> Result<MutexGuard<'_, Option<Journal>>, AttributeError> {
        self.journal.lock().or(Err(AttributeError::Closed))
    }
}

impl AttributeStore for EmbeddedAttributes {
    fn subjects(&self) -> &Arc<Subjects> {
        &self.0.subjects
    }

    /// A change goes on to its end, also when nobody waits for it any more.
    fn set<'a>(&'a self, event: &'a SubjectAttribute, now: Timestamp) -> AttributeFuture<'a> {
        let (inner, event) = (Arc::clone(&self.0), event.clone());
        Box::pin(async move {
            let setting = tokio::task::spawn_blocking(move || inner.set(&event, now));
            setting.await.unwrap_or(Err(AttributeError::Closed))
        })
    }

    fn list(
        &self,
        after: Option<&SubjectAttribute>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<SubjectAttribute>, AttributeError> {
        self.0.subjects.list(after, most, now).or(Err(AttributeError::Closed))
    }

    fn tend(&self, now: Timestamp) -> Result<(), AttributeError> {
        self.0.forget_over(now)
    }

    fn keeping(&self) -> Keeping {
        self.0.keeping
    }
}

#[cfg(test)]
mod tests;

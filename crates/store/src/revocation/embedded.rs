//! The store of revocations inside the process: for one replica.

use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::entry::{Lift, Note, Position, Revocation, Target};
use super::journal::{Journal, Record};
use super::keeper::{Done, Keeper, Kept, Made, Order, Troubles};
use super::memory::Memory;
use super::rows::Row;
use super::snapshot::Snapshot;
use super::{
    Changed, FleetFuture, Keeping, Page, RevocationError, RevocationFuture, RevocationHealth,
    RevocationLimits, RevocationStore,
};
use crate::disk::Disk;
use crate::folder::StateFolder;
use crate::replicas::{Fleet, Itself, Presence, ReplicaName, Report};

/// Changes that may wait for the disk.
const QUEUE: usize = 4_096;

/// Revocations in memory, and, where there is a folder, in a file that outlives the process.
///
/// Every change is synced to the disk before it is answered; changes that come together are synced together. A
/// revocation holds in this process before it is written.
#[derive(Debug)]
pub struct EmbeddedRevocations {
    snapshot: Arc<Snapshot>,
    limits: RevocationLimits,
    keeping: Keeping,
    troubles: Arc<Mutex<Troubles>>,
    itself: Itself,
    /// Taken when the store is dropped, so that the keeper ends.
    orders: Option<mpsc::Sender<Order>>,
    keeper: Option<JoinHandle<()>>,
    /// Nobody else may write in it as long as this lives.
    _folder: Option<Arc<StateFolder>>,
    torn: Option<TornTail>,
}

/// The end of a file that a crash left half written, and that was cut. Nothing in it was ever acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TornTail {
    /// Where it began.
    pub offset: u64,
    /// How long it was.
    pub bytes: u64,
}

/// Why the store does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevocationOpenError {
    /// The system refuses.
    #[error("{}: {cause}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: ErrorKind,
    },
    /// The file does not say what was written. Revocations may be lost, so that it is not gone on with.
    #[error("{}: damaged at byte {offset}; restore it from a copy, or move it away and revoke anew", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// Where.
        offset: u64,
    },
    /// Another version of this program wrote it.
    #[error("{}: version {version} of the format is not known", file.display())]
    Version {
        /// Which file.
        file: PathBuf,
        /// What it says.
        version: u16,
    },
    /// No randomness for an id of this process.
    #[error("no randomness for an id of this process")]
    NoRandomness,
    /// No thread starts.
    #[error("cannot start the thread that keeps revocations: {0}")]
    Thread(ErrorKind),
}

impl EmbeddedRevocations {
    /// Opens the revocations of a folder; without one they last as long as the process.
    ///
    /// # Errors
    /// [`RevocationOpenError`]: what was revoked is not known.
    pub fn open(
        folder: Option<Arc<StateFolder>>,
        limits: RevocationLimits,
        now: Timestamp,
    ) -> Result<Self, RevocationOpenError> {
        Self::open_on(Disk::default(), folder, limits, now)
    }

    pub(super) fn open_on(
        disk: Disk,
        folder: Option<Arc<StateFolder>>,
        limits: RevocationLimits,
        now: Timestamp,
    ) -> Result<Self, RevocationOpenError> {
        let snapshot = Arc::new(Snapshot::local());
        let troubles = Arc::new(Mutex::new(Troubles::default()));
        let mut position = Position::default();
        let (kept, keeping, torn) = match &folder {
            None => (Kept::InMemory(Memory::default()), Keeping::UntilRestart, None),
            Some(folder) => {
                let (journal, torn) = Journal::open(folder.path(), disk, |record| {
                    position = position.max(record.position());
                    apply(&snapshot, record, now);
                })?;
                (Kept::InFile(Box::new(journal)), Keeping::OnDisk, torn)
            }
        };
        snapshot.applied(position);
        let keeper = Keeper::new(Arc::clone(&snapshot), limits, kept, position, Arc::clone(&troubles));
        let (orders, ordered) = mpsc::channel(QUEUE);
        let keeper = std::thread::Builder::new()
            .name("exequatur-revoke".to_owned())
            .spawn(move || keeper.run(ordered))
            .map_err(|error| RevocationOpenError::Thread(error.kind()))?;
        let itself = Itself::new().or(Err(RevocationOpenError::NoRandomness))?;
        Ok(Self {
            snapshot,
            limits,
            keeping,
            troubles,
            itself,
            orders: Some(orders),
            keeper: Some(keeper),
            _folder: folder,
            torn,
        })
    }

    /// Called so.
    #[must_use]
    pub fn named(mut self, name: ReplicaName) -> Self {
        self.itself.rename(name);
        self
    }

    /// What was cut from the file when it was opened.
    #[must_use]
    pub const fn torn(&self) -> Option<TornTail> {
        self.torn
    }

    async fn change(&self, order: impl FnOnce(Done<Made>) -> Order) -> Result<Changed, RevocationError> {
        let begun = Instant::now();
        let Made { position, changed } = self.order(order).await?;
        Ok(Changed { position, changed, reached: self.itself.alone(begun.elapsed()) })
    }

    async fn order<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, RevocationError>>) -> Order,
    ) -> Result<T, RevocationError> {
        let (done, outcome) = oneshot::channel();
        let orders = self.orders.as_ref().ok_or(RevocationError::Closed)?;
        orders.try_send(order(done)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => RevocationError::Busy,
            mpsc::error::TrySendError::Closed(_) => RevocationError::Closed,
        })?;
        outcome.await.unwrap_or(Err(RevocationError::Closed))
    }
}

/// What is over at `now` is not taken in, so that a file of what is long over needs no room.
fn apply(snapshot: &Snapshot, record: Record, now: Timestamp) {
    match record {
        Record::Base(_) => {}
        Record::Revoked(standing) => {
            let revocation = &standing.revocation;
            if revocation.until.is_none_or(|until| now < until) {
                let row = Row::of(revocation, standing.position);
                // Nobody else has the snapshot yet, so that no lock can be poisoned.
                let _joined = snapshot.put(&revocation.target, row);
            }
        }
        Record::Lifted { target, lift, .. } => drop(snapshot.lift(&target, lift, &mut Vec::new())),
    }
}

impl RevocationStore for EmbeddedRevocations {
    fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation, now: Timestamp) -> RevocationFuture<'a, Changed> {
        Box::pin(self.change(move |done| Order::Revoke(revocation.clone(), now, done)))
    }

    fn lift<'a>(
        &'a self,
        target: Target,
        lift: Lift,
        note: &'a Note,
        _now: Timestamp,
    ) -> RevocationFuture<'a, Changed> {
        Box::pin(self.change(move |done| Order::Lift(target, lift, note.clone(), done)))
    }

    fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> RevocationFuture<'_, Page> {
        Box::pin(self.order(move |done| Order::List(after, limit, now, done)))
    }

    fn tend(&self, now: Timestamp) -> RevocationFuture<'_, ()> {
        Box::pin(self.order(move |done| Order::Tend(now, done)))
    }

    fn health(&self) -> RevocationHealth {
        let Troubles { broken, not_compacted } =
            self.troubles.lock().map(|troubles| *troubles).unwrap_or_default();
        RevocationHealth {
            entries: self.snapshot.len(),
            max_entries: self.limits.max_revocations,
            position: self.snapshot.position(),
            keeping: self.keeping,
            broken,
            not_compacted,
        }
    }

    fn itself(&self) -> &Itself {
        &self.itself
    }

    /// This one.
    fn fleet(&self) -> FleetFuture<'_> {
        let position = self.snapshot.position();
        let alone = Presence {
            id: self.itself.id().to_owned(),
            name: self.itself.name().cloned(),
            itself: true,
            position,
            silent: Duration::ZERO,
            report: Report::of(&self.itself.reported()),
        };
        Box::pin(std::future::ready(Fleet::of(true, Some(position), vec![alone])))
    }
}

impl Drop for EmbeddedRevocations {
    /// The keeper is done before the folder is free for another process.
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(keeper) = self.keeper.take() {
            drop(keeper.join());
        }
    }
}

#[cfg(test)]
mod tests;

//! What is stopped: revocations, how long they hold, and what every store of them promises.
//!
//! The store knows kinds and digests. Which claim a digest was made from, and in which order targets are asked for,
//! is the caller's to know.

mod compaction;
mod embedded;
mod entry;
mod hearing;
mod journal;
mod keeper;
mod memory;
mod rows;
mod snapshot;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::num::{NonZeroU16, NonZeroU32};
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use crate::replicas::{Fleet, Itself, Reached};

pub use embedded::{EmbeddedRevocations, RevocationOpenError, TornTail};
pub use entry::{
    Form, InForce, Lift, MAX_AUTHOR, MAX_LABEL, MAX_REASON, Note, NoteTooLong, Position, Revocation,
    RevocationKind, Target,
};
pub(crate) use entry::{ISSUED_UNTIL, SUSPENSION, TOTAL};
pub(crate) use hearing::{Hearing, Hears};
pub(crate) use journal::{decode_note, encode_note};
pub(crate) use rows::{Row, STRIPE_BITS, up_to_the_second};
pub use snapshot::{Asked, Finding, NotRevoked, Revoked, Snapshot, Staleness, Unknown};

/// What a store's methods return: boxed, so that the store can be chosen when the service starts.
pub type RevocationFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RevocationError>> + Send + 'a>>;

/// A store of revocations, which feeds a [`Snapshot`] in this process.
///
/// A change is durable, as far as [`RevocationStore::health`] promises, and in the snapshot of this process, before
/// its method returns. Every change is idempotent: to revoke what is revoked, or to lift what is not there, is no
/// error. Two revocations of one target and one form become one that covers both (the later end, the later
/// watermark): nothing that is added ever weakens what holds.
pub trait RevocationStore: Send + Sync + Debug {
    /// What decisions ask.
    fn snapshot(&self) -> &Arc<Snapshot>;

    /// Revokes.
    ///
    /// # Errors
    /// [`RevocationError::NotKept`]: it holds in this process and may be gone after a restart. After any other
    /// error it does not hold.
    fn revoke<'a>(&'a self, revocation: &'a Revocation, now: Timestamp) -> RevocationFuture<'a, Changed>;

    /// Takes back: [`Lift::Revocation`] lets suspensions stand, [`Lift::Suspension`] revocations.
    ///
    /// # Errors
    /// What was to be lifted still holds.
    fn lift<'a>(
        &'a self,
        target: Target,
        lift: Lift,
        note: &'a Note,
        now: Timestamp,
    ) -> RevocationFuture<'a, Changed>;

    /// What holds at `now`, in the order of positions, after `after`. A page may be shorter than `limit`, even empty,
    /// and yet have a next one: the work for each is bounded.
    ///
    /// # Errors
    /// The store could not read what it keeps.
    fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> RevocationFuture<'_, Page>;

    /// Does a bounded part of what is to be done from time to time: forgets what is over.
    ///
    /// # Errors
    /// The store is closed.
    fn tend(&self, now: Timestamp) -> RevocationFuture<'_, ()>;

    /// What the operator sees of it.
    fn health(&self) -> RevocationHealth;

    /// This process, as others see it.
    fn itself(&self) -> &Itself;

    /// All replicas, as far as they can be told now; always this one.
    fn fleet(&self) -> FleetFuture<'_>;
}

/// As [`RevocationFuture`], for what cannot fail.
pub type FleetFuture<'a> = Pin<Box<dyn Future<Output = Fleet> + Send + 'a>>;

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The position after the change: whoever has applied it has applied the change.
    pub position: Position,
    /// Whether anything is otherwise than before.
    pub changed: bool,
    /// The replicas that are there, and when each was known to have applied it.
    pub reached: Reached,
}

impl Changed {
    /// Replicas that are there and had not said, when this was answered, that they have applied it.
    #[must_use]
    pub const fn behind(&self) -> u32 {
        self.reached.behind()
    }
}

/// A part of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What holds.
    pub standing: Vec<InForce>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Position>,
}

/// The state of a store, for metrics and diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationHealth {
    /// Revocations in the snapshot; some may be over and not yet forgotten.
    pub entries: u32,
    /// How many there may be.
    pub max_entries: NonZeroU32,
    /// The last change that the snapshot of this process has.
    pub position: Position,
    /// How long a revocation is kept.
    pub keeping: Keeping,
    /// Why changes are not kept any more, if so; a restart is needed.
    pub broken: Option<ErrorKind>,
    /// Why the file could not be written anew without what is over, the last time that was tried.
    pub not_compacted: Option<ErrorKind>,
}

/// How long a revocation is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// As long as the process lives.
    UntilRestart,
    /// On the disk of this machine.
    OnDisk,
    /// In a store that replicas share, and as it keeps it.
    Shared,
}

/// A change, or a list, that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// There are as many revocations as there may be.
    #[error("there is no room for another revocation")]
    Full,
    /// It could not be written.
    #[error("the revocation cannot be kept: {0}")]
    NotKept(ErrorKind),
    /// What is kept could not be read.
    #[error("the revocations cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// More changes wait than the queue holds.
    #[error("too many changes wait to be written")]
    Busy,
    /// The store was closed, or its thread has died.
    #[error("the store of revocations is closed")]
    Closed,
}

/// Bounds of a store of revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationLimits {
    /// Most revocations at once. One takes about 40 bytes in each process that asks.
    pub max_revocations: NonZeroU32,
    /// Records of the file that are over before it is written anew, if they are more than those that hold.
    pub compact_after: u32,
}

impl Default for RevocationLimits {
    /// Ten million, for about 400 MB when all are in use; an empty snapshot takes 0.7 MB.
    fn default() -> Self {
        Self {
            max_revocations: NonZeroU32::new(10_000_000).unwrap_or(NonZeroU32::MIN),
            compact_after: 10_000,
        }
    }
}

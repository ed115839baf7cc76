//! Limits that an operator has set otherwise for one agent or one tenant, while the service runs.
//!
//! Every change is newer than what it replaces, and what was taken back is remembered for a day: so two who know
//! different things come to the same by taking the newer of each, in whichever order they hear of it.

mod embedded;
mod entry;
mod file;
mod ledger;
mod view;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

pub use embedded::EmbeddedOverrides;
pub(crate) use entry::{Encoded, Revised, Standing};
pub use entry::{LimitOverride, MAX_LIMIT_NAME, OverridePlace, Whose};
pub use file::OverrideOpenError;
pub(crate) use ledger::Ledger;
pub use view::{Known, NotKnown, Overrides};

use crate::revocation::{Keeping, Note};

/// Most overrides at once; those that were taken back in the last day are among them.
pub const MAX_OVERRIDES: usize = 10_000;

/// What a store's methods return: boxed, so that the store can be chosen when the service starts.
pub type OverrideFuture<'a> = Pin<Box<dyn Future<Output = Result<Overridden, OverrideError>> + Send + 'a>>;

/// A store of overrides, which feeds [`Overrides`] in this process.
///
/// A change is kept, as far as [`OverrideStore::keeping`] promises, and in force in this process, before its method returns.
pub trait OverrideStore: Send + Sync + Debug {
    /// What decisions ask.
    fn overrides(&self) -> &Arc<Overrides>;

    /// Sets a limit otherwise, in place of what was set before.
    ///
    /// # Errors
    /// It is not in force here, and may be kept: then it comes into force.
    fn set<'a>(&'a self, order: &'a LimitOverride, now: Timestamp) -> OverrideFuture<'a>;

    /// Lets the configured limit count again.
    ///
    /// # Errors
    /// As for [`OverrideStore::set`].
    fn take_back<'a>(
        &'a self,
        place: &'a OverridePlace,
        note: &'a Note,
        now: Timestamp,
    ) -> OverrideFuture<'a>;

    /// What is set otherwise at `now`, in order, after `after`.
    ///
    /// # Errors
    /// [`OverrideError::Unknown`], [`OverrideError::Closed`].
    fn list(
        &self,
        after: Option<&OverridePlace>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<LimitOverride>, OverrideError>;

    /// How long an override is kept.
    fn keeping(&self) -> Keeping;
}

/// What a change did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overridden {
    /// Whether anything is otherwise than before.
    pub changed: bool,
}

/// A change, or a list, that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    /// There are as many as there may be.
    #[error("there is no room for another override; those taken back in the last day count too")]
    Full,
    /// It could not be written.
    #[error("the override cannot be kept: {0}")]
    NotKept(ErrorKind),
    /// They were never heard of.
    #[error("it is not known yet which limits are set otherwise")]
    Unknown,
    /// A thread failed while it held them.
    #[error("the overrides were left in an unknown state")]
    Closed,
}

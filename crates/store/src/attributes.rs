//! What is known of subjects (users, agents, sessions) for a while: risk, assurance, compliance of the device (V08).
//!
//! What an event said is told apart by when it happened, not by when it was heard of: of two, the later event counts,
//! whoever hears of which first, and of two at one instant the one that is worse. What is over is remembered for a day, so that an
//! earlier event that arrives late does not come into force instead.

mod embedded;
mod entry;
mod journal;
mod subjects;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

pub use embedded::EmbeddedAttributes;
pub use entry::{
    Assurance, Attribute, DeviceCompliance, MAX_AHEAD, MAX_ASSURANCE, MAX_ATTRIBUTE_LIFE,
    MAX_ATTRIBUTE_REASON, RiskLevel, SubjectAttribute,
};
pub(crate) use entry::{Encoded, Held, Place, TooFar};
pub use journal::AttributeOpenError;
pub use subjects::{OfSubject, Subjects};

use crate::revocation::{Keeping, Target};

/// Most attributes at once; those that are over for less than a day are among them.
pub const MAX_ATTRIBUTES: usize = 100_000;

/// What a store's methods return: boxed, so that the store can be chosen when the service starts.
pub type AttributeFuture<'a> =
    Pin<Box<dyn Future<Output = Result<AttributeSet, AttributeError>> + Send + 'a>>;

/// A store of attributes, which feeds [`Subjects`] in this process.
///
/// A change is kept, as far as [`AttributeStore::keeping`] promises, and in force in this process, before its method returns.
/// Every change is idempotent.
pub trait AttributeStore: Send + Sync + Debug {
    /// What decisions ask.
    fn subjects(&self) -> &Arc<Subjects>;

    /// Tells what an event says of a subject, unless a later event has said otherwise.
    ///
    /// # Errors
    /// [`AttributeError`]: it is not in force here, and may be kept: then it comes into force.
    fn set<'a>(&'a self, event: &'a SubjectAttribute, now: Timestamp) -> AttributeFuture<'a>;

    /// What is in force at `now`, in a fixed order, after the place of `after`.
    ///
    /// # Errors
    /// [`AttributeError::Unknown`], [`AttributeError::Closed`].
    fn list(
        &self,
        after: Option<&SubjectAttribute>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<SubjectAttribute>, AttributeError>;

    /// Forgets what was over for long. Bounded by how much there is.
    ///
    /// # Errors
    /// [`AttributeError::Closed`].
    fn tend(&self, now: Timestamp) -> Result<(), AttributeError>;

    /// How long an attribute is kept.
    fn keeping(&self) -> Keeping;
}

/// What telling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeSet {
    /// Whether anything is otherwise than before; not if a later event was known, or this one.
    pub changed: bool,
}

/// A change, or a list, that came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// There are as many as there may be.
    #[error("there is no room for another attribute; those that are over for less than a day count too")]
    Full,
    /// The event is of a time to come, or would hold for too long.
    #[error("the event is more than {} min ahead, or holds for more than {} days", MAX_AHEAD.as_mins(), MAX_ATTRIBUTE_LIFE.as_hours() / 24)]
    TooFar,
    /// It could not be written.
    #[error("the attribute cannot be kept: {0}")]
    NotKept(ErrorKind),
    /// They were never heard of.
    #[error("it is not known yet which attributes subjects have")]
    Unknown,
    /// A thread failed while it held them, or the file can be written no more.
    #[error("the attributes were left in an unknown state")]
    Closed,
}

impl From<TooFar> for AttributeError {
    fn from(_: TooFar) -> Self {
        Self::TooFar
    }
}

/// Which kinds of targets have attributes.
pub(crate) const fn is_subject(target: &Target) -> bool {
    use crate::revocation::RevocationKind::{
        Agent, All, Client, Issuer, Key, Session, Tenant, TokenId, User,
    };
    match target.kind {
        User | Agent | Session => true,
        TokenId | Key | Client | Tenant | Issuer | All => false,
    }
}

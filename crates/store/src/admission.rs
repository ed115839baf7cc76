//! What a decision asks of the store, in one trip.

use std::fmt::Debug;
use std::io::ErrorKind;
use std::pin::Pin;

use jiff::Timestamp;

use crate::limit::{Charge, ChargeOutcome, Reserved};
use crate::replay::{Claim, ClaimOutcome, Epoch, ReplayHealth};

/// What a store's methods return: boxed, so that the store can be chosen when the service starts.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Whose memory a decision uses: a digest of the token's tenant, or of its issuer where there is none. All that one
/// decision asks lies in one scope, so that a store which is spread over many machines keeps it on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope(pub [u8; 16]);

/// All that one decision asks, in one trip.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Whose memory.
    pub scope: Scope,
    /// The proof to be claimed, if there is one.
    pub claim: Option<&'a Claim>,
    /// What the request costs: at most [`crate::MAX_CHARGES`], each of another key.
    pub charges: &'a [Charge],
}

/// What a store says to an [`Ask`].
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the claim; none if there was none.
    pub claim: Option<ClaimOutcome>,
    /// What became of the charges. [`ChargeOutcome::NotReached`] if the proof was not fresh.
    pub charges: ChargeOutcome,
}

/// A store that remembers which proofs were used, and what was charged to limits.
///
/// `now` comes from the caller's clock; a store with a clock of its own, which all replicas share, goes by that. A claim
/// is decided in one atomic step, in this order:
///
/// 1. `live_until` is over, or `issued_at` too far ahead: [`ClaimOutcome::Expired`].
/// 2. The store cannot know about the proof: [`ClaimOutcome::Doubtful`]. Nothing is written.
/// 3. The proof is remembered: [`ClaimOutcome::Replayed`].
/// 4. A bound is reached: [`ClaimOutcome::Full`]. What is remembered stays; nothing live is ever evicted.
/// 5. Else it is remembered: [`ClaimOutcome::Fresh`].
///
/// The charges come after the claim: a proof that is not fresh is charged nothing, and a request that is limited has spent
/// its proof. They too are decided in one atomic step: every limit has room and all are charged, or nothing is.
pub trait AdmissionStore: Send + Sync + Debug {
    /// Claims the proof for its only use, then charges the limits.
    ///
    /// # Errors
    /// After an error the proof is neither new nor used, and what was charged is not known: the request must not pass.
    fn admit<'a>(&'a self, ask: &'a Ask<'a>, now: Timestamp) -> StoreFuture<'a, Answer>;

    /// Claims the proof alone.
    ///
    /// # Errors
    /// As for [`AdmissionStore::admit`].
    fn claim<'a>(&'a self, scope: Scope, claim: &'a Claim, now: Timestamp) -> StoreFuture<'a, ClaimOutcome> {
        Box::pin(async move {
            let ask = Ask { scope, claim: Some(claim), charges: &[] };
            self.admit(&ask, now).await?.claim.ok_or(StoreError::Unavailable)
        })
    }

    /// Gives charges to quotas back: of a request that was not permitted after all. It waits for nothing, and may take
    /// effect later; what gets lost on the way stays used. Nothing falls below zero, and nothing is given back to
    /// another period than the one that was charged.
    fn give_back(&self, reserved: Reserved);

    /// The epoch that a nonce issued at `now` should carry, for proofs to be claimed in this scope.
    ///
    /// # Errors
    /// As for [`AdmissionStore::admit`]; no nonce can be issued then.
    fn epoch(&self, scope: Scope, now: Timestamp) -> StoreFuture<'_, Epoch>;

    /// What the operator sees of the store. An error means that claims would fail too.
    ///
    /// # Errors
    /// As for [`AdmissionStore::admit`].
    fn health(&self, now: Timestamp) -> StoreFuture<'_, ReplayHealth>;
}

/// The store could not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached, or has not answered in time.
    #[error("the store is unavailable")]
    Unavailable,
    /// The store has no room: its machine refuses to write.
    #[error("the store has no room left")]
    Full,
    /// What the store holds, or answers, is not what this version of Exequatur writes.
    #[error("the store holds what another program or another version wrote")]
    Foreign,
    /// The store answers, but cannot keep the promise.
    #[error("the store is unfit: {0}")]
    Unfit(Unfit),
    /// A thread failed while it held the store, so its contents cannot be trusted.
    #[error("the store was left in an unknown state")]
    Poisoned,
    /// The system gave no random bytes for an epoch.
    #[error("no random bytes for the store's epoch")]
    NoRandomness,
}

impl StoreError {
    /// What it is to those who know errors of input and output.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::Unavailable => ErrorKind::TimedOut,
            Self::Full => ErrorKind::StorageFull,
            Self::Foreign => ErrorKind::InvalidData,
            Self::Unfit(_) => ErrorKind::Unsupported,
            Self::Poisoned | Self::NoRandomness => ErrorKind::Other,
        }
    }
}

/// Why a store that answers is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It would forget used proofs to make room (C-06).
    #[error("it evicts entries to make room; maxmemory-policy has to be noeviction")]
    Evicting,
    /// It is a copy of another.
    #[error("it is a replica, not the primary")]
    Replica,
    /// It is part of a cluster, and was configured as a single server.
    #[error("it is a node of a cluster; then store.redis.cluster has to be true")]
    Cluster,
    /// It is not part of a cluster, and was configured as a node of one.
    #[error("it is not a node of a cluster; then store.redis.cluster has to be false")]
    Single,
    /// It is older than 6.2.
    #[error("it is older than Redis 6.2")]
    TooOld,
    /// It does not say what it is.
    #[error("it does not say which server it is")]
    Unnamed,
}

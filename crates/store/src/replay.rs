//! The claim of a proof, and what may become of it.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};

/// Names one uninterrupted memory of a store: 16 random bytes, new whenever proofs may have been forgotten.
pub type Epoch = [u8; 16];

/// The proof, and who signed it. Both are digests that the caller makes, so that their length and distribution do not
/// depend on what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    /// Unique per proof and per the key that signed it: one holder cannot spend another's proof.
    pub proof: [u8; 16],
    /// Who signed. Bounded by [`ReplayLimits::max_per_key`].
    pub holder: [u8; 16],
}

/// The wish to use a proof once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub key: ReplayKey,
    /// The time that the proof itself states.
    pub issued_at: Timestamp,
    /// The last instant, inclusive, at which the proof could pass every other check.
    pub live_until: Timestamp,
    /// The epoch inside the proof's nonce, if it carries one that was verified.
    pub nonce_epoch: Option<Epoch>,
    /// Future tolerance plus skew: how far ahead of the true time `issued_at` may lie.
    pub doubt_span: SignedDuration,
}

/// What became of a claim. No outcome but [`ClaimOutcome::Fresh`] may let a request pass.
#[derive(Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// First use. The proof is remembered from now on.
    Fresh(Claimed),
    /// Used before.
    Replayed,
    /// The store may have forgotten an earlier use. A nonce of this epoch takes the doubt away.
    Doubtful {
        /// What the nonce has to carry.
        epoch: Epoch,
    },
    /// Could be new, but a bound leaves no room to remember it.
    Full(Bound),
    /// `live_until` lies in the past: an earlier use could have been dropped already. Or `issued_at` lies further ahead of
    /// the store's clock than the span of doubt, so that the store could not doubt it after a loss.
    Expired,
}

/// Evidence that a proof was claimed, for the first time.
#[derive(Debug, PartialEq, Eq)]
pub struct Claimed {
    epoch: Epoch,
}

impl Claimed {
    /// Only a store that has just remembered the proof may say so.
    pub(crate) const fn assertion(epoch: Epoch) -> Self {
        Self { epoch }
    }

    /// The epoch that the next nonce should carry.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// Which bound left no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// This holder has too many live proofs.
    Key,
    /// This tenant, or rather its [`Scope`](crate::Scope), has too many live proofs.
    Tenant,
    /// The store has too many live proofs.
    Global,
}

/// How many live proofs are remembered at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// In all.
    pub max_proofs: NonZeroU32,
    /// Per tenant, so that one cannot take the others' room.
    pub max_per_tenant: NonZeroU32,
    /// Per holder, so that a flood under one key stops at that key.
    pub max_per_key: NonZeroU32,
}

impl Default for ReplayLimits {
    /// A million in all, for about 60 MB; a quarter of it per tenant; 10 000 per holder, which is more than
    /// 100 requests per second for as long as a proof lives.
    fn default() -> Self {
        let bound = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Self { max_proofs: bound(1_000_000), max_per_tenant: bound(250_000), max_per_key: bound(10_000) }
    }
}

/// The state of a replay store, for metrics and diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayHealth {
    /// How many proofs are remembered. None where counting is not cheap.
    pub live_proofs: Option<u64>,
    /// Uses of proofs before this instant may be unknown. None where each scope has an instant of its own.
    pub complete_since: Option<Timestamp>,
    /// How often this store's memory, or the connection to it, was interrupted since it was opened.
    pub interruptions: u64,
    /// How often limits were charged in this replica alone, because the store could not be asked.
    pub charged_locally: u64,
    /// What is known of a cluster's nodes, where the store is one.
    pub nodes: Option<Nodes>,
}

/// The nodes of a cluster that have slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nodes {
    /// How many there are.
    pub all: usize,
    /// How many of them cannot be used.
    pub down: usize,
    /// Slots that no node has. Whatever lies there is refused, as it is on a node that is down.
    pub uncovered_slots: usize,
}

impl Nodes {
    /// Whether the whole cluster can be used.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.down == 0 && self.uncovered_slots == 0
    }
}

//! What a decision is made with, beside the generation.

use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use exequatur_issuers::Issuers;
use exequatur_store::{AdmissionStore, Overrides, Rate, RatePer, Snapshot, SourceLimits, Subjects};
use exequatur_token::{Nonces, ProofLimits, TokenSize};
use jiff::SignedDuration;

use crate::cache::TokenCache;

/// What decisions need that lives longer than a generation.
#[derive(Debug)]
pub struct Decider {
    parts: DeciderParts,
    token_size: TokenSize,
    sources: SourceLimits,
    questions: Arc<SourceLimits>,
}

/// The parts of a [`Decider`].
#[derive(Debug)]
pub struct DeciderParts {
    /// The issuers and their keys.
    pub issuers: Arc<Issuers>,
    /// What is remembered between requests: used proofs.
    pub store: Arc<dyn AdmissionStore>,
    /// What is revoked.
    pub revocations: Arc<Snapshot>,
    /// Which limits are set otherwise.
    pub overrides: Arc<Overrides>,
    /// What signals have said of subjects.
    pub subjects: Arc<Subjects>,
    /// Verified tokens.
    pub cache: TokenCache,
    /// Nonces, from a secret that replicas share.
    pub nonces: SharedNonces,
    /// How proofs and nonces are judged.
    pub sender: SenderPolicy,
}

/// Nonces whose secrets may be replaced between two decisions. Clones share them.
#[derive(Clone, Debug)]
pub struct SharedNonces(Arc<ArcSwap<Nonces>>);

impl From<Nonces> for SharedNonces {
    fn from(nonces: Nonces) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(nonces)))
    }
}

impl SharedNonces {
    /// Goes over to other secrets: each use from now on is by them.
    pub fn replace(&self, nonces: Nonces) {
        self.0.store(Arc::new(nonces));
    }

    /// Those in use now.
    pub(crate) fn get(&self) -> Guard<Arc<Nonces>> {
        self.0.load()
    }
}

/// How proofs and nonces are judged.
#[derive(Clone, Debug)]
pub struct SenderPolicy {
    /// Windows and algorithms of proofs.
    pub proofs: ProofLimits,
    /// Whether each proof needs a nonce.
    pub nonces: NonceMode,
}

/// Whether each proof needs a nonce. In doubt about replay one is asked for in either mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NonceMode {
    /// A nonce is ignored, unless the store is in doubt.
    Off,
    /// Each proof needs a recent nonce (RFC 9449 §9).
    Required {
        /// Oldest nonce that is taken.
        max_age: SignedDuration,
    },
}

/// How often a source may come without credentials that hold: 100 a second, a thousand at once. A failed verification
/// takes some 100 µs, so that one source takes a hundredth of a core; and a thousand callers behind one gateway, whose
/// tokens expire in one moment, are still told so.
#[must_use]
pub fn default_unauthenticated() -> Rate {
    let count = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let (count, burst) = (count(100), count(1000));
    Rate::new(count, RatePer::Second, burst).unwrap_or_else(Rate::least)
}

impl Decider {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: DeciderParts) -> Self {
        Self {
            parts,
            token_size: TokenSize::default(),
            sources: SourceLimits::new(default_unauthenticated()),
            questions: Arc::new(SourceLimits::new(default_unauthenticated())),
        }
    }

    /// Reads tokens up to this size instead of the default.
    #[must_use]
    pub fn with_token_size(self, token_size: TokenSize) -> Self {
        Self { token_size, ..self }
    }

    /// Bounds requests without credentials that hold by this rate for each source, instead of the default.
    #[must_use]
    pub fn with_unauthenticated(self, rate: Rate) -> Self {
        Self { sources: SourceLimits::new(rate), questions: Arc::new(SourceLimits::new(rate)), ..self }
    }

    /// The issuers, for readiness and metrics.
    #[must_use]
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.parts.issuers
    }

    /// The proof algorithms and windows.
    #[must_use]
    pub fn proof_limits(&self) -> &ProofLimits {
        &self.parts.sender.proofs
    }

    pub(crate) const fn token_size(&self) -> TokenSize {
        self.token_size
    }

    pub(crate) fn store(&self) -> &Arc<dyn AdmissionStore> {
        &self.parts.store
    }

    pub(crate) fn sources(&self) -> &SourceLimits {
        &self.sources
    }

    /// How many questions about tokens that were in vain came of each source.
    pub(crate) fn questions(&self) -> &Arc<SourceLimits> {
        &self.questions
    }

    /// What is revoked, as this process knows it.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Snapshot> {
        &self.parts.revocations
    }

    pub(crate) fn subjects(&self) -> &Subjects {
        &self.parts.subjects
    }

    pub(crate) fn overrides(&self) -> &Overrides {
        &self.parts.overrides
    }

    pub(crate) fn cache(&self) -> &TokenCache {
        &self.parts.cache
    }

    /// The nonces, for whoever replaces their secrets.
    #[must_use]
    pub const fn shared_nonces(&self) -> &SharedNonces {
        &self.parts.nonces
    }

    pub(crate) fn nonces(&self) -> Guard<Arc<Nonces>> {
        self.parts.nonces.get()
    }

    pub(crate) fn nonce_mode(&self) -> NonceMode {
        self.parts.sender.nonces
    }
}

//! What a decision is made with, beside the generation.

use std::sync::Arc;

use exequatur_issuers::Issuers;
use exequatur_store::ReplayStore;
use exequatur_token::{Nonces, ProofLimits};
use jiff::SignedDuration;

use crate::cache::TokenCache;

/// What decisions need that lives longer than a generation.
#[derive(Debug)]
pub struct Decider(DeciderParts);

/// The parts of a [`Decider`].
#[derive(Debug)]
pub struct DeciderParts {
    /// The issuers and their keys.
    pub issuers: Arc<Issuers>,
    /// Used proofs.
    pub replay: Arc<dyn ReplayStore>,
    /// Verified tokens.
    pub cache: TokenCache,
    /// Nonces, from a secret that replicas share.
    pub nonces: Nonces,
    /// How proofs and nonces are judged.
    pub sender: SenderPolicy,
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

impl Decider {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: DeciderParts) -> Self {
        Self(parts)
    }

    /// The issuers, for readiness and metrics.
    #[must_use]
    pub fn issuers(&self) -> &Arc<Issuers> {
        &self.0.issuers
    }

    /// The proof algorithms and windows.
    #[must_use]
    pub fn proof_limits(&self) -> &ProofLimits {
        &self.0.sender.proofs
    }

    pub(crate) fn replay(&self) -> &dyn ReplayStore {
        self.0.replay.as_ref()
    }

    pub(crate) fn cache(&self) -> &TokenCache {
        &self.0.cache
    }

    pub(crate) fn nonces(&self) -> &Nonces {
        &self.0.nonces
    }

    pub(crate) fn nonce_mode(&self) -> NonceMode {
        self.0.sender.nonces
    }
}

//! The decision. Read this function first.

use std::sync::Arc;

use exequatur_issuers::Issuers;
use exequatur_store::ReplayStore;
use exequatur_token::{Nonces, ProofLimits};
use jiff::{SignedDuration, Timestamp};

use crate::admit::admit;
use crate::authenticate::authenticate;
use crate::authorize::authorize;
use crate::cache::TokenCache;
use crate::denial::Refusal;
use crate::generation::Generation;
use crate::presented::{RawRequest, present};
use crate::require::require;
use crate::route::{Routed, route};
use crate::settle::{Settled, settle, settle_public};
use crate::trail::{Stage, Trail};

impl Decider {
    /// Decides one request under one generation.
    ///
    /// Each stage takes the evidence of the stage before, and a stage that cannot give its own ends here.
    ///
    /// # Errors
    /// The one reason why the request is not permitted.
    pub async fn check(
        &self,
        request: &RawRequest<'_>,
        generation: &Generation,
        now: Timestamp,
        trail: &mut Trail<'_>,
    ) -> Result<Settled, Refusal> {
        trail.enter(Stage::Present);
        let presented = present(request, trail)?;

        trail.enter(Stage::Route);
        let asked = match route(presented, &generation.routes, trail)? {
            Routed::Public(public) => return Ok(settle_public(public)),
            Routed::Guarded(guarded) => guarded,
        };

        trail.enter(Stage::Authenticate);
        let authenticated = authenticate(asked, self, generation, now, trail).await?;

        trail.enter(Stage::Require);
        let required = require(authenticated)?;

        trail.enter(Stage::Admit);
        let admitted = admit(required, self, now, trail).await?;

        trail.enter(Stage::Authorize);
        let authorized = authorize(admitted, generation, now, trail)?;

        trail.enter(Stage::Settle);
        settle(authorized, self, now).await
    }
}

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

//! The store inside the process: for one replica.

mod limits;
mod quota_file;

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};

use crate::admission::{AdmissionStore, Answer, Ask, Scope, StoreError, StoreFuture};
use crate::folder::StateFolder;
use crate::limit::{ChargeOutcome, Reserved, micros};
use crate::live::{LiveKey, LiveProofs};
use crate::replay::{Claim, ClaimOutcome, Claimed, Epoch, ReplayHealth, ReplayLimits};

pub(crate) use limits::LimitTable;
pub use limits::{LimitBounds, MAX_CHARGES};
use quota_file::QuotaFile;
pub use quota_file::{QuotaFileError, QuotasFound};

/// How far a caller's `now` may lag behind the latest one. Requests read the clock before they come here, in no
/// order, and a disciplined clock is slewed; a bigger step back means that the clock was set.
const BACKWARD_STEP: SignedDuration = SignedDuration::from_secs(1);

/// Remembers used proofs in memory. It knows nothing from before it was made, so that every proof issued until
/// then is doubtful.
///
/// Nothing live is evicted: at a bound, new proofs are refused. The time never runs backwards in here; when the
/// clock was set back, what was dropped in the meantime could pass again, so a new epoch begins that is complete
/// only since the latest instant seen.
///
/// Levels of limits are forgotten once they are as good as none; at their bound, keys without one are refused.
#[derive(Debug)]
pub struct EmbeddedStore {
    state: Mutex<State>,
    limits: LimitTable,
    quotas: Option<KeptQuotas>,
}

/// Where quotas are kept that are to outlive the process.
#[derive(Debug)]
struct KeptQuotas {
    file: Mutex<QuotaFile>,
    /// Nobody else may write in it as long as this lives.
    _folder: Arc<StateFolder>,
}

#[derive(Debug)]
struct State {
    live: LiveProofs,
    epoch: Epoch,
    complete_since: Timestamp,
    /// INVARIANT (forgotten): whatever was dropped had a last instant before `latest`.
    latest: Timestamp,
    interruptions: u64,
}

impl EmbeddedStore {
    /// An empty store, complete since `started_at`.
    ///
    /// # Errors
    /// [`StoreError::NoRandomness`] if no epoch can be drawn.
    pub fn new(limits: ReplayLimits, started_at: Timestamp) -> Result<Self, StoreError> {
        let state = State {
            live: LiveProofs::new(limits),
            epoch: draw_epoch()?,
            complete_since: started_at,
            latest: started_at,
            interruptions: 0,
        };
        let limits = LimitTable::new(LimitBounds::default());
        Ok(Self { state: Mutex::new(state), limits, quotas: None })
    }

    /// Goes on with the quotas that a folder holds, and keeps them there: as often as [`Self::keep_quotas`] is called.
    ///
    /// # Errors
    /// [`QuotaFileError`]: what was used is not known, or would not be kept.
    pub fn with_quotas_in(
        mut self,
        folder: Arc<StateFolder>,
        now: Timestamp,
    ) -> Result<(Self, QuotasFound), QuotaFileError> {
        let mut restored = Ok(());
        let unreadable = QuotaFile::read(folder.path(), |quota| {
            if restored.is_ok() {
                restored = self.limits.restore(quota);
            }
        })?;
        restored.or(Err(QuotaFileError::Poisoned))?;
        self.limits.forget_over(micros(now)).or(Err(QuotaFileError::Poisoned))?;
        self.limits.keep();
        let quotas = self.limits.all_quotas().or(Err(QuotaFileError::Poisoned))?;
        let file = Mutex::new(QuotaFile::write(folder.path(), &quotas)?);
        let found = QuotasFound { quotas: quotas.len(), unreadable };
        Ok((Self { quotas: Some(KeptQuotas { file, _folder: folder }), ..self }, found))
    }

    /// Writes what changed of quotas, and returns once it is on the disk. Blocks; nothing without a folder.
    ///
    /// # Errors
    /// What could not be written is written the next time.
    pub fn keep_quotas(&self) -> Result<(), QuotaFileError> {
        let Some(kept) = &self.quotas else { return Ok(()) };
        let mut file = kept.file.lock().or(Err(QuotaFileError::Poisoned))?;
        let long = file.is_long(self.limits.quotas().or(Err(QuotaFileError::Poisoned))?);
        let quotas = if long { self.limits.all_quotas() } else { self.limits.take_changed() };
        let quotas = quotas.or(Err(QuotaFileError::Poisoned))?;
        if quotas.is_empty() && !long {
            return Ok(());
        }
        let written = if long { file.rewrite(&quotas) } else { file.append(&quotas) };
        if written.is_err() {
            self.limits.put_back_changed(&quotas).or(Err(QuotaFileError::Poisoned))?;
        }
        written
    }

    /// Remembers so many levels of limits instead of the default. What was charged before is forgotten.
    #[must_use]
    pub fn with_limit_bounds(self, bounds: LimitBounds) -> Self {
        Self { limits: LimitTable::new(bounds), ..self }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        self.state.lock().or(Err(StoreError::Poisoned))
    }
}

impl AdmissionStore for EmbeddedStore {
    fn admit<'a>(&'a self, ask: &'a Ask<'a>, now: Timestamp) -> StoreFuture<'a, Answer> {
        Box::pin(async move {
            let claim = match ask.claim {
                Some(claim) => Some(self.state()?.claim(ask.scope, claim, now)?),
                None => None,
            };
            let charges = match &claim {
                Some(ClaimOutcome::Fresh(_)) | None => {
                    self.limits.charge(ask.scope, ask.charges, micros(now))?
                }
                Some(
                    ClaimOutcome::Replayed
                    | ClaimOutcome::Doubtful { .. }
                    | ClaimOutcome::Full(_)
                    | ClaimOutcome::Expired,
                ) => ChargeOutcome::NotReached,
            };
            Ok(Answer { claim, charges })
        })
    }

    fn give_back(&self, reserved: Reserved) {
        self.limits.give_back(&reserved);
    }

    fn epoch(&self, _scope: Scope, now: Timestamp) -> StoreFuture<'_, Epoch> {
        Box::pin(async move {
            let mut state = self.state()?;
            state.advance(now)?;
            Ok(state.epoch)
        })
    }

    fn health(&self, now: Timestamp) -> StoreFuture<'_, ReplayHealth> {
        Box::pin(async move {
            let mut state = self.state()?;
            state.advance(now)?;
            Ok(ReplayHealth {
                live_proofs: Some(u64::from(state.live.len())),
                complete_since: Some(state.complete_since),
                interruptions: state.interruptions,
                charged_locally: 0,
                nodes: None,
            })
        })
    }
}

impl State {
    fn claim(&mut self, scope: Scope, claim: &Claim, now: Timestamp) -> Result<ClaimOutcome, StoreError> {
        let now = self.advance(now)?;
        let ahead = claim.issued_at.duration_since(now) > claim.doubt_span;
        if claim.live_until < now || ahead {
            return Ok(ClaimOutcome::Expired);
        }
        if self.is_doubtful(claim) {
            return Ok(ClaimOutcome::Doubtful { epoch: self.epoch });
        }
        let key = LiveKey { proof: claim.key.proof, holder: claim.key.holder, scope };
        if self.live.contains(&key) {
            return Ok(ClaimOutcome::Replayed);
        }
        if let Some(bound) = self.live.reached_bound(&key) {
            return Ok(ClaimOutcome::Full(bound));
        }
        if self.live.insert(&key, claim.live_until) {
            Ok(ClaimOutcome::Fresh(Claimed::assertion(self.epoch)))
        } else {
            Ok(ClaimOutcome::Replayed)
        }
    }

    fn is_doubtful(&self, claim: &Claim) -> bool {
        if claim.nonce_epoch == Some(self.epoch) {
            return false;
        }
        // An end of doubt beyond what a timestamp can say never comes.
        self.complete_since
            .checked_add(claim.doubt_span)
            .map_or(true, |known_after| claim.issued_at <= known_after)
    }

    /// Brings the store to `now` and returns the instant that counts, which is never before `latest`, except that
    /// a clock that was set back begins a new epoch.
    fn advance(&mut self, now: Timestamp) -> Result<Timestamp, StoreError> {
        if self.latest.duration_since(now) > BACKWARD_STEP {
            // Drawn first: without it nothing changes, and each later call fails the same way.
            self.epoch = draw_epoch()?;
            self.complete_since = self.complete_since.max(self.latest);
            self.latest = now;
            self.interruptions = self.interruptions.saturating_add(1);
        }
        self.latest = self.latest.max(now);
        self.live.drop_before(self.latest);
        Ok(self.latest)
    }
}

fn draw_epoch() -> Result<Epoch, StoreError> {
    let mut epoch = Epoch::default();
    getrandom::fill(&mut epoch).or(Err(StoreError::NoRandomness))?;
    Ok(epoch)
}

#[cfg(test)]
mod tests;

//! Fifth stage: what is remembered. One trip to the store, and only for an identity that is proven.
//!
//! A proof is claimed after its signature, `ath` and key binding have passed, so that garbage neither fills
//! the store nor burns another's proof (G10). What is revoked is asked first, of the snapshot in this process: without a
//! trip, and for each use of a token, known or not. Limits belong here too, after replay.

use exequatur_store::{Claim, ClaimOutcome, Claimed, Epoch, Finding, NotRevoked, ReplayKey};
use exequatur_token::{ProofLimits, VerifiedProof};
use jiff::{SignedDuration, Timestamp};

use crate::authenticate::{NonceSeen, ask_for_nonce};
use crate::decider::Decider;
use crate::denial::{Denial, Fault, Refusal};
use crate::require::Required;
use crate::trail::{ReplayFact, RevocationFact, Trail};

/// Evidence that this use is the first.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) required: Required,
    first_use: FirstUse,
    _not_revoked: NotRevoked,
}

impl Admitted {
    /// The epoch of the store that claimed the proof, if there was one.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        match &self.first_use {
            FirstUse::NoProof => None,
            FirstUse::Claimed(claimed) => Some(claimed.epoch()),
        }
    }
}

/// Only [`admit`] makes it.
#[derive(Debug)]
enum FirstUse {
    /// A bearer or certificate-bound token may be used again.
    NoProof,
    /// The store has claimed the proof.
    Claimed(Claimed),
}

/// Asks whether anything that the token rests on is revoked, then claims the proof, if there is one.
///
/// # Errors
/// [`Denial::Revoked`]; a fault where it is not known what is revoked.
/// [`Denial::Replayed`]; a request for a nonce where the store cannot know; [`Denial::ReplayBound`];
/// a fault where the store does not answer: a proof that could not be claimed is not a new one.
pub(crate) async fn admit(
    required: Required,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Admitted, Refusal> {
    let not_revoked = not_revoked(&required, decider, now, trail)?;
    let Some(proof) = required.authenticated.bound.proof() else {
        return Ok(Admitted { required, first_use: FirstUse::NoProof, _not_revoked: not_revoked });
    };
    let claim = claim_of(proof, &required.authenticated.nonce, decider)?;
    let outcome =
        decider.store().claim(required.authenticated.known.scope, &claim, now).await.map_err(|error| {
            trail.facts.replay = Some(ReplayFact::Unavailable);
            Fault::Replay(error)
        })?;
    let (fact, end) = match outcome {
        ClaimOutcome::Fresh(claimed) => {
            trail.facts.replay = Some(ReplayFact::Fresh);
            let first_use = FirstUse::Claimed(claimed);
            return Ok(Admitted { required, first_use, _not_revoked: not_revoked });
        }
        ClaimOutcome::Replayed => (ReplayFact::Replayed, Denial::Replayed.into()),
        ClaimOutcome::Expired => {
            (ReplayFact::Expired, Denial::Proof(exequatur_token::ProofError::IatOutOfWindow).into())
        }
        ClaimOutcome::Doubtful { epoch } => {
            let authenticated = &required.authenticated;
            let (request, nonce) = (&authenticated.request, &authenticated.nonce);
            (ReplayFact::Doubtful, ask_for_nonce(decider, request, proof, nonce, epoch, now).into())
        }
        ClaimOutcome::Full(exequatur_store::Bound::Global) => (ReplayFact::Full, Fault::ReplayFull.into()),
        ClaimOutcome::Full(limit) => (ReplayFact::Full, Denial::ReplayBound(limit).into()),
    };
    trail.facts.replay = Some(fact);
    Err(end)
}

/// D-06, D-07, G26, G27: token, keys, agent and every actor, user, session, client, tenant, issuer, everything.
fn not_revoked(
    required: &Required,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<NotRevoked, Refusal> {
    let (fact, answer) = match decider.revocations().ask(&*required.authenticated.known.revocable_by, now) {
        Finding::NotRevoked(evidence) => (RevocationFact::Clear, Ok(evidence)),
        Finding::Revoked(revoked) => (RevocationFact::Revoked, Err(Denial::Revoked(revoked).into())),
        Finding::Unknown(unknown) => (RevocationFact::Unknown, Err(Fault::Revocations(unknown).into())),
    };
    trail.facts.revocation = Some(fact);
    answer
}

fn claim_of(proof: &VerifiedProof, nonce: &NonceSeen, decider: &Decider) -> Result<Claim, Refusal> {
    let limits = decider.proof_limits();
    let key = ReplayKey {
        proof: half(&proof.jti_digest()).ok_or(Fault::Internal)?,
        holder: half(proof.key().as_bytes()).ok_or(Fault::Internal)?,
    };
    let nonce_epoch = match nonce {
        NonceSeen::Ours(nonce) => Some(nonce.epoch().0),
        NonceSeen::Absent | NonceSeen::Foreign => None,
    };
    Ok(Claim {
        key,
        issued_at: proof.issued_at(),
        live_until: proof.passable_until(limits),
        nonce_epoch,
        doubt_span: doubt_span(limits),
    })
}

/// How far ahead of our clock a proof's `iat` may be: a proof whose `iat` lies no further than this behind
/// the store's beginning may have been used before it.
fn doubt_span(limits: &ProofLimits) -> SignedDuration {
    limits.future.saturating_add(limits.skew)
}

/// 128 bits of a digest: a collision costs 2^64 proofs and refuses only the one who made it.
fn half(digest: &[u8]) -> Option<[u8; 16]> {
    digest.first_chunk::<16>().copied()
}

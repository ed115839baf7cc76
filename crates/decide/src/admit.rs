//! Fifth stage: what is remembered. One trip to the store, and only for an identity that is proven.
//!
//! A proof is claimed after its signature, `ath` and key binding have passed, so that garbage neither fills
//! the store nor burns another's proof (G10), and limits are charged after the claim: a replay is charged nothing, and
//! nobody but its holder can charge an identity (L04). What is revoked is asked first, of the snapshot in this process:
//! without a trip, and for each use of a token, known or not. So is the status list that the token names, if it names one:
//! only one that was never loaded is waited for, within a bound of its own.

use std::borrow::Cow;
use std::sync::Arc;

use exequatur_store::{
    Ask, Asked, Charge, ChargeOutcome, Claim, ClaimOutcome, Claimed, Epoch, Finding, NotRevoked, Overrides,
    ReplayKey, Standing,
};
use exequatur_token::{ProofLimits, VerifiedProof};
use jiff::{SignedDuration, Timestamp};

use crate::authenticate::{Authenticated, NonceSeen, ask_for_nonce};
use crate::decider::Decider;
use crate::denial::{Denial, Fault, Refusal};
use crate::generation::Generation;
use crate::limits::{Account, Held, LimitRule, LimitStanding};
use crate::require::Required;
use crate::revocation::tenant_target;
use crate::status::{StatusHolds, status};
use crate::trail::{ReplayFact, RevocationFact, Trail};

/// Evidence that this use is the first.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) required: Required,
    first_use: FirstUse,
    not_revoked: NotRevoked,
    _status: StatusHolds,
    /// How each limit stands.
    pub(crate) limits: Vec<LimitStanding>,
    /// What quotas were charged: kept with the permit, else given back.
    pub(crate) held: Option<Held>,
}

impl Admitted {
    /// Whether revocations were asked of what was heard longer ago than usual.
    pub(crate) fn is_degraded(&self) -> bool {
        self.not_revoked.is_degraded()
    }

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

/// Asks whether anything that the token rests on is revoked, here or by its issuer's status list, claims the proof, if there
/// is one, and charges the limits, if there are any. Without proof and limits, the store is not asked.
///
/// # Errors
/// [`Denial::Revoked`], [`Denial::Status`]; a fault where it is not known what is revoked, or the list is not there.
/// [`Denial::Replayed`]; a request for a nonce where the store cannot know; [`Denial::ReplayBound`]; [`Denial::Limited`];
/// a fault where the store does not answer: a proof that could not be claimed is not a new one, and a limit that could
/// not be charged is not known to have room.
pub(crate) async fn admit(
    required: Required,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Admitted, Refusal> {
    let not_revoked = not_revoked(&required, decider, now, trail)?;
    let _status = status(&required.authenticated.known, now, trail).await?;
    let authenticated = &required.authenticated;
    let rules = generation.limits.of_route(&authenticated.request.route);
    let proof = authenticated.bound.proof();
    if proof.is_none() && rules.is_empty() {
        let (limits, held) = (Vec::new(), None);
        return Ok(Admitted { required, first_use: FirstUse::NoProof, not_revoked, _status, limits, held });
    }
    let claim = proof.map(|proof| claim_of(proof, &authenticated.nonce, decider)).transpose()?;
    let charges = charges(rules, authenticated, decider.overrides(), now)?;
    let ask = Ask { scope: authenticated.known.scope, claim: claim.as_ref(), charges: &charges };
    let answer = decider.store().admit(&ask, now).await.map_err(|error| {
        if claim.is_none() {
            return Fault::Limits(error);
        }
        trail.facts.replay = Some(ReplayFact::Unavailable);
        Fault::Replay(error)
    })?;
    let first_use = match (answer.claim, proof) {
        (None, None) => FirstUse::NoProof,
        (Some(outcome), Some(proof)) => claimed(outcome, proof, authenticated, decider, now, trail)?,
        (None, Some(_)) | (Some(_), None) => return Err(Fault::Internal.into()),
    };
    let (standings, reserved) = match answer.charges {
        ChargeOutcome::Charged(charged) => charged.into_parts(),
        ChargeOutcome::Limited(standings) => {
            let limits = named(rules, standings);
            let violated = limits.iter().filter(|limit| limit.standing.wait.is_some());
            trail.facts.limits = violated.map(|limit| limit.name.clone()).collect();
            return Err(Denial::Limited(limits).into());
        }
        ChargeOutcome::NoRoom => return Err(Fault::LimitsFull.into()),
        // The claim was fresh, or there was none.
        ChargeOutcome::NotReached => return Err(Fault::Internal.into()),
    };
    let held = (!reserved.is_empty()).then(|| Held::new(decider.store(), reserved));
    let limits = named(rules, standings);
    Ok(Admitted { required, first_use, not_revoked, _status, limits, held })
}

/// What the claim of a proof is evidence of.
fn claimed(
    outcome: ClaimOutcome,
    proof: &VerifiedProof,
    authenticated: &Authenticated,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<FirstUse, Refusal> {
    let (fact, end) = match outcome {
        ClaimOutcome::Fresh(claimed) => {
            trail.facts.replay = Some(ReplayFact::Fresh);
            return Ok(FirstUse::Claimed(claimed));
        }
        ClaimOutcome::Replayed => (ReplayFact::Replayed, Denial::Replayed.into()),
        ClaimOutcome::Expired => {
            (ReplayFact::Expired, Denial::Proof(exequatur_token::ProofError::IatOutOfWindow).into())
        }
        ClaimOutcome::Doubtful { epoch } => {
            let (request, nonce) = (&authenticated.request, &authenticated.nonce);
            (ReplayFact::Doubtful, ask_for_nonce(decider, request, proof, nonce, epoch, now).into())
        }
        ClaimOutcome::Full(exequatur_store::Bound::Global) => (ReplayFact::Full, Fault::ReplayFull.into()),
        ClaimOutcome::Full(limit) => (ReplayFact::Full, Denial::ReplayBound(limit).into()),
    };
    trail.facts.replay = Some(fact);
    Err(end)
}

/// D-06, D-07, G26, G27: token, keys, agent and every actor, user, session, client, tenant, issuer, everything; and the tenant that
/// a federation leads to.
fn not_revoked(
    required: &Required,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<NotRevoked, Refusal> {
    let known = &required.authenticated.known;
    // Who stops a tenant stops what others do there too.
    let reached = required.reach.federation().map(|rule| tenant_target(&known.token, &rule.to));
    let asked: Cow<'_, [Asked]> = match reached {
        None => Cow::Borrowed(&known.revocable_by),
        Some(reached) => known.revocable_by.iter().copied().chain([reached]).collect(),
    };
    let (fact, answer) = match decider.revocations().ask(&*asked, now) {
        Finding::NotRevoked(evidence) if evidence.is_degraded() => (RevocationFact::Degraded, Ok(evidence)),
        Finding::NotRevoked(evidence) => (RevocationFact::Clear, Ok(evidence)),
        Finding::Revoked(revoked) => (RevocationFact::Revoked, Err(Denial::Revoked(revoked).into())),
        Finding::Unknown(unknown) => (RevocationFact::Unknown, Err(Fault::Revocations(unknown).into())),
    };
    trail.facts.revocation = Some(fact);
    answer
}

/// # Errors
/// A fault if it is not known which limits are set otherwise: lower ones may be among them.
fn charges(
    rules: &[Arc<LimitRule>],
    authenticated: &Authenticated,
    overrides: &Overrides,
    now: Timestamp,
) -> Result<Vec<Charge>, Refusal> {
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let overrides = overrides.known().or(Err(Fault::Overrides))?;
    let token = authenticated.bound.token().token();
    let (agent, user) = (token.actor().to_string(), token.user().map(ToString::to_string));
    let request = &authenticated.request;
    let account = Account {
        scope: authenticated.known.scope,
        agent: &agent,
        user: user.as_deref(),
        route: &request.route,
        tenant: token.tenant(),
    };
    Ok(rules.iter().map(|rule| rule.charge(account, request.guard.cost, &overrides, now)).collect())
}

/// Standings are in the order of the charges, which is that of the rules.
fn named(rules: &[Arc<LimitRule>], standings: Vec<Standing>) -> Vec<LimitStanding> {
    let named = rules.iter().zip(standings);
    named.map(|(rule, standing)| LimitStanding { name: rule.name.clone(), standing }).collect()
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

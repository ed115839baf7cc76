//! Third stage: who asks. Token, then proof, then the binding of the two.

use std::sync::Arc;

use exequatur_store::{Epoch, Scope};
use exequatur_token::{
    Bound, CurrentToken, NonceScope, PresentedSender, Proof, ProofError, ProofExpectation, Scheme,
    TokenDigest, TokenError, VerifiedNonce, VerifiedProof, bind,
};
use jiff::Timestamp;

use crate::cache::KnownToken;
use crate::credentials::Credentials;
use crate::decider::{Decider, NonceMode};
use crate::denial::{Denial, Fault, FreshNonce, Refusal};
use crate::generation::Generation;
use crate::introspection::Presented;
use crate::known_token::known_token;
use crate::route::GuardedRequest;
use crate::source::Source;
use crate::trail::{KeptFact, NonceFact, SenderFact, Stated, Trail};

/// Evidence of who asks: a token that holds now, for this resource, from the sender it is bound to.
#[derive(Debug)]
pub(crate) struct Authenticated {
    pub(crate) request: Box<GuardedRequest>,
    pub(crate) bound: Bound,
    pub(crate) known: Arc<KnownToken>,
    /// A nonce of ours in the proof, whatever its age.
    pub(crate) nonce: NonceSeen,
    _verified: Verified,
}

/// What nonce the proof carried.
#[derive(Debug)]
pub(crate) enum NonceSeen {
    /// None.
    Absent,
    /// One that we did not issue to this key for this origin.
    Foreign,
    /// One of ours.
    Ours(VerifiedNonce),
}

/// Only [`authenticate`] makes it.
#[derive(Debug)]
struct Verified(());

/// Verifies token, proof and binding; but nothing for a source that has failed too often (L04).
///
/// # Errors
/// Any denial about credentials, token, proof or binding; a fault where the issuer's keys are unknown.
pub(crate) async fn authenticate(
    request: Box<GuardedRequest>,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Authenticated, Refusal> {
    let source = Source::of(request.presented.peer);
    source.may_fail(decider.sources(), now)?;
    let outcome = verify(request, source, decider, generation, now, trail).await;
    if let Err(refusal) = &outcome {
        source.charge(refusal, decider.sources(), now)?;
    }
    outcome
}

async fn verify(
    request: Box<GuardedRequest>,
    source: Source,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Authenticated, Refusal> {
    let credentials = request.presented.credentials.clone()?;
    let (scheme, raw, raw_proof) = match &credentials {
        Credentials::None => return Err(Denial::CredentialsMissing.into()),
        Credentials::Bearer { token } => (Scheme::Bearer, token.as_str(), None),
        Credentials::Dpop { token, proof } => (Scheme::Dpop, token.as_str(), Some(proof)),
    };
    trail.facts.dpop_scheme = matches!(scheme, Scheme::Dpop);
    let digest = TokenDigest::of(raw);
    let presented = Presented { raw, digest, source, certificate: request.presented.certificate.as_ref() };
    let known = known_token(presented, decider, generation, now, trail).await?;
    note_identity(&known, trail);
    let token = current_token(&request, &known, now)?;
    let proof = match raw_proof {
        Some(Ok(raw_proof)) => Some(verify_proof(raw_proof, &request, decider, digest, now)?),
        Some(Err(error)) => return Err(Denial::Proof(*error).into()),
        None => None,
    };
    trail.facts.proof_key = proof.as_ref().map(VerifiedProof::key);
    let sent = PresentedSender { scheme, proof, certificate: request.presented.certificate.as_ref() };
    let bound = bind(token, sent).map_err(Denial::Binding)?;
    trail.facts.sender = Some(SenderFact::of(&bound));
    trail.facts.certificate = bound.certificate();
    // Only now: whoever does not hold the token's key is told so, and gets no nonce.
    let nonce = match bound.proof() {
        Some(proof) => judge_nonce(proof, &request, known.scope, decider, now, trail).await?,
        None => NonceSeen::Absent,
    };
    Ok(Authenticated { request, bound, known, nonce, _verified: Verified(()) })
}

/// What the proof's nonce is worth, and a fresh one where it is not worth enough.
async fn judge_nonce(
    proof: &VerifiedProof,
    request: &GuardedRequest,
    scope: Scope,
    decider: &Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<NonceSeen, Refusal> {
    let nonce = see_nonce(proof, request, decider, now);
    trail.facts.nonce = Some(match &nonce {
        NonceSeen::Absent => NonceFact::Absent,
        NonceSeen::Foreign => NonceFact::Foreign,
        NonceSeen::Ours(_) => NonceFact::Valid,
    });
    let enough = match (decider.nonce_mode(), &nonce) {
        (NonceMode::Off, _) => true,
        (NonceMode::Required { max_age }, NonceSeen::Ours(nonce)) => nonce.age(now) <= max_age,
        (NonceMode::Required { .. }, NonceSeen::Absent | NonceSeen::Foreign) => false,
    };
    if enough {
        return Ok(nonce);
    }
    let epoch = decider.store().epoch(scope, now).await.map_err(Fault::Replay)?;
    Err(ask_for_nonce(decider, request, proof, &nonce, epoch, now).into())
}

/// Whether the token may be used now, for the audience of this route.
fn current_token(
    request: &GuardedRequest,
    known: &KnownToken,
    now: Timestamp,
) -> Result<CurrentToken, Refusal> {
    // J03: the first of the names of what the route is about that the token is for.
    let judged = |audience| {
        let outcome = known.token.current(now, audience, known.issuer.profile());
        (!matches!(outcome, Err(TokenError::AudienceMismatch))).then_some(outcome)
    };
    let current = request.audiences().find_map(judged).unwrap_or(Err(TokenError::AudienceMismatch));
    Ok(current.map_err(Denial::Token)?)
}

fn verify_proof(
    raw: &str,
    request: &GuardedRequest,
    decider: &Decider,
    token: TokenDigest,
    now: Timestamp,
) -> Result<VerifiedProof, Denial> {
    let expectation = ProofExpectation {
        method: &request.presented.method,
        target: &request.target,
        token: &token,
        limits: decider.proof_limits(),
    };
    Proof::verify(raw, &expectation, now).map_err(|error: ProofError| Denial::Proof(error))
}

fn see_nonce(
    proof: &VerifiedProof,
    request: &GuardedRequest,
    decider: &Decider,
    now: Timestamp,
) -> NonceSeen {
    let Some(nonce) = proof.nonce() else { return NonceSeen::Absent };
    let scope = NonceScope { origin: &request.protected.origin, key: proof.key() };
    match decider.nonces().verify(nonce, &scope, now) {
        Ok(nonce) => NonceSeen::Ours(nonce),
        // Malformed, forged or of the future: not ours, and nothing is taken from it.
        Err(_refused) => NonceSeen::Foreign,
    }
}

/// The denial that hands out a nonce of the store's epoch, for this key and origin.
pub(crate) fn ask_for_nonce(
    decider: &Decider,
    request: &GuardedRequest,
    proof: &VerifiedProof,
    seen: &NonceSeen,
    epoch: Epoch,
    now: Timestamp,
) -> Denial {
    let nonce = fresh_nonce(decider, request, proof, epoch, now);
    match seen {
        NonceSeen::Absent => Denial::NonceRequired(nonce),
        NonceSeen::Foreign | NonceSeen::Ours(_) => Denial::NonceInvalid(nonce),
    }
}

pub(crate) fn fresh_nonce(
    decider: &Decider,
    request: &GuardedRequest,
    proof: &VerifiedProof,
    epoch: Epoch,
    now: Timestamp,
) -> FreshNonce {
    let scope = NonceScope { origin: &request.protected.origin, key: proof.key() };
    FreshNonce::new(decider.nonces().issue(&scope, exequatur_token::Epoch(epoch), now))
}

fn note_identity(known: &KnownToken, trail: &mut Trail<'_>) {
    let (token, facts) = (&known.token, &mut trail.facts);
    facts.issuer = Some(token.issuer_name().to_string());
    facts.token_source = Some(token.source());
    facts.agent = Some(token.actor().to_string());
    facts.client = Some(token.client()).filter(|client| *client != token.actor()).map(ToString::to_string);
    facts.user = token.user().map(ToString::to_string);
    facts.tenant = token.tenant().map(str::to_owned);
    let actors = token.delegation().actors().iter().map(|actor| actor.id().to_string());
    facts.actors = actors.chain(token.first_agent().map(|first| first.to_string())).collect();
    facts.token_id_digest.clone_from(&known.id_digest);
    let kept = facts.key_set.is_some() && known.issuer.keys_are_kept();
    facts.kept.extend(kept.then_some(KeptFact::Keys));
    facts.stated = Some(Stated::of(&known.token));
}

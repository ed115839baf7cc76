//! Third stage: who asks. Token, then proof, then the binding of the two.

use std::sync::Arc;

use exequatur_issuers::{Issuer, SoughtKey};
use exequatur_policy::{Identity, Principal, Subject};
use exequatur_store::{Epoch, Scope};
use exequatur_token::{
    Bound, CertifiedTenantError, Claim, CurrentToken, NonceScope, PresentedSender, Proof, ProofError,
    ProofExpectation, Scheme, ScopedId, TokenDigest, TokenError, UnverifiedToken, VerifiedNonce,
    VerifiedProof, VerifiedToken, bind,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::cache::{KnownToken, MadeUnder, token_id_digest};
use crate::credentials::Credentials;
use crate::decider::{Decider, NonceMode};
use crate::denial::{Denial, Fault, FreshNonce, Refusal};
use crate::generation::Generation;
use crate::introspection::{self, Presented};
use crate::revocation::targets;
use crate::route::GuardedRequest;
use crate::source::Source;
use crate::trail::{IntrospectionFact, NonceFact, SenderFact, Trail};

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

/// The token, verified now, or before under what is in force now. The digest is over every byte of it, so that a
/// token that was seen before need not be parsed again.
async fn known_token(
    presented: Presented<'_>,
    decider: &Decider,
    generation: &Generation,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<Arc<KnownToken>, Refusal> {
    let configuration = generation.configuration;
    if let Some(known) = decider.cache().get(&presented.digest) {
        let key_set = match known.under.key_set {
            Some(_) => Some(known.issuer.keys(now).map_err(Fault::Keys)?.id()),
            None => None,
        };
        if known.counts(now) && known.under == (MadeUnder { key_set, configuration }) {
            trail.facts.key_set = key_set;
            trail.facts.token_cached = Some(true);
            trail.facts.introspection = known.said.map(|_| IntrospectionFact::Active);
            return Ok(known);
        }
        decider.cache().remove(&presented.digest);
    }
    trail.facts.token_cached = Some(false);
    let (issuer, token, said) = match decider.issuers().of_opaque(presented.raw) {
        Some(issuer) => {
            let said = introspection::opaque(presented, issuer, decider, now, trail).await?;
            (issuer, said.what, Some(said.validity))
        }
        None => {
            let (issuer, token) = signed_token(presented.raw, decider, now, trail)?;
            let said = introspection::confirmed(presented, &token, issuer, decider, now, trail).await?;
            (issuer, token, said)
        }
    };
    let key_set = token.key_set();
    trail.facts.key_set = key_set;
    let token = token.certified(issuer.profile(), presented.certificate, now).map_err(tenant_denial)?;
    let known = Arc::new(KnownToken {
        subject: subject(&token, generation)?,
        scope: scope(&token),
        revocable_by: targets(&token),
        id_digest: token_id_digest(token.jti()),
        token,
        issuer: Arc::clone(issuer),
        under: MadeUnder { key_set, configuration },
        said,
    });
    decider.cache().put(presented.digest, Arc::clone(&known));
    Ok(known)
}

/// A token that its issuer has signed.
fn signed_token<'d>(
    raw: &str,
    decider: &'d Decider,
    now: Timestamp,
    trail: &mut Trail<'_>,
) -> Result<(&'d Arc<Issuer>, Arc<VerifiedToken>), Refusal> {
    let unverified = UnverifiedToken::parse_within(raw, decider.token_size()).map_err(Denial::Token)?;
    let issuer =
        decider.issuers().find(unverified.issuer()).ok_or(Denial::Token(TokenError::IssuerUnknown))?;
    let keys = issuer.keys(now).map_err(Fault::Keys)?;
    trail.facts.key_set = Some(keys.id());
    let named = NamedKey {
        key: issuer.sought_key(unverified.key_id(), unverified.algorithm()),
        by_id: unverified.key_id().is_some(),
    };
    let token = unverified.verify(issuer.profile(), &keys, now);
    let token = token.map_err(|error| token_denial(issuer, &named, error, now))?;
    Ok((issuer, Arc::new(token)))
}

/// Why it is not known of which tenant a token is, where its certificate has to say so.
const fn tenant_denial(error: CertifiedTenantError) -> Denial {
    match error {
        CertifiedTenantError::Unbound => Denial::BindingRequired,
        CertifiedTenantError::Binding(error) => Denial::Binding(error),
        CertifiedTenantError::Foreign => Denial::Token(TokenError::ClaimInvalid(Claim::Tenant)),
    }
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

fn subject(token: &VerifiedToken, generation: &Generation) -> Result<Subject, Fault> {
    let issuer = token.issuer_name().as_str();
    let principal = |id| Principal { id, issuer, tenant: token.tenant() };
    let first = token.first_agent();
    let prior = token.delegation().prior().map(|actor| actor.id().as_str());
    let prior: Vec<&str> = prior.chain(first.as_ref().map(ScopedId::as_str)).collect();
    let identity = Identity {
        actor: principal(token.actor().as_str()),
        client: principal(token.client().as_str()),
        user: token.user().map(|user| principal(user.as_str())),
        tenant: token.tenant().map(|tenant| generation.tenants.fact(tenant)),
        prior: &prior,
    };
    generation.policies.subject(&identity).map_err(Fault::Policy)
}

/// The token's tenant, or its issuer where there is none. Tenants of the same name are one, whichever issuer names them:
/// configuration says who may name whom.
fn scope(token: &VerifiedToken) -> Scope {
    let (kind, name) = match token.tenant() {
        Some(tenant) => ("tenant", tenant),
        None => ("issuer", token.issuer_name().as_str()),
    };
    let digest: [u8; 32] =
        Sha256::new().chain_update(kind).chain_update([0]).chain_update(name).finalize().into();
    let mut scope = [0; 16];
    for (to, from) in scope.iter_mut().zip(digest) {
        *to = from;
    }
    Scope(scope)
}

/// The key that a token names.
struct NamedKey {
    key: SoughtKey,
    /// Whether by an id; else by its algorithm alone, and every key of that was tried.
    by_id: bool,
}

/// An unknown key may be a rotation: the issuer's keys are fetched again, later and elsewhere (G16). Without an id
/// a new key shows only in signatures that no known key made.
fn token_denial(issuer: &Issuer, named: &NamedKey, error: TokenError, now: Timestamp) -> Denial {
    if error == TokenError::KeyUnknown || (error == TokenError::SignatureInvalid && !named.by_id) {
        issuer.unknown_key_seen(named.key, now);
    }
    Denial::Token(error)
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
}

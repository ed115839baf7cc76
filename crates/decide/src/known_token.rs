//! A token's part of the third stage: verified now or before, of a tenant, and what is the same in every request that carries it.

use std::sync::Arc;

use exequatur_issuers::{Issuer, SoughtKey};
use exequatur_policy::{Identity, Principal, Subject};
use exequatur_store::Scope;
use exequatur_token::{CertifiedTenantError, Claim, ScopedId, TokenError, UnverifiedToken, VerifiedToken};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::cache::{KnownToken, MadeUnder, token_id_digest};
use crate::decider::Decider;
use crate::denial::{Denial, Fault, Refusal};
use crate::generation::Generation;
use crate::introspection::{self, Presented};
use crate::revocation::targets;
use crate::trail::{IntrospectionFact, Trail};

/// The token, verified now, or before under what is in force now. The digest is over every byte of it, so that a
/// token that was seen before need not be parsed again.
pub(crate) async fn known_token(
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

//! Decision → record: what is kept of it, in names, ids and digests.

use std::time::Instant;

use exequatur_audit::{
    Controls, Degraded, IntrospectionCheck, NonceCheck, Policy, Record, Redaction, ReplayCheck,
    RequirementCheck, Resource, RevocationCheck, Scopes, SenderConstraint, SenderConstraintCheck,
    StatusCheck, Text, Timings as AuditTimings, TokenCheck, Verdict,
};
use exequatur_decide::{
    Facts, Generation, Host, IntrospectionFact, KeptFact, NonceFact, Refusal, ReplayFact, RequirementFact,
    RevocationFact, SenderFact, Stage, Stated, StatusFact,
};
use exequatur_token::TokenSource;
use jiff::Timestamp;

use crate::kept::Kept;
use crate::service::Timings;
use crate::wire::extract::Caller;
use crate::wire::shape::status;

/// So many scopes of a token are shown.
const MOST_SCOPES: usize = 32;

/// A decision, as it is recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'a> {
    pub(crate) id: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) finished: Instant,
    pub(crate) generation: &'a Generation,
    pub(crate) facts: &'a Facts,
    pub(crate) caller: Caller,
    /// What others say of the trace that the request belongs to.
    pub(crate) trace_state: &'a str,
    pub(crate) kept: &'a Kept,
    pub(crate) redaction: &'a Redaction,
    pub(crate) timings: &'a Timings,
}

impl Decided<'_> {
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.finished.duration_since(self.timings.started)
    }
}

/// The record of a decision: a permit, or the refusal.
pub(crate) fn record_of<'a>(refusal: Option<&Refusal>, decided: Decided<'a>) -> Record<'a> {
    let facts = decided.facts;
    let (verdict, reason, code) = match refusal {
        None => (Verdict::Permit, "permitted", 200),
        Some(refusal @ Refusal::Denied(_)) => {
            (Verdict::Deny, refusal.reason().code(), status(refusal.reason(), facts.hide))
        }
        Some(refusal @ Refusal::Faulted(_)) => {
            (Verdict::Fault, refusal.reason().code(), status(refusal.reason(), facts.hide))
        }
    };
    let mut record = Record::new(decided.now, text(decided.id), verdict, text(reason), code);
    record.generation = decided.generation.number;
    record.trace = decided.caller.trace.map(|parent| Text::from(parent.trace.to_string()));
    record.arguments.clone_from(&decided.kept.arguments);
    record.parts.clone_from(&decided.kept.parts);
    record.route = maybe(facts.route.as_deref());
    record.action = maybe(facts.action.as_deref());
    record.method = maybe(facts.method.as_deref());
    record.host = maybe(facts.host.as_ref().map(Host::as_str));
    identify(&mut record, decided);
    record.scopes = scopes(facts);
    let stated = facts.stated.as_ref();
    record.purpose = maybe(stated.and_then(Stated::purpose));
    record.prompt_hash = maybe(stated.and_then(Stated::prompt_hash));
    record.degraded = degraded(facts);
    record.controls = controls(facts);
    if !decided.redaction.token
        && let Some(token) = &mut record.controls.token
    {
        token.digest = None;
    }
    record.policy = (!facts.policies.is_empty()).then(|| Policy {
        ids: facts.policies.iter().map(|id| text(id)).collect(),
        set_hash: text(decided.generation.policies.content_hash()),
    });
    record.timings_us = timings(decided);
    record
}

/// Who asks, for whom, and for whose resource; each as it is to be shown.
fn identify<'a>(record: &mut Record<'a>, decided: Decided<'a>) {
    let Decided { facts, redaction, .. } = decided;
    let tenant = |name: &'a Option<String>| name.as_deref().and_then(|name| redaction.tenant(name));
    record.resource = facts.resource_type.as_deref().zip(facts.resource_id.as_deref()).map(|(kind, id)| {
        Resource { kind: text(kind), id: text(id), tenant: tenant(&facts.resource_tenant) }
    });
    record.peer = decided.caller.peer.and_then(|peer| redaction.peer(peer));
    record.issuer = maybe(facts.issuer.as_deref());
    record.client = facts.client.as_deref().and_then(|client| redaction.agent(client));
    record.agent = facts.agent.as_deref().and_then(|agent| redaction.agent(agent));
    record.user = facts.user.as_deref().and_then(|user| redaction.user(user));
    record.tenant = tenant(&facts.tenant);
    record.federation = maybe(facts.federation.as_deref());
    record.actors = facts.actors.iter().filter_map(|actor| redaction.agent(actor)).collect();
}

/// The scopes that the route needs, and those of the token, which are many at most for a mistake of its issuer.
fn scopes(facts: &Facts) -> Option<Scopes<'_>> {
    let mut scopes =
        Scopes { needed: facts.scopes_needed.iter().map(|scope| text(scope)).collect(), ..Scopes::default() };
    let Some(stated) = &facts.stated else { return (!scopes.needed.is_empty()).then_some(scopes) };
    let mut held = stated.scopes();
    scopes.held.extend(held.by_ref().take(MOST_SCOPES).map(text));
    scopes.more = u64::try_from(held.count()).unwrap_or(u64::MAX);
    Some(scopes)
}

fn degraded(facts: &Facts) -> Vec<Degraded> {
    let stale = facts.revocation == Some(RevocationFact::Degraded);
    let kept = facts.kept.iter().map(|kept| match kept {
        KeptFact::Keys => Degraded::KeysKept,
        KeptFact::StatusList => Degraded::StatusListKept,
    });
    stale.then_some(Degraded::RevocationsStale).into_iter().chain(kept).collect()
}

/// One line for the operator: a fault is an error, a denial is worth knowing, a permit is not news.
pub(crate) fn log(refusal: Option<&Refusal>, decided: Decided<'_>) {
    let (decision, facts) = (decided.id, decided.facts);
    let agent = facts.agent.as_deref().and_then(|agent| decided.redaction.agent(agent));
    let (route, agent) = (facts.route.as_deref(), agent.as_ref().map(Text::as_str));
    match refusal {
        None => tracing::debug!(decision, reason = "permitted", route, agent, "permitted"),
        Some(refusal @ Refusal::Denied(_)) => {
            let (reason, limits) =
                (refusal.reason().code(), (!facts.limits.is_empty()).then_some(&facts.limits));
            tracing::info!(
                decision,
                reason,
                route,
                agent,
                limits = limits.map(tracing::field::debug),
                "denied"
            );
        }
        Some(refusal @ Refusal::Faulted(_)) => {
            let reason = refusal.reason().code();
            tracing::error!(decision, reason, route, agent, "no decision could be made");
        }
    }
}

fn text(value: &str) -> Text<'_> {
    Text::from(value)
}

fn maybe(value: Option<&str>) -> Option<Text<'_>> {
    value.map(text)
}

fn controls(facts: &Facts) -> Controls<'_> {
    let token = facts.token_id_digest.as_deref().zip(facts.token_source).map(|(digest, source)| TokenCheck {
        digest: Some(text(digest)),
        cached: facts.token_cached == Some(true),
        key_set: facts.key_set.map(|key_set| Text::from(key_set.to_string())),
        source: match source {
            TokenSource::Jwt => exequatur_audit::TokenSource::Jwt,
            TokenSource::Introspection => exequatur_audit::TokenSource::Introspection,
        },
    });
    Controls {
        token,
        sender_constraint: facts.sender.map(|sender| SenderConstraintCheck {
            kind: match sender {
                SenderFact::Bearer => SenderConstraint::Bearer,
                SenderFact::Dpop => SenderConstraint::Dpop,
                SenderFact::Mtls => SenderConstraint::Mtls,
                SenderFact::DpopAndMtls => SenderConstraint::DpopMtls,
            },
            thumbprint: facts
                .proof_key
                .map(|key| key.to_string())
                .or_else(|| facts.certificate.map(|certificate| certificate.to_string()))
                .map(Text::from),
        }),
        introspection: facts.introspection.map(|said| match said {
            IntrospectionFact::Active => IntrospectionCheck::Active,
            IntrospectionFact::Inactive => IntrospectionCheck::Inactive,
            IntrospectionFact::Refused => IntrospectionCheck::Refused,
            IntrospectionFact::Unavailable => IntrospectionCheck::Unavailable,
        }),
        step_up: facts.step_up.map(requirement),
        authorization_details: facts.authorization_details.map(requirement),
        revocation: facts.revocation.map(|revocation| match revocation {
            RevocationFact::Clear => RevocationCheck::Clear,
            RevocationFact::Degraded => RevocationCheck::Degraded,
            RevocationFact::Revoked => RevocationCheck::Revoked,
            RevocationFact::Unknown => RevocationCheck::Unknown,
        }),
        status: facts.status.map(|status| match status {
            StatusFact::Valid => StatusCheck::Valid,
            StatusFact::Invalid => StatusCheck::Invalid,
            StatusFact::Suspended => StatusCheck::Suspended,
            StatusFact::Unknown => StatusCheck::Unknown,
            StatusFact::NotAsked => StatusCheck::NotAsked,
            StatusFact::Unavailable => StatusCheck::Unavailable,
        }),
        replay: facts.replay.map(|replay| match replay {
            ReplayFact::Fresh => ReplayCheck::Fresh,
            ReplayFact::Replayed => ReplayCheck::Replayed,
            ReplayFact::Doubtful => ReplayCheck::Doubtful,
            ReplayFact::Expired => ReplayCheck::Expired,
            ReplayFact::Full => ReplayCheck::Full,
            ReplayFact::Unavailable => ReplayCheck::Unavailable,
        }),
        nonce: facts.nonce.map(|nonce| match nonce {
            NonceFact::Absent => NonceCheck::Absent,
            NonceFact::Valid => NonceCheck::Valid,
            NonceFact::Foreign => NonceCheck::Invalid,
        }),
        limits: facts.limits.iter().map(|limit| text(limit)).collect(),
    }
}

fn requirement(fact: RequirementFact) -> RequirementCheck {
    match fact {
        RequirementFact::Met => RequirementCheck::Met,
        RequirementFact::Unmet => RequirementCheck::Unmet,
    }
}

/// The time each stage took: from its beginning to the next one's.
fn timings(decided: Decided<'_>) -> AuditTimings {
    let stages = &decided.timings.stages;
    let took = |stage: Stage| {
        let position = stages.iter().position(|(entered, _)| *entered == stage)?;
        let (_, begun) = stages.get(position)?;
        let ended = stages.get(position.saturating_add(1)).map_or(decided.finished, |(_, begun)| *begun);
        u64::try_from(ended.duration_since(*begun).as_micros()).ok()
    };
    AuditTimings {
        route: took(Stage::Route),
        authenticate: took(Stage::Authenticate),
        require: took(Stage::Require),
        admit: took(Stage::Admit),
        authorize: took(Stage::Authorize),
        total: u64::try_from(decided.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_as_it_should_be_is_said() {
        let mut facts = Facts::default();
        assert_eq!(degraded(&facts), []);
        for (revocation, said) in [
            (RevocationFact::Clear, &[][..]),
            (RevocationFact::Revoked, &[]),
            (RevocationFact::Unknown, &[]),
            (RevocationFact::Degraded, &[Degraded::RevocationsStale]),
        ] {
            facts.revocation = Some(revocation);
            assert_eq!(degraded(&facts), said, "{revocation:?}");
        }
        facts.kept = vec![KeptFact::Keys, KeptFact::StatusList];
        let all = [Degraded::RevocationsStale, Degraded::KeysKept, Degraded::StatusListKept];
        assert_eq!(degraded(&facts), all);
    }
}

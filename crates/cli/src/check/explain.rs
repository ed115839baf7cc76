//! `--explain`: each stage, and what it found.

use exequatur_decide::{Denial, Facts, Fault, Refusal, Stage};
use exequatur_policy::{PrincipalKind, Principals};
use exequatur_server::Trial;
use exequatur_server::reference::meaning;
use exequatur_token::{ProofError, TokenError};
use serde_json::{Value, json};

use crate::exit::{Failure, say};

/// Each stage that was come to, for programs.
pub(super) fn stages(trial: &Trial) -> Value {
    let last = trial.stages.len().saturating_sub(1);
    let stage = |(position, stage): (usize, &Stage)| {
        let holds = position != last || trial.result.is_ok();
        json!({ "stage": stage.name(), "holds": holds, "evidence": evidence(*stage, &trial.facts) })
    };
    trial.stages.iter().enumerate().map(stage).collect()
}

/// Each stage that was come to, for people.
pub(super) fn explain(trial: &Trial) -> Result<(), Failure> {
    let Trial { stages, facts, result } = trial;
    for (position, stage) in stages.iter().enumerate() {
        let last = position.saturating_add(1) == stages.len();
        let mark = match result {
            Err(_) if last => "fails",
            Ok(_) | Err(_) => "holds",
        };
        say(format_args!("{:<13} {mark}  {}", stage.name(), evidence(*stage, facts)))?;
    }
    if let Err(refusal) = result {
        say(format_args!("{:<13} {}", "because", because(refusal)))?;
    }
    Ok(())
}

/// The reason and when it is given, in the words of the reference, then what exactly was found, where more is known.
fn because(refusal: &Refusal) -> String {
    let reason = refusal.reason();
    let words = format!("{reason}: {}", meaning(reason));
    let found = match refusal {
        Refusal::Denied(denial) => denied(denial),
        Refusal::Faulted(fault) => faulted(fault),
    };
    found.map_or_else(|| words.clone(), |found| format!("{words} ({found})"))
}

fn denied(denial: &Denial) -> Option<String> {
    match denial {
        Denial::Token(error) => {
            // The reason says all of the others.
            let more = matches!(
                error,
                TokenError::Malformed(_) | TokenError::ClaimMissing(_) | TokenError::ClaimInvalid(_)
            );
            more.then(|| error.to_string())
        }
        Denial::Proof(error) => {
            let more = matches!(error, ProofError::Malformed(_) | ProofError::KeyInvalid(_));
            more.then(|| error.to_string())
        }
        Denial::Binding(error) => Some(error.to_string()),
        Denial::PathRefused(error) => Some(error.to_string()),
        Denial::Malformed(_)
        | Denial::HostUnknown
        | Denial::RouteUnmatched
        | Denial::CredentialsMissing
        | Denial::SchemeUnsupported
        | Denial::MultipleCredentials
        | Denial::TokenInQuery
        | Denial::Inactive
        | Denial::NonceRequired(_)
        | Denial::NonceInvalid(_)
        | Denial::BindingRequired
        | Denial::TenantMismatch
        | Denial::ScopeInsufficient { .. }
        | Denial::ActorNotPermitted
        | Denial::UserRequired
        | Denial::UserNotAllowed
        | Denial::StepUpRequired(_)
        | Denial::AuthorizationDetailsInsufficient
        | Denial::Revoked(_)
        | Denial::Status(_)
        | Denial::Replayed
        | Denial::ReplayBound(_)
        | Denial::Limited(_)
        | Denial::SourceLimited { .. }
        | Denial::Forbidden { .. }
        | Denial::NotPermitted { .. } => None,
    }
}

fn faulted(fault: &Fault) -> Option<String> {
    match fault {
        Fault::Keys(error) => Some(error.to_string()),
        Fault::Revocations(error) => Some(error.to_string()),
        Fault::StatusList(error) => Some(error.to_string()),
        Fault::Introspection(error) => Some(error.to_string()),
        Fault::Replay(error) | Fault::Limits(error) => Some(error.to_string()),
        Fault::Policy(error) => Some(error.to_string()),
        Fault::Signals
        | Fault::ReplayFull
        | Fault::Overrides
        | Fault::LimitsFull
        | Fault::Deadline
        | Fault::Overloaded
        | Fault::Record
        | Fault::Internal => None,
    }
}

/// Who acts, through whom, for whom: from the one that acts now back to the user.
fn chain(facts: &Facts) -> String {
    let Some(agent) = &facts.agent else { return "nobody".to_owned() };
    let mut text = format!("agent {agent}");
    if let Some(client) = &facts.client {
        text.push_str(&format!(" with a token of {client}"));
    }
    // The first of the actors is the agent.
    let prior: Vec<&str> = facts.actors.iter().skip(1).map(String::as_str).collect();
    if !prior.is_empty() {
        text.push_str(&format!(", after {}", prior.join(", after ")));
    }
    match &facts.user {
        Some(user) => text.push_str(&format!(", for user {user}")),
        None => text.push_str(", for itself"),
    }
    text
}

/// What the issuer said, where it was asked.
fn introspection(facts: &Facts) -> String {
    let said = facts.introspection.map(exequatur_decide::IntrospectionFact::word);
    said.map_or_else(String::new, |said| format!(", introspection {said}"))
}

fn evidence(stage: Stage, facts: &Facts) -> String {
    let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    match stage {
        Stage::Present => {
            format!(
                "{} to {}",
                or_none(&facts.method),
                facts.host.as_ref().map_or_else(|| "no host".into(), ToString::to_string)
            )
        }
        Stage::Route => format!(
            "route {}, action {}, resource {} {}, tenant {}",
            or_none(&facts.route),
            or_none(&facts.action),
            or_none(&facts.resource_type),
            or_none(&facts.resource_id),
            or_none(&facts.resource_tenant),
        ),
        Stage::Authenticate => format!(
            "{}{}, tenant {}, sender {}",
            chain(facts),
            introspection(facts),
            or_none(&facts.tenant),
            facts.sender.map_or("unproven", exequatur_decide::SenderFact::word),
        ),
        Stage::Require => requirements(facts),
        Stage::Admit => {
            format!(
                "status list {}, proof {} (in this command's own, empty store)",
                facts.status.map_or("not named", exequatur_decide::StatusFact::word),
                facts.replay.map_or("not needed", exequatur_decide::ReplayFact::word)
            )
        }
        Stage::Authorize => {
            let asked = match facts.principals {
                Principals::Agent => "",
                Principals::Both => " (agent and user were asked about)",
            };
            match facts.unpermitted {
                Some(PrincipalKind::Agent) => format!("no policy permits the agent{asked}"),
                Some(PrincipalKind::User) => format!("no policy permits the user{asked}"),
                None if facts.policies.is_empty() => "no policy determined it".to_owned(),
                None => format!("determined by {}{asked}", facts.policies.join(", ")),
            }
        }
        Stage::Settle => "permit".to_owned(),
    }
}

/// What the route asks beyond the identity, and whether that of which it was looked at is met.
fn requirements(facts: &Facts) -> String {
    let mut text = format!("scopes needed: {}", facts.scopes_needed.join(" "));
    if let (Some(needed), Some(fact)) = (&facts.step_up_needed, facts.step_up) {
        let class =
            (!needed.acr_values.is_empty()).then(|| format!("acr {}", needed.acr_values.join(" or ")));
        let age = needed.max_age.map(|most| format!("at most {} s ago", most.as_secs()));
        let asked: Vec<_> = class.into_iter().chain(age).collect();
        text.push_str(&format!("; step-up ({}) {}", asked.join(", "), fact.word()));
    }
    if let Some(fact) = facts.authorization_details {
        text.push_str(&format!("; authorization details {}", fact.word()));
    }
    if let Some(federation) = &facts.federation {
        text.push_str(&format!(", another tenant's resource by federation {federation}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use exequatur_decide::{RequirementFact, StepUp};

    use super::*;

    /// In the words of the reference, and never as the program spells it.
    #[test]
    fn a_cause_is_told_in_words() {
        use exequatur_token::MalformedProof;
        for (refusal, expected) in [
            (Denial::RouteUnmatched.into(), "route_unmatched: no route takes this host, path and method"),
            (Denial::Token(TokenError::Expired).into(), "token_expired: exp has passed"),
            (
                Denial::Proof(ProofError::Malformed(MalformedProof::MemberMissing("jti"))).into(),
                "dpop_proof_malformed: no strict compact JWS, or a member is missing or wrong (proof malformed: `jti` missing)",
            ),
            (
                Denial::NotPermitted { principal: PrincipalKind::Agent }.into(),
                "policy_no_permit: no policy permits it",
            ),
            (
                Fault::Replay(exequatur_store::StoreError::Unavailable).into(),
                "replay_store_unavailable: the replay store failed, or is full (the store is unavailable)",
            ),
        ] {
            let refusal: Refusal = refusal;
            assert_eq!(because(&refusal), expected);
        }
    }

    /// S01, S02: what is asked beyond the scopes is told once it was looked at.
    #[test]
    fn requirements_are_told() {
        let step_up = StepUp {
            acr_values: vec!["gold".to_owned(), "platinum".to_owned()],
            max_age: Some(jiff::SignedDuration::from_mins(5)),
        };
        let mut facts = Facts { scopes_needed: vec!["a".to_owned()], ..Facts::default() };
        facts.step_up_needed = Some(step_up);
        assert_eq!(requirements(&facts), "scopes needed: a");
        facts.step_up = Some(RequirementFact::Unmet);
        let told = "scopes needed: a; step-up (acr gold or platinum, at most 300 s ago) unmet";
        assert_eq!(requirements(&facts), told);
        facts.authorization_details = Some(RequirementFact::Met);
        assert_eq!(requirements(&facts), format!("{told}; authorization details met"));
    }
}

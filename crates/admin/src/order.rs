//! What is ordered, once it is known to make sense.

use exequatur_decide::{NotRevocable, Revocable, kind_word};
use exequatur_store::{Form, Lift, MAX_REASON, MAX_UNITS, Quota, RevocationKind};
use jiff::{SignedDuration, Timestamp};

use crate::operation::Operation;
use crate::wire::{Kill, Resume, Revoke, Suspend, Undo, When};

/// How far ahead of our clock a watermark may be: it says what was issued, not what will be.
const AHEAD: SignedDuration = SignedDuration::from_secs(5);

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) operation: Operation,
    pub(crate) what: Revocable,
    pub(crate) change: Change,
    pub(crate) reason: String,
}

/// Stops something, or takes that back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Stop { form: Form, until: Option<Timestamp> },
    TakeBack(Lift),
}

/// Why an order makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Senseless {
    #[error(
        "`{0}` is no kind of thing that can be revoked: token, key, agent, user, session, client, tenant, issuer"
    )]
    Kind(String),
    #[error("one of `name` and `digest` is needed, and `digest` for a token only")]
    Name,
    #[error("{0}")]
    NotRevocable(#[from] NotRevocable),
    #[error("no issuer is called `{0}` in the configuration")]
    Issuer(String),
    #[error("the reason has to be 1 to {MAX_REASON} bytes without control characters")]
    Reason,
    #[error("`not_before` is an instant (RFC 3339) or `now`")]
    NotBefore,
    #[error("`not_before` lies in the future: only what was issued already can be revoked so")]
    Ahead,
    #[error("`until` lies in the past")]
    Over,
    #[error("either a `tenant` or `everything` is stopped")]
    Extent,
    #[error("either an `agent` or a `tenant` has to be named")]
    Whose,
    #[error("no limit is called `{0}` in the configuration")]
    Limit(String),
    #[error("limit `{0}` does not count each agent apart: it can be set otherwise for a tenant only")]
    NotPerAgent(String),
    #[error("limit `{limit}` is {configured}: give {expected}")]
    OtherKind { limit: String, configured: String, expected: String },
    #[error(
        "a rate is `100/s`, `/m` or `/h`, and a burst, each at most {MAX_UNITS}; a quota `1000/day`, at most {}",
        Quota::MAX
    )]
    Figure,
}

impl Order {
    pub(crate) fn revoke(order: Revoke, issuers: &[String], now: Timestamp) -> Result<Self, Senseless> {
        let Revoke { kind, name, digest, not_before, until, reason } = order;
        let what = named(&kind, name.as_deref(), digest.as_deref(), issuers)?;
        // Everything is stopped by the kill switch alone.
        if what.kind() == RevocationKind::All {
            return Err(Senseless::Kind(kind));
        }
        check_issuer(&what, issuers)?;
        let form = match not_before.as_deref() {
            None => Form::Total,
            Some("now") => Form::IssuedUntil(now),
            Some(instant) => {
                let instant: Timestamp = instant.parse().or(Err(Senseless::NotBefore))?;
                if instant.duration_since(now) > AHEAD {
                    return Err(Senseless::Ahead);
                }
                Form::IssuedUntil(instant)
            }
        };
        stop(Operation::Revoke, what, form, until, reason, now)
    }

    /// What is not configured any more can still be taken back.
    pub(crate) fn undo(order: Undo, issuers: &[String]) -> Result<Self, Senseless> {
        let Undo { kind, name, digest, reason } = order;
        let what = named(&kind, name.as_deref(), digest.as_deref(), issuers)?;
        take_back(Operation::Undo, what, Lift::Revocation, reason)
    }

    pub(crate) fn suspend(
        agent: &str,
        order: Suspend,
        issuers: &[String],
        now: Timestamp,
    ) -> Result<Self, Senseless> {
        let what = revocable(RevocationKind::Agent, agent, issuers)?;
        check_issuer(&what, issuers)?;
        stop(Operation::Suspend, what, Form::Suspension, order.until, order.reason, now)
    }

    pub(crate) fn resume(agent: &str, order: Resume, issuers: &[String]) -> Result<Self, Senseless> {
        let what = revocable(RevocationKind::Agent, agent, issuers)?;
        take_back(Operation::Resume, what, Lift::Suspension, order.reason)
    }

    pub(crate) fn kill(order: Kill, now: Timestamp) -> Result<Self, Senseless> {
        let what = match (&order.tenant, order.everything) {
            (Some(tenant), false) => Revocable::parse(RevocationKind::Tenant, tenant)?,
            (None, true) => Revocable::all(),
            (None, false) | (Some(_), true) => return Err(Senseless::Extent),
        };
        stop(Operation::Kill, what, Form::Total, order.until, order.reason, now)
    }
}

/// The kind that a word names.
pub(crate) fn kind_of(word: &str) -> Option<RevocationKind> {
    RevocationKind::EVERY.into_iter().find(|kind| kind_word(*kind) == word)
}

fn named(
    kind: &str,
    name: Option<&str>,
    digest: Option<&str>,
    issuers: &[String],
) -> Result<Revocable, Senseless> {
    let known = kind_of(kind).ok_or_else(|| Senseless::Kind(kind.chars().take(32).collect()))?;
    match (known, name, digest) {
        (RevocationKind::All, None, None) => Ok(Revocable::all()),
        (RevocationKind::TokenId, None, Some(digest)) => {
            Ok(in_full(digest, issuers, Revocable::token_by_digest)?)
        }
        (_, Some(name), None) => Ok(revocable(known, name, issuers)?),
        (_, Some(_), Some(_)) | (_, None, _) => Err(Senseless::Name),
    }
}

/// What an operator names. Where there is one issuer alone, its name may be left out.
pub(crate) fn revocable(
    kind: RevocationKind,
    name: &str,
    issuers: &[String],
) -> Result<Revocable, NotRevocable> {
    in_full(name, issuers, |name| Revocable::parse(kind, name))
}

fn in_full(
    name: &str,
    issuers: &[String],
    parse: impl Fn(&str) -> Result<Revocable, NotRevocable>,
) -> Result<Revocable, NotRevocable> {
    match (parse(name), issuers) {
        (Err(NotRevocable::Unscoped), [only]) if !name.contains(':') => parse(&format!("{only}:{name}")),
        (parsed, _) => parsed,
    }
}

/// A slip of the pen must not look like something that was stopped.
pub(crate) fn check_issuer(what: &Revocable, issuers: &[String]) -> Result<(), Senseless> {
    match what.issuer() {
        Some(issuer) if !issuers.iter().any(|known| known == issuer) => {
            Err(Senseless::Issuer(issuer.to_owned()))
        }
        Some(_) | None => Ok(()),
    }
}

fn stop(
    operation: Operation,
    what: Revocable,
    form: Form,
    until: Option<When>,
    reason: String,
    now: Timestamp,
) -> Result<Order, Senseless> {
    let until = until.map(|until| until.0);
    if until.is_some_and(|until| until <= now) {
        return Err(Senseless::Over);
    }
    check_reason(&reason)?;
    Ok(Order { operation, what, change: Change::Stop { form, until }, reason })
}

fn take_back(operation: Operation, what: Revocable, lift: Lift, reason: String) -> Result<Order, Senseless> {
    check_reason(&reason)?;
    Ok(Order { operation, what, change: Change::TakeBack(lift), reason })
}

pub(crate) fn check_reason(reason: &str) -> Result<(), Senseless> {
    let fits = (1..=MAX_REASON).contains(&reason.len()) && !reason.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Senseless::Reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_issuers_name_may_be_left_out() {
        let one = ["corp".to_owned()];
        let two = ["corp".to_owned(), "other".to_owned()];
        let full = |kind, name, issuers: &[String]| {
            revocable(kind, name, issuers).map(|what| what.name().to_owned())
        };
        let agent = RevocationKind::Agent;
        assert_eq!(full(agent, "crm-bot", &one), Ok("corp:crm-bot".to_owned()));
        assert_eq!(full(agent, "corp:crm-bot", &one), Ok("corp:crm-bot".to_owned()));
        assert_eq!(
            full(agent, "other:crm-bot", &one),
            Ok("other:crm-bot".to_owned()),
            "which is no issuer's"
        );
        assert_eq!(full(RevocationKind::Tenant, "acme", &one), Ok("acme".to_owned()));
        assert_eq!(full(agent, "Spaced Issuer:crm-bot", &one), Err(NotRevocable::Unscoped));
        assert_eq!(full(agent, "crm-bot", &two), Err(NotRevocable::Unscoped));
        assert_eq!(full(agent, "crm-bot", &[]), Err(NotRevocable::Unscoped));
        assert_eq!(full(agent, "", &one), Err(NotRevocable::Name));
        let digest = "a".repeat(22);
        let by_digest = named("token", None, Some(&digest), &one).unwrap();
        assert_eq!(by_digest.name(), format!("corp:{digest}"));
    }
}

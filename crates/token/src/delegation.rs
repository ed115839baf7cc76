//! `act`: who acts for the subject, and for whom they act in turn (RFC 8693 §4.1).

use crate::issuer::check_id;
use crate::json::{Object, Value};

/// Deepest chain of actors (X05).
pub const MAX_DELEGATION_DEPTH: usize = 5;

/// The actors of a token, the current one first. Only the current actor may grant anything; the others are
/// information (RFC 8693 §4.1, X04).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delegation {
    actors: Vec<Actor>,
}

/// One actor, as its `act` claim names it. Other members of `act` are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    subject: String,
    issuer: Option<String>,
}

impl Delegation {
    /// Reads `act` of `payload`; without it there is no actor but the client.
    pub(crate) fn from_payload(payload: &Object) -> Result<Self, DelegationError> {
        let mut actors = Vec::new();
        let mut next = payload.get("act");
        while let Some(value) = next {
            if actors.len() >= MAX_DELEGATION_DEPTH {
                return Err(DelegationError::TooDeep);
            }
            let act = value.as_object().ok_or(DelegationError::Malformed)?;
            let subject = member(act, "sub")?.ok_or(DelegationError::Malformed)?;
            let issuer = member(act, "iss")?;
            let actor = Actor { subject: subject.to_owned(), issuer: issuer.map(ToOwned::to_owned) };
            if actors.contains(&actor) {
                return Err(DelegationError::Cycle);
            }
            actors.push(actor);
            next = act.get("act");
        }
        Ok(Self { actors })
    }

    /// The outermost actor: who acts now.
    #[must_use]
    pub fn current_actor(&self) -> Option<&Actor> {
        self.actors.first()
    }

    /// All actors, the current one first.
    #[must_use]
    pub fn actors(&self) -> &[Actor] {
        &self.actors
    }

    /// How many actors there are, 0 to [`MAX_DELEGATION_DEPTH`].
    #[must_use]
    pub fn depth(&self) -> usize {
        self.actors.len()
    }
}

impl Actor {
    /// `sub`: 1 to 256 characters without control characters.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iss`, where the actor is of another issuer than the token.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }
}

fn member<'a>(act: &'a Object, name: &str) -> Result<Option<&'a str>, DelegationError> {
    match act.get(name).map(Value::as_str) {
        None => Ok(None),
        Some(Some(id)) if check_id(id).is_ok() => Ok(Some(id)),
        Some(_) => Err(DelegationError::Malformed),
    }
}

/// Why `act` was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// Not an object, or `sub` or `iss` is no usable id.
    #[error("actor malformed")]
    Malformed,
    /// An actor occurs twice: the chain comes back to itself (X05).
    #[error("actor occurs twice")]
    Cycle,
    /// More than [`MAX_DELEGATION_DEPTH`] actors.
    #[error("too many actors")]
    TooDeep,
}

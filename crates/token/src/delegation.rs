//! `act`: who acts for the subject, and for whom they act in turn (RFC 8693 §4.1); `may_act`: who may come to (§4.4).

use crate::issuer::{IssuerProfile, ScopedId, check_id};
use crate::json::{Object, Value};

/// Deepest chain of actors (X05).
pub const MAX_DELEGATION_DEPTH: usize = 5;

/// The actors of a token, the current one first. Only the current actor may grant anything; the others are
/// information (RFC 8693 §4.1, X04).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delegation {
    actors: Vec<Actor>,
}

/// One actor, as its `act` claim names it. Other members of `act` than `sub`, `iss` and `act` are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    id: ScopedId,
}

impl Delegation {
    /// Reads `act` of `payload`, a token of the issuer of `profile`; without it there is no actor but the
    /// client.
    pub(crate) fn from_payload(payload: &Object, profile: &IssuerProfile) -> Result<Self, DelegationError> {
        let mut actors = Vec::new();
        let mut next = payload.get("act");
        while let Some(value) = next {
            if actors.len() >= MAX_DELEGATION_DEPTH {
                return Err(DelegationError::TooDeep);
            }
            let act = value.as_object().ok_or(DelegationError::Malformed)?;
            let subject = member(act, "sub")?.ok_or(DelegationError::Malformed)?;
            if member(act, "iss")?.is_some_and(|issuer| issuer != profile.issuer) {
                return Err(DelegationError::ForeignIssuer);
            }
            let id = ScopedId::new(&profile.name, subject).or(Err(DelegationError::Malformed))?;
            let actor = Actor { id };
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

    /// The actors before the current one, the latest first: information, and nothing that grants (X04).
    pub fn prior(&self) -> impl Iterator<Item = &Actor> {
        self.actors.iter().skip(1)
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
    /// `sub`, scoped by the token's own issuer.
    #[must_use]
    pub const fn id(&self) -> &ScopedId {
        &self.id
    }
}

/// The party that `may_act` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MayAct {
    /// One of the token's own issuer.
    Own(ScopedId),
    /// One of another issuer, who is nobody that an `act` of this issuer can name.
    Foreign,
}

impl MayAct {
    pub(crate) fn names(&self, actor: &Actor) -> bool {
        match self {
            Self::Own(id) => *id == actor.id,
            Self::Foreign => false,
        }
    }
}

/// Reads `may_act` of `payload`, if it is there: an object with `sub` (RFC 8693 §4.4).
pub(crate) fn may_act(payload: &Object, profile: &IssuerProfile) -> Result<Option<MayAct>, DelegationError> {
    let Some(value) = payload.get("may_act") else { return Ok(None) };
    let party = value.as_object().ok_or(DelegationError::Malformed)?;
    let subject = member(party, "sub")?.ok_or(DelegationError::Malformed)?;
    if member(party, "iss")?.is_some_and(|issuer| issuer != profile.issuer) {
        return Ok(Some(MayAct::Foreign));
    }
    let id = ScopedId::new(&profile.name, subject).or(Err(DelegationError::Malformed))?;
    Ok(Some(MayAct::Own(id)))
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
    /// `iss` is not the token's own. The token's issuer cannot vouch for another's actor, and an id without
    /// a configured issuer's name could be taken for somebody else's.
    #[error("actor of another issuer")]
    ForeignIssuer,
    /// An actor occurs twice: the chain comes back to itself (X05).
    #[error("actor occurs twice")]
    Cycle,
    /// More than [`MAX_DELEGATION_DEPTH`] actors.
    #[error("too many actors")]
    TooDeep,
}

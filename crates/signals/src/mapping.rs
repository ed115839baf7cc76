//! What an event means here: whom it stops or says something of, and from when to when.

#[cfg(test)]
mod tests;

use exequatur_decide::Revocable;
use exequatur_store::{Attribute, MAX_ATTRIBUTE_LIFE, RevocationKind};
use exequatur_token::{IssuerName, MAX_ISSUED_AHEAD, ScopedId};
use jiff::{SignedDuration, Timestamp};

use crate::event::{CredentialChange, Event, Principal, StreamState};
use crate::set::{SetError, VerifiedSet};
use crate::state::StateSecret;
use crate::subject::{Identifier, Members, Subject};

/// An issuer of tokens that a transmitter may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speaker {
    /// Its short name, which scopes its users.
    pub name: IssuerName,
    /// Its `iss`, as subjects name it.
    pub issuer: String,
    /// Whether a subject's `sub` is what its tokens call the user.
    pub by_subject: bool,
    /// Whether an e-mail address is what its tokens call the user.
    pub by_email: bool,
    /// Whether its tokens name their session (`sid`).
    pub by_session: bool,
    /// How long after `iat` one of its tokens may still be used.
    pub longest: SignedDuration,
}

/// What an event that only may stop somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// It stops what was issued until then.
    Revoke,
    /// It is logged.
    Log,
}

/// What the events of a stream mean.
#[derive(Debug)]
pub struct Rules {
    /// The issuers that the transmitter may speak for.
    pub speakers: Vec<Speaker>,
    /// To a credential that was revoked, changed or deleted (V06).
    pub credential_change: Response,
    /// To a claim that has changed (V07).
    pub token_claims_change: Response,
    /// How long what is said of a subject holds, from when it happened (V08).
    pub attributes_for: SignedDuration,
    /// The stream's id, if it is known.
    pub stream_id: Option<String>,
    /// Knows the states of verification requests; without it none is known.
    pub states: Option<StateSecret>,
}

/// What an event means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// These are stopped; at least one.
    Stop(Vec<Effect>),
    /// This is said of these; at least one (V08).
    Say(Vec<Said>),
    /// Nobody is stopped.
    Nothing(Idle),
    /// Events arrive; whether it was asked for.
    Verified {
        /// With a state of ours.
        asked: bool,
    },
    /// The stream is in this state from now on.
    Stream(StreamState),
}

/// Why an event stops nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// It is only logged: a new credential, or what the configuration says.
    Logged,
    /// No token from then can still be used.
    Over,
    /// The subject is nothing that can be stopped here.
    Unmapped,
    /// Events of this kind have no effect here.
    Unsupported,
}

/// One thing that is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// What, by the name that orders use too.
    pub what: Revocable,
    /// Whatever was issued at or before this second (V05).
    pub issued_until: Timestamp,
    /// From then on no token from before can be used anyway.
    pub until: Timestamp,
}

/// What is said of somebody, for policies to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Of whom: a user or a session.
    pub of: Revocable,
    /// What.
    pub attribute: Attribute,
    /// When it happened; of two sayings the later counts.
    pub at: Timestamp,
    /// From then on it holds no more.
    pub until: Timestamp,
}

impl Rules {
    /// What `set` means at `now`.
    ///
    /// # Errors
    /// [`SetError`] of what the transmitter may not say.
    pub fn meaning(&self, set: &VerifiedSet, now: Timestamp) -> Result<Meaning, SetError> {
        let stops = match set.event() {
            Event::Verification(state) => return self.verified(set, state.as_deref(), now),
            Event::StreamUpdated(state) => {
                self.of_this_stream(set)?;
                return Ok(Meaning::Stream(*state));
            }
            Event::Unsupported(_) => return Ok(Meaning::Nothing(Idle::Unsupported)),
            Event::AssuranceLevelChange(assurance) => {
                return self.said(set, &Attribute::Assurance(assurance.clone()), Of::Either, now);
            }
            Event::DeviceComplianceChange(device) => {
                return self.said(set, &Attribute::Device(*device), Of::Device, now);
            }
            Event::RiskLevelChange(risk, Principal::User) => {
                return self.said(set, &Attribute::Risk(*risk), Of::User, now);
            }
            Event::RiskLevelChange(risk, Principal::Session) => {
                return self.said(set, &Attribute::Risk(*risk), Of::Session, now);
            }
            Event::RiskLevelChange(_, Principal::Other) => return Ok(Meaning::Nothing(Idle::Unmapped)),
            Event::SessionRevoked => true,
            Event::CredentialChange(CredentialChange::Create) => false,
            Event::CredentialChange(
                CredentialChange::Revoke | CredentialChange::Update | CredentialChange::Delete,
            ) => self.credential_change == Response::Revoke,
            Event::TokenClaimsChange => self.token_claims_change == Response::Revoke,
        };
        // Whom the transmitter may not speak for is told of whatever the event does.
        let named = self.named(set)?;
        if !stops {
            return Ok(Meaning::Nothing(Idle::Logged));
        }
        if named.is_empty() {
            return Ok(Meaning::Nothing(Idle::Unmapped));
        }
        let issued_until = set.happened_at(now);
        let effects: Vec<_> = named
            .into_iter()
            .filter_map(|(what, longest)| effect(what, issued_until, longest, now))
            .collect();
        Ok(if effects.is_empty() { Meaning::Nothing(Idle::Over) } else { Meaning::Stop(effects) })
    }

    /// What is said of exactly whom the subject names: to say it of more than those would be to trust some without a reason.
    fn said(
        &self,
        set: &VerifiedSet,
        attribute: &Attribute,
        of: Of,
        now: Timestamp,
    ) -> Result<Meaning, SetError> {
        let named = match set.subject() {
            Subject::Simple(Identifier::Opaque(id)) if of.may_be_a_session() => self.sessions(id, None),
            Subject::Simple(_) if of == Of::Session => Vec::new(),
            Subject::Simple(identifier) => self.user(identifier)?,
            Subject::Complex(members) => self.of_whom(members, of)?,
        };
        let at = set.happened_at(now);
        let latest = now.checked_add(MAX_ATTRIBUTE_LIFE).unwrap_or(Timestamp::MAX);
        let until = at.checked_add(self.attributes_for).unwrap_or(Timestamp::MAX).min(latest);
        let people = named.into_iter().filter(|(of, _)| of.kind() != RevocationKind::TokenId);
        let said: Vec<_> =
            people.map(|(of, _)| Said { of, attribute: attribute.clone(), at, until }).collect();
        Ok(if said.is_empty() {
            Meaning::Nothing(Idle::Unmapped)
        } else if until <= now {
            Meaning::Nothing(Idle::Over)
        } else {
            Meaning::Say(said)
        })
    }

    fn of_whom(&self, members: &Members, of: Of) -> Result<Vec<Named>, SetError> {
        let Members { user, session, application, narrowed } = members;
        let users = user.as_ref().map_or(Ok(Vec::new()), |user| self.user(user))?;
        let sessions =
            session.as_ref().map_or(Ok(Vec::new()), |session| self.session(session, user.as_ref()))?;
        Ok(match (of, session) {
            (Of::Session, _) | (Of::Either | Of::Device, Some(_)) => sessions,
            // On another device, or in another application, he may be less sure.
            (Of::Either, None) if *narrowed || application.is_some() => Vec::new(),
            (Of::User, _) | (Of::Either | Of::Device, None) => users,
        })
    }

    fn verified(&self, set: &VerifiedSet, state: Option<&str>, now: Timestamp) -> Result<Meaning, SetError> {
        self.of_this_stream(set)?;
        let Some(state) = state else { return Ok(Meaning::Verified { asked: false }) };
        if self.states.as_ref().is_some_and(|states| states.knows(state, now)) {
            Ok(Meaning::Verified { asked: true })
        } else {
            Err(SetError::StateInvalid)
        }
    }

    /// SSF §8.1.4.1, §8.1.5: the subject is the stream.
    fn of_this_stream(&self, set: &VerifiedSet) -> Result<(), SetError> {
        let named = set.subject().opaque().ok_or(SetError::OtherStream)?;
        match &self.stream_id {
            Some(id) if id != named => Err(SetError::OtherStream),
            Some(_) | None => Ok(()),
        }
    }

    /// Whom the subject names, with how long each one's tokens may be used. Of a complex subject the narrowest member
    /// that can be stopped; the others would narrow it further, so that rather more is stopped than less.
    fn named(&self, set: &VerifiedSet) -> Result<Vec<Named>, SetError> {
        match set.subject() {
            // CAEP §3.1: an opaque id is that of a session, and of nothing else that could be revoked.
            Subject::Simple(Identifier::Opaque(id)) if *set.event() == Event::SessionRevoked => {
                Ok(self.sessions(id, None))
            }
            Subject::Simple(identifier) => self.user(identifier),
            Subject::Complex(members) => self.of_members(members),
        }
    }

    fn of_members(&self, members: &Members) -> Result<Vec<Named>, SetError> {
        let Members { user, session, application, narrowed: _ } = members;
        // The user's issuer is the session's, if that does not say.
        let users = user.as_ref().map_or(Ok(Vec::new()), |user| self.user(user))?;
        let sessions =
            session.as_ref().map_or(Ok(Vec::new()), |session| self.session(session, user.as_ref()))?;
        if !sessions.is_empty() {
            return Ok(sessions);
        }
        if user.is_some() || session.is_some() {
            return Ok(users);
        }
        Ok(match application {
            Some(Identifier::IssuerSubject { issuer, subject }) => {
                Vec::from_iter(named(self.speaker(issuer)?, RevocationKind::Client, subject))
            }
            Some(
                Identifier::Email(_) | Identifier::Opaque(_) | Identifier::Token { .. } | Identifier::Other,
            )
            | None => Vec::new(),
        })
    }

    fn session(&self, session: &Identifier, user: Option<&Identifier>) -> Result<Vec<Named>, SetError> {
        Ok(match session {
            Identifier::Opaque(id) => self.sessions(id, user),
            Identifier::IssuerSubject { issuer, subject } => {
                let speaker = self.speaker(issuer)?;
                let known = speaker.by_session.then(|| named(speaker, RevocationKind::Session, subject));
                Vec::from_iter(known.flatten())
            }
            token @ Identifier::Token { .. } => self.user(token)?,
            Identifier::Email(_) | Identifier::Other => Vec::new(),
        })
    }

    /// A session id without an issuer is taken for one of the issuer that the user is of, or of each that there is.
    fn sessions(&self, id: &str, user: Option<&Identifier>) -> Vec<Named> {
        let issuer = match user {
            Some(Identifier::IssuerSubject { issuer, .. }) => Some(issuer),
            Some(
                Identifier::Email(_) | Identifier::Opaque(_) | Identifier::Token { .. } | Identifier::Other,
            )
            | None => None,
        };
        let fits =
            |speaker: &&Speaker| speaker.by_session && issuer.is_none_or(|issuer| *issuer == speaker.issuer);
        let speakers = self.speakers.iter().filter(fits);
        speakers.filter_map(|speaker| named(speaker, RevocationKind::Session, id)).collect()
    }

    fn user(&self, identifier: &Identifier) -> Result<Vec<Named>, SetError> {
        Ok(match identifier {
            Identifier::IssuerSubject { issuer, subject } => {
                let speaker = self.speaker(issuer)?;
                let known = speaker.by_subject.then(|| named(speaker, RevocationKind::User, subject));
                Vec::from_iter(known.flatten())
            }
            Identifier::Email(address) => self.addressed(address),
            Identifier::Token { issuer, id } => {
                Vec::from_iter(named(self.speaker(issuer)?, RevocationKind::TokenId, id))
            }
            Identifier::Opaque(_) | Identifier::Other => Vec::new(),
        })
    }

    /// Users are compared byte by byte, and addresses are often written in lower case by one and as they were typed by
    /// the other (RFC 9493 §3.2.2): both are stopped.
    fn addressed(&self, address: &str) -> Vec<Named> {
        let lower = address.to_lowercase();
        let spellings = [Some(address), Some(lower.as_str()).filter(|lower| *lower != address)];
        let speakers = self.speakers.iter().filter(|speaker| speaker.by_email);
        speakers
            .flat_map(|speaker| {
                spellings
                    .into_iter()
                    .flatten()
                    .filter_map(|address| named(speaker, RevocationKind::User, address))
            })
            .collect()
    }

    /// D-20: a transmitter speaks for the issuers that the configuration says, and for no other's users.
    fn speaker(&self, issuer: &str) -> Result<&Speaker, SetError> {
        self.speakers.iter().find(|speaker| speaker.issuer == issuer).ok_or(SetError::SubjectForeign)
    }
}

/// Of whom something can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The user.
    User,
    /// The session.
    Session,
    /// The session, if there is one, else the user.
    Either,
    /// Whoever has the device: the session, if there is one, else the user.
    Device,
}

impl Of {
    fn may_be_a_session(self) -> bool {
        matches!(self, Self::Session | Self::Either)
    }
}

/// Something that can be stopped, and how long after `iat` its tokens may be used.
type Named = (Revocable, SignedDuration);

/// What is no name here, because it is too long, is in no token either.
fn named(speaker: &Speaker, kind: RevocationKind, id: &str) -> Option<Named> {
    let scoped = ScopedId::new(&speaker.name, id).ok()?;
    Some((Revocable::parse(kind, scoped.as_str()).ok()?, speaker.longest))
}

/// Ends when the last token from before has ended, so that watermarks do not pile up (V05).
fn effect(
    what: Revocable,
    issued_until: Timestamp,
    longest: SignedDuration,
    now: Timestamp,
) -> Option<Effect> {
    let until = issued_until.checked_add(longest.saturating_add(MAX_ISSUED_AHEAD));
    // Past the year 9999 nothing ends.
    let until = until.unwrap_or(Timestamp::MAX);
    (until > now).then_some(Effect { what, issued_until, until })
}

//! Takes the sets of one stream: verified, carried out and recorded, in this order, and only then acknowledged.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_audit::{AdminOutcome, AdminRecord, AuditError, Recorder, Redaction, Text};
use exequatur_decide::{Revocable, kind_word};
use exequatur_issuers::{KeptKeys, KeysUnavailable};
use exequatur_store::{
    Attribute, AttributeError, AttributeStore, Form, Note, Revocation, RevocationError, RevocationKind,
    RevocationStore, SubjectAttribute,
};
use jiff::Timestamp;

use crate::event::StreamState;
use crate::mapping::{Effect, Idle, Meaning, Rules, Said};
use crate::set::{Expected, SetError, UnverifiedSet, VerifiedSet};
use crate::tally::Tally;

/// Wall time, handed down.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How long a set waits for keys that were asked for because of it.
const KEYS_WITHIN: Duration = Duration::from_secs(3);
/// Loads that a set waits for: one may have been under way when it came.
const LOADS: usize = 2;

/// What a receiver needs.
pub struct ReceiverParts {
    /// The stream's configured name.
    pub name: String,
    /// What its sets have to be.
    pub expected: Expected,
    /// What its events mean. It may change while sets arrive: each is judged by one.
    pub rules: Arc<ArcSwap<Rules>>,
    /// Its transmitter's keys.
    pub keys: Arc<KeptKeys>,
    /// Where what is stopped is kept.
    pub revocations: Arc<dyn RevocationStore>,
    /// Where what is said of somebody is kept.
    pub attributes: Arc<dyn AttributeStore>,
    /// Where it is recorded; in the log alone if nowhere.
    pub recorder: Option<Recorder>,
    /// How records show whom events are about.
    pub redaction: Arc<Redaction>,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for ReceiverParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiverParts").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Takes the sets of one stream.
#[derive(Debug)]
pub struct Receiver {
    parts: ReceiverParts,
    /// Who ordered it, in notes and records.
    actor: String,
    tally: Tally,
    /// When the process began, and how many effects there were: together an id.
    begun: i64,
    effects: AtomicU64,
}

/// A set that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It never will be.
    #[error("{0}")]
    Set(#[from] SetError),
    /// It may be later: it is to be sent again.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// Why a set cannot be taken now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// There are no keys to verify it with.
    #[error("{0}")]
    Keys(#[from] KeysUnavailable),
    /// It names a key that may have been published lately.
    #[error("the transmitter's keys are being loaded anew")]
    KeysLoading,
    /// What it stops could not be kept.
    #[error("{0}")]
    Store(RevocationError),
    /// What it says of somebody could not be kept.
    #[error("{0}")]
    Attributes(AttributeError),
    /// It could not be recorded.
    #[error("no record of it can be kept: {0}")]
    NotRecorded(AuditError),
}

impl Receiver {
    /// A receiver.
    #[must_use]
    pub fn new(parts: ReceiverParts) -> Self {
        let begun = (parts.clock)().as_millisecond();
        let actor = format!("signals:{}", parts.name);
        Self { parts, actor, tally: Tally::default(), begun, effects: AtomicU64::new(0) }
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// What arrived, and what became of it.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The time that sets are judged by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    /// Takes a set. When this returns, what it stops is stopped, as durably as the store says, and recorded. A set that
    /// comes again does nothing new: what it stops depends on its own times alone.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing, or a part of it, is done.
    pub async fn receive(&self, raw: &str) -> Result<(), Refusal> {
        self.receive_as(raw, None).await
    }

    /// The same for a set that was delivered under an id, which has to be its own.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn receive_as(&self, raw: &str, id: Option<&str>) -> Result<(), Refusal> {
        let taken = self.take(raw, id).await;
        match &taken {
            Ok(()) => {}
            Err(Refusal::Set(error)) => {
                self.tally.refused(error.code());
                tracing::warn!(stream = self.name(), code = error.code().as_str(), %error, "a security event was refused");
            }
            Err(Refusal::Unavailable(error)) => {
                tracing::error!(stream = self.name(), %error, "a security event could not be taken; it has to be sent again");
            }
        }
        taken
    }

    async fn take(&self, raw: &str, id: Option<&str>) -> Result<(), Refusal> {
        let unverified = UnverifiedSet::parse(raw)?;
        if id.is_some_and(|id| id != unverified.jti()) {
            return Err(SetError::OtherId.into());
        }
        let set = self.verify(&unverified).await?;
        let now = self.now();
        let meaning = self.parts.rules.load().meaning(&set, now)?;
        let (stream, event, id) = (self.name(), set.event().kind().word(), set.id().as_str());
        if set.is_untimely(now) {
            tracing::warn!(stream, event, set = id, "`event_timestamp` cannot be; `iat` is gone by");
        }
        match &meaning {
            Meaning::Stop(effects) => {
                for effect in effects {
                    self.carry_out(effect, &set, now).await?;
                }
            }
            Meaning::Say(sayings) => {
                for said in sayings {
                    self.say(said, &set, now).await?;
                }
            }
            Meaning::Nothing(Idle::Unmapped) => {
                tracing::warn!(
                    stream,
                    event,
                    set = id,
                    "a security event stops nobody: its subject is nothing that can be stopped here"
                );
            }
            Meaning::Nothing(idle) => {
                tracing::info!(stream, event, set = id, ?idle, "a security event stops nobody");
            }
            Meaning::Verified { asked } => {
                tracing::info!(stream, event, set = id, asked, "security events arrive");
            }
            Meaning::Stream(StreamState::Enabled) => {
                tracing::info!(stream, event, set = id, "the transmitter sends security events");
            }
            Meaning::Stream(state @ (StreamState::Paused | StreamState::Disabled)) => {
                tracing::warn!(
                    stream,
                    event,
                    set = id,
                    state = state.word(),
                    "the transmitter sends no more security events"
                );
            }
        }
        self.tally.taken(set.event().kind(), &meaning, now);
        Ok(())
    }

    /// A set that names a key that is not known waits for the load that it brings about: to refuse the first set after a
    /// rotation would be to lose it.
    async fn verify(&self, unverified: &UnverifiedSet<'_>) -> Result<VerifiedSet, Refusal> {
        let keys = &self.parts.keys;
        let sought = keys.sought_key(unverified.key_id(), unverified.algorithm());
        let verified = async {
            for _ in 0..=LOADS {
                let (ended, now) = (keys.loads_ended(), self.now());
                let known = keys.keys(now).map_err(Unavailable::Keys)?;
                match unverified.verify(&self.parts.expected, &known, now) {
                    Err(SetError::KeyUnknown) if !keys.unknown_key_seen(sought, now) => {
                        keys.load_ended_after(ended).await;
                    }
                    verified => return verified.map_err(Refusal::Set),
                }
            }
            Err(Unavailable::KeysLoading.into())
        };
        match tokio::time::timeout(KEYS_WITHIN, verified).await {
            Ok(verified) => verified,
            Err(_elapsed) => Err(Unavailable::KeysLoading.into()),
        }
    }

    async fn carry_out(&self, effect: &Effect, set: &VerifiedSet, now: Timestamp) -> Result<(), Unavailable> {
        let entry = Entry { order: self.next_id(), what: &effect.what, reason: reason(set), now };
        // One token is stopped whatever its issuer's clock said when it was made: what names it means it alone.
        let form = if effect.what.kind() == RevocationKind::TokenId {
            Form::Total
        } else {
            Form::IssuedUntil(effect.issued_until)
        };
        let note = self.note(&entry).ok_or(Unavailable::Store(RevocationError::Closed))?;
        let revocation = Revocation { target: effect.what.target(), form, until: Some(effect.until), note };
        let outcome = self.parts.revocations.revoke(&revocation, now).await;
        let mut record = self.record_of(&entry, "revoke", &outcome);
        record.not_before = match form {
            Form::IssuedUntil(instant) => Some(instant),
            Form::Total | Form::Suspension => None,
        };
        record.until = Some(effect.until);
        let recorded = self.write(&record).await;
        let changed = outcome.map_err(Unavailable::Store)?;
        tracing::info!(order = entry.order, stream = self.name(), what = %effect.what, reason = entry.reason, changed = changed.changed, behind = changed.behind(), "stopped by a security event");
        recorded
    }

    async fn say(&self, said: &Said, set: &VerifiedSet, now: Timestamp) -> Result<(), Unavailable> {
        let reason = format!("{}: {}", word(&said.attribute), reason(set));
        let entry = Entry { order: self.next_id(), what: &said.of, reason, now };
        let note = self.note(&entry).ok_or(Unavailable::Attributes(AttributeError::Closed))?;
        let (attribute, times) = (said.attribute.clone(), (said.at, said.until));
        // INVARIANT: rules say something of users and sessions only.
        let event = SubjectAttribute::new(said.of.target(), attribute, times, note)
            .ok_or(Unavailable::Attributes(AttributeError::Closed))?;
        let outcome = self.parts.attributes.set(&event, now).await;
        let mut record = self.record_of(&entry, "tell", &outcome);
        record.until = Some(said.until);
        let recorded = self.write(&record).await;
        let set = outcome.map_err(Unavailable::Attributes)?;
        tracing::info!(order = entry.order, stream = self.name(), what = %said.of, reason = entry.reason, changed = set.changed, "told by a security event");
        recorded
    }

    fn next_id(&self) -> String {
        let number = self.effects.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        format!("signal-{:x}-{number}", self.begun)
    }

    /// INVARIANT: a name, a reason of ours and a stream's name are shorter than a note may be.
    fn note(&self, entry: &Entry<'_>) -> Option<Note> {
        Note::new(entry.what.name().to_owned(), entry.reason.clone(), self.actor.clone(), entry.now).ok()
    }

    fn record_of<'a, T, E: std::error::Error>(
        &'a self,
        entry: &'a Entry<'_>,
        action: &'a str,
        outcome: &Result<T, E>,
    ) -> AdminRecord<'a> {
        let (order, actor) = (Text::from(entry.order.as_str()), Text::from(self.actor.as_str()));
        let came_to = if outcome.is_ok() { AdminOutcome::Done } else { AdminOutcome::Failed };
        let mut record = AdminRecord::new(entry.now, order, actor, Text::from(action), came_to);
        record.kind = Some(Text::from(kind_word(entry.what.kind())));
        record.name = self.parts.redaction.subject(kind_word(entry.what.kind()), entry.what.name());
        record.reason = Some(Text::from(entry.reason.as_str()));
        record.error = outcome.as_ref().err().map(|error| Text::from(error.to_string()));
        record
    }

    async fn write(&self, record: &AdminRecord<'_>) -> Result<(), Unavailable> {
        match &self.parts.recorder {
            Some(recorder) => {
                recorder.record_order(record).await.map(|_evidence| ()).map_err(Unavailable::NotRecorded)
            }
            None => Ok(()),
        }
    }
}

/// One thing that an event does, as it is recorded.
struct Entry<'a> {
    order: String,
    what: &'a Revocable,
    reason: String,
    now: Timestamp,
}

fn reason(set: &VerifiedSet) -> String {
    format!("{}, set {}", set.event().kind().word(), set.id().as_str())
}

/// What is said, without a level of an assurance, whose text is the transmitter's.
const fn word(attribute: &Attribute) -> &'static str {
    match attribute {
        Attribute::Risk(risk) => risk.word(),
        Attribute::Device(device) => device.word(),
        Attribute::Assurance(_) => "assurance",
    }
}

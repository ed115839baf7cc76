//! Does what is ordered, and records it.

mod decisions;
mod limits;
mod state;
mod tally;

use std::error::Error;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use exequatur_audit::{AdminOutcome, AdminRecord, AuditError, Recorder, Redaction, Text};
use exequatur_decide::{LimitRules, kind_word};
use exequatur_store::{
    Changed, Form, Keeping, Note, OverrideError, OverrideStore, Rate, RatePer, Revocation, RevocationError,
    RevocationStore, SourceKey, SourceLimits, StoreError,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use self::state::State;
use crate::caller::{Actor, Author, Caller, Within};
use crate::operation::Operation;
use crate::order::{Change, Order};
use crate::wire::{Acknowledged, Done, Kept};

/// Wall time, handed down.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What orders need.
pub struct DeskParts {
    /// What is revoked.
    pub revocations: Arc<dyn RevocationStore>,
    /// Which limits are set otherwise.
    pub overrides: Arc<dyn OverrideStore>,
    /// The limits of the generation in use.
    pub limits: Arc<dyn Fn() -> Arc<LimitRules> + Send + Sync>,
    /// Where orders are recorded; in the log alone if nowhere.
    pub recorder: Option<Recorder>,
    /// How records show whom orders are about.
    pub redaction: Arc<Redaction>,
    /// The file of the records, where any are kept.
    pub records: Option<PathBuf>,
    /// The configured names of issuers.
    pub issuers: Vec<String>,
    /// The time.
    pub clock: Clock,
}

impl std::fmt::Debug for DeskParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeskParts").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

pub(crate) use decisions::Unseen;
pub use tally::Tally;

/// Where orders are handed in.
#[derive(Debug)]
pub struct Desk {
    parts: DeskParts,
    /// When the process began, and how many orders it had: together an id.
    begun: i64,
    orders: AtomicU64,
    calls: SourceLimits,
    strangers: SourceLimits,
    untold: AtomicU64,
    /// Whoever reads records: one at a time.
    reading: Arc<Semaphore>,
    tally: Arc<Tally>,
}

/// All strangers together.
const EVERYBODY: SourceKey = SourceKey([0; 16]);

/// How often each caller may call: 100 a second, 500 at once. What an operator's script needs, and too little to be felt by
/// decisions.
const CALLS: (u32, u32) = (100, 500);
/// How many refusals of strangers are recorded one by one.
const STRANGERS: (u32, u32) = (10, 100);

fn each_second((count, burst): (u32, u32)) -> SourceLimits {
    let [count, burst] = [count, burst].map(|n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN));
    SourceLimits::new(Rate::new(count, RatePer::Second, burst).unwrap_or_else(Rate::least))
}

/// An order that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Its id.
    pub(crate) order: String,
    /// Why.
    pub(crate) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("{0}")]
    Store(#[from] RevocationError),
    #[error("{0}")]
    Override(#[from] OverrideError),
    /// What narrows is in force, what widens was not done.
    #[error("no record of it can be kept: {0}")]
    NotRecorded(AuditError),
    #[error("the note cannot be kept")]
    Note,
}

/// What an order says of itself in its record.
struct Said<'a> {
    id: &'a str,
    author: &'a Author,
    now: Timestamp,
    order: &'a Order,
}

impl Desk {
    /// A desk.
    #[must_use]
    pub fn new(parts: DeskParts) -> Self {
        let begun = (parts.clock)().as_millisecond();
        let (calls, strangers) = (each_second(CALLS), each_second(STRANGERS));
        Self {
            parts,
            begun,
            orders: AtomicU64::new(0),
            calls,
            strangers,
            untold: AtomicU64::new(0),
            reading: Arc::new(Semaphore::new(1)),
            tally: Arc::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    pub(crate) fn issuers(&self) -> &[String] {
        &self.parts.issuers
    }

    pub(crate) fn revocations(&self) -> &dyn RevocationStore {
        self.parts.revocations.as_ref()
    }

    pub(crate) fn overrides(&self) -> &dyn OverrideStore {
        self.parts.overrides.as_ref()
    }

    pub(crate) fn limits(&self) -> Arc<LimitRules> {
        (self.parts.limits)()
    }

    /// How many calls there were.
    #[must_use]
    pub const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// An id that no other order of this file has.
    pub(crate) fn next_id(&self) -> String {
        let number = self.orders.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        format!("admin-{:x}-{number}", self.begun)
    }

    /// Does it.
    ///
    /// # Errors
    /// See [`Why`].
    pub(crate) async fn carry_out(&self, order: Within<Order>) -> Result<Done, Failed> {
        let (id, now) = (self.next_id(), self.now());
        let (order, author) = (order.order(), order.author());
        let said = Said { id: &id, author, now, order };
        let outcome = match order.change {
            Change::Stop { form, until } => self.stop(&said, form, until).await,
            Change::TakeBack(lift) => self.take_back(&said, lift).await,
        };
        match outcome {
            Ok((changed, recorded)) => {
                let (kind, name) = (kind_word(order.what.kind()), order.what.name());
                tracing::info!(order = id, actor = %author, action = order.operation.word(), kind, name, changed = changed.changed, "carried out");
                Ok(Done {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    changed: changed.changed,
                    position: changed.position.0,
                    behind: changed.behind(),
                    replicas: changed.reached.replicas().iter().map(acknowledged).collect(),
                    unlisted: changed.reached.unlisted(),
                    kept: self.kept(),
                    recorded,
                    order: id,
                })
            }
            Err(why) => {
                tracing::error!(order = id, actor = %author, action = order.operation.word(), what = %order.what, %why, "an order failed");
                Err(Failed { order: id, why })
            }
        }
    }

    /// Records that somebody who may not, or something that makes no sense, was turned away.
    pub(crate) async fn turn_away(&self, action: &str, author: &Author, why: &str) -> String {
        let id = self.next_id();
        tracing::warn!(order = id, actor = %author, action, why, "an order was refused");
        let said = (self.now(), id.as_str(), author);
        let mut record = record_of(said, action, Ok::<_, AuditError>(AdminOutcome::Refused));
        record.error = Some(Text::from(why));
        // Nothing was done, so that nothing hangs on its record; that it is missing is counted.
        if let Err(error) = self.write(&record).await {
            tracing::error!(%error, "a refused order was not recorded");
        }
        id
    }

    /// Records that somebody looks at something.
    ///
    /// # Errors
    /// [`Why::NotRecorded`]: it is not to be shown.
    pub(crate) async fn record_look(
        &self,
        operation: Operation,
        caller: &Caller,
        name: Option<&str>,
    ) -> Result<(), Failed> {
        let id = self.next_id();
        let said = (self.now(), id.as_str(), &caller.author);
        let mut record = record_of(said, operation.word(), Ok::<_, AuditError>(AdminOutcome::Done));
        record.name = name.map(Text::from);
        let written = self.write(&record).await;
        written.map(drop).map_err(|error| Failed { order: id, why: Why::NotRecorded(error) })
    }

    /// Whether somebody may call once more, which is charged; else the time until he may.
    ///
    /// # Errors
    /// It is not known.
    pub(crate) fn may_call(&self, actor: &Actor) -> Result<Result<(), Duration>, StoreError> {
        let (key, now) = (key_of(actor), self.now());
        let may = self.calls.look(key, now)?;
        if may.is_ok() {
            self.calls.charge(key, now)?;
        }
        Ok(may)
    }

    /// Records that somebody without credentials was turned away, as [`Self::turn_away_in_sum`].
    pub(crate) async fn turn_stranger_away(
        &self,
        action: &str,
        author: &Author,
        why: &str,
    ) -> Option<String> {
        self.tally.count_stranger();
        self.turn_away_in_sum(action, author, why).await
    }

    /// Records that somebody was turned away, if there is room for that: a hundred at once, and ten a second. Those beyond are
    /// counted, and the next record says how many they were.
    pub(crate) async fn turn_away_in_sum(&self, action: &str, author: &Author, why: &str) -> Option<String> {
        let now = self.now();
        let room = self.strangers.look(EVERYBODY, now).is_ok_and(|room| room.is_ok());
        if !room || self.strangers.charge(EVERYBODY, now).is_err() {
            self.untold.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        let untold = self.untold.swap(0, Ordering::Relaxed);
        if untold == 0 {
            return Some(self.turn_away(action, author, why).await);
        }
        let why = format!("{why} (and {untold} more before that are not recorded)");
        Some(self.turn_away(action, author, &why).await)
    }

    /// At once, whatever becomes of the record.
    async fn stop(
        &self,
        said: &Said<'_>,
        form: Form,
        until: Option<Timestamp>,
    ) -> Result<(Changed, bool), Why> {
        let revocation = Revocation { target: said.order.what.target(), form, until, note: note(said)? };
        let before = self.standing(said);
        let outcome = self.parts.revocations.revoke(&revocation, said.now).await;
        let states = (before, self.standing(said));
        let recorded = self.record(said, outcome.as_ref().map(|_| AdminOutcome::Done), states).await;
        let changed = outcome?;
        recorded.map(|recorded| (changed, recorded)).map_err(Why::NotRecorded)
    }

    /// Only once it is recorded. If it fails then, another record says so.
    async fn take_back(&self, said: &Said<'_>, lift: exequatur_store::Lift) -> Result<(Changed, bool), Why> {
        let target = said.order.what.target();
        let after = state::without(self.parts.revocations.snapshot(), &target, lift, said.now);
        let recorded = self.record(said, Ok(AdminOutcome::Ordered), (self.standing(said), after)).await;
        let recorded = recorded.map_err(Why::NotRecorded)?;
        match self.parts.revocations.lift(target, lift, &note(said)?, said.now).await {
            Ok(changed) => Ok((changed, recorded)),
            Err(error) => {
                let states = (None, self.standing(said));
                if let Err(unrecorded) = self.record(said, Err(&error), states).await {
                    tracing::error!(error = %unrecorded, "that an order failed was not recorded");
                }
                Err(error.into())
            }
        }
    }

    /// What holds now of what an order is about.
    fn standing(&self, said: &Said<'_>) -> State {
        state::of_target(self.parts.revocations.snapshot(), &said.order.what.target(), said.now)
    }

    fn kept(&self) -> Kept {
        kept(self.parts.revocations.health().keeping)
    }

    async fn record(
        &self,
        said: &Said<'_>,
        outcome: Result<AdminOutcome, &RevocationError>,
        (before, after): (State, State),
    ) -> Result<bool, AuditError> {
        let order = said.order;
        let mut record = record_of((said.now, said.id, said.author), order.operation.word(), outcome);
        record.kind = Some(Text::from(kind_word(order.what.kind())));
        let name = Some(order.what.name()).filter(|name| !name.is_empty());
        record.name = name.and_then(|name| self.parts.redaction.subject(kind_word(order.what.kind()), name));
        record.reason = Some(Text::from(order.reason.as_str()));
        (record.before, record.after) = (state::texts(before), state::texts(after));
        if let Change::Stop { form, until } = order.change {
            record.until = until;
            record.not_before = match form {
                Form::IssuedUntil(instant) => Some(instant),
                Form::Total | Form::Suspension => None,
            };
        }
        self.write(&record).await
    }

    async fn write(&self, record: &AdminRecord<'_>) -> Result<bool, AuditError> {
        self.tally.count(record.action.as_str(), record.outcome);
        match &self.parts.recorder {
            None => Ok(false),
            Some(recorder) => recorder.record_order(record).await.map(|_evidence| true),
        }
    }
}

/// What the record of each order says: who gave it, when, and what came of it. An error is never a success.
fn record_of<'a, E: Error>(
    (now, id, author): (Timestamp, &'a str, &'a Author),
    action: &'a str,
    outcome: Result<AdminOutcome, E>,
) -> AdminRecord<'a> {
    let (outcome, error) = match outcome {
        Ok(outcome) => (outcome, None),
        Err(error) => (AdminOutcome::Failed, Some(Text::from(error.to_string()))),
    };
    let actor = Text::from(author.actor.to_string());
    let mut record = AdminRecord::new(now, Text::from(id), actor, Text::from(action), outcome);
    record.claimed = author.claimed.as_ref().map(|claimed| Text::from(claimed.as_str()));
    record.error = error;
    record
}

fn key_of(actor: &Actor) -> SourceKey {
    let digest: [u8; 32] = Sha256::digest(actor.to_string()).into();
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(digest) {
        *to = from;
    }
    SourceKey(key)
}

fn acknowledged(one: &exequatur_store::Acknowledged) -> Acknowledged {
    let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    Acknowledged {
        id: one.id.clone(),
        name: one.name.as_ref().map(|name| name.as_str().to_owned()),
        after_ms: one.after.map(millis),
    }
}

const fn kept(keeping: Keeping) -> Kept {
    match keeping {
        Keeping::OnDisk => Kept::OnDisk,
        Keeping::UntilRestart => Kept::UntilRestart,
        Keeping::Shared => Kept::Shared,
    }
}

fn note(said: &Said<'_>) -> Result<Note, Why> {
    let (label, reason) = (said.order.what.name().to_owned(), said.order.reason.clone());
    Note::new(label, reason, said.author.to_string(), said.now).or(Err(Why::Note))
}

#[cfg(test)]
mod tests;

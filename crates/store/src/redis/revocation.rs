//! Revocations in Redis, for many replicas: a log that each follows into a snapshot of its own, and the whole, for those
//! who come later or fell behind.
//!
//! Decisions ask the snapshot alone. It knows as long as the log is followed and this replica's own sign of life was
//! taken: a primary that was cut off from its replicas takes none, if it has `min-replicas-to-write`.

mod feed;
mod fleet;
mod reach;
mod script;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

pub use feed::FeedClock;
pub use script::Replica;

use super::answer::number;
use super::keys::Prefix;
use super::link::{Line, Links};
use super::servers::Servers;
use super::without::Local;
use crate::admission::StoreError;
use crate::replicas::{Itself, Reached, ReplicaName};
use crate::revocation::{
    Changed, FleetFuture, InForce, Keeping, Lift, Note, Page, Position, Revocation, RevocationError,
    RevocationFuture, RevocationHealth, RevocationLimits, RevocationStore, Row, Snapshot, Staleness, Target,
    Unknown,
};
use fleet::HeardOf;
use reach::{Reach, Seen, seen};
use script::{Applied, Beat, Caller, Ordered, in_force, incarnation_in};

/// A replica that was heard in this time is there.
const LIVE: Duration = Duration::from_secs(3);
/// After this time one that is silent is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Time for an order: longer than for a decision, which Envoy waits for.
const ORDER_WITHIN: Duration = Duration::from_secs(2);
/// How long an order waits for other replicas, and how long it does before it asks again how far they are.
const ALL_WITHIN: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// Orders of this replica that are remembered, to be said again with their notes if the store loses them.
const REMEMBERED: usize = 1000;
/// Orders that the store did not take, and that hold here meanwhile.
const MOST_WAITING: usize = 1000;

/// Revocations that replicas share. [`RedisRevocations::follow`] has to run.
#[derive(Debug)]
pub struct RedisRevocations {
    servers: Servers,
    local: Arc<Local>,
    /// What else of the store is to be said again before one that is new may go by it.
    owed: Arc<AtomicUsize>,
    prefix: Prefix,
    limits: RevocationLimits,
    snapshot: Arc<Snapshot>,
    staleness: Staleness,
    itself: Itself,
    applied: watch::Sender<Applied>,
    /// When that was asked which was heard last.
    heard: watch::Sender<Instant>,
    heard_of: Mutex<HeardOf>,
    /// What this replica ordered lately.
    ordered: Mutex<VecDeque<Revocation>>,
    /// What the store did not take.
    waiting: Mutex<Vec<Revocation>>,
    tidied: AtomicU32,
    swept: AtomicUsize,
    /// How often everything was loaded, or begun to be.
    loads: AtomicU32,
    /// Of whoever follows.
    known: tokio::sync::Mutex<feed::Known>,
    #[cfg(test)]
    told: Mutex<Option<Timestamp>>,
}

impl RedisRevocations {
    pub(super) fn new(
        servers: Servers,
        (local, owed): (Arc<Local>, Arc<AtomicUsize>),
        prefix: Prefix,
        limits: RevocationLimits,
        staleness: Staleness,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            servers,
            local,
            owed,
            prefix,
            limits,
            snapshot: Arc::new(Snapshot::fed(staleness)),
            staleness,
            itself: Itself::new()?,
            applied: watch::Sender::new(Applied::default()),
            heard: watch::Sender::new(Instant::now()),
            heard_of: Mutex::default(),
            ordered: Mutex::default(),
            waiting: Mutex::default(),
            tidied: AtomicU32::new(0),
            swept: AtomicUsize::new(0),
            loads: AtomicU32::new(0),
            known: tokio::sync::Mutex::default(),
            #[cfg(test)]
            told: Mutex::default(),
        })
    }

    /// Called so.
    #[must_use]
    pub fn named(mut self, name: ReplicaName) -> Self {
        self.itself.rename(name);
        self
    }

    /// This replica's id among [`RedisRevocations::replicas`].
    #[must_use]
    pub fn replica(&self) -> &str {
        self.itself.id()
    }

    /// The replicas that were heard in the last minute, as of this replica's last beat.
    #[must_use]
    pub fn replicas(&self) -> Vec<Replica> {
        self.heard_of.lock().map(|heard| heard.replicas.clone()).unwrap_or_default()
    }

    fn caller(&self) -> Result<Caller<'_>, StoreError> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).or(Err(StoreError::NoRandomness))?;
        let mut next = [0; 32];
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(random, &mut next);
        written.or(Err(StoreError::NoRandomness))?;
        Ok(Caller {
            prefix: &self.prefix,
            next,
            applied: self.position(),
            #[cfg(test)]
            told: *self.told.lock().unwrap(),
        })
    }

    /// The last change that was applied here, of this incarnation.
    fn position(&self) -> Position {
        self.applied.borrow().position
    }

    fn applied_to(&self, position: Position) {
        self.snapshot.applied_anew(position);
        self.applied.send_modify(|applied| applied.position = position);
    }

    fn applied_at(&self, at: Applied) {
        self.snapshot.applied_anew(at.position);
        self.applied.send_replace(at);
    }

    fn hear_of(&self, beat: &Beat) {
        self.local.hear_of(beat.replicas.iter().filter(|replica| replica.silent <= LIVE).count());
        if let Ok(mut heard) = self.heard_of.lock() {
            heard.beat(&beat.replicas);
        }
    }

    /// Tries twice, if another server has the revocations than was thought: said twice, an order is one all the same.
    async fn order(&self, command: impl Fn(&Caller<'_>) -> redis::Cmd) -> Result<Ordered, StoreError> {
        let (before, error) = match self.servers.of_revocations().await {
            Ok(links) => match self.order_by(&links, &command).await {
                Err(StoreError::Unavailable) => (Some(links), StoreError::Unavailable),
                outcome => return outcome,
            },
            Err(error) => (None, error),
        };
        match self.servers.of_revocations_instead(before.as_ref(), ORDER_WITHIN).await {
            Some(links) => self.order_by(&links, &command).await,
            None => Err(error),
        }
    }

    async fn order_by(
        &self,
        links: &Links,
        command: impl Fn(&Caller<'_>) -> redis::Cmd,
    ) -> Result<Ordered, StoreError> {
        let line = links.line_for_order(ORDER_WITHIN).await?;
        let caller = self.caller()?;
        let value = line.say_one(command(&caller), ORDER_WITHIN).await?;
        Ordered::read(&value, &caller.next).ok_or(StoreError::Foreign)
    }

    /// A connection to the server that has the revocations, for what somebody waits for.
    async fn line(&self) -> Result<Arc<Line>, StoreError> {
        self.servers.of_revocations().await?.line_for_order(ORDER_WITHIN).await
    }

    /// Waits, not for ever, until the log has brought a change here. If it has not, this replica counts as behind.
    async fn until_applied(&self, change: Applied) {
        let mut applied = self.applied.subscribe();
        let there = applied.wait_for(|applied| applied.has(&change));
        if tokio::time::timeout(ORDER_WITHIN, there).await.is_err() {
            tracing::warn!("an order is in the store, and the log has not brought it here yet");
        }
    }

    /// Waits for the replicas that are there, and tells which had a change when, counted from when its order began. Who cannot be
    /// asked has not said so, as far as is known.
    async fn until_all_applied(&self, change: Applied, began: Instant) -> Reached {
        let known = self.known_replicas().unwrap_or_default();
        let mut reach = Reach::unknown(known.into_iter().chain([self.itself.id().to_owned()]));
        let all = async {
            let line = loop {
                match self.line().await {
                    Ok(line) => break line,
                    Err(_unknown) => tokio::time::sleep(ASK_AGAIN).await,
                }
            };
            loop {
                if let Ok(seen) = self.look_at_all(&line, change).await
                    && reach.look(seen, began.elapsed())
                {
                    return;
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        };
        let time_is_over = async {
            self.until_applied(change).await;
            tokio::time::sleep(ALL_WITHIN).await;
        };
        tokio::select! {
            () = all => {}
            () = time_is_over => {}
        }
        let names = self.names_of(reach.ids()).await;
        reach.reached(&names)
    }

    /// Whoever was silent for no longer than this may still permit by what he knows.
    fn may_permit_for(&self) -> Duration {
        let silent = self.staleness.usual.max(self.staleness.degraded);
        Duration::try_from(silent).unwrap_or(FORGOTTEN).clamp(LIVE, FORGOTTEN)
    }

    /// Those that were there when this replica heard of them last, and may have been forgotten by the store since.
    fn known_replicas(&self) -> Result<Vec<String>, StoreError> {
        let heard = self.heard_of.lock().or(Err(StoreError::Poisoned))?;
        let there = heard.replicas.iter().filter(|replica| replica.silent <= LIVE);
        Ok(there.map(|replica| replica.id.clone()).collect())
    }

    async fn look_at_all(&self, line: &Line, change: Applied) -> Result<Vec<Seen>, StoreError> {
        let mut commands = redis::Pipeline::new();
        commands.cmd("TIME").cmd("HGETALL").arg(self.prefix.revocations("replicas"));
        commands.cmd("GET").arg(self.prefix.revocation_memory());
        let answers = line.say(&commands, ORDER_WITHIN).await?;
        let [time, replicas, memory] = answers.as_slice() else { return Err(StoreError::Foreign) };
        let (live, known) = (self.may_permit_for(), self.known_replicas()?);
        let mut seen = seen(time, replicas, change.position, live, &known).ok_or(StoreError::Foreign)?;
        // Another memory has begun: how far anybody is in it says nothing of the change.
        let lost = incarnation_in(memory) != change.incarnation;
        for one in &mut seen {
            one.applied &= !lost;
        }
        if lost || !self.applied.borrow().has(&change) {
            let id = self.itself.id();
            seen.retain(|one| one.id != id);
            seen.push(Seen { id: id.to_owned(), applied: false });
        }
        Ok(seen)
    }

    /// What was lifted is not said again, nor held here because the store had not taken it.
    fn forget_orders(&self, target: Target, lift: Lift, position: Position) -> Result<(), RevocationError> {
        let stays = |one: &Revocation| one.target != target || !lift.takes(one.form.code());
        self.ordered.lock().or(Err(RevocationError::Closed))?.retain(stays);
        let mut waiting = self.waiting.lock().or(Err(RevocationError::Closed))?;
        if !waiting.iter().all(stays) {
            waiting.retain(stays);
            self.snapshot.lift_before(&target, lift, position.next()).or(Err(RevocationError::Closed))?;
        }
        Ok(())
    }

    fn has_ordered(&self, row: &Row) -> bool {
        let same =
            |one: &Revocation| row.target() == Some(one.target) && one.form.code() == row.form().code();
        self.ordered.lock().is_ok_and(|ordered| ordered.iter().any(same))
    }

    fn remember(&self, revocation: &Revocation) {
        if let Ok(mut ordered) = self.ordered.lock() {
            ordered.push_back(revocation.clone());
            while ordered.len() > REMEMBERED {
                ordered.pop_front();
            }
        }
    }

    /// The store did not take it: it holds here, and is said again when the store is there.
    fn hold_here(&self, revocation: &Revocation) -> Result<(), RevocationError> {
        let mut waiting = self.waiting.lock().or(Err(RevocationError::Closed))?;
        if waiting.len() >= MOST_WAITING {
            return Err(RevocationError::Busy);
        }
        let row = Row::of(revocation, self.position());
        match self.snapshot.put(&revocation.target, row) {
            Ok(_) => waiting.push(revocation.clone()),
            Err(Unknown::NeverLoaded | Unknown::Silent | Unknown::Poisoned) => {
                return Err(RevocationError::Closed);
            }
        }
        Ok(())
    }

    fn waiting(&self) -> Result<Vec<Revocation>, StoreError> {
        Ok(self.waiting.lock().or(Err(StoreError::Poisoned))?.clone())
    }

    /// What was said again waits no longer, unless there was no room for it; then the next comes first.
    fn said_again(&self, said: &[Revocation], refused: Vec<Revocation>) -> Result<(), StoreError> {
        let mut waiting = self.waiting.lock().or(Err(StoreError::Poisoned))?;
        // What was lifted meanwhile waits no more.
        let still = |one: &Revocation| !said.contains(one) || waiting.contains(one);
        let refused: Vec<_> = refused.into_iter().filter(still).collect();
        waiting.retain(|one| !said.contains(one));
        let room = MOST_WAITING.saturating_sub(waiting.len());
        waiting.extend(refused.into_iter().take(room));
        Ok(())
    }
}

impl RevocationStore for RedisRevocations {
    fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    fn revoke<'a>(&'a self, revocation: &'a Revocation, _now: Timestamp) -> RevocationFuture<'a, Changed> {
        Box::pin(async move {
            #[cfg(test)]
            self.tell(_now);
            let (most, began) = (self.limits.max_revocations.get(), Instant::now());
            match self.order(|caller| caller.revoke(revocation, most)).await {
                Ok(Ordered::Done { at, changed }) => {
                    self.remember(revocation);
                    // It holds here at once; the log brings it as the store has it, which stands then.
                    let row = Row::of(revocation, at.position);
                    self.snapshot.put(&revocation.target, row).or(Err(RevocationError::Closed))?;
                    let reached = self.until_all_applied(at, began).await;
                    Ok(Changed { position: at.position, changed, reached })
                }
                Ok(Ordered::Full) => Err(RevocationError::Full),
                Err(error) => {
                    self.hold_here(revocation)?;
                    Err(RevocationError::NotKept(error.kind()))
                }
            }
        })
    }

    fn lift<'a>(
        &'a self,
        target: Target,
        lift: Lift,
        note: &'a Note,
        _now: Timestamp,
    ) -> RevocationFuture<'a, Changed> {
        Box::pin(async move {
            #[cfg(test)]
            self.tell(_now);
            let began = Instant::now();
            match self.order(|caller| caller.lift(target, lift, note)).await {
                Ok(Ordered::Done { at, changed }) => {
                    self.forget_orders(target, lift, at.position)?;
                    let reached = self.until_all_applied(at, began).await;
                    Ok(Changed { position: at.position, changed, reached })
                }
                Ok(Ordered::Full) => Err(RevocationError::Full),
                Err(error) => Err(RevocationError::NotKept(error.kind())),
            }
        })
    }

    fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> RevocationFuture<'_, Page> {
        Box::pin(async move {
            let unreadable = |error: StoreError| RevocationError::Unreadable(error.kind());
            let line = self.line().await.map_err(unreadable)?;
            let mut command = redis::cmd("XRANGE");
            command.arg(self.prefix.revocations("entries")).arg(format!("{}-0", after.next().0)).arg("+");
            command.arg("COUNT").arg(limit.get());
            let value = line.say_one(command, ORDER_WITHIN).await.map_err(unreadable)?;
            let found = in_force(&value).ok_or(RevocationError::Unreadable(ErrorKind::InvalidData))?;
            let next =
                (found.len() >= usize::from(limit.get())).then(|| found.last().map(|last| last.position));
            let holds = |standing: &InForce| standing.revocation.until.is_none_or(|until| now < until);
            Ok(Page { standing: found.into_iter().filter(holds).collect(), next: next.flatten() })
        })
    }

    /// Forgets what is over here, and in a few buckets of the store.
    fn tend(&self, now: Timestamp) -> RevocationFuture<'_, ()> {
        Box::pin(async move {
            #[cfg(test)]
            self.tell(now);
            let from = self.tidied.load(Ordering::Relaxed);
            let part = self.swept.load(Ordering::Relaxed);
            self.swept.store(self.snapshot.sweep(part, SWEPT, now, &mut Vec::new()), Ordering::Relaxed);
            let Ok(links) = self.servers.of_revocations().await else { return Ok(()) };
            let Ok(line) = links.line().await else { return Ok(()) };
            let command =
                self.caller().map_err(|error| RevocationError::NotKept(error.kind()))?.tidy(from, now);
            if let Ok(value) = line.say_one(command, TIDY_WITHIN).await {
                let next = number(&value).and_then(|next| u32::try_from(next).ok()).unwrap_or_default();
                self.tidied.store(next, Ordering::Relaxed);
            }
            Ok(())
        })
    }

    fn health(&self) -> RevocationHealth {
        RevocationHealth {
            entries: self.snapshot.len(),
            max_entries: self.limits.max_revocations,
            position: self.snapshot.position(),
            keeping: Keeping::Shared,
            broken: None,
            not_compacted: None,
        }
    }

    fn itself(&self) -> &Itself {
        &self.itself
    }

    fn fleet(&self) -> FleetFuture<'_> {
        self.tell_fleet()
    }
}

/// Time for tidying up, which nobody waits for.
const TIDY_WITHIN: Duration = Duration::from_millis(100);
/// Parts of the snapshot that are looked through each time.
const SWEPT: usize = 256;

/// What is said again.
struct Remembered;

impl Remembered {
    fn of(row: &Row, ordered: &Mutex<VecDeque<Revocation>>) -> Option<Revocation> {
        let (target, form, until) = (row.target()?, row.form(), row.until());
        let known = ordered.lock().ok().and_then(|ordered| {
            let mut latest = ordered.iter().rev();
            latest
                .find(|one| one.target == target && one.form.code() == form.code())
                .map(|one| one.note.clone())
        });
        let reason = "said again: the store had lost it".to_owned();
        let unknown = || Note::new(String::new(), reason, String::new(), Timestamp::UNIX_EPOCH).ok();
        Some(Revocation { target, form, until, note: known.or_else(unknown)? })
    }
}

#[cfg(test)]
mod tests;

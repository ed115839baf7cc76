//! Overrides in Redis, for many replicas: few enough that each reads all of them whenever any has changed.
//!
//! Each replica looks a few times a second. What the server has lost, by a failover or a flush, is missing for whoever
//! knows it, and is said again. If the server cannot be asked, what was heard last goes on to count.

use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use redis::{Cmd, Value};
use tokio_util::sync::CancellationToken;

use super::answer::{draw, text};
use super::keys::Prefix;
use super::link::{Line, Links};
use super::revocation::FeedClock;
use super::servers::Servers;
use crate::admission::StoreError;
use crate::overrides::{
    Encoded, Ledger, LimitOverride, Overridden, OverrideError, OverrideFuture, OverridePlace, OverrideStore,
    Overrides, Revised, Standing,
};
use crate::revocation::{Keeping, Note};

const ORDER: &str = include_str!("overrides/order.lua");
const READ: &str = include_str!("overrides/read.lua");
/// The field of the hash that is no place.
const VERSION: &str = "version";
/// How often each replica looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time for a look, which no decision waits for, and for an order.
const WITHIN: Duration = Duration::from_secs(2);
/// What is said again, or forgotten, with one look.
const AT_ONCE: usize = 200;

/// Overrides that replicas share. [`RedisOverrides::follow`] has to run.
#[derive(Debug)]
pub struct RedisOverrides {
    servers: Servers,
    prefix: Prefix,
    most: usize,
    overrides: Arc<Overrides>,
    known: Mutex<Heard>,
}

/// What was heard.
#[derive(Debug, Default)]
struct Heard {
    ledger: Ledger,
    /// Of the last look; none before the first.
    version: Option<String>,
}

impl RedisOverrides {
    pub(super) fn new(servers: Servers, prefix: Prefix, most: usize) -> Self {
        Self { servers, prefix, most, overrides: Arc::default(), known: Mutex::default() }
    }

    /// Looks again and again until told to stop.
    pub async fn follow(&self, clock: FeedClock, stop: CancellationToken) {
        let mut failing = false;
        loop {
            match self.look(clock()).await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    tracing::warn!(%error, "which limits are set otherwise cannot be read; what was heard last counts");
                    failing = true;
                }
                Err(_told) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes over what changed, says again what is missing, and forgets what is over.
    ///
    /// # Errors
    /// The store did not answer, or what it holds is not ours; what was known before stands then.
    pub(super) async fn look(&self, now: Timestamp) -> Result<(), StoreError> {
        // A cluster may have moved them.
        self.look_once(now).await.inspect_err(|_| self.servers.suspect())
    }

    async fn look_once(&self, now: Timestamp) -> Result<(), StoreError> {
        let links = self.servers.of_revocations().await?;
        let line = links.fit_line().await?;
        let missing = self.read_over(&links, &line, now).await?;
        for (place, revised) in missing.into_iter().take(AT_ONCE) {
            let drawn = draw()?;
            let (text, revision) = (revised.encode().or(Err(StoreError::Foreign))?, revised.revision);
            self.say(&line, self.command(&drawn, &place, &text, revision, "again"), &drawn).await?;
            tracing::warn!(%place, "an override that the store had lost was said again");
        }
        self.forget_over(&line, now).await
    }

    /// Takes over what changed, and tells what is missing there.
    async fn read_over(
        &self,
        links: &Links,
        line: &Arc<Line>,
        now: Timestamp,
    ) -> Result<Vec<(OverridePlace, Revised)>, StoreError> {
        let known = self.known.lock().or(Err(StoreError::Poisoned))?.version.clone().unwrap_or_default();
        let drawn = draw()?;
        let mut command = redis::cmd("EVAL");
        command.arg(READ).arg(1).arg(self.name()).arg(&drawn).arg(known);
        let answer = line.say_one(command, WITHIN).await?;
        match read(&answer, &drawn) {
            None => Err(links.distrust(line)),
            Some(Read::Same) => Ok(Vec::new()),
            Some(Read::Changed { version, hash }) => {
                self.hear(ledger(&hash).ok_or(StoreError::Foreign)?, version, now)
            }
        }
    }

    /// Takes what is newer there; gives what is newer here. If there is any, the next look reads all again.
    fn hear(
        &self,
        there: Ledger,
        version: String,
        now: Timestamp,
    ) -> Result<Vec<(OverridePlace, Revised)>, StoreError> {
        let mut known = self.known.lock().or(Err(StoreError::Poisoned))?;
        let missing = known.ledger.beyond(&there, now);
        let mut ledger = there;
        for (place, revised) in &missing {
            ledger.take(place.clone(), revised.clone());
        }
        known.ledger = ledger;
        known.version = Some(version).filter(|_| missing.is_empty());
        self.overrides.publish(known.ledger.view());
        Ok(missing)
    }

    async fn forget_over(&self, line: &Line, now: Timestamp) -> Result<(), StoreError> {
        let over = self.known.lock().or(Err(StoreError::Poisoned))?.ledger.forgettable(now);
        for (place, revision) in over.into_iter().take(AT_ONCE) {
            let drawn = draw()?;
            self.say(line, self.command(&drawn, &place, "", revision, "forget"), &drawn).await?;
            self.known.lock().or(Err(StoreError::Poisoned))?.ledger.forget(&place, revision);
        }
        Ok(())
    }

    async fn say(&self, line: &Line, command: Cmd, drawn: &str) -> Result<Said, StoreError> {
        said(&line.say_one(command, WITHIN).await?, drawn).ok_or(StoreError::Foreign)
    }

    fn name(&self) -> String {
        self.prefix.revocations("limits")
    }

    fn command(&self, drawn: &str, place: &OverridePlace, rest: &str, revision: i64, what: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(ORDER).arg(1).arg(self.name()).arg(drawn).arg(place.to_string());
        command.arg(rest).arg(revision).arg(what).arg(self.most);
        command
    }

    /// Reads first what is there: another replica may have changed it since the last look, and what cannot be read here
    /// cannot be read by others either, who would never hear of the order.
    async fn change(
        &self,
        place: OverridePlace,
        standing: Option<Standing>,
        note: Note,
        now: Timestamp,
    ) -> Result<Overridden, OverrideError> {
        // Without a first look it is not known what is there.
        self.overrides.known().or(Err(OverrideError::Unknown))?;
        let not_kept = |error: StoreError| {
            self.servers.suspect();
            OverrideError::NotKept(error.kind())
        };
        let links = self.servers.of_revocations().await.map_err(not_kept)?;
        let line = links.line_for_order(WITHIN).await.map_err(not_kept)?;
        // What is missing there the next look says again.
        let _missing = self.read_over(&links, &line, now).await.map_err(not_kept)?;
        let (known, before) = {
            let known = self.known.lock().or(Err(OverrideError::Closed))?;
            let before = known.ledger.get(&place).and_then(|known| known.in_force(now));
            (known.ledger.revision(&place), before)
        };
        if before.is_none() && standing.is_none() {
            return Ok(Overridden { changed: false });
        }
        let mut revised = Revised { revision: known, standing, note };
        let drawn = draw().map_err(not_kept)?;
        let rest = revised.encode().or(Err(OverrideError::NotKept(ErrorKind::InvalidData)))?;
        let command = self.command(&drawn, &place, &rest, known, "order");
        match self.say(&line, command, &drawn).await.map_err(not_kept)? {
            Said::Full => Err(OverrideError::Full),
            Said::Revision(revision) => {
                revised.revision = revision;
                let mut known = self.known.lock().or(Err(OverrideError::Closed))?;
                known.ledger.take(place, revised);
                self.overrides.publish(known.ledger.view());
                Ok(Overridden { changed: before != standing })
            }
        }
    }
}

impl OverrideStore for RedisOverrides {
    fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    fn set<'a>(&'a self, order: &'a LimitOverride, now: Timestamp) -> OverrideFuture<'a> {
        let standing = Standing { figure: order.figure, until: order.until };
        Box::pin(self.change(order.place.clone(), Some(standing), order.note.clone(), now))
    }

    fn take_back<'a>(
        &'a self,
        place: &'a OverridePlace,
        note: &'a Note,
        now: Timestamp,
    ) -> OverrideFuture<'a> {
        Box::pin(self.change(place.clone(), None, note.clone(), now))
    }

    fn list(
        &self,
        after: Option<&OverridePlace>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<LimitOverride>, OverrideError> {
        self.overrides.known().or(Err(OverrideError::Unknown))?;
        Ok(self.known.lock().or(Err(OverrideError::Closed))?.ledger.list(after, most, now))
    }

    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }
}

/// What an order came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Revision(i64),
    Full,
}

fn said(answer: &Value, drawn: &str) -> Option<Said> {
    let Value::Array(parts) = answer else { return None };
    match parts.as_slice() {
        [echo, outcome] if text(echo)? == drawn => match text(outcome)? {
            "full" => Some(Said::Full),
            revision => revision.parse().ok().map(Said::Revision),
        },
        _ => None,
    }
}

/// What a look came to.
#[derive(Debug, PartialEq)]
enum Read {
    Same,
    Changed { version: String, hash: Vec<Value> },
}

fn read(answer: &Value, drawn: &str) -> Option<Read> {
    let Value::Array(parts) = answer else { return None };
    match parts.as_slice() {
        [echo, _version] if text(echo)? == drawn => Some(Read::Same),
        [echo, version, Value::Array(hash)] if text(echo)? == drawn => {
            Some(Read::Changed { version: text(version)?.to_owned(), hash: hash.clone() })
        }
        _ => None,
    }
}

/// All that the hash holds; none if any of it is not ours.
fn ledger(hash: &[Value]) -> Option<Ledger> {
    let mut ledger = Ledger::default();
    for pair in hash.chunks(2) {
        let [place, rest] = pair else { return None };
        let place = text(place)?;
        if place != VERSION {
            let (place, revised) = Encoded::read(place, text(rest)?)?;
            ledger.take(place, revised);
        }
    }
    Some(ledger)
}

#[cfg(test)]
mod tests;

//! Attributes of subjects in Redis, for many replicas: each has all of them, and reads a few times a second what was told since
//! it looked last.
//!
//! Of each place there is one change, the last, in a stream by number. A server that may have forgotten has another version; then
//! each replica reads all, and says again what is missing there.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use redis::{Cmd, Pipeline, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{draw, list, text};
use super::keys::Prefix;
use super::link::Line;
use super::revocation::FeedClock;
use super::servers::Servers;
use crate::admission::StoreError;
use crate::attributes::{
    AttributeError, AttributeFuture, AttributeSet, AttributeStore, Encoded, Held, Place, SubjectAttribute,
    Subjects,
};
use crate::revocation::{Keeping, Staleness};

const TELL: &str = include_str!("attributes/tell.lua");
const READ: &str = include_str!("attributes/read.lua");
/// How often each replica looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is measured for how long nothing was heard.
const MEASURED: Duration = Duration::from_millis(100);
/// Time for an answer, which no decision waits for.
const WITHIN: Duration = Duration::from_secs(2);
/// Changes that are read at once.
const BATCH: usize = 1_000;
/// What is said again, or forgotten, at once.
const AT_ONCE: usize = 200;

/// Attributes that replicas share. [`RedisAttributes::follow`] has to run.
#[derive(Debug)]
pub struct RedisAttributes {
    servers: Servers,
    prefix: Prefix,
    most: usize,
    subjects: Arc<Subjects>,
    read: tokio::sync::Mutex<Followed>,
    /// When that was asked which was heard last.
    heard: Mutex<Instant>,
    over: Mutex<Vec<(Place, Held)>>,
    /// How many attributes that the server has lost are still to be said again; others wait for them.
    owed: Arc<AtomicUsize>,
}

/// What was read.
#[derive(Debug, Default)]
struct Followed {
    version: String,
    last: u64,
    /// What is missing there.
    again: Vec<(Place, Held)>,
}

impl RedisAttributes {
    pub(super) fn new(
        servers: Servers,
        prefix: Prefix,
        most: usize,
        staleness: Staleness,
        owed: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            servers,
            prefix,
            most,
            subjects: Arc::new(Subjects::fed(staleness)),
            read: tokio::sync::Mutex::default(),
            heard: Mutex::new(Instant::now()),
            over: Mutex::default(),
            owed,
        }
    }

    /// Looks again and again until told to stop.
    pub async fn follow(&self, clock: FeedClock, stop: CancellationToken) {
        let followed = async {
            let mut failing = false;
            loop {
                match self.look(clock()).await {
                    Ok(()) => failing = false,
                    Err(error) if !failing => {
                        tracing::warn!(%error, "the attributes of subjects cannot be read");
                        failing = true;
                    }
                    Err(_told) => {}
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let measured = async {
            loop {
                tokio::time::sleep(MEASURED).await;
                if let Ok(heard) = self.heard.lock() {
                    self.subjects.silent_for(heard.elapsed());
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = followed => {}
            () = measured => {}
        }
    }

    /// Takes over what was told, says again what is missing, and forgets what is over.
    ///
    /// # Errors
    /// The store did not answer, or what it holds is not ours; what was known before stands then, until it is too old.
    pub(super) async fn look(&self, now: Timestamp) -> Result<(), StoreError> {
        // A cluster may have moved them.
        self.look_once(now).await.inspect_err(|_| self.servers.suspect())
    }

    async fn look_once(&self, now: Timestamp) -> Result<(), StoreError> {
        let line = self.servers.of_revocations().await?.fit_line().await?;
        let mut read = self.read.lock().await;
        let asked = Instant::now();
        self.catch_up(&line, &mut read, now).await?;
        *self.heard.lock().or(Err(StoreError::Poisoned))? = asked;
        self.subjects.heard(now);
        while !read.again.is_empty() {
            let from = read.again.len().saturating_sub(AT_ONCE);
            self.say(&line, read.again.get(from..).unwrap_or_default(), "again").await?;
            read.again.truncate(from);
            self.owed.store(read.again.len(), Ordering::Release);
            tracing::warn!(left = from, "attributes that the store had lost were said again");
        }
        drop(read);
        self.forget_over(&line).await
    }

    async fn catch_up(&self, line: &Line, read: &mut Followed, now: Timestamp) -> Result<(), StoreError> {
        // What is there, while all of it is read.
        let mut whole: Option<HashMap<Place, Held>> = None;
        loop {
            let drawn = draw()?;
            let answer = line.say_one(self.reading(&drawn, read), WITHIN).await?;
            let Answer { version, from, changes } =
                Answer::read(&answer, &drawn).ok_or(StoreError::Foreign)?;
            // Where nothing was ever told, all is missing that is known here.
            let (empty, more) = (version.is_empty(), !version.is_empty() && changes.len() >= BATCH);
            if empty || version != read.version {
                (read.version, whole) = (version, Some(HashMap::new()));
            }
            read.last = from;
            for (number, place, held) in changes {
                if let Some(whole) = &mut whole {
                    whole.insert(place.clone(), held.clone());
                }
                self.subjects.take(place, held).or(Err(StoreError::Poisoned))?;
                read.last = number;
            }
            if !more {
                break;
            }
        }
        let Some(whole) = whole else { return Ok(()) };
        let mut missing = self.subjects.worth_telling(now).or(Err(StoreError::Poisoned))?;
        missing.retain(|(place, held)| whole.get(place).is_none_or(|there| held.counts_before(there)));
        self.owed.store(missing.len(), Ordering::Release);
        read.again = missing;
        Ok(())
    }

    async fn say(&self, line: &Line, attributes: &[(Place, Held)], what: &str) -> Result<(), StoreError> {
        let (mut commands, drawn) = (Pipeline::new(), draw()?);
        for (place, held) in attributes {
            commands.add_command(self.telling(&drawn, place, held, what)?);
        }
        if attributes.is_empty() {
            return Ok(());
        }
        for answer in line.say(&commands, WITHIN).await? {
            said(&answer, &drawn).ok_or(StoreError::Foreign)?;
        }
        Ok(())
    }

    async fn forget_over(&self, line: &Line) -> Result<(), StoreError> {
        let some: Vec<_> = {
            let mut over = self.over.lock().or(Err(StoreError::Poisoned))?;
            let from = over.len().saturating_sub(AT_ONCE);
            over.split_off(from)
        };
        // If that fails, whoever starts anew does it.
        self.say(line, &some, "forget").await
    }

    fn telling(&self, drawn: &str, place: &Place, held: &Held, what: &str) -> Result<Cmd, StoreError> {
        let Encoded { place, rank, json } = Encoded::of(place, held).or(Err(StoreError::Foreign))?;
        let mut command = redis::cmd("EVAL");
        command.arg(TELL).arg(2).arg(self.places()).arg(self.changes());
        command.arg(drawn).arg(place).arg(rank).arg(json).arg(what).arg(self.most);
        Ok(command)
    }

    fn reading(&self, drawn: &str, read: &Followed) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(READ).arg(3).arg(self.places()).arg(self.changes()).arg(self.prefix.revocation_memory());
        command.arg(drawn).arg(&read.version).arg(read.last).arg(BATCH);
        command
    }

    fn places(&self) -> String {
        self.prefix.revocations("attributes")
    }

    fn changes(&self) -> String {
        self.prefix.revocations("attributes:changes")
    }

    async fn tell(&self, event: &SubjectAttribute, now: Timestamp) -> Result<AttributeSet, AttributeError> {
        let (place, held) = (event.place(), event.held(now)?);
        let not_kept = |error: StoreError| {
            self.servers.suspect();
            AttributeError::NotKept(error.kind())
        };
        let links = self.servers.of_revocations().await.map_err(not_kept)?;
        let line = links.line_for_order(WITHIN).await.map_err(not_kept)?;
        let drawn = draw().map_err(not_kept)?;
        let command = self.telling(&drawn, &place, &held, "tell").map_err(not_kept)?;
        let answer = line.say_one(command, WITHIN).await.map_err(not_kept)?;
        match said(&answer, &drawn).ok_or(StoreError::Foreign).map_err(not_kept)? {
            Said::Told => {
                self.subjects.take(place, held).or(Err(AttributeError::Closed))?;
                Ok(AttributeSet { changed: true })
            }
            Said::Known => {
                // It may be another's, which was not heard of here yet.
                self.look(now).await.map_err(not_kept)?;
                Ok(AttributeSet { changed: false })
            }
            Said::Full => Err(AttributeError::Full),
            Said::Forgotten => Err(AttributeError::NotKept(ErrorKind::InvalidData)),
        }
    }
}

impl AttributeStore for RedisAttributes {
    fn subjects(&self) -> &Arc<Subjects> {
        &self.subjects
    }

    fn set<'a>(&'a self, event: &'a SubjectAttribute, now: Timestamp) -> AttributeFuture<'a> {
        Box::pin(self.tell(event, now))
    }

    fn list(
        &self,
        after: Option<&SubjectAttribute>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<SubjectAttribute>, AttributeError> {
        if self.subjects.unknown(now).is_some() {
            return Err(AttributeError::Unknown);
        }
        self.subjects.list(after, most, now).or(Err(AttributeError::Closed))
    }

    /// Forgets here; the server is told with the next looks.
    fn tend(&self, now: Timestamp) -> Result<(), AttributeError> {
        let forgotten = self.subjects.forget_over(now).or(Err(AttributeError::Closed))?;
        self.over.lock().or(Err(AttributeError::Closed))?.extend(forgotten);
        Ok(())
    }

    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }
}

/// What a look found.
#[derive(Debug, PartialEq)]
struct Answer {
    version: String,
    from: u64,
    changes: Vec<(u64, Place, Held)>,
}

impl Answer {
    /// None if it is not of the form, another's, or of another version.
    fn read(value: &Value, drawn: &str) -> Option<Self> {
        let [echo, version, from, changes] = list(value)? else { return None };
        if text(echo)? != drawn {
            return None;
        }
        let change = |entry: &Value| {
            let [id, fields] = list(entry)? else { return None };
            let number = text(id)?.strip_suffix("-0")?.parse().ok()?;
            let [key, place, value, json] = list(fields)? else { return None };
            if (text(key)?, text(value)?) != ("k", "v") {
                return None;
            }
            let (place, held) = Encoded::read(text(place)?, text(json)?)?;
            Some((number, place, held))
        };
        let changes = list(changes)?.iter().map(change).collect::<Option<_>>()?;
        Some(Self { version: text(version)?.to_owned(), from: text(from)?.parse().ok()?, changes })
    }
}

/// What telling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Told,
    Known,
    Forgotten,
    Full,
}

fn said(answer: &Value, drawn: &str) -> Option<Said> {
    let [echo, outcome] = list(answer)? else { return None };
    match text(outcome)? {
        _ if text(echo)? != drawn => None,
        "told" => Some(Said::Told),
        "known" => Some(Said::Known),
        "forgotten" => Some(Said::Forgotten),
        "full" => Some(Said::Full),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

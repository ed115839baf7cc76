//! What keeps the snapshot of this process current: a task that follows the log, and says how far it got.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use redis::{Pipeline, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::answer::bytes;
use super::super::link::Line;
use super::fleet::SAY_EVERY;
use super::script::{
    Applied, BUCKET_BITS, Beat, Caller, Change, Incarnation, Ordered, changes, read_entries, rows,
};
use super::{RedisRevocations, Remembered};
use crate::admission::StoreError;
use crate::revocation::{Position, Row, STRIPE_BITS, Snapshot};

/// How long the log is listened to before the replica says again that it is there. A replica is taken to be live for 3 s
/// after it was heard.
const LISTEN: Duration = Duration::from_millis(500);
/// Time for one answer, beyond the time to listen.
const WITHIN: Duration = Duration::from_secs(1);
/// Pause before a connection is tried again that had held for a while, and before one that broke at once. How often one is
/// tried to a server that is not there, the gate says.
const PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_secs(1);
const HELD: Duration = Duration::from_secs(2);
/// How often it is measured for how long nothing was heard.
const MEASURED: Duration = Duration::from_millis(100);
/// Time to say goodbye.
const GOODBYE: Duration = Duration::from_millis(200);
/// Changes that are read at once.
const BATCH: usize = 1000;
/// Parts of a snapshot that are asked for at once.
const PARTS_AT_ONCE: usize = 32;
/// Revocations that are said again at once.
const AGAIN: usize = 200;

/// So young an incarnation may not hold yet what another lost, and who knows of it may not have found out: a replica that is new
/// waits for them.
const YOUNG: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(3) };

/// How long those who ordered what was lost have to say it again first.
const OTHERS_AFTER: Duration = Duration::from_secs(1);

/// The wall clock of the process.
pub type FeedClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the feed knows between two connections, beside the snapshot.
#[derive(Debug, Default)]
pub(super) struct Known {
    incarnation: Option<Incarnation>,
    /// Whether it is known that nobody has anything to say again of what the store had lost before this replica came.
    nothing_owed: bool,
    /// From which part on everything is still to be looked through for what was lifted, after the log did not reach back.
    unread: Option<usize>,
    /// What the store has lost and this replica ordered.
    own: Lost,
    /// What the store has lost, as far as this replica knows it, and others ordered. They know more of it, so they say it
    /// first.
    others: Lost,
    others_from: Option<Instant>,
    /// The store had no room for what was said again last.
    full: bool,
    /// When this replica said last what it says of itself, to which incarnation, and whether it came to anything.
    said: Option<(Instant, Option<Incarnation>)>,
    unsaid: bool,
}

/// Rows that the store has lost, each once.
type Lost = BTreeMap<([u8; 16], u8), Row>;

/// Those of one part of a snapshot.
fn lost_of(lost: &Lost, part: usize) -> impl Iterator<Item = &Row> {
    let (low, high) = Snapshot::digests_of(part);
    lost.range((low, 0)..=(high, u8::MAX)).map(|(_, row)| row)
}

impl RedisRevocations {
    /// Follows the log until told to stop. Whoever follows again goes on from there.
    pub async fn follow(&self, clock: FeedClock, stop: CancellationToken) {
        let mut known = self.known.lock().await;
        let followed = async {
            let mut told = None;
            loop {
                let mut made = None;
                let Err(end) = self.follow_once(&mut known, &clock, &mut made).await;
                self.servers.suspect();
                // That the server is away is told by its connections; once, what a person has to mend.
                if end == StoreError::Unavailable || told == Some(end) {
                    tracing::debug!(error = %end, "the feed of revocations begins anew");
                } else {
                    tracing::error!(error = %end, "revocations cannot be followed");
                }
                // Where none was made, the gate says when one is tried.
                let broke_at_once = made.is_some_and(|made: Instant| made.elapsed() < HELD);
                told = Some(end).filter(|_| broke_at_once || made.is_none());
                tokio::time::sleep(if broke_at_once { LONG_PAUSE } else { PAUSE }).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => self.say_goodbye().await,
            () = followed => {}
            () = self.measure_silence() => {}
        }
    }

    /// The clock of the day may be set back while nothing is heard; a silence is as long as it is.
    async fn measure_silence(&self) {
        loop {
            tokio::time::sleep(MEASURED).await;
            self.snapshot.silent_for(self.heard.borrow().elapsed());
        }
    }

    async fn follow_once(
        &self,
        known: &mut Known,
        clock: &FeedClock,
        made: &mut Option<Instant>,
    ) -> Result<std::convert::Infallible, StoreError> {
        let line = self.servers.of_revocations().await?.own_line().await?;
        *made = Some(Instant::now());
        loop {
            // What is heard is complete as of the question, not as of the answer.
            let (asked, asked_at) = (clock(), Instant::now());
            let beat = self.beat(&line, known).await?;
            // Where there was no room, those who were there before may be there still.
            if !beat.full {
                self.hear_of(&beat);
            }
            self.say_of_itself_in_time(&line, known).await;
            if known.incarnation != Some(beat.incarnation) {
                // What was here and is not there was lost, unless this is the first time.
                let lost_after = known.incarnation.is_some().then_some(beat.base);
                self.load(&line, beat.at(), lost_after, known).await?;
                known.incarnation = Some(beat.incarnation);
                known.unread = None;
                continue;
            }
            if beat.position > self.position() {
                let before = self.position();
                let value = line.say_one(self.range(), WITHIN).await?;
                if !self.apply(&value)? || self.position() == before {
                    // The log begins after what comes next here, or has nothing at all.
                    known.unread = Some(0);
                    self.catch_up(&line, beat.position).await?;
                }
                continue;
            }
            if !beat.full {
                self.say_again(&line, known).await?;
            }
            known.nothing_owed |= beat.age >= YOUNG && !beat.is_owed_by_others(self.itself.id());
            if !known.nothing_owed {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            self.heard.send_replace(asked_at);
            self.snapshot.heard(asked);
            if let Some(part) = known.unread.filter(|_| known.own.is_empty() && known.others.is_empty()) {
                known.unread = self.read_again(&line, part).await?;
                continue;
            }
            let value = line.say_one(self.listen(), LISTEN.saturating_add(WITHIN)).await?;
            let entries = read_entries(value).ok_or(StoreError::Foreign)?;
            if !self.apply(&entries)? {
                known.unread = Some(0);
                self.catch_up(&line, beat.position).await?;
            }
        }
    }

    /// Once a second, and at once to a store that has another memory. What it comes to is nothing that revocations hang on.
    async fn say_of_itself_in_time(&self, line: &Line, known: &mut Known) {
        let recent = |(at, to): (Instant, _)| at.elapsed() < SAY_EVERY && to == known.incarnation;
        if known.said.is_some_and(recent) {
            return;
        }
        known.said = Some((Instant::now(), known.incarnation));
        match self.say_of_itself(line).await {
            Ok(()) => known.unsaid = false,
            Err(error) if !known.unsaid => {
                tracing::warn!(%error, "the others do not hear what this replica says of itself");
                known.unsaid = true;
            }
            Err(_told) => {}
        }
    }

    /// Nobody waits for one that is gone.
    async fn say_goodbye(&self) {
        let Ok(links) = self.servers.of_revocations().await else { return };
        let Ok(line) = links.line_for_order(GOODBYE).await else { return };
        let mut commands = Pipeline::new();
        for key in ["replicas", "names", "reports"] {
            commands.cmd("HDEL").arg(self.prefix.revocations(key)).arg(self.itself.id());
        }
        if let Err(error) = line.say(&commands, GOODBYE).await {
            tracing::debug!(%error, "no goodbye");
        }
    }

    async fn beat(&self, line: &Line, known: &Known) -> Result<Beat, StoreError> {
        let (caller, waiting) = (self.caller()?, self.waiting()?.len());
        let owed = known.own.len().saturating_add(known.others.len()).saturating_add(waiting);
        let owed = owed.saturating_add(self.owed.load(Ordering::Acquire));
        let value =
            line.say_one(caller.beat(self.itself.id(), known.incarnation.as_ref(), owed), WITHIN).await?;
        Beat::read(&value, &caller.next).ok_or(StoreError::Foreign)
    }

    fn range(&self) -> redis::Cmd {
        let mut command = redis::cmd("XRANGE");
        let from = format!("{}-0", self.position().0.saturating_add(1));
        command.arg(self.prefix.revocations("log")).arg(from).arg("+").arg("COUNT").arg(BATCH);
        command
    }

    fn listen(&self) -> redis::Cmd {
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(BATCH).arg("BLOCK").arg(u64::try_from(LISTEN.as_millis()).unwrap_or(1));
        command.arg("STREAMS").arg(self.prefix.revocations("log")).arg(format!("{}-0", self.position().0));
        command
    }

    /// Applies changes, if they come right after those that were applied. False if there is a gap, at which it stops.
    fn apply(&self, value: &Value) -> Result<bool, StoreError> {
        for (position, change) in changes(value).ok_or(StoreError::Foreign)? {
            if position != self.position().next() {
                return Ok(false);
            }
            let changed = match change {
                Change::Revoked(target, row) => self.snapshot.set(&target, row),
                Change::Lifted(target, lift) => self.snapshot.lift_before(&target, lift, position),
            };
            changed.or(Err(StoreError::Poisoned))?;
            self.applied_to(position);
        }
        // A change that the store made without knowing of an order that waits takes nothing from it.
        self.put_waiting(self.position())?;
        Ok(true)
    }

    /// Takes over what was revoked since the last change that was applied here, where the log does not reach back to it: it
    /// stands in the order of positions. What was lifted is not told; it goes on to be revoked here until
    /// [`Self::read_again`] is through.
    pub(super) async fn catch_up(&self, line: &Line, position: Position) -> Result<(), StoreError> {
        let mut from = self.position().next();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(self.prefix.revocations("entries")).arg(format!("{}-0", from.0)).arg("+");
            command.arg("COUNT").arg(BATCH);
            let value = line.say_one(command, WITHIN).await?;
            let found = changes(&value).ok_or(StoreError::Foreign)?;
            for (at, change) in &found {
                let Change::Revoked(target, row) = change else { return Err(StoreError::Foreign) };
                self.snapshot.set(target, *row).or(Err(StoreError::Poisoned))?;
                from = at.next();
            }
            if found.len() < BATCH {
                break;
            }
        }
        self.applied_to(position.max(self.position()));
        tracing::info!(
            revocations = self.snapshot.len(),
            "caught up; what was lifted meanwhile is looked for"
        );
        Ok(())
    }

    /// Takes some parts over as they are in the store, from `part` on; gives where to go on, if anywhere. They may be ahead of
    /// the log: changes that come twice change nothing.
    async fn read_again(&self, line: &Line, part: usize) -> Result<Option<usize>, StoreError> {
        let end = part.saturating_add(PARTS_AT_ONCE).min(Snapshot::PARTS);
        let parts: Vec<usize> = (part..end).collect();
        let caller = self.caller()?;
        let written = self.written(line, &caller).await?;
        self.take_over(line, &caller, &parts, &written, (None, &Lost::new(), &Lost::new())).await?;
        if end < Snapshot::PARTS {
            return Ok(Some(end));
        }
        self.loads.fetch_add(1, Ordering::Relaxed);
        tracing::info!(revocations = self.snapshot.len(), "revocations are complete again");
        Ok(None)
    }

    /// Takes everything over as it is in the store, part by part, while the snapshot goes on answering.
    async fn load(
        &self,
        line: &Line,
        at: Applied,
        lost_after: Option<Position>,
        known: &mut Known,
    ) -> Result<(), StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let caller = self.caller()?;
        let written = self.written(line, &caller).await?;
        let parts: Vec<usize> = (0..Snapshot::PARTS).collect();
        for parts in parts.chunks(PARTS_AT_ONCE) {
            let kept = (lost_after, &known.own, &known.others);
            for row in self.take_over(line, &caller, parts, &written, kept).await? {
                let of = if self.has_ordered(&row) { &mut known.own } else { &mut known.others };
                of.insert(row.place(), row);
            }
        }
        self.applied_at(at);
        known.others_from = Instant::now().checked_add(OTHERS_AFTER);
        let missing = known.own.len().saturating_add(known.others.len());
        tracing::info!(revocations = self.snapshot.len(), missing, "revocations loaded");
        Ok(())
    }

    /// A bit for each bucket that was ever written to.
    async fn written(&self, line: &Line, caller: &Caller<'_>) -> Result<Vec<u8>, StoreError> {
        let mut get = redis::cmd("GET");
        get.arg(caller.buckets());
        let value = line.say_one(get, WITHIN).await?;
        match bytes(&value) {
            Some(bits) => Ok(bits.to_vec()),
            None if value == Value::Nil => Ok(Vec::new()),
            None => Err(StoreError::Foreign),
        }
    }

    /// Makes parts hold what they hold in the store, what it has not taken yet, and what it has lost, as is known already or
    /// because it came after a position. Gives what was not known to be lost.
    ///
    /// Each part is exchanged at once: nothing of it ceases to hold in between, nor if the next part cannot be read.
    async fn take_over(
        &self,
        line: &Line,
        caller: &Caller<'_>,
        parts: &[usize],
        written: &[u8],
        (lost_after, own, others): (Option<Position>, &Lost, &Lost),
    ) -> Result<Vec<Row>, StoreError> {
        let each = 1_u32 << BUCKET_BITS.saturating_sub(STRIPE_BITS);
        let is_written = |bucket: &u32| {
            let byte = usize::try_from(bucket / 8).ok().and_then(|place| written.get(place));
            byte.is_some_and(|byte| byte & (0x80 >> (bucket % 8)) != 0)
        };
        let mut commands = Pipeline::new();
        let mut of_part = Vec::new();
        for part in parts {
            let first = u32::try_from(*part).unwrap_or(u32::MAX).saturating_mul(each);
            for bucket in (first..first.saturating_add(each)).filter(is_written) {
                commands.cmd("HGETALL").arg(caller.bucket(bucket));
                of_part.push(*part);
            }
        }
        let answers = if commands.is_empty() {
            Vec::new()
        } else {
            line.say(&commands, WITHIN.saturating_mul(5)).await?
        };
        let mut lost = Vec::new();
        // Held, so that an order that the store does not take comes before all this or after it.
        let waiting = self.waiting.lock().or(Err(StoreError::Poisoned))?;
        for part in parts {
            let mut found = Vec::new();
            for (_, answer) in of_part.iter().zip(&answers).filter(|(of, _)| *of == part) {
                rows(answer, &mut found).ok_or(StoreError::Foreign)?;
            }
            found.extend(lost_of(own, *part).chain(lost_of(others, *part)));
            let of_part = waiting.iter().filter(|one| Snapshot::part_of(&one.target) == *part);
            found.extend(of_part.map(|one| Row::of(one, self.position())));
            lost.extend(self.snapshot.replace(*part, found, lost_after).or(Err(StoreError::Poisoned))?);
        }
        Ok(lost)
    }

    /// Orders that the store has not taken yet hold here.
    fn put_waiting(&self, position: Position) -> Result<(), StoreError> {
        for revocation in self.waiting.lock().or(Err(StoreError::Poisoned))?.iter() {
            let row = Row::of(revocation, position);
            self.snapshot.put(&revocation.target, row).or(Err(StoreError::Poisoned))?;
        }
        Ok(())
    }

    /// Says again what the store has lost, and orders that it could not take: a part of it, so that the log is not left
    /// for long.
    async fn say_again(&self, line: &Line, known: &mut Known) -> Result<(), StoreError> {
        let due = known.others_from.is_none_or(|from| from <= Instant::now());
        let from = if known.own.is_empty() && due { &mut known.others } else { &mut known.own };
        let again: Vec<Row> = from.values().take(AGAIN).copied().collect();
        let mut revocations: Vec<_> = again.iter().filter_map(|row| self.remembered(row)).collect();
        let mut waiting = self.waiting()?;
        // Where there was no room, one shows whether there is any now.
        waiting.truncate(if known.full { 1 } else { AGAIN });
        revocations.extend(waiting.iter().cloned());
        if revocations.is_empty() {
            return Ok(());
        }
        let caller = self.caller()?;
        let mut commands = Pipeline::new();
        for revocation in &revocations {
            commands.add_command(caller.revoke(revocation, self.limits.max_revocations.get()));
        }
        let answers = line.say(&commands, WITHIN.saturating_mul(5)).await?;
        let mut refused = Vec::new();
        for (revocation, answer) in revocations.iter().zip(answers) {
            if Ordered::read(&answer, &caller.next).ok_or(StoreError::Foreign)? == Ordered::Full {
                refused.push(revocation.clone());
            }
        }
        for row in &again {
            from.remove(&row.place());
        }
        if !refused.is_empty() && !known.full {
            // It goes on holding here; to listen no more would be worse.
            tracing::error!("the store has no room for a revocation that it had lost, or had not taken");
        }
        known.full = !refused.is_empty();
        if revocations.len() > refused.len() {
            tracing::warn!(
                revocations = revocations.len().saturating_sub(refused.len()),
                "revocations that the store had lost were said again"
            );
        }
        self.said_again(&waiting, refused)
    }

    /// A row as it was ordered, if this replica ordered it lately; else with a note that says what is known.
    fn remembered(&self, row: &Row) -> Option<crate::revocation::Revocation> {
        Remembered::of(row, &self.ordered)
    }
}

//! What keeps the snapshot of this process current: a task that follows the log, and says how far it got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use redis::{Pipeline, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::link::Line;
use super::script::{BUCKET_BITS, Beat, Change, Incarnation, Ordered, bytes, changes, read_entries, rows};
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
/// Changes that are read at once.
const BATCH: usize = 1000;
/// Parts of a snapshot that are asked for at once.
const PARTS_AT_ONCE: usize = 32;
/// Revocations that are said again at once.
const AGAIN: usize = 200;

/// How long those who ordered what was lost have to say it again first.
const OTHERS_AFTER: Duration = Duration::from_secs(1);

/// The wall clock of the process.
pub type FeedClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the feed knows between two connections.
#[derive(Debug, Default)]
struct Known {
    incarnation: Option<Incarnation>,
    /// What the store has lost and this replica ordered.
    own: VecDeque<Row>,
    /// What the store has lost, as far as this replica knows it, and others ordered. They know more of it, so they say it
    /// first.
    others: VecDeque<Row>,
    others_from: Option<Instant>,
}

impl RedisRevocations {
    /// Follows the log until told to stop.
    pub async fn follow(&self, clock: FeedClock, stop: CancellationToken) {
        let mut known = Known::default();
        loop {
            let began = Instant::now();
            let end = tokio::select! {
                () = stop.cancelled() => return,
                Err(error) = self.follow_once(&mut known, &clock) => error,
            };
            tracing::debug!(error = %end, "the feed of revocations begins anew");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(if began.elapsed() < HELD { LONG_PAUSE } else { PAUSE }) => {}
            }
        }
    }

    async fn follow_once(
        &self,
        known: &mut Known,
        clock: &FeedClock,
    ) -> Result<std::convert::Infallible, StoreError> {
        let line = self.links.own_line().await?;
        loop {
            let beat = self.beat(&line).await?;
            self.hear_of(&beat);
            if known.incarnation != Some(beat.incarnation) {
                // What was here and is not there was lost, unless this is the first time.
                let keep = known.incarnation.is_some();
                self.load(&line, beat.position, keep, known).await?;
                known.incarnation = Some(beat.incarnation);
                continue;
            }
            if beat.position > self.position() {
                let value = line.say_one(self.range(), WITHIN).await?;
                if !self.apply(&value)? {
                    // The log begins after what comes next here.
                    self.load(&line, beat.position, false, known).await?;
                }
                continue;
            }
            self.say_again(&line, known).await?;
            self.snapshot.heard(clock());
            let value = line.say_one(self.listen(), LISTEN.saturating_add(WITHIN)).await?;
            let entries = read_entries(value).ok_or(StoreError::Foreign)?;
            if !self.apply(&entries)? {
                self.load(&line, beat.position, false, known).await?;
            }
        }
    }

    async fn beat(&self, line: &Line) -> Result<Beat, StoreError> {
        let command = self.caller(&line.run)?.beat(&self.replica);
        Beat::read(&line.say_one(command, WITHIN).await?).ok_or(StoreError::Foreign)
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
        Ok(true)
    }

    /// Takes everything over as it is in the store, part by part, while the snapshot goes on answering.
    async fn load(
        &self,
        line: &Line,
        position: Position,
        keep: bool,
        known: &mut Known,
    ) -> Result<(), StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let caller = self.caller(&line.run)?;
        let mut get = redis::cmd("GET");
        get.arg(caller.buckets());
        let value = line.say_one(get, WITHIN).await?;
        let bits = match bytes(&value) {
            Some(bits) => bits.to_vec(),
            None if value == Value::Nil => Vec::new(),
            None => return Err(StoreError::Foreign),
        };
        let each = 1_u32 << BUCKET_BITS.saturating_sub(STRIPE_BITS);
        let written = |bucket: u32| {
            let byte = usize::try_from(bucket / 8).ok().and_then(|place| bits.get(place));
            byte.is_some_and(|byte| byte & (0x80 >> (bucket % 8)) != 0)
        };
        let parts: Vec<usize> = (0..Snapshot::PARTS).collect();
        for parts in parts.chunks(PARTS_AT_ONCE) {
            let mut commands = Pipeline::new();
            let mut of_part = Vec::new();
            for part in parts {
                let first = u32::try_from(*part).unwrap_or(u32::MAX).saturating_mul(each);
                for bucket in (first..first.saturating_add(each)).filter(|bucket| written(*bucket)) {
                    commands.cmd("HGETALL").arg(caller.bucket(bucket));
                    of_part.push(*part);
                }
            }
            let answers = if commands.is_empty() {
                Vec::new()
            } else {
                line.say(&commands, WITHIN.saturating_mul(5)).await?
            };
            for part in parts {
                let mut found = Vec::new();
                for (_, answer) in of_part.iter().zip(&answers).filter(|(of, _)| *of == part) {
                    rows(answer, &mut found).ok_or(StoreError::Foreign)?;
                }
                let missing = self.snapshot.replace(*part, found, keep).or(Err(StoreError::Poisoned))?;
                for row in missing.into_iter().filter(|_| keep) {
                    if self.has_ordered(&row) {
                        known.own.push_back(row)
                    } else {
                        known.others.push_back(row)
                    }
                }
            }
        }
        // They hold here though the store has not taken them yet.
        for revocation in self.waiting() {
            let row = Row::of(&revocation, position);
            self.snapshot.put(&revocation.target, row).or(Err(StoreError::Poisoned))?;
        }
        self.applied_to(position);
        known.others_from = Instant::now().checked_add(OTHERS_AFTER);
        let missing = known.own.len().saturating_add(known.others.len());
        tracing::info!(revocations = self.snapshot.len(), missing, "revocations loaded");
        Ok(())
    }

    /// Says again what the store has lost, and orders that it could not take: a part of it, so that the log is not left
    /// for long.
    async fn say_again(&self, line: &Line, known: &mut Known) -> Result<(), StoreError> {
        let due = known.others_from.is_none_or(|from| from <= Instant::now());
        let from = if known.own.is_empty() && due { &mut known.others } else { &mut known.own };
        let again: Vec<Row> = from.iter().take(AGAIN).copied().collect();
        let mut revocations: Vec<_> = again.iter().filter_map(|row| self.remembered(row)).collect();
        let waiting = self.waiting();
        revocations.extend(waiting.iter().cloned());
        if revocations.is_empty() {
            return Ok(());
        }
        let caller = self.caller(&line.run)?;
        let mut commands = Pipeline::new();
        for revocation in &revocations {
            commands.add_command(caller.revoke(revocation, self.limits.max_revocations.get()));
        }
        for answer in line.say(&commands, WITHIN.saturating_mul(5)).await? {
            if Ordered::read(&answer).ok_or(StoreError::Foreign)? == Ordered::Full {
                // It goes on holding here; to listen no more would be worse.
                tracing::error!("the store has no room for a revocation that it had lost");
            }
        }
        from.drain(..again.len().min(from.len()));
        self.no_longer_waiting(&waiting);
        tracing::warn!(
            revocations = revocations.len(),
            "revocations that the store had lost were said again"
        );
        Ok(())
    }

    /// A row as it was ordered, if this replica ordered it lately; else with a note that says what is known.
    fn remembered(&self, row: &Row) -> Option<crate::revocation::Revocation> {
        Remembered::of(row, &self.ordered)
    }
}

//! The thread that owns the journal.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::admin::AdminRecord;
use crate::entry::Closes;
use crate::error::AuditError;
use crate::journal::Journal;
use crate::key::SigningKey;
use crate::ledger::{Begin, Checkpoints, Head, Ledger, Page};
use crate::outcome::{Outcome, Outcomes};
use crate::record::{Record, VERSION, milliseconds};
use crate::recorder::{Clock, Mode};
use crate::sink::Sinks;
use crate::tail::Tail;

/// How many records are written, and synced, at once. A record is about 1 KB, and at most some 20.
const BATCH: usize = 256;

/// What nearly all records take, in bytes: one that takes more is moved while it is put into words.
const USUAL_LINE: usize = 2048;

/// How long best-effort records are gathered before they are written. A thread that is woken for each of them costs
/// more than writing them does.
const GATHER: Duration = Duration::from_millis(5);

/// How long records that are waited for are gathered where many came at once before: one trip to the disk serves them all.
/// Who comes alone is not held up, unless right after such a crowd.
const HOLD: Duration = Duration::from_millis(2);

/// So many records in one batch let expect more.
const CROWD: usize = 4;

/// The most room that is kept between two batches, in bytes.
const SHEET: usize = 1 << 20;

/// Who waits for the outcome of a record, if anyone.
pub(crate) type Waiter = Option<oneshot::Sender<Result<(), AuditError>>>;

/// A record as it is written.
#[derive(Debug)]
pub(crate) struct Line {
    time: Timestamp,
    /// One JSON object.
    json: Vec<u8>,
}

impl Line {
    pub(crate) fn of(record: &Record<'_>) -> Result<Self, AuditError> {
        Self::at(record.time, record)
    }

    pub(crate) fn of_order(record: &AdminRecord<'_>) -> Result<Self, AuditError> {
        Self::at(record.time, record)
    }

    pub(crate) fn of_outcome(record: &Outcome<'_>) -> Result<Self, AuditError> {
        Self::at(record.time, record)
    }

    fn at(time: Timestamp, record: &impl Serialize) -> Result<Self, AuditError> {
        let mut json = Vec::with_capacity(USUAL_LINE);
        serde_json::to_writer(&mut json, record).or(Err(AuditError::Format))?;
        Ok(Self { time, json })
    }

    #[cfg(test)]
    pub(crate) fn says(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.json).contains(text)
    }
}

/// What the writer is asked to do, in the order of asking.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write the record.
    Write(Line, Waiter),
    /// Put down a checkpoint, if the last one is long ago.
    Tick,
    /// Write the outcomes that wait: told once, however many they are.
    Outcomes,
    /// Sign checkpoints with this key from now on.
    Sign(SigningKey, oneshot::Sender<Result<(), AuditError>>),
    /// Go on with a new file under the same path.
    Reopen(oneshot::Sender<Result<(), AuditError>>),
    /// Write what waits, sync, end.
    Close(oneshot::Sender<Result<(), AuditError>>),
}

/// Records that were not kept.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    total: AtomicU64,
    untold: AtomicU64,
}

impl Gaps {
    /// All, since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.total.fetch_add(count, Ordering::Relaxed);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }

    /// Those of which the file does not say yet that they are missing. They count as told from here on.
    fn tell(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    fn tell_again(&self, count: u64) {
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}

/// The line that stands for missing records.
#[derive(Debug, Serialize)]
struct Gap {
    v: u8,
    /// The time of the record that follows.
    #[serde(serialize_with = "milliseconds")]
    time: Timestamp,
    gap: u64,
}

/// How far the file has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the last line in the chain of this run; 0 before the first one.
    pub written: u64,
    /// How often the file was synced with records in it, in [`Mode::Required`]. Records that come at once share one.
    pub commits: u64,
    /// The last checkpoint.
    pub checkpoint: Option<Head>,
}

/// What the writer is made of.
pub(crate) struct WriterParts {
    /// The file and its path, if there is one: without, the chain goes to sinks alone.
    pub(crate) file: Option<(Journal, PathBuf)>,
    pub(crate) sinks: Arc<Sinks>,
    pub(crate) mode: Mode,
    pub(crate) gaps: Arc<Gaps>,
    pub(crate) outcomes: Arc<Outcomes>,
    pub(crate) progress: Arc<Mutex<Progress>>,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) clock: Clock,
}

pub(crate) struct Writer {
    parts: WriterParts,
    /// As it stands in the file.
    ledger: Ledger,
    /// The header that comes before the next line.
    due: Option<Begin>,
    /// The latest record's time: what a gap at the very end is told under.
    latest: Option<Timestamp>,
    /// How many records the last batch had.
    crowd: usize,
    /// The room in which lines are put down.
    sheet: Vec<u8>,
}

impl Writer {
    /// Begins a run: its header is written at once, or else before the first record.
    ///
    /// # Errors
    /// [`AuditError::NoRandomness`]
    pub(crate) fn begin(parts: WriterParts) -> Result<Self, AuditError> {
        let mut writer = Self {
            parts,
            ledger: Ledger::new()?,
            due: Some(Begin::Run),
            latest: None,
            crowd: 0,
            sheet: Vec::new(),
        };
        // A disk that is full now may not be later.
        drop(writer.append(|_| Ok(())));
        Ok(writer)
    }

    /// As if the disk below were another one from now on.
    #[cfg(test)]
    pub(crate) fn go_on_over(&mut self, journal: Journal) {
        if let Some((file, _)) = &mut self.parts.file {
            *file = journal;
        }
    }

    /// Follows orders until told to close, or until nobody is left to give any.
    pub(crate) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while let Some(first) = orders.blocking_recv() {
            let (mut next, mut held) = (Some(first), false);
            while let Some(order) = next.take() {
                match order {
                    Order::Write(line, waiter) => waiting.push((line, waiter)),
                    Order::Tick => {
                        self.write(&mut waiting);
                        // What cannot be written now is due again with the next one.
                        drop(self.append(|page| page.checkpoint_if_due()));
                    }
                    Order::Outcomes => self.parts.outcomes.heard(),
                    Order::Sign(key, done) => {
                        self.write(&mut waiting);
                        self.sign_with(key);
                        answer(done, Ok(()));
                    }
                    Order::Reopen(done) => {
                        self.write(&mut waiting);
                        answer(done, self.reopen());
                    }
                    Order::Close(done) => {
                        orders.close();
                        self.drain(&mut orders, &mut waiting);
                        self.write_outcomes();
                        let finished = self.finish();
                        self.parts.sinks.end();
                        answer(done, finished);
                        return;
                    }
                }
                if waiting.len() < BATCH {
                    next = orders.try_recv().ok();
                    if next.is_none() && !held && self.is_crowded(&waiting) {
                        std::thread::park_timeout(HOLD);
                        (next, held) = (orders.try_recv().ok(), true);
                    }
                }
            }
            let all = waiting.len() < BATCH;
            self.write(&mut waiting);
            self.write_outcomes();
            if all && self.parts.mode == Mode::BestEffort {
                std::thread::park_timeout(GATHER);
            }
        }
        self.write_outcomes();
        // Nobody is left to be told.
        drop(self.finish());
        self.parts.sinks.end();
    }

    /// Whether more are likely to come for the same trip to the disk.
    fn is_crowded(&self, waiting: &[(Line, Waiter)]) -> bool {
        self.parts.mode == Mode::Required && self.crowd >= CROWD && !waiting.is_empty()
    }

    /// What was asked for while the channel was being closed.
    fn drain(&mut self, orders: &mut mpsc::Receiver<Order>, waiting: &mut Vec<(Line, Waiter)>) {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Write(line, waiter) => waiting.push((line, waiter)),
                Order::Tick => {}
                Order::Outcomes => self.parts.outcomes.heard(),
                Order::Sign(_, done) | Order::Reopen(done) | Order::Close(done) => {
                    answer(done, Err(AuditError::Closed))
                }
            }
            if waiting.len() >= BATCH {
                self.write(waiting);
            }
        }
        self.write(waiting);
    }

    /// Writes the batch, all of it or nothing, then tells who waits.
    fn write(&mut self, waiting: &mut Vec<(Line, Waiter)>) {
        let Some((first, _)) = waiting.first() else { return };
        let (time, missing) = (first.time, self.parts.gaps.tell());
        self.crowd = waiting.len();
        self.latest = waiting.last().map(|(line, _)| line.time);
        let outcome = self.append(|page| {
            put_gap(page, time, missing)?;
            waiting.iter().try_for_each(|(line, _)| page.record(&line.json))?;
            page.checkpoint_if_due()
        });
        if outcome.is_err() {
            self.parts.gaps.tell_again(missing);
            self.parts.gaps.add(u64::try_from(waiting.len()).unwrap_or(u64::MAX));
        }
        for waiter in waiting.drain(..).filter_map(|(_, waiter)| waiter) {
            answer(waiter, outcome.clone());
        }
    }

    /// Writes the outcomes that wait, after decisions and by themselves: whatever becomes of them changes nothing for
    /// those. Nobody waits for them, so they are not synced.
    fn write_outcomes(&mut self) {
        let waiting = self.parts.outcomes.take();
        let Some(last) = waiting.last() else { return };
        self.latest = Some(last.time);
        let written = self
            .append_as(Mode::BestEffort, |page| waiting.iter().try_for_each(|line| page.record(&line.json)));
        self.parts.outcomes.count(waiting.len(), written.is_ok());
    }

    /// Appends what is put down, after the header if one is due, and has it on the disk if the mode says so.
    fn append(
        &mut self,
        put: impl FnOnce(&mut Page<'_>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        self.append_as(self.parts.mode, put)
    }

    /// The same in the manner of `mode`. The chain goes on only with what is in the file; without one it goes on in any case, since
    /// lines that no sink has room for stand in the sinks' gaps.
    fn append_as(
        &mut self,
        mode: Mode,
        put: impl FnOnce(&mut Page<'_>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let parts = &mut self.parts;
        let sheet = std::mem::take(&mut self.sheet);
        let mut page = Page::new(&self.ledger, &parts.checkpoints, (parts.clock)(), sheet);
        if let Some(begin) = self.due {
            let tail = parts.file.as_mut().map(|(journal, _)| journal.tail()).transpose()?;
            // What went to sinks alone cannot be read again.
            page.begin(begin, &tail.unwrap_or_else(Tail::unseen))?;
        }
        put(&mut page)?;
        if page.lines.is_empty() {
            return Ok(());
        }
        let mut commits = 0;
        if let Some((journal, _)) = &mut parts.file {
            if let Err(error) = journal.append(&page.lines, mode == Mode::Required) {
                if journal.is_torn() {
                    self.due = Some(self.due.unwrap_or(Begin::Torn));
                }
                return Err(error);
            }
            commits = u64::from(mode == Mode::Required);
        }
        (self.ledger, self.due) = (page.ledger, None);
        if let Ok(mut progress) = parts.progress.lock() {
            progress.written = self.ledger.last_seq();
            progress.commits = progress.commits.saturating_add(commits);
            progress.checkpoint = self.ledger.checkpoint().cloned();
        }
        let mut lines = page.lines;
        // What the file did not take is not in the chain, and goes nowhere else.
        let mut kept = parts.file.is_some();
        if !parts.sinks.is_empty() {
            kept |= parts.sinks.hand_out(&self.ledger.page(lines));
        } else if lines.capacity() <= SHEET {
            lines.clear();
            self.sheet = lines;
        }
        if kept { Ok(()) } else { Err(AuditError::QueueFull) }
    }

    /// The key that was used until now sums up what was written under it; what the file does not take now, the next key does.
    fn sign_with(&mut self, key: SigningKey) {
        drop(self.append(|page| page.checkpoint_if_any()));
        self.parts.checkpoints.key = Some(key);
    }

    fn reopen(&mut self) -> Result<(), AuditError> {
        let next = self.next_file();
        if let Ok(Some((_, _, closes))) = &next {
            // What the old file does not take, the new one's header tells. What is left unsynced there was best effort.
            drop(self.append(|page| page.checkpoint(Some(*closes))));
            drop(self.sync());
        }
        // A copy that was moved away with the file ends as it does, and the new one begins with the header.
        self.parts.sinks.reopen();
        let Some((journal, path, _)) = next? else { return Ok(()) };
        self.parts.file = Some((journal, path));
        // A header that is due for the old file is so no more.
        self.due = Some(if self.ledger.last_seq() == 0 { Begin::Run } else { Begin::File });
        drop(self.append(|_| Ok(())));
        Ok(())
    }

    /// The file to go on with, if the one in use was moved away, and what that closes.
    fn next_file(&self) -> Result<Option<(Journal, PathBuf, Closes)>, AuditError> {
        let Some((journal, path)) = &self.parts.file else { return Ok(None) };
        if journal.is_at(path) {
            return Ok(None);
        }
        let mut journal = Journal::open(path)?;
        if self.parts.mode == Mode::Required && !journal.is_regular() {
            return Err(AuditError::NotAFile);
        }
        // A file that has a chain is gone on with as by another process.
        let tail = journal.tail()?;
        let closes = if tail.last.is_some() || tail.unseen { Closes::Run } else { Closes::File };
        Ok(Some((journal, path.clone(), closes)))
    }

    fn finish(&mut self) -> Result<(), AuditError> {
        let missing = self.parts.gaps.tell();
        let latest = self.latest;
        let closed = self.append(|page| {
            latest.map_or(Ok(()), |time| put_gap(page, time, missing))?;
            page.checkpoint(Some(Closes::Run))
        });
        // A sink without room keeps nobody from ending well: its gaps say so.
        if closed != Err(AuditError::QueueFull) {
            closed?;
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), AuditError> {
        self.parts.file.as_ref().map_or(Ok(()), |(journal, _)| journal.sync())
    }
}

fn put_gap(page: &mut Page<'_>, time: Timestamp, missing: u64) -> Result<(), AuditError> {
    if missing == 0 {
        return Ok(());
    }
    let gap = Gap { v: VERSION, time, gap: missing };
    page.record(&serde_json::to_vec(&gap).or(Err(AuditError::Format))?)
}

/// A caller that gave up has answered without the record; that the record says otherwise errs on the safe side.
fn answer(waiter: oneshot::Sender<Result<(), AuditError>>, outcome: Result<(), AuditError>) {
    drop(waiter.send(outcome));
}

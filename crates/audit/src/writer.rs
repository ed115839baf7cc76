//! The thread that owns the journal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::admin::AdminRecord;
use crate::error::AuditError;
use crate::journal::Journal;
use crate::record::{Record, VERSION, milliseconds};
use crate::recorder::Mode;

/// How many records are written, and synced, at once. A record is about 1 KB, and at most some 20.
const BATCH: usize = 256;

/// What most records take, in bytes.
const USUAL_LINE: usize = 1024;

/// How long best-effort records are gathered before they are written. A thread that is woken for each of them costs
/// more than writing them does.
const GATHER: Duration = Duration::from_millis(5);

/// Who waits for the outcome of a record, if anyone.
pub(crate) type Waiter = Option<oneshot::Sender<Result<(), AuditError>>>;

/// A record as it is written.
#[derive(Debug)]
pub(crate) struct Line {
    time: Timestamp,
    /// One JSON object and a line feed.
    json: Vec<u8>,
}

impl Line {
    pub(crate) fn of(record: &Record<'_>) -> Result<Self, AuditError> {
        Self::at(record.time, record)
    }

    pub(crate) fn of_order(record: &AdminRecord<'_>) -> Result<Self, AuditError> {
        Self::at(record.time, record)
    }

    fn at(time: Timestamp, record: &impl Serialize) -> Result<Self, AuditError> {
        let mut json = Vec::with_capacity(USUAL_LINE);
        line(&mut json, record)?;
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

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) journal: Journal,
    pub(crate) path: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) gaps: Arc<Gaps>,
    /// The latest record's time: what a gap at the very end is told under.
    pub(crate) latest: Option<Timestamp>,
}

impl Writer {
    /// Follows orders until told to close, or until nobody is left to give any.
    pub(crate) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while let Some(first) = orders.blocking_recv() {
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Write(line, waiter) => waiting.push((line, waiter)),
                    Order::Reopen(done) => {
                        self.write(&mut waiting);
                        answer(done, self.reopen());
                    }
                    Order::Close(done) => {
                        orders.close();
                        self.drain(&mut orders, &mut waiting);
                        answer(done, self.finish());
                        return;
                    }
                }
                if waiting.len() < BATCH {
                    next = orders.try_recv().ok();
                }
            }
            let all = waiting.len() < BATCH;
            self.write(&mut waiting);
            if all && self.mode == Mode::BestEffort {
                std::thread::park_timeout(GATHER);
            }
        }
        // Nobody is left to be told.
        drop(self.finish());
    }

    /// What was asked for while the channel was being closed.
    fn drain(&mut self, orders: &mut mpsc::Receiver<Order>, waiting: &mut Vec<(Line, Waiter)>) {
        while let Some(order) = orders.blocking_recv() {
            match order {
                Order::Write(line, waiter) => waiting.push((line, waiter)),
                Order::Reopen(done) | Order::Close(done) => answer(done, Err(AuditError::Closed)),
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
        let missing = self.gaps.tell();
        let mut lines = Vec::new();
        let told = if missing == 0 { Ok(()) } else { line(&mut lines, &gap(first.time, missing)) };
        for (line, _) in &*waiting {
            self.latest = Some(line.time);
            lines.extend_from_slice(&line.json);
        }
        let outcome = told.and_then(|()| self.journal.append(&lines, self.mode == Mode::Required));
        if outcome.is_err() {
            self.gaps.tell_again(missing);
            self.gaps.add(u64::try_from(waiting.len()).unwrap_or(u64::MAX));
        }
        for waiter in waiting.drain(..).filter_map(|(_, waiter)| waiter) {
            answer(waiter, outcome.clone());
        }
    }

    fn reopen(&mut self) -> Result<(), AuditError> {
        if self.journal.is_at(&self.path) {
            return Ok(());
        }
        let journal = Journal::open(&self.path)?;
        if self.mode == Mode::Required && !journal.is_regular() {
            return Err(AuditError::NotAFile);
        }
        // What is left unsynced in the old file was best effort.
        drop(self.journal.sync());
        self.journal = journal;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), AuditError> {
        if let Some(time) = self.latest {
            let missing = self.gaps.tell();
            if missing > 0 {
                let mut lines = Vec::new();
                line(&mut lines, &gap(time, missing))?;
                self.journal.append(&lines, false)?;
            }
        }
        self.journal.sync()
    }
}

const fn gap(time: Timestamp, gap: u64) -> Gap {
    Gap { v: VERSION, time, gap }
}

fn line(lines: &mut Vec<u8>, value: &impl Serialize) -> Result<(), AuditError> {
    serde_json::to_writer(&mut *lines, value).or(Err(AuditError::Format))?;
    lines.push(b'\n');
    Ok(())
}

/// A caller that gave up has answered without the record; that the record says otherwise errs on the safe side.
fn answer(waiter: oneshot::Sender<Result<(), AuditError>>, outcome: Result<(), AuditError>) {
    drop(waiter.send(outcome));
}

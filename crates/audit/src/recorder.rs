//! Where decisions hand in their records.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::admin::AdminRecord;
use crate::error::AuditError;
use crate::journal::Journal;
use crate::key::SigningKey;
use crate::ledger::Checkpoints;
use crate::outcome::{Outcome, OutcomeCounts, Outcomes, Told};
use crate::record::Record;
use crate::sink::{Sink, SinkStatus, Sinks};
use crate::writer::{Gaps, Line, Order, Progress, Writer, WriterParts};

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For nothing. A record that cannot be kept is counted, and the file says how many are missing.
    BestEffort,
    /// For its record to be on the disk. Without that there is no permit.
    Required,
}

/// Wall time, handed down: what headers and checkpoints are dated by.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// How lines become evidence.
#[derive(Clone)]
pub struct Sealing {
    /// When the chain is summed up, and who signs that.
    pub checkpoints: Checkpoints,
    /// Dates them.
    pub clock: Clock,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").field("checkpoints", &self.checkpoints).finish_non_exhaustive()
    }
}

/// Evidence that a decision was recorded; or, in [`Mode::BestEffort`], counted as missing.
#[derive(Debug, PartialEq, Eq)]
pub struct Recorded(());

impl Recorded {
    /// There is no recorder: the operator keeps no records. With one, only [`Recorder::record`] may say so.
    #[must_use]
    pub const fn not_configured() -> Self {
        Self(())
    }
}

/// A key that the thread which signs was handed, and when it has taken it.
#[derive(Debug)]
pub struct KeyTaken(oneshot::Receiver<Result<(), AuditError>>);

impl KeyTaken {
    /// Waits for that. The wait may be given up and begun again, until there is an answer.
    ///
    /// # Errors
    /// [`AuditError::Closed`]: it was not taken.
    pub async fn wait(&mut self) -> Result<(), AuditError> {
        (&mut self.0).await.unwrap_or(Err(AuditError::Closed))
    }
}

/// Hands records to the thread that writes them. No method blocks the caller's thread. Clones share the thread,
/// which ends when it is told to, or with the last of them.
#[derive(Debug, Clone)]
pub struct Recorder {
    mode: Mode,
    orders: mpsc::Sender<Order>,
    gaps: Arc<Gaps>,
    outcomes: Arc<Outcomes>,
    progress: Arc<Mutex<Progress>>,
    sinks: Arc<Sinks>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Recorder {
    /// Opens `path` for appending, or creates it with mode 0600, and starts the thread that writes. At most `queue`
    /// records wait for it. In [`Mode::BestEffort`] the file may also be a device, or a pipe that has its reader. The chain
    /// goes on from the last line of a file that has one.
    ///
    /// # Errors
    /// The file cannot be opened or read, another process has it, it cannot hold required records, there are no random bytes,
    /// or no thread starts.
    pub fn open(path: &Path, mode: Mode, queue: NonZeroUsize, sealing: Sealing) -> Result<Self, AuditError> {
        Self::open_with(Some(path), mode, queue, sealing, Vec::new())
    }

    /// The same, with sinks that each line of the chain goes on to; without a file, to them alone. Nothing waits for a sink.
    ///
    /// # Errors
    /// Those of [`Self::open`]. Required records need the file.
    pub fn open_with(
        path: Option<&Path>,
        mode: Mode,
        queue: NonZeroUsize,
        sealing: Sealing,
        sinks: Vec<Sink>,
    ) -> Result<Self, AuditError> {
        let journal = path.map(Journal::open).transpose()?;
        if mode == Mode::Required && !journal.as_ref().is_some_and(Journal::is_regular) {
            return Err(AuditError::NotAFile);
        }
        let file = journal.zip(path.map(Path::to_owned));
        Self::over(file, mode, queue, sealing, sinks)
    }

    fn over(
        file: Option<(Journal, PathBuf)>,
        mode: Mode,
        queue: NonZeroUsize,
        Sealing { checkpoints, clock }: Sealing,
        sinks: Vec<Sink>,
    ) -> Result<Self, AuditError> {
        // One place more than decisions have, in which the writer is told of outcomes.
        let (orders, ordered) = mpsc::channel(queue.get().saturating_add(1));
        let (gaps, outcomes) = (Arc::new(Gaps::default()), Arc::new(Outcomes::default()));
        let progress = Arc::default();
        let sinks = Arc::new(Sinks::start(sinks, &clock)?);
        let parts = WriterParts {
            file,
            sinks: Arc::clone(&sinks),
            mode,
            gaps: Arc::clone(&gaps),
            outcomes: Arc::clone(&outcomes),
            progress: Arc::clone(&progress),
            checkpoints,
            clock,
        };
        let writer = Writer::begin(parts)?;
        let thread = std::thread::Builder::new()
            .name("exequatur-records".to_owned())
            .spawn(move || writer.run(ordered))
            .map_err(|error| AuditError::Thread(error.kind()))?;
        Ok(Self { mode, orders, gaps, outcomes, progress, sinks, thread: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Hands in the record of a decision that is about to be answered.
    ///
    /// In [`Mode::Required`] it returns once the record is on the disk; bound the wait by the request's deadline. A
    /// caller that gives up must answer as for an error; the record may then be kept nevertheless.
    ///
    /// # Errors
    /// In [`Mode::Required`] only: the record is not known to be kept, so nothing may be permitted.
    pub async fn record(&self, record: &Record<'_>) -> Result<Recorded, AuditError> {
        let line = Line::of(record);
        match self.mode {
            Mode::BestEffort => {
                let handed_in = line.is_ok_and(|line| self.orders.try_send(Order::Write(line, None)).is_ok());
                if !handed_in {
                    self.gaps.add(1);
                }
                Ok(Recorded(()))
            }
            Mode::Required => self.write(line).await,
        }
    }

    /// Hands in the record of an order, and returns once it is written; in [`Mode::Required`], on the disk.
    ///
    /// # Errors
    /// In either mode: the record is not known to be kept. It counts as missing.
    pub async fn record_order(&self, record: &AdminRecord<'_>) -> Result<Recorded, AuditError> {
        self.write(Line::of_order(record)).await
    }

    /// Hands in what came of a decision, in either mode as best as can be: nobody waits for it, and it takes no place from
    /// a decision. What cannot be kept is counted ([`Self::outcomes`]), and is no gap.
    pub fn record_outcome(&self, outcome: &Outcome<'_>) {
        let Ok(line) = Line::of_outcome(outcome) else { return self.outcomes.count(1, false) };
        self.outcomes.add(line, || match self.orders.try_send(Order::Outcomes) {
            Ok(()) => Told::Yes,
            Err(mpsc::error::TrySendError::Full(_)) => Told::Busy,
            Err(mpsc::error::TrySendError::Closed(_)) => Told::Gone,
        });
    }

    /// How many outcomes were kept, and how many were not.
    #[must_use]
    pub fn outcomes(&self) -> OutcomeCounts {
        self.outcomes.counts()
    }

    async fn write(&self, line: Result<Line, AuditError>) -> Result<Recorded, AuditError> {
        let (kept, outcome) = oneshot::channel();
        // A full queue is an answer, not a reason to wait: what waits already fills the deadline.
        let handed_in = line.and_then(|line| {
            self.orders.try_send(Order::Write(line, Some(kept))).map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => AuditError::QueueFull,
                mpsc::error::TrySendError::Closed(_) => AuditError::Closed,
            })
        });
        if let Err(error) = handed_in {
            self.gaps.add(1);
            return Err(error);
        }
        outcome.await.unwrap_or(Err(AuditError::Closed)).map(|()| Recorded(()))
    }

    /// Counts a decision that is left out on purpose, as missing. Never one that permits.
    pub fn leave_out(&self) {
        self.gaps.add(1);
    }

    /// How many decisions have no record, since the start.
    #[must_use]
    pub fn gaps(&self) -> u64 {
        self.gaps.total()
    }

    /// How many records wait for the file, and how many may.
    #[must_use]
    pub fn queue(&self) -> (usize, usize) {
        let capacity = self.orders.max_capacity();
        (capacity.saturating_sub(self.orders.capacity()), capacity)
    }

    /// How far the file has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.lock().map(|progress| progress.clone()).unwrap_or_default()
    }

    /// Lets a checkpoint be written if the last one is long ago. Without this, that waits for the next record. To be
    /// called about once a second.
    pub fn tick(&self) {
        // A queue that is full has records, with which the checkpoint comes.
        drop(self.orders.try_send(Order::Tick));
    }

    /// Has checkpoints signed with this key, once what was handed in before is summed up with the one until now, if the file
    /// takes that. It takes the place of a record among those that wait, until it is taken.
    ///
    /// # Errors
    /// [`AuditError::QueueFull`], [`AuditError::Closed`]
    pub fn sign_with(&self, key: SigningKey) -> Result<KeyTaken, AuditError> {
        let (done, taken) = oneshot::channel();
        match self.orders.try_send(Order::Sign(key, done)) {
            Ok(()) => Ok(KeyTaken(taken)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(AuditError::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(AuditError::Closed),
        }
    }

    /// Goes on with a new file under the same path, if the old one was moved away. Records handed in before are in
    /// the old file.
    ///
    /// # Errors
    /// The new file cannot be used. The old one still is.
    pub async fn reopen(&self) -> Result<(), AuditError> {
        self.order(Order::Reopen).await
    }

    /// What became of the lines of each sink.
    #[must_use]
    pub fn sinks(&self) -> Vec<SinkStatus> {
        self.sinks.status()
    }

    /// Writes and syncs whatever was handed in before, and ends the thread. Later records are refused, or counted
    /// as missing. A file that hangs makes this hang: bound the wait. Sinks have 3 s to take what waits for them; what is left
    /// is counted as missing there.
    ///
    /// # Errors
    /// Not everything is known to be on the disk, or the recorder is closed already.
    pub async fn close(&self) -> Result<(), AuditError> {
        let outcome = self.order(Order::Close).await;
        self.sinks.close().await;
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        // The answer was the thread's last act, so that this does not wait.
        if let Some(Err(_)) = thread.map(JoinHandle::join) { Err(AuditError::Closed) } else { outcome }
    }

    async fn order(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<(), AuditError>>) -> Order,
    ) -> Result<(), AuditError> {
        let (done, outcome) = oneshot::channel();
        self.orders.send(order(done)).await.or(Err(AuditError::Closed))?;
        outcome.await.unwrap_or(Err(AuditError::Closed))
    }
}

#[cfg(test)]
mod tests;

//! Where the lines of the chain go beside the file: each place with a queue and a thread of its own, which nobody waits for.
//!
//! What a sink was told, together with the gaps that it was told of, are all lines of the chain: none is missing without being
//! counted.

mod file;
mod missing;
mod queue;
mod syslog;
mod worker;

use std::fmt;
use std::io::ErrorKind;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::AuditError;
use crate::recorder::Clock;
pub use file::LineFile;
pub(crate) use missing::Missing;
pub(crate) use queue::Page;
use queue::Queue;
pub use syslog::{Facility, Syslog, SyslogAddress};
use worker::Worker;

/// How long all sinks together may take to end, once the file is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// A place that takes lines. It is used by one thread only, which it may block as long as it bounds that by itself.
pub trait Outlet: Send {
    /// Hands over lines of a run in their order: each one JSON object of the chain, or of a gap, without its line break.
    fn deliver(&mut self, run: &str, lines: &[&[u8]]) -> Delivery;

    /// Begins anew with what may have been moved away.
    fn reopen(&mut self) {}
}

/// What became of lines: as many as were taken or refused, from the first one on, are settled; the others are handed over again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Taken.
    pub taken: usize,
    /// Not taken, and not to be handed over again.
    pub refused: usize,
    /// Why there are others, or why some were refused.
    pub error: Option<OutletError>,
}

impl Delivery {
    /// All of them.
    #[must_use]
    pub const fn all(lines: &[&[u8]]) -> Self {
        Self { taken: lines.len(), refused: 0, error: None }
    }

    /// The first `taken` of them.
    #[must_use]
    pub const fn cut(taken: usize, error: OutletError) -> Self {
        Self { taken, refused: 0, error: Some(error) }
    }
}

/// Why a sink does not take a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutletError {
    /// The system says so.
    #[error("{0}")]
    Io(ErrorKind),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// Its answer says so.
    #[error("answered {0}")]
    Answer(&'static str),
    /// It is longer than a message may be.
    #[error("longer than a message may be")]
    TooLong,
    /// The line has no form there.
    #[error("a line has no such form")]
    Format,
}

impl From<std::io::Error> for OutletError {
    fn from(error: std::io::Error) -> Self {
        let kind = error.kind();
        if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            Self::Timeout
        } else {
            Self::Io(kind)
        }
    }
}

/// How long lines are handed over again before they are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often, after the first time.
    pub retries: u32,
    /// Before the first of these.
    pub first: Duration,
    /// The pause doubles up to this.
    pub most: Duration,
}

impl Default for Patience {
    /// Some 25 s.
    fn default() -> Self {
        Self { retries: 9, first: Duration::from_millis(100), most: Duration::from_secs(5) }
    }
}

/// A place for lines, under a name.
pub struct Sink {
    /// As it is configured.
    pub name: String,
    /// The place.
    pub outlet: Box<dyn Outlet>,
    /// How many lines may wait for it.
    pub queue: NonZeroUsize,
    /// How often it is tried.
    pub patience: Patience,
}

impl Sink {
    /// The usual number of lines that may wait. A line is about 1 KB, and at most some 20.
    pub const QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What became of a sink's lines, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Lines of the chain that it took.
    pub taken: u64,
    /// Lines of the chain that it was not given, or did not take.
    pub gaps: u64,
    /// Lines that wait for it.
    pub waiting: u64,
    /// Why it took nothing, or not all, when it was tried last.
    pub error: Option<OutletError>,
}

/// What is counted of a sink.
#[derive(Debug, Default)]
struct Counts {
    taken: AtomicU64,
    gaps: AtomicU64,
    error: Mutex<Option<OutletError>>,
}

impl Counts {
    fn gap(&self, lines: u64) {
        self.gaps.fetch_add(lines, Ordering::Relaxed);
    }

    fn took(&self, lines: u64) {
        self.taken.fetch_add(lines, Ordering::Relaxed);
    }

    fn tried(&self, error: Option<OutletError>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}

#[derive(Debug)]
struct Running {
    name: Arc<str>,
    queue: Arc<Queue>,
    counts: Arc<Counts>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// All sinks, as their threads run.
#[derive(Debug, Default)]
pub(crate) struct Sinks(Vec<Running>);

impl Sinks {
    /// Starts a thread for each.
    ///
    /// # Errors
    /// [`AuditError::Thread`]
    pub(crate) fn start(sinks: Vec<Sink>, clock: &Clock) -> Result<Self, AuditError> {
        sinks.into_iter().map(|sink| Running::start(sink, clock)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives lines to each, or counts them where there is no room. Never waits. Says whether there was room for them anywhere.
    pub(crate) fn hand_out(&self, page: &Page) -> bool {
        let mut taken = false;
        for sink in &self.0 {
            let missing = sink.queue.put(page.clone());
            sink.counts.gap(missing);
            taken |= missing == 0;
        }
        taken
    }

    pub(crate) fn reopen(&self) {
        self.0.iter().for_each(|sink| sink.queue.reopen());
    }

    /// Says that nothing more comes.
    pub(crate) fn end(&self) {
        self.0.iter().for_each(|sink| sink.queue.end());
    }

    /// Waits for what waits, as long as [`CLOSE_WITHIN`]. What is left then is counted as missing.
    pub(crate) async fn close(&self) {
        if self.is_empty() {
            return;
        }
        self.end();
        // Those that another caller waits for are left to it.
        let (sinks, ended): (Vec<_>, Vec<_>) = self.0.iter().filter_map(Running::ended).unzip();
        let all = async {
            for ended in ended {
                drop(ended.await);
            }
        };
        drop(tokio::time::timeout(CLOSE_WITHIN, all).await);
        // A thread that panicked has ended too, and leaves what waited for it.
        sinks.iter().for_each(|sink| sink.counts.gap(sink.queue.give_up()));
    }

    pub(crate) fn status(&self) -> Vec<SinkStatus> {
        self.0
            .iter()
            .map(|Running { name, queue, counts, ended: _ }| SinkStatus {
                name: Arc::clone(name),
                taken: counts.taken.load(Ordering::Relaxed),
                gaps: counts.gaps.load(Ordering::Relaxed),
                waiting: queue.waiting(),
                error: *counts.error.lock().unwrap_or_else(PoisonError::into_inner),
            })
            .collect()
    }
}

impl Running {
    /// What ends with its thread, once.
    fn ended(&self) -> Option<(&Self, oneshot::Receiver<()>)> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.map(|ended| (self, ended))
    }

    fn start(sink: Sink, clock: &Clock) -> Result<Self, AuditError> {
        let Sink { name, outlet, queue, patience } = sink;
        let (name, queue) = (Arc::<str>::from(name), Arc::new(Queue::new(queue)));
        let counts = Arc::new(Counts::default());
        let worker = Worker::new(outlet, &queue, &counts, patience, Arc::clone(clock));
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("exequatur-sink".to_owned())
            .spawn(move || {
                worker.run();
                drop(end);
            })
            .map_err(|error| AuditError::Thread(error.kind()))?;
        Ok(Self { name, queue, counts, ended: Mutex::new(Some(ended)) })
    }
}

#[cfg(test)]
mod tests;

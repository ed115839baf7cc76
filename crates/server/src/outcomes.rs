//! What Envoy reports of requests that are over: read within bounds, recorded as best as can be, counted.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exequatur_audit::{OutcomeCounts, Recorder};
use exequatur_proto::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use exequatur_proto::envoy::service::accesslog::v3::stream_access_logs_message::LogEntries;
use prost::Message as _;
use tonic::Status;
use tonic::codegen::Bytes;

use crate::clock::{Clock, monotonic};
use crate::wire::access_log::{Passed, outcome};

/// Most entries of one message that are looked at. Envoy sends some 20 with its default of 16 KiB a message.
const MOST_ENTRIES: usize = 1024;
/// How many entries one worker looks at in a second, and at once: more than it decides, and a tenth of its time or so.
const A_SECOND: u32 = 20_000;
/// Bytes of a message that cost as much as an entry: what is in them has to be found.
const AN_ENTRY: usize = 1024;

/// Takes what Envoy reports to one worker. Clones are of the same worker.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes {
    shared: Arc<Shared>,
    allowance: Arc<Mutex<Allowance>>,
}

struct Shared {
    recorder: Option<Recorder>,
    clock: Clock,
    counts: Counts,
    streams: AtomicUsize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Entries that left no line, since the start.
#[derive(Debug, Default)]
struct Counts {
    unreadable: AtomicU64,
    not_final: AtomicU64,
    no_decision: AtomicU64,
    not_ours: AtomicU64,
    denied: AtomicU64,
    not_http: AtomicU64,
    too_many: AtomicU64,
    no_records: AtomicU64,
}

/// One more stream of reports, until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(Arc<Shared>);

impl Outcomes {
    pub(crate) fn new(recorder: Option<Recorder>, clock: Clock) -> Self {
        let shared = Shared { recorder, clock, counts: Counts::default(), streams: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared), allowance: Arc::new(Mutex::new(Allowance::at(monotonic()))) }
    }

    /// The same, for another worker.
    pub(crate) fn of_worker(&self) -> Self {
        let allowance = Arc::new(Mutex::new(Allowance::at(monotonic())));
        Self { shared: Arc::clone(&self.shared), allowance }
    }

    pub(crate) fn open(&self) -> OpenStream {
        self.shared.streams.fetch_add(1, Ordering::Relaxed);
        OpenStream(Arc::clone(&self.shared))
    }

    /// Records what a message reports. Never waits. Gives whether all of it was looked at: if not, more should not be read at once.
    ///
    /// # Errors
    /// The message is none of the protocol.
    pub(crate) fn take(&self, message: Bytes) -> Result<bool, Status> {
        let counts = &self.shared.counts;
        // A message with nothing in it costs something too.
        if !self.may_look_at(message.len().div_ceil(AN_ENTRY).max(1)) {
            // How many entries are in it is not known: it counts as one.
            count(&counts.too_many, 1);
            return Ok(false);
        }
        let Ok(StreamAccessLogsMessage { log_entries }) = StreamAccessLogsMessage::decode(message) else {
            count(&counts.unreadable, 1);
            return Err(Status::invalid_argument("no message of an access log"));
        };
        match log_entries {
            Some(LogEntries::HttpLogs(entries)) => Ok(self.record(entries.log_entry)),
            Some(LogEntries::TcpLogs(entries)) => {
                count(&counts.not_http, entries.log_entry.len());
                Ok(true)
            }
            // The first message may hold nothing but the name of the log.
            None => Ok(true),
        }
    }

    fn record(&self, entries: Vec<Bytes>) -> bool {
        let Shared { recorder, clock, counts, streams: _ } = &*self.shared;
        let Some(recorder) = recorder else {
            count(&counts.no_records, entries.len());
            return true;
        };
        let now = clock();
        let mut left = entries.len();
        for entry in entries.into_iter().take(MOST_ENTRIES) {
            if !self.may_look_at(1) {
                break;
            }
            left = left.saturating_sub(1);
            match outcome(entry, now) {
                Ok(outcome) => recorder.record_outcome(&outcome),
                Err(passed) => count(counts.of(passed), 1),
            }
        }
        count(&counts.too_many, left);
        left == 0
    }

    fn may_look_at(&self, entries: usize) -> bool {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        allowance.spend(u32::try_from(entries).unwrap_or(u32::MAX), monotonic())
    }

    /// How many entries there were, by what became of them.
    pub(crate) fn results(&self) -> [(&'static str, u64); 11] {
        let Counts { unreadable, not_final, no_decision, not_ours, denied, not_http, too_many, no_records } =
            &self.shared.counts;
        let recorded = self.shared.recorder.as_ref().map(Recorder::outcomes).unwrap_or_default();
        let OutcomeCounts { kept, too_many: queue_full, unwritten } = recorded;
        let so_far = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("kept", kept),
            ("queue_full", queue_full),
            ("unwritten", unwritten),
            ("unreadable", so_far(unreadable)),
            ("not_final", so_far(not_final)),
            ("no_decision", so_far(no_decision)),
            ("not_ours", so_far(not_ours)),
            ("denied", so_far(denied)),
            ("not_http", so_far(not_http)),
            ("too_many", so_far(too_many)),
            ("no_records", so_far(no_records)),
        ]
    }

    /// How many streams are open.
    pub(crate) fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::Relaxed)
    }
}

impl Counts {
    fn of(&self, passed: Passed) -> &AtomicU64 {
        match passed {
            Passed::Unreadable => &self.unreadable,
            Passed::NotFinal => &self.not_final,
            Passed::NoDecision => &self.no_decision,
            Passed::NotOurs => &self.not_ours,
            Passed::Denied => &self.denied,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(counter: &AtomicU64, entries: usize) {
    counter.fetch_add(u64::try_from(entries).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What may be looked at still. It fills up evenly, to what a second brings.
#[derive(Debug)]
struct Allowance {
    left: u32,
    filled: Instant,
}

impl Allowance {
    const fn at(now: Instant) -> Self {
        Self { left: A_SECOND, filled: now }
    }

    /// Whether there is as much, which is gone then.
    fn spend(&mut self, entries: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_nanos();
        let one = Duration::from_secs(1) / A_SECOND;
        // Whole entries only; the rest of the time counts for the next one.
        let earned = u32::try_from(passed / one.as_nanos()).ok().filter(|earned| *earned < A_SECOND);
        match earned.and_then(|earned| Some((earned, self.filled.checked_add(one.checked_mul(earned)?)?))) {
            Some((earned, filled)) => {
                self.left = self.left.saturating_add(earned).min(A_SECOND);
                self.filled = filled;
            }
            None => *self = Self::at(now),
        }
        let Some(left) = self.left.checked_sub(entries) else { return false };
        self.left = left;
        true
    }
}

#[cfg(test)]
mod tests;

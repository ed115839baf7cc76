//! What became of spans.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of spans since the start: each that was to be made is in one of them, or under way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    exported: AtomicU64,
    dropped: [AtomicU64; 4],
}

/// Why a span did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// There were enough in that second.
    Rate,
    /// The queue was full.
    Queue,
    /// The collector did not answer, or not well.
    Failed,
    /// The collector took others of the same call.
    Rejected,
}

impl Dropped {
    const ALL: [Self; 4] = [Self::Rate, Self::Queue, Self::Failed, Self::Rejected];

    /// The metric's label.
    fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Queue => "queue",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
        }
    }
}

impl Tally {
    pub(super) fn exported(&self, count: u64) {
        self.exported.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self, cause: Dropped, count: u64) {
        for (counter, known) in self.dropped.iter().zip(Dropped::ALL) {
            if known == cause {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    /// Spans that a collector took.
    pub(crate) fn total_exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Spans that none took, by cause.
    pub(crate) fn each_dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.dropped
            .iter()
            .zip(Dropped::ALL)
            .map(|(count, cause)| (cause.word(), count.load(Ordering::Relaxed)))
    }
}

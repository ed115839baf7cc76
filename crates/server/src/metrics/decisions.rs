//! Decisions: how many of which kind, and how long they took. What each of them needs is looked up once.

use std::time::Duration;

use exequatur_decide::Reason;
use metrics::{Counter, Histogram};

use crate::tenant_tally::Verdict;
use crate::wire::shape::shape;

const DECISIONS: &str = "exequatur_decisions_total";
/// Its buckets are [`BUCKETS`].
pub(super) const DURATION: &str = "exequatur_decision_duration_seconds";

/// Upper bounds of the duration's buckets, in seconds; the last before infinity is Envoy's default patience.
pub(super) const BUCKETS: [f64; 11] =
    [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2];

/// What is told of each decision.
#[derive(Debug)]
pub(crate) struct Decisions {
    permits: Counter,
    permit: Histogram,
    deny: Histogram,
    fault: Histogram,
}

impl Decisions {
    /// Of the recorder that is installed; to be called after that.
    pub(crate) fn new() -> Self {
        let of = |verdict: Verdict| metrics::histogram!(DURATION, "verdict" => verdict.word());
        Self {
            permits: metrics::counter!(DECISIONS, "verdict" => "permit", "reason" => "permitted"),
            permit: of(Verdict::Permit),
            deny: of(Verdict::Deny),
            fault: of(Verdict::Fault),
        }
    }

    /// A permit that took so long.
    pub(crate) fn permitted(&self, took: Duration) {
        self.permits.increment(1);
        self.permit.record(took);
    }

    /// Another decision that took so long.
    pub(crate) fn refused(&self, verdict: Verdict, reason: &'static str, took: Duration) {
        metrics::counter!(DECISIONS, "verdict" => verdict.word(), "reason" => reason).increment(1);
        match verdict {
            Verdict::Permit => &self.permit,
            Verdict::Deny => &self.deny,
            Verdict::Fault => &self.fault,
        }
        .record(took);
    }
}

/// A request that was answered without being looked at: counted, and no part of how long decisions take.
pub(crate) fn turned_away(reason: &'static str) {
    metrics::counter!(DECISIONS, "verdict" => "fault", "reason" => reason).increment(1);
}

/// What is 0 from the start, so that its first event is seen as an increase.
pub(super) fn start() {
    metrics::counter!(DECISIONS, "verdict" => "permit", "reason" => "permitted").absolute(0);
    for reason in Reason::ALL.iter().filter(|reason| shape(**reason).status == 503) {
        metrics::counter!(DECISIONS, "verdict" => "fault", "reason" => reason.code()).absolute(0);
    }
}

pub(super) fn describe() {
    metrics::describe_counter!(DECISIONS, "Decisions by verdict (permit, deny, fault) and reason.");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time from a Check's arrival to its decision."
    );
}

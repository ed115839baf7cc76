//! What every decision measures, told to metrics that were looked up once.

use std::time::{Duration, Instant};

use exequatur_decide::Stage;
use metrics::{Counter, Histogram};

/// The name; its buckets are [`BUCKETS`].
pub(super) const DURATION: &str = "exequatur_stage_duration_seconds";
const TOKENS: &str = "exequatur_token_cache_total";

/// Upper bounds in seconds: a stage without a signature takes microseconds, one that asks a store milliseconds.
pub(super) const BUCKETS: [f64; 13] = [
    0.000_005, 0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
    0.2,
];

/// The parts of a decision's time, and whether its token was known.
#[derive(Debug)]
pub(crate) struct Stages {
    queue: Histogram,
    extract: Histogram,
    present: Histogram,
    route: Histogram,
    authenticate: Histogram,
    require: Histogram,
    admit: Histogram,
    authorize: Histogram,
    settle: Histogram,
    record: Histogram,
    known: Counter,
    unknown: Counter,
}

impl Stages {
    /// Of the recorder that is installed; to be called after that.
    pub(crate) fn new() -> Self {
        let of = |stage: &'static str| metrics::histogram!(DURATION, "stage" => stage);
        let tokens = |result: &'static str| metrics::counter!(TOKENS, "result" => result);
        Self {
            queue: of("queue"),
            extract: of("extract"),
            present: of(Stage::Present.name()),
            route: of(Stage::Route.name()),
            authenticate: of(Stage::Authenticate.name()),
            require: of(Stage::Require.name()),
            admit: of(Stage::Admit.name()),
            authorize: of(Stage::Authorize.name()),
            settle: of(Stage::Settle.name()),
            record: of("record"),
            known: tokens("hit"),
            unknown: tokens("miss"),
        }
    }

    /// A decision that arrived, whose turn came, that entered each of `stages`, and was finished.
    pub(crate) fn took(
        &self,
        (arrived, begun, finished): (Instant, Instant, Instant),
        stages: &[(Stage, Instant)],
    ) {
        self.queue.record(begun.duration_since(arrived));
        let entered = stages.first().map_or(finished, |(_, first)| *first);
        self.extract.record(entered.duration_since(begun));
        let ends = stages.iter().skip(1).map(|(_, next)| *next).chain([finished]);
        for ((stage, entered), left) in stages.iter().zip(ends) {
            self.of(*stage).record(left.duration_since(*entered));
        }
    }

    /// Handing in a record; with `mode: required`, until it is on the disk.
    pub(crate) fn recorded(&self, took: Duration) {
        self.record.record(took);
    }

    /// Whether the token was verified before; None if none got as far.
    pub(crate) fn token(&self, known: Option<bool>) {
        match known {
            Some(true) => self.known.increment(1),
            Some(false) => self.unknown.increment(1),
            None => {}
        }
    }

    fn of(&self, stage: Stage) -> &Histogram {
        match stage {
            Stage::Present => &self.present,
            Stage::Route => &self.route,
            Stage::Authenticate => &self.authenticate,
            Stage::Require => &self.require,
            Stage::Admit => &self.admit,
            Stage::Authorize => &self.authorize,
            Stage::Settle => &self.settle,
        }
    }
}

pub(super) fn describe() {
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "Time of a part of a decision: waiting for its turn (queue), reading the message (extract), each stage, and handing in its record (record)."
    );
    metrics::describe_counter!(
        TOKENS,
        "Tokens that got as far as their verification, by whether it was known from before (hit, miss)."
    );
}

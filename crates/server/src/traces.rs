//! Spans of decisions, for an OpenTelemetry collector.
//!
//! A decision knows nothing of them. When it is finished, [`Tracer::tell`] makes a span of what its record is made of too,
//! if its trace is recorded, and leaves it to an [`Exporter`] by a queue that has an end. Nothing of it can wait, or fail a
//! decision: what is too much is counted.

mod export;
mod rate;
mod span;
mod tally;

use std::sync::Arc;

use exequatur_decide::Refusal;
use exequatur_store::ReplicaName;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::mpsc;

pub(crate) use export::Exporter;
pub(crate) use tally::Tally;

use crate::clock::{Clock, monotonic};
use crate::config::Traces;
use crate::otlp::{self, Otlp, OtlpError};
use crate::record::Decided;
use crate::wire::trace_context::{SpanId, TraceId};
use rate::Rate;
use span::{Ended, Place, span};
use tally::Dropped;

/// Spans that wait to be sent; some two kilobytes each.
const QUEUE: usize = 2048;
/// The whole of a share.
const MILLION: u64 = 1_000_000;

/// Makes spans of decisions.
pub(crate) struct Tracer {
    /// Of a million requests that belong to no trace.
    roots: u64,
    rate: Rate,
    queue: mpsc::Sender<Span>,
    tally: Arc<Tally>,
    clock: Clock,
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").field("roots", &self.roots).field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Tracer {
    /// A tracer, and who sends what it makes. Connects to nothing yet.
    ///
    /// # Errors
    /// [`OtlpError`]
    pub(crate) fn new(
        config: &Traces,
        replica: Option<&ReplicaName>,
        clock: Clock,
    ) -> Result<(Self, Exporter), OtlpError> {
        let otlp = Otlp::new(&config.otlp)?;
        let (queue, spans) = mpsc::channel(QUEUE);
        let tally = Arc::new(Tally::default());
        let exporter = Exporter::new(otlp, otlp::resource(replica), spans, Arc::clone(&tally));
        let most = u32::try_from(config.max_per_second).unwrap_or(u32::MAX);
        let roots = u64::from(config.sample.roots);
        Ok((Self { roots, rate: Rate::new(most), queue, tally, clock }, exporter))
    }

    /// What became of the spans so far.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Leaves a span of the decision to the exporter, if its trace is recorded and there is room. Never waits.
    pub(crate) fn tell(&self, refusal: Option<&Refusal>, decided: Decided<'_>) {
        let Some(place) = self.place(decided) else { return };
        let ended = Ended { wall: (self.clock)(), at: monotonic() };
        if self.queue.try_send(span(place, refusal, decided, ended)).is_err() {
            self.tally.dropped(Dropped::Queue, 1);
        }
    }

    /// Where the span belongs; nowhere if there is none.
    fn place<'a>(&self, decided: Decided<'a>) -> Option<Place<'a>> {
        let Some(parent) = decided.caller.trace else { return self.root(decided) };
        if !parent.sampled || !self.admits(decided) {
            return None;
        }
        let id = SpanId::of(random()?)?;
        Some(Place { trace: parent.trace, id, parent: Some(parent.span), state: decided.trace_state })
    }

    /// Of a request that belongs to no trace, by chance, a trace of its own.
    fn root<'a>(&self, decided: Decided<'a>) -> Option<Place<'a>> {
        if self.roots == 0 {
            return None;
        }
        let chance: [u8; 8] = random()?;
        if u64::from_be_bytes(chance) % MILLION >= self.roots || !self.admits(decided) {
            return None;
        }
        let (trace, id) = (TraceId::of(random()?)?, SpanId::of(random()?)?);
        Some(Place { trace, id, parent: None, state: "" })
    }

    fn admits(&self, decided: Decided<'_>) -> bool {
        // Another bound begins when these 136 years are over.
        let second = u32::try_from(decided.now.as_second()).unwrap_or_default();
        let admitted = self.rate.admits(second);
        if !admitted {
            self.tally.dropped(Dropped::Rate, 1);
        }
        admitted
    }
}

/// `None` without randomness: a span whose id another one has too is worse than none.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests;

//! Spans on their way to the collector.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::span::CONVENTIONS;
use super::tally::{Dropped, Tally};
use crate::otlp::{Collector, MAX_ANSWER, Otlp, may_pass};

/// Most spans of one call.
const BATCH: usize = 512;
/// The most characters of a collector's message that the log gets.
const MAX_MESSAGE: usize = 200;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// A span waits for others to go with it.
    gather: Duration,
    /// Before a call is made again; after the last of them its spans are given up.
    pauses: [Duration; 2],
    /// What is left when the process stops; less than it gives its tasks.
    finish: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { gather: seconds(1), pauses: [seconds(1), seconds(3)], finish: seconds(2) }
    }
}

/// Sends spans, call by call, and counts those that do not arrive.
#[derive(Debug)]
pub(crate) struct Exporter {
    otlp: Otlp,
    resource: Resource,
    spans: mpsc::Receiver<Span>,
    /// Those of the call that is under way.
    batch: Vec<Span>,
    tally: Arc<Tally>,
    pace: Pace,
    /// Whether it was told that they do not arrive.
    told: bool,
}

impl Exporter {
    pub(super) fn new(
        otlp: Otlp,
        resource: Resource,
        spans: mpsc::Receiver<Span>,
        tally: Arc<Tally>,
    ) -> Self {
        Self { otlp, resource, spans, batch: Vec::new(), tally, pace: Pace::default(), told: false }
    }

    /// For who changes how the collector is reached.
    pub(crate) fn collector(&self) -> Collector {
        self.otlp.collector()
    }

    /// Sends what comes until told to stop, then, for a while, what is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let finish = self.pace.finish;
        let too_late = async {
            stop.cancelled().await;
            sleep(finish).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = too_late => {}
        }
        self.spans.close();
        while let Ok(span) = self.spans.try_recv() {
            self.batch.push(span);
        }
        if !self.batch.is_empty() {
            tracing::warn!(spans = self.batch.len(), "the collector of traces did not take what was left");
        }
        self.give_up(Dropped::Failed);
    }

    /// Ends when it is to stop and nothing is left.
    async fn work(&mut self, stop: &CancellationToken) {
        loop {
            self.gather(stop).await;
            if self.batch.is_empty() {
                return;
            }
            self.deliver(stop).await;
        }
    }

    /// Waits for a span, and for others that come soon; takes only what is there once it is to stop.
    async fn gather(&mut self, stop: &CancellationToken) {
        let mut until: Option<Instant> = None;
        while self.batch.len() < BATCH {
            let room = BATCH.saturating_sub(self.batch.len());
            let more = self.spans.recv_many(&mut self.batch, room);
            let over = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                count = more => if count == 0 {
                    // Nobody is left who makes any: what there is goes, and then it is waited for the end.
                    if self.batch.is_empty() {
                        stop.cancelled().await;
                    }
                    return;
                },
                () = over => return,
                () = stop.cancelled() => return,
            }
            until = until.or_else(|| Instant::now().checked_add(self.pace.gather));
        }
    }

    /// Sends the batch, again after a pause if that may help.
    async fn deliver(&mut self, stop: &CancellationToken) {
        let mut pauses = self.pace.pauses.into_iter();
        loop {
            let failure = match self.send().await {
                Ok(answer) => return self.taken(&answer),
                Err(failure) => failure,
            };
            let pause = pauses.next().filter(|_| may_pass(&failure) && !stop.is_cancelled());
            let Some(pause) = pause else {
                self.tell(&failure);
                return self.give_up(Dropped::Failed);
            };
            tokio::select! {
                () = sleep(pause) => {}
                // One more try, then it is over.
                () = stop.cancelled() => {}
            }
        }
    }

    async fn send(&mut self) -> Result<ExportTraceServiceResponse, Status> {
        let scope = InstrumentationScope {
            name: "exequatur".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let spans =
            ScopeSpans { scope: Some(scope), spans: self.batch.clone(), schema_url: CONVENTIONS.to_owned() };
        let resource_spans = vec![ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![spans],
            schema_url: CONVENTIONS.to_owned(),
        }];
        let (channel, request) = self.otlp.call(ExportTraceServiceRequest { resource_spans });
        let mut client = TraceServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        self.otlp.in_time(client.export(request)).await
    }

    /// The collector has answered well; it may have left some of them out all the same.
    fn taken(&mut self, answer: &ExportTraceServiceResponse) {
        let all = count(self.batch.len());
        let rejected = answer.partial_success.as_ref().map_or(0, |partial| partial.rejected_spans);
        let rejected = u64::try_from(rejected).unwrap_or_default().min(all);
        self.tally.exported(all.saturating_sub(rejected));
        self.tally.dropped(Dropped::Rejected, rejected);
        self.batch.clear();
        if std::mem::take(&mut self.told) {
            tracing::info!("the collector of traces takes spans again");
        }
    }

    fn give_up(&mut self, cause: Dropped) {
        self.tally.dropped(cause, count(self.batch.len()));
        self.batch.clear();
    }

    /// Once, until it works again: how many are lost is in the metrics.
    fn tell(&mut self, failure: &Status) {
        if !std::mem::replace(&mut self.told, true) {
            let message: String = failure.message().chars().take(MAX_MESSAGE).collect();
            tracing::warn!(code = ?failure.code(), ?message, "the collector of traces takes no spans");
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

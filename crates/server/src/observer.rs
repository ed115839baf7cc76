//! What is looked at beside the decisions: readiness, ages, gaps, what was refused.

use std::sync::Arc;
use std::time::Duration;

use exequatur_admin::Tally;
use exequatur_audit::Recorder;
use exequatur_issuers::Issuers;
use exequatur_store::{AdmissionStore, Nodes, StoreError};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::clock::Clock;
use crate::metrics;
use crate::outcomes::Outcomes;
use crate::public::Readiness;
use crate::receipts::Watch;
use crate::report::Reporter;
use crate::security_events::Streams;
use crate::service::Service;
use crate::sinks;
use crate::state::Tending;
use crate::workers::{Load, TurnedAway};

/// How often ages and gaps are measured, and completeness is looked at until it is reached.
const OBSERVE_EVERY: Duration = Duration::from_millis(250);

/// Measures what is not measured by decisions, and says when everything was complete once.
pub(crate) struct Observer {
    pub(crate) issuers: Arc<Issuers>,
    pub(crate) streams: Option<Arc<Streams>>,
    pub(crate) calls: Option<Arc<Tally>>,
    pub(crate) store: Arc<dyn AdmissionStore>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) state: Tending,
    pub(crate) reporter: Reporter,
    pub(crate) clock: Clock,
    pub(crate) service: Service,
    pub(crate) outcomes: Outcomes,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) intake: (TurnedAway, Load),
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) health: HealthReporter,
}

impl Observer {
    /// Ends early only if an issuer's keys are kept no more.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let (mut complete, mut told, mut nodes) = (false, Refused::default(), None);
        let (mut watch, mut sinks) = (Watch::default(), sinks::Watch::default());
        loop {
            let now = (self.clock)();
            let store = self.look_at_store(now, &mut nodes).await;
            let remembers = store.is_ok();
            if !complete && remembers && self.state.known(now) && self.issuers.complete(now) {
                complete = true;
                self.readiness.complete();
                if self.readiness.is_ready() {
                    set_health(&self.health, ServingStatus::Serving).await;
                }
                // Asked to stop between the two, it would be healthy to Envoy until it has ended.
                if self.readiness.is_draining() {
                    set_health(&self.health, ServingStatus::NotServing).await;
                }
                tracing::info!("ready");
            }
            self.measure(now);
            if let Some(recorder) = &self.recorder {
                watch.look(recorder);
                sinks.look(recorder);
            }
            self.reporter.say(&self.issuers, &self.state, &store, now);
            self.state.tend(now).await;
            told = self.refused().tell_since(told);
            let transmitter = self.streams.as_ref().and_then(|streams| streams.unattended());
            if let Some(issuer) = self.issuers.unattended().or(transmitter)
                && !stop.is_cancelled()
            {
                tracing::error!(%issuer, "its keys, its introspection endpoint or one of its status lists are kept no more");
                return;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(OBSERVE_EVERY) => {}
            }
        }
    }

    /// Whether the store can be used now. Also what makes a connection that broke anew where nothing is asked.
    async fn look_at_store(&self, now: Timestamp, nodes: &mut Option<Nodes>) -> Result<(), StoreError> {
        let health = self.store.health(now).await;
        metrics::store(health.as_ref().ok(), nodes);
        health.map(drop)
    }

    fn measure(&self, now: Timestamp) {
        for status in self.issuers.status(now) {
            metrics::keys_usable(status.name.as_str(), status.usable);
            if let Some(age) = status.keys_age {
                metrics::keys_age(status.name.as_str(), age.as_secs_f64());
            }
            for (outcome, total) in status.loads.iter().filter(|(outcome, _)| outcome.is_of_keys()) {
                metrics::issuer_fetches(status.name.as_str(), outcome.as_str(), total);
            }
        }
        for (issuer, lists) in self.issuers.lists_status(now) {
            metrics::status_lists(issuer.as_str(), &lists);
        }
        for (issuer, status) in self.issuers.introspection_status() {
            metrics::introspection(issuer.as_str(), &status);
        }
        if let Some(streams) = &self.streams {
            streams.measure(now);
        }
        if let Some(recorder) = &self.recorder {
            metrics::record_gaps(recorder.gaps());
            let (waiting, capacity) = recorder.queue();
            metrics::record_queue(waiting, capacity);
        }
        metrics::ready(self.readiness.is_ready());
        metrics::outcomes(&self.outcomes);
        self.service.tracer().iter().for_each(|tracer| metrics::spans(tracer.tally()));
        self.calls.iter().for_each(|calls| metrics::admin_calls(calls));
        self.service.tenants().each(metrics::tenant_decisions);
        let (away, load) = &self.intake;
        metrics::load(load);
        metrics::connections_refused(away.total());
        metrics::strangers("user", away.strangers());
        metrics::strangers("name", away.names());
        metrics::strangers("handshake", away.handshakes());
        // Without it, what histograms were told is kept until somebody asks for it, one by one.
        self.metrics.run_upkeep();
    }

    fn refused(&self) -> Refused {
        let (away, _load) = &self.intake;
        Refused {
            requests: self.service.shed().total(),
            connections: away.total(),
            strangers: away.strangers(),
            names: away.names(),
            handshakes: away.handshakes(),
            unrecorded: self.recorder.as_ref().map_or(0, Recorder::gaps),
        }
    }
}

/// What was refused since the start, for want of time, room or trust; and what was not recorded.
#[derive(Debug, Clone, Copy, Default)]
struct Refused {
    requests: u64,
    connections: u64,
    strangers: u64,
    names: u64,
    handshakes: u64,
    unrecorded: u64,
}

impl Refused {
    /// One line for all of a kind: an overload must not drown the log as well.
    fn tell_since(self, before: Self) -> Self {
        let requests = self.requests.saturating_sub(before.requests);
        if requests > 0 {
            tracing::error!(refused = requests, "overloaded: requests were refused");
        }
        let unrecorded = self.unrecorded.saturating_sub(before.unrecorded);
        if unrecorded > 0 {
            tracing::error!(decisions = unrecorded, "decisions have no record");
        }
        let connections = self.connections.saturating_sub(before.connections);
        if connections > 0 {
            tracing::error!(refused = connections, "too many gRPC connections: new ones were closed at once");
        }
        let strangers = self.strangers.saturating_sub(before.strangers);
        if strangers > 0 {
            tracing::warn!(
                refused = strangers,
                "gRPC connections of users that may not connect (`listen.grpc_peers`) were closed"
            );
        }
        let names = self.names.saturating_sub(before.names);
        if names > 0 {
            tracing::warn!(
                refused = names,
                "gRPC connections with certificates whose names are not among listen.grpc_tls.clients were closed"
            );
        }
        let handshakes = self.handshakes.saturating_sub(before.handshakes);
        if handshakes > 0 {
            tracing::warn!(
                failed = handshakes,
                "gRPC connections without a handshake, or without a client certificate that is trusted, were closed"
            );
        }
        self
    }
}

/// Says it to whoever asks by gRPC.
pub(crate) async fn set_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    health.set_service_status("envoy.service.auth.v3.Authorization", status).await;
}

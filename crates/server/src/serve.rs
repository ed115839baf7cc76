//! From a configuration to a running server, and back to a clean stop.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use exequatur_audit::Recorder;
use exequatur_decide::{
    CacheConfig, Decider, DeciderParts, Generation, SenderRequirement, SharedNonces, TokenCache,
};
use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_store::{
    Address, AdmissionStore, AttributeStore, OverrideStore, Overrides, RevocationStore,
    Snapshot as Revocations, Subjects,
};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;

use crate::clock::{self, Clock};
use crate::config::{Config, GrpcAddress, Listen};
use crate::drain::{self, withdraw};
use crate::duties::Duties;
use crate::generations::{self, GenerationError, Reloader, Snapshot, State};
use crate::http;
use crate::metrics::{self, Decisions, Stages};
use crate::nonce_secrets::{NonceSecretsError, nonces};
use crate::observer::{Observer, set_health};
use crate::orders::{Orders, Subject};
use crate::otlp::{Collector, OtlpError};
use crate::outcomes::Outcomes;
use crate::public::{self, Public, Readiness};
use crate::receipts::{self, Receipts, ReceiptsError};
use crate::reloads::{FilesInForce, Reloads};
use crate::report::Reporter;
use crate::security_events::{Shared, SignalsError, Streams};
use crate::service::{Service, ServiceParts, Shed};
use crate::signals;
use crate::sinks;
use crate::state::{self, Opened, StateError, Tending};
use crate::tenant_tally::TenantTally;
use crate::tls::{Certificates, TlsError, WithoutCertificate};
use crate::traces::Tracer;
use crate::workers::{Listener, WORKERS_WITHIN, WorkerError, Workers, accept};

/// How long background tasks have to end. They end when they are told to; one that does not is left behind.
const TASKS_WITHIN: Duration = Duration::from_secs(3);
/// How long the record file has to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A stop takes no longer, whatever hangs: taking leave, the workers, the tasks beside them, the records. Who stops a server by force
/// waits for longer.
const STOP_WITHIN: Duration = {
    let leave = drain::MOST.saturating_add(WORKERS_WITHIN);
    leave.saturating_add(TASKS_WITHIN).saturating_add(CLOSE_WITHIN)
};
/// Why the server does not start, or stopped.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Configuration, policies or routes.
    #[error("{0}")]
    Generation(#[from] GenerationError),
    /// The issuers.
    #[error("issuers: {0}")]
    Issuers(#[from] exequatur_issuers::IssuersError),
    /// The store.
    #[error("store: {0}")]
    State(#[from] StateError),
    /// The streams of security events.
    #[error("signals: {0}")]
    Signals(#[from] SignalsError),
    /// The nonce secrets.
    #[error(transparent)]
    NonceSecrets(#[from] NonceSecretsError),
    /// The record file.
    #[error("records: {0}")]
    Records(#[from] ReceiptsError),
    /// The collector of traces.
    #[error("traces: {0}")]
    Traces(#[from] OtlpError),
    /// A listener.
    #[error("listener {listener}: {source}")]
    Listener {
        /// Which one.
        listener: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The admin socket.
    #[error("listener admin: {0}")]
    Admin(#[from] exequatur_admin::SocketError),
    /// A listener's certificate.
    #[error("certificate of a listener: {0}")]
    Tls(#[from] TlsError),
    /// The metrics recorder.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The threads that decide.
    #[error("{0}")]
    Worker(#[from] WorkerError),
    /// Something beside them that is to run as long as the server does; see the log for the cause.
    #[error("{0} ended unexpectedly")]
    Duty(&'static str),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// See [`ServeError`]; before the first listener is open, for anything that is wrong with the files.
pub async fn serve(path: &Path) -> Result<(), ServeError> {
    let snapshot = Snapshot::read(path)?;
    let (judged, marks) = (Some(snapshot.state()), snapshot.nonce_marks());
    let Snapshot { config, folder: policies, .. } = snapshot;
    let generation = Arc::new(ArcSwap::from_pointee(generations::compile(&config, &policies, 1)?));
    let (handle, clock) = (metrics::install(config.deadline)?, clock::system());
    generations::tell(&generation.load(), FilesInForce::of(&config));
    crate::config::remarks(&config).iter().for_each(|remark| tracing::warn!("{remark}"));
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    // A start that fails halfway ends what has begun; none of it is lost.
    let _stopped_at_the_end = stop.clone().drop_guard();
    let mut duties = Duties::new(tasks.clone());
    let issuers =
        Issuers::start(config.issuers.clone(), HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    let receipts = open_recorder(&config, &clock)?;
    let recorder = receipts.recorder.clone();
    let Opened { revocations, overrides, attributes, store, redis, background } =
        state::open(&config, clock())?;
    background.begin(&duties, &clock, &stop);
    let subject = Subject::of((&revocations, &overrides), (&generation, &issuers), &recorder, &clock);
    let orders = Orders::open(&config, subject).await?;
    let calls = orders.map(|orders| orders.begin(&duties, &tasks, &stop));
    let readiness = Arc::new(Readiness::default());
    let shared = Shared::of((&revocations, &attributes), &recorder, &clock, (&tasks, &stop));
    let (streams, posted) = receive_events(&config, &shared, &duties)?;
    let public = metadata(&config, &readiness, &generation).merge(posted).merge(receipts.router.clone());
    listen_http(&config, [public, public::metrics(&handle, &clock)], &duties, &tasks, &stop).await?;
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::NotServing).await;
    let parts = service_parts(
        &config,
        Arc::clone(&issuers),
        Arc::clone(&store),
        recorder.clone(),
        Followed::of(&*revocations, &*overrides, &*attributes),
        &generation,
        Arc::clone(&clock),
    )?;
    let (tracer, traced_to) = trace(&config, &clock, &duties, &stop)?.unzip();
    let service = Service::new(ServiceParts { tracer, ..parts });
    let reloads = Arc::new(Reloads::started(&config, marks, clock()));
    let (read, current) = ((path, judged, redis), (&generation, &issuers, &streams));
    let sent = (receipts, traced_to);
    let files = reloader(read, &config, current, service.nonces(), sent, (&reloads, &clock));
    duties.begin("reload", &stop, files.run(stop.clone()));
    let listener = listen_grpc(&config.listen, &duties, &stop).await?;
    let outcomes = Outcomes::new(recorder.clone(), Arc::clone(&clock));
    let mut workers = Workers::start(config.workers.get(), &service, &outcomes, &health_service)?;
    let (intake, load, closed) = (workers.intake(), workers.intake().load(), stop.child_token());
    let observer = Observer {
        issuers,
        streams,
        calls,
        store,
        recorder: recorder.clone(),
        state: Tending::new(revocations, overrides, attributes),
        reporter: Reporter::new(&config, &generation, &reloads, &readiness, clock()),
        clock,
        service,
        outcomes,
        metrics: handle,
        intake: (intake.turned_away(), intake.load()),
        readiness: Arc::clone(&readiness),
        health: health.clone(),
    };
    duties.begin("observe", &stop, observer.run(stop.clone()));
    duties.begin("accept", &closed, accept(listener, intake, closed.clone()));
    tracing::info!(grpc = %config.listen.grpc, public = %config.listen.public, metrics = %config.listen.metrics, workers = config.workers, "listening");
    let end = tokio::select! {
        () = signals::asked_to_stop(&stop) => Ok(()),
        duty = duties.lost() => Err(ServeError::Duty(duty)),
        error = workers.broken() => Err(error.into()),
    };
    // Whatever it is that ends it, it is said at once, and what is whole goes on until those who ask have heard it.
    tracing::info!(at_most = ?STOP_WITHIN, "draining");
    withdraw(&readiness, &health, &load, &closed).await;
    let outcome = end.and(workers.finish().await.map_err(ServeError::from));
    stop.cancel();
    let stopped = first_of(outcome, close(&tasks, recorder).await);
    tracing::info!("stopped");
    stopped
}

/// Opens the public listener and that of metrics.
///
/// # Errors
/// One cannot be opened.
async fn listen_http(
    config: &Config,
    [public, metrics]: [Router; 2],
    duties: &Duties,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    let Config { listen: addresses, .. } = config;
    for (name, address, router) in
        [("public", addresses.public, public), ("metrics", addresses.metrics, metrics)]
    {
        let listener = listen(name, address).await?;
        duties.begin(name, stop, http::serve(listener, router, tasks.clone(), stop.clone()));
    }
    Ok(())
}

/// Receives security events, where they are configured. Gives what they are posted to, too.
///
/// # Errors
/// See [`SignalsError`].
fn receive_events(
    config: &Config,
    shared: &Shared<'_>,
    duties: &Duties,
) -> Result<(Option<Arc<Streams>>, Router), SignalsError> {
    if config.signals.is_empty() {
        return Ok((None, Router::new()));
    }
    if shared.recorder.is_none() {
        tracing::warn!("without records, what security events stop stands in this log alone");
    }
    let redaction = Arc::new(receipts::redaction(config.records.as_ref())?);
    let mut streams = Streams::open(&config.signals, &redaction, shared)?;
    streams.begin(duties, shared.stop);
    let posted = streams.router();
    Ok((Some(Arc::new(streams)), posted))
}

/// Sends spans of decisions, where that is configured. Gives what they are sent to, too.
///
/// # Errors
/// See [`OtlpError`].
fn trace(
    config: &Config,
    clock: &Clock,
    duties: &Duties,
    stop: &CancellationToken,
) -> Result<Option<(Tracer, Collector)>, OtlpError> {
    let Some(traces) = &config.traces else { return Ok(None) };
    let (tracer, exporter) = Tracer::new(traces, config.replica.as_ref(), Arc::clone(clock))?;
    let collector = exporter.collector();
    duties.begin("traces", stop, exporter.run(stop.clone()));
    Ok(Some((tracer, collector)))
}

/// Follows the files from what they said at the start.
fn reloader(
    (path, judged, redis): (&Path, Option<State>, Option<Address>),
    config: &Config,
    (generation, issuers, streams): (&Arc<ArcSwap<Generation>>, &Arc<Issuers>, &Option<Arc<Streams>>),
    nonces: &SharedNonces,
    (receipts, traced_to): (Receipts, Option<Collector>),
    (reloads, clock): (&Arc<Reloads>, &Clock),
) -> Reloader {
    let Receipts { recorder, router: _, rotation, mut collectors } = receipts;
    collectors.extend(traced_to);
    Reloader {
        path: path.to_owned(),
        current: Arc::clone(generation),
        recorder,
        rotation,
        collectors,
        issuers: Arc::clone(issuers),
        streams: streams.clone(),
        nonces: nonces.clone(),
        redis,
        fixed: generations::fixed_part(config),
        nonces_in_use: judged.as_ref().and_then(|state| state.nonces),
        judged,
        reloads: Arc::clone(reloads),
        clock: Arc::clone(clock),
    }
}

/// Why the server stopped comes before what went wrong in closing, which the log tells then.
fn first_of(outcome: Result<(), ServeError>, closed: Result<(), ServeError>) -> Result<(), ServeError> {
    if let (Err(_), Err(error)) = (&outcome, &closed) {
        tracing::error!(%error, "closing failed too");
    }
    outcome.and(closed)
}

/// What the public listener tells.
fn metadata(config: &Config, readiness: &Arc<Readiness>, generation: &Arc<ArcSwap<Generation>>) -> Router {
    public::public(Public {
        readiness: Arc::clone(readiness),
        generation: Arc::clone(generation),
        authorization_servers: Arc::new(
            config.issuers.iter().map(|i| (i.profile.issuer.clone(), i.profile.audiences.clone())).collect(),
        ),
        algorithms: Arc::new(config.sender.policy.proofs.algorithms.iter().map(|a| a.jose_name()).collect()),
        dpop_required: config.sender.least == SenderRequirement::Dpop,
    })
}

/// Waits for what runs beside the workers, and for the records.
///
/// # Errors
/// If what is recorded could not be written, or not in time.
async fn close(tasks: &TaskTracker, recorder: Option<Recorder>) -> Result<(), ServeError> {
    tasks.close();
    if tokio::time::timeout(TASKS_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!("background tasks did not end in time");
    }
    if let Some(recorder) = recorder {
        // A disk that hangs must not keep the process from ending.
        let closed = tokio::time::timeout(CLOSE_WITHIN, recorder.close()).await;
        sinks::tell_at_the_end(&recorder);
        match closed {
            Ok(closed) => {
                receipts::Watch::default().tell(&recorder);
                closed.map_err(ReceiptsError::File)?;
            }
            Err(_elapsed) => return Err(ReceiptsError::Hangs.into()),
        }
    }
    Ok(())
}

/// Envoy's listener; its certificate, if it has one, is followed from now on.
async fn listen_grpc(
    Listen { grpc, grpc_tls, grpc_peers, .. }: &Listen,
    duties: &Duties,
    stop: &CancellationToken,
) -> Result<Listener, ServeError> {
    let address = match grpc {
        GrpcAddress::Tcp(address) => *address,
        GrpcAddress::Unix(socket) => {
            let unopened = |source| ServeError::Listener { listener: "grpc", source };
            return Listener::unix(socket, grpc_peers).map_err(unopened);
        }
    };
    let tls = grpc_tls.clone().map(|files| {
        if files.client_authority.is_none() {
            tracing::warn!("without grpc_tls.client_ca_file, whoever reaches the gRPC listener may ask");
        }
        Certificates::load("grpc", files, WithoutCertificate::TurnAway, &[b"h2"]).map(Arc::new)
    });
    let tls = tls.transpose()?;
    let listener = listen("grpc", address).await?;
    if let Some(certificates) = &tls {
        duties.begin("grpc certificate", stop, Arc::clone(certificates).follow(stop.clone()));
    }
    Ok(Listener::Tcp { listener, tls })
}

/// What comes from elsewhere and is asked in this process.
pub(crate) struct Followed {
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) overrides: Arc<Overrides>,
    pub(crate) subjects: Arc<Subjects>,
}

impl Followed {
    fn of(
        revocations: &dyn RevocationStore,
        overrides: &dyn OverrideStore,
        attributes: &dyn AttributeStore,
    ) -> Self {
        Self {
            revocations: Arc::clone(revocations.snapshot()),
            overrides: Arc::clone(overrides.overrides()),
            subjects: Arc::clone(attributes.subjects()),
        }
    }

    /// Nothing is revoked, every limit is as configured, and nobody has said anything of anybody.
    pub(crate) fn nothing() -> Self {
        Self {
            revocations: Arc::new(Revocations::local()),
            overrides: Arc::new(Overrides::none()),
            subjects: Arc::new(Subjects::local()),
        }
    }
}

/// The parts of the service that answers.
///
/// # Errors
/// The nonce secret's.
pub(crate) fn service_parts(
    config: &Config,
    issuers: Arc<Issuers>,
    store: Arc<dyn AdmissionStore>,
    recorder: Option<Recorder>,
    followed: Followed,
    generation: &Arc<ArcSwap<Generation>>,
    clock: Clock,
) -> Result<ServiceParts, ServeError> {
    let names: Vec<_> =
        config.sender.policy.proofs.algorithms.iter().map(|algorithm| algorithm.jose_name()).collect();
    Ok(ServiceParts {
        decider: decider(config, issuers, store, followed)?,
        generation: Arc::clone(generation),
        recorder,
        tracer: None,
        redaction: Arc::new(receipts::redaction(config.records.as_ref())?),
        clock,
        deadline: config.deadline,
        shed: Shed::default(),
        tenants: TenantTally::new(config),
        stages: Stages::new(),
        decisions: Decisions::new(),
        algorithms: names.join(" "),
    })
}

/// The parts of a decision that outlive generations; also what a trial decides with.
///
/// # Errors
/// The nonce secret's.
pub(crate) fn decider(
    config: &Config,
    issuers: Arc<Issuers>,
    store: Arc<dyn AdmissionStore>,
    Followed { revocations, overrides, subjects }: Followed,
) -> Result<Decider, ServeError> {
    let decider = Decider::new(DeciderParts {
        issuers,
        store,
        revocations,
        overrides,
        subjects,
        cache: TokenCache::new(CacheConfig::default()),
        nonces: nonces(&config.sender)?.into(),
        sender: config.sender.policy.clone(),
    });
    Ok(decider.with_token_size(config.token_size).with_unauthenticated(config.unauthenticated))
}

/// Where records are kept, if they are.
fn open_recorder(config: &Config, clock: &Clock) -> Result<Receipts, ServeError> {
    signals::outlive_full_files();
    let Some(records) = &config.records else { return Ok(Receipts::default()) };
    Ok(receipts::open(records, config.replica.as_ref(), clock)?)
}

async fn listen(listener: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listener { listener, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use exequatur_token::{Epoch, NonceScope, Nonces, Origin, Thumbprint};

    use jiff::Timestamp;

    use super::*;
    use crate::config::{Source, from_text};

    /// D26: a secret is replaced while nonces of the one before are in use.
    #[test]
    fn nonces_of_the_secret_before_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        for (name, byte) in [("old", 1), ("new", 2)] {
            let file = folder.path().join(name);
            std::fs::write(&file, [byte; 32]).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let nonces_with = |files: &str| {
            let text = format!(
                "policies: p
protected_resources: [{{ resource: https://api.example.com }}]
issuers: [{{ name: a, issuer: https://a.example.com, jwks: {{ file: k }}, audiences: [https://api.example.com] }}]
sender_constraint: {{ dpop: {{ {files} }} }}
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
"
            );
            let source = Source { path: folder.path().join("exequatur.yaml"), text: text.into() };
            nonces(&from_text(source).unwrap().sender).unwrap()
        };
        let (old, new) = (nonces_with("nonce_secret_file: old"), nonces_with("nonce_secret_file: new"));
        let both = nonces_with("nonce_secret_file: new, previous_nonce_secret_file: old");
        let (now, epoch) = (Timestamp::UNIX_EPOCH, Epoch([0; 16]));
        let (origin, key) = (
            Origin::parse("https://api.example.com").unwrap(),
            Thumbprint::from_base64url(&"A".repeat(43)).unwrap(),
        );
        let scope = NonceScope { origin: &origin, key };
        let recognises = |by: &Nonces, made_by: &Nonces| {
            by.verify(&made_by.issue(&scope, epoch, now), &scope, now).is_ok()
        };
        assert!(recognises(&both, &old) && recognises(&both, &new) && recognises(&new, &both));
        assert!(!recognises(&new, &old) && !recognises(&old, &both));
    }

    /// The bound that the manual, the unit and the chart go by.
    #[test]
    fn a_stop_takes_as_long_as_the_manual_says() {
        assert_eq!(STOP_WITHIN, Duration::from_secs(18));
        let manual = include_str!("../../../docs/how-to/upgrade.md");
        assert!(manual.contains("whatever hangs, within 18 s"));
        let unit = include_str!("../../../packaging/systemd/exequatur.service");
        assert!(unit.contains("or 18 where") && unit.contains("TimeoutStopSec=30"));
        let chart = include_str!("../../../charts/exequatur/templates/deployment.yaml");
        assert!(chart.contains("18 s that a stop takes at most") && chart.contains("GracePeriodSeconds: 30"));
        let beside = include_str!("../../../charts/exequatur/templates/_sidecar.tpl");
        assert!(beside.contains("18 s that a stop takes at most") && beside.contains("default 30)) 23 -}}"));
    }

    #[test]
    fn what_ended_the_server_comes_before_what_failed_in_closing() {
        let lost = || Err(ServeError::Duty("reload"));
        let unwritten = || Err(ServeError::Records(ReceiptsError::File(exequatur_audit::AuditError::Closed)));
        assert!(matches!(first_of(lost(), unwritten()), Err(ServeError::Duty("reload"))));
        assert!(matches!(first_of(lost(), Ok(())), Err(ServeError::Duty("reload"))));
        assert!(matches!(first_of(Ok(()), unwritten()), Err(ServeError::Records(_))));
        assert!(first_of(Ok(()), Ok(())).is_ok());
    }
}

//! From a configuration to a running server, and back to a clean stop.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_audit::Recorder;
use exequatur_decide::{CacheConfig, Decider, DeciderParts, Generation, SenderRequirement, TokenCache};
use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_store::EmbeddedReplay;
use exequatur_token::{NonceSecret, Nonces};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::clock::{self, Clock};
use crate::config::{Config, GrpcAddress};
use crate::generations::{self, GenerationError, Reloader, Snapshot};
use crate::http;
use crate::metrics;
use crate::public::{self, Public, Readiness};
use crate::service::{Service, ServiceParts, Shed};
use crate::workers::{Listener, WorkerError, Workers, accept};

/// Records that may wait for the file.
const RECORD_QUEUE: usize = 8192;
/// How long the load balancer has to notice that this replica stops.
const DRAIN_NOTICE: Duration = Duration::from_secs(1);
/// How long requests in flight have to end, once no new ones come.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long background tasks have to end, and the record file to close.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// How often ages and gaps are measured, and completeness is looked at until it is reached.
const OBSERVE_EVERY: Duration = Duration::from_millis(250);

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
    Store(#[from] exequatur_store::StoreError),
    /// The nonce secret.
    #[error("nonce secret: {0}")]
    NonceSecret(#[from] exequatur_token::NonceSecretError),
    /// The nonce secret's file.
    #[error("nonce secret file: {0}")]
    NonceSecretFile(std::io::Error),
    /// No random bytes for a nonce secret.
    #[error("no randomness for a nonce secret")]
    NoRandomness,
    /// The record file.
    #[error("records: {0}")]
    Records(#[from] exequatur_audit::AuditError),
    /// A listener.
    #[error("listener {listener}: {source}")]
    Listener {
        /// Which one.
        listener: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The metrics recorder.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The threads that decide.
    #[error("{0}")]
    Worker(#[from] WorkerError),
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// See [`ServeError`]; before the first listener is open, for anything that is wrong with the files.
pub async fn serve(path: &Path) -> Result<(), ServeError> {
    let snapshot = Snapshot::read(path)?;
    let judged = Some(snapshot.state());
    let Snapshot { config, folder, .. } = snapshot;
    let generation = Arc::new(ArcSwap::from_pointee(generations::compile(&config, &folder, 1)?));
    let handle = metrics::install()?;
    generations::tell(&generation.load());
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let clock = clock::system();
    let issuers =
        Issuers::start(config.issuers.clone(), HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    let recorder = open_recorder(&config)?;
    let readiness = Arc::new(Readiness::default());
    let public = Public {
        readiness: Arc::clone(&readiness),
        generation: Arc::clone(&generation),
        authorization_servers: Arc::new(
            config.issuers.iter().map(|i| (i.profile.issuer.clone(), i.profile.audiences.clone())).collect(),
        ),
        algorithms: Arc::new(config.sender.policy.proofs.algorithms.iter().map(|a| a.jose_name()).collect()),
        dpop_required: config.sender.least == SenderRequirement::Dpop,
    };
    spawn_http("public", config.listen.public, public::public(public), &tasks, &stop).await?;
    spawn_http("metrics", config.listen.metrics, public::metrics(handle.clone()), &tasks, &stop).await?;
    let reloader = Reloader {
        path: path.to_owned(),
        current: Arc::clone(&generation),
        recorder: recorder.clone(),
        issuers: Arc::clone(&issuers),
        fixed: generations::fixed_part(&config),
        judged,
    };
    tasks.spawn(reloader.run(stop.clone()));
    let (health, health_service) = tonic_health::server::health_reporter();
    set_health(&health, ServingStatus::NotServing).await;
    let service = Service::new(service_parts(
        &config,
        Arc::clone(&issuers),
        recorder.clone(),
        &generation,
        Arc::clone(&clock),
    )?);
    let observer =
        Observer { issuers, recorder: recorder.clone(), clock, service: service.clone(), metrics: handle };
    tasks.spawn(observer.run(Arc::clone(&readiness), health.clone(), stop.clone()));
    let listener = listen_grpc(&config.listen.grpc).await?;
    let mut workers = Workers::start(config.workers.get(), &service, &health_service)?;
    let (intake, closed) = (workers.intake(), CancellationToken::new());
    tasks.spawn(accept(listener, intake, closed.clone()));
    tracing::info!(grpc = %config.listen.grpc, public = %config.listen.public, metrics = %config.listen.metrics, workers = config.workers, "listening");
    let outcome = tokio::select! {
        () = drain(readiness, health, stop.clone()) => {
            closed.cancel();
            workers.finish(DRAIN_WITHIN).await.map_err(ServeError::from)
        }
        error = workers.broken() => Err(error.into()),
    };
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(CLOSE_WITHIN, tasks.wait()).await.is_err() {
        tracing::warn!("background tasks did not end in time");
    }
    if let Some(recorder) = recorder {
        // A disk that hangs must not keep the process from ending.
        match tokio::time::timeout(CLOSE_WITHIN, recorder.close()).await {
            Ok(closed) => closed?,
            Err(_elapsed) => tracing::error!("the record file did not close in time"),
        }
    }
    tracing::info!("stopped");
    outcome
}

async fn listen_grpc(address: &GrpcAddress) -> Result<Listener, ServeError> {
    match address {
        GrpcAddress::Tcp(address) => Ok(Listener::Tcp(listen("grpc", *address).await?)),
        GrpcAddress::Unix(socket) => {
            Listener::unix(socket).map_err(|source| ServeError::Listener { listener: "grpc", source })
        }
    }
}

/// The parts of the service that answers.
///
/// # Errors
/// The store's or the nonce secret's.
pub(crate) fn service_parts(
    config: &Config,
    issuers: Arc<Issuers>,
    recorder: Option<Recorder>,
    generation: &Arc<ArcSwap<Generation>>,
    clock: Clock,
) -> Result<ServiceParts, ServeError> {
    let names: Vec<_> =
        config.sender.policy.proofs.algorithms.iter().map(|algorithm| algorithm.jose_name()).collect();
    Ok(ServiceParts {
        decider: decider(config, issuers, clock())?,
        generation: Arc::clone(generation),
        recorder,
        clock,
        deadline: config.deadline,
        shed: Shed::default(),
        algorithms: names.join(" "),
    })
}

/// The parts of a decision that outlive generations; also what a trial decides with. The replay
/// store remembers every proof since `complete_since`, and doubts those that may be older.
///
/// # Errors
/// The store's or the nonce secret's.
pub(crate) fn decider(
    config: &Config,
    issuers: Arc<Issuers>,
    complete_since: Timestamp,
) -> Result<Decider, ServeError> {
    let decider = Decider::new(DeciderParts {
        issuers,
        replay: Arc::new(EmbeddedReplay::new(config.store, complete_since)?),
        cache: TokenCache::new(CacheConfig::default()),
        nonces: Nonces::new(nonce_secret(config)?, Vec::new()),
        sender: config.sender.policy.clone(),
    });
    Ok(decider.with_token_size(config.token_size))
}

fn nonce_secret(config: &Config) -> Result<NonceSecret, ServeError> {
    let material = match &config.sender.nonce_secret_file {
        Some(path) => std::fs::read(path).map_err(ServeError::NonceSecretFile)?,
        None => {
            let mut random = vec![0; 32];
            getrandom::fill(&mut random).map_err(|_no_entropy| ServeError::NoRandomness)?;
            random
        }
    };
    let material = zeroize::Zeroizing::new(material);
    Ok(NonceSecret::new(&material)?)
}

fn open_recorder(config: &Config) -> Result<Option<Recorder>, ServeError> {
    let Some(records) = &config.records else { return Ok(None) };
    let queue = NonZeroUsize::new(RECORD_QUEUE).unwrap_or(NonZeroUsize::MIN);
    Ok(Some(Recorder::open(&records.file, records.mode, queue)?))
}

async fn spawn_http(
    name: &'static str,
    address: std::net::SocketAddr,
    router: axum::Router,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<(), ServeError> {
    let listener = listen(name, address).await?;
    tasks.spawn(http::serve(listener, router, tasks.clone(), stop.clone()));
    Ok(())
}

async fn listen(listener: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listener { listener, source })
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    health.set_service_status("", status).await;
    health.set_service_status("envoy.service.auth.v3.Authorization", status).await;
}

/// Resolves when the server is to finish what it has and take nothing new.
async fn drain(readiness: Arc<Readiness>, health: HealthReporter, stop: CancellationToken) {
    crate::signals::asked_to_stop(&stop).await;
    tracing::info!("draining");
    readiness.drain();
    set_health(&health, ServingStatus::NotServing).await;
    tokio::time::sleep(DRAIN_NOTICE).await;
}

/// Measures what is not measured by decisions, and says when everything was complete once.
struct Observer {
    issuers: Arc<Issuers>,
    recorder: Option<Recorder>,
    clock: Clock,
    service: Service,
    metrics: PrometheusHandle,
}

impl Observer {
    async fn run(self, readiness: Arc<Readiness>, health: HealthReporter, stop: CancellationToken) {
        let (mut complete, mut shed) = (false, 0);
        loop {
            let now = (self.clock)();
            if !complete && self.issuers.complete(now) {
                complete = true;
                readiness.complete();
                if readiness.is_ready() {
                    set_health(&health, ServingStatus::Serving).await;
                }
                tracing::info!("ready");
            }
            for status in self.issuers.status(now) {
                if let Some(age) = status.keys_age {
                    metrics::keys_age(status.name.as_str(), age.as_secs_f64());
                }
                for (outcome, total) in status.loads.iter() {
                    metrics::issuer_fetches(status.name.as_str(), outcome.as_str(), total);
                }
            }
            if let Some(recorder) = &self.recorder {
                metrics::record_gaps(recorder.gaps());
            }
            // Without it, what histograms were told is kept until somebody asks for it, one by one.
            self.metrics.run_upkeep();
            // One line for all of them: an overload must not drown the log as well.
            let refused = self.service.shed().total();
            if refused > shed {
                tracing::error!(refused = refused.saturating_sub(shed), "overloaded: requests were refused");
                shed = refused;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(OBSERVE_EVERY) => {}
            }
        }
    }
}

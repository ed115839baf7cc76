//! Generations: built from the files, checked as a whole, switched as a whole.

mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_audit::Recorder;
use exequatur_decide::{Federations, Generation, LimitRules, Routes, SharedNonces};
use exequatur_issuers::{IssuerConfig, Issuers, IssuersError, Renewal};
use exequatur_policy::{Limits, PolicyFolder, PolicySet};
use exequatur_store::Address;
use exequatur_token::ClientAuthorities;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::codegen::http::Uri;

use crate::clock::Clock;
use crate::config::{self, Config, OtlpEndpoint, RecordCheckpoints, Records, RedisUrl, Sender};
use crate::metrics;
use crate::nonce_secrets::{NonceSecrets, NonceSecretsError};
use crate::otlp::{Collector, CollectorFiles, OtlpError, Reach};
use crate::receipts::{ReceiptsError, Rotation};
use crate::reloads::{FilesInForce, Reloads};
use crate::security_events::{SignalsError, Streams};
use crate::state::StateError;
pub(crate) use snapshot::{Snapshot, State};

/// How often the files are looked at. Contents are compared, not times, so that a switched symbolic link
/// (as Kubernetes mounts configuration) is seen too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the record file has to be opened anew; a disk that hangs must not stop reloads.
const REOPEN_WITHIN: Duration = Duration::from_secs(2);

/// Why the files do not make a generation.
#[derive(Debug, Error)]
pub enum GenerationError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] config::Problems),
    /// Listeners, issuers, sender limits, store, the rate of sources, records, deadline, token size, workers or the replica's name differ from those in use.
    #[error(
        "listen, admin, policies, issuers, sender_constraint, store, unauthenticated, signals, records, traces, deadline, max_token_bytes, workers or replica changed: restart to apply them"
    )]
    NeedsRestart,
    /// The policies or their schema.
    #[error("{0}")]
    Policy(#[from] exequatur_policy::Problems),
    /// The secrets of nonces.
    #[error(transparent)]
    NonceSecrets(#[from] NonceSecretsError),
    /// The keys of checkpoints.
    #[error("records: {0}")]
    Receipts(#[from] ReceiptsError),
    /// The secrets of streams.
    #[error("signals: {0}")]
    Signals(#[from] SignalsError),
    /// What a collector is reached with.
    #[error("the collector {at}: {source}")]
    Collector {
        /// Which.
        at: String,
        /// Why.
        source: OtlpError,
    },
    /// What Redis is reached with.
    #[error("store: {0}")]
    Store(#[from] StateError),
    /// A changed file of an issuer's connection.
    #[error("issuers: {0}")]
    Issuers(#[from] IssuersError),
}

impl GenerationError {
    fn collector(config: &OtlpEndpoint) -> impl FnOnce(OtlpError) -> Self + use<> {
        let at = config.endpoint.to_string();
        |source| Self::Collector { at, source }
    }
}

/// Builds the generation that a configuration and its policy folder describe.
///
/// # Errors
/// Every mistake of the first kind that has any: policies, then routes against them.
pub fn build(config: &Config, number: u64) -> Result<Generation, GenerationError> {
    let folder = PolicyFolder::read(&config.policies, Limits::default())?;
    compile(config, &folder, number)
}

pub(crate) fn compile(
    config: &Config,
    folder: &PolicyFolder,
    number: u64,
) -> Result<Generation, GenerationError> {
    let policies = PolicySet::load(folder)?;
    let routes =
        Routes::compile(config.routes.clone(), config.protected.clone(), &policies, config.sender.least);
    let routes = routes.map_err(|problems| config.place_route_problems(&problems))?;
    let mut digest = Sha256::new();
    digest.update(config.digest);
    digest.update(policies.schema_hash());
    // Tokens whose tenant was said by others are to be looked at anew.
    tenant_authorities(config).for_each(|authorities| digest.update(authorities.digest()));
    let limits = Arc::new(LimitRules::new(config.limits.clone()));
    let (tenants, federations) = (config.tenants.clone(), Federations::new(config.federations.clone()));
    let configuration = digest.finalize().into();
    Ok(Generation { number, routes, limits, tenants, federations, policies, configuration })
}

/// Those by whose word a tenant is said in certificates.
fn tenant_authorities(config: &Config) -> impl Iterator<Item = &ClientAuthorities> {
    config.issuers.iter().filter_map(|issuer| issuer.profile.tenants.authorities())
}

/// Says what is in force.
pub(crate) fn tell(generation: &Generation, files: FilesInForce) {
    let (number, policies) = (generation.number, &generation.policies);
    metrics::generation(number, files.fingerprint(policies.content_hash()));
    tracing::info!(
        generation = number,
        policies = policies.len(),
        unscoped = policies.unscoped(),
        set = policies.content_hash(),
        "generation in force"
    );
    if policies.unscoped() > 0 {
        tracing::warn!(unscoped = policies.unscoped(), "unscoped policies are evaluated in every decision");
    }
    for warning in policies.warnings() {
        tracing::warn!("{}", warning.render(exequatur_policy::Colour::Plain));
    }
}

/// The keys of the file whose changes are gone over to while the process runs; a change of any other waits for a restart.
pub(crate) const RELOADED: [&str; 5] = ["protected_resources", "tenants", "federations", "routes", "limits"];

/// A digest of what a running process cannot change: everything but routes, resources, tenants and policies. Which files are
/// named counts, but for those of nonce secrets, of a client's key and of checkpoints' keys; what a `ca_file`, a collector's headers, a stream's
/// secrets or any of these say does not.
pub(crate) fn fixed_part(config: &Config) -> [u8; 32] {
    let Config {
        listen,
        admin,
        policies,
        protected: _,
        issuers,
        tenants: _,
        federations: _,
        sender: Sender { least, policy, nonce_secret: _ },
        store,
        routes: _,
        places: _,
        limits: _,
        unauthenticated,
        signals,
        records,
        traces,
        deadline,
        token_size,
        workers,
        replica,
        digest: _,
        rules: _,
        source: _,
    } = config;
    let fixed = format!(
        "{:?}",
        (
            (listen, admin),
            policies,
            issuers,
            (least, policy),
            store,
            (unauthenticated, signals, records.as_ref().map(fixed_records), traces),
            deadline,
            token_size,
            workers,
            replica
        )
    );
    Sha256::digest(fixed.as_bytes()).into()
}

/// The same of records: that checkpoints are signed stays so, and with which key may change.
fn fixed_records(records: &Records) -> impl std::fmt::Debug {
    let Records { file, mode, checkpoints, redaction, sinks } = records;
    let RecordCheckpoints { key_file, key_id: _, previous_keys_file: _, every, records } = checkpoints;
    (file, mode, (key_file.is_some(), every, records), redaction, sinks)
}

/// Watches the files and switches generations.
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) current: Arc<ArcSwap<Generation>>,
    /// Told of changed files of their connections.
    pub(crate) issuers: Arc<Issuers>,
    /// Told of the same, where security events are received.
    pub(crate) streams: Option<Arc<Streams>>,
    /// Whose secrets are replaced.
    pub(crate) nonces: SharedNonces,
    /// What Redis is reached with, where it is used: shared by all that connect to it.
    pub(crate) redis: Option<Address>,
    /// The part of the configuration that the process cannot change while it runs.
    pub(crate) fixed: [u8; 32],
    /// Told at SIGHUP to go on with a new file, where the old one was moved away.
    pub(crate) recorder: Option<Recorder>,
    /// What its checkpoints are signed with, where they are.
    pub(crate) rotation: Option<Rotation>,
    /// What records and spans are sent to, in the order of the configuration.
    pub(crate) collectors: Vec<Collector>,
    /// The state of the files that was judged last, accepted or refused.
    pub(crate) judged: Option<State>,
    /// The secrets in use, by [`NonceSecrets::digest`].
    pub(crate) nonces_in_use: Option<[u8; 32]>,
    /// Told what came of them.
    pub(crate) reloads: Arc<Reloads>,
    pub(crate) clock: Clock,
}

impl Reloader {
    /// Runs until cancelled. A change is judged once two looks in a row agree on it, so that files that are
    /// just being copied are not; SIGHUP says that they are complete.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP cannot be watched; files still are");
                None
            }
        };
        let mut before = self.judged.clone();
        loop {
            let asked = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = wait(&mut hangup) => true,
            };
            if asked {
                self.reopen_records().await;
            }
            let path = self.path.clone();
            let read = tokio::task::spawn_blocking(move || Snapshot::read(&path));
            let Ok(found) = read.await else { continue };
            let state = Some(State::of(&found));
            let settled = state == before;
            before.clone_from(&state);
            if asked || (settled && state != self.judged) {
                self.judged = state;
                self.judge(found).await;
            }
            if let Some((rotation, recorder)) = self.rotation.as_mut().zip(self.recorder.as_ref()) {
                rotation.advance(recorder).await;
            }
        }
    }

    async fn reopen_records(&self) {
        let Some(recorder) = &self.recorder else { return };
        match tokio::time::timeout(REOPEN_WITHIN, recorder.reopen()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the record file could not be opened anew; the old one goes on");
            }
            Err(_elapsed) => tracing::error!("the record file did not open anew in time"),
        }
    }

    /// Goes over to what the files of the nonce secrets say. Where none is named, the process goes on with its own random one.
    fn renew_nonces(&mut self, found: Option<NonceSecrets>) {
        let Some(secrets) = found else { return };
        let digest = Some(secrets.digest());
        if digest != self.nonces_in_use {
            self.nonces_in_use = digest;
            self.reloads.nonces_replaced(secrets.marks());
            self.nonces.replace(secrets.into_nonces());
            tracing::info!("nonces are made and recognised with other secrets from now on");
        }
    }

    /// Switches to what the files say; a broken state never replaces a good one, and says so. So does a state
    /// that could only be taken in part: what needs a restart is refused whole.
    async fn judge(&mut self, found: Result<Snapshot, GenerationError>) {
        let number = self.current.load().number.saturating_add(1);
        let (fixed, issuers, streams) = (self.fixed, Arc::clone(&self.issuers), self.streams.clone());
        let (reached, named_before) = (self.redis.clone(), self.nonces_in_use.is_some());
        let signing = self.rotation.as_ref().map(Rotation::in_use).unwrap_or_default();
        let collectors = self.collectors.clone();
        // Thousands of policies take a second: not on the thread that serves metrics and accepts connections.
        let compiled = tokio::task::spawn_blocking(move || {
            let Snapshot {
                config,
                folder,
                nonces,
                redis,
                receipts,
                collectors: files,
                streams: secrets,
                digest: _,
            } = found?;
            // No file named any more would leave the secret of the last one in use, with the files saying otherwise.
            if fixed_part(&config) != fixed || (named_before && nonces.is_none()) {
                return Err(GenerationError::NeedsRestart);
            }
            let generation = compile(&config, &folder, number)?;
            // What may be refused comes first: the rest is gone over to as a whole.
            let redis = reached.zip(redis);
            let elsewhere = |source| StateError::Address { named: redis_named(&config), source };
            redis.iter().try_for_each(|(reached, anew)| reached.is_where(anew)).map_err(elsewhere)?;
            receipts.iter().try_for_each(|keys| keys.follow(&signing))?;
            let collectors = changed(&collectors, &config, files)?;
            let reached = issuers.renewal(config.issuers.iter().flat_map(IssuerConfig::transports))?;
            let listened = streams.as_ref().map(|streams| streams.renewal(&config.signals)).transpose()?;
            let mut renewed = reached.carry_out();
            renewed.extend(listened.into_iter().flat_map(Renewal::carry_out));
            let streams = streams.map(|streams| streams.renew_secrets(&config.signals, secrets));
            let keys = issuers.renew_keys(&config.issuers);
            let authorities = issuers.renew_authorities(&config.issuers);
            let redis = redis.is_some_and(|(reached, anew)| reached.renew(&anew) == Ok(true));
            let collectors = collectors.into_iter().map(|(at, reach)| at.replace(reach)).collect();
            let renewed = Renewed {
                connections: renewed,
                keys,
                authorities,
                collectors,
                streams: streams.unwrap_or_default(),
                redis,
            };
            Ok((generation, (renewed, nonces, receipts), FilesInForce::of(&config)))
        });
        let built = match compiled.await {
            Ok(built) => built,
            Err(error) => {
                metrics::reload(false);
                self.reloads.refused(
                    "the files could not be judged, by a mistake of ours".to_owned(),
                    (self.clock)(),
                );
                tracing::error!(%error, "reload failed; the last good generation stays");
                return;
            }
        };
        match built {
            Ok((generation, (renewed, nonces, receipts), files)) => {
                metrics::reload(true);
                self.renew_nonces(nonces);
                if let Some((rotation, keys)) = self.rotation.as_mut().zip(receipts) {
                    rotation.go_over(&keys);
                }
                renewed.tell();
                tell(&generation, files);
                self.current.store(Arc::new(generation));
                self.reloads.accepted(files, (self.clock)());
            }
            Err(error) => {
                metrics::reload(false);
                self.reloads.refused(error.first_line(), (self.clock)());
                tracing::error!(%error, "reload refused; the last good generation stays");
            }
        }
    }
}

/// The collectors whose files say something else, and how they are to be reached.
fn changed(
    collectors: &[Collector],
    config: &Config,
    files: Vec<CollectorFiles>,
) -> Result<Vec<(Collector, Reach)>, GenerationError> {
    let each = collectors.iter().zip(snapshot::collectors(config).zip(files));
    let changed = each.map(|(collector, (endpoint, files))| {
        let reach = collector.changed(endpoint, files).map_err(GenerationError::collector(endpoint))?;
        Ok(reach.map(|reach| (collector.clone(), reach)))
    });
    changed.filter_map(Result::transpose).collect()
}

/// Where the configuration has the address of Redis.
fn redis_named(config: &Config) -> PathBuf {
    match config.store.redis.as_ref().map(|redis| &redis.url) {
        Some(RedisUrl::File(file)) => file.clone(),
        Some(RedisUrl::Here(_)) | None => "store.redis.url".into(),
    }
}

/// What was gone over to beside the generation.
struct Renewed {
    /// Files that issuers and transmitters are reached with.
    connections: Vec<PathBuf>,
    /// Files of keys that issuers are asked with.
    keys: Vec<PathBuf>,
    /// Files of authorities by whose word tenants are known.
    authorities: Vec<PathBuf>,
    /// Collectors that are reached otherwise.
    collectors: Vec<Uri>,
    /// Streams of security events whose secrets are others.
    streams: Vec<String>,
    /// Whether Redis is reached with something else.
    redis: bool,
}

impl Renewed {
    fn tell(self) {
        for file in self.keys {
            tracing::info!(file = %file.display(), "changed; issuers are asked with the key in it from now on");
        }
        for file in self.connections {
            tracing::info!(file = %file.display(), "changed; issuers are reached with it from the next load of keys on");
        }
        for file in self.authorities {
            tracing::info!(file = %file.display(), "changed; tenants are known by the authorities in it from now on");
        }
        for collector in self.collectors {
            tracing::info!(%collector, "what a collector is reached with has changed; it counts from the next call on");
        }
        for stream in self.streams {
            tracing::info!(%stream, "secrets of a stream of security events have changed; they count from now on");
        }
        if self.redis {
            tracing::info!(
                "what Redis is reached with has changed; it counts for the next connection, and those that are open stay"
            );
        }
    }
}

async fn wait(hangup: &mut Option<Signal>) {
    match hangup {
        Some(signal) => {
            // None means that the signal's source is gone; then there is nothing more to wait for.
            if signal.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;

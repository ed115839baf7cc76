//! Generations: built from the files, checked as a whole, switched as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_audit::Recorder;
use exequatur_decide::{Generation, Routes};
use exequatur_policy::{Limits, PolicyFolder, PolicySet};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Config};
use crate::metrics;

/// How often the files are looked at. Contents are compared, not times, so that a switched symbolic link
/// (as Kubernetes mounts configuration) is seen too.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why the files do not make a generation.
#[derive(Debug, Error)]
pub enum GenerationError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] config::Problems),
    /// The policies or their schema.
    #[error("{0}")]
    Policy(#[from] exequatur_policy::Problems),
}

/// Builds the generation that a configuration and its policy folder describe.
///
/// # Errors
/// Every mistake of the first kind that has any: policies, then routes against them.
pub fn build(config: &Config, number: u64) -> Result<Generation, GenerationError> {
    let folder = PolicyFolder::read(&config.policies, Limits::default())?;
    let policies = PolicySet::load(&folder)?;
    let routes =
        Routes::compile(config.routes.clone(), config.protected.clone(), &policies, config.sender.least);
    let routes = routes.map_err(|problems| config.place_route_problems(&problems))?;
    let mut digest = Sha256::new();
    digest.update(config.digest);
    digest.update(policies.schema_hash());
    Ok(Generation { number, routes, policies, configuration: digest.finalize().into() })
}

/// A digest of what a running process cannot change: everything but routes, resources and policies.
pub(crate) fn fixed_part(config: &Config) -> [u8; 32] {
    let Config {
        listen,
        policies,
        protected: _,
        issuers,
        sender,
        store,
        routes: _,
        places: _,
        records,
        deadline,
        digest: _,
        source: _,
    } = config;
    let fixed = format!("{:?}", (listen, policies, issuers, sender, store, records, deadline));
    Sha256::digest(fixed.as_bytes()).into()
}

/// Watches the files and switches generations.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) current: Arc<ArcSwap<Generation>>,
    /// The static part of the configuration that the process runs with.
    pub(crate) fixed: [u8; 32],
    /// Told at SIGHUP to go on with a new file, where the old one was moved away.
    pub(crate) recorder: Option<Recorder>,
    /// What the files held when they were last judged.
    pub(crate) seen: Option<[u8; 32]>,
}

impl Reloader {
    /// Runs until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(signal) => Some(signal),
            Err(error) => {
                tracing::warn!(%error, "SIGHUP cannot be watched; files still are");
                None
            }
        };
        loop {
            let asked = tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = wait(&mut hangup) => true,
            };
            if asked
                && let Some(recorder) = &self.recorder
                && let Err(error) = recorder.reopen().await
            {
                tracing::error!(%error, "the record file could not be opened anew; the old one goes on");
            }
            let path = self.path.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || contents(&path)).await else { continue };
            if asked || (found.is_some() && found != self.seen) {
                self.seen = found;
                self.reload();
            }
        }
    }

    /// Switches to what the files say now; a broken state never replaces a good one, and says so.
    fn reload(&self) {
        let number = self.current.load().number.saturating_add(1);
        let built = config::load(&self.path).map_err(GenerationError::from).and_then(|config| {
            let generation = build(&config, number)?;
            Ok((fixed_part(&config), generation))
        });
        match built {
            Ok((fixed, generation)) => {
                if fixed != self.fixed {
                    tracing::warn!(
                        "listeners, issuers, store, records or sender limits changed: they need a restart"
                    );
                }
                let policies = generation.policies.content_hash().to_owned();
                self.current.store(Arc::new(generation));
                metrics::generation(number);
                metrics::reload("accepted");
                tracing::info!(generation = number, %policies, "generation switched");
            }
            Err(error) => {
                metrics::reload("refused");
                tracing::error!(%error, "reload refused; the last good generation stays");
            }
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

/// A digest over configuration and policy files, or none while they cannot be read.
pub(crate) fn contents(path: &Path) -> Option<[u8; 32]> {
    let text = std::fs::read(path).ok()?;
    let mut digest = Sha256::new();
    digest.update(&text);
    if let Ok(config) = config::load(path)
        && let Ok(folder) = PolicyFolder::read(&config.policies, Limits::default())
    {
        for source in folder.schema.iter().chain(&folder.policies) {
            digest.update(source.name.as_bytes());
            digest.update([0]);
            digest.update(source.text.as_bytes());
            digest.update([0]);
        }
    }
    Some(digest.finalize().into())
}

//! All configured issuers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use exequatur_token::IssuerName;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, ConfigProblem, HttpConfig, IssuerConfig, KeySource};
use crate::fetch::{self, Source};
use crate::issuer::{Issuer, IssuerStatus};
use crate::refresh::Refresher;

/// Wall time, as the process that serves reads it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A file is looked at this often, or as often as it is to be refreshed: that costs next to nothing.
const FILE_REFRESH: Duration = Duration::from_secs(2);

/// The issuers, by the `iss` of their tokens.
#[derive(Debug)]
pub struct Issuers {
    by_issuer: HashMap<String, Arc<Issuer>>,
}

/// The issuers cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum IssuersError {
    /// Nobody's token could be verified.
    #[error("no issuer is configured")]
    None,
    /// An issuer's configuration cannot be used.
    #[error("issuer {name}: {problem}")]
    Config {
        /// The issuer's name.
        name: IssuerName,
        /// The first thing that is wrong.
        problem: ConfigProblem,
    },
    /// Two issuers share a name or an `iss`, so that their ids, or their tokens, could be mistaken.
    #[error("issuer {0}: another one has the same name or the same `iss`")]
    Duplicate(IssuerName),
    /// There is no HTTP client: most likely the system has no trusted certificates.
    #[error("cannot make an HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Issuers {
    /// Starts one task per issuer on `tasks`; each loads its issuer's keys at once and then keeps them until
    /// `cancel`. Returns without waiting for any load.
    ///
    /// # Errors
    /// The configuration cannot be used. Nothing is started then.
    pub fn start(
        configs: Vec<IssuerConfig>,
        http: HttpConfig,
        clock: Clock,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Arc<Self>, IssuersError> {
        if configs.is_empty() {
            return Err(IssuersError::None);
        }
        let mut by_issuer = HashMap::new();
        let mut refreshers: Vec<Refresher> = Vec::new();
        let mut client = None;
        for config in configs {
            let name = config.profile.name.clone();
            let refresher = refresher(config, http, &mut client)?;
            let issuer = Arc::clone(&refresher.issuer);
            let same_name = refreshers.iter().any(|other| other.issuer.profile().name == name);
            if same_name || by_issuer.insert(issuer.profile().issuer.clone(), issuer).is_some() {
                return Err(IssuersError::Duplicate(name));
            }
            refreshers.push(refresher);
        }
        refreshers.into_iter().for_each(move |refresher| {
            tasks.spawn(refresher.run(Arc::clone(&clock), cancel.clone()));
        });
        Ok(Arc::new(Self { by_issuer }))
    }

    /// The issuer with exactly this `iss` (J02).
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.by_issuer.get(issuer)
    }

    /// Whether every issuer has keys that may be used at `now`.
    #[must_use]
    pub fn complete(&self, now: Timestamp) -> bool {
        self.by_issuer.values().all(|issuer| issuer.keys(now).is_ok())
    }

    /// All issuers' keys and loads, by name.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Vec<IssuerStatus> {
        let mut status: Vec<_> = self.by_issuer.values().map(|issuer| issuer.status(now)).collect();
        status.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        status
    }
}

/// The client is made for the first URL and shared: each holds all of the system's trusted certificates.
fn refresher(
    config: IssuerConfig,
    http: HttpConfig,
    shared: &mut Option<Client>,
) -> Result<Refresher, IssuersError> {
    let name = &config.profile.name;
    if let Some(problem) = config.problems().into_iter().next() {
        return Err(IssuersError::Config { name: name.clone(), problem });
    }
    let (source, every, retry) = match config.source {
        KeySource::Url { url } => {
            let url = config::parse(&url)
                .map_err(|problem| IssuersError::Config { name: name.clone(), problem })?;
            let client = match shared {
                Some(client) => client,
                None => shared
                    .insert(fetch::client(http.timeout).map_err(|error| IssuersError::Client(error.into()))?),
            };
            // Sooner than the next refresh, and no sooner than an unknown key id would.
            (Source::url(client.clone(), url, http), config.refresh, config.cooldown.min(config.refresh))
        }
        KeySource::File { path } => {
            let every = config.refresh.min(FILE_REFRESH);
            (Source::file(path, http), every, every)
        }
    };
    let signed = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
    let issuer = Arc::new(Issuer::new(config.profile, signed(config.cooldown), signed(config.max_stale)));
    Ok(Refresher { issuer, source, every, retry })
}

#[cfg(test)]
mod tests;

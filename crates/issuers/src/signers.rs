//! Those whose keys are kept: issuers of tokens, and others that sign.

use std::borrow::Borrow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exequatur_token::IssuerName;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address;
use crate::caller::Caller;
use crate::clients::{Anew, Clients, SharedClient};
use crate::config::{ConfigProblem, HttpConfig, KeySource, KeysConfig};
use crate::fetch::{Discovered, Source};
use crate::introspection::Lines;
use crate::kept_keys::{IssuerStatus, KeptKeys};
use crate::refresh::Refresher;
use crate::transport::{Reach, Transport};

/// Wall time, as the process that serves reads it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A file is looked at this often, or as often as it is to be refreshed: that costs next to nothing.
const FILE_REFRESH: Duration = Duration::from_secs(2);

/// The keys of signers, each kept by a task of its own.
#[derive(Debug)]
pub struct Signers {
    kept: Vec<Arc<KeptKeys>>,
    clients: Mutex<Clients>,
}

/// Connections that are to be made otherwise. As long as it is there, nobody else's are.
#[derive(Debug)]
#[must_use = "nothing has changed before it is carried out"]
pub struct Renewal<'a> {
    clients: MutexGuard<'a, Clients>,
    anew: Vec<Anew>,
}

impl Renewal<'_> {
    /// Goes over to them, from the next load of keys on. Names the files that had changed.
    #[must_use]
    pub fn carry_out(mut self) -> Vec<PathBuf> {
        self.clients.replace(self.anew)
    }
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
    /// A token that is no JWT could be this issuer's or another's: each needs a prefix of its own.
    #[error("issuer {0}: its opaque tokens cannot be told from another issuer's")]
    Ambiguous(IssuerName),
    /// There is no HTTP client: most likely the system has no trusted certificates.
    #[error("cannot make an HTTP client")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Signers {
    /// Starts one task per signer on `tasks`; each loads its keys at once and then keeps them until `cancel`. Returns
    /// without waiting for any load.
    ///
    /// # Errors
    /// The configuration cannot be used. Nothing is started then.
    pub fn start(
        configs: Vec<KeysConfig>,
        http: HttpConfig,
        clock: Clock,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Self, IssuersError> {
        let mut refreshers: Vec<Refresher> = Vec::new();
        let mut clients = Clients::new(http);
        for config in configs {
            let refresher = refresher(config, http, &mut clients)?;
            let name = refresher.issuer.name();
            if refreshers.iter().any(|other| other.issuer.name() == name) {
                return Err(IssuersError::Duplicate(name.clone()));
            }
            refreshers.push(refresher);
        }
        let kept = refreshers.iter().map(|refresher| Arc::clone(&refresher.issuer)).collect();
        refreshers.into_iter().for_each(move |refresher| {
            tasks.spawn(refresher.run(Arc::clone(&clock), cancel.clone()));
        });
        Ok(Self { kept, clients: Mutex::new(clients) })
    }

    /// Makes what is needed to go over to what the files of the signers' connections say now: `transports` are those of the
    /// signers that were started, read anew. Everything else of a signer stays as it was at the start.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn renewal<T: Borrow<Transport>>(
        &self,
        transports: impl IntoIterator<Item = T>,
    ) -> Result<Renewal<'_>, IssuersError> {
        let transports: Vec<_> = transports.into_iter().collect();
        let transports: Vec<_> = transports.iter().map(Borrow::borrow).collect();
        let clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let anew = clients.anew(&transports).map_err(no_client)?;
        Ok(Renewal { clients, anew })
    }

    /// Asks the signer that is reached like this for more than its keys.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn caller(&self, transport: &Transport) -> Result<Caller, IssuersError> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).caller(transport).map_err(no_client)
    }

    /// Clients for questions that decisions wait for.
    ///
    /// # Errors
    /// A client cannot be made.
    pub(crate) fn lines(&self, transport: &Transport) -> Result<Lines, IssuersError> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).lines(transport).map_err(no_client)
    }

    /// A client for what else is loaded from the signer that is reached like this.
    ///
    /// # Errors
    /// A client cannot be made.
    pub(crate) fn client(&self, transport: &Transport, reach: Reach) -> Result<SharedClient, IssuersError> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).get(transport, reach).map_err(no_client)
    }

    /// The signers, in the order of their configurations.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<KeptKeys>> {
        self.kept.iter()
    }

    /// A signer whose background task has ended, by a cancellation or a mistake of ours: its keys only grow older.
    #[must_use]
    pub fn unattended(&self) -> Option<&IssuerName> {
        self.kept.iter().find(|keys| !keys.is_attended()).map(|keys| keys.name())
    }

    /// All signers' keys and loads, by name.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Vec<IssuerStatus> {
        let mut status: Vec<_> = self.kept.iter().map(|keys| keys.status(now)).collect();
        status.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        status
    }
}

fn refresher(config: KeysConfig, http: HttpConfig, clients: &mut Clients) -> Result<Refresher, IssuersError> {
    let problems = config.problems();
    let name = config.name;
    let unusable = |problem| IssuersError::Config { name: name.clone(), problem };
    if let Some(problem) = problems.into_iter().next() {
        return Err(unusable(problem));
    }
    // Sooner than the next refresh, and no sooner than an unknown key id would.
    let retry = config.cooldown.min(config.refresh);
    let (source, every, retry) = match config.source {
        KeySource::Url { url } => {
            let url = address::parse(&url).map_err(ConfigProblem::Url).map_err(unusable)?;
            let client = clients.get(&config.transport, Reach::Anywhere).map_err(no_client)?;
            (Source::url(client, url, http), config.refresh, retry)
        }
        KeySource::Discovered { by } => {
            let issuer = config.issuer;
            let metadata = by.metadata_url(&issuer).map_err(ConfigProblem::Issuer).map_err(unusable)?;
            let discovered = Discovered {
                issuer,
                metadata,
                // A refresh that comes a tenth early reads it anew.
                keep: signed(config.refresh.mul_f64(0.9)),
                anywhere: clients.get(&config.transport, Reach::Anywhere).map_err(no_client)?,
                public_only: clients.get(&config.transport, Reach::PublicOnly).map_err(no_client)?,
                said: None,
            };
            (Source::discovered(discovered, http), config.refresh, retry)
        }
        KeySource::File { path } => {
            let every = config.refresh.min(FILE_REFRESH);
            (Source::file(path, http), every, every)
        }
    };
    let (cooldown, max_stale) = (signed(config.cooldown), signed(config.max_stale));
    let issuer = Arc::new(KeptKeys::new(name, config.algorithms, cooldown, max_stale));
    Ok(Refresher { issuer, source, every, retry })
}

pub(crate) fn no_client(error: reqwest::Error) -> IssuersError {
    IssuersError::Client(error.into())
}

fn signed(span: Duration) -> SignedDuration {
    SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX)
}

//! What is remembered: opened when the server starts, tended while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exequatur_store::{
    Address, AddressError, AdmissionStore, AttributeOpenError, AttributeStore, EmbeddedAttributes,
    EmbeddedOverrides, EmbeddedRevocations, EmbeddedStore, FolderError, Itself, MAX_ATTRIBUTES,
    MAX_OVERRIDES, OverrideOpenError, OverrideStore, QuotaFileError, RedisAttributes, RedisConfig,
    RedisOverrides, RedisRevocations, RedisStore, ReplicaName, RevocationError, RevocationHealth,
    RevocationLimits, RevocationOpenError, RevocationStore, Staleness, StateFolder, StoreError,
};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::config::{Config, Redis, RedisUrl, Store};
use crate::duties::Duties;
use crate::metrics;
use crate::replica;

/// How often quotas are written to the disk: what a crash may forget of them.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// How often attributes that are over are forgotten.
const TEND_ATTRIBUTES_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Why what is remembered cannot be opened.
#[derive(Debug, Error)]
pub enum StateError {
    /// The folder.
    #[error("{0}")]
    Folder(#[from] FolderError),
    /// The file of revocations.
    #[error("revocations: {0}")]
    Revocations(#[from] RevocationOpenError),
    /// The embedded store.
    #[error("{0}")]
    Embedded(#[from] StoreError),
    /// The file of quotas.
    #[error("quotas: {0}")]
    Quotas(#[from] QuotaFileError),
    /// The file of limits that are set otherwise.
    #[error("limits: {0}")]
    Overrides(#[from] OverrideOpenError),
    /// The file of attributes of subjects.
    #[error("attributes: {0}")]
    Attributes(#[from] AttributeOpenError),
    /// A file that the configuration names.
    #[error("{}: {source}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The address of Redis.
    #[error("{}: {source}", named.display())]
    Address {
        /// The file that it is in, or the key.
        named: PathBuf,
        /// Why.
        source: AddressError,
    },
}

/// Opens the store of used proofs and of limits, complete since `now` if it is in this process. Redis is not waited for.
///
/// # Errors
/// See [`StateError`].
pub(crate) fn open_store(store: &Store, now: Timestamp) -> Result<Arc<dyn AdmissionStore>, StateError> {
    Ok(match &store.redis {
        None => Arc::new(EmbeddedStore::new(store.replay, now)?),
        Some(redis) => Arc::new(RedisStore::new(redis_config(redis)?)),
    })
}

/// What Redis is reached with, as the files say now; and a digest of that.
///
/// # Errors
/// A file cannot be read, or does not hold what it should. Nothing of it is told.
pub(crate) fn redis_address(redis: &Redis) -> Result<(Address, [u8; 32]), StateError> {
    let (url, named) = match &redis.url {
        RedisUrl::Here(url) => (Zeroizing::new(url.clone()), Path::new("store.redis.url")),
        RedisUrl::File(file) => {
            let text = Zeroizing::new(String::from_utf8_lossy(&read(file)?).into_owned());
            (Zeroizing::new(text.trim().to_owned()), file.as_path())
        }
    };
    let ca = redis.ca_file.as_deref().map(read).transpose()?;
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(url.as_bytes()));
    digest.update(Sha256::digest(ca.as_deref().unwrap_or_default()));
    let address =
        if redis.cluster { Address::of_cluster(&url, ca) } else { Address::new(&url, &redis.sentinels, ca) };
    let address = address.map_err(|source| StateError::Address { named: named.to_owned(), source })?;
    Ok((address, digest.finalize().into()))
}

pub(crate) fn redis_config(redis: &Redis) -> Result<RedisConfig, StateError> {
    let (address, _said) = redis_address(redis)?;
    Ok(RedisConfig {
        address,
        prefix: redis.prefix.clone(),
        timeout: redis.timeout,
        bounds: redis.bounds,
        limits_without: redis.limits_without,
        replicas: redis.replicas,
    })
}

fn read(file: &Path) -> Result<Vec<u8>, StateError> {
    std::fs::read(file).map_err(|source| StateError::File { file: file.to_owned(), source })
}

/// What is remembered.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) revocations: Arc<dyn RevocationStore>,
    /// Limits that are set otherwise.
    pub(crate) overrides: Arc<dyn OverrideStore>,
    /// What signals have said of subjects.
    pub(crate) attributes: Arc<dyn AttributeStore>,
    /// Used proofs and limits.
    pub(crate) store: Arc<dyn AdmissionStore>,
    /// What Redis is reached with, where it is used.
    pub(crate) redis: Option<Address>,
    pub(crate) background: Background,
}

/// What has to run beside it.
#[derive(Debug)]
pub(crate) enum Background {
    /// Quotas that are kept on the disk.
    Quotas(Keeping),
    /// What comes from elsewhere.
    Feed(Arc<RedisRevocations>, Arc<RedisOverrides>, Arc<RedisAttributes>),
    /// Nothing.
    Nothing,
}

impl Background {
    /// Begins it.
    pub(crate) fn begin(self, duties: &Duties, clock: &Clock, stop: &CancellationToken) {
        match self {
            Self::Quotas(quotas) => duties.begin("quotas", stop, quotas.run(stop.clone())),
            Self::Feed(feed, overrides, attributes) => {
                let (time, stopped) = (Arc::clone(clock), stop.clone());
                duties.begin("revocations", stop, async move { feed.follow(time, stopped).await });
                let (time, stopped) = (Arc::clone(clock), stop.clone());
                duties.begin("limits", stop, async move { overrides.follow(time, stopped).await });
                let (time, stopped) = (Arc::clone(clock), stop.clone());
                duties.begin("attributes", stop, async move { attributes.follow(time, stopped).await });
            }
            Self::Nothing => {}
        }
    }
}

/// Opens all that is remembered: in Redis, which is not waited for, or in this process, and in one folder if there is one.
///
/// # Errors
/// [`StateError`]
pub(crate) fn open(config: &Config, now: Timestamp) -> Result<Opened, StateError> {
    let name = replica::name(config.replica.as_ref());
    match &config.store.redis {
        Some(redis) => open_redis(&config.store, redis, name),
        None => open_here(&config.store, name, now),
    }
}

fn open_here(config: &Store, name: Option<ReplicaName>, now: Timestamp) -> Result<Opened, StateError> {
    let folder = open_folder(config)?;
    let revocations = open_revocations(config, folder.clone(), name, now)?;
    let overrides = Arc::new(EmbeddedOverrides::open(folder.clone(), MAX_OVERRIDES)?);
    let attributes = Arc::new(EmbeddedAttributes::open(folder.clone(), MAX_ATTRIBUTES)?);
    let Some(folder) = folder else {
        let store = open_store(config, now)?;
        let background = Background::Nothing;
        return Ok(Opened { revocations, overrides, attributes, store, redis: None, background });
    };
    let store = open_embedded(config, folder, now)?;
    let quotas = Keeping { store: Arc::clone(&store), failing: false };
    let background = Background::Quotas(quotas);
    Ok(Opened { revocations, overrides, attributes, store, redis: None, background })
}

fn open_redis(config: &Store, redis: &Redis, name: Option<ReplicaName>) -> Result<Opened, StateError> {
    let configured = redis_config(redis)?;
    let address = configured.address.clone();
    let store = RedisStore::new(configured);
    let limits = RevocationLimits { max_revocations: config.max_revocations, ..RevocationLimits::default() };
    let span = |span: Duration| SignedDuration::try_from(span).unwrap_or(SignedDuration::ZERO);
    let usual = span(redis.max_staleness);
    let staleness = Staleness { usual, degraded: redis.degrade_for.map_or(SignedDuration::ZERO, span) };
    let mut feed = store.revocations(limits, staleness)?;
    if let Some(name) = name {
        feed = feed.named(name);
    }
    let feed = Arc::new(feed);
    let overrides = Arc::new(store.overrides(MAX_OVERRIDES));
    let attributes = Arc::new(store.attributes(MAX_ATTRIBUTES, staleness));
    Ok(Opened {
        revocations: Arc::<RedisRevocations>::clone(&feed),
        overrides: Arc::<RedisOverrides>::clone(&overrides),
        attributes: Arc::<RedisAttributes>::clone(&attributes),
        store: Arc::new(store),
        redis: Some(address),
        background: Background::Feed(feed, overrides, attributes),
    })
}

/// Opens the folder that the configuration names, if it names one.
///
/// # Errors
/// It cannot be used, or another process uses it.
fn open_folder(store: &Store) -> Result<Option<Arc<StateFolder>>, StateError> {
    Ok(store.path.as_deref().map(StateFolder::open).transpose()?.map(Arc::new))
}

/// Opens the embedded store, complete since `now`, with the quotas of a folder.
fn open_embedded(
    store: &Store,
    folder: Arc<StateFolder>,
    now: Timestamp,
) -> Result<Arc<EmbeddedStore>, StateError> {
    let (opened, found) = EmbeddedStore::new(store.replay, now)?.with_quotas_in(folder, now)?;
    if found.unreadable > 0 {
        let unreadable = found.unreadable;
        tracing::warn!(
            unreadable,
            "the file of quotas held records that cannot be read; what they counted is lost"
        );
    }
    tracing::info!(quotas = found.quotas, "quotas loaded");
    Ok(Arc::new(opened))
}

/// Keeps quotas on the disk, where there is a folder for them, and tells when that fails.
#[derive(Debug)]
pub(crate) struct Keeping {
    store: Arc<EmbeddedStore>,
    failing: bool,
}

impl Keeping {
    /// Writes about once a second what changed, and the rest when it is to stop.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(KEEP_EVERY) => {}
            }
            self.keep().await;
        }
        self.keep().await;
    }

    async fn keep(&mut self) {
        let store = Arc::clone(&self.store);
        let kept = tokio::task::spawn_blocking(move || store.keep_quotas()).await;
        match kept.unwrap_or(Err(QuotaFileError::Poisoned)) {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                tracing::error!(%error, "quotas are not kept on the disk: a restart forgets what is charged now");
                self.failing = true;
            }
            Err(_told) => {}
        }
    }
}

/// Opens the revocations that the configuration names.
///
/// # Errors
/// What was revoked cannot be known.
fn open_revocations(
    store: &Store,
    folder: Option<Arc<StateFolder>>,
    name: Option<ReplicaName>,
    now: Timestamp,
) -> Result<Arc<dyn RevocationStore>, StateError> {
    let limits = RevocationLimits { max_revocations: store.max_revocations, ..RevocationLimits::default() };
    let mut revocations = EmbeddedRevocations::open(folder, limits, now)?;
    if let Some(name) = name {
        revocations = revocations.named(name);
    }
    if let Some(torn) = revocations.torn() {
        tracing::warn!(
            offset = torn.offset,
            bytes = torn.bytes,
            "the file of revocations ended in a change that was never acknowledged; it was cut"
        );
    }
    tracing::info!(revocations = revocations.snapshot().len(), "revocations loaded");
    Ok(Arc::new(revocations))
}

/// Keeps the revocations tidy, and tells what is wrong with what is kept.
#[derive(Debug)]
pub(crate) struct Tending {
    revocations: Arc<dyn RevocationStore>,
    overrides: Arc<dyn OverrideStore>,
    attributes: Arc<dyn AttributeStore>,
    /// When attributes were tended last.
    tended: Option<Timestamp>,
    told: Option<RevocationHealth>,
}

impl Tending {
    pub(crate) fn new(
        revocations: Arc<dyn RevocationStore>,
        overrides: Arc<dyn OverrideStore>,
        attributes: Arc<dyn AttributeStore>,
    ) -> Self {
        Self { revocations, overrides, attributes, tended: None, told: None }
    }

    pub(crate) fn revocations(&self) -> &dyn RevocationStore {
        self.revocations.as_ref()
    }

    /// This process among the replicas.
    pub(crate) fn itself(&self) -> &Itself {
        self.revocations.itself()
    }

    /// How many limits are set otherwise, if that is known.
    pub(crate) fn overrides_known(&self) -> Option<usize> {
        self.overrides.overrides().known().ok().map(|known| known.count())
    }

    /// How many attributes subjects have, if that is known.
    pub(crate) fn attributes_known(&self, now: Timestamp) -> Option<usize> {
        let subjects = self.attributes.subjects();
        subjects.unknown(now).is_none().then(|| subjects.count())
    }

    /// Whether it is known what is revoked, which limits are set otherwise, and what signals have said.
    pub(crate) fn known(&self, now: Timestamp) -> bool {
        self.revocations.snapshot().unknown(now).is_none()
            && self.overrides.overrides().known().is_ok()
            && self.attributes.subjects().unknown(now).is_none()
    }

    /// All of them are looked through: once a minute.
    fn tend_attributes(&mut self, now: Timestamp) {
        metrics::attributes(self.attributes.subjects().count());
        if self.tended.is_some_and(|last| now.duration_since(last).abs() < TEND_ATTRIBUTES_EVERY) {
            return;
        }
        self.tended = Some(now);
        if let Err(error) = self.attributes.tend(now) {
            tracing::error!(%error, "attributes of subjects are not tended");
        }
    }

    /// Forgets a part of what is over, and measures.
    pub(crate) async fn tend(&mut self, now: Timestamp) {
        match self.revocations.tend(now).await {
            // When changes crowd, there is time for this later.
            Ok(()) | Err(RevocationError::Busy) => {}
            Err(error) => tracing::error!(%error, "revocations are not tended"),
        }
        self.tend_attributes(now);
        let health = self.revocations.health();
        let snapshot = self.revocations.snapshot();
        metrics::revocations(&metrics::Known {
            entries: health.entries,
            position: health.position.0,
            age: snapshot.silence(now),
            known: snapshot.unknown(now).is_none(),
            degraded: snapshot.is_degraded(now),
            not_kept: health.broken.is_some(),
        });
        if let Ok(known) = self.overrides.overrides().known() {
            metrics::overrides(known.count());
        }
        let before = self.told.replace(health);
        let before = |of: fn(&RevocationHealth) -> Option<std::io::ErrorKind>| before.as_ref().and_then(of);
        if let Some(cause) = health.broken
            && before(|health| health.broken).is_none()
        {
            tracing::error!(%cause, "revocations are not written to the disk any more: mend it and restart");
        }
        if let Some(cause) = health.not_compacted
            && before(|health| health.not_compacted) != Some(cause)
        {
            tracing::warn!(%cause, "the file of revocations could not be written anew; it grows");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_opened_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { path: Some(folder.path().join("state")), ..Store::default() };
        let now = Timestamp::UNIX_EPOCH;
        let Opened { revocations, overrides, attributes, store: used, redis: _, background } =
            open_here(&store, None, now).unwrap();
        let taken = || matches!(open_folder(&store), Err(StateError::Folder(FolderError::InUse(_))));
        assert!(taken());
        assert!(matches!(background, Background::Quotas(_)));
        drop((used, background));
        assert!(taken());
        drop(revocations);
        assert!(taken());
        drop(overrides);
        assert!(taken());
        drop(attributes);
        assert!(open_folder(&store).is_ok());
    }
}

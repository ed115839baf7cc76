//! What `doctor` asks of the outside, by the server's own clients; and whether what is read at the start can be. Nothing is
//! judged here, and nothing changed.

use std::sync::Arc;
use std::time::Duration;

use exequatur_audit::{PublicKeys, SigningKey};
use exequatur_issuers::{HttpConfig, IssuerStatus, Issuers, told_time};
use exequatur_store::{Examination, StoreError};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::{Config, TlsFiles};
use crate::nonce_secrets::nonces;
use crate::serve::ServeError;
use crate::state::{StateError, redis_config};
use crate::tls::{Certificates, TlsError, WithoutCertificate};
use crate::trial::wait_for_keys;

/// How another clock stands to this one.
#[derive(Clone, Debug)]
pub struct ToldTime {
    /// Whose: an issuer's name.
    pub whose: String,
    /// What it says, cut to seconds.
    pub told: Timestamp,
    /// When it was asked.
    pub asked: Timestamp,
    /// When it had answered.
    pub answered: Timestamp,
}

/// The issuers' keys, loaded for this question only, and their servers' clocks.
///
/// # Errors
/// The issuers cannot be started. Keys that cannot be loaded are told in the status.
pub async fn examine_issuers(config: &Config) -> Result<(Vec<IssuerStatus>, Vec<ToldTime>), ServeError> {
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let http = HttpConfig::default();
    let issuers = Issuers::start(config.issuers.clone(), http, Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let status = issuers.status(clock());
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let mut times = Vec::new();
    for issuer in &config.issuers {
        let asked = clock();
        if let Some(told) = told_time(&issuer.keys(), http).await {
            times.push(ToldTime { whose: issuer.profile.name.to_string(), told, asked, answered: clock() });
        }
    }
    Ok((status, times))
}

/// What the store's servers say of themselves; nothing if it is in this process.
///
/// # Errors
/// The address cannot be used. That nobody answers is the inner error.
pub async fn examine_redis(
    config: &Config,
    within: Duration,
) -> Option<Result<Result<Vec<Examination>, StoreError>, StateError>> {
    let redis = config.store.redis.as_ref()?;
    Some(match redis_config(redis) {
        Ok(redis) => Ok(exequatur_store::examine(&redis.address, &redis.prefix, within).await),
        Err(error) => Err(error),
    })
}

/// Whether a listener can be served with these files.
///
/// # Errors
/// [`TlsError`]
pub fn examine_tls(files: &TlsFiles) -> Result<(), TlsError> {
    Certificates::load(files.clone(), WithoutCertificate::LetIn, &[]).map(|_usable| ())
}

/// Whether the secrets of nonces can be used.
///
/// # Errors
/// What is wrong, without the secret.
pub fn examine_nonce_secrets(config: &Config) -> Result<(), String> {
    nonces(&config.sender).map(|_usable| ()).map_err(|error| error.to_string())
}

/// Whether the key of checkpoints can be used, and beside those before it.
///
/// # Errors
/// What is wrong, without the key.
pub fn examine_receipt_key(config: &Config) -> Result<(), String> {
    let Some(records) = &config.records else { return Ok(()) };
    let Some(file) = &records.checkpoints.key_file else { return Ok(()) };
    let told = |file: &std::path::Path, error: String| format!("{}: {error}", file.display());
    let key = SigningKey::read(file, records.checkpoints.key_id.as_deref())
        .map_err(|error| told(file, error.to_string()))?;
    let Some(previous) = &records.checkpoints.previous_keys_file else { return Ok(()) };
    let earlier = PublicKeys::read(previous).map_err(|error| told(previous, error.to_string()))?;
    PublicKeys::of(&key, Some(earlier)).map_err(|error| told(previous, error.to_string()))?;
    Ok(())
}

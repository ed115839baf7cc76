//! Records as evidence: the file, the key that signs its checkpoints, the public keys to check them with.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::header;
use axum::routing::get;
use exequatur_audit::{
    AuditError, Checkpoints, DigestKey, DigestKeyError, Head, KeyError, Progress, PublicKeys, Recorder,
    Redaction, Sealing, SigningKey,
};
use exequatur_store::ReplicaName;
use jiff::SignedDuration;
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{RecordCheckpoints, RecordRedaction, Records};
use crate::metrics;
use crate::sinks::{self, SinkError};

/// Where the public keys are, on the public listener.
const KEYS: &str = "/.well-known/exequatur-receipt-keys";
/// Records that may wait for the file.
const QUEUE: usize = 8192;

/// Why records cannot be kept as the configuration says.
#[derive(Debug, Error)]
pub enum ReceiptsError {
    /// The file.
    #[error(transparent)]
    File(#[from] AuditError),
    /// A sink.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A key of checkpoints.
    #[error("{}: {source}", file.display())]
    Key {
        /// Which.
        file: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// The key of digests.
    #[error("{}: {source}", file.display())]
    DigestKey {
        /// Which.
        file: PathBuf,
        /// Why.
        source: DigestKeyError,
    },
}

/// Begins a run. Also what shows the public keys.
///
/// # Errors
/// [`ReceiptsError`]
pub(crate) fn open(
    records: &Records,
    replica: Option<&ReplicaName>,
    clock: &Clock,
) -> Result<(Recorder, Router), ReceiptsError> {
    let Records { file, mode, checkpoints, redaction: _, sinks } = records;
    let RecordCheckpoints { key_file, key_id, previous_keys_file, every, records } = checkpoints;
    let failed = |file: &Path| {
        let file = file.to_owned();
        |source| ReceiptsError::Key { file, source }
    };
    let key = key_file.as_deref().map(|file| SigningKey::read(file, key_id.as_deref()).map_err(failed(file)));
    let key = key.transpose()?;
    let previous = previous_keys_file.as_deref();
    let public = key.as_ref().map(|key| {
        let earlier = previous.map(|file| PublicKeys::read(file).map_err(failed(file))).transpose()?;
        // Where there are no earlier ones, none has the id of another.
        PublicKeys::of(key, earlier).map_err(failed(previous.unwrap_or_else(|| Path::new(""))))
    });
    let router = public.transpose()?.map_or_else(Router::new, |keys| published(&keys));
    let every = SignedDuration::try_from(*every).unwrap_or(Checkpoints::EVERY);
    let checkpoints = Checkpoints { key, every, records: *records };
    if checkpoints.key.is_none() {
        tracing::info!("without records.checkpoints.key_file, whoever can write the records can forge them");
    }
    let queue = NonZeroUsize::new(QUEUE).unwrap_or(NonZeroUsize::MIN);
    let sealing = Sealing { checkpoints, clock: clock.clone() };
    let sinks = sinks::open(sinks, replica, clock)?;
    let recorder = Recorder::open_with(file.as_deref(), *mode, queue, sealing, sinks)?;
    Ok((recorder, router))
}

/// How things are shown in records.
///
/// # Errors
/// The key of digests.
pub(crate) fn redaction(records: Option<&Records>) -> Result<Redaction, ReceiptsError> {
    let Some(records) = records else { return Ok(Redaction::default()) };
    let RecordRedaction { digest_key_file, user, agent, tenant, peer, token, arguments } = &records.redaction;
    let key = digest_key_file.as_deref().map(|file| {
        DigestKey::read(file).map_err(|source| ReceiptsError::DigestKey { file: file.to_owned(), source })
    });
    Ok(Redaction {
        user: *user,
        agent: *agent,
        tenant: *tenant,
        peer: *peer,
        token: *token,
        arguments: *arguments,
        key: key.transpose()?,
    })
}

fn published(keys: &PublicKeys) -> Router {
    let body = keys.jwks().to_string();
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=300")];
    Router::new().route(KEYS, get(move || async move { (headers, body) }))
}

/// Tells how far the records have come.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    told: Option<Head>,
}

impl Watch {
    /// Lets a checkpoint be written that is due, and tells of the last one: what is in this log and not in the file is the
    /// witness of a file that was cut.
    pub(crate) fn look(&mut self, recorder: &Recorder) {
        recorder.tick();
        self.tell(recorder);
    }

    /// Tells of the last checkpoint, if it has not been told of.
    pub(crate) fn tell(&mut self, recorder: &Recorder) {
        let Progress { written, commits, checkpoint } = recorder.progress();
        metrics::records(written, commits, checkpoint.as_ref().map_or(0, |head| head.link.seq));
        if let Some(head) = checkpoint.filter(|head| self.told.as_ref() != Some(head)) {
            let Head { writer, link, signed } = &head;
            metrics::checkpoint(*signed);
            tracing::info!(%writer, head = %link, signed, "checkpoint of the records");
            self.told = Some(head);
        }
    }
}

#[cfg(test)]
mod tests;

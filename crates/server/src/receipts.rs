//! Records as evidence: the file, the key that signs its checkpoints, the public keys to check them with.

mod keys;
mod rotation;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use axum::Router;
use exequatur_audit::{
    AuditError, Checkpoints, DigestKey, DigestKeyError, Head, KeyError, Progress, Recorder, Redaction,
    Sealing,
};
use exequatur_store::ReplicaName;
use jiff::SignedDuration;
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{RecordRedaction, Records};
use crate::metrics;
use crate::otlp::Collector;
use crate::sinks::{self, SinkError};
pub(crate) use keys::ReceiptKeys;
pub(crate) use rotation::Rotation;

/// Records that may wait for the file.
const QUEUE: usize = 8192;

/// Why records cannot be kept as the configuration says.
#[derive(Debug, Error)]
pub enum ReceiptsError {
    /// The file.
    #[error(transparent)]
    File(#[from] AuditError),
    /// The file, at the stop.
    #[error("the file did not take what waited for it in time: the last decisions may not be in it")]
    Hangs,
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
    /// A key that takes the place of one which nobody could check any more.
    #[error(
        "{}: another key, and the one in use until now (`{before}`) is not in `previous_keys_file`: what it signed could not be verified. Put its public half there; a restart would not ask for it",
        file.display()
    )]
    Forgotten {
        /// The new key's.
        file: PathBuf,
        /// The id of the one in use.
        before: String,
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

/// A run that has begun; none by default, where nothing is recorded.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    pub(crate) recorder: Option<Recorder>,
    /// Shows the public keys, where there are any.
    pub(crate) router: Router,
    pub(crate) rotation: Option<Rotation>,
    /// The collectors among the sinks, in the order of the configuration.
    pub(crate) collectors: Vec<Collector>,
}

/// Begins a run.
///
/// # Errors
/// [`ReceiptsError`]
pub(crate) fn open(
    records: &Records,
    replica: Option<&ReplicaName>,
    clock: &Clock,
) -> Result<Receipts, ReceiptsError> {
    let Records { file, mode, checkpoints, redaction: _, sinks } = records;
    let keys = ReceiptKeys::read(checkpoints)?;
    let every = SignedDuration::try_from(checkpoints.every).unwrap_or(Checkpoints::EVERY);
    let key = keys.as_ref().map(|keys| keys.signing().clone());
    let checkpoints = Checkpoints { key, every, records: checkpoints.records };
    if checkpoints.key.is_none() {
        tracing::info!("without records.checkpoints.key_file, whoever can write the records can forge them");
    }
    let queue = NonZeroUsize::new(QUEUE).unwrap_or(NonZeroUsize::MIN);
    let sealing = Sealing { checkpoints, clock: clock.clone() };
    let (sinks, collectors) = sinks::open(sinks, replica, clock)?;
    let recorder = Recorder::open_with(file.as_deref(), *mode, queue, sealing, sinks)?;
    let rotation = keys.as_ref().map(Rotation::new);
    let router = rotation.as_ref().map_or_else(Router::new, Rotation::router);
    Ok(Receipts { recorder: Some(recorder), router, rotation, collectors })
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

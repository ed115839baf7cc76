//! Records as evidence: the file, the key that signs its checkpoints, the public keys to check them with.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use exequatur_audit::{
    AuditError, Checkpoints, DigestKey, DigestKeyError, Head, KeyError, Progress, PublicKeys, Recorder,
    Redaction, Sealing, SigningKey,
};
use exequatur_store::ReplicaName;
use jiff::SignedDuration;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::clock::Clock;
use crate::config::{RecordCheckpoints, RecordRedaction, Records};
use crate::metrics;
use crate::otlp::Collector;
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
    /// A key that takes the place of one which nobody could check any more.
    #[error(
        "{}: another key, and the one in use until now (`{before}`) is not in `previous_keys_file`: what it signed could not be verified. Put its public half there",
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

/// What signs checkpoints, and what they are checked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReceiptKeys {
    file: PathBuf,
    signing: SigningKey,
    public: PublicKeys,
}

impl ReceiptKeys {
    /// Reads the files, where a key is named.
    ///
    /// # Errors
    /// [`ReceiptsError::Key`]
    pub(crate) fn read(checkpoints: &RecordCheckpoints) -> Result<Option<Self>, ReceiptsError> {
        let RecordCheckpoints { key_file, key_id, previous_keys_file, every: _, records: _ } = checkpoints;
        let failed = |file: &Path| {
            let file = file.to_owned();
            |source| ReceiptsError::Key { file, source }
        };
        let Some(file) = key_file.as_deref() else { return Ok(None) };
        let signing = SigningKey::read(file, key_id.as_deref()).map_err(failed(file))?;
        let previous = previous_keys_file.as_deref();
        let earlier = previous.map(|file| PublicKeys::read(file).map_err(failed(file))).transpose()?;
        // Where there are no earlier ones, none has the id of another.
        let public =
            PublicKeys::of(&signing, earlier).map_err(failed(previous.unwrap_or_else(|| Path::new(""))))?;
        Ok(Some(Self { file: file.to_owned(), signing, public }))
    }

    /// Of all public keys, and of which one signs.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.signing.id());
        digest.update(self.public.jwks().to_string());
        digest.finalize().into()
    }
}

/// The keys in use, for all that ask for them.
#[derive(Clone, Debug)]
pub(crate) struct KeysInUse(Arc<ArcSwap<Shown>>);

#[derive(Debug)]
struct Shown {
    keys: ReceiptKeys,
    /// The public ones, as a JWK set.
    body: Bytes,
}

impl Shown {
    fn of(keys: ReceiptKeys) -> Self {
        let body = keys.public.jwks().to_string().into();
        Self { keys, body }
    }
}

impl KeysInUse {
    fn new(keys: ReceiptKeys) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Shown::of(keys))))
    }

    /// Whether what was signed until now can be verified with what `keys` shows.
    ///
    /// # Errors
    /// [`ReceiptsError::Forgotten`]
    pub(crate) fn admits(&self, keys: &ReceiptKeys) -> Result<(), ReceiptsError> {
        let used = &self.0.load().keys.signing;
        if keys.public.has(used) {
            return Ok(());
        }
        Err(ReceiptsError::Forgotten { file: keys.file.clone(), before: used.id().to_owned() })
    }

    /// Shows these from now on. Gives the key to sign with, if it is another one.
    pub(crate) fn replace(&self, keys: ReceiptKeys) -> Option<SigningKey> {
        let used = self.0.load();
        if used.keys == keys {
            return None;
        }
        let another = (used.keys.signing != keys.signing).then(|| keys.signing.clone());
        self.0.store(Arc::new(Shown::of(keys)));
        another
    }

    /// Where they are shown.
    fn router(&self) -> Router {
        Router::new().route(KEYS, get(shown)).with_state(self.clone())
    }
}

async fn shown(State(KeysInUse(keys)): State<KeysInUse>) -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, keys.load().body.clone())
}

/// A run that has begun; none by default, where nothing is recorded.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    pub(crate) recorder: Option<Recorder>,
    /// Shows the public keys, where there are any.
    pub(crate) router: Router,
    pub(crate) keys: Option<KeysInUse>,
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
    let key = keys.as_ref().map(|keys| keys.signing.clone());
    let checkpoints = Checkpoints { key, every, records: checkpoints.records };
    if checkpoints.key.is_none() {
        tracing::info!("without records.checkpoints.key_file, whoever can write the records can forge them");
    }
    let queue = NonZeroUsize::new(QUEUE).unwrap_or(NonZeroUsize::MIN);
    let sealing = Sealing { checkpoints, clock: clock.clone() };
    let (sinks, collectors) = sinks::open(sinks, replica, clock)?;
    let recorder = Recorder::open_with(file.as_deref(), *mode, queue, sealing, sinks)?;
    let keys = keys.map(KeysInUse::new);
    let router = keys.as_ref().map_or_else(Router::new, KeysInUse::router);
    Ok(Receipts { recorder: Some(recorder), router, keys, collectors })
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

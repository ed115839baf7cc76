//! What came of the files last: which are in force since when, and which were refused.

use std::path::Path;
use std::sync::Mutex;

use exequatur_admin::status::FailedReload;
use exequatur_admin::wire::When;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::generations::GenerationError;
use crate::nonce_secrets::NonceMarks;
use crate::receipts::ReceiptsError;
use crate::security_events::SignalsError;
use crate::state::StateError;

/// What the reloader tells of itself.
#[derive(Debug)]
pub(crate) struct Reloads(Mutex<Known>);

#[derive(Debug, Clone)]
struct Known {
    files: FilesInForce,
    since: Timestamp,
    failed: Option<FailedReload>,
    nonces: Option<NonceMarks>,
}

/// Digests of the configuration in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FilesInForce {
    configuration: [u8; 32],
    rules: [u8; 32],
}

impl FilesInForce {
    pub(crate) fn of(config: &Config) -> Self {
        Self { configuration: config.digest, rules: config.rules }
    }

    /// A number of what decides, with the policies of this hash: small enough for a metric, and no secret of anybody's.
    pub(crate) fn fingerprint(&self, policies: &str) -> u32 {
        let mut digest = Sha256::new();
        digest.update(self.rules);
        digest.update(policies);
        let [first, second, third, fourth, ..] = <[u8; 32]>::from(digest.finalize());
        u32::from_be_bytes([first, second, third, fourth])
    }
}

/// Where the generation in force comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// SHA-256 of the configuration file, in hexadecimal digits.
    pub(crate) configuration: String,
    /// The same of what of it decides.
    pub(crate) rules: String,
    pub(crate) since: Timestamp,
    pub(crate) failed: Option<FailedReload>,
    /// Of the secrets of nonces in use; none of a random one.
    pub(crate) nonces: Option<NonceMarks>,
}

impl Reloads {
    /// What the process started with.
    pub(crate) fn started(config: &Config, nonces: Option<NonceMarks>, now: Timestamp) -> Self {
        Self(Mutex::new(Known { files: FilesInForce::of(config), since: now, failed: None, nonces }))
    }

    pub(crate) fn nonces_replaced(&self, nonces: NonceMarks) {
        if let Ok(mut known) = self.0.lock() {
            known.nonces = Some(nonces);
        }
    }

    pub(crate) fn accepted(&self, files: FilesInForce, now: Timestamp) {
        if let Ok(mut known) = self.0.lock() {
            *known = Known { files, since: now, failed: None, nonces: known.nonces };
        }
    }

    pub(crate) fn refused(&self, error: String, now: Timestamp) {
        if let Ok(mut known) = self.0.lock() {
            known.failed = Some(FailedReload { at: When(now), error });
        }
    }

    /// None if a thread failed while it told of itself.
    pub(crate) fn source(&self) -> Option<Source> {
        let Known { files, since, failed, nonces } = self.0.lock().ok()?.clone();
        let digits = |digest: [u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let (configuration, rules) = (digits(files.configuration), digits(files.rules));
        Some(Source { configuration, rules, since, failed, nonces })
    }
}

impl GenerationError {
    /// What it says, with the file's name in place of its path.
    fn named(&self, file: Option<&Path>) -> String {
        let name = file.and_then(|file| file.file_name().map(|name| (file, name.to_string_lossy())));
        let told = self.to_string();
        name.map_or_else(|| told.clone(), |(file, name)| told.replace(&*file.to_string_lossy(), &name))
    }

    /// The first mistake in one line: where it is, and what; nothing of what the file says beside it.
    pub(crate) fn first_line(&self) -> String {
        let name = |path: &Path| {
            path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
        };
        match self {
            Self::Config(problems) => {
                let Some(first) = problems.iter().next() else { return self.to_string() };
                let line = first.place.map_or_else(String::new, |place| format!(":{}", place.line));
                format!("{}{line}: {}", name(problems.path()), first.message)
            }
            Self::Policy(problems) => {
                problems.iter().next().map_or_else(|| self.to_string(), ToString::to_string)
            }
            Self::NonceSecrets(error) => error.first_line(),
            Self::Store(StateError::File { file, source }) => format!("{}: {source}", name(file)),
            Self::Store(StateError::Address { named, source }) => format!("{}: {source}", name(named)),
            Self::Signals(SignalsError::Secret { file, error }) => format!("{}: {error}", name(file)),
            Self::Receipts(ReceiptsError::Forgotten { file, .. }) => self.named(Some(file)),
            Self::Collector { source, .. } => self.named(source.file()),
            Self::Receipts(ReceiptsError::Key { file, source }) => format!("{}: {source}", name(file)),
            Self::NeedsRestart | Self::Issuers(_) | Self::Store(_) | Self::Receipts(_) | Self::Signals(_) => {
                self.to_string()
            }
        }
    }
}

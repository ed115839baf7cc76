//! The files at one moment, and whether another look finds them so.

use std::path::Path;

use exequatur_issuers::{ClientKey, IssuerConfig, Transport};
use exequatur_policy::{Limits, PolicyFolder};
use exequatur_store::Address;
use sha2::{Digest as _, Sha256};

use super::{GenerationError, tenant_authorities};
use crate::config::{self, Config, OtlpEndpoint, SinkPlace};
use crate::nonce_secrets::{NonceMarks, NonceSecrets};
use crate::otlp::CollectorFiles;
use crate::receipts::ReceiptKeys;
use crate::security_events::StreamSecrets;
use crate::state::redis_address;

/// What the files said at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// SHA-256 over configuration and policies, or over what is wrong with them.
    digest: [u8; 32],
    /// How issuers and transmitters are reached, also to be asked about tokens: with the files that the configuration names for that.
    transports: Vec<Transport>,
    /// What we show them who we are with.
    keys: Vec<Option<ClientKey>>,
    /// [`NonceSecrets::digest`]
    pub(crate) nonces: Option<[u8; 32]>,
}

impl State {
    pub(super) fn of(found: &Result<Snapshot, GenerationError>) -> Self {
        match found {
            Ok(snapshot) => snapshot.state(),
            // Two different mistakes are two different states, and each is told.
            Err(error) => Self {
                digest: Sha256::digest(error.to_string().as_bytes()).into(),
                transports: Vec::new(),
                keys: Vec::new(),
                nonces: None,
            },
        }
    }
}

/// The files at one moment: what is judged is what was read, once.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) config: Config,
    pub(crate) folder: PolicyFolder,
    /// The secrets of nonces, where their files are named.
    pub(super) nonces: Option<NonceSecrets>,
    /// What Redis is reached with, where it is used.
    pub(super) redis: Option<Address>,
    /// What checkpoints are signed with, where they are.
    pub(super) receipts: Option<ReceiptKeys>,
    /// What the collectors are reached with, in the order of the configuration.
    pub(super) collectors: Vec<CollectorFiles>,
    /// What streams of security events are known by, in the order of the configuration.
    pub(super) streams: Vec<StreamSecrets>,
    /// SHA-256 over the texts of configuration and policies, the authorities of tenants, what Redis and collectors are reached with,
    /// the public keys of checkpoints, and the secrets of streams.
    pub(super) digest: [u8; 32],
}

impl Snapshot {
    /// Reads configuration and policy folder.
    ///
    /// # Errors
    /// Every mistake in the configuration; files that cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, GenerationError> {
        let config = config::load(path)?;
        let folder = PolicyFolder::read(&config.policies, Limits::default())?;
        let mut digest = Sha256::new();
        digest.update(config.digest);
        for source in folder.schema.iter().chain(&folder.policies) {
            for part in [source.name.as_bytes(), source.text.as_bytes()] {
                digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                digest.update(part);
            }
        }
        for authorities in tenant_authorities(&config) {
            digest.update(authorities.digest());
        }
        let nonces = NonceSecrets::read(config.sender.nonce_secret.as_ref())?;
        let redis = config.store.redis.as_ref().map(redis_address).transpose()?;
        if let Some((_, said)) = &redis {
            digest.update(said);
        }
        let redis = redis.map(|(address, _)| address);
        let checkpoints = config.records.as_ref().map(|records| &records.checkpoints);
        let receipts = checkpoints.map(ReceiptKeys::read).transpose()?.flatten();
        digest.update(receipts.as_ref().map_or_else(Default::default, ReceiptKeys::digest));
        let read = |config| CollectorFiles::read(config).map_err(GenerationError::collector(config));
        let collectors: Vec<_> = collectors(&config).map(read).collect::<Result<_, _>>()?;
        collectors.iter().for_each(|files| digest.update(files.digest()));
        let streams: Vec<_> = config.signals.iter().map(StreamSecrets::read).collect::<Result<_, _>>()?;
        streams.iter().for_each(|secrets| digest.update(secrets.digest()));
        let digest = digest.finalize().into();
        Ok(Self { config, folder, nonces, redis, receipts, collectors, streams, digest })
    }

    pub(crate) fn nonce_marks(&self) -> Option<NonceMarks> {
        self.nonces.as_ref().map(NonceSecrets::marks)
    }

    pub(crate) fn state(&self) -> State {
        let issuers = self.config.issuers.iter().flat_map(IssuerConfig::transports);
        let streams = self.config.signals.iter().map(|stream| stream.keys.transport.clone());
        let transports = issuers.chain(streams).collect();
        let keys = self.config.issuers.iter().map(|issuer| issuer.client_key().cloned()).collect();
        let nonces = self.nonces.as_ref().map(NonceSecrets::digest);
        State { digest: self.digest, transports, keys, nonces }
    }
}

/// Where records go to collectors, then where spans do.
pub(super) fn collectors(config: &Config) -> impl Iterator<Item = &OtlpEndpoint> {
    let sinks = config.records.iter().flat_map(|records| &records.sinks);
    let logs = sinks.filter_map(|sink| match &sink.place {
        SinkPlace::Otlp(endpoint) => Some(endpoint),
        SinkPlace::Stdout | SinkPlace::File(_) | SinkPlace::Syslog { .. } => None,
    });
    logs.chain(config.traces.iter().map(|traces| &traces.otlp))
}

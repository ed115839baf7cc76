//! A connection to an OpenTelemetry collector, by its protocol over gRPC (OTLP 1).

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_store::ReplicaName;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use tonic::codegen::http::Uri;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use zeroize::Zeroizing;

use crate::config::OtlpEndpoint;
use crate::tls::NO_AUTHORITIES;
use crate::{replica, tls};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 1024 * 1024;
/// More headers than any collector asks for.
const MAX_HEADERS: usize = 32;
/// Longest answer that is read, in bytes: it says how many were refused, and why.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;
/// How long nothing may come before the connection is tried, and how long an answer to that may take.
const ALIVE_EVERY: Duration = Duration::from_secs(30);

/// Why a collector cannot be sent anything.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// A file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than it may be.
    #[error("{}: larger than {MAX_BYTES} bytes", file.display())]
    TooLarge {
        /// Which.
        file: PathBuf,
    },
    /// The file of headers holds something else. What, is not told: it is a secret.
    #[error("{}: line {line}: not a header, `name: value`", file.display())]
    Header {
        /// Which file.
        file: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// The file of authorities trusts nobody.
    #[error("{}: {NO_AUTHORITIES}", file.display())]
    Authorities {
        /// Which.
        file: PathBuf,
    },
    /// The certificates or the address cannot be used.
    #[error("it cannot be called: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// What the files say that a collector is reached with.
#[derive(Clone)]
pub(crate) struct CollectorFiles {
    authorities: Option<Certificate>,
    headers: MetadataMap,
    digest: [u8; 32],
}

impl std::fmt::Debug for CollectorFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CollectorFiles").finish_non_exhaustive()
    }
}

impl CollectorFiles {
    /// Reads them.
    ///
    /// # Errors
    /// [`OtlpError`]
    pub(crate) fn read(config: &OtlpEndpoint) -> Result<Self, OtlpError> {
        let OtlpEndpoint { endpoint: _, plaintext: _, ca_file, headers_file, timeout: _ } = config;
        let mut digest = Sha256::new();
        let mut text = |file: &Path| {
            let text = read(file)?;
            // Of fixed length, so that nothing moves from one file to the other unseen.
            digest.update(Sha256::digest(&*text));
            Ok::<_, OtlpError>(text)
        };
        let authorities = ca_file.as_deref().map(|file| {
            let pem = text(file)?;
            // The client would go on without them, and then reach nobody.
            tls::authorities(&pem).ok_or_else(|| OtlpError::Authorities { file: file.to_owned() })?;
            Ok::<_, OtlpError>(Certificate::from_pem(&*pem))
        });
        let authorities = authorities.transpose()?;
        let headers = match headers_file {
            Some(file) => headers(file, &text(file)?)?,
            None => MetadataMap::new(),
        };
        Ok(Self { authorities, headers, digest: digest.finalize().into() })
    }

    /// SHA-256 of what they say.
    pub(crate) const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

/// How a collector is reached.
pub(crate) struct Reach {
    endpoint: Endpoint,
    headers: MetadataMap,
    digest: [u8; 32],
}

impl Reach {
    fn new(config: &OtlpEndpoint, files: CollectorFiles) -> Result<Self, OtlpError> {
        let OtlpEndpoint { endpoint, plaintext: _, ca_file: _, headers_file: _, timeout } = config;
        let CollectorFiles { authorities, headers, digest } = files;
        let mut target = Channel::builder(endpoint.clone())
            .user_agent(concat!("exequatur/", env!("CARGO_PKG_VERSION")))?
            .connect_timeout(*timeout)
            .http2_keep_alive_interval(ALIVE_EVERY)
            .keep_alive_timeout(*timeout);
        if endpoint.scheme_str() == Some("https") {
            let tls = match authorities {
                Some(authorities) => ClientTlsConfig::new().ca_certificate(authorities),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            target = target.tls_config(tls)?;
        }
        Ok(Self { endpoint: target, headers, digest })
    }
}

/// A collector, for all that have to do with it: how it is reached may change while things are sent there.
#[derive(Clone)]
pub(crate) struct Collector(Arc<ArcSwap<Reach>>);

impl std::fmt::Debug for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Collector").field(self.0.load().endpoint.uri()).finish()
    }
}

impl OtlpError {
    /// The file that cannot be used, where it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Unreadable { file, .. }
            | Self::TooLarge { file }
            | Self::Header { file, .. }
            | Self::Authorities { file } => Some(file),
            Self::Transport(_) => None,
        }
    }
}

impl Collector {
    /// How it is to be reached by what the files say now; nothing if that is how it is reached already.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub(crate) fn changed(
        &self,
        config: &OtlpEndpoint,
        files: CollectorFiles,
    ) -> Result<Option<Reach>, OtlpError> {
        if self.0.load().digest == files.digest { Ok(None) } else { Reach::new(config, files).map(Some) }
    }

    /// Lets it be reached so, from the next call on. Gives where it is.
    pub(crate) fn replace(&self, reach: Reach) -> Uri {
        let uri = reach.endpoint.uri().clone();
        self.0.store(Arc::new(reach));
        uri
    }
}

/// What calls a collector. It is connected to when something is sent, and anew after that ends or is to be done otherwise.
pub(crate) struct Otlp {
    collector: Collector,
    /// As of the connection.
    reach: Arc<Reach>,
    channel: Channel,
    timeout: Duration,
}

impl std::fmt::Debug for Otlp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Otlp").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Otlp {
    /// Reads the files and connects to nothing yet. To be called where there is a runtime, as [`Self::call`].
    ///
    /// # Errors
    /// [`OtlpError`]
    pub(crate) fn new(config: &OtlpEndpoint) -> Result<Self, OtlpError> {
        let reach = Arc::new(Reach::new(config, CollectorFiles::read(config)?)?);
        let channel = reach.endpoint.connect_lazy();
        let collector = Collector(Arc::new(ArcSwap::new(Arc::clone(&reach))));
        Ok(Self { collector, reach, channel, timeout: config.timeout })
    }

    /// For who changes how it is reached.
    pub(crate) fn collector(&self) -> Collector {
        self.collector.clone()
    }

    /// What clients of the protocol's services are made of, and a call with this message, as the collector wants to be called now.
    pub(crate) fn call<T>(&mut self, message: T) -> (Channel, Request<T>) {
        let reach = self.collector.0.load_full();
        if !Arc::ptr_eq(&reach, &self.reach) {
            (self.channel, self.reach) = (reach.endpoint.connect_lazy(), reach);
        }
        let mut request = Request::new(message);
        *request.metadata_mut() = self.reach.headers.clone();
        request.set_timeout(self.timeout);
        (self.channel.clone(), request)
    }

    /// Waits for an answer as long as one is waited for.
    ///
    /// # Errors
    /// The call's, and that there was none in time.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_elapsed) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}

/// Whether a call that failed so may be made again (OTLP, "Failures"); of what is exhausted nobody says when it will not
/// be. A connection that broke has no code of the collector's: the client calls that `Unknown`, and names what it has seen.
pub(crate) fn may_pass(failure: &Status) -> bool {
    match failure.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => true,
        Code::Unknown => std::error::Error::source(failure).is_some(),
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => false,
    }
}

/// What this process is to a collector.
pub(crate) fn resource(configured: Option<&ReplicaName>) -> Resource {
    let instance = replica::name(configured);
    let attributes = [("service.name", "exequatur"), ("service.version", env!("CARGO_PKG_VERSION"))];
    let instance = instance.as_ref().map(|name| ("service.instance.id", name.as_str()));
    Resource {
        attributes: attributes.into_iter().chain(instance).map(|(key, value)| text(key, value)).collect(),
        ..Resource::default()
    }
}

/// An attribute that is text.
pub(crate) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An attribute that is a whole number.
pub(crate) fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, OtlpError> {
    let unreadable = |source| OtlpError::Unreadable { file: file.to_owned(), source };
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(OtlpError::TooLarge { file: file.to_owned() });
    }
    std::fs::read(file).map(Zeroizing::new).map_err(unreadable)
}

/// Lines `name: value`; empty ones and those that begin with `#` say nothing.
fn headers(file: &Path, content: &[u8]) -> Result<MetadataMap, OtlpError> {
    let mut headers = MetadataMap::new();
    for (line, text) in (1..).zip(content.split(|byte| *byte == b'\n')) {
        let refused = || OtlpError::Header { file: file.to_owned(), line };
        let text = str::from_utf8(text).or(Err(refused()))?.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (name, mut value) = header(text).ok_or_else(refused)?;
        value.set_sensitive(true);
        headers.append(name, value);
        if headers.len() > MAX_HEADERS {
            return Err(refused());
        }
    }
    Ok(headers)
}

fn header(text: &str) -> Option<(MetadataKey<Ascii>, MetadataValue<Ascii>)> {
    let (name, value) = text.split_once(':')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    // What the protocol itself says is not for others to say.
    if name.starts_with("grpc-") || matches!(name.as_str(), "content-type" | "te" | "user-agent") {
        return None;
    }
    let value = Some(value).filter(|value| !value.is_empty())?;
    MetadataKey::from_str(&name).ok().zip(MetadataValue::from_str(value).ok())
}

#[cfg(test)]
mod tests;

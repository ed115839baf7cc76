//! How an issuer is reached: whose certificates are trusted, and through which proxy.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, Identity, Url};
use zeroize::Zeroizing;

use crate::address::PublicOnly;

/// Longest file of authorities, in bytes.
const MAX_AUTHORITIES: u64 = 1024 * 1024;
/// Longest file of credentials, in bytes.
const MAX_CREDENTIALS: u64 = 4096;

/// Longest file of a certificate chain or its key, in bytes.
const MAX_IDENTITY: u64 = 64 * 1024;
/// How long a connection is kept that nothing goes over. The other end may keep it shorter.
const IDLE_FOR: Duration = Duration::from_secs(30);
const MOST_IDLE: usize = 8;

/// How an issuer is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transport {
    /// The only authorities whose certificates are trusted; the system's if `None`.
    pub authorities: Option<Authorities>,
    /// The proxy that every connection goes through; none if `None`, whatever the environment says.
    pub proxy: Option<Proxy>,
    /// Who we show that we are; nobody if `None`.
    pub identity: Option<ClientIdentity>,
}

impl Transport {
    /// Whether it is like any other.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        self.authorities.is_none() && self.proxy.is_none() && self.identity.is_none()
    }

    /// Whether it is configured in the same way, whatever the files say.
    pub(crate) fn is_set_like(&self, other: &Self) -> bool {
        self.settings() == other.settings()
    }

    /// Its files that say something else than those of `other`, which is configured in the same way.
    pub(crate) fn files_that_differ(&self, other: &Self) -> Vec<PathBuf> {
        let authorities = self.authorities.as_ref().filter(|_| self.authorities != other.authorities);
        let credentials =
            self.proxy.as_ref().filter(|_| self.proxy != other.proxy).and_then(Proxy::credentials);
        let identity = self.identity.as_ref().filter(|_| self.identity != other.identity);
        let authorities = authorities.map(|authorities| authorities.file.clone());
        let credentials = credentials.map(|credentials| credentials.file.clone());
        let identity = identity.map(|identity| identity.certificate.clone());
        authorities.into_iter().chain(credentials).chain(identity).collect()
    }

    fn settings(&self) -> [Option<&Path>; 5] {
        let credentials = self.proxy.as_ref().and_then(Proxy::credentials);
        [
            self.authorities.as_ref().map(Authorities::file),
            self.proxy.as_ref().map(|proxy| Path::new(Proxy::url(proxy))),
            credentials.map(ProxyCredentials::file),
            self.identity.as_ref().map(ClientIdentity::certificate_file),
            self.identity.as_ref().map(ClientIdentity::key_file),
        ]
    }

    /// A client that goes where it is told and nowhere else: no redirect, no proxy from the environment.
    pub(crate) fn client(
        &self,
        timeout: Duration,
        reach: Reach,
        connections: Connections,
    ) -> Result<Client, reqwest::Error> {
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("exequatur/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(timeout)
            .timeout(timeout);
        client = match connections {
            Connections::Closed => client.pool_max_idle_per_host(0),
            Connections::Kept => client.pool_max_idle_per_host(MOST_IDLE).pool_idle_timeout(IDLE_FOR),
        };
        if let Some(identity) = &self.identity {
            client = client.identity(identity.identity()?);
        }
        if let Some(authorities) = &self.authorities {
            client = client.tls_certs_only(authorities.certificates()?);
        }
        match (&self.proxy, reach) {
            // The proxy resolves names, so that only it can tell what is public.
            (Some(proxy), Reach::Anywhere | Reach::PublicOnly) => client = client.proxy(proxy.connector()?),
            (None, Reach::PublicOnly) => client = client.dns_resolver(PublicOnly),
            (None, Reach::Anywhere) => {}
        }
        client.build()
    }
}

/// Where a client may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To whatever the operator named.
    Anywhere,
    /// To public addresses: somebody else named it.
    PublicOnly,
}

/// What becomes of connections that nothing goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// They are closed: a refresh comes every few minutes; by then the other end has closed, and each end thinks otherwise.
    Closed,
    /// Some are kept for a while: somebody waits for what goes over the next.
    Kept,
}

/// A certificate of our own and its key, from two PEM files. Shown are the files alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    certificate: PathBuf,
    key: PathBuf,
    // INVARIANT: a client takes it.
    pem: Zeroizing<String>,
}

impl ClientIdentity {
    /// Reads a certificate, with those between it and its root, and its key.
    ///
    /// # Errors
    /// A file cannot be read, or they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, ClientIdentityProblem> {
        let part = |file: &Path| {
            read(file, MAX_IDENTITY).map_err(|error| match error {
                Unreadable::TooLarge => ClientIdentityProblem::Malformed,
                Unreadable::File(error) => ClientIdentityProblem::Unreadable(error),
            })
        };
        let pem = Zeroizing::new(format!("{}\n{}", *part(certificate)?, *part(key)?));
        let identity = Self { certificate: certificate.to_owned(), key: key.to_owned(), pem };
        let parsed = identity.identity().or(Err(ClientIdentityProblem::Malformed))?;
        // Whether the two belong together is not looked at until a client is made.
        let client = Client::builder().no_proxy().tls_certs_only([]).identity(parsed).build();
        client.or(Err(ClientIdentityProblem::Malformed))?;
        Ok(identity)
    }

    /// The file of the certificate.
    #[must_use]
    pub fn certificate_file(&self) -> &Path {
        &self.certificate
    }

    /// The file of the key.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        &self.key
    }

    fn identity(&self) -> Result<Identity, reqwest::Error> {
        Identity::from_pem(self.pem.as_bytes())
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Why an identity cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdentityProblem {
    /// A file cannot be read.
    #[error("the client's certificate or key cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// They are no certificate and its key.
    #[error("not a PEM certificate and its PEM key")]
    Malformed,
}

/// Certificates of the authorities that are trusted, from a PEM file.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorities {
    file: PathBuf,
    // INVARIANT: holds at least one certificate and no private key, and a client takes it.
    pem: Arc<str>,
}

impl Authorities {
    /// Reads a PEM bundle of at most 1 MiB.
    ///
    /// # Errors
    /// The file cannot be read, or is no bundle of certificates.
    pub fn read(file: &Path) -> Result<Self, AuthoritiesProblem> {
        let pem = read(file, MAX_AUTHORITIES).map_err(|error| match error {
            Unreadable::TooLarge => AuthoritiesProblem::TooLarge,
            Unreadable::File(error) => AuthoritiesProblem::Unreadable(error),
        })?;
        if pem.contains("PRIVATE KEY-----") {
            return Err(AuthoritiesProblem::PrivateKey);
        }
        let authorities = Self { file: file.to_owned(), pem: pem.as_str().into() };
        let certificates = authorities.certificates().or(Err(AuthoritiesProblem::Malformed))?;
        if certificates.is_empty() {
            return Err(AuthoritiesProblem::None);
        }
        // What is in a certificate is not looked at until a client is made.
        let client = Client::builder().no_proxy().tls_certs_only(certificates).build();
        client.or(Err(AuthoritiesProblem::Malformed))?;
        Ok(authorities)
    }

    /// The file that they are from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn certificates(&self) -> Result<Vec<Certificate>, reqwest::Error> {
        Certificate::from_pem_bundle(self.pem.as_bytes())
    }
}

/// The file alone: what it says may change while the configuration stays the same.
impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Why authorities cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthoritiesProblem {
    /// The file cannot be read.
    #[error("the file of authorities cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// More than 1 MiB.
    #[error("the file of authorities is larger than 1 MiB")]
    TooLarge,
    /// It holds a private key, which has no business here.
    #[error("the file of authorities holds a private key")]
    PrivateKey,
    /// No certificate.
    #[error("the file of authorities holds no PEM certificate")]
    None,
    /// A certificate that cannot be read.
    #[error("the file of authorities holds a certificate that cannot be read")]
    Malformed,
}

/// An HTTP proxy that tunnels (`CONNECT`): it sees the names of the issuers and nothing of what is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    url: String,
    credentials: Option<ProxyCredentials>,
}

impl Proxy {
    /// A proxy at `http://host:port`.
    ///
    /// # Errors
    /// Another kind of URL.
    pub fn new(url: &str, credentials: Option<ProxyCredentials>) -> Result<Self, ProxyProblem> {
        let parsed = Url::parse(url).or(Err(ProxyProblem::Malformed))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(ProxyProblem::Credentials);
        }
        let plain = parsed.scheme() == "http" && parsed.path() == "/";
        if !plain || !parsed.has_host() || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(ProxyProblem::Malformed);
        }
        Ok(Self { url: url.to_owned(), credentials })
    }

    /// As configured; without credentials.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it asks for, if anything.
    #[must_use]
    pub const fn credentials(&self) -> Option<&ProxyCredentials> {
        self.credentials.as_ref()
    }

    fn connector(&self) -> Result<reqwest::Proxy, reqwest::Error> {
        let proxy = reqwest::Proxy::https(self.url.as_str())?;
        Ok(match self.credentials.as_ref().and_then(ProxyCredentials::header) {
            Some(header) => proxy.custom_http_auth(header),
            None => proxy,
        })
    }
}

/// Why a proxy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyProblem {
    /// Not `http://host:port`.
    #[error("a proxy is http://host:port")]
    Malformed,
    /// User name or password in the URL.
    #[error("a proxy's credentials are in a file of their own")]
    Credentials,
    /// The file of credentials cannot be read.
    #[error("the proxy's credentials cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// The file of credentials is not one line `user:password` of at most 4 KiB.
    #[error("the proxy's credentials are not one line `user:password`")]
    NotCredentials,
}

/// User name and password for a proxy, from a file. Shown is the file alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyCredentials {
    file: PathBuf,
    // INVARIANT: printable ASCII with a colon that is not the first character.
    text: Zeroizing<String>,
}

impl ProxyCredentials {
    /// Reads one line `user:password`, in printable ASCII.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub fn read(file: &Path) -> Result<Self, ProxyProblem> {
        let text = read(file, MAX_CREDENTIALS).map_err(|error| match error {
            Unreadable::TooLarge => ProxyProblem::NotCredentials,
            Unreadable::File(error) => ProxyProblem::Unreadable(error),
        })?;
        let line = text.trim_end_matches(['\r', '\n']);
        let named = line.find(':').is_some_and(|colon| colon > 0);
        if !named || !line.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(ProxyProblem::NotCredentials);
        }
        Ok(Self { file: file.to_owned(), text: Zeroizing::new(line.to_owned()) })
    }

    /// The file that they are from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn header(&self) -> Option<HeaderValue> {
        let basic = format!("Basic {}", BASE64_STANDARD.encode(self.text.as_bytes()));
        let mut header = HeaderValue::try_from(basic).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}

impl fmt::Debug for ProxyCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyCredentials").field("file", &self.file).finish_non_exhaustive()
    }
}

pub(crate) enum Unreadable {
    TooLarge,
    File(ErrorKind),
}

pub(crate) fn read(file: &Path, most: u64) -> Result<Zeroizing<String>, Unreadable> {
    let failed = |error: std::io::Error| Unreadable::File(error.kind());
    let mut text = Zeroizing::new(String::new());
    let open = std::fs::File::open(file).map_err(failed)?;
    let length = open.take(most.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(length).is_ok_and(|length| length <= most) {
        Ok(text)
    } else {
        Err(Unreadable::TooLarge)
    }
}

#[cfg(test)]
mod tests;

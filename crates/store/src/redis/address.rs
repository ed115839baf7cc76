//! Where the primary is: at an address, where sentinels say, or one of a cluster's nodes.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates,
};
use zeroize::Zeroizing;

use super::link::unreachable_server;
use crate::admission::StoreError;

/// Where the primary is. It may hold a password, so it shows nothing of itself.
#[derive(Clone)]
pub struct Address {
    client: Client,
    sentinels: Vec<Client>,
    ca: Option<Vec<u8>>,
    cluster: bool,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address").field("sentinels", &self.sentinels.len()).finish_non_exhaustive()
    }
}

/// Why an address is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("not a Redis URL; write redis://[user:password@]host[:port][/database], or rediss:// for TLS")]
    Malformed,
    /// The certificates, or TLS's own parts.
    #[error("the CA certificates cannot be used")]
    Certificates,
    /// A path cannot be what sentinels name.
    #[error("with sentinels the URL's host is the name of the primary, so it needs one")]
    Unnamed,
    /// The nodes of a cluster tell each other's hosts and ports.
    #[error("a cluster is reached over TCP, not by a socket")]
    Socket,
    /// A cluster has one.
    #[error("a cluster has the database 0 alone")]
    Database,
}

/// A URL of a server, for those who only look at it.
#[derive(Debug)]
pub struct RedisPlace {
    password: bool,
    of_cluster: Result<(), AddressError>,
}

impl RedisPlace {
    /// # Errors
    /// [`AddressError::Malformed`].
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let info = url.into_connection_info().or(Err(AddressError::Malformed))?;
        Ok(Self { password: info.redis_settings().password().is_some(), of_cluster: of_cluster(&info) })
    }

    /// Whether it can be that of a cluster's node.
    ///
    /// # Errors
    /// [`AddressError::Socket`], [`AddressError::Database`].
    pub const fn of_cluster(&self) -> Result<(), AddressError> {
        self.of_cluster
    }

    /// Whether it has a password in it.
    #[must_use]
    pub const fn has_password(&self) -> bool {
        self.password
    }
}

impl Address {
    /// The server at `url`: `redis://`, `rediss://` (TLS) or `redis+unix://`.
    ///
    /// With `sentinels`, the host in `url` is the name of the primary that they watch; user, password, database and
    /// TLS are for the primary, and each sentinel's are in its own URL. `ca` is PEM, instead of the system's roots, for
    /// all of them.
    ///
    /// # Errors
    /// See [`AddressError`]. None shows anything of the URL.
    pub fn new(
        url: &Zeroizing<String>,
        sentinels: &[String],
        ca: Option<Vec<u8>>,
    ) -> Result<Self, AddressError> {
        let client = client(url.as_str(), ca.as_ref())?;
        if !sentinels.is_empty() && host(&client).is_none() {
            return Err(AddressError::Unnamed);
        }
        let sentinels = sentinels.iter().map(|url| self::client(url.as_str(), ca.as_ref()));
        Ok(Self { sentinels: sentinels.collect::<Result<_, _>>()?, client, ca, cluster: false })
    }

    /// The cluster of which a node is at `url`, or all are by one name. User, password, TLS and `ca` are for every node.
    ///
    /// # Errors
    /// See [`AddressError`]. None shows anything of the URL.
    pub fn of_cluster(url: &Zeroizing<String>, ca: Option<Vec<u8>>) -> Result<Self, AddressError> {
        let client = client(url.as_str(), ca.as_ref())?;
        of_cluster(client.get_connection_info())?;
        Ok(Self { sentinels: Vec::new(), client, ca, cluster: true })
    }

    pub(super) const fn is_of_cluster(&self) -> bool {
        self.cluster
    }

    /// The host of the URL; empty if it has none.
    pub(super) fn host(&self) -> &str {
        host(&self.client).unwrap_or_default()
    }

    /// The same at another place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there can be no connection to it.
    pub(super) fn moved_to(&self, host: String, port: u16) -> Result<Self, StoreError> {
        Ok(Self { client: self.at(host, port)?, sentinels: Vec::new(), ca: self.ca.clone(), cluster: true })
    }

    /// A client for the server that is primary now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no sentinel knows.
    pub(super) async fn primary(&self, within: Duration) -> Result<Client, StoreError> {
        if self.sentinels.is_empty() {
            return Ok(self.client.clone());
        }
        let name = host(&self.client).ok_or(StoreError::Unavailable)?;
        // One that hangs leaves time for the others: it may well have gone down with the primary.
        let shares = u32::try_from(self.sentinels.len().saturating_add(1)).unwrap_or(u32::MAX);
        let share = within.checked_div(shares).unwrap_or_default();
        for sentinel in &self.sentinels {
            let answer = tokio::time::timeout(share, ask(sentinel, name, share)).await;
            let Ok(answer) = answer else {
                tracing::debug!("a sentinel does not answer");
                continue;
            };
            match answer {
                Ok(Some((host, port))) => return self.at(host, port),
                Ok(None) => tracing::debug!("a sentinel does not know the primary"),
                Err(error) => {
                    unreachable_server(&error);
                }
            }
        }
        Err(StoreError::Unavailable)
    }

    fn at(&self, host: String, port: u16) -> Result<Client, StoreError> {
        let info = self.client.get_connection_info().clone();
        let address = match info.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure: *insecure, tls_params: tls_params.clone() }
            }
            ConnectionAddr::Tcp(..) | ConnectionAddr::Unix(_) | _ => ConnectionAddr::Tcp(host, port),
        };
        let info = info.set_addr(address);
        let client = match &self.ca {
            None => Client::open(info),
            Some(ca) => Client::build_with_tls(info, certificates(Some(ca))),
        };
        client.map_err(|error| unreachable_server(&error))
    }
}

/// Asks one sentinel for the address of the primary of that name. It knows none if it does not watch it.
async fn ask(sentinel: &Client, name: &str, within: Duration) -> redis::RedisResult<Option<(String, u16)>> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(within)).set_response_timeout(Some(within));
    let mut connection = sentinel.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(name).query_async(&mut connection).await
}

fn client(url: &str, ca: Option<&Vec<u8>>) -> Result<Client, AddressError> {
    let info = url.into_connection_info().or(Err(AddressError::Malformed))?;
    let tls = matches!(info.addr(), ConnectionAddr::TcpTls { .. });
    match ca {
        Some(_) if tls => Client::build_with_tls(info, certificates(ca)).or(Err(AddressError::Certificates)),
        Some(_) | None => Client::open(info).or(Err(AddressError::Certificates)),
    }
}

fn of_cluster(info: &ConnectionInfo) -> Result<(), AddressError> {
    if matches!(info.addr(), ConnectionAddr::Unix(_)) {
        return Err(AddressError::Socket);
    }
    if info.redis_settings().db() == 0 { Ok(()) } else { Err(AddressError::Database) }
}

fn host(client: &Client) -> Option<&str> {
    match client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => Some(host),
        ConnectionAddr::Unix(_) | _ => None,
    }
}

fn certificates(ca: Option<&Vec<u8>>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: ca.cloned() }
}

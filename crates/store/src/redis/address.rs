//! Where the primary is: at an address, where sentinels say, or one of a cluster's nodes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates,
};
use zeroize::Zeroizing;

use super::link::unreachable_server;
use crate::admission::StoreError;

/// Where the primary is, and what it is reached with: that may be replaced, and clones share it. It may hold a password, so it shows
/// nothing of itself.
#[derive(Clone)]
pub struct Address {
    means: Arc<ArcSwap<Means>>,
    /// A node of a cluster that is elsewhere than the URL says.
    node: Option<(String, u16)>,
    cluster: bool,
}

/// What connections are made with, from now on.
struct Means {
    url: Zeroizing<String>,
    client: Client,
    sentinels: Vec<Client>,
    ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sentinels = self.means.load().sentinels.len();
        f.debug_struct("Address").field("sentinels", &sentinels).finish_non_exhaustive()
    }
}

/// Why an address is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not of the form.
    #[error("not a Redis URL; write redis://[user:password@]host[:port][/database], or rediss:// for TLS")]
    Malformed,
    /// TLS that takes any certificate. No connection is made so.
    #[error("`#insecure` would take any certificate: leave it out, and name the authorities in `ca_file`")]
    Insecure,
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
    /// What is remembered is there and not here.
    #[error("another server, database or protocol than the one in use: restart to go over to it")]
    Elsewhere,
}

/// A URL of a server, for those who only look at it.
#[derive(Debug)]
pub struct RedisPlace {
    password: bool,
    of_cluster: Result<(), AddressError>,
}

impl RedisPlace {
    /// # Errors
    /// [`AddressError::Malformed`], [`AddressError::Insecure`].
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let info = connection(url)?;
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
        let sentinels = sentinels.collect::<Result<_, _>>()?;
        Ok(Self::with(Means { url: url.clone(), client, sentinels, ca }, false))
    }

    fn with(means: Means, cluster: bool) -> Self {
        Self { means: Arc::new(ArcSwap::from_pointee(means)), node: None, cluster }
    }

    /// Whether `other` is the same server, database and protocol.
    ///
    /// # Errors
    /// [`AddressError::Elsewhere`] if not.
    pub fn is_where(&self, other: &Self) -> Result<(), AddressError> {
        let (held, anew) = (self.means.load(), other.means.load());
        let same = self.cluster == other.cluster && place(&held.client) == place(&anew.client);
        if same { Ok(()) } else { Err(AddressError::Elsewhere) }
    }

    /// Goes over to the user, the password and the authorities of `other`, for connections that are made from now on, by whoever shares
    /// this. Those that are open stay. Whether anything differs.
    ///
    /// # Errors
    /// [`AddressError::Elsewhere`] if `other` is another place. Nothing has changed then.
    pub fn renew(&self, other: &Self) -> Result<bool, AddressError> {
        self.is_where(other)?;
        let (held, anew) = (self.means.load(), other.means.load_full());
        let differs = held.url != anew.url || held.ca != anew.ca;
        if differs {
            self.means.store(anew);
        }
        Ok(differs)
    }

    /// The cluster of which a node is at `url`, or all are by one name. User, password, TLS and `ca` are for every node.
    ///
    /// # Errors
    /// See [`AddressError`]. None shows anything of the URL.
    pub fn of_cluster(url: &Zeroizing<String>, ca: Option<Vec<u8>>) -> Result<Self, AddressError> {
        let client = client(url.as_str(), ca.as_ref())?;
        of_cluster(client.get_connection_info())?;
        Ok(Self::with(Means { url: url.clone(), client, sentinels: Vec::new(), ca }, true))
    }

    pub(super) const fn is_of_cluster(&self) -> bool {
        self.cluster
    }

    /// The host of the URL; empty if it has none.
    pub(super) fn host(&self) -> String {
        let named = || host(&self.means.load().client).map(str::to_owned);
        self.node.as_ref().map(|(host, _)| host.clone()).or_else(named).unwrap_or_default()
    }

    /// The same at another place.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there can be no connection to it.
    pub(super) fn moved_to(&self, host: String, port: u16) -> Result<Self, StoreError> {
        // That there can be a connection is seen here; it is made with what is known then.
        self.means.load().at(host.clone(), port)?;
        Ok(Self { means: Arc::clone(&self.means), node: Some((host, port)), cluster: true })
    }

    /// A client for the server that is primary now.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no sentinel knows.
    pub(super) async fn primary(&self, within: Duration) -> Result<Client, StoreError> {
        let means = self.means.load_full();
        if let Some((host, port)) = &self.node {
            return means.at(host.clone(), *port);
        }
        if means.sentinels.is_empty() {
            return Ok(means.client.clone());
        }
        let name = host(&means.client).ok_or(StoreError::Unavailable)?;
        // One that hangs leaves time for the others: it may well have gone down with the primary.
        let shares = u32::try_from(means.sentinels.len().saturating_add(1)).unwrap_or(u32::MAX);
        let share = within.checked_div(shares).unwrap_or_default();
        for sentinel in &means.sentinels {
            let answer = tokio::time::timeout(share, ask(sentinel, name, share)).await;
            let Ok(answer) = answer else {
                tracing::debug!("a sentinel does not answer");
                continue;
            };
            match answer {
                Ok(Some((host, port))) => return means.at(host, port),
                Ok(None) => tracing::debug!("a sentinel does not know the primary"),
                Err(error) => {
                    unreachable_server(&error);
                }
            }
        }
        Err(StoreError::Unavailable)
    }
}

impl Means {
    /// A client for the same at another place.
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

fn connection(url: &str) -> Result<ConnectionInfo, AddressError> {
    let info = url.into_connection_info().or(Err(AddressError::Malformed))?;
    let insecure = matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. });
    if insecure { Err(AddressError::Insecure) } else { Ok(info) }
}

fn client(url: &str, ca: Option<&Vec<u8>>) -> Result<Client, AddressError> {
    let info = connection(url)?;
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

/// Which server it is, whoever asks: host or socket, port, whether by TLS, and the database.
fn place(client: &Client) -> (Option<&str>, Option<u16>, Option<&Path>, bool, i64) {
    let info = client.get_connection_info();
    let database = info.redis_settings().db();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => (Some(host), Some(*port), None, false, database),
        ConnectionAddr::TcpTls { host, port, .. } => (Some(host), Some(*port), None, true, database),
        ConnectionAddr::Unix(socket) => (None, None, Some(socket), false, database),
        _ => (None, None, None, false, database),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::new(&url.to_owned().into(), &[], None).unwrap()
    }

    /// Whoever it is of, and wherever it is read: no connection would ever be made.
    #[test]
    fn tls_that_takes_any_certificate_is_refused() {
        let (insecure, url) = ("rediss://a:word@h:1/0#insecure", |url: &str| Zeroizing::new(url.to_owned()));
        let refused = Some(AddressError::Insecure);
        assert_eq!(RedisPlace::parse(insecure).err(), refused);
        assert_eq!(Address::new(&url(insecure), &[], None).err(), refused);
        assert_eq!(Address::of_cluster(&url(insecure), None).err(), refused);
        let sentinels = [insecure.to_owned()];
        assert_eq!(Address::new(&url("rediss://main"), &sentinels, None).err(), refused);
        assert!(RedisPlace::parse("rediss://a:word@h:1/0").is_ok());
        assert!(!AddressError::Insecure.to_string().contains("word"));
    }

    #[test]
    fn who_asks_may_change_and_where_may_not() {
        let held = address("redis://gate:word@h:1/2");
        let shared = held.clone();
        assert_eq!(held.renew(&address("redis://gate:word@h:1/2")), Ok(false));
        assert_eq!(held.renew(&address("redis://other:second@h:1/2")), Ok(true));
        assert_eq!(shared.renew(&address("redis://other:second@h:1/2")), Ok(false), "clones share it");
        for elsewhere in [
            "redis://other:second@i:1/2",
            "redis://other:second@h:2/2",
            "redis://other:second@h:1/3",
            "rediss://other:second@h:1/2",
            "redis+unix:///h?db=2",
        ] {
            assert_eq!(held.renew(&address(elsewhere)), Err(AddressError::Elsewhere), "{elsewhere}");
        }
        let cluster = Address::of_cluster(&"redis://a:b@h:1".to_owned().into(), None).unwrap();
        assert_eq!(address("redis://a:b@h:1").renew(&cluster), Err(AddressError::Elsewhere));
        // A node goes by what the cluster is reached with, at its own place.
        let node = cluster.moved_to("node".to_owned(), 7).unwrap();
        let anew = Address::of_cluster(&"redis://a:c@h:1".to_owned().into(), None).unwrap();
        assert_eq!((cluster.renew(&anew), node.host().as_str()), (Ok(true), "node"));
        assert_eq!(node.means.load().url.as_str(), "redis://a:c@h:1");
        let shown = format!("{held:?} {}", AddressError::Elsewhere);
        assert!(!shown.contains("second"), "{shown}");
    }
}

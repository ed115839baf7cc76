//! `listen`: the addresses of the listeners.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::keys::{Key, list, map, number, optional, pattern, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::tls::{self, TlsFiles};

const PLAINTEXT: &[(&str, bool)] = &[("accepted", true)];
/// An IP address and a port; whether they are in range is for the reader.
pub(super) const ADDRESS: &str = r"[0-9.]+:[0-9]+|\[[0-9A-Fa-f:.%]+\]:[0-9]+";

/// Of users; the last number means none.
const UIDS: std::ops::RangeInclusive<usize> = 0..=4_294_967_294;

pub(super) const KEYS: &[Key] = &[
    optional("grpc", "Envoy's `Check` and gRPC health: address and port, or `unix:<path>`.", || {
        pattern(&format!("^(unix:.+|{ADDRESS})$")).default(Listen::default().grpc.to_string())
    }),
    optional(
        "grpc_tls",
        "Certificate and key of `grpc` over TCP. With `client_ca_file` nobody is answered without a certificate of it.",
        || map(tls::GRPC_KEYS),
    ),
    optional(
        "grpc_peers",
        "Numbers of the users (uid) that may connect to `grpc` as a Unix socket, beside this process's own and root.",
        || list(number(&UIDS)).some().unique(),
    ),
    optional("public", "Protected-resource metadata, `/healthz`, `/readyz`: address and port.", || {
        pattern(&format!("^({ADDRESS})$")).default(Listen::default().public.to_string())
    }),
    optional("metrics", "`/metrics`: address and port.", || {
        pattern(&format!("^({ADDRESS})$")).default(Listen::default().metrics.to_string())
    }),
    optional(
        "admin",
        "Orders by a socket: `unix:<path>`, for this process's own user and root. None if absent. Over TCP: `admin`.",
        || pattern("^unix:.+$"),
    ),
    optional(
        "plaintext",
        "Without TLS, other than loopback addresses are refused unless this says `accepted`.",
        || words(PLAINTEXT),
    ),
];

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// For Envoy.
    pub grpc: GrpcAddress,
    /// What it shows over TCP; no TLS if `None`.
    pub grpc_tls: Option<TlsFiles>,
    /// Who may connect to it as a Unix socket, beside this process's own user and root.
    pub grpc_peers: Vec<u32>,
    /// Metadata and keys, for everyone.
    pub public: SocketAddr,
    /// Metrics and health, for operators.
    pub metrics: SocketAddr,
    /// For those who revoke: a Unix socket.
    pub admin: Option<PathBuf>,
}

/// Where Envoy reaches the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            grpc: GrpcAddress::Tcp(loopback(9191)),
            grpc_tls: None,
            grpc_peers: Vec::new(),
            public: loopback(9192),
            metrics: loopback(9193),
            admin: None,
        }
    }
}

impl Listen {
    /// Whether another listener can have this address.
    pub(super) fn is_apart_from(&self, other: SocketAddr) -> bool {
        let grpc = match self.grpc {
            GrpcAddress::Tcp(address) => Some(address),
            GrpcAddress::Unix(_) => None,
        };
        grpc.into_iter()
            .chain([self.public, self.metrics])
            .all(|address| address != other || other.port() == 0)
    }

    /// Whether something listens without TLS on more than loopback.
    pub(super) fn leaves_the_machine(&self) -> bool {
        let grpc = match self.grpc {
            GrpcAddress::Tcp(address) if self.grpc_tls.is_none() => Some(address),
            GrpcAddress::Tcp(_) | GrpcAddress::Unix(_) => None,
        };
        grpc.into_iter().chain([self.public, self.metrics]).any(|address| !address.ip().is_loopback())
    }
}

impl fmt::Display for GrpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Listen> {
    let fields = Fields::open(node, KEYS, notes)?;
    let plaintext = fields.or("plaintext", false, |node| node.word(PLAINTEXT, notes))?;
    let default = Listen::default();
    let tcp = |node: &Node| address(node, plaintext, notes);
    let grpc_tls =
        fields.or("grpc_tls", None, |node| tls::read(node, tls::GRPC_KEYS, folder, notes).map(Some));
    // A broken section is noted already.
    let secured = !matches!(grpc_tls, Some(None));
    let grpc = fields.or("grpc", default.grpc, |node| match node.text(notes)?.strip_prefix("unix:") {
        Some("") => {
            notes.hint(node.place, "a Unix socket needs a path", "unix:/run/exequatur/grpc.sock");
            None
        }
        Some(path) => Some(GrpcAddress::Unix(resolve(folder, path))),
        None => address(node, plaintext || secured, notes).map(GrpcAddress::Tcp),
    });
    let grpc_peers = fields.or("grpc_peers", Vec::new(), |node| {
        node.some(notes, |item| u32::try_from(item.number(&UIDS, notes)?).ok())
    });
    match &grpc {
        Some(GrpcAddress::Unix(_)) => misplaced(&fields, "grpc_tls", "a Unix socket has no TLS", notes),
        Some(GrpcAddress::Tcp(_)) => {
            misplaced(&fields, "grpc_peers", "over TCP nobody knows the other's user", notes);
        }
        None => {}
    }
    let public = fields.or("public", default.public, tcp);
    let metrics = fields.or("metrics", default.metrics, tcp);
    let admin = fields.or("admin", None, |node| admin(node, folder, notes).map(Some));
    let listen = Listen {
        grpc: grpc?,
        grpc_tls: grpc_tls?,
        grpc_peers: grpc_peers?,
        public: public?,
        metrics: metrics?,
        admin: admin?,
    };
    let apart = |one: SocketAddr, other: SocketAddr| one != other || one.port() == 0;
    let all_apart = match &listen.grpc {
        GrpcAddress::Tcp(grpc) => apart(*grpc, listen.public) && apart(*grpc, listen.metrics),
        GrpcAddress::Unix(grpc) => listen.admin.as_ref() != Some(grpc),
    };
    if !all_apart || !apart(listen.public, listen.metrics) {
        notes.add(node.place, "two listeners have one address");
    }
    Some(listen)
}

/// Notes a key that means nothing beside this kind of address.
fn misplaced(fields: &Fields<'_>, key: &str, message: &str, notes: &Notes) {
    if let Some(entry) = fields.entry(key) {
        notes.add(entry.key_place, message);
    }
}

/// Over TCP anybody on the machine could revoke, the agent beside a sidecar included: that needs authentication.
fn admin(node: &Node, folder: &Path, notes: &Notes) -> Option<PathBuf> {
    let text = node.text(notes)?;
    match text.strip_prefix("unix:") {
        Some("") => {
            notes.hint(node.place, "a Unix socket needs a path", "unix:/run/exequatur/admin.sock");
            None
        }
        Some(path) => Some(resolve(folder, path)),
        None => {
            let message = format!("the admin socket is a Unix socket, not `{text}`");
            let hint = "unix:/run/exequatur/admin.sock; for orders over TCP there is the section `admin`";
            notes.hint(node.place, message, hint);
            None
        }
    }
}

pub(super) fn parse_address(node: &Node, notes: &Notes) -> Option<SocketAddr> {
    let text = node.text(notes)?;
    let address = text.parse::<SocketAddr>().ok();
    if address.is_none() {
        notes.hint(node.place, format!("`{text}` is no address"), "an IP address and a port: 127.0.0.1:9191");
    }
    address
}

fn address(node: &Node, plaintext: bool, notes: &Notes) -> Option<SocketAddr> {
    let address = parse_address(node, notes)?;
    if !plaintext && !address.ip().is_loopback() {
        notes.hint(
            node.place,
            "without TLS, only a loopback address is listened on",
            "for `grpc` there is `grpc_tls`; if the network is trusted, say `plaintext: accepted` in `listen`",
        );
        return None;
    }
    Some(address)
}

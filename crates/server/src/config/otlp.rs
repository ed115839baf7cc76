//! `otlp`: an OpenTelemetry collector, by its protocol over gRPC. One form wherever something is sent to one.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tonic::codegen::http::Uri;

use super::keys::{Key, duration as duration_shape, optional, required, text, words};
use super::reader::{Fields, Node, Notes};
use super::resources::url;
use super::secrets::private;
use super::{duration, resolve};

/// What OpenTelemetry's own exporters wait.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const PLAINTEXT: &[(&str, bool)] = &[("accepted", true)];

pub(super) const KEYS: &[Key] = &[
    required(
        "endpoint",
        "The collector: `https://host:port`, or `http://` for a loopback host; its port for gRPC is 4317 by custom.",
        url,
    ),
    optional(
        "plaintext",
        "`accepted`: `http://` to other than loopback hosts, where the network is trusted.",
        || words(PLAINTEXT),
    ),
    optional("ca_file", "PEM certificates to trust for TLS, instead of the system's.", text),
    optional(
        "headers_file",
        "Lines `name: value`, sent with every call: what the collector knows us by. Only the owner and the group may read it.",
        text,
    ),
    optional("timeout", "Time for one call.", || duration_shape(&TIMEOUT_RANGE).default_duration(TIMEOUT)),
];

/// A collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint {
    /// Scheme, host and port.
    pub endpoint: Uri,
    /// Whether what is sent may be read on the way.
    pub plaintext: bool,
    /// PEM certificates to trust; the system's if `None`.
    pub ca_file: Option<PathBuf>,
    /// What is sent with every call.
    pub headers_file: Option<PathBuf>,
    /// Time for one call.
    pub timeout: Duration,
}

/// A text that names no collector. It is not repeated: there may be a password in it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be `https://host:port` or `http://host:port`, without user, path and query")]
struct Misnamed;

/// In the form of the file, each line behind `indent`.
pub(super) fn show(otlp: &OtlpEndpoint, indent: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let OtlpEndpoint { endpoint, plaintext, ca_file, headers_file, timeout } = otlp;
    writeln!(f, "{indent}otlp:\n{indent}  endpoint: {:?}", endpoint.to_string().trim_end_matches('/'))?;
    if *plaintext {
        writeln!(f, "{indent}  plaintext: accepted")?;
    }
    for (key, file) in [("ca_file", ca_file), ("headers_file", headers_file)] {
        if let Some(file) = file {
            writeln!(f, "{indent}  {key}: {file:?}")?;
        }
    }
    writeln!(f, "{indent}  timeout: {}", duration::format(*timeout))
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<OtlpEndpoint> {
    let fields = Fields::open(node, KEYS, notes)?;
    let place = fields.required("endpoint");
    let endpoint = place.and_then(|node| node.parsed(notes, parse));
    let plaintext = fields.or("plaintext", false, |node| node.word(PLAINTEXT, notes));
    let ca_file = fields.or("ca_file", None, |node| node.text(notes).map(|path| Some(resolve(folder, path))));
    let headers_file = fields.or("headers_file", None, |node| {
        node.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| Some(file))
        })
    });
    let timeout = fields.duration("timeout", TIMEOUT, &TIMEOUT_RANGE);
    let (endpoint, plaintext) = (endpoint?, plaintext?);
    let (secured, here) = (endpoint.scheme_str() == Some("https"), is_loopback(&endpoint));
    if let Some(node) = place.filter(|_| !secured && !here && !plaintext) {
        notes.hint(
            node.place,
            "without TLS, only a collector on a loopback address is sent anything",
            "name it by https, or, if the network is trusted, say `plaintext: accepted` beside it",
        );
    }
    if let Some(entry) = fields.entry("headers_file").filter(|_| !secured && !here) {
        notes.add(entry.key_place, "`headers_file` without TLS: who listens would know what it says");
    }
    if let Some(entry) = fields.entry("ca_file").filter(|_| !secured) {
        notes.add(entry.key_place, "`ca_file` without TLS: nobody shows a certificate");
    }
    Some(OtlpEndpoint {
        endpoint,
        plaintext,
        ca_file: ca_file?,
        headers_file: headers_file?,
        timeout: timeout?,
    })
}

fn parse(text: &str) -> Result<Uri, Misnamed> {
    let uri: Uri = text.parse().or(Err(Misnamed))?;
    let named = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.path_and_query().is_none_or(|path| path.as_str() == "/");
    if named { Ok(uri) } else { Err(Misnamed) }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

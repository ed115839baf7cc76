//! First stage: what was presented, in one reading.

use std::net::IpAddr;

use exequatur_token::ClientCertificate;

use crate::credentials::Credentials;
use crate::denial::{Denial, Malformed, Refusal};
use crate::host::Host;
use crate::overrides::is_twin;
use crate::path::RequestPath;
use crate::trail::Trail;

/// Most header fields that are looked at; more is refused.
const MAX_HEADERS: usize = 256;
/// Longest method, in bytes.
const MAX_METHOD: usize = 32;

/// A request as the proxy in front describes it, not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// The method, byte for byte.
    pub method: &'a str,
    /// The `Host` or `:authority`.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Every header field, names in lower case, repeated fields as often as the proxy shows them.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The verified peer certificate of the client's TLS connection, as URL-encoded PEM.
    pub certificate: Option<&'a str>,
    /// Whether the request has a body, as far as the proxy shows it.
    pub body: BodySeen,
    /// The address that the request came from.
    pub peer: Option<IpAddr>,
}

/// What is known of a request's body before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySeen {
    /// The proxy shows bodies, and there is none.
    Absent,
    /// There is one.
    Present,
    /// The proxy does not show bodies: one without a declared length would not be noticed.
    Unknown,
}

/// What was presented: method, host and path in their one reading, credentials taken apart.
#[derive(Debug)]
pub(crate) struct Presented {
    pub(crate) method: String,
    pub(crate) host: Host,
    pub(crate) path: RequestPath,
    /// Parsed always, judged only where a route asks for them: a public route does not care.
    pub(crate) credentials: Result<Credentials, Denial>,
    pub(crate) certificate: Option<ClientCertificate>,
    /// A CORS preflight by its shape: `Origin` and `Access-Control-Request-Method`, no body.
    pub(crate) preflight: bool,
    /// The protocol that the connection is to be switched to, in lower case (RFC 9110 §7.8). Several of them stay one
    /// text, which is the name of none.
    pub(crate) upgrade: Option<String>,
    /// Who is at the other end of the connection to the proxy.
    pub(crate) peer: Option<IpAddr>,
    _checked: Checked,
}

/// Only [`present`] makes it.
#[derive(Debug)]
struct Checked(());

/// Checks the request's shape.
///
/// # Errors
/// [`Denial::Malformed`] and [`Denial::PathRefused`].
pub(crate) fn present(request: &RawRequest<'_>, trail: &mut Trail<'_>) -> Result<Presented, Refusal> {
    let method = parse_method(request.method)?;
    trail.facts.method = Some(method.clone());
    let host = Host::parse(request.host).ok_or(Denial::Malformed(Malformed::Host))?;
    trail.facts.host = Some(host.clone());
    if request.headers.len() > MAX_HEADERS {
        return Err(Denial::Malformed(Malformed::TooManyHeaders).into());
    }
    if request.headers.iter().any(|(name, _)| is_twin(name)) {
        return Err(Denial::Malformed(Malformed::Override).into());
    }
    let path = RequestPath::parse(request.target).map_err(Denial::PathRefused)?;
    let certificate = request
        .certificate
        .map(ClientCertificate::from_envoy)
        .transpose()
        .map_err(|_unreadable| Denial::Malformed(Malformed::Certificate))?;
    let preflight = request.body == BodySeen::Absent
        && has_header(request, "origin")
        && has_header(request, "access-control-request-method");
    let upgrades: Vec<_> = request.headers.iter().filter(|(name, _)| *name == "upgrade").collect();
    let upgrade = (!upgrades.is_empty()).then(|| {
        let values = upgrades.iter().map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase());
        values.collect::<Vec<_>>().join(",")
    });
    let credentials = Credentials::parse(request.headers, &path);
    let peer = request.peer;
    let _checked = Checked(());
    Ok(Presented { method, host, path, credentials, certificate, preflight, upgrade, peer, _checked })
}

/// A token of RFC 9110 §5.6.2, case kept: methods are case-sensitive (§9.1).
fn parse_method(method: &str) -> Result<String, Denial> {
    let valid = !method.is_empty()
        && method.len() <= MAX_METHOD
        && method.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if valid { Ok(method.to_owned()) } else { Err(Denial::Malformed(Malformed::Method)) }
}

fn has_header(request: &RawRequest<'_>, name: &str) -> bool {
    request.headers.iter().any(|(header, value)| *header == name && !value.is_empty())
}

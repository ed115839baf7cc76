//! Which addresses documents are loaded from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use reqwest::dns::{Name, Resolve, Resolving};
use url::Host;

/// Why an address is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// Not an absolute URL in printable ASCII without backslash, or one with user name, password or fragment.
    #[error("malformed")]
    Malformed,
    /// Neither https nor http to a loopback host.
    #[error("neither https nor http to a loopback host")]
    Insecure,
}

/// A URL over https, or over http to this machine (J18).
///
/// # Errors
/// [`AddressProblem`]
pub(crate) fn parse(text: &str) -> Result<Url, AddressProblem> {
    // The parser would mend these, and then it is not what was written.
    if text.contains('\\') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AddressProblem::Malformed);
    }
    let url = Url::parse(text).or(Err(AddressProblem::Malformed))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(AddressProblem::Malformed);
    }
    let host = url.host().ok_or(AddressProblem::Insecure)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&host) => Ok(url),
        _ => Err(AddressProblem::Insecure),
    }
}

/// This machine, by name or address.
pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether everybody can reach this address, so that reaching it from here opens no door (G23).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// By the registry of special-purpose addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        // "This network", shared by carriers, protocol assignments, benchmarks, reserved and broadcast.
        [0, ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => true,
        // 6to4 relays.
        [192, 88, 99, _] => true,
        _ => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation()
                || address.is_multicast()
        }
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // An IPv4 address behind a translator.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // Protocol assignments, documentation, 6to4: all within the global range.
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x2002, ..] | [0x3fff, 0..=0x0fff, ..] => false,
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

/// Resolves names as the system does, and refuses those with an address that is not public: judged is the very
/// address that is connected to, so that no second answer of the DNS can differ.
#[derive(Debug)]
pub(crate) struct PublicOnly;

/// A name has an address that is not public.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("not a public address")]
pub(crate) struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !found.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            let found: reqwest::dns::Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests;

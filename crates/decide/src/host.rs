//! The host of a request, in the one form that routes are compared with.

use std::fmt;

/// Longest host name, in bytes (RFC 1035 §2.3.4).
const MAX_BYTES: usize = 253;

/// A lower-case host without port and trailing dot (G33). A literal IPv6 address keeps its brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(String);

impl Host {
    /// Parses `name`, `name:port`, `name.`, `[v6]` or `[v6]:port`.
    ///
    /// `None` for anything that two programs might read differently: several hosts joined by a comma
    /// (which is how a repeated `Host` arrives, B-05), user information, white space, an empty name.
    #[must_use]
    pub fn parse(authority: &str) -> Option<Self> {
        let (name, port) = split_port(authority)?;
        if !port.is_none_or(|port| {
            !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit())
        }) {
            return None;
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let valid = if let Some(address) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            address.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !name.is_empty()
                && name.split('.').all(|label| !label.is_empty() && label.len() <= 63)
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        (valid && name.len() <= MAX_BYTES).then(|| Self(name.to_ascii_lowercase()))
    }

    /// The host as compared.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')?;
        let (name, rest) = authority.split_at_checked(end.checked_add(1)?)?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match authority.split_once(':') {
        Some((name, port)) => Some((name, Some(port))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one_host() {
        for spelling in ["api.example", "API.Example", "api.example.", "api.example:443", "Api.Example.:8443"]
        {
            assert_eq!(Host::parse(spelling).unwrap().as_str(), "api.example", "{spelling}");
        }
        assert_eq!(Host::parse("[::1]:80").unwrap().as_str(), "[::1]");
        assert_eq!(Host::parse("127.0.0.1:80").unwrap().as_str(), "127.0.0.1");
    }

    /// B-05: two hosts, user information, or no host at all.
    #[test]
    fn ambiguous_hosts_are_refused() {
        for spelling in [
            "", ".", ":80", "a,b", "a b", "user@a", "a/b", "a:", "a:b", "a:1:2", "[::1", "[::1]x", "[x]",
            "a..b", "é", "a:999999", "a\n",
        ] {
            assert_eq!(Host::parse(spelling), None, "{spelling:?}");
        }
    }
}

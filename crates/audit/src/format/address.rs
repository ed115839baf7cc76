//! Addresses and hosts, as records have them.

use std::net::{IpAddr, SocketAddr};

use crate::text::Text;

/// What an address says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address<'a> {
    /// One of the network, with a port if it has one.
    Ip(IpAddr, Option<u16>),
    /// A prefix, or a name.
    Name(&'a str),
}

impl<'a> Address<'a> {
    pub(super) fn of(text: &'a Text<'_>) -> Self {
        let text = text.as_str();
        match (text.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(ip), _) => Self::Ip(ip, None),
            (Err(_), Ok(socket)) => Self::Ip(socket.ip(), Some(socket.port())),
            (Err(_), Err(_)) => Self::Name(text),
        }
    }
}

/// The host of a request, and its port if it has one.
pub(super) fn host<'a>(text: &'a Text<'_>) -> (&'a str, Option<u16>) {
    let text = text.as_str();
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    split.map_or((text, None), |(host, port)| (host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let ip = |text: &str, port| Address::Ip(text.parse().unwrap(), port);
        for (text, expected) in [
            ("192.0.2.7", ip("192.0.2.7", None)),
            ("192.0.2.7:80", ip("192.0.2.7", Some(80))),
            ("2001:db8::7", ip("2001:db8::7", None)),
            ("[2001:db8::7]:80", ip("2001:db8::7", Some(80))),
            ("192.0.2.0/24", Address::Name("192.0.2.0/24")),
            ("/run/app.sock", Address::Name("/run/app.sock")),
            ("", Address::Name("")),
        ] {
            assert_eq!(Address::of(&Text::from(text)), expected, "{text}");
        }
        for (text, expected) in [
            ("api.example.com", ("api.example.com", None)),
            ("api.example.com:8443", ("api.example.com", Some(8443))),
            ("[2001:db8::7]:8443", ("[2001:db8::7]", Some(8443))),
            ("[2001:db8::7]", ("[2001:db8::7]", None)),
            ("api.example.com:65536", ("api.example.com:65536", None)),
        ] {
            assert_eq!(host(&Text::from(text)), expected, "{text}");
        }
    }
}

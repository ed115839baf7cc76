//! Where a request comes from, and how often it came from there without credentials that hold (L04).

use std::net::{IpAddr, Ipv6Addr};

use exequatur_store::{SourceKey, SourceLimits};
use jiff::Timestamp;

use crate::denial::{Denial, Fault, Refusal};

/// The other end of the connection to the proxy, as the proxy names it. Behind a gateway that is the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source(SourceKey);

impl Source {
    /// An IPv4 address, or the first 64 bits of an IPv6 address, of which a host has as many as it likes. All whose
    /// address is not named are one.
    pub(crate) fn of(peer: Option<IpAddr>) -> Self {
        let (kind, bits) = match peer.map(|address| address.to_canonical()) {
            None => (0_u8, 0),
            Some(IpAddr::V4(address)) => (4, u128::from(address.to_bits())),
            Some(IpAddr::V6(address)) => (6, prefix(address)),
        };
        let mut key = bits.to_be_bytes();
        // The last half is empty but for the 32 bits of an IPv4 address.
        if let Some(first_free) = key.get_mut(8) {
            *first_free = kind;
        }
        Self(SourceKey(key))
    }

    pub(crate) const fn key(self) -> SourceKey {
        self.0
    }

    /// # Errors
    /// [`Denial::SourceLimited`]; a fault if it is not known.
    pub(crate) fn may_fail(self, sources: &SourceLimits, now: Timestamp) -> Result<(), Refusal> {
        match sources.look(self.0, now).map_err(Fault::Limits)? {
            Ok(()) => Ok(()),
            Err(wait) => Err(Denial::SourceLimited { wait }.into()),
        }
    }

    /// Counts a refusal for want of credentials that hold.
    ///
    /// # Errors
    /// A fault if it cannot be counted.
    pub(crate) fn charge(
        self,
        refusal: &Refusal,
        sources: &SourceLimits,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        match refusal {
            Refusal::Denied(denial) if is_failure(denial) => {
                Ok(sources.charge(self.0, now).map_err(Fault::Limits)?)
            }
            Refusal::Denied(_) | Refusal::Faulted(_) => Ok(()),
        }
    }
}

fn prefix(address: Ipv6Addr) -> u128 {
    address.to_bits() & !u128::from(u64::MAX)
}

/// Whether nothing in the request showed who asks. Who is asked for a nonce has shown it.
fn is_failure(denial: &Denial) -> bool {
    match denial {
        Denial::CredentialsMissing
        | Denial::SchemeUnsupported
        | Denial::MultipleCredentials
        | Denial::TokenInQuery
        | Denial::Malformed(_)
        | Denial::Token(_)
        | Denial::Inactive
        | Denial::Proof(_)
        | Denial::Binding(_) => true,
        Denial::PathRefused(_)
        | Denial::HostUnknown
        | Denial::RouteUnmatched
        | Denial::NonceRequired(_)
        | Denial::NonceInvalid(_)
        | Denial::BindingRequired
        | Denial::TenantMismatch
        | Denial::ScopeInsufficient { .. }
        | Denial::StepUpRequired(_)
        | Denial::AuthorizationDetailsInsufficient
        | Denial::Revoked(_)
        | Denial::Status(_)
        | Denial::Replayed
        | Denial::ReplayBound(_)
        | Denial::Limited(_)
        | Denial::SourceLimited { .. }
        | Denial::Forbidden { .. }
        | Denial::ActorNotPermitted
        | Denial::UserRequired
        | Denial::UserNotAllowed
        | Denial::NotPermitted { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> Source {
        Source::of(Some(address.parse().unwrap()))
    }

    /// L04: one host is one source, and two hosts are two.
    #[test]
    fn sources_are_told_apart_as_hosts_are() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("0.0.0.0"), of("::"));
        assert_ne!(of("0.0.0.0"), Source::of(None));
        assert_ne!(of("::"), Source::of(None));
        assert_ne!(of("192.0.2.1"), of("::192.0.2.1"));
    }
}

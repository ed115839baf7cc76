//! What a rule is.

use std::fmt;

use crate::Options;
use crate::tree::Node;

/// How bad a finding is. Each of them fails the run: what is unknown is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something gets through that should not, or something is believed that should not be.
    Hole,
    /// One of several protections is missing, or stands only by a default.
    Weak,
    /// It cannot be judged from this file.
    Unknown,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hole => "hole",
            Self::Weak => "weak",
            Self::Unknown => "unknown",
        })
    }
}

/// One thing that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, which allowances use; stable.
    pub id: &'static str,
    /// The requirements and attacks it stands for.
    pub requires: &'static [&'static str],
    /// How bad a breach is.
    pub severity: Severity,
    /// What a breach opens.
    pub opens: &'static str,
    /// What to write instead.
    pub fix: &'static str,
    /// Whether an operator may allow it, with a reason, at the place where it is.
    pub allowable: bool,
    /// Whether only the very message that is in breach may allow it, and none around it.
    pub(crate) allowable_here_only: bool,
    /// The key that protects, if it is one.
    pub key: Option<Key>,
}

/// A key that protects.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The message it belongs to.
    pub part: Part,
    /// Its path from there, separated by dots.
    pub path: &'static str,
    /// Whether it must be said, even where Envoy's default is right; else only a wrong value is reported.
    pub required: bool,
    /// Values that take the protection away, in YAML; the tests put each of them in its place.
    pub weakened: &'static [&'static str],
    /// Whether Envoy's default holds too.
    pub(crate) default_holds: bool,
    pub(crate) holds: fn(&Node, &Options) -> bool,
    /// What would hold, where that depends on Exequatur.
    pub(crate) bound: Option<fn(&Options) -> String>,
}

/// The message that a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `Bootstrap`
    Bootstrap,
    /// `HttpConnectionManager`
    Connection,
    /// `DownstreamTlsContext`
    Tls,
    /// `ExtAuthz`
    Check,
    /// `BufferSettings`, of the filter or of a route
    Body,
    /// `GrpcService` of the filter or of a route
    Service,
    /// `HeaderMutation` before `ExtAuthz`
    Strip,
    /// `Cluster`, of Exequatur
    Cluster,
    /// `HttpProtocolOptions` of that cluster
    Protocol,
    /// `MeshConfig`, of Istio
    Mesh,
    /// `EnvoyExternalAuthorizationGrpcProvider` of it
    Provider,
    /// `PeerAuthentication`, of Istio
    Peers,
    /// `DestinationRule`, of Istio, for Exequatur's service
    Destination,
    /// `extAuth` of a `SecurityPolicy`, of Envoy Gateway
    Security,
    /// `BackendTLSPolicy` for Exequatur's service
    BackendTls,
    /// `ClientTrafficPolicy`, of Envoy Gateway
    Client,
    /// `extAuthz`, of agentgateway
    AgentAuth,
}

impl Part {
    /// The name of the message in Envoy's API.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Bootstrap => "Bootstrap",
            Self::Connection => "HttpConnectionManager",
            Self::Tls => "DownstreamTlsContext",
            Self::Check => "ExtAuthz",
            Self::Body => "BufferSettings",
            Self::Service => "GrpcService",
            Self::Strip => "HeaderMutation",
            Self::Cluster => "Cluster",
            Self::Protocol => "HttpProtocolOptions",
            Self::Mesh => "MeshConfig",
            Self::Provider => "EnvoyExternalAuthorizationGrpcProvider",
            Self::Peers => "PeerAuthentication",
            Self::Destination => "DestinationRule",
            Self::Security => "SecurityPolicy.extAuth",
            Self::BackendTls => "BackendTLSPolicy",
            Self::Client => "ClientTrafficPolicy",
            Self::AgentAuth => "extAuthz",
        }
    }
}

impl Rule {
    pub(crate) const fn new(
        severity: Severity,
        id: &'static str,
        requires: &'static [&'static str],
        opens: &'static str,
        fix: &'static str,
    ) -> Self {
        Self { id, requires, severity, opens, fix, allowable: false, allowable_here_only: false, key: None }
    }

    /// May be allowed, with a reason.
    pub(crate) const fn allowable(self) -> Self {
        Self { allowable: true, ..self }
    }

    /// May be allowed, with a reason, by the message that is in breach, and by none around it.
    pub(crate) const fn allowable_here(self) -> Self {
        Self { allowable: true, allowable_here_only: true, ..self }
    }

    pub(crate) const fn key(self, key: Key) -> Self {
        Self { key: Some(key), ..self }
    }
}

impl Key {
    /// Must be there, and hold.
    pub(crate) const fn must(
        part: Part,
        path: &'static str,
        holds: fn(&Node, &Options) -> bool,
        weakened: &'static [&'static str],
    ) -> Self {
        Self { part, path, required: true, weakened, default_holds: false, holds, bound: None }
    }

    /// Must hold if it is there.
    pub(crate) const fn may(
        part: Part,
        path: &'static str,
        holds: fn(&Node, &Options) -> bool,
        weakened: &'static [&'static str],
    ) -> Self {
        Self { part, path, required: false, weakened, default_holds: true, holds, bound: None }
    }

    /// Its absence is as good today, but not said.
    pub(crate) const fn default_holds(self) -> Self {
        Self { default_holds: true, ..self }
    }

    /// Says what would hold, where that depends on Exequatur.
    pub(crate) const fn bounded(self, bound: fn(&Options) -> String) -> Self {
        Self { bound: Some(bound), ..self }
    }
}

pub(crate) fn is_true(node: &Node, _: &Options) -> bool {
    node.truth() == Some(true)
}

pub(crate) fn is_false(node: &Node, _: &Options) -> bool {
    node.truth() == Some(false)
}

/// For keys that must not be there at all.
pub(crate) fn never(_: &Node, _: &Options) -> bool {
    false
}

/// For keys that are judged by a function of their family.
pub(crate) fn elsewhere(_: &Node, _: &Options) -> bool {
    true
}

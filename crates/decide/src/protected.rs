//! Protected resources: what a token is for, and under which origin callers reach it.

use std::sync::Arc;

use exequatur_token::Origin;

use crate::host::Host;

/// One protected resource (RFC 9728 §1.2).
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    /// The identifier that tokens carry in `aud` (RFC 8707 §2), and metadata in `resource`.
    pub identifier: String,
    /// Other texts that tokens carry in `aud` for it, at issuers that do not take its identifier.
    pub aliases: Vec<String>,
    /// The origin that callers see: what `htu` is compared with, never a header of the request (N04, G01).
    pub origin: Origin,
    /// The origin's host: requests to it belong to this resource.
    pub host: Host,
    /// Scopes that metadata names.
    pub scopes: Vec<String>,
    /// Where the metadata is found; sent in challenges (RFC 9728 §5.1).
    pub metadata_url: String,
}

impl ProtectedResource {
    /// Each of what a token may carry in `aud` to be for this resource; the identifier first.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.identifier).chain(&self.aliases).map(String::as_str)
    }
}

/// All protected resources, found by host.
#[derive(Clone, Debug, Default)]
pub struct ProtectedResources(Vec<Arc<ProtectedResource>>);

impl ProtectedResources {
    /// The resources, in the order of the configuration. Two with one host must have been refused before.
    #[must_use]
    pub fn new(resources: Vec<ProtectedResource>) -> Self {
        Self(resources.into_iter().map(Arc::new).collect())
    }

    /// The resource under this host.
    #[must_use]
    pub fn by_host(&self, host: &Host) -> Option<&Arc<ProtectedResource>> {
        self.0.iter().find(|resource| resource.host == *host)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ProtectedResource>> {
        self.0.iter()
    }
}

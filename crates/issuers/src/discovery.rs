//! An issuer's keys by way of its metadata (RFC 8414, OpenID Connect Discovery 1.0).

use exequatur_token::json::{self, JsonError, Value};
use reqwest::Url;

use crate::address::{self, AddressProblem, is_loopback, is_public};
use crate::download::DownloadError;
use crate::transport::Reach;

/// OpenID providers publish about 70 members.
const MAX_MEMBERS: usize = 256;
const MAX_DEPTH: usize = 16;

/// Where an issuer's metadata is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discovery {
    /// `/.well-known/oauth-authorization-server` between host and path (RFC 8414 §3.1).
    OAuth,
    /// `/.well-known/openid-configuration` after the path (OpenID Connect Discovery 1.0 §4).
    OpenId,
    /// `/.well-known/ssf-configuration` between host and path (OpenID Shared Signals Framework 1.0 §7.2).
    SharedSignals,
}

impl Discovery {
    /// The address of the metadata of `issuer`.
    ///
    /// # Errors
    /// The issuer is no https URL in its usual spelling without query (RFC 8414 §2), or http to a loopback host.
    pub(crate) fn metadata_url(self, issuer: &str) -> Result<Url, AddressProblem> {
        let mut url = address::parse(issuer)?;
        // Another spelling would be another issuer to whoever compares bytes.
        let usual = url.as_str() == issuer || url.as_str().strip_suffix('/') == Some(issuer);
        if !usual || url.query().is_some() {
            return Err(AddressProblem::Malformed);
        }
        let path = url.path().strip_suffix('/').unwrap_or_else(|| url.path());
        let path = match self {
            Self::OAuth => format!("/.well-known/oauth-authorization-server{path}"),
            Self::OpenId => format!("{path}/.well-known/openid-configuration"),
            Self::SharedSignals => format!("/.well-known/ssf-configuration{path}"),
        };
        url.set_path(&path);
        Ok(url)
    }
}

/// Where the keys are, and how far a client may go for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeysPlace {
    pub(crate) url: Url,
    pub(crate) reach: Reach,
}

/// Why metadata does not lead to keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It was not loaded.
    #[error("{0}")]
    Download(#[from] DownloadError),
    /// Not strict JSON of at most 1 MiB.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// `issuer` is not the configured one, byte for byte (J02).
    #[error("`issuer` is another one")]
    IssuerMismatch,
    /// No text `jwks_uri`.
    #[error("no `jwks_uri`")]
    NoKeys,
    /// `jwks_uri`, or another place, is no URL that is loaded from.
    #[error("`jwks_uri` is {0}")]
    Address(#[from] AddressProblem),
    /// `jwks_uri` is on another host than the issuer, at an address that is not public (G23).
    #[error("`jwks_uri` is on another host than the issuer, and not at a public address")]
    NotPublic,
}

/// The place of the keys, from the metadata document of `issuer` that was loaded from `home`.
///
/// # Errors
/// The metadata is not this issuer's, or names no place that keys are taken from.
pub(crate) fn keys_place(document: &[u8], issuer: &str, home: &Url) -> Result<KeysPlace, MetadataError> {
    let document = of_issuer(document, issuer)?;
    let url = address::parse(text(&document, "jwks_uri").ok_or(MetadataError::NoKeys)?)?;
    judge(url, home)
}

/// The metadata document of `issuer`.
///
/// # Errors
/// Not strict JSON, or another's.
pub(crate) fn of_issuer(document: &[u8], issuer: &str) -> Result<Value, MetadataError> {
    let limits = json::Limits { bytes: document.len(), depth: MAX_DEPTH, members: MAX_MEMBERS };
    let document = json::parse(document, limits)?;
    if text(&document, "issuer") != Some(issuer) {
        return Err(MetadataError::IssuerMismatch);
    }
    Ok(document)
}

/// A member that is text.
pub(crate) fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.as_object().and_then(|object| object.get(name)).and_then(Value::as_str)
}

/// The operator named the issuer's host, so that the keys may be there, wherever that is. Any other host was named
/// by the metadata, and must be one that everybody can reach: to let an issuer point into a network that it is not
/// part of would make us its errand boy (G23).
pub(crate) fn judge(url: Url, home: &Url) -> Result<KeysPlace, MetadataError> {
    if url.scheme() == "http" && home.scheme() != "http" {
        return Err(AddressProblem::Insecure.into());
    }
    let (Some(host), Some(home_host)) = (url.host(), home.host()) else {
        return Err(AddressProblem::Malformed.into());
    };
    if host == home_host || (is_loopback(&host) && is_loopback(&home_host)) {
        return Ok(KeysPlace { url, reach: Reach::Anywhere });
    }
    let public = match host {
        // Judged when it is resolved.
        url::Host::Domain(_) => !is_loopback(&host),
        url::Host::Ipv4(address) => is_public(address.into()),
        url::Host::Ipv6(address) => is_public(address.into()),
    };
    if public { Ok(KeysPlace { url, reach: Reach::PublicOnly }) } else { Err(MetadataError::NotPublic) }
}

#[cfg(test)]
mod tests;

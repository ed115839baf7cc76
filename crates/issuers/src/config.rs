//! Where keys come from, and how old they may get.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use exequatur_token::{IssuerProfile, ProfileProblem};
use reqwest::Url;

/// One issuer: what its tokens must be like, and how its keys are kept.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// What is expected of its tokens.
    pub profile: IssuerProfile,
    /// Where its keys are.
    pub source: KeySource,
    /// How often they are loaded, give or take a tenth. By default 5 minutes: a removed key stops working then.
    pub refresh: Duration,
    /// The least time between two loads from a URL, whatever key ids tokens name. By default 30 seconds.
    pub cooldown: Duration,
    /// How old the last good set may get. By default 1 hour.
    pub max_stale: Duration,
}

impl IssuerConfig {
    /// A configuration with the default periods.
    #[must_use]
    pub const fn new(profile: IssuerProfile, source: KeySource) -> Self {
        Self {
            profile,
            source,
            refresh: Duration::from_secs(300),
            cooldown: Duration::from_secs(30),
            max_stale: Duration::from_secs(3600),
        }
    }

    /// Everything that is wrong with it; empty if it can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems: Vec<_> = self.profile.problems().into_iter().map(ConfigProblem::Profile).collect();
        if let KeySource::Url { url } = &self.source {
            problems.extend(parse(url).err());
        }
        let checks = [
            (self.refresh.is_zero(), ConfigProblem::NoRefresh),
            (self.cooldown.is_zero(), ConfigProblem::NoCooldown),
            (self.max_stale < self.refresh.saturating_mul(2), ConfigProblem::StaleBeforeRefresh),
        ];
        problems.extend(checks.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem)));
        problems
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS document. Over https, or from this machine.
    Url {
        /// The document's address.
        url: String,
    },
    /// A JWKS file, looked at every 2 seconds.
    File {
        /// The file's path.
        path: PathBuf,
    },
}

/// The bounds of one load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpConfig {
    /// For the whole of it.
    pub timeout: Duration,
    /// The longest document, in bytes.
    pub max_bytes: usize,
}

impl Default for HttpConfig {
    /// 2 seconds and 1 MiB (J18).
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), max_bytes: 1024 * 1024 }
    }
}

/// A mistake in an [`IssuerConfig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// In what is expected of tokens.
    #[error("{0}")]
    Profile(ProfileProblem),
    /// Not an absolute URL, or one with user name, password or fragment.
    #[error("the key set's URL is malformed")]
    UrlMalformed,
    /// Neither https nor http to a loopback host.
    #[error("the key set's URL is neither https nor http to a loopback host")]
    UrlInsecure,
    /// Keys would be loaded without a pause.
    #[error("the refresh period is zero")]
    NoRefresh,
    /// Unknown key ids would be followed up without a pause.
    #[error("the cooldown is zero")]
    NoCooldown,
    /// Keys could be refused between two loads that succeed, or after a single one that fails.
    #[error("the longest age of keys is less than two refresh periods")]
    StaleBeforeRefresh,
}

pub(crate) fn parse(url: &str) -> Result<Url, ConfigProblem> {
    let url = Url::parse(url).or(Err(ConfigProblem::UrlMalformed))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(ConfigProblem::UrlMalformed);
    }
    let host = url.host_str().ok_or(ConfigProblem::UrlInsecure)?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        _ => Err(ConfigProblem::UrlInsecure),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests;

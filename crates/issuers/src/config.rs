//! Where keys come from, and how old they may get.

use std::path::PathBuf;
use std::time::Duration;

use exequatur_token::{Algorithm, IssuerName, IssuerProfile, ProfileProblem};
use reqwest::Url;

use crate::address::{self, AddressProblem};
use crate::discovery::Discovery;
use crate::introspection::{ClientKey, IntrospectionConfig, IntrospectionEndpoint};
use crate::status_lists::StatusListConfig;
use crate::transport::Transport;

/// One issuer: what its tokens must be like, and how its keys are kept.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// What is expected of its tokens.
    pub profile: IssuerProfile,
    /// Where its keys are.
    pub source: KeySource,
    /// How it is reached, by whatever is loaded from a URL.
    pub transport: Transport,
    /// How often they are loaded, give or take a tenth. By default 5 minutes: a removed key stops working then.
    pub refresh: Duration,
    /// The least time between two requests for them, whatever key ids tokens name. By default 30 seconds.
    pub cooldown: Duration,
    /// How old the last good set may get. By default 1 hour.
    pub max_stale: Duration,
    /// Where its status lists come from, if its tokens' status is asked for.
    pub status_lists: Option<StatusListConfig>,
    /// How it is asked about its tokens, if it is.
    pub introspection: Option<IntrospectionConfig>,
}

impl IssuerConfig {
    /// A configuration with the default periods.
    #[must_use]
    pub const fn new(profile: IssuerProfile, source: KeySource) -> Self {
        Self {
            profile,
            source,
            transport: Transport { authorities: None, proxy: None, identity: None },
            refresh: Duration::from_secs(300),
            cooldown: Duration::from_secs(30),
            max_stale: Duration::from_secs(3600),
            status_lists: None,
            introspection: None,
        }
    }

    /// How it is reached, for its documents and to ask it about its tokens.
    pub fn transports(&self) -> impl Iterator<Item = Transport> {
        let asked = self.introspection.as_ref().map(|asked| asked.transport(&self.transport));
        std::iter::once(self.transport.clone()).chain(asked)
    }

    /// The key that we show who we are with where it is asked about its tokens.
    #[must_use]
    pub fn client_key(&self) -> Option<&ClientKey> {
        self.introspection.as_ref()?.client_key()
    }

    /// Everything that is wrong with it; empty if it can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let profile = self.profile.problems().into_iter().map(ConfigProblem::Profile);
        let mut problems: Vec<_> = profile.chain(self.keys().problems()).collect();
        problems.extend(self.status_lists.iter().flat_map(StatusListConfig::problems));
        if self.profile.status_required && self.status_lists.is_none() {
            problems.push(ConfigProblem::RequiredWithoutLists);
        }
        if let Some(IntrospectionConfig { endpoint: IntrospectionEndpoint::Discovered { by }, .. }) =
            &self.introspection
        {
            let metadata = by.metadata_url(&self.profile.issuer);
            problems.extend(metadata.err().map(ConfigProblem::IntrospectionIssuer));
        }
        problems
    }

    /// That of its status lists, or of questions, may be one that its keys have no use for.
    fn transport_of_keys(&self) -> Transport {
        let plain = match &self.source {
            KeySource::Url { url } => address::parse(url).is_ok_and(|url| url.scheme() == "http"),
            KeySource::Discovered { by } => {
                by.metadata_url(&self.profile.issuer).is_ok_and(|url| url.scheme() == "http")
            }
            KeySource::File { .. } => true,
        };
        let elsewhere = self.status_lists.is_some() || self.introspection.is_some();
        if plain && elsewhere { Transport::default() } else { self.transport.clone() }
    }

    /// How its keys are kept.
    #[must_use]
    pub fn keys(&self) -> KeysConfig {
        KeysConfig {
            name: self.profile.name.clone(),
            issuer: self.profile.issuer.clone(),
            algorithms: self.profile.algorithms.clone(),
            source: self.source.clone(),
            transport: self.transport_of_keys(),
            refresh: self.refresh,
            cooldown: self.cooldown,
            max_stale: self.max_stale,
        }
    }
}

/// How the keys of one signer are kept, whatever it signs.
#[derive(Debug, Clone)]
pub struct KeysConfig {
    /// The signer's name, unique among those that are started together.
    pub name: IssuerName,
    /// What it calls itself; discovery looks for its metadata by it.
    pub issuer: String,
    /// The signatures that its keys are for.
    pub algorithms: Vec<Algorithm>,
    /// Where they are.
    pub source: KeySource,
    /// How it is reached.
    pub transport: Transport,
    /// See [`IssuerConfig::refresh`].
    pub refresh: Duration,
    /// See [`IssuerConfig::cooldown`].
    pub cooldown: Duration,
    /// See [`IssuerConfig::max_stale`].
    pub max_stale: Duration,
}

impl KeysConfig {
    /// Everything that is wrong with it; empty if it can be used.
    #[must_use]
    pub fn problems(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        let address = self.address();
        let plain =
            address.as_ref().is_some_and(|address| address.as_ref().is_ok_and(|url| url.scheme() == "http"));
        let checks = [
            (address.is_none() && !self.transport.is_usual(), ConfigProblem::TransportUnused),
            (plain && self.transport.authorities.is_some(), ConfigProblem::AuthoritiesUnused),
            (plain && self.transport.proxy.is_some(), ConfigProblem::ProxyWithoutTls),
            (self.refresh.is_zero(), ConfigProblem::NoRefresh),
            (self.cooldown.is_zero(), ConfigProblem::NoCooldown),
            (self.max_stale < self.refresh.saturating_mul(2), ConfigProblem::StaleBeforeRefresh),
        ];
        problems.extend(address.and_then(Result::err));
        problems.extend(checks.into_iter().filter_map(|(wrong, problem)| wrong.then_some(problem)));
        problems
    }

    /// What is asked first; nothing for a file.
    pub(crate) fn address(&self) -> Option<Result<Url, ConfigProblem>> {
        match &self.source {
            KeySource::Url { url } => Some(address::parse(url).map_err(ConfigProblem::Url)),
            KeySource::Discovered { by } => {
                Some(by.metadata_url(&self.issuer).map_err(ConfigProblem::Issuer))
            }
            KeySource::File { .. } => None,
        }
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
    /// Where the issuer's metadata says. The issuer is then a URL, over https or of this machine, without query.
    Discovered {
        /// By which metadata.
        by: Discovery,
    },
    /// A JWKS file, looked at every 2 seconds.
    File {
        /// The file's path.
        path: PathBuf,
    },
}

impl KeySource {
    /// A JWKS document at this address.
    ///
    /// # Errors
    /// [`ConfigProblem::Url`], as [`IssuerConfig::problems`] has it.
    pub fn url(text: &str) -> Result<Self, ConfigProblem> {
        address::parse(text).map_err(ConfigProblem::Url)?;
        Ok(Self::Url { url: text.to_owned() })
    }
}

/// The bounds of one document.
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
    /// In the key set's address.
    #[error("the key set's URL is {0}")]
    Url(AddressProblem),
    /// In the address that metadata is looked for by.
    #[error("keys are discovered, and the issuer as a URL is {0}")]
    Issuer(AddressProblem),
    /// Authorities or proxy, and keys from a file.
    #[error("keys from a file need neither authorities nor a proxy")]
    TransportUnused,
    /// Authorities, and keys without TLS.
    #[error("authorities are for https, and keys come over http")]
    AuthoritiesUnused,
    /// A proxy, and keys without TLS: it would be asked for something of its own machine, and could change it.
    #[error("a proxy is for https, and keys come over http")]
    ProxyWithoutTls,
    /// Keys would be loaded without a pause.
    #[error("the refresh period is zero")]
    NoRefresh,
    /// Unknown key ids would be followed up without a pause.
    #[error("the cooldown is zero")]
    NoCooldown,
    /// Each token must name a list, and none is asked for.
    #[error("a status is required, and no status lists are configured")]
    RequiredWithoutLists,
    /// In the address that metadata is looked for by, which is to say where to ask about tokens.
    #[error("the introspection endpoint is discovered, and the issuer as a URL is {0}")]
    IntrospectionIssuer(AddressProblem),
    /// Nowhere for lists to come from.
    #[error("no address that status lists come from")]
    NoListPrefix,
    /// Lists would be loaded without a pause.
    #[error("the refresh period of status lists is zero")]
    NoListRefresh,
    /// Lists that fail would be asked for without a pause.
    #[error("the cooldown of status lists is zero")]
    NoListCooldown,
    /// Lists would end before they can be loaded again.
    #[error("the longest time of status lists is less than two refresh periods")]
    ListStaleBeforeRefresh,
    /// Room for no list.
    #[error("no room for a status list")]
    NoRoomForLists,
    /// Keys could be refused between two loads that succeed, or after a single one that fails.
    #[error("the longest age of keys is less than two refresh periods")]
    StaleBeforeRefresh,
}

#[cfg(test)]
mod tests;

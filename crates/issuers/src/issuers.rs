//! All configured issuers.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use exequatur_token::IssuerName;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{HttpConfig, IssuerConfig};
use crate::introspection::{Introspection, IntrospectionStatus, Means, OpaqueTokens};
use crate::issuer::Issuer;
use crate::kept_keys::IssuerStatus;
use crate::signers::{Clock, IssuersError, Renewal, Signers};
use crate::status_lists::{ListsStatus, StatusLists, Upkeep};
use crate::transport::{Reach, Transport};

/// The issuers, by the `iss` of their tokens.
#[derive(Debug)]
pub struct Issuers {
    by_issuer: HashMap<String, Arc<Issuer>>,
    // INVARIANT: no token is one of two.
    by_opaque: Vec<(OpaqueTokens, Arc<Issuer>)>,
    signers: Signers,
}

impl Issuers {
    /// Starts one task per issuer on `tasks`; each loads its issuer's keys at once and then keeps them until
    /// `cancel`. Returns without waiting for any load.
    ///
    /// # Errors
    /// The configuration cannot be used. Nothing is started then.
    pub fn start(
        configs: Vec<IssuerConfig>,
        http: HttpConfig,
        clock: Clock,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Result<Arc<Self>, IssuersError> {
        if configs.is_empty() {
            return Err(IssuersError::None);
        }
        let mut seen = Vec::new();
        for config in &configs {
            let profile = &config.profile;
            if let Some(problem) = config.problems().into_iter().next() {
                return Err(IssuersError::Config { name: profile.name.clone(), problem });
            }
            if seen.contains(&&profile.issuer) {
                return Err(IssuersError::Duplicate(profile.name.clone()));
            }
            seen.push(&profile.issuer);
        }
        if let Some((_, later)) = ambiguous(&configs) {
            return Err(IssuersError::Ambiguous(later.profile.name.clone()));
        }
        let keys = configs.iter().map(IssuerConfig::keys).collect();
        let signers = Signers::start(keys, http, Arc::clone(&clock), tasks, cancel)?;
        let upkeep = Upkeep { clock, tasks: tasks.clone(), cancel: cancel.clone() };
        let (mut by_issuer, mut by_opaque) = (HashMap::new(), Vec::new());
        for (config, keys) in configs.into_iter().zip(signers.iter()) {
            let IssuerConfig { profile, transport, status_lists, introspection, refresh, .. } = config;
            let lists = match status_lists {
                // The operator named the hosts, so that lists may come from there, wherever that is, as keys may.
                Some(lists) => {
                    let client = signers.client(&transport, Reach::Anywhere)?;
                    Some(StatusLists::new(lists, client, upkeep.clone()))
                }
                None => None,
            };
            let introspection = match introspection {
                Some(config) => {
                    let means = Means {
                        lines: signers.lines(&config.transport(&transport))?,
                        caller: signers.caller(&transport)?,
                        every: refresh,
                    };
                    let (profile, keys) = (profile.clone(), Arc::clone(keys));
                    Some(Introspection::start(config, profile, keys, means, upkeep.clone()))
                }
                None => None,
            };
            let opaque = introspection.as_ref().and_then(|asked| asked.config().opaque.clone());
            let issuer = Arc::new(Issuer::new(profile, Arc::clone(keys), lists, introspection));
            by_opaque.extend(opaque.map(|opaque| (opaque, Arc::clone(&issuer))));
            by_issuer.insert(issuer.profile().issuer.clone(), issuer);
        }
        Ok(Arc::new(Self { by_issuer, by_opaque, signers }))
    }

    /// See [`Signers::renewal`].
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn renewal<T: Borrow<Transport>>(
        &self,
        transports: impl IntoIterator<Item = T>,
    ) -> Result<Renewal<'_>, IssuersError> {
        self.signers.renewal(transports)
    }

    /// Goes over to the keys that `configs` have by now, which were read anew: those that we show who we are with where issuers are
    /// asked about their tokens. Names the files that had changed.
    pub fn renew_keys(&self, configs: &[IssuerConfig]) -> Vec<PathBuf> {
        let renewed = configs.iter().filter_map(|config| {
            let anew = config.client_key()?;
            let running =
                self.by_issuer.get(&config.profile.issuer)?.introspection()?.config().client_key()?;
            running.renew(anew).then(|| anew.file())
        });
        renewed.collect()
    }

    /// Goes over to the authorities of tenants' certificates that `configs` have by now, which were read anew. Names the files that had
    /// changed.
    pub fn renew_authorities(&self, configs: &[IssuerConfig]) -> Vec<PathBuf> {
        let renewed = configs.iter().filter_map(|config| {
            let anew = config.profile.tenants.authorities()?;
            let running = self.by_issuer.get(&config.profile.issuer)?.profile().tenants.authorities()?;
            running.renew(anew).then(|| anew.file().to_owned())
        });
        renewed.collect()
    }

    /// The issuer with exactly this `iss` (J02).
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.by_issuer.get(issuer)
    }

    /// The issuer that is asked about `raw`, if it is an opaque token of one.
    #[must_use]
    pub fn of_opaque(&self, raw: &str) -> Option<&Arc<Issuer>> {
        self.by_opaque.iter().find(|(tokens, _)| tokens.cover(raw)).map(|(_, issuer)| issuer)
    }

    /// Whether every issuer has keys that may be used at `now`.
    #[must_use]
    pub fn complete(&self, now: Timestamp) -> bool {
        self.signers.iter().all(|keys| keys.keys(now).is_ok())
    }

    /// See [`Signers::unattended`]; or an issuer of which a status list, or the place to ask it, is kept no more.
    #[must_use]
    pub fn unattended(&self) -> Option<&IssuerName> {
        let attended = |issuer: &Issuer| {
            issuer.status_lists().is_none_or(StatusLists::are_attended)
                && issuer.introspection().is_none_or(|asked| asked.is_attended())
        };
        let left = || self.by_issuer.values().find(|issuer| !attended(issuer));
        self.signers.unattended().or_else(|| left().map(|issuer| &issuer.profile().name))
    }

    /// All issuers' keys and loads, by name.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Vec<IssuerStatus> {
        self.signers.status(now)
    }

    /// The status lists of the issuers that have some.
    pub fn lists_status(&self, now: Timestamp) -> impl Iterator<Item = (&IssuerName, ListsStatus)> {
        let lists = move |issuer: &Arc<Issuer>| issuer.lists_status(now);
        self.by_issuer.values().filter_map(move |issuer| Some((&issuer.profile().name, lists(issuer)?)))
    }

    /// How questions go to the issuers that are asked about their tokens. Tells each question's time once.
    pub fn introspection_status(&self) -> impl Iterator<Item = (&IssuerName, IntrospectionStatus)> {
        let status = |issuer: &Arc<Issuer>| issuer.introspection_status();
        self.by_issuer.values().filter_map(move |issuer| Some((&issuer.profile().name, status(issuer)?)))
    }
}

/// Two issuers of which a token could be either's, if there are.
#[must_use]
pub fn ambiguous(configs: &[IssuerConfig]) -> Option<(&IssuerConfig, &IssuerConfig)> {
    let opaque = |config: &IssuerConfig| config.introspection.as_ref()?.opaque.clone();
    let mut rest = configs;
    while let Some((first, others)) = rest.split_first() {
        if let Some(tokens) = opaque(first) {
            let same = |other: &&IssuerConfig| opaque(other).is_some_and(|theirs| theirs.overlap(&tokens));
            if let Some(other) = others.iter().find(same) {
                return Some((first, other));
            }
        }
        rest = others;
    }
    None
}

#[cfg(test)]
mod tests;

//! All configured issuers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use exequatur_token::IssuerName;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ConfigProblem, HttpConfig, IssuerConfig};
use crate::issuer::Issuer;
use crate::kept_keys::IssuerStatus;
use crate::signers::{Clock, IssuersError, Signers};
use crate::transport::Transport;

/// The issuers, by the `iss` of their tokens.
#[derive(Debug)]
pub struct Issuers {
    by_issuer: HashMap<String, Arc<Issuer>>,
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
        for IssuerConfig { profile, .. } in &configs {
            if let Some(problem) = profile.problems().into_iter().next() {
                let problem = ConfigProblem::Profile(problem);
                return Err(IssuersError::Config { name: profile.name.clone(), problem });
            }
            if seen.contains(&&profile.issuer) {
                return Err(IssuersError::Duplicate(profile.name.clone()));
            }
            seen.push(&profile.issuer);
        }
        let signers =
            Signers::start(configs.iter().map(IssuerConfig::keys).collect(), http, clock, tasks, cancel)?;
        let issuers = configs.into_iter().zip(signers.iter()).map(|(config, keys)| {
            let issuer = config.profile.issuer.clone();
            (issuer, Arc::new(Issuer::new(config.profile, Arc::clone(keys))))
        });
        let by_issuer = issuers.collect();
        Ok(Arc::new(Self { by_issuer, signers }))
    }

    /// See [`Signers::renew`].
    ///
    /// # Errors
    /// A client cannot be made. Nothing has changed then.
    pub fn renew<'a>(
        &self,
        transports: impl IntoIterator<Item = &'a Transport>,
    ) -> Result<Vec<PathBuf>, IssuersError> {
        self.signers.renew(transports)
    }

    /// The issuer with exactly this `iss` (J02).
    #[must_use]
    pub fn find(&self, issuer: &str) -> Option<&Arc<Issuer>> {
        self.by_issuer.get(issuer)
    }

    /// Whether every issuer has keys that may be used at `now`.
    #[must_use]
    pub fn complete(&self, now: Timestamp) -> bool {
        self.signers.iter().all(|keys| keys.keys(now).is_ok())
    }

    /// See [`Signers::unattended`].
    #[must_use]
    pub fn unattended(&self) -> Option<&IssuerName> {
        self.signers.unattended()
    }

    /// All issuers' keys and loads, by name.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Vec<IssuerStatus> {
        self.signers.status(now)
    }
}

#[cfg(test)]
mod tests;

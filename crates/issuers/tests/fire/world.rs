//! Issuers as a server starts them, and what is known of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use exequatur_issuers::{
    HttpConfig, Issuer, IssuerConfig, IssuerStatus, Issuers, KeySource, KeysUnavailable, LoadOutcome,
};
use exequatur_token::{Algorithm, ClaimNames, IssuerProfile, KeySet, KeySetId, TenantScope};
use jiff::SignedDuration;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::server::Server;
use crate::time::{Time, turns};

/// As [`IssuerConfig::new`] has them.
pub(crate) const REFRESH: Duration = Duration::from_secs(300);
pub(crate) const COOLDOWN: Duration = Duration::from_secs(30);
pub(crate) const MAX_STALE: Duration = Duration::from_secs(3600);

/// A set of the key of RFC 8037 appendix A.2 under each of these ids.
pub(crate) fn jwks(kids: &[&str]) -> String {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = |kid: &&str| format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}"#);
    format!(r#"{{"keys":[{}]}}"#, kids.iter().map(key).collect::<Vec<_>>().join(","))
}

pub(crate) fn set_id(kids: &[&str]) -> KeySetId {
    KeySet::parse(jwks(kids).as_bytes(), &[Algorithm::EdDsa]).unwrap().id()
}

pub(crate) fn profile(name: &str) -> IssuerProfile {
    IssuerProfile {
        name: name.parse().unwrap(),
        issuer: format!("https://{name}.example"),
        audiences: vec!["https://api.example".to_owned()],
        algorithms: vec![Algorithm::EdDsa],
        max_lifetime: SignedDuration::from_mins(15),
        leeway: SignedDuration::ZERO,
        accept_typ_jwt: false,
        claims: ClaimNames::default(),
        tenants: TenantScope::Any,
        status_required: false,
    }
}

pub(crate) fn config(name: &str, url: &str) -> IssuerConfig {
    IssuerConfig::new(profile(name), KeySource::Url { url: url.to_owned() })
}

pub(crate) struct World {
    pub(crate) time: Time,
    pub(crate) issuers: Arc<Issuers>,
    /// Each one's `iss` by its name.
    issuer_of: HashMap<String, String>,
    _stop: DropGuard,
}

impl World {
    pub(crate) async fn start(configs: Vec<IssuerConfig>) -> Self {
        let time = Time::hold().await;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let issuer_of = configs
            .iter()
            .map(|config| (config.profile.name.to_string(), config.profile.issuer.clone()))
            .collect();
        let issuers = Issuers::start(configs, HttpConfig::default(), time.clock(), &tasks, &stop).unwrap();
        Self { time, issuers, issuer_of, _stop: stop.drop_guard() }
    }

    /// One issuer, `corp`, whose first keys are `a`, loaded from `/jwks`.
    pub(crate) async fn loaded_from(server: &Server) -> Self {
        server.answer("/jwks", crate::server::Answer::ok(&jwks(&["a"])));
        let world = Self::start(vec![config("corp", &server.url("/jwks"))]).await;
        world.until_loads("corp", 1).await;
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
        world
    }

    pub(crate) fn issuer(&self, name: &str) -> &Arc<Issuer> {
        self.issuers.find(&self.issuer_of[name]).unwrap()
    }

    pub(crate) fn keys(&self, name: &str) -> Result<KeySetId, KeysUnavailable> {
        self.issuer(name).keys(self.time.now()).map(|keys| keys.id())
    }

    pub(crate) fn status(&self, name: &str) -> IssuerStatus {
        self.issuer(name).status(self.time.now())
    }

    pub(crate) fn loads(&self, name: &str) -> u64 {
        let loads = self.status(name).loads;
        loads.succeeded() + loads.failed()
    }

    pub(crate) fn count(&self, name: &str, outcome: LoadOutcome) -> u64 {
        self.status(name).loads.iter().find(|(counted, _)| *counted == outcome).unwrap().1
    }

    /// A token names a key that is not known.
    pub(crate) fn unknown(&self, name: &str, kid: &str) {
        let issuer = self.issuer(name);
        issuer.unknown_key_seen(issuer.sought_key(Some(kid), Algorithm::EdDsa), self.time.now());
    }

    /// Until so many loads have ended, without any time passing.
    pub(crate) async fn until_loads(&self, name: &str, loads: u64) {
        while self.loads(name) < loads {
            turns().await;
        }
    }

    /// Moves time second by second, until another load has ended.
    pub(crate) async fn next_load(&self, name: &str, server: &Server) {
        let loads = self.loads(name);
        while self.loads(name) == loads {
            self.pass(Duration::from_secs(1), server).await;
        }
    }

    /// Moves time second by second, and lets `server` answer after each.
    pub(crate) async fn pass(&self, span: Duration, server: &Server) {
        let end = self.time.passed() + span;
        while self.time.passed() < end {
            tokio::time::advance(Duration::from_secs(1).min(end - self.time.passed())).await;
            server.settle().await;
        }
    }
}

//! One request, decided outside the server by the same line: what `check` shows.

use std::sync::Arc;
use std::time::Duration;

use exequatur_decide::{
    Denial, Facts, Fault, Generation, RawRequest, Reason, Refusal, Settled, Stage, Trail,
};
use exequatur_issuers::{
    HttpConfig, IntrospectionProblem, IssuerConfig, Issuers, KeysUnavailable, StatusProblem, Uncounted,
};
use exequatur_store::EmbeddedStore;
use exequatur_token::{
    IssuerProfile, KeySet, StatusReference, StatusValid, StillActive, TokenDigest, VerifiedToken,
};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{self, Clock};
use crate::config::Config;
use crate::serve::{Followed, ServeError, decider};
use crate::state::StateError;

/// How long the issuers' keys are waited for.
const KEYS_WITHIN: Duration = Duration::from_secs(5);
/// How long the trial's own, empty store is taken to have been complete: longer than any proof can pass.
const COMPLETE_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What came of it.
#[derive(Debug)]
pub struct Trial {
    /// The stages that were entered, in order.
    pub stages: Vec<Stage>,
    /// What was established.
    pub facts: Facts,
    /// The end.
    pub result: Result<Settled, Refusal>,
}

/// Decides one request. The store is the trial's own and empty, so that neither whether a proof was used before nor what
/// is revoked is known here; nothing of a running server is touched.
///
/// # Errors
/// If the parts cannot be put together. Keys that cannot be loaded are the decision's to name.
pub async fn try_once(
    config: &Config,
    generation: &Generation,
    request: &RawRequest<'_>,
) -> Result<Trial, ServeError> {
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let configs = config.issuers.iter().cloned().map(patient).collect();
    let issuers = Issuers::start(configs, HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let now = clock();
    let long_ago = now.saturating_sub(COMPLETE_FOR).unwrap_or(now);
    let store = EmbeddedStore::new(config.store.replay, long_ago).map_err(StateError::from)?;
    let decider = decider(config, issuers, Arc::new(store), Followed::nothing())?;
    let mut stages = Vec::new();
    let mut observer = |stage| stages.push(stage);
    let mut trail = Trail::new(&mut observer);
    let result = decider.check(request, generation, now, &mut trail).await;
    let facts = trail.facts;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(Trial { stages, facts, result })
}

/// The issuer with this `iss` and its keys now, loaded for this question only.
///
/// # Errors
/// If the issuer cannot be started. Keys that cannot be loaded are the inner error.
pub async fn issuer_keys(
    config: &Config,
    issuer: &str,
) -> Result<Option<(IssuerProfile, Result<Arc<KeySet>, KeysUnavailable>)>, ServeError> {
    let Some(found) = config.issuers.iter().find(|each| each.profile.issuer == issuer) else {
        return Ok(None);
    };
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let issuers =
        Issuers::start(vec![found.clone()], HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let keys = issuers.find(issuer).map(|issuer| (issuer.profile().clone(), issuer.keys(clock())));
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(keys)
}

/// What the issuer's status list says of a token, loaded for this question only.
///
/// # Errors
/// If the issuer cannot be started. What stands against the token is the inner error.
pub async fn token_status(
    config: &Config,
    issuer: &str,
    reference: &StatusReference,
) -> Result<Result<StatusValid, StatusProblem>, ServeError> {
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let found = config.issuers.iter().filter(|each| each.profile.issuer == issuer);
    let configs = found.cloned().map(patient).collect();
    let issuers = Issuers::start(configs, HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let status = match issuers.find(issuer) {
        Some(issuer) => issuer.token_status(reference, clock()).await.map(|listed| listed.valid),
        None => Err(StatusProblem::NotConfigured),
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(status)
}

/// What the issuer of `token`, which came as `raw`, says of it when it is asked; `None` if it is not asked about such.
///
/// # Errors
/// If the issuer cannot be started. What stands against the token is the inner error, in words too.
pub async fn token_introspection(
    config: &Config,
    issuer: &str,
    raw: &str,
    token: &Arc<VerifiedToken>,
) -> Result<Option<Result<StillActive, (Reason, String)>>, ServeError> {
    let found = config.issuers.iter().filter(|each| each.profile.issuer == issuer);
    let configs: Vec<_> = found.cloned().map(patient).collect();
    if !configs.iter().any(|issuer| issuer.introspection.as_ref().is_some_and(|asked| asked.jwts)) {
        return Ok(None);
    }
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let issuers = Issuers::start(configs, HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)?;
    wait_for_keys(&issuers, &clock).await;
    let said = match issuers.find(issuer) {
        Some(issuer) => Some(issuer.confirm(raw, TokenDigest::of(raw), token, &Uncounted, clock()).await),
        None => None,
    };
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    let reason = |problem: IntrospectionProblem| {
        let reason = match problem {
            IntrospectionProblem::Inactive => Denial::Inactive.reason(),
            IntrospectionProblem::Token(error) => Denial::Token(error).reason(),
            IntrospectionProblem::Unavailable(why) => Fault::Introspection(why).reason(),
        };
        (reason, problem.to_string())
    };
    Ok(said.map(|said| said.map(|believed| believed.what).map_err(reason)))
}

/// Nobody waits for this answer but the operator: a status list, or what an issuer says of a token, may take as long as
/// keys may.
fn patient(mut config: IssuerConfig) -> IssuerConfig {
    if let Some(lists) = &mut config.status_lists {
        lists.wait = KEYS_WITHIN;
    }
    if let Some(asked) = &mut config.introspection {
        (asked.wait, asked.timeout) = (KEYS_WITHIN, KEYS_WITHIN);
    }
    config
}

pub(crate) async fn wait_for_keys(issuers: &Arc<Issuers>, clock: &Clock) {
    let complete = async {
        while !issuers.complete(clock()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(KEYS_WITHIN, complete).await.is_err() {
        tracing::warn!("not every issuer's keys could be loaded");
    }
}

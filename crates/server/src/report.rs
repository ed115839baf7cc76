//! What this replica says of itself, for `exequatur status` at any of them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use exequatur_admin::status::{
    GenerationReport, IssuerReport, Knowledge, NoncesReport, REPORT_VERSION, ReplicaState, Report,
    RevocationsReport, StoreReport,
};
use exequatur_admin::wire::When;
use exequatur_decide::Generation;
use exequatur_issuers::{IssuerStatus, Issuers};
use exequatur_store::StoreError;
use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::nonce_secrets::NonceMarks;
use crate::public::Readiness;
use crate::reloads::Reloads;
use crate::state::Tending;

/// How often it says so.
const SAY_EVERY: SignedDuration = SignedDuration::from_millis(900);

/// Says it.
#[derive(Debug)]
pub(crate) struct Reporter {
    started: Timestamp,
    store: &'static str,
    /// `iss` of each issuer, by its name.
    issuers: Vec<(String, String)>,
    generation: Arc<ArcSwap<Generation>>,
    reloads: Arc<Reloads>,
    readiness: Arc<Readiness>,
    said: Option<Timestamp>,
}

impl Reporter {
    pub(crate) fn new(
        config: &Config,
        generation: &Arc<ArcSwap<Generation>>,
        reloads: &Arc<Reloads>,
        readiness: &Arc<Readiness>,
        now: Timestamp,
    ) -> Self {
        let profiles = config.issuers.iter().map(|issuer| &issuer.profile);
        Self {
            started: now,
            store: if config.store.redis.is_some() { "redis" } else { "embedded" },
            issuers: profiles.map(|profile| (profile.name.to_string(), profile.issuer.clone())).collect(),
            generation: Arc::clone(generation),
            reloads: Arc::clone(reloads),
            readiness: Arc::clone(readiness),
            said: None,
        }
    }

    /// About once a second, and at once when it begins to stop.
    pub(crate) fn say(
        &mut self,
        issuers: &Issuers,
        state: &Tending,
        store: &Result<(), StoreError>,
        now: Timestamp,
    ) {
        if self.said.is_some_and(|said| now.duration_since(said).abs() < SAY_EVERY) {
            return;
        }
        let Some(report) = self.report(issuers, state, store, now) else { return };
        match report.encode() {
            Ok(report) => match state.itself().report(&report) {
                Ok(()) => self.said = Some(now),
                Err(error) => tracing::error!(%error, "this replica cannot say how it is"),
            },
            Err(error) => tracing::error!(%error, "this replica cannot say how it is"),
        }
    }

    fn report(
        &self,
        issuers: &Issuers,
        state: &Tending,
        store: &Result<(), StoreError>,
        now: Timestamp,
    ) -> Option<Report> {
        let (source, generation) = (self.reloads.source()?, self.generation.load());
        let digits = |mark: u32| format!("{mark:08x}");
        let nonces = source.nonces.map(|NonceMarks { made, taken }| NoncesReport {
            made: digits(made),
            taken: taken.into_iter().map(digits).collect(),
        });
        Some(Report {
            v: REPORT_VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: When(now),
            started: When(self.started),
            state: self.readiness.state(),
            generation: GenerationReport {
                number: generation.number,
                configuration: source.configuration,
                rules: source.rules,
                policies: generation.policies.content_hash().to_owned(),
                since: When(source.since),
            },
            failed_reload: source.failed,
            issuers: issuers.status(now).iter().map(|status| self.issuer(issuers, status, now)).collect(),
            issuers_unlisted: 0,
            store: StoreReport {
                kind: self.store.to_owned(),
                error: store.as_ref().err().map(ToString::to_string),
            },
            revocations: state.revocations_report(now),
            nonces,
            overrides: state.overrides_known().and_then(|count| u64::try_from(count).ok()),
            attributes: state.attributes_known(now).and_then(|count| u64::try_from(count).ok()),
        })
    }

    fn issuer(&self, issuers: &Issuers, status: &IssuerStatus, now: Timestamp) -> IssuerReport {
        let name = status.name.to_string();
        let iss = self.issuers.iter().find(|(known, _)| *known == name).map(|(_, iss)| iss);
        let issuer = iss.and_then(|iss| issuers.find(iss));
        IssuerReport {
            usable: issuer.is_some_and(|issuer| issuer.keys(now).is_ok()),
            keys: u32::try_from(status.keys).unwrap_or(u32::MAX),
            age_s: status.keys_age.and_then(|age| u64::try_from(age.as_secs()).ok()),
            error: status.last_error.as_ref().map(ToString::to_string),
            name,
        }
    }
}

impl Readiness {
    fn state(&self) -> ReplicaState {
        if self.is_draining() {
            ReplicaState::Draining
        } else if self.is_ready() {
            ReplicaState::Ready
        } else {
            ReplicaState::Starting
        }
    }
}

impl Tending {
    fn revocations_report(&self, now: Timestamp) -> RevocationsReport {
        let (health, snapshot) = (self.revocations().health(), self.revocations().snapshot());
        let known = if snapshot.unknown(now).is_some() {
            Knowledge::Unknown
        } else if snapshot.is_degraded(now) {
            Knowledge::Degraded
        } else {
            Knowledge::Known
        };
        RevocationsReport {
            entries: health.entries,
            position: health.position.0,
            known,
            not_kept: health.broken.is_some(),
        }
    }
}

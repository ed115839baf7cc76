//! What Envoy calls: takes a message in, lets `decide` decide, records, answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use exequatur_audit::{Recorded, Recorder};
use exequatur_decide::{Decider, Facts, Fault, Generation, Refusal, Settled, Stage, Trail};
use exequatur_proto::envoy::service::auth::v3::authorization_server::Authorization;
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;
use tonic::{Request, Response, Status};

use crate::clock::{Clock, monotonic};
use crate::metrics;
use crate::record::{Decided, record_of};
use crate::wire::challenge::Offer;
use crate::wire::extract::{Described, extract};
use crate::wire::respond::{Answer, changes, deny, permit};

/// The authorization service. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    parts: Arc<ServiceParts>,
}

/// What the service is made of.
pub(crate) struct ServiceParts {
    pub(crate) decider: Decider,
    pub(crate) generation: Arc<ArcSwap<Generation>>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) clock: Clock,
    /// Our own bound on a decision, within the time that Envoy waits.
    pub(crate) deadline: Duration,
    /// Decisions at once; beyond it the answer is a quick 503.
    pub(crate) in_flight: Semaphore,
    /// The proof algorithms, as challenges name them.
    pub(crate) algorithms: String,
}

impl std::fmt::Debug for ServiceParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceParts").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// Elapsed time at the beginning of each stage.
#[derive(Debug)]
pub(crate) struct Timings {
    pub(crate) started: Instant,
    pub(crate) stages: Vec<(Stage, Instant)>,
}

impl Service {
    pub(crate) fn new(parts: ServiceParts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Decides, records, answers. There is no way out of it but through `permit` or `deny`.
    pub(crate) async fn answer(&self, request: CheckRequest) -> CheckResponse {
        let parts = &self.parts;
        let now = (parts.clock)();
        let arrived = tokio::time::Instant::now();
        // Until the answer is made, the record included.
        let place = parts.in_flight.try_acquire();
        let generation = parts.generation.load_full();
        let mut timings = Timings { started: monotonic(), stages: Vec::with_capacity(8) };
        let id = decision_id(now);
        let mut observer = |stage| timings.stages.push((stage, monotonic()));
        let mut trail = Trail::new(&mut observer);
        let by = arrived.checked_add(parts.deadline).unwrap_or(arrived);
        let (peer, result) = match &place {
            Ok(_place) => self.decide(request, &generation, now, by, &mut trail).await,
            Err(_none_left) => (None, Err(Fault::Overloaded.into())),
        };
        let facts = trail.facts;
        let finished = monotonic();
        let decided = Decided {
            id: &id,
            now,
            finished,
            generation: &generation,
            facts: &facts,
            peer,
            timings: &timings,
        };
        self.finish(result, decided, by).await
    }

    async fn decide(
        &self,
        request: CheckRequest,
        generation: &Generation,
        now: Timestamp,
        by: tokio::time::Instant,
        trail: &mut Trail<'_>,
    ) -> (Option<IpAddr>, Result<Settled, Refusal>) {
        let described: Described = match extract(request) {
            Ok(described) => described,
            Err(denial) => return (None, Err(denial.into())),
        };
        let headers = described.headers();
        let raw = described.raw(&headers);
        let decision = self.parts.decider.check(&raw, generation, now, trail);
        let result = match timeout_at(by, decision).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Fault::Deadline.into()),
        };
        (described.peer, result)
    }

    /// Records, then answers: a permit that must be recorded and was not is no permit.
    async fn finish(
        &self,
        result: Result<Settled, Refusal>,
        decided: Decided<'_>,
        by: tokio::time::Instant,
    ) -> CheckResponse {
        let answer = Answer { id: decided.id, generation: decided.generation.number, facts: decided.facts };
        // A decision that never had to wait is still late if nothing let it run: Envoy has answered by now.
        let late = tokio::time::Instant::now() >= by;
        let permitted = result.and_then(|settled| {
            if late {
                return Err(Fault::Deadline.into());
            }
            let changes = changes(&settled, decided.id)?;
            Ok((settled, changes))
        });
        let recorded = self.record(permitted.as_ref().err(), decided, by).await;
        let refusal = match (permitted, recorded) {
            (Ok((settled, changes)), Ok(recorded)) => {
                metrics::decision("permit", "permitted", decided.elapsed());
                crate::record::log(&record_of(None, decided));
                return permit(&settled, changes, &recorded, answer);
            }
            (Ok(_) | Err(_), Err(fault)) => Refusal::Faulted(fault),
            (Err(refusal), Ok(_recorded)) => refusal,
        };
        let verdict = match &refusal {
            Refusal::Denied(_) => "deny",
            Refusal::Faulted(_) => "fault",
        };
        metrics::decision(verdict, refusal.reason().code(), decided.elapsed());
        crate::record::log(&record_of(Some(&refusal), decided));
        deny(&refusal, self.offer(decided.generation, decided.facts), answer)
    }

    async fn record(
        &self,
        refusal: Option<&Refusal>,
        decided: Decided<'_>,
        by: tokio::time::Instant,
    ) -> Result<Recorded, Fault> {
        let record = record_of(refusal, decided);
        let Some(recorder) = &self.parts.recorder else { return Ok(Recorded::not_configured()) };
        match timeout_at(by, recorder.record(record)).await {
            Ok(Ok(recorded)) => Ok(recorded),
            Ok(Err(error)) => {
                tracing::error!(decision = decided.id, %error, "the decision could not be recorded");
                Err(Fault::Record)
            }
            Err(_elapsed) => {
                tracing::error!(decision = decided.id, "the decision could not be recorded in time");
                Err(Fault::Record)
            }
        }
    }

    fn offer<'a>(&'a self, generation: &'a Generation, facts: &'a Facts) -> Offer<'a> {
        let protected = facts.host.as_ref().and_then(|host| generation.routes.protected().by_host(host));
        Offer {
            algorithms: &self.parts.algorithms,
            metadata: protected.map(|protected| protected.metadata_url.as_str()),
            scopes: &facts.scopes_needed,
            facts,
        }
    }
}

/// A UUID of version 7: sorted by time, and random enough not to be guessed.
fn decision_id(now: Timestamp) -> String {
    let mut random = [0; 10];
    // Without randomness the id is still unique enough by time to be found; nothing is decided by it.
    if getrandom::fill(&mut random).is_err() {
        tracing::error!("no randomness for a decision id");
    }
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().to_string()
}

#[tonic::async_trait]
impl Authorization for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        Ok(Response::new(self.answer(request.into_inner()).await))
    }
}

#[cfg(test)]
mod tests;

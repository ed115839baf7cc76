//! What Envoy calls: takes a message in, lets `decide` decide, records, answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use exequatur_audit::{Recorded, Recorder, Redaction};
use exequatur_decide::{Decider, Facts, Fault, Generation, Refusal, Settled, SharedNonces, Stage, Trail};
use exequatur_proto::envoy::service::auth::v3::CheckResponse;
use jiff::Timestamp;
use tokio::time::timeout_at;
use tonic::Status;
use tonic::codegen::http::HeaderMap;

use crate::clock::{Clock, monotonic};
use crate::kept::Kept;
use crate::metrics::{self, Decisions, Stages};
use crate::record::{Decided, record_of};
use crate::tenant_tally::{TenantTally, Verdict};
use crate::traces::Tracer;
use crate::wire::challenge::Offer;
use crate::wire::extract::{Caller, Described, Message, extract};
use crate::wire::patience::patience;
use crate::wire::respond::{Answer, changes, deny, permit};
use crate::wire::trace_state::{Lineage, state_of};
use crate::workers::{Floor, Overload, Place, Queue, Seat};

/// How many requests were refused because their turn would have come too late. They have no record each.
#[derive(Debug, Default)]
pub(crate) struct Shed(AtomicU64);

impl Shed {
    /// All, since the start.
    pub(crate) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What Envoy calls, in one worker.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    service: Service,
    floor: Floor,
}

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
    /// Who makes spans of decisions, if anybody does.
    pub(crate) tracer: Option<Tracer>,
    /// What records show of whom.
    pub(crate) redaction: Arc<Redaction>,
    pub(crate) clock: Clock,
    /// Our own bound on a decision, within the time that Envoy waits.
    pub(crate) deadline: Duration,
    /// Requests that were refused unlooked-at, for want of time.
    pub(crate) shed: Shed,
    /// Decisions by tenant.
    pub(crate) tenants: TenantTally,
    /// What each decision measures.
    pub(crate) stages: Stages,
    /// How many were made, of which kind.
    pub(crate) decisions: Decisions,
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

    /// Nonces, whose secrets may be replaced.
    pub(crate) fn nonces(&self) -> &SharedNonces {
        self.parts.decider.shared_nonces()
    }

    pub(crate) fn tenants(&self) -> &TenantTally {
        &self.parts.tenants
    }

    pub(crate) fn shed(&self) -> &Shed {
        &self.parts.shed
    }

    pub(crate) fn tracer(&self) -> Option<&Tracer> {
        self.parts.tracer.as_ref()
    }

    /// Decides when its turn comes, records, answers. There is no way out of it but through `permit` or `deny`.
    pub(crate) async fn answer(
        &self,
        message: Message,
        asked_in: Option<Lineage>,
        place: Place,
        by: tokio::time::Instant,
    ) -> CheckResponse {
        let parts = &self.parts;
        let started = monotonic();
        place.turn().await;
        // What is late already is not begun: Envoy has given up on it.
        if tokio::time::Instant::now() >= by {
            return self.turn_away();
        }
        let begun = monotonic();
        let now = (parts.clock)();
        let generation = parts.generation.load_full();
        let mut timings = Timings { started, stages: Vec::with_capacity(8) };
        let id = decision_id(now);
        let mut observer = |stage| timings.stages.push((stage, monotonic()));
        let mut trail = Trail::new(&mut observer);
        let decision = self.decide(message, asked_in, &generation, now, by, &mut trail);
        let ((caller, trace_state), kept, result) = place.spend(decision).await;
        let facts = trail.facts;
        let finished = monotonic();
        parts.stages.took((started, begun, finished), &timings.stages);
        parts.stages.token(facts.token_cached);
        let decided = Decided {
            id: &id,
            now,
            finished,
            generation: &generation,
            facts: &facts,
            caller,
            trace_state: &trace_state,
            kept: &kept,
            redaction: &parts.redaction,
            timings: &timings,
        };
        self.finish(result, decided, by).await
    }

    /// Answers where no worker has anything else to do.
    pub(crate) async fn answer_alone(&self, message: Message) -> CheckResponse {
        let arrived = tokio::time::Instant::now();
        let by = arrived.checked_add(self.parts.deadline).unwrap_or(arrived);
        match Queue::new().enter(self.parts.deadline) {
            Ok(place) => self.answer(message, None, place, by).await,
            Err(Overload) => self.turn_away(),
        }
    }

    /// The answer to a request that nobody will come to in time. It is counted, not recorded: a record for each
    /// would cost what the overload lacks.
    fn turn_away(&self) -> CheckResponse {
        let now = (self.parts.clock)();
        let generation = self.parts.generation.load();
        let refusal = Refusal::Faulted(Fault::Overloaded);
        let (id, facts) = (decision_id(now), Facts::default());
        metrics::turned_away(refusal.reason().code());
        self.parts.shed.0.fetch_add(1, Ordering::Relaxed);
        if let Some(recorder) = &self.parts.recorder {
            recorder.leave_out();
        }
        let answer = Answer { id: &id, generation: generation.number, facts: &facts, grpc: false };
        deny(&refusal, self.offer(&generation, &facts), answer)
    }

    async fn decide(
        &self,
        message: Message,
        asked_in: Option<Lineage>,
        generation: &Generation,
        now: Timestamp,
        by: tokio::time::Instant,
        trail: &mut Trail<'_>,
    ) -> ((Caller, String), Kept, Result<Settled, Refusal>) {
        let described: Described = match extract(message) {
            Ok(described) => described,
            Err(denial) => {
                return (self.traced(Caller::default(), asked_in, &[]), Kept::default(), Err(denial.into()));
            }
        };
        let headers = described.headers();
        let raw = described.raw(&headers);
        let decision = self.parts.decider.check(&raw, generation, now, trail);
        let result = match timeout_at(by, decision).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Fault::Deadline.into()),
        };
        let kept = match &self.parts.recorder {
            Some(_) => Kept::of(&described, &trail.facts, &self.parts.redaction),
            None => Kept::default(),
        };
        (self.traced(described.caller(), asked_in, described.fields()), kept, result)
    }

    /// The caller in the trace that the proxy asks in, else in that which the request itself names; and what is said of it, if
    /// anybody wants to know.
    fn traced(
        &self,
        caller: Caller,
        asked_in: Option<Lineage>,
        fields: &[(String, Vec<u8>)],
    ) -> (Caller, String) {
        let wanted = self.parts.tracer.is_some();
        match (asked_in, caller.trace) {
            (Some(Lineage { parent, state }), _) => (Caller { trace: Some(parent), ..caller }, state),
            (None, Some(parent)) if wanted && parent.sampled => (caller, state_of(fields)),
            (None, Some(_) | None) => (caller, String::new()),
        }
    }

    /// Records, then answers: a permit that must be recorded and was not is no permit.
    async fn finish(
        &self,
        result: Result<Settled, Refusal>,
        decided: Decided<'_>,
        by: tokio::time::Instant,
    ) -> CheckResponse {
        let (generation, grpc) = (decided.generation.number, decided.caller.grpc);
        let answer = Answer { id: decided.id, generation, facts: decided.facts, grpc };
        // A decision that never had to wait is still late if nothing let it run: Envoy has answered by now.
        let late = tokio::time::Instant::now() >= by;
        let permitted = result.and_then(|settled| {
            if late {
                return Err(Fault::Deadline.into());
            }
            let changes = changes(&settled, decided.id)?;
            Ok((settled, changes))
        });
        let recorded = self.record(permitted.as_ref().err(), decided, by, late).await;
        let refusal = match (permitted, recorded) {
            (Ok((settled, changes)), Ok(recorded)) => {
                self.parts.decisions.permitted(decided.elapsed());
                self.parts.tenants.count(decided.facts.tenant.as_deref(), Verdict::Permit);
                crate::record::log(None, decided);
                self.trace(None, decided);
                return permit(settled, changes, &recorded, answer);
            }
            // Its record was handed in; only the time to wait for it was gone, and that is its reason already.
            (Err(refusal), Err(_not_waited_for)) if late => refusal,
            (Ok(_) | Err(_), Err(fault)) => Refusal::Faulted(fault),
            (Err(refusal), Ok(_recorded)) => refusal,
        };
        let verdict = match &refusal {
            Refusal::Denied(_) => Verdict::Deny,
            Refusal::Faulted(_) => Verdict::Fault,
        };
        self.parts.tenants.count(decided.facts.tenant.as_deref(), verdict);
        self.parts.decisions.refused(verdict, refusal.reason().code(), decided.elapsed());
        crate::record::log(Some(&refusal), decided);
        self.trace(Some(&refusal), decided);
        deny(&refusal, self.offer(decided.generation, decided.facts), answer)
    }

    async fn record(
        &self,
        refusal: Option<&Refusal>,
        decided: Decided<'_>,
        by: tokio::time::Instant,
        late: bool,
    ) -> Result<Recorded, Fault> {
        let Some(recorder) = &self.parts.recorder else { return Ok(Recorded::not_configured()) };
        let record = record_of(refusal, decided);
        let recorded = timeout_at(by, recorder.record(&record)).await;
        self.parts.stages.recorded(monotonic().duration_since(decided.finished));
        match recorded {
            Ok(Ok(recorded)) => Ok(recorded),
            Ok(Err(error)) => {
                tracing::error!(decision = decided.id, %error, "the decision could not be recorded");
                Err(Fault::Record)
            }
            Err(_elapsed) => {
                if !late {
                    tracing::error!(decision = decided.id, "the decision could not be recorded in time");
                }
                Err(Fault::Record)
            }
        }
    }

    fn trace(&self, refusal: Option<&Refusal>, decided: Decided<'_>) {
        if let Some(tracer) = &self.parts.tracer {
            tracer.tell(refusal, decided);
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

impl Front {
    pub(crate) fn new(service: Service, floor: Floor) -> Self {
        Self { service, floor }
    }

    /// A seat for a Check, within the caller's patience and ours: half of the time for the queue, the rest for the
    /// decision and its record.
    ///
    /// # Errors
    /// [`Overload`], if no worker will come to it in time.
    pub(crate) fn seat(&self, fields: &HeaderMap) -> Result<Seat, Overload> {
        let deadline = self.service.parts.deadline;
        let budget = patience(fields).map_or(deadline, |said| said.min(deadline));
        let arrived = tokio::time::Instant::now();
        let by = arrived.checked_add(budget).unwrap_or(arrived);
        self.floor.seat(budget / 2, by)
    }

    /// The answer to a Check that has a seat.
    ///
    /// # Errors
    /// A status that is no decision, which Envoy takes for an error.
    pub(crate) async fn check(
        &self,
        message: Message,
        asked_in: Option<Lineage>,
        seat: Seat,
    ) -> Result<CheckResponse, Status> {
        let service = self.service.clone();
        let answer = |place, by| async move { service.answer(message, asked_in, place, by).await };
        self.floor.answer(seat, answer).await
    }

    /// The answer to one that has none.
    pub(crate) fn turn_away(&self) -> CheckResponse {
        self.service.turn_away()
    }
}

#[cfg(test)]
mod tests;

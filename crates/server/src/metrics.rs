//! Prometheus metrics. Labels come from closed sets: reasons, verdicts, configured issuer names; tenants are bounded
//! ([`crate::tenant_tally`]).

mod decisions;
mod process;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use exequatur_issuers::{IntrospectionStatus, ListsStatus};
use exequatur_signals::{StreamState, Tally};
use exequatur_store::{Nodes, ReplayHealth};
use jiff::SignedDuration;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use crate::outcomes::Outcomes;
use crate::tenant_tally::Verdict;
use crate::validity::Validity;
use crate::workers::Load;

pub(crate) use decisions::{Decisions, turned_away};
pub(crate) use process::{PROCESS, exposition as process};
pub(crate) use stages::Stages;

const TENANT_DECISIONS: &str = "exequatur_tenant_decisions_total";
const CERTIFICATE_EXPIRES: &str = "exequatur_certificate_expires_timestamp_seconds";
const CERTIFICATE_LIFETIME: &str = "exequatur_certificate_lifetime_seconds";
const CERTIFICATE_REFUSED: &str = "exequatur_certificate_refused";
const GENERATION: &str = "exequatur_generation";
const FINGERPRINT: &str = "exequatur_generation_fingerprint";
const RELOADS: &str = "exequatur_reloads_total";
const RELOAD_FAILED: &str = "exequatur_reload_failed";
const BUILD: &str = "exequatur_build_info";
const READY: &str = "exequatur_ready";
const DEADLINE: &str = "exequatur_deadline_seconds";
const STORE_UP: &str = "exequatur_store_up";
const STORE_NODES: &str = "exequatur_store_nodes";
const STORE_SLOTS: &str = "exequatur_store_uncovered_slots";
const STORE_INTERRUPTIONS: &str = "exequatur_store_interruptions_total";
const STORE_LOCAL: &str = "exequatur_limits_local_total";
const STORE_PROOFS: &str = "exequatur_store_live_proofs";
const KEYS_AGE: &str = "exequatur_issuer_keys_age_seconds";
const KEYS_USABLE: &str = "exequatur_issuer_keys_usable";
const FETCHES: &str = "exequatur_issuer_fetches_total";
const LISTS: &str = "exequatur_status_lists";
const LISTS_AGE: &str = "exequatur_status_list_age_seconds";
const LIST_FETCHES: &str = "exequatur_status_list_fetches_total";
const INTROSPECTIONS: &str = "exequatur_introspections_total";
const INTROSPECTION_DURATION: &str = "exequatur_introspection_duration_seconds";
const INTROSPECTIONS_IN_FLIGHT: &str = "exequatur_introspections_in_flight";
const RECORD_GAPS: &str = "exequatur_record_gaps_total";
const RECORD_LINES: &str = "exequatur_record_lines_total";
const RECORD_LINES_SUMMED_UP: &str = "exequatur_record_lines_summed_up_total";
const CHECKPOINTS_SIGNED: &str = "exequatur_record_checkpoints_signed";
const RECORD_QUEUE: &str = "exequatur_record_queue_length";
const RECORD_QUEUE_CAPACITY: &str = "exequatur_record_queue_capacity";
const RECORD_COMMITS: &str = "exequatur_record_commits_total";
const SINK_LINES: &str = "exequatur_record_sink_lines_total";
const SINK_GAPS: &str = "exequatur_record_sink_gaps_total";
const SINK_WAITING: &str = "exequatur_record_sink_waiting_lines";
const SINK_UP: &str = "exequatur_record_sink_up";
const OUTCOMES: &str = "exequatur_outcomes_total";
const OUTCOME_STREAMS: &str = "exequatur_outcome_streams";
const CONNECTIONS: &str = "exequatur_grpc_connections";
const QUEUE: &str = "exequatur_queue_length";
const CONNECTIONS_REFUSED: &str = "exequatur_grpc_connections_refused_total";
const STRANGERS: &str = "exequatur_grpc_strangers_total";
const FAILED: &str = "exequatur_grpc_failures_total";
/// The service whose failures are alerted on.
const CHECKS: &str = "envoy.service.auth.v3.Authorization";
const REVOCATIONS: &str = "exequatur_revocations";
const REVOCATIONS_KNOWN: &str = "exequatur_revocations_known";
const REVOCATIONS_AGE: &str = "exequatur_revocations_age_seconds";
const REVOCATIONS_POSITION: &str = "exequatur_revocations_position";
const REVOCATIONS_DEGRADED: &str = "exequatur_revocations_degraded";
const OVERRIDES: &str = "exequatur_limit_overrides";
const ATTRIBUTES: &str = "exequatur_subject_attributes";
const REVOCATIONS_NOT_KEPT: &str = "exequatur_revocations_not_kept";
const SIGNALS_EVENTS: &str = "exequatur_signals_events_total";
const SIGNALS_REFUSED: &str = "exequatur_signals_refused_total";
const SIGNALS_POLLS: &str = "exequatur_signals_polls_total";
const SIGNALS_LAST_EVENT: &str = "exequatur_signals_last_event_timestamp_seconds";
const SIGNALS_LAST_VERIFICATION: &str = "exequatur_signals_last_verification_timestamp_seconds";
const SIGNALS_ENABLED: &str = "exequatur_signals_stream_enabled";
const SIGNALS_KEYS_AGE: &str = "exequatur_signals_keys_age_seconds";
const SIGNALS_KEYS_FAILED: &str = "exequatur_signals_keys_failed_loads_total";
const ADMIN_CALLS: &str = "exequatur_admin_calls_total";
const ADMIN_STRANGERS: &str = "exequatur_admin_strangers_total";
const SPANS_EXPORTED: &str = "exequatur_spans_exported_total";
const SPANS_DROPPED: &str = "exequatur_spans_dropped_total";
const DUTIES_LOST: &str = "exequatur_duties_lost_total";

/// Upper bounds of the buckets, in seconds, for questions about tokens, which go over the network.
const QUESTION_BUCKETS: [f64; 9] = [0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];

/// Installs the process's recorder, with what is so from the start.
///
/// # Errors
/// If one is installed already, or a bucket is refused.
pub(crate) fn install(deadline: Duration) -> Result<PrometheusHandle, BuildError> {
    let recorder = recorder()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    describe();
    start(deadline);
    Ok(handle)
}

/// Each duration is a histogram with buckets of its own: without any it would be a summary, which cannot be added up.
pub(crate) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(full(decisions::DURATION), &decisions::BUCKETS)?
        .set_buckets_for_metric(full(stages::DURATION), &stages::BUCKETS)?
        .set_buckets_for_metric(full(INTROSPECTION_DURATION), &QUESTION_BUCKETS)?;
    Ok(builder.build_recorder())
}

/// What `/metrics` says of each, in words.
pub(crate) fn describe() {
    decisions::describe();
    stages::describe();
    describe_condition();
    metrics::describe_counter!(
        TENANT_DECISIONS,
        "Decisions by the token's tenant (a bounded number, then _other; _none without one) and verdict."
    );
    metrics::describe_gauge!(GENERATION, "Number of the generation of routes and policies in use.");
    metrics::describe_counter!(RELOADS, "Reloads by outcome (accepted, refused).");
    metrics::describe_gauge!(KEYS_AGE, metrics::Unit::Seconds, "Age of the issuer's last good key set.");
    metrics::describe_gauge!(
        REVOCATIONS_DEGRADED,
        "Whether revocations were not heard of for too long and are gone by all the same (0 or 1)."
    );
    metrics::describe_gauge!(
        STORE_UP,
        "Whether the store could be used when it was looked at last (0 or 1); of a cluster, the whole of it."
    );
    metrics::describe_gauge!(STORE_NODES, "Primaries of the store's cluster, by whether they could be used.");
    metrics::describe_gauge!(STORE_SLOTS, "Slots of the store's cluster that no node has.");
    metrics::describe_counter!(
        STORE_INTERRUPTIONS,
        "How often the store's memory, or the connection to it, was interrupted."
    );
    metrics::describe_counter!(
        STORE_LOCAL,
        "Requests whose limits were charged in this replica alone, because the store could not be asked."
    );
    metrics::describe_gauge!(STORE_PROOFS, "Used proofs that the embedded store remembers.");
    metrics::describe_counter!(FETCHES, "Loads of the issuer's keys by outcome.");
    metrics::describe_gauge!(LISTS, "Status lists that are kept, by issuer and state (usable, missing).");
    metrics::describe_gauge!(
        LISTS_AGE,
        metrics::Unit::Seconds,
        "Age of the issuer's oldest status list that is in use; 0 without one."
    );
    metrics::describe_counter!(LIST_FETCHES, "Loads of the issuer's status lists by outcome.");
    describe_introspection();
    metrics::describe_counter!(
        ADMIN_CALLS,
        "Calls of the admin API that were recorded, by action and outcome (done, ordered, refused, failed)."
    );
    metrics::describe_counter!(ADMIN_STRANGERS, "Calls of the admin API without credentials that hold.");
    describe_records();
    metrics::describe_counter!(CONNECTIONS_REFUSED, "gRPC connections closed at once, beyond the bound.");
    metrics::describe_counter!(
        STRANGERS,
        "gRPC connections closed before anything was read (user) or answered (name, handshake), for want of trust."
    );
    metrics::describe_counter!(
        FAILED,
        "gRPC requests that were answered by a status alone, by service and code."
    );
    metrics::describe_gauge!(REVOCATIONS, "Revocations in force here, and those over that still take room.");
    metrics::describe_gauge!(
        REVOCATIONS_NOT_KEPT,
        "1 when revocations cannot be written to the disk any more."
    );
    metrics::describe_gauge!(
        OVERRIDES,
        "Limits that are set otherwise for an agent or a tenant, as known here."
    );
    describe_signals();
    metrics::describe_gauge!(
        ATTRIBUTES,
        "What signals have said of subjects, as known here, and what is over for less than a day."
    );
    metrics::describe_counter!(DUTIES_LOST, "Workers, and tasks beside them, that ended by themselves.");
}

fn describe_condition() {
    metrics::describe_gauge!(BUILD, "1, with the version that runs.");
    metrics::describe_gauge!(
        READY,
        "Whether this replica is ready: everything was complete once, and it does not drain (0 or 1)."
    );
    metrics::describe_gauge!(DEADLINE, metrics::Unit::Seconds, "The configured bound on a decision.");
    metrics::describe_gauge!(
        FINGERPRINT,
        "A number of the rules and policies in force: the same in replicas that decide by the same."
    );
    metrics::describe_gauge!(
        RELOAD_FAILED,
        "Whether the files as they are now were refused, so that what was good before is in force (0 or 1)."
    );
    metrics::describe_gauge!(
        CERTIFICATE_EXPIRES,
        metrics::Unit::Seconds,
        "When the listener's certificate ends, or the first of its chain, in seconds since 1970."
    );
    metrics::describe_gauge!(
        CERTIFICATE_LIFETIME,
        metrics::Unit::Seconds,
        "For how long that certificate is valid in all."
    );
    metrics::describe_gauge!(
        CERTIFICATE_REFUSED,
        "Whether the listener's files as they are now cannot be used, so that the certificate before goes on (0 or 1)."
    );
    metrics::describe_gauge!(KEYS_USABLE, "Whether tokens of the issuer can be verified now (0 or 1).");
    metrics::describe_gauge!(CONNECTIONS, "gRPC connections that are open.");
    metrics::describe_gauge!(QUEUE, "Decisions that wait or are under way, of all workers.");
    metrics::describe_gauge!(REVOCATIONS_KNOWN, "Whether it is known here what is revoked (0 or 1).");
    metrics::describe_gauge!(
        REVOCATIONS_AGE,
        metrics::Unit::Seconds,
        "For how long nothing was heard of revocations; 0 where they are this replica's own."
    );
    metrics::describe_gauge!(
        REVOCATIONS_POSITION,
        "The number of the last change of revocations that this replica has."
    );
}

fn describe_records() {
    metrics::describe_gauge!(
        CHECKPOINTS_SIGNED,
        "Whether the last checkpoint of the records was signed (0 or 1)."
    );
    metrics::describe_gauge!(RECORD_QUEUE, "Records that wait to be written.");
    metrics::describe_gauge!(RECORD_QUEUE_CAPACITY, "How many may wait.");
    metrics::describe_counter!(RECORD_GAPS, "Decisions that were answered and not recorded.");
    metrics::describe_counter!(
        RECORD_LINES,
        "The number of the last line of this process's chain of records."
    );
    metrics::describe_counter!(RECORD_LINES_SUMMED_UP, "The number of its last checkpoint's line.");
    metrics::describe_counter!(
        RECORD_COMMITS,
        "How often required records were made safe on the disk; those that come at once share one."
    );
    metrics::describe_counter!(SINK_LINES, "Lines of the chain of records that the sink took.");
    metrics::describe_counter!(
        SINK_GAPS,
        "Lines of the chain of records that the sink was not given or did not take; it is told how many."
    );
    metrics::describe_gauge!(SINK_WAITING, "Lines that wait for the sink.");
    metrics::describe_gauge!(SINK_UP, "Whether the sink took what it was handed last (0 or 1).");
    metrics::describe_counter!(
        OUTCOMES,
        "Entries of Envoy's access log that were reported, by what became of them: kept, or why not."
    );
    metrics::describe_counter!(SPANS_EXPORTED, "Spans of decisions that the collector took.");
    metrics::describe_counter!(
        SPANS_DROPPED,
        "Spans that did not arrive, by cause (rate: beyond traces.max_per_second; queue: full; failed: the collector did not \
         answer well; rejected: it took others of the same call)."
    );
    metrics::describe_gauge!(OUTCOME_STREAMS, "Streams of Envoy's access log that are open.");
}

fn describe_introspection() {
    metrics::describe_counter!(
        INTROSPECTIONS,
        "Questions to the issuer about its tokens by outcome, those too that were not put."
    );
    metrics::describe_histogram!(
        INTROSPECTION_DURATION,
        metrics::Unit::Seconds,
        "Time of a question to the issuer about a token."
    );
    metrics::describe_gauge!(INTROSPECTIONS_IN_FLIGHT, "Questions to the issuer that are under way.");
}

fn describe_signals() {
    metrics::describe_counter!(
        SIGNALS_EVENTS,
        "Security events that were taken, by stream, event and outcome."
    );
    metrics::describe_counter!(SIGNALS_REFUSED, "Security events that were not taken, by stream and error.");
    metrics::describe_counter!(SIGNALS_POLLS, "Polls for security events, by stream and outcome.");
    metrics::describe_gauge!(
        SIGNALS_LAST_EVENT,
        metrics::Unit::Seconds,
        "When the last security event was taken here, in seconds since 1970."
    );
    metrics::describe_gauge!(
        SIGNALS_LAST_VERIFICATION,
        metrics::Unit::Seconds,
        "When the last verification event was taken here, in seconds since 1970."
    );
    metrics::describe_gauge!(
        SIGNALS_ENABLED,
        "Whether the transmitter says that it sends events: 0 when it has paused or disabled the stream."
    );
    metrics::describe_gauge!(
        SIGNALS_KEYS_AGE,
        metrics::Unit::Seconds,
        "Age of the transmitter's last good key set."
    );
    metrics::describe_counter!(SIGNALS_KEYS_FAILED, "Loads of the transmitter's keys that failed.");
}

/// All of a tenant, or of those who are counted together, since the start.
pub(crate) fn tenant_decisions(tenant: &str, verdict: Verdict, total: u64) {
    metrics::counter!(TENANT_DECISIONS, "tenant" => tenant.to_owned(), "verdict" => verdict.word())
        .absolute(total);
}

/// What is so from the start: what a counter says before its first event is 0, so that the first one is seen as an increase.
fn start(deadline: Duration) {
    metrics::gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    metrics::gauge!(DEADLINE).set(deadline.as_secs_f64());
    metrics::gauge!(RELOAD_FAILED).set(0.0);
    for outcome in ["accepted", "refused"] {
        metrics::counter!(RELOADS, "outcome" => outcome).absolute(0);
    }
    decisions::start();
    // Every code but that of success.
    for code in (1..=16).map(tonic::Code::from_i32) {
        metrics::counter!(FAILED, "service" => CHECKS, "code" => format!("{code:?}")).absolute(0);
    }
}

pub(crate) fn ready(ready: bool) {
    metrics::gauge!(READY).set(flag(ready));
}

/// The certificate of a listener, the first that ends of its chain.
pub(crate) fn certificate(listener: &'static str, validity: &Validity) {
    let Validity { from, until } = validity;
    metrics::gauge!(CERTIFICATE_EXPIRES, "listener" => listener).set(until.as_duration().as_secs_f64());
    let lifetime = until.duration_since(*from);
    metrics::gauge!(CERTIFICATE_LIFETIME, "listener" => listener).set(lifetime.as_secs_f64());
}

/// Whether its files as they are now cannot be used.
pub(crate) fn certificate_refused(listener: &'static str, refused: bool) {
    metrics::gauge!(CERTIFICATE_REFUSED, "listener" => listener).set(flag(refused));
}

/// What is in force; `fingerprint` is the same in replicas that decide by the same.
pub(crate) fn generation(number: u64, fingerprint: u32) {
    // A gauge is a float; a process does not see 2^53 reloads.
    metrics::gauge!(GENERATION).set(u32::try_from(number).map_or(f64::INFINITY, f64::from));
    metrics::gauge!(FINGERPRINT).set(fingerprint);
}

pub(crate) fn reload(accepted: bool) {
    let outcome = if accepted { "accepted" } else { "refused" };
    metrics::counter!(RELOADS, "outcome" => outcome).increment(1);
    metrics::gauge!(RELOAD_FAILED).set(flag(!accepted));
}

/// How much there is to do at this moment.
pub(crate) fn load(load: &Load) {
    metrics::gauge!(CONNECTIONS).set(number(load.connections()));
    metrics::gauge!(QUEUE).set(number(load.decisions()));
}

/// As 0 or 1.
fn flag(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// Exactly, up to 2^53.
fn whole(number: u64) -> f64 {
    let [low, high] =
        [number & u64::from(u32::MAX), number >> 32].map(|half| u32::try_from(half).unwrap_or_default());
    f64::from(high).mul_add(f64::from(u32::MAX) + 1.0, f64::from(low))
}

/// Exactly, as far as counts of anything here go.
fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// What a look at the store came to; `None` if nothing of it can be used. `seen` is what was known of a cluster's nodes.
pub(crate) fn store(health: Option<&ReplayHealth>, seen: &mut Option<Nodes>) {
    let whole = health.is_some_and(|health| health.nodes.is_none_or(|nodes| nodes.is_whole()));
    metrics::gauge!(STORE_UP).set(if whole { 1.0 } else { 0.0 });
    *seen = match health {
        Some(health) => health.nodes,
        None => seen.map(|nodes| Nodes { down: nodes.all, ..nodes }),
    };
    if let Some(Nodes { all, down, uncovered_slots }) = *seen {
        let count = |number: usize| u32::try_from(number).map_or(f64::INFINITY, f64::from);
        metrics::gauge!(STORE_NODES, "state" => "up").set(count(all.saturating_sub(down)));
        metrics::gauge!(STORE_NODES, "state" => "down").set(count(down));
        metrics::gauge!(STORE_SLOTS).set(count(uncovered_slots));
    }
    let Some(health) = health else { return };
    metrics::counter!(STORE_INTERRUPTIONS).absolute(health.interruptions);
    metrics::counter!(STORE_LOCAL).absolute(health.charged_locally);
    if let Some(live) = health.live_proofs {
        // A whole number of at most 32 bits is exact.
        metrics::gauge!(STORE_PROOFS).set(u32::try_from(live).map_or(f64::INFINITY, f64::from));
    }
}

pub(crate) fn keys_age(issuer: &str, seconds: f64) {
    metrics::gauge!(KEYS_AGE, "issuer" => issuer.to_owned()).set(seconds);
}

pub(crate) fn keys_usable(issuer: &str, usable: bool) {
    metrics::gauge!(KEYS_USABLE, "issuer" => issuer.to_owned()).set(flag(usable));
}

/// Loads so far, by outcome: a word of a closed set.
pub(crate) fn issuer_fetches(issuer: &str, outcome: &'static str, total: u64) {
    metrics::counter!(FETCHES, "issuer" => issuer.to_owned(), "outcome" => outcome).absolute(total);
}

/// An issuer's status lists, and the loads of them so far.
pub(crate) fn status_lists(issuer: &str, lists: &ListsStatus) {
    let count = |number: usize| u32::try_from(number).map_or(f64::INFINITY, f64::from);
    let missing = lists.lists.saturating_sub(lists.usable);
    metrics::gauge!(LISTS, "issuer" => issuer.to_owned(), "state" => "usable").set(count(lists.usable));
    metrics::gauge!(LISTS, "issuer" => issuer.to_owned(), "state" => "missing").set(count(missing));
    let age = lists.oldest.map_or(0.0, |age| age.as_secs_f64());
    metrics::gauge!(LISTS_AGE, "issuer" => issuer.to_owned()).set(age);
    for (outcome, total) in lists.loads.iter().filter(|(outcome, _)| outcome.is_of_lists()) {
        let outcome = outcome.as_str();
        metrics::counter!(LIST_FETCHES, "issuer" => issuer.to_owned(), "outcome" => outcome).absolute(total);
    }
}

/// The questions to an issuer about its tokens so far, and how long those took that ended since the last look.
pub(crate) fn introspection(issuer: &str, status: &IntrospectionStatus) {
    for (outcome, total) in status.questions.iter() {
        let outcome = outcome.as_str();
        metrics::counter!(INTROSPECTIONS, "issuer" => issuer.to_owned(), "outcome" => outcome)
            .absolute(total);
    }
    for took in &status.took {
        metrics::histogram!(INTROSPECTION_DURATION, "issuer" => issuer.to_owned()).record(took.as_secs_f64());
    }
    let in_flight = u32::try_from(status.in_flight).map_or(f64::INFINITY, f64::from);
    metrics::gauge!(INTROSPECTIONS_IN_FLIGHT, "issuer" => issuer.to_owned()).set(in_flight);
}

pub(crate) fn record_gaps(total: u64) {
    metrics::counter!(RECORD_GAPS).absolute(total);
}

/// The numbers of the last line and of the last checkpoint, in this process's chain of records.
pub(crate) fn records(written: u64, commits: u64, checkpoint: u64) {
    metrics::counter!(RECORD_LINES).absolute(written);
    metrics::counter!(RECORD_COMMITS).absolute(commits);
    metrics::counter!(RECORD_LINES_SUMMED_UP).absolute(checkpoint);
}

/// Whether the last checkpoint was signed.
pub(crate) fn checkpoint(signed: bool) {
    metrics::gauge!(CHECKPOINTS_SIGNED).set(flag(signed));
}

/// Records that wait, of as many as may.
pub(crate) fn record_queue(waiting: usize, capacity: usize) {
    metrics::gauge!(RECORD_QUEUE).set(number(waiting));
    metrics::gauge!(RECORD_QUEUE_CAPACITY).set(number(capacity));
}

/// What became of the lines of a sink. Its name is of the configuration.
pub(crate) fn sink(name: &Arc<str>, taken: u64, gaps: u64, waiting: u64, up: bool) {
    let name = || metrics::SharedString::from(Arc::clone(name));
    metrics::counter!(SINK_LINES, "sink" => name()).absolute(taken);
    metrics::counter!(SINK_GAPS, "sink" => name()).absolute(gaps);
    metrics::gauge!(SINK_WAITING, "sink" => name())
        .set(number(usize::try_from(waiting).unwrap_or(usize::MAX)));
    metrics::gauge!(SINK_UP, "sink" => name()).set(flag(up));
}

/// What Envoy reported of requests that were over, since the start.
pub(crate) fn outcomes(outcomes: &Outcomes) {
    for (result, total) in outcomes.results() {
        metrics::counter!(OUTCOMES, "result" => result).absolute(total);
    }
    metrics::gauge!(OUTCOME_STREAMS).set(u32::try_from(outcomes.streams()).unwrap_or(u32::MAX));
}

/// What became of spans, since the start.
pub(crate) fn spans(tally: &crate::traces::Tally) {
    metrics::counter!(SPANS_EXPORTED).absolute(tally.total_exported());
    for (cause, total) in tally.each_dropped() {
        metrics::counter!(SPANS_DROPPED, "cause" => cause).absolute(total);
    }
}

/// All, since the start.
pub(crate) fn admin_calls(tally: &exequatur_admin::Tally) {
    for (action, outcome, count) in tally.calls() {
        metrics::counter!(ADMIN_CALLS, "action" => action, "outcome" => outcome).absolute(count);
    }
    metrics::counter!(ADMIN_STRANGERS).absolute(tally.strangers());
}

/// Those that were closed at once.
pub(crate) fn connections_refused(total: u64) {
    metrics::counter!(CONNECTIONS_REFUSED).absolute(total);
}

/// All of a kind, since the start.
pub(crate) fn strangers(kind: &'static str, total: u64) {
    metrics::counter!(STRANGERS, "kind" => kind).absolute(total);
}

/// A gRPC request that ended with a status and without a message: of a service, none of its decisions.
pub(crate) fn failed(service: &'static str, code: tonic::Code) {
    metrics::counter!(FAILED, "service" => service, "code" => format!("{code:?}")).increment(1);
}

/// What is known here of revocations, at a moment.
pub(crate) struct Known {
    pub(crate) entries: u32,
    pub(crate) position: u64,
    pub(crate) age: Option<Duration>,
    pub(crate) known: bool,
    pub(crate) degraded: bool,
    pub(crate) not_kept: bool,
}

pub(crate) fn revocations(known: &Known) {
    let Known { entries, position, age, known, degraded, not_kept } = known;
    metrics::gauge!(REVOCATIONS).set(*entries);
    metrics::gauge!(REVOCATIONS_POSITION).set(whole(*position));
    if let Some(age) = age {
        metrics::gauge!(REVOCATIONS_AGE).set(age.as_secs_f64());
    }
    metrics::gauge!(REVOCATIONS_KNOWN).set(flag(*known));
    metrics::gauge!(REVOCATIONS_DEGRADED).set(flag(*degraded));
    metrics::gauge!(REVOCATIONS_NOT_KEPT).set(flag(*not_kept));
}

pub(crate) fn overrides(count: usize) {
    metrics::gauge!(OVERRIDES).set(u32::try_from(count).unwrap_or(u32::MAX));
}

/// What arrived at a stream, since the start.
pub(crate) fn signals(stream: &str, tally: &Tally) {
    let stream = || stream.to_owned();
    for (event, outcome, total) in tally.events() {
        let (event, outcome) = (event.word(), outcome.word());
        metrics::counter!(SIGNALS_EVENTS, "stream" => stream(), "event" => event, "outcome" => outcome)
            .absolute(total);
    }
    for (error, total) in tally.refusals() {
        metrics::counter!(SIGNALS_REFUSED, "stream" => stream(), "error" => error).absolute(total);
    }
    for (outcome, total) in tally.polls() {
        metrics::counter!(SIGNALS_POLLS, "stream" => stream(), "outcome" => outcome.word()).absolute(total);
    }
    let status = tally.status();
    if let Some(at) = status.last_event {
        metrics::gauge!(SIGNALS_LAST_EVENT, "stream" => stream()).set(at.as_duration().as_secs_f64());
    }
    if let Some(at) = status.last_verification {
        metrics::gauge!(SIGNALS_LAST_VERIFICATION, "stream" => stream()).set(at.as_duration().as_secs_f64());
    }
    // Until the transmitter says otherwise, it sends.
    let enabled = matches!(status.stream, None | Some(StreamState::Enabled));
    metrics::gauge!(SIGNALS_ENABLED, "stream" => stream()).set(if enabled { 1.0 } else { 0.0 });
}

pub(crate) fn signals_keys(stream: &str, age: Option<SignedDuration>, failed: u64) {
    if let Some(age) = age {
        metrics::gauge!(SIGNALS_KEYS_AGE, "stream" => stream.to_owned()).set(age.as_secs_f64());
    }
    metrics::counter!(SIGNALS_KEYS_FAILED, "stream" => stream.to_owned()).absolute(failed);
}

pub(crate) fn attributes(count: usize) {
    metrics::gauge!(ATTRIBUTES).set(u32::try_from(count).unwrap_or(u32::MAX));
}

pub(crate) fn duty_lost(duty: &'static str) {
    metrics::counter!(DUTIES_LOST, "duty" => duty).increment(1);
}

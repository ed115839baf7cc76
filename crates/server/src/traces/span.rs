//! Decision → span: what is told of it to who collects traces.
//!
//! Names and words of our own configuration, and what a network sees anyway. Nothing that a caller wrote, but a `tracestate`
//! that is carried on: no path, query or header value, no token, no id of one, no user.

use std::time::Instant;

use exequatur_decide::{Host, Refusal, Stage};
use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use crate::otlp::{number, text};
use crate::record::Decided;
use crate::wire::shape::status;
use crate::wire::trace_context::{SpanId, TraceId};

/// The version of the semantic conventions that names and values of attributes follow.
pub(super) const CONVENTIONS: &str = "https://opentelemetry.io/schemas/1.45.0";
const NAME: &str = "exequatur.check";
const METHOD: &str = "envoy.service.auth.v3.Authorization/Check";
/// The methods that the conventions know; any other is `_OTHER`.
const METHODS: [&str; 10] =
    ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];

// Flags of a span: that of its trace, and what is known of its parent.
const SAMPLED: u32 = 0x001;
const PARENT_KNOWN: u32 = 0x100;
const PARENT_REMOTE: u32 = 0x200;

/// Where a span belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    /// The span that the question was asked in; a root has none.
    pub(super) parent: Option<SpanId>,
    /// What others say of the trace.
    pub(super) state: &'a str,
}

/// When the answer was ready, by the two clocks: stages are known by the one, spans by the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) wall: Timestamp,
    pub(super) at: Instant,
}

impl Ended {
    /// Nanoseconds since 1970.
    fn nanoseconds(self, instant: Instant) -> u64 {
        let ago = u64::try_from(self.at.saturating_duration_since(instant).as_nanos()).unwrap_or(u64::MAX);
        u64::try_from(self.wall.as_nanosecond()).unwrap_or_default().saturating_sub(ago)
    }
}

/// The span of a decision: a permit, or the refusal.
pub(super) fn span(place: Place<'_>, refusal: Option<&Refusal>, decided: Decided<'_>, ended: Ended) -> Span {
    let remote = if place.parent.is_some() { PARENT_REMOTE } else { 0 };
    let failed = matches!(refusal, Some(Refusal::Faulted(_)));
    Span {
        trace_id: place.trace.bytes().to_vec(),
        span_id: place.id.bytes().to_vec(),
        parent_span_id: place.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
        trace_state: place.state.to_owned(),
        flags: SAMPLED | PARENT_KNOWN | remote,
        name: NAME.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: ended.nanoseconds(decided.timings.started),
        end_time_unix_nano: ended.nanoseconds(ended.at),
        attributes: attributes(refusal, decided),
        events: events(decided, ended),
        // A denial is an answer; that nothing could be decided is a failure of ours.
        status: failed.then(|| Status { code: StatusCode::Error.into(), ..Status::default() }),
        ..Span::default()
    }
}

fn attributes(refusal: Option<&Refusal>, decided: Decided<'_>) -> Vec<KeyValue> {
    let (facts, generation) = (decided.facts, decided.generation);
    let verdict = match refusal {
        None => "permit",
        Some(Refusal::Denied(_)) => "deny",
        Some(Refusal::Faulted(_)) => "fault",
    };
    let mut attributes = vec![
        text("rpc.system.name", "grpc"),
        text("rpc.method", METHOD),
        text("rpc.response.status_code", "OK"),
        text("exequatur.decision", decided.id),
        text("exequatur.verdict", verdict),
        number("exequatur.generation", i64::try_from(generation.number).unwrap_or(i64::MAX)),
    ];
    if let Some(method) = facts.method.as_deref() {
        let known = METHODS.iter().find(|known| **known == method);
        attributes.push(text("http.request.method", *known.unwrap_or(&"_OTHER")));
    }
    // Only a host of our own configuration: any other is a word of the caller's.
    let protected = facts.host.as_ref().and_then(|host| generation.routes.protected().by_host(host));
    if let Some(protected) = protected {
        let scheme = protected.origin.as_str().split_once("://").map_or("", |(scheme, _)| scheme);
        attributes.push(text("url.scheme", scheme));
        attributes.push(text("server.address", Host::as_str(&protected.host)));
    }
    if let Some(route) = facts.route.as_deref() {
        attributes.push(text("exequatur.route", route));
        if let Some(route) = generation.routes.named(route) {
            let template = route.matches.path.to_string();
            attributes.extend([text("http.route", template.clone()), text("url.path", template)]);
        }
    }
    // In the form that records have.
    if let Some(peer) = decided.caller.peer.and_then(|peer| decided.redaction.peer(peer)) {
        attributes.push(text("client.address", peer.to_string()));
    }
    if let Some(tenant) = facts.tenant.as_deref().and_then(|tenant| decided.redaction.tenant(tenant)) {
        attributes.push(text("exequatur.tenant", tenant.to_string()));
    }
    if let Some(refusal) = refusal {
        // What a permitted request is answered with is not known here.
        attributes.push(number("http.response.status_code", status(refusal.reason(), facts.hide).into()));
        attributes.push(text("error.type", refusal.reason().code()));
    }
    attributes
}

/// When each stage began, and when the decision was made.
fn events(decided: Decided<'_>, ended: Ended) -> Vec<Event> {
    let event = |name: &str, at: Instant| Event {
        time_unix_nano: ended.nanoseconds(at),
        name: format!("exequatur.{name}"),
        ..Event::default()
    };
    let stages = decided.timings.stages.iter().map(|(stage, begun)| event(Stage::name(*stage), *begun));
    stages.chain([event("record", decided.finished)]).collect()
}

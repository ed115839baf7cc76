//! Decisions in, spans out, with a queue in the collector's place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use exequatur_audit::Redaction;
use exequatur_decide::{Denial, Facts, Fault, Generation, Host, Stage};
use jiff::Timestamp;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;

use super::*;
use crate::config::{self, Source};
use crate::generations;
use crate::kept::Kept;
use crate::service::Timings;
use crate::wire::extract::Caller;
use crate::wire::trace_context::TraceParent;

const CONFIG: &str = r#"
policies: ../../policies
protected_resources: [{ resource: https://api.example.com }]
issuers:
  - { name: corp, issuer: https://sts.example.com, jwks: { file: jwks.json }, audiences: [https://api.example.com] }
routes:
  - name: read
    match: { path: "/tenants/{tenant}/documents/{id}", methods: [GET] }
    action: ReadDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: public } }
  - { name: health, match: { path: /healthz, methods: [GET] }, access: public }
"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// When the answer was ready.
const WALL: i64 = 1_700_000_000;

fn generation() -> Generation {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/exequatur.yaml"));
    let config = config::from_text(Source { path, text: CONFIG.into() }).unwrap();
    generations::build(&config, 7).unwrap()
}

fn parent(text: &str) -> Option<TraceParent> {
    TraceParent::of(&[("traceparent".to_owned(), text.as_bytes().to_vec())])
}

/// A decision on a request that got as far as the policies, 5 ms after it came.
struct Decision {
    generation: Generation,
    facts: Facts,
    timings: Timings,
    finished: Instant,
    caller: Caller,
    kept: Kept,
    redaction: Redaction,
    state: &'static str,
    second: i64,
}

impl Decision {
    fn new() -> Self {
        let started = monotonic();
        let after = |millis| started + Duration::from_millis(millis);
        let facts = Facts {
            method: Some("GET".to_owned()),
            host: Host::parse("api.example.com"),
            route: Some("read".to_owned()),
            tenant: Some("acme".to_owned()),
            ..Facts::default()
        };
        Self {
            generation: generation(),
            facts,
            timings: Timings {
                started,
                stages: vec![
                    (Stage::Present, after(1)),
                    (Stage::Route, after(2)),
                    (Stage::Authenticate, after(4)),
                ],
            },
            finished: after(5),
            caller: Caller { peer: Some([10, 0, 0, 9].into()), grpc: false, trace: parent(PARENT) },
            kept: Kept::default(),
            redaction: Redaction::default(),
            state: "a=1",
            second: WALL,
        }
    }

    fn decided(&self) -> Decided<'_> {
        Decided {
            id: "0190-id",
            now: Timestamp::from_second(self.second).unwrap(),
            finished: self.finished,
            generation: &self.generation,
            facts: &self.facts,
            caller: self.caller,
            trace_state: self.state,
            kept: &self.kept,
            redaction: &self.redaction,
            timings: &self.timings,
        }
    }

    fn span(&self, refusal: Option<&Refusal>) -> Span {
        let (tracer, mut spans) = tracer(0, 1000, 1);
        let place = tracer.place(self.decided()).unwrap();
        let at = self.finished + Duration::from_millis(3);
        let wall = Timestamp::from_second(WALL).unwrap();
        let span = span(place, refusal, self.decided(), Ended { wall, at });
        assert!(spans.try_recv().is_err());
        span
    }
}

fn tracer(roots: u64, most: u32, room: usize) -> (Tracer, mpsc::Receiver<Span>) {
    let (queue, spans) = mpsc::channel(room);
    let clock: Clock = Arc::new(|| Timestamp::from_second(WALL).unwrap());
    (Tracer { roots, rate: Rate::new(most), queue, tally: Arc::default(), clock }, spans)
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let said = span.attributes.iter().map(|pair| {
        let value = match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => format!("{number}"),
            other @ (Value::BoolValue(_)
            | Value::DoubleValue(_)
            | Value::ArrayValue(_)
            | Value::KvlistValue(_)
            | Value::BytesValue(_)
            | Value::StringValueStrindex(_)) => panic!("{other:?}"),
        };
        (pair.key.as_str(), value)
    });
    let map: BTreeMap<_, _> = said.collect();
    assert_eq!(map.len(), span.attributes.len(), "none twice");
    map
}

fn pairs<'a>(pairs: &[(&'a str, &str)]) -> BTreeMap<&'a str, String> {
    pairs.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
}

const OF_PERMIT: &[(&str, &str)] = &[
    ("client.address", "10.0.0.9"),
    ("exequatur.decision", "0190-id"),
    ("exequatur.generation", "7"),
    ("exequatur.route", "read"),
    ("exequatur.tenant", "acme"),
    ("exequatur.verdict", "permit"),
    ("http.request.method", "GET"),
    ("http.route", "/tenants/{tenant}/documents/{id}"),
    ("rpc.method", "envoy.service.auth.v3.Authorization/Check"),
    ("rpc.response.status_code", "OK"),
    ("rpc.system.name", "grpc"),
    ("server.address", "api.example.com"),
    ("url.path", "/tenants/{tenant}/documents/{id}"),
    ("url.scheme", "https"),
];

/// L05.
#[test]
fn l05_a_permit_is_a_span() {
    let decision = Decision::new();
    let span = decision.span(None);
    assert_eq!(attributes(&span), pairs(OF_PERMIT));
    assert_eq!((span.name.as_str(), span.kind), ("exequatur.check", 2));
    let parent = parent(PARENT).unwrap();
    assert_eq!(span.trace_id, parent.trace.bytes());
    assert_eq!(span.parent_span_id, parent.span.bytes());
    assert_eq!((span.span_id.len(), span.span_id == span.parent_span_id), (8, false));
    assert_eq!((span.trace_state.as_str(), span.flags, &span.status), ("a=1", 0x301, &None));
    // By the clock on the wall, counted back from when the answer was ready.
    let end = u64::try_from(WALL).unwrap() * 1_000_000_000;
    let before = |millis: u64| end - millis * 1_000_000;
    assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (before(8), end));
    let events: Vec<_> =
        span.events.iter().map(|event| (event.name.as_str(), event.time_unix_nano)).collect();
    let expected = [
        ("exequatur.present", before(7)),
        ("exequatur.route", before(6)),
        ("exequatur.authenticate", before(4)),
        ("exequatur.record", before(3)),
    ];
    assert_eq!(events, expected);
}

#[test]
fn l05_a_refusal_says_why() {
    let decision = Decision::new();
    let mut expected = pairs(OF_PERMIT);
    expected.extend(pairs(&[
        ("exequatur.verdict", "deny"),
        ("error.type", "route_unmatched"),
        ("http.response.status_code", "403"),
    ]));
    let denied = decision.span(Some(&Denial::RouteUnmatched.into()));
    assert_eq!((attributes(&denied), denied.status.as_ref()), (expected.clone(), None));
    expected.extend(pairs(&[
        ("exequatur.verdict", "fault"),
        ("error.type", "overloaded"),
        ("http.response.status_code", "503"),
    ]));
    let failed = decision.span(Some(&Fault::Deadline.into()));
    assert_eq!(attributes(&failed), expected);
    assert_eq!(failed.status.map(|status| (status.code, status.message)), Some((2, String::new())));
    // As it is answered: a hidden route says 404.
    let mut hidden = Decision::new();
    hidden.facts.hide = true;
    let hidden = hidden.span(Some(&Denial::RouteUnmatched.into()));
    assert_eq!(attributes(&hidden)["http.response.status_code"], "404");
}

/// E-05: nothing that the caller wrote, and nobody's name.
#[test]
fn e05_words_of_the_caller_are_in_no_span() {
    let mut decision = Decision::new();
    decision.facts = Facts {
        method: Some("CANARY".to_owned()),
        host: Host::parse("canary.example.com"),
        route: Some("canary-of-another-generation".to_owned()),
        ..decision.facts
    };
    let span = decision.span(None);
    let mut expected = pairs(OF_PERMIT);
    for absent in ["http.route", "url.path", "url.scheme", "server.address"] {
        expected.remove(absent);
    }
    expected.extend(pairs(&[
        ("http.request.method", "_OTHER"),
        ("exequatur.route", "canary-of-another-generation"),
    ]));
    assert_eq!(attributes(&span), expected);

    let canary = || Some("canary".to_owned());
    let mut decision = Decision::new();
    decision.facts = Facts {
        action: canary(),
        resource_id: canary(),
        resource_tenant: canary(),
        agent: canary(),
        client: canary(),
        user: canary(),
        issuer: canary(),
        federation: canary(),
        actors: vec!["canary".to_owned()],
        token_id_digest: canary(),
        scopes_needed: vec!["canary".to_owned()],
        limits: vec!["canary".to_owned()],
        policies: vec!["canary".to_owned()],
        ..decision.facts
    };
    let bytes = decision.span(Some(&Denial::RouteUnmatched.into())).encode_to_vec();
    assert!(!String::from_utf8_lossy(&bytes).contains("canary"));
    // What is not known is not said.
    let mut decision = Decision::new();
    (decision.facts, decision.caller.peer) = (Facts::default(), None);
    let known: Vec<_> = attributes(&decision.span(None)).into_keys().map(str::to_owned).collect();
    let of_us = ["exequatur.decision", "exequatur.generation", "exequatur.verdict"];
    assert_eq!(known, [&of_us[..], &["rpc.method", "rpc.response.status_code", "rpc.system.name"]].concat());
}

#[test]
fn the_trace_says_whether_it_is_recorded() {
    let unsampled = PARENT.replace("-01", "-00");
    for (parent_said, roots, spans) in [
        (Some(PARENT), 0, 1),
        (Some(PARENT), MILLION, 1),
        (Some(&*unsampled), 0, 0),
        (Some(&*unsampled), MILLION, 0),
        (None, 0, 0),
        (None, MILLION, 1),
    ] {
        let (tracer, mut queue) = tracer(roots, 1000, 8);
        let mut decision = Decision::new();
        decision.caller.trace = parent_said.map(|text| parent(text).unwrap());
        tracer.tell(None, decision.decided());
        let told: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
        assert_eq!(told.len(), spans, "{parent_said:?} {roots}");
        assert!(tracer.tally().each_dropped().all(|(_, count)| count == 0));
        if let (None, Some(root)) = (parent_said, told.first()) {
            assert_eq!((root.trace_id.len(), root.span_id.len()), (16, 8));
            // Nothing is carried on of a trace that it does not belong to.
            assert_eq!((root.parent_span_id.len(), root.trace_state.as_str(), root.flags), (0, "", 0x101));
        }
    }
}

#[test]
fn a_share_of_the_others_is_recorded() {
    let (tracer, mut queue) = tracer(MILLION / 4, 100_000, 10_000);
    let mut decision = Decision::new();
    decision.caller.trace = None;
    (0..4000).for_each(|_| tracer.tell(None, decision.decided()));
    let told: Vec<_> = std::iter::from_fn(|| queue.try_recv().ok()).collect();
    // A thousand, and 27 of standard deviation.
    assert!((800..1200).contains(&told.len()), "{}", told.len());
    let ids: std::collections::HashSet<_> = told.iter().map(|span| &span.trace_id).collect();
    assert_eq!(ids.len(), told.len());
}

/// A caller can ask for a span with each request: there are so many a second, and the others are counted.
#[test]
fn too_many_are_counted_and_nothing_waits() {
    let dropped = |tracer: &Tracer| -> BTreeMap<_, _> { tracer.tally().each_dropped().collect() };
    let (tracer, mut queue) = tracer(0, 5, 3);
    let mut decision = Decision::new();
    for _ in 0..12 {
        tracer.tell(None, decision.decided());
    }
    assert_eq!(dropped(&tracer), BTreeMap::from([("rate", 7), ("queue", 2), ("failed", 0), ("rejected", 0)]));
    decision.second += 1;
    tracer.tell(None, decision.decided());
    assert_eq!((dropped(&tracer)["rate"], dropped(&tracer)["queue"]), (7, 3));
    assert_eq!(std::iter::from_fn(|| queue.try_recv().ok()).count(), 3);
    // Nobody takes them any more.
    drop(queue);
    tracer.tell(None, decision.decided());
    assert_eq!(dropped(&tracer)["queue"], 4);
}

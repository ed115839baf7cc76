//! L05, E-05: spans of decisions in Envoy's trace, received by the protocol's own service.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version, in_time};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Said;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const RECORDS: &str = "records: { file: ./decisions.jsonl, mode: best_effort }";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Takes what comes, from whomever, and keeps what was shown with it.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ResourceSpans>>>, Arc<Mutex<Vec<String>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let shown = request.metadata().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        self.1.lock().unwrap().extend(shown);
        self.0.lock().unwrap().extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn text(pairs: &[KeyValue]) -> BTreeMap<&str, String> {
    let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Said::StringValue(text)) => text.clone(),
        Some(Said::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    pairs.iter().map(|pair| (pair.key.as_str(), value(&pair.value))).collect()
}

impl Collector {
    async fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (collector, port) = (Self::default(), listener.local_addr().unwrap().port());
        let service = TraceServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, port)
    }

    /// What `service` has sent.
    fn of(&self, service: &str) -> Vec<ResourceSpans> {
        let all = self.0.lock().unwrap().clone();
        let named = |spans: &ResourceSpans| {
            text(&spans.resource.as_ref().unwrap().attributes)
                .get("service.name")
                .is_some_and(|name| name == service)
        };
        all.into_iter().filter(named).collect()
    }

    fn spans_of(&self, service: &str) -> Vec<Span> {
        let scopes = self.of(service).into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    async fn until(&self, what: &str, service: &str, fits: impl Fn(&Span) -> bool) -> Span {
        in_time(what, async {
            loop {
                if let Some(span) = self.spans_of(service).into_iter().find(&fits) {
                    return span;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        })
        .await
    }
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

fn sends_to(port: u16, more: &str) -> (&'static str, &'static str) {
    let traces = format!("traces: {{ otlp: {{ endpoint: \"http://127.0.0.1:{port}\"{more} }} }}");
    (RECORDS, leaked(format!("{RECORDS}\n{traces}")))
}

/// What docs/reference/traces.md says to add, and that Envoy waits for no other spans.
fn envoy_traces(port: u16) -> Vec<(&'static str, &'static str)> {
    let tracing = "          tracing:
            provider:
              name: envoy.tracers.opentelemetry
              typed_config:
                \"@type\": type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig
                service_name: envoy
                grpc_service: { envoy_grpc: { cluster_name: otel }, timeout: 0.5s }
          http_filters:
";
    let cluster = format!(
        "  - name: otel
    type: STATIC
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http2_protocol_options: {{}} }}
    load_assignment: {{ cluster_name: otel, endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ] }}
  - name: upstream
"
    );
    let flush = "layered_runtime: { layers: [ { name: tests, static_layer: { tracing.opentelemetry.min_flush_spans: 1 } } ] }\n";
    vec![
        ("          http_filters:\n", tracing),
        ("  - name: upstream\n", leaked(cluster)),
        ("static_resources:\n", leaked(format!("{flush}static_resources:\n"))),
    ]
}

/// C-16: what a collector is shown is replaced while the server runs.
#[tokio::test]
async fn headers_for_the_collector_are_replaced_without_a_restart() {
    let (collector, port) = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("headers");
    let show = |word: &str| std::fs::write(&headers, format!("authorization: Bearer {word}\n")).unwrap();
    show("canary-first");
    std::fs::set_permissions(&headers, Permissions::from_mode(0o600)).unwrap();
    let file = format!(", headers_file: {}", headers.display());
    let options = Options { exequatur: vec![sends_to(port, &file)], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let holder = stack.holder(&serde_json::Value::Null).await.unwrap();
    let traced = async |shown: &str| {
        let request =
            Raw::new("GET", DOCUMENT).with("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
        assert_eq!(stack.raw(Version::Http1).send(&holder.sign(request)).await.unwrap().status, 200);
        in_time(shown, async {
            while collector.1.lock().unwrap().last().is_none_or(|last| last != shown) {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        })
        .await;
    };
    traced("Bearer canary-first").await;
    show("canary-second");
    stack.logged("what a collector is reached with has changed").await;
    traced("Bearer canary-second").await;
    assert!(!stack.log().unwrap().contains("canary"));
}

#[tokio::test]
async fn a_decision_is_a_span_below_envoys() {
    let (collector, port) = Collector::start().await;
    let options =
        Options { envoy: envoy_traces(port), exequatur: vec![sends_to(port, "")], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let holder = stack.holder(&json!({ "sub": "canary-sub", "note": "canary-claim" })).await.unwrap();
    let request = Raw::new("GET", format!("{DOCUMENT}?q=canary-query"))
        .with("x-other", "canary-header")
        .with("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .with("tracestate", "vendor=1");
    let request = holder.sign(request);
    assert_eq!(stack.raw(Version::Http1).send(&request).await.unwrap().status, 200);
    let (trace, decision) = (u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes(), {
        stack.upstream.received().last().unwrap().values("x-exequatur-decision").remove(0)
    });
    let span = collector.until("our span", "exequatur", |span| span.trace_id == trace).await;
    // Ours is below the one in which Envoy asks, and that below the one of the request.
    let asks =
        collector.until("Envoy's question", "envoy", |other| other.span_id == span.parent_span_id).await;
    let whole =
        collector.until("Envoy's request", "envoy", |other| other.span_id == asks.parent_span_id).await;
    assert!([&asks, &whole].iter().all(|other| other.trace_id == trace));
    assert_eq!(whole.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!((span.trace_state.as_str(), span.kind), ("vendor=1", 2));
    let expected = [
        ("client.address", "127.0.0.1"),
        ("exequatur.decision", &decision),
        ("exequatur.generation", "1"),
        ("exequatur.route", "read-document"),
        ("exequatur.tenant", "acme"),
        ("exequatur.verdict", "permit"),
        ("http.request.method", "GET"),
        ("http.route", "/tenants/{tenant}/documents/{id}"),
        ("rpc.method", "envoy.service.auth.v3.Authorization/Check"),
        ("rpc.response.status_code", "OK"),
        ("rpc.system.name", "grpc"),
        ("server.address", "localhost"),
        ("url.path", "/tenants/{tenant}/documents/{id}"),
        ("url.scheme", "http"),
    ];
    let expected: BTreeMap<_, _> = expected.map(|(key, value)| (key, value.to_owned())).into();
    assert_eq!(text(&span.attributes), expected);
    let stages: Vec<_> =
        span.events.iter().map(|event| event.name.trim_start_matches("exequatur.")).collect();
    let in_order = ["present", "route", "authenticate", "require", "admit", "authorize", "settle", "record"];
    assert_eq!(stages, in_order);
    let mut times = vec![span.start_time_unix_nano];
    times.extend(span.events.iter().map(|event| event.time_unix_nano));
    times.push(span.end_time_unix_nano);
    assert!(times.is_sorted(), "{times:?}");
    // Its record names the same trace.
    assert_eq!(stack.record(&decision).await.unwrap()["trace"], TRACE);
    // A denial, too, and in a trace that only Envoy knows.
    let denied =
        stack.raw(Version::Http1).send(&Raw::new("GET", format!("{DOCUMENT}/canary-path"))).await.unwrap();
    assert_eq!(denied.status, 403);
    let why = |span: &Span| text(&span.attributes).get("error.type").cloned();
    let of_denial = |span: &Span| why(span).is_some_and(|reason| reason == "route_unmatched");
    let denied = collector.until("the denial", "exequatur", of_denial).await;
    assert!(denied.trace_id != trace && denied.status.is_none());
    collector.until("what Envoy asked", "envoy", |other| other.span_id == denied.parent_span_id).await;
    for sent in collector.of("exequatur") {
        let bytes = String::from_utf8_lossy(&sent.encode_to_vec()).into_owned();
        assert!(!bytes.contains("canary"), "{sent:?}");
    }
}

/// An Envoy that does not trace hands on what the caller says.
#[tokio::test]
async fn what_is_no_traceparent_makes_no_span() {
    let (collector, port) = Collector::start().await;
    let options = Options { exequatur: vec![sends_to(port, "")], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let valid = format!("00-{TRACE}-b7ad6b7169203331-01");
    let zeros = "0".repeat(32);
    let hostile = [
        vec![("traceparent", "garbage".to_owned())],
        vec![("traceparent", valid.to_uppercase())],
        vec![("traceparent", format!("ff{}", &valid[2..]))],
        vec![("traceparent", valid.replace(TRACE, &zeros))],
        vec![("traceparent", valid.replace("b7ad6b7169203331", &zeros[..16]))],
        vec![("traceparent", format!("{valid}-more"))],
        vec![("traceparent", valid.clone()), ("traceparent", valid.clone())],
        vec![("traceparent", valid.replace("-01", "-00"))],
        vec![("tracestate", "vendor=1".to_owned())],
    ];
    let caller = stack.raw(Version::Http1);
    for fields in &hostile {
        let request =
            fields.iter().fold(Raw::new("GET", "/open"), |request, (name, value)| request.with(name, value));
        assert_eq!(caller.send(&request).await.unwrap().status, 200, "{fields:?}");
    }
    // One that is too much to be carried on is left out, and the span is made; it is the only one.
    let long = format!("vendor={}", "v".repeat(10_000));
    let request = Raw::new("GET", "/open").with("traceparent", &valid).with("tracestate", &long);
    assert_eq!(caller.send(&request).await.unwrap().status, 200);
    stack.wait_for_metric("exequatur_spans_exported_total 1").await.unwrap();
    let [span] = &collector.spans_of("exequatur")[..] else { panic!("one span") };
    assert_eq!((span.trace_state.as_str(), span.parent_span_id.len()), ("", 8));
    assert_eq!(text(&span.attributes)["exequatur.route"], "open");
}

/// Nobody waits for it, and what it does not take is counted.
#[tokio::test]
async fn a_collector_that_hangs_changes_no_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let options = Options { exequatur: vec![sends_to(port, ", timeout: 100ms")], ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let valid = format!("00-{TRACE}-b7ad6b7169203331-01");
    for _ in 0..10 {
        let request = Raw::new("GET", "/open").with("traceparent", &valid);
        assert_eq!(stack.raw(Version::Http1).send(&request).await.unwrap().status, 200);
    }
    stack.wait_for_metric("exequatur_spans_dropped_total{cause=\"failed\"} 10").await.unwrap();
    assert_eq!(stack.metric("exequatur_spans_exported_total").await.unwrap(), 0);
}

//! Whatever message comes, and none of them carries a token that holds: no panic, and no permit.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use exequatur_issuers::{HttpConfig, Issuers};
use exequatur_proto::envoy::config::core::v3::{HeaderMap, HeaderValue};
use exequatur_proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request as Asked};
use exequatur_proto::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::config::{self, Source};
use crate::state;
use crate::tenant_tally::TenantTally;
use crate::workers::Queue;
use crate::{clock, generations, serve};

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

/// A service as it is put together under `serve`, with no keys loaded.
fn service(deadline: Duration) -> Service {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/exequatur.yaml"));
    let config = config::from_text(Source { path, text: CONFIG.into() }).unwrap();
    let clock = clock::system();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let issuers =
        Issuers::start(config.issuers.clone(), HttpConfig::default(), Arc::clone(&clock), &tasks, &stop)
            .unwrap();
    Service::new(ServiceParts {
        decider: serve::decider(
            &config,
            issuers,
            state::open_store(&config.store, clock()).unwrap(),
            serve::Followed::nothing(),
        )
        .unwrap(),
        generation: Arc::new(ArcSwap::from_pointee(generations::build(&config, 1).unwrap())),
        recorder: None,
        tracer: None,
        redaction: Arc::default(),
        clock,
        deadline,
        shed: Shed::default(),
        tenants: TenantTally::new(&config),
        stages: Stages::new(),
        decisions: Decisions::new(),
        algorithms: "ES256".to_owned(),
    })
}

fn answer(request: CheckRequest) -> CheckResponse {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(answer_within(Duration::from_secs(5), request))
}

/// As a worker's front would have it answered.
async fn answer_within(deadline: Duration, request: CheckRequest) -> CheckResponse {
    answered_by(service(deadline), request).await
}

async fn answered_by(service: Service, request: CheckRequest) -> CheckResponse {
    let place = Queue::new().enter(Duration::from_secs(1)).unwrap();
    let by = tokio::time::Instant::now() + service.parts.deadline;
    service.answer(request.into(), None, place, by).await
}

fn assert_refused(response: &CheckResponse) {
    use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
    assert_ne!(response.status.as_ref().unwrap().code, 0);
    let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else { panic!("{response:?}") };
    assert!(denied.status.as_ref().unwrap().code >= 400);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        Just("GET".to_owned()),
        Just("api.example.com".to_owned()),
        Just("/tenants/acme/documents/1".to_owned()),
    ]
}

fn header() -> impl Strategy<Value = (String, Vec<u8>)> {
    let name = prop_oneof![
        Just("authorization".to_owned()),
        Just("dpop".to_owned()),
        Just("Host".to_owned()),
        text()
    ];
    let value = prop_oneof![
        any::<Vec<u8>>(),
        "(Bearer|DPoP|dpop) [A-Za-z0-9_=.-]{0,60}".prop_map(String::into_bytes),
        "e30\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}".prop_map(String::into_bytes),
    ];
    (name, value)
}

prop_compose! {
    fn message()(
        (method, path, host, certificate) in (text(), text(), text(), text()),
        headers in prop::collection::vec(header(), 0..6),
        raw in any::<bool>(),
        size in any::<i64>(),
        raw_body in any::<Vec<u8>>(),
    ) -> CheckRequest {
        let (joined, header_map) = if raw {
            let headers = headers.into_iter();
            let headers = headers.map(|(key, raw_value)| HeaderValue { key, value: String::new(), raw_value });
            (HashMap::new(), Some(HeaderMap { headers: headers.collect() }))
        } else {
            let headers = headers.into_iter();
            (headers.map(|(key, value)| (key, String::from_utf8_lossy(&value).into_owned())).collect(), None)
        };
        let http = HttpRequest { method, headers: joined, path, host, size, raw_body, header_map, ..HttpRequest::default() };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer { certificate, ..Peer::default() }),
                request: Some(Asked { http: Some(http) }),
                ..AttributeContext::default()
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// G0, B-17: arbitrary content of every field that is read.
    #[test]
    fn no_message_without_a_valid_token_is_permitted(message in message()) {
        assert_refused(&answer(message));
    }
}

/// B-17, tooling finding 1: an empty message, one without HTTP attributes, and headers in both encodings.
#[test]
fn incomplete_messages_are_refused() {
    let http = HttpRequest {
        method: "GET".to_owned(),
        host: "api.example.com".to_owned(),
        path: "/tenants/acme/documents/1".to_owned(),
        ..HttpRequest::default()
    };
    let of = |http| CheckRequest {
        attributes: Some(AttributeContext { request: Some(Asked { http }), ..AttributeContext::default() }),
    };
    let value = HeaderValue { key: "a".to_owned(), value: "b".to_owned(), raw_value: Vec::new() };
    let twice = HttpRequest {
        headers: HashMap::from([("a".to_owned(), "b".to_owned())]),
        header_map: Some(HeaderMap { headers: vec![value] }),
        ..http.clone()
    };
    let ambiguous = HeaderValue { key: "a".to_owned(), value: "b".to_owned(), raw_value: b"c".to_vec() };
    let ambiguous = HttpRequest { header_map: Some(HeaderMap { headers: vec![ambiguous] }), ..http.clone() };
    let fragment = HttpRequest { fragment: "f".to_owned(), ..http.clone() };
    let requests = [
        CheckRequest::default(),
        CheckRequest { attributes: Some(AttributeContext::default()) },
        of(None),
        of(Some(HttpRequest::default())),
        of(Some(http)),
        of(Some(twice)),
        of(Some(ambiguous)),
        of(Some(fragment)),
    ];
    for request in requests {
        assert_refused(&answer(request));
    }
}

/// B-17, C-18: bytes that are no message at all are refused when their turn has come, and like any other denial.
#[tokio::test]
async fn what_cannot_be_decoded_is_refused() {
    for bytes in [&b"\x0a"[..], b"\x0a\xff\xff\xff\xff\x0f", b"\xff\xff\xff", b"\x0a\x02\x12"] {
        let place = Queue::new().enter(Duration::from_secs(1)).unwrap();
        let by = tokio::time::Instant::now() + Duration::from_secs(5);
        let response =
            service(Duration::from_secs(5)).answer(Message::encoded(bytes.into()), None, place, by).await;
        assert_refused(&response);
        let fields = &response.dynamic_metadata.as_ref().unwrap().fields;
        let reason = fields["reason"].kind.as_ref().unwrap();
        assert_eq!(
            *reason,
            prost_types::value::Kind::StringValue("request_malformed".to_owned()),
            "{bytes:?}"
        );
    }
}

/// The one request of [`CONFIG`] that needs no token.
fn health() -> CheckRequest {
    let http = HttpRequest {
        method: "GET".to_owned(),
        host: "api.example.com".to_owned(),
        path: "/healthz".to_owned(),
        ..HttpRequest::default()
    };
    let asked = Asked { http: Some(http) };
    CheckRequest {
        attributes: Some(AttributeContext { request: Some(asked), ..AttributeContext::default() }),
    }
}

/// G01, B-06: a public route's permit names nobody, and takes away whatever the caller claims to be.
#[test]
fn a_public_permit_names_nobody() {
    use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
    let response = answer(health());
    assert_eq!(response.status.as_ref().unwrap().code, 0);
    let Some(HttpResponse::OkResponse(permit)) = &response.http_response else { panic!("{response:?}") };
    let set: Vec<_> =
        permit.headers.iter().map(|option| option.header.as_ref().unwrap().key.as_str()).collect();
    assert_eq!(set, ["x-exequatur-decision"]);
    assert!(permit.response_headers_to_add.is_empty());
    for name in ["authorization", "dpop", "x-exequatur-agent", "x_exequatur_user", "x-exequatur-delegation"] {
        assert!(permit.headers_to_remove.iter().any(|removed| removed == name), "{name}");
    }
    assert!(response.dynamic_metadata.unwrap().fields.contains_key("decision"));
}

/// A decision that never waits, and is late all the same, is a fault: Envoy has answered by then.
#[tokio::test]
async fn a_late_decision_is_no_permit() {
    let in_time = answer_within(Duration::from_secs(5), health()).await;
    assert_eq!(in_time.status.as_ref().unwrap().code, 0, "{in_time:?}");
    assert_refused(&answer_within(Duration::ZERO, health()).await);
}

/// C-21: a record file that hangs, and goes on only when all is over. Where records are required, there is no permit, and the answer
/// comes at the deadline; otherwise nobody notices.
#[tokio::test]
async fn a_record_file_that_hangs_denies_by_the_deadline_or_holds_nobody() {
    use exequatur_audit::{Checkpoints, Mode, Recorder, Sealing};
    use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
    for mode in [Mode::Required, Mode::BestEffort] {
        let folder = tempfile::tempdir().unwrap();
        let (go_on, hangs) = std::sync::mpsc::channel::<()>();
        // The writer asks for the time before it writes: the header's is told, the record's is not.
        go_on.send(()).unwrap();
        let hangs = std::sync::Mutex::new(hangs);
        let clock: Clock = Arc::new(move || {
            let _told = hangs.lock().unwrap().recv();
            Timestamp::UNIX_EPOCH
        });
        let sealing = Sealing { checkpoints: Checkpoints::default(), clock };
        let queue = std::num::NonZeroUsize::new(8).unwrap();
        let recorder = Recorder::open(&folder.path().join("records"), mode, queue, sealing).unwrap();
        let deadline = Duration::from_millis(if mode == Mode::Required { 200 } else { 60_000 });
        let mut service = service(deadline);
        Arc::get_mut(&mut service.parts).unwrap().recorder = Some(recorder.clone());
        let response = answered_by(service, health()).await;
        if mode == Mode::Required {
            assert_refused(&response);
            let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response else { panic!() };
            assert_eq!(denied.status.as_ref().unwrap().code, 503);
        } else {
            assert_eq!(response.status.as_ref().unwrap().code, 0, "{response:?}");
        }
        assert_eq!(recorder.progress().written, 1, "the header alone");
        drop(go_on);
        recorder.close().await.unwrap();
        assert_eq!(recorder.gaps(), 0);
    }
}

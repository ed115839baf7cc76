//! C-18, C-21: whoever may report outcomes reports too much, too long, or what is not so. Decisions go on, memory stays
//! within a bound, and the file has nothing but what could be an outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use exequatur_proto::envoy::config::core::v3::Metadata;
use exequatur_proto::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpResponseProperties,
};
use exequatur_proto::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use exequatur_proto::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use exequatur_proto::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, LogEntries,
};
use exequatur_tests::streams::Streams;
use exequatur_tests::{DOCUMENT, Holder, Options, Raw, Stack, Version, in_time};
use prost::Message as _;
use prost::bytes::Bytes;
use prost_types::value::Kind;
use prost_types::{Struct, Value as ProtoValue};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

const MIB: u64 = 1024 * 1024;
const METHOD: &str = "envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
const FORGED: &str = "019abc12-3456-7def-8123-456789abcdef";

struct Scene {
    stack: Stack,
    holder: Holder,
    before: u64,
}

impl Scene {
    async fn new(records: &'static str) -> Self {
        let exequatur = vec![("records: { file: ./decisions.jsonl, mode: best_effort }", records)];
        let options = Options { terse: true, exequatur, ..Options::default() };
        let stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let scene = Self { stack, holder, before: 0 };
        scene.others_are_answered().await;
        Self { before: scene.stack.resident().unwrap(), ..scene }
    }

    async fn client(&self) -> AccessLogServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{}", self.stack.ports.grpc)).unwrap();
        AccessLogServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// Reports this, and says how the stream ended.
    async fn report(&self, messages: Vec<StreamAccessLogsMessage>) -> Result<(), Status> {
        let ended = self.client().await.stream_access_logs(tokio_stream::iter(messages)).await;
        ended.map(drop)
    }

    async fn others_are_answered(&self) {
        for _ in 0..10 {
            let request = self.holder.sign(Raw::new("GET", DOCUMENT));
            let caller = self.stack.raw(Version::Http1);
            assert_eq!(caller.send(&request).await.unwrap().status, 200);
            assert_eq!(caller.send(&request).await.unwrap().reason(), "dpop_replay");
        }
    }

    async fn counted(&self, result: &str) -> u64 {
        self.stack.metric(&format!("exequatur_outcomes_total{{result=\"{result}\"}}")).await.unwrap()
    }

    /// Waits until at least so many are counted.
    async fn until_counted(&self, result: &str, least: u64) {
        in_time(result, async {
            while self.counted(result).await < least {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    fn stays_within(&self, growth: u64) {
        let now = self.stack.resident().unwrap();
        assert!(now <= self.before + growth, "{} MiB, before {}", now / MIB, self.before / MIB);
    }
}

fn text(text: &str) -> ProtoValue {
    ProtoValue { kind: Some(Kind::StringValue(text.to_owned())) }
}

fn entry(fields: &[(&str, &str)], details: &str) -> Bytes {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
    let ours = Struct { fields }.encode_to_vec();
    let filter_metadata = [("envoy.filters.http.ext_authz".to_owned(), ours.into())].into();
    let common =
        AccessLogCommon { metadata: Some(Metadata { filter_metadata }), ..AccessLogCommon::default() };
    let response = HttpResponseProperties {
        response_code: Some(200),
        response_body_bytes: u64::MAX,
        response_code_details: details.to_owned(),
    };
    let entry = HttpAccessLogEntry {
        common_properties: Some(common),
        response: Some(response),
        ..HttpAccessLogEntry::default()
    };
    entry.encode_to_vec().into()
}

fn permit(id: &str) -> Bytes {
    entry(&[("decision", id), ("verdict", "permit")], "")
}

fn message(log_entry: Vec<Bytes>) -> StreamAccessLogsMessage {
    let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry }));
    StreamAccessLogsMessage { log_entries }
}

/// A stock client is answered once, and each entry is kept, or counted by what it lacked.
#[tokio::test]
async fn forged_entries_leave_nothing_but_what_could_be_an_outcome() {
    let scene = Scene::new("records: { file: ./decisions.jsonl, mode: best_effort }").await;
    // Metadata as long as the first one could be ours; with the second one, nobody of ours has written them.
    let (long, huge) = ("canary".repeat(1_000), "canary".repeat(10_000));
    let entries = vec![
        permit(FORGED),
        permit(&huge),
        permit("canary\n{\"decision\":\"x\"}"),
        permit(""),
        entry(&[("decision", FORGED), ("verdict", &huge)], ""),
        entry(&[("decision", FORGED), ("verdict", "permit"), ("agent", &long)], &huge),
        entry(&[(&huge, &huge)], &huge),
        Bytes::new(),
        Bytes::from_static(b"\xff\xffcanary"),
    ];
    let all: usize = entries.iter().map(Bytes::len).sum();
    assert!(all > 256 * 1024);
    let not_ours = scene.counted("not_ours").await;
    scene.report(entries.into_iter().map(|entry| message(vec![entry])).collect()).await.unwrap();
    scene.until_counted("not_ours", not_ours + 4).await;
    scene.until_counted("unreadable", 1).await;
    scene.until_counted("no_decision", 1).await;
    // Whoever may send Checks may say what he likes of ids that could be ours: as lines, no longer than any other.
    in_time("two lines", async {
        while scene.stack.record_file().unwrap().matches(FORGED).count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let file = scene.stack.record_file().unwrap();
    assert!(!file.contains("canary"));
    for line in file.lines().filter(|line| line.contains(FORGED)) {
        assert!(line.len() < 300, "{line}");
    }
    scene.others_are_answered().await;
}

/// A message beyond the bound ends its stream, and so does one that is none; others go on.
#[tokio::test]
async fn a_stream_that_misbehaves_is_ended() {
    let scene = Scene::new("records: { file: ./decisions.jsonl, mode: best_effort }").await;
    let (tell, told) = mpsc::unbounded_channel();
    let mut client = scene.client().await;
    let honest =
        tokio::spawn(async move { client.stream_access_logs(UnboundedReceiverStream::new(told)).await });
    let long = message(vec![permit(&"a".repeat(10 * 1024 * 1024))]);
    let ended = scene.report(vec![message(vec![permit(FORGED)]), long]).await.unwrap_err();
    assert_eq!(ended.code(), Code::OutOfRange, "{ended}");
    let failures = "exequatur_grpc_failures_total{service=\"envoy.service.accesslog.v3.AccessLogService\",code=\"OutOfRange\"}";
    in_time("it is counted", async {
        while scene.stack.metric(failures).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    tell.send(message(vec![permit(FORGED)])).unwrap();
    drop(tell);
    honest.await.unwrap().unwrap();
    in_time("both are kept", async {
        while scene.stack.record_file().unwrap().matches(FORGED).count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    scene.others_are_answered().await;
    scene.stays_within(32 * MIB);
}

/// Endless entries, empty and forged, over many streams, while decisions have to be recorded: those are made as ever, and
/// what is too much is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_entries_leave_decisions_alone() {
    let scene = Scene::new("workers: 1\nrecords: { file: ./decisions.jsonl, mode: required }").await;
    let empty = message(vec![Bytes::new(); 60_000]);
    let forged = message((0..1000).map(|_| permit(FORGED)).collect());
    let (mut floods, enough) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    for number in 0..8 {
        let mut client = scene.client().await;
        let enough = Arc::clone(&enough);
        let one = if number % 2 == 0 { empty.clone() } else { forged.clone() };
        floods.spawn(async move {
            let endless = std::iter::repeat_with(move || one.clone());
            let endless = tokio_stream::iter(endless.take_while(move |_| !enough.load(Ordering::Relaxed)));
            client.stream_access_logs(endless).await.map(drop)
        });
    }
    scene.others_are_answered().await;
    scene.until_counted("too_many", 100_000).await;
    scene.others_are_answered().await;
    assert!(floods.try_join_next().is_none(), "each goes on: too much is no breach");
    enough.store(true, Ordering::Relaxed);
    for ended in floods.join_all().await {
        ended.unwrap();
    }
    scene.stays_within(64 * MIB);
    let gaps = scene.stack.metric("exequatur_record_gaps_total").await.unwrap();
    assert_eq!(gaps, 0, "no decision went without its record");
    in_time("the streams are gone", async {
        // Envoy has one of its own.
        while scene.stack.metric("exequatur_outcome_streams").await.unwrap() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Streams that begin messages and never end them have an end: of their number, of what they hold, of their time.
#[tokio::test]
async fn messages_without_an_end_have_a_bound() {
    let scene = Scene::new("workers: 1\nrecords: { file: ./decisions.jsonl, mode: best_effort }").await;
    let begins: Bytes = [&[0, 0, 3, 0xff, 0xff][..], &[0; 60_000]].concat().into();
    let refused = "exequatur_grpc_failures_total{service=\"envoy.service.accesslog.v3.AccessLogService\",code=\"ResourceExhausted\"}";
    let (mut open, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let mut streams = Streams::open(scene.stack.ports.grpc, 65_535).await.unwrap();
        for _ in 0..40 {
            open.push(streams.call(METHOD, &[], begins.clone(), false).await.unwrap());
        }
        connections.push(streams);
        scene.others_are_answered().await;
    }
    assert!(scene.stack.metric(refused).await.unwrap() > 100);
    scene.stays_within(96 * MIB);
    // None of them is whole in time.
    let late = refused.replace("ResourceExhausted", "DeadlineExceeded");
    in_time("they are ended", async {
        while scene.stack.metric(&late).await.unwrap() < 50 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop((open, connections));
    scene.others_are_answered().await;
    scene.report(vec![message(vec![permit(FORGED)])]).await.unwrap();
}

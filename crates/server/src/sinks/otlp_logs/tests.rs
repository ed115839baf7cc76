//! A collector that answers as it is told, over the protocol's own service on the loopback; a real recorder hands it its lines.

use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exequatur_audit::{
    Checkpoints, Mode, Patience, Record, Recorder, Sealing, Sink, SinkStatus, Text, Verdict,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response};

use super::*;
use crate::otlp;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[derive(Clone, Copy)]
enum Does {
    Take,
    Reject(i64),
    Fail(Code),
    Hang,
}

/// Does what it is told, then takes everything. Keeps what each call brought, whether taken or not.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(VecDeque<Does>, Vec<ResourceLogs>)>>);

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let next = {
            let mut state = self.0.lock().unwrap();
            state.1.extend(request.into_inner().resource_logs);
            state.0.pop_front().unwrap_or(Does::Take)
        };
        let partial_success = match next {
            Does::Take => None,
            Does::Reject(rejected_log_records) => {
                Some(ExportLogsPartialSuccess { rejected_log_records, error_message: "too old".to_owned() })
            }
            Does::Fail(code) => return Err(Status::new(code, "no")),
            Does::Hang => std::future::pending().await,
        };
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

struct Scene {
    collector: Collector,
    recorder: Recorder,
    file: tempfile::TempDir,
    _served: TaskTracker,
}

impl Scene {
    async fn new(does: &[Does], timeout: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = endpoint(&format!("http://{}", listener.local_addr().unwrap()), timeout);
        Self::at(listener, tonic::transport::Server::builder(), does, &endpoint).0
    }

    /// With a collector of its own there, and how that is reached.
    fn at(
        listener: TcpListener,
        mut server: tonic::transport::Server,
        does: &[Does],
        endpoint: &OtlpEndpoint,
    ) -> (Self, otlp::Collector) {
        let collector = Collector(Arc::new(Mutex::new((does.iter().copied().collect(), Vec::new()))));
        let served = TaskTracker::new();
        let server = server.add_service(LogsServiceServer::new(collector.clone()));
        served.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let clock: Clock = Arc::new(|| Timestamp::from_second(2_000).unwrap());
        let logs = OtlpLogs::new(endpoint, otlp::resource(None), Format::Own, Arc::clone(&clock)).unwrap();
        let reached = logs.collector();
        let patience =
            Patience { retries: 2, first: Duration::from_millis(1), most: Duration::from_millis(1) };
        let sink = Sink { name: "logs".to_owned(), outlet: Box::new(logs), queue: Sink::QUEUE, patience };
        let every = jiff::SignedDuration::from_hours(1);
        let checkpoints = Checkpoints { key: None, every, records: NonZeroU32::MAX };
        let sealing = Sealing { checkpoints, clock };
        let file = tempfile::tempdir().unwrap();
        let path = file.path().join("records");
        let queue = NonZeroUsize::new(64).unwrap();
        let recorder = Recorder::open_with(Some(&path), Mode::Required, queue, sealing, vec![sink]).unwrap();
        (Self { collector, recorder, file, _served: served }, reached)
    }

    async fn record(&self, decision: &str, verdict: Verdict, trace: Option<&str>) {
        let time = Timestamp::from_millisecond(1_000_001).unwrap();
        let mut record = Record::new(time, Text::from(decision), verdict, Text::from("permitted"), 200);
        record.trace = trace.map(Text::from);
        self.recorder.record(&record).await.unwrap();
    }

    fn status(&self) -> SinkStatus {
        self.recorder.sinks().remove(0)
    }

    /// Until as many lines are settled as there are.
    async fn settled(&self, lines: u64) {
        let settled = async {
            while self.status().taken + self.status().gaps < lines || self.status().waiting > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), settled).await;
        assert!(waited.is_ok(), "{:?}", self.status());
    }

    fn came(&self) -> Vec<LogRecord> {
        let came = self.collector.0.lock().unwrap().1.clone();
        came.into_iter().flat_map(|logs| logs.scope_logs).flat_map(|logs| logs.log_records).collect()
    }

    fn lines(&self) -> Vec<String> {
        let file = std::fs::read_to_string(self.file.path().join("records")).unwrap();
        file.lines().map(str::to_owned).collect()
    }
}

fn endpoint(address: &str, timeout: Duration) -> OtlpEndpoint {
    let endpoint = address.parse().unwrap();
    OtlpEndpoint { endpoint, plaintext: false, ca_file: None, headers_file: None, timeout }
}

fn body(record: &LogRecord) -> &str {
    let Some(Value::StringValue(body)) = &record.body.as_ref().unwrap().value else { panic!("{record:?}") };
    body
}

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn lines_arrive_as_log_records() {
    let scene = Scene::new(&[], PATIENT).await;
    for (decision, verdict, trace) in
        [("d1", Verdict::Permit, Some(TRACE)), ("d2", Verdict::Deny, None), ("d3", Verdict::Fault, Some("0"))]
    {
        scene.record(decision, verdict, trace).await;
    }
    scene.recorder.close().await.unwrap();
    let (came, lines) = (scene.came(), scene.lines());
    assert_eq!(came.iter().map(body).collect::<Vec<_>>(), lines);
    let told: Vec<_> = came
        .iter()
        .map(|record| (record.event_name.as_str(), record.severity_number(), record.severity_text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("exequatur.open", SeverityNumber::Info, "INFO"),
            ("exequatur.decision", SeverityNumber::Info, "INFO"),
            ("exequatur.decision", SeverityNumber::Warn, "WARN"),
            ("exequatur.decision", SeverityNumber::Error, "ERROR"),
            ("exequatur.checkpoint", SeverityNumber::Info, "INFO"),
        ]
    );
    let permit = &came[1];
    assert_eq!(permit.time_unix_nano, 1_000_001_000_000);
    assert_eq!(permit.observed_time_unix_nano, 2_000_000_000_000);
    assert_eq!(permit.trace_id, u128::from_str_radix(TRACE, 16).unwrap().to_be_bytes());
    // What is no trace id is none here.
    assert!(came[2].trace_id.is_empty() && came[3].trace_id.is_empty());
    let writer = serde_json::from_str::<serde_json::Value>(&lines[0]).unwrap()["open"]["writer"].clone();
    let uid = format!("{}/2", writer.as_str().unwrap());
    assert_eq!(permit.attributes, [text("log.record.uid", uid), text("exequatur.decision", "d1")]);
    let resource = scene.collector.0.lock().unwrap().1[0].clone();
    assert_eq!(resource.resource.unwrap().attributes[0], text("service.name", "exequatur"));
    let SinkStatus { taken, gaps, waiting, error, .. } = scene.status();
    assert_eq!((taken, gaps, waiting, error), (5, 0, 0, None));
}

/// C-16: the authorities that a running sink trusts are replaced: what it could not reach before it reaches with the next call.
#[tokio::test]
async fn a_collectors_authority_is_replaced_while_lines_come() {
    use tonic::transport::{Identity, Server, ServerTlsConfig};

    let made = || rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (theirs, others, folder) = (made(), made(), tempfile::tempdir().unwrap());
    let authorities = folder.path().join("ca.pem");
    std::fs::write(&authorities, others.cert.pem()).unwrap();
    let identity = Identity::from_pem(theirs.cert.pem(), theirs.signing_key.serialize_pem());
    let server = Server::builder().tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint(&format!("https://{}", listener.local_addr().unwrap()), PATIENT);
    let endpoint = OtlpEndpoint { ca_file: Some(authorities.clone()), ..endpoint };
    let (scene, reached) = Scene::at(listener, server, &[], &endpoint);
    scene.settled(1).await;
    assert_eq!((scene.status().taken, scene.status().gaps), (0, 1));

    std::fs::write(&authorities, theirs.cert.pem()).unwrap();
    let files = otlp::CollectorFiles::read(&endpoint).unwrap();
    reached.replace(reached.changed(&endpoint, files).unwrap().unwrap());
    scene.record("d1", Verdict::Permit, None).await;
    scene.recorder.close().await.unwrap();
    assert!(
        scene.came().iter().any(|record| record.event_name == "exequatur.decision"),
        "{:?}",
        scene.status()
    );
}

/// C-21: what a collector leaves out is counted by its own number, and it is told of that.
#[tokio::test]
async fn what_is_rejected_is_counted_exactly() {
    // One after the other, so that each is a call: the header, then a record each.
    let scene = Scene::new(&[Does::Take, Does::Reject(1), Does::Reject(-1)], PATIENT).await;
    for (n, decision) in (1..).zip(["d1", "d2", "d3"]) {
        scene.settled(n).await;
        scene.record(decision, Verdict::Permit, None).await;
    }
    scene.recorder.close().await.unwrap();
    let SinkStatus { taken, gaps, .. } = scene.status();
    assert_eq!((taken, gaps), (4, 1));
    let told = scene.came().iter().filter(|record| record.event_name == "exequatur.sink_gap").count();
    assert_eq!(told, 1);
    let told = scene.came().into_iter().find(|record| record.event_name == "exequatur.sink_gap").unwrap();
    assert!(body(&told).contains("\"sink_gap\":{\"lines\":1,\"from\""), "{told:?}");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_counted() {
    let scene = Scene::new(&[Does::Fail(Code::Unavailable), Does::Hang], Duration::from_millis(300)).await;
    scene.settled(1).await;
    scene.record("d1", Verdict::Permit, None).await;
    scene.settled(2).await;
    assert_eq!((scene.status().taken, scene.status().gaps), (2, 0));
    scene.collector.0.lock().unwrap().0.push_back(Does::Fail(Code::InvalidArgument));
    scene.record("d2", Verdict::Permit, None).await;
    scene.settled(3).await;
    assert_eq!((scene.status().taken, scene.status().gaps), (2, 1));
    let failed = OutletError::Answer(Code::InvalidArgument.description());
    assert_eq!(scene.status().error, Some(failed));
    scene.recorder.close().await.unwrap();
    assert_eq!((scene.status().taken, scene.status().gaps, scene.status().error), (3, 1, None));
}

/// Nobody is there, or somebody who takes long: lines wait, then count as missing; closing does not hang.
#[tokio::test]
async fn what_is_never_answered_is_counted() {
    let scene = Scene::new(&[Does::Hang; 64], Duration::from_millis(100)).await;
    scene.record("d1", Verdict::Permit, None).await;
    scene.settled(2).await;
    assert_eq!((scene.status().taken, scene.status().gaps), (0, 2));
    assert_eq!(scene.status().error, Some(OutletError::Timeout));
    scene.recorder.close().await.unwrap();
    let (gaps, lines) = (scene.status().gaps, scene.lines().len());
    assert_eq!(gaps, u64::try_from(lines).unwrap());
}

/// A long page goes in as many calls as are needed.
#[test]
fn a_call_has_a_bound() {
    let line: &[u8] = &[b'x'; 1000];
    let lines = vec![line; 2 * MAX_BYTES / line.len()];
    assert_eq!(fitting(&lines).len(), MAX_BYTES / line.len());
    let long = vec![b'x'; 2 * MAX_BYTES];
    assert_eq!((fitting(&[&long, line]).len(), fitting(&[line, &long]).len(), fitting(&[]).len()), (1, 1, 0));
}

#[test]
fn only_a_trace_id_is_one() {
    assert_eq!(trace_id(TRACE).map(|id| id.len()), Some(16));
    for text in ["", "0", "+af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c0"] {
        assert_eq!(trace_id(text), None, "{text}");
    }
}

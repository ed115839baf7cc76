//! C-21: lines of records go on to sinks, which nobody waits for, and what a sink does not take is counted and told to it; a record
//! file that takes no more does what its mode says, and is counted exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use exequatur_tests::{DOCUMENT, Holder, Options, Raw, Stack, Version, in_time};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Said;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use serde_json::Value;
use tokio::net::{TcpListener, UnixDatagram};
use tokio::process::Command;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

const RECORDS: &str = "records: { file: ./decisions.jsonl, mode: best_effort }";
const GAPS: &str = "exequatur_record_gaps_total";

/// The protocol's own service, which takes what comes.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<LogRecord>>>);

#[tonic::async_trait]
impl LogsService for Collector {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_logs.into_iter().flat_map(|logs| logs.scope_logs);
        self.0.lock().unwrap().extend(scopes.flat_map(|scope| scope.log_records));
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

impl Collector {
    async fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (collector, port) = (Self::default(), listener.local_addr().unwrap().port());
        let service = LogsServiceServer::new(collector.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        (collector, port)
    }

    /// What came, each with its line break.
    fn text(&self) -> String {
        let body = |record: &LogRecord| match record.body.as_ref().and_then(|body| body.value.clone()) {
            Some(Said::StringValue(line)) => format!("{line}\n"),
            other => format!("{other:?}\n"),
        };
        self.0.lock().unwrap().iter().map(body).collect()
    }
}

/// What a datagram socket is sent.
fn receive(socket: UnixDatagram) -> Arc<Mutex<Vec<String>>> {
    let all = Arc::<Mutex<Vec<String>>>::default();
    let kept = Arc::clone(&all);
    tokio::spawn(async move {
        let mut message = vec![0; 65_536];
        while let Ok(length) = socket.recv(&mut message).await {
            kept.lock().unwrap().push(String::from_utf8(message[..length].to_vec()).unwrap());
        }
    });
    all
}

async fn answer(stack: &Stack, holder: &Holder) -> u16 {
    stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap().status
}

/// Each sink gets each line of the record file, byte for byte; one that has no room for any is told of nothing, and counted.
#[tokio::test]
async fn each_line_goes_to_each_sink() {
    let folder = tempfile::tempdir().unwrap();
    let (copy, socket) = (folder.path().join("copy.jsonl"), folder.path().join("log"));
    let messages = receive(UnixDatagram::bind(&socket).unwrap());
    let (collector, port) = Collector::start().await;
    let sinks = format!(
        "records: {{ file: ./decisions.jsonl, mode: required, sinks: [ {{ name: copy, file: {} }}, {{ name: siem, syslog: {{ address: \"unix:{}\" }} }}, {{ name: full, file: /dev/full, queue: 1 }}, {{ name: otel, otlp: {{ endpoint: \"http://127.0.0.1:{port}\" }} }} ] }}",
        copy.display(),
        socket.display()
    );
    let options = Options { exequatur: vec![(RECORDS, sinks.leak())], ..Options::default() };
    let mut stack = Stack::start(options).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    for _ in 0..5 {
        assert_eq!(answer(&stack, &holder).await, 200);
    }
    in_time("the full one is counted", async {
        while stack.metric("exequatur_record_sink_gaps_total{sink=\"full\"}").await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_eq!(stack.metric("exequatur_record_sink_gaps_total{sink=\"copy\"}").await.unwrap(), 0);
    stack.wait_for_metric("exequatur_record_sink_up{sink=\"full\"} 0").await.unwrap();
    stack.wait_for_metric("exequatur_record_sink_up{sink=\"copy\"} 1").await.unwrap();
    stack.logged("a sink of the records fails").await;
    stack.terminate_exequatur().await.unwrap();

    let file = stack.record_file().unwrap();
    assert_eq!(std::fs::read_to_string(copy).unwrap(), file);
    assert_eq!(collector.text(), file);
    let all = in_time("all messages", async {
        loop {
            let all = messages.lock().unwrap().clone();
            if all.len() >= file.lines().count() {
                break all;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert_eq!(all.len(), file.lines().count());
    for (line, message) in file.lines().zip(all) {
        assert!(message.starts_with("<13"), "{message}");
        assert!(message.ends_with(&format!("\"] {line}")), "{message}");
    }
}

/// All decisions that were made, of whatever reason.
async fn made(stack: &Stack) -> u64 {
    let url = format!("http://127.0.0.1:{}/metrics", stack.ports.metrics);
    let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
    let counts = metrics.lines().filter(|line| line.starts_with("exequatur_decisions_total{"));
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// No file of the process can be longer than this from now on; one that is takes no more.
async fn limit_files(stack: &Stack, bytes: &str) {
    let (process, limit) = (stack.process().unwrap().to_string(), format!("--fsize={bytes}:"));
    let limited = Command::new("prlimit").args(["--pid", &process, &limit]).status().await.unwrap();
    assert!(limited.success());
}

/// Decisions that stand in the file, and those that it says are missing.
fn told(file: &str) -> (u64, u64) {
    // The last one may be under way.
    let lines = file.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.fold((0, 0), |(decisions, missing), line| {
        let decision = u64::from(line.get("decision").is_some());
        (decisions + decision, missing + line["gap"].as_u64().unwrap_or(0))
    })
}

/// A file that takes no more, by the system's own word, in the midst of a record: the process lives; without records there is no
/// permit in one mode, and gaps in the other; and once there is room again, what is missing is told to the last one.
#[tokio::test]
async fn a_full_disk_denies_or_is_counted() {
    for mode in ["required", "best_effort"] {
        let records: &str = format!("records: {{ file: ./decisions.jsonl, mode: {mode} }}").leak();
        let options = Options { exequatur: vec![(RECORDS, records)], ..Options::default() };
        let mut stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        assert_eq!(answer(&stack, &holder).await, 200, "{mode}");
        let size = in_time("all records", async {
            loop {
                let file = stack.record_file().unwrap();
                if told(&file).0 == made(&stack).await {
                    break file.len();
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
        let before = stack.metric(GAPS).await.unwrap();
        limit_files(&stack, &(size + 200).to_string()).await;
        for _ in 0..6 {
            assert_eq!(answer(&stack, &holder).await, if mode == "required" { 503 } else { 200 }, "{mode}");
        }
        stack.wait_for_metric(&format!("{GAPS} {}", before + 6)).await.unwrap();
        limit_files(&stack, "unlimited").await;
        assert_eq!(answer(&stack, &holder).await, 200, "{mode}");
        let made = made(&stack).await;
        stack.terminate_exequatur().await.unwrap();
        let (decisions, missing) = told(&stack.record_file().unwrap());
        assert_eq!((missing, decisions + missing), (before + 6, made), "{mode}");
    }
}

//! A collector that answers as it is told, over the protocol's own service on the loopback.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Response};

use super::*;
use crate::config::OtlpEndpoint;

#[derive(Clone, Copy)]
enum Does {
    Take,
    Reject(i64),
    Fail(Code),
    Hang,
}

/// Does what it is told, then takes everything.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<(VecDeque<Does>, Vec<usize>)>>);

impl Collector {
    fn told(does: &[Does]) -> Self {
        Self(Arc::new(Mutex::new((does.iter().copied().collect(), Vec::new()))))
    }

    /// How many spans each call brought.
    fn calls(&self) -> Vec<usize> {
        self.0.lock().unwrap().1.clone()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let [resource] = &request.get_ref().resource_spans[..] else { panic!("one resource") };
        let [scope] = &resource.scope_spans[..] else { panic!("one scope") };
        let next = {
            let mut state = self.0.lock().unwrap();
            state.1.push(scope.spans.len());
            state.0.pop_front().unwrap_or(Does::Take)
        };
        let partial = match next {
            Does::Take => None,
            Does::Reject(rejected_spans) => {
                Some(ExportTracePartialSuccess { rejected_spans, error_message: "too old".to_owned() })
            }
            Does::Fail(code) => return Err(Status::new(code, "no")),
            Does::Hang => std::future::pending().await,
        };
        Ok(Response::new(ExportTraceServiceResponse { partial_success: partial }))
    }
}

struct Scene {
    collector: Collector,
    tally: Arc<Tally>,
    queue: Option<mpsc::Sender<Span>>,
    stop: CancellationToken,
    tasks: TaskTracker,
    exporter: tokio::task::JoinHandle<()>,
}

const QUICK: Pace = Pace {
    gather: Duration::from_millis(20),
    pauses: [Duration::from_millis(5), Duration::from_millis(10)],
    finish: Duration::from_millis(200),
};

impl Scene {
    async fn new(does: &[Does], timeout: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (collector, tasks) = (Collector::told(does), TaskTracker::new());
        let service = TraceServiceServer::new(collector.clone());
        let served = tonic::transport::Server::builder().add_service(service);
        tasks.spawn(served.serve_with_incoming(TcpListenerStream::new(listener)));
        Self::at(address, collector, tasks, timeout)
    }

    fn at(address: SocketAddr, collector: Collector, tasks: TaskTracker, timeout: Duration) -> Self {
        let (queue, spans) = mpsc::channel(2 * BATCH);
        let otlp = Otlp::new(&OtlpEndpoint {
            endpoint: format!("http://{address}").parse().unwrap(),
            plaintext: false,
            ca_file: None,
            headers_file: None,
            timeout,
        });
        let (tally, stop) = (Arc::new(Tally::default()), CancellationToken::new());
        let exporter = Exporter::new(otlp.unwrap(), Resource::default(), spans, Arc::clone(&tally));
        let exporter = Exporter { pace: QUICK, ..exporter };
        let exporter = tasks.spawn(exporter.run(stop.clone()));
        Self { collector, tally, queue: Some(queue), stop, tasks, exporter }
    }

    fn send(&self, count: usize) {
        for _ in 0..count {
            self.queue.as_ref().unwrap().try_send(Span::default()).unwrap();
        }
    }

    fn counts(&self) -> (u64, u64, u64) {
        let of = |name: &str| self.tally.each_dropped().find(|(cause, _)| *cause == name).unwrap().1;
        (self.tally.total_exported(), of("failed"), of("rejected"))
    }

    /// Until so many were taken, failed and rejected.
    async fn until(&self, expected: (u64, u64, u64)) {
        let reached = async {
            while self.counts() != expected {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), reached).await;
        assert!(waited.is_ok(), "{:?} instead of {expected:?}", self.counts());
    }

    async fn stop(self) -> ((u64, u64, u64), Vec<usize>) {
        self.stop.cancel();
        let Self { exporter, tally, collector, tasks, .. } = self;
        exporter.await.unwrap();
        drop(tasks);
        let of = |name: &str| tally.each_dropped().find(|(cause, _)| *cause == name).unwrap().1;
        ((tally.total_exported(), of("failed"), of("rejected")), collector.calls())
    }
}

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn spans_arrive_and_are_counted() {
    let scene = Scene::new(&[], PATIENT).await;
    scene.send(3);
    scene.until((3, 0, 0)).await;
    scene.send(1);
    scene.until((4, 0, 0)).await;
    assert_eq!(scene.stop().await.0, (4, 0, 0));
}

#[tokio::test]
async fn what_is_left_is_sent_when_the_process_stops() {
    let scene = Scene::new(&[], PATIENT).await;
    scene.send(BATCH + 7);
    let ((exported, failed, _), calls) = scene.stop().await;
    assert_eq!((exported, failed), (519, 0));
    assert!(calls.iter().all(|spans| *spans <= BATCH), "{calls:?}");
    assert_eq!(calls.iter().sum::<usize>(), BATCH + 7);
}

#[tokio::test]
async fn what_the_collector_leaves_out_is_counted() {
    let does = [Does::Reject(2), Does::Reject(100), Does::Reject(-1)];
    let scene = Scene::new(&does, PATIENT).await;
    scene.send(5);
    scene.until((3, 0, 2)).await;
    // Whatever it says, no more than there were.
    scene.send(4);
    scene.until((3, 0, 6)).await;
    scene.send(1);
    scene.until((4, 0, 6)).await;
}

#[tokio::test]
async fn a_call_is_made_again_where_that_may_help() {
    let does = [Does::Fail(Code::Unavailable), Does::Fail(Code::Aborted)];
    let scene = Scene::new(&does, PATIENT).await;
    scene.send(2);
    scene.until((2, 0, 0)).await;
    assert_eq!(scene.collector.calls(), [2, 2, 2]);
}

#[tokio::test]
async fn a_call_is_given_up_in_the_end() {
    for (code, calls) in [
        (Code::Unavailable, 3),
        (Code::InvalidArgument, 1),
        (Code::Unauthenticated, 1),
        (Code::ResourceExhausted, 1),
    ] {
        let scene = Scene::new(&[Does::Fail(code); 3][..calls], PATIENT).await;
        scene.send(2);
        scene.until((0, 2, 0)).await;
        assert_eq!(scene.collector.calls(), vec![2; calls], "{code:?}");
        // The next ones have nothing to do with it.
        scene.send(1);
        scene.until((1, 2, 0)).await;
    }
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_not_there_takes_nothing() {
    let scene = Scene::new(&[Does::Hang; 3], Duration::from_millis(100)).await;
    scene.send(2);
    scene.until((0, 2, 0)).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let scene = Scene::at(nobody, Collector::default(), TaskTracker::new(), PATIENT);
    scene.send(3);
    scene.until((0, 3, 0)).await;
}

/// Not even the end of the process waits for it, and what it had in hand is counted.
#[tokio::test]
async fn a_stop_does_not_wait_for_a_collector_that_hangs() {
    let scene = Scene::new(&[Does::Hang; 3], Duration::from_secs(3600)).await;
    scene.send(BATCH + 5);
    while scene.collector.calls().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(scene.stop().await.0, (0, 517, 0));
}

/// It runs as long as the process does, even if nobody makes spans any more.
#[tokio::test]
async fn it_does_not_end_by_itself() {
    let mut scene = Scene::new(&[], PATIENT).await;
    scene.send(1);
    scene.queue = None;
    scene.until((1, 0, 0)).await;
    assert!(!scene.exporter.is_finished());
    assert_eq!(scene.stop().await.0, (1, 0, 0));
}

use std::future::poll_fn;

use exequatur_proto::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use exequatur_proto::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, LogEntries,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock;

/// A stream as a test feeds it.
struct Feed(mpsc::UnboundedReceiver<Result<Bytes, Status>>);

impl HttpBody for Feed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

struct Scene {
    service: AccessLogs,
    drain: CancellationToken,
}

impl Scene {
    fn new() -> Self {
        let (outcomes, drain) = (Outcomes::new(None, clock::system()), CancellationToken::new());
        Self { service: AccessLogs::new(outcomes, drain.clone()), drain }
    }

    /// A stream, and its answer.
    fn stream(&self) -> (mpsc::UnboundedSender<Result<Bytes, Status>>, Response<Body>) {
        let (feed, fed) = mpsc::unbounded_channel();
        let request = Request::builder().uri(METHOD).body(Body::new(Feed(fed))).unwrap();
        (feed, self.service.answer(request))
    }

    /// Entries so far; without records that is all that is known of them.
    fn entries(&self) -> u64 {
        self.result("no_records")
    }

    fn result(&self, name: &str) -> u64 {
        self.service.outcomes.results().into_iter().find(|(result, _)| *result == name).unwrap().1
    }
}

fn message(entries: usize) -> Vec<u8> {
    let log_entry = vec![Bytes::new(); entries];
    let log_entries = Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry }));
    framed(&StreamAccessLogsMessage { log_entries }.encode_to_vec())
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// What the stream is ended with: the bytes of the answer, and the status.
async fn end(response: Response<Body>) -> (Vec<u8>, String) {
    assert_eq!(response.headers()["content-type"], "application/grpc");
    let mut body = response.into_body();
    let (mut bytes, mut status) = (Vec::new(), String::new());
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        match frame.unwrap().into_data() {
            Ok(data) => bytes.extend_from_slice(&data),
            Err(trailers) => {
                status = trailers.trailers_ref().unwrap()["grpc-status"].to_str().unwrap().to_owned();
            }
        }
    }
    (bytes, status)
}

#[tokio::test(start_paused = true)]
async fn messages_are_taken_in_any_pieces_and_answered_once() {
    for size in [1, 3, 7, 1000] {
        let scene = Scene::new();
        let (feed, response) = scene.stream();
        let all = [message(1), framed(b""), message(2), message(3)].concat();
        for piece in all.chunks(size) {
            feed.send(Ok(Bytes::copy_from_slice(piece))).unwrap();
        }
        drop(feed);
        assert_eq!(end(response).await, (EMPTY.to_vec(), "0".to_owned()), "{size}");
        assert_eq!(scene.entries(), 6, "{size}");
        assert_eq!(scene.service.outcomes.streams(), 0);
    }
}

/// A stream that breaks a rule is ended, and what came before it was taken.
#[tokio::test(start_paused = true)]
async fn a_stream_that_misbehaves_is_ended() {
    let too_long = u32::try_from(MAX_MESSAGE + 1).unwrap().to_be_bytes();
    let longest = framed(&vec![0; MAX_MESSAGE]);
    for (bytes, status) in [
        (vec![1, 0, 0, 0, 0], "12"),
        ([&[0], &too_long[..]].concat(), "11"),
        (vec![0, 0xff, 0xff, 0xff, 0xff], "11"),
        (framed(&[0xff, 0xff]), "3"),
        (longest, "3"),
        (vec![0, 0, 0, 0, 9, 1], "3"),
        (vec![0, 0, 0], "3"),
    ] {
        let scene = Scene::new();
        let (feed, response) = scene.stream();
        feed.send(Ok([message(1), bytes.clone()].concat().into())).unwrap();
        drop(feed);
        let said = end(response).await;
        let shown = &bytes[..bytes.len().min(9)];
        assert_eq!((said.0.len(), said.1.as_str(), scene.entries()), (0, status, 1), "{shown:?}");
    }
    let scene = Scene::new();
    let (feed, response) = scene.stream();
    feed.send(Ok(message(1).into())).unwrap();
    feed.send(Err(Status::cancelled("reset"))).unwrap();
    assert_eq!(end(response).await.1, "1");
}

/// A message that has begun has an end, within a bound that is its own: a stream itself may be silent for ever.
#[tokio::test(start_paused = true)]
async fn a_message_is_whole_in_time() {
    let scene = Scene::new();
    let (feed, response) = scene.stream();
    let ended = end(response);
    tokio::pin!(ended);
    for _ in 0..3 {
        assert!(tokio::time::timeout(CHECK_WITHIN * 10, &mut ended).await.is_err(), "silence is no fault");
        let whole = message(1);
        let (begin, rest) = whole.split_at(3);
        feed.send(Ok(Bytes::copy_from_slice(begin))).unwrap();
        assert!(tokio::time::timeout(CHECK_WITHIN * 9 / 10, &mut ended).await.is_err());
        feed.send(Ok(Bytes::copy_from_slice(rest))).unwrap();
    }
    let drips = async {
        feed.send(Ok(Bytes::from_static(&[0, 0, 0, 9, 0]))).unwrap();
        loop {
            feed.send(Ok(Bytes::from_static(&[0]))).unwrap();
            sleep(CHECK_WITHIN / 100).await;
        }
    };
    tokio::select! {
        () = drips => {}
        said = ended => assert_eq!(said.1, "4"),
    }
}

/// When this replica stops, a stream stays open as long as something is reported, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_under_way() {
    let scene = Scene::new();
    let (feed, response) = scene.stream();
    let ended = TaskTracker::new().spawn(end(response));
    sleep(QUIET * 10).await;
    assert!(!ended.is_finished());
    scene.drain.cancel();
    let begun = Instant::now();
    sleep(QUIET * 9 / 10).await;
    feed.send(Ok(message(1).into())).unwrap();
    assert_eq!(ended.await.unwrap(), (EMPTY.to_vec(), "0".to_owned()));
    assert_eq!(scene.entries(), 1);
    assert!(begun.elapsed() > QUIET * 18 / 10 && begun.elapsed() < QUIET * 2, "{:?}", begun.elapsed());

    // One that never is silent is ended too, and a new one as well.
    for _ in 0..2 {
        let (feed, response) = scene.stream();
        let begun = Instant::now();
        let ended = TaskTracker::new().spawn(end(response));
        while feed.send(Ok(message(1).into())).is_ok() {
            sleep(QUIET / 10).await;
        }
        assert_eq!(ended.await.unwrap().1, "0");
        assert!(begun.elapsed() < LINGER * 11 / 10, "{:?}", begun.elapsed());
    }
}

/// What all streams of a worker hold has a bound, and what is taken is not held.
#[tokio::test(start_paused = true)]
async fn streams_have_a_budget() {
    let scene = Scene::new();
    let mut streams = Vec::new();
    loop {
        let (feed, response) = scene.stream();
        if let Some(code) = response.headers().get("grpc-status") {
            assert_eq!(code, "8");
            break;
        }
        streams.push((feed, response));
    }
    assert_eq!(scene.service.outcomes.streams(), streams.len());
    assert!((500..2000).contains(&streams.len()), "{}", streams.len());
    // Half of them go, and some of the others begin large messages: there is an end to those too.
    streams.truncate(streams.len() / 2);
    let begins = [&[0, 0, 4, 0, 0], &vec![0; MAX_MESSAGE - 1][..]].concat();
    let (mut refused, mut open) = (0, Vec::new());
    for (feed, response) in streams {
        feed.send(Ok(begins.clone().into())).unwrap();
        let mut ended = Box::pin(end(response));
        match tokio::time::timeout(Duration::from_millis(1), &mut ended).await {
            Ok((_, status)) => {
                assert_eq!(status, "8");
                refused += 1;
            }
            Err(_waits) => open.push((feed, ended)),
        }
    }
    assert!(refused > 0 && open.len() < 64, "{refused} {}", open.len());
    drop(open);
    // All is given back, and a stream that goes on for long holds no more than a message.
    let (feed, response) = scene.stream();
    // Messages of one long field that nobody knows, 24 MB in all.
    let unknown = framed(&[&[0x1a, 0x80, 0x80, 0x01, 0x0a, 0xfc, 0xff, 0x00][..], &[0; 16_380]].concat());
    for _ in 0..1500 {
        feed.send(Ok(unknown.clone().into())).unwrap();
    }
    drop(feed);
    assert_eq!(end(response).await.1, "0");
    assert_eq!(scene.service.outcomes.streams(), 0);
}

/// A stream that reports more than is looked at is read slowly: what it sends waits with its sender.
#[tokio::test(start_paused = true)]
async fn too_much_is_read_slowly() {
    let scene = Scene::new();
    let mut took = Vec::new();
    for count in [500_u32, 3000] {
        let (feed, response) = scene.stream();
        let unknown = framed(&[&[0x1a, 0x80, 0x80, 0x01, 0x0a, 0xfc, 0xff, 0x00][..], &[0; 16_380]].concat());
        for _ in 0..count {
            feed.send(Ok(unknown.clone().into())).unwrap();
        }
        drop(feed);
        let begun = Instant::now();
        assert_eq!(end(response).await.1, "0");
        took.push(begun.elapsed());
    }
    // At most a worker's share of some 1200 of them is read at once, and what comes back to it meanwhile.
    assert!(took[0] < PAUSE && took[1] > PAUSE * 500, "{took:?}");
    assert!(scene.result("too_many") > 500 && scene.result("not_http") >= 500);
}

#[tokio::test]
async fn there_is_one_method() {
    let mut scene = Scene::new();
    let request = Request::builder().uri("/envoy.service.accesslog.v3.AccessLogService/Other");
    let Ok(response) = scene.service.call(request.body(Body::empty()).unwrap()).await;
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(METHOD, format!("/{SERVICE_NAME}/StreamAccessLogs"));
}

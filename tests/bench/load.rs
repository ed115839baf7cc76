//! Load over gRPC: a closed loop for costs, an open one for overload. It has to cost little beside what is measured, so
//! messages are encoded before, and of a permit only the first bytes are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use exequatur_tests::streams::prefixed;
use h2::client::SendRequest;
use prost::Message as _;
use prost::bytes::{Bytes, BytesMut};
use tokio::net::TcpStream;

/// What a client may be sent ahead, for one answer and for one connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The length of gRPC's prefix: whether the message is compressed, and its length.
const PREFIX: usize = 5;
/// How a permit begins: its status, whose code is that of OK and therefore absent.
const PERMIT: [u8; 2] = [0x0a, 0];

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many were permitted before the time was over.
    pub(crate) permitted: usize,
    /// How many were refused because of overload (HTTP 503 in the answer).
    pub(crate) shed: usize,
    /// How many ended in any other way.
    pub(crate) other: usize,
    /// In a closed loop from the first request to the last answer, in an open one to the last request.
    pub(crate) elapsed: Duration,
    /// How long each permit took to come, late ones too, sorted.
    pub(crate) latency: Vec<Duration>,
    /// How long each refusal took to come, sorted.
    pub(crate) shed_latency: Vec<Duration>,
}

impl Outcome {
    /// Fails unless every request was permitted: a figure over refusals would be another figure.
    pub(crate) fn all_permitted(self) -> Result<Self, String> {
        if self.shed == 0 && self.other == 0 {
            Ok(self)
        } else {
            Err(format!(
                "not all were permitted: {} were, {} were shed, {} ended otherwise",
                self.permitted, self.shed, self.other
            ))
        }
    }

    /// Permits in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.permitted as f64 / self.elapsed.as_secs_f64()
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
enum End {
    Permitted,
    Shed,
    Other,
}

/// A request's end, when it came, and how long it took.
#[derive(Debug, Clone, Copy)]
struct Answered {
    end: End,
    at: Instant,
    took: Duration,
}

/// A connection.
#[derive(Clone, Debug)]
pub(crate) struct Client(SendRequest<Bytes>);

/// Connections to `port` of the loopback.
pub(crate) async fn connect(port: u16, connections: usize) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let handshake = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(stream);
        let (client, connection) = handshake.await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        clients.push(Client(client));
    }
    Ok(clients)
}

impl Client {
    async fn ask(&self, message: Bytes) -> Answered {
        let begun = Instant::now();
        let end = self.end_of(message).await.unwrap_or(End::Other);
        Answered { end, at: Instant::now(), took: begun.elapsed() }
    }

    async fn end_of(&self, message: Bytes) -> Result<End, h2::Error> {
        let request = http::Request::post("http://127.0.0.1/envoy.service.auth.v3.Authorization/Check")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        let (response, mut rest) = self.0.clone().ready().await?.send_request(request, false)?;
        rest.send_data(message, true)?;
        let mut body = response.await?.into_body();
        let mut answer = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            answer.extend_from_slice(&part);
        }
        Ok(read(answer.get(PREFIX..).unwrap_or_default()))
    }
}

fn read(answer: &[u8]) -> End {
    if answer.starts_with(&PERMIT) {
        return End::Permitted;
    }
    match CheckResponse::decode(answer).map(|answer| answer.http_response) {
        Ok(Some(HttpResponse::DeniedResponse(denied)))
            if denied.status.is_some_and(|status| status.code == 503) =>
        {
            End::Shed
        }
        _ => End::Other,
    }
}

fn encoded(requests: &[CheckRequest]) -> Arc<[Bytes]> {
    requests.iter().map(prefixed).collect()
}

/// Permits that came after `elapsed` do not count: what is answered in that time is the rate.
fn sum_up(begun: Instant, elapsed: Duration, answers: Vec<Answered>) -> Outcome {
    let mut outcome = Outcome { elapsed, ..Outcome::default() };
    for Answered { end, at, took } in answers {
        if matches!(end, End::Permitted) {
            outcome.latency.push(took);
        }
        match end {
            End::Permitted if at.duration_since(begun) <= elapsed => outcome.permitted += 1,
            End::Permitted => {}
            End::Shed => {
                outcome.shed += 1;
                outcome.shed_latency.push(took);
            }
            End::Other => outcome.other += 1,
        }
    }
    outcome.latency.sort_unstable();
    outcome.shed_latency.sort_unstable();
    outcome
}

/// Each request once, `in_flight` at a time over all connections: the next one goes out when one is answered.
pub(crate) async fn closed(clients: &[Client], requests: &[CheckRequest], in_flight: usize) -> Outcome {
    let messages = encoded(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|number| {
            let (client, messages, next) =
                (clients[number % clients.len()].clone(), Arc::clone(&messages), Arc::clone(&next));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while let Some(message) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
                    answers.push(client.ask(message.clone()).await);
                }
                answers
            })
        })
        .collect();
    let mut answers = Vec::new();
    for worker in workers {
        answers.extend(worker.await.expect("the load does not panic"));
    }
    sum_up(begun, begun.elapsed(), answers)
}

/// Each request once, `rate` of them a second, whether or not the earlier ones are answered.
pub(crate) async fn open(clients: &[Client], requests: &[CheckRequest], rate: f64) -> Outcome {
    let messages = encoded(requests);
    let begun = Instant::now();
    let mut asked = Vec::with_capacity(messages.len());
    while asked.len() < messages.len() {
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        while asked.len() < due.min(messages.len()) {
            let number = asked.len();
            let (client, message) = (clients[number % clients.len()].clone(), messages[number].clone());
            asked.push(tokio::spawn(async move { client.ask(message).await }));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    let sending = begun.elapsed();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(one.await.expect("the load does not panic"));
    }
    sum_up(begun, sending, answers)
}

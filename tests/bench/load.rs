//! Load over gRPC in a closed loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_proto::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use tonic::transport::{Channel, Endpoint};

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How many were permitted.
    pub(crate) permitted: usize,
    /// How many were refused because of overload (HTTP 503 in the answer).
    pub(crate) shed: usize,
    /// How many ended in any other way.
    pub(crate) other: usize,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// How long each permit took to come, sorted.
    pub(crate) permit_latency: Vec<Duration>,
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

type Client = AuthorizationClient<Channel>;

/// Connections to `port` of the loopback.
pub(crate) async fn connect(port: u16, connections: usize) -> Result<Vec<Client>, String> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
            .map_err(|error| error.to_string())?
            .tcp_nodelay(true);
        let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
        clients.push(Client::new(channel));
    }
    Ok(clients)
}

/// How a request ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Permitted,
    Shed,
    Other,
}

async fn ask(client: &mut Client, request: CheckRequest) -> (End, Duration) {
    let begun = Instant::now();
    let answer = client.check(request).await;
    let end = match answer {
        Ok(answer) => {
            use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
            let answer = answer.into_inner();
            match (answer.status.map(|status| status.code), answer.http_response) {
                (Some(0), _) => End::Permitted,
                (_, Some(HttpResponse::DeniedResponse(denied)))
                    if denied.status.is_some_and(|status| status.code == 503) =>
                {
                    End::Shed
                }
                _ => End::Other,
            }
        }
        Err(_status) => End::Other,
    };
    (end, begun.elapsed())
}

pub(crate) fn sum_up(ends: Vec<(End, Duration)>, elapsed: Duration) -> Outcome {
    let mut outcome = Outcome { elapsed, ..Outcome::default() };
    for (end, took) in ends {
        match end {
            End::Permitted => {
                outcome.permitted += 1;
                outcome.permit_latency.push(took);
            }
            End::Shed => {
                outcome.shed += 1;
                outcome.shed_latency.push(took);
            }
            End::Other => outcome.other += 1,
        }
    }
    outcome.permit_latency.sort_unstable();
    outcome.shed_latency.sort_unstable();
    outcome
}

/// Each request once, `in_flight` at a time over all connections: the next one goes out when one is answered.
pub(crate) async fn closed(
    clients: &[Client],
    requests: Arc<Vec<CheckRequest>>,
    in_flight: usize,
) -> Outcome {
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let workers: Vec<_> = (0..in_flight)
        .map(|number| {
            let (mut client, requests, next) =
                (clients[number % clients.len()].clone(), Arc::clone(&requests), Arc::clone(&next));
            tokio::spawn(async move {
                let mut ends = Vec::new();
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    ends.push(ask(&mut client, request.clone()).await);
                }
                ends
            })
        })
        .collect();
    let mut ends = Vec::new();
    for worker in workers {
        ends.extend(worker.await.expect("the load does not panic"));
    }
    sum_up(ends, begun.elapsed())
}

//! The threads that decide. Each has a runtime of its own, connections of its own and a queue of its own: a
//! decision never moves between threads unless its worker has more to do than another.

mod acceptor;
mod access_log;
mod budget;
mod connection;
mod endpoint;
mod metered;
mod outbox;
mod queue;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use exequatur_proto::envoy::service::auth::v3::CheckResponse;
use thiserror::Error;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use tonic::transport::Server;
use tonic_health::pb::health_server::{Health, HealthServer};

pub(crate) use acceptor::{Listener, accept};
pub(crate) use queue::{Overload, Place, Queue};

use access_log::AccessLogs;
use budget::Budget;
use connection::{Accepted, Connection, Open};
use endpoint::Endpoint;
use metered::Metered;

use crate::metrics;
use crate::outcomes::Outcomes;
use crate::service::{Front, Service};

/// Connections at once, of all workers. Envoy has one or a few for each of its own workers.
const MAX_CONNECTIONS: usize = 1024;
/// Requests at once on one connection; a client that has more waits with them, or opens another connection. What they
/// all hold is bounded by each worker's [`Budget`].
const MAX_STREAMS: u32 = 256;
/// What a client may send ahead of being read, for one request and for one connection.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Largest header list of a Check itself; the caller's headers are inside the message.
const MAX_HEADER_LIST: u32 = 8 * 1024;
/// Requests that a client opened and gave up before they were looked at, before its connection is closed.
const MAX_RESET: usize = 64;
/// Largest Check message: headers of 60 KiB and a body of 64 KiB in both its fields, with room.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// Largest message of a health check: it names one service.
const MAX_HEALTH_MESSAGE: usize = 1024;
/// How long a connection may be silent before it is asked, and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);
/// Time for a whole Check, its message included: one that is sent drop by drop ends here. Longer than any
/// decision's deadline.
const CHECK_WITHIN: Duration = Duration::from_secs(12);
/// By how many decisions another worker's queue must be shorter for a decision to go there: fewer, and threads
/// would wake each other for nothing.
const SHORTER_BY: usize = 3;

/// How long requests in flight have to end, once no new ones come; and the threads, once theirs were cut.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
const THREADS_WITHIN: Duration = Duration::from_secs(1);
/// [`Workers::finish`] takes no longer.
pub(crate) const WORKERS_WITHIN: Duration = FINISH_WITHIN.saturating_add(THREADS_WITHIN);

/// Why a worker does not start, or ended.
#[derive(Debug, Error)]
pub enum WorkerError {
    /// No runtime, or no thread.
    #[error("a worker cannot be started: {0}")]
    Start(#[from] std::io::Error),
    /// The gRPC transport.
    #[error("gRPC: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// A worker's thread ended without saying why.
    #[error("a worker ended unexpectedly")]
    Gone,
}

/// Where decisions are made: the queues of all workers, as one of them sees them.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    desks: Arc<[Desk]>,
    own: usize,
}

/// A worker, for those who have a decision for it.
#[derive(Debug)]
struct Desk {
    queue: Arc<Queue>,
    runtime: tokio::runtime::Handle,
    /// Nobody works there any more.
    left: AtomicBool,
}

/// Whoever works at a desk. Gone, by a panic too, it says that the desk was left.
struct AtDesk<'a>(&'a Desk);

impl Drop for AtDesk<'_> {
    fn drop(&mut self) {
        self.0.left.store(true, Ordering::Relaxed);
    }
}

/// A decision's place in one worker's queue, and when its answer is due.
#[derive(Debug)]
pub(crate) struct Seat {
    worker: usize,
    place: Place,
    by: tokio::time::Instant,
}

impl Desk {
    fn new(runtime: tokio::runtime::Handle) -> Self {
        Self { queue: Queue::new(), runtime, left: AtomicBool::new(false) }
    }
}

impl Floor {
    /// A seat in the shorter queue.
    ///
    /// # Errors
    /// [`Overload`] if no queue will come to it within `patience`.
    pub(crate) fn seat(&self, patience: Duration, by: tokio::time::Instant) -> Result<Seat, Overload> {
        let (worker, desk) = self.choose().ok_or(Overload)?;
        Ok(Seat { worker, place: desk.queue.enter(patience)?, by })
    }

    /// Answers where the seat is.
    ///
    /// # Errors
    /// If that worker ended meanwhile: no decision, but an error to Envoy, which denies.
    pub(crate) async fn answer<F, A>(&self, seat: Seat, answer: F) -> Result<CheckResponse, Status>
    where
        F: FnOnce(Place, tokio::time::Instant) -> A,
        A: Future<Output = CheckResponse> + Send + 'static,
    {
        let Seat { worker, place, by } = seat;
        let answer = answer(place, by);
        match self.desks.get(worker).filter(|_| worker != self.own) {
            None => Ok(answer.await),
            Some(desk) => {
                let elsewhere = AbortOnDropHandle::new(desk.runtime.spawn(answer));
                elsewhere.await.or(Err(Status::internal("the decision was cut off")))
            }
        }
    }

    /// The own desk, unless another has clearly less to do.
    fn choose(&self) -> Option<(usize, &Desk)> {
        let own = self.desks.get(self.own)?;
        let others = self.desks.iter().enumerate();
        // A queue that nobody comes to would look like the shortest.
        let others = others.filter(|(index, desk)| *index != self.own && !desk.left.load(Ordering::Relaxed));
        let shortest = others.map(|(index, desk)| (desk.queue.length(), index, desk)).min_by_key(|it| it.0);
        match shortest {
            Some((length, index, desk)) if length.saturating_add(SHORTER_BY) <= own.queue.length() => {
                Some((index, desk))
            }
            Some(_) | None => Some((self.own, own)),
        }
    }
}

/// How many connections were closed before anything was asked, since the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct TurnedAway(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    beyond: AtomicU64,
    strangers: AtomicU64,
    names: AtomicU64,
    handshakes: AtomicU64,
}

impl TurnedAway {
    /// Beyond the bound, or because a worker did not take them.
    pub(crate) fn total(&self) -> u64 {
        self.0.beyond.load(Ordering::Relaxed)
    }

    /// From users that may not connect.
    pub(crate) fn strangers(&self) -> u64 {
        self.0.strangers.load(Ordering::Relaxed)
    }

    /// Whose certificate is trusted, and has none of the names that may ask.
    pub(crate) fn names(&self) -> u64 {
        self.0.names.load(Ordering::Relaxed)
    }

    /// Whose handshake failed for any other reason.
    pub(crate) fn handshakes(&self) -> u64 {
        self.0.handshakes.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.0.beyond.fetch_add(1, Ordering::Relaxed);
    }

    fn count_stranger(&self) {
        self.0.strangers.fetch_add(1, Ordering::Relaxed);
    }

    fn count_name(&self) {
        self.0.names.fetch_add(1, Ordering::Relaxed);
    }

    fn count_handshake(&self) {
        self.0.handshakes.fetch_add(1, Ordering::Relaxed);
    }
}

/// Where new connections go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Intake {
    slots: Arc<[Slot]>,
    turned_away: TurnedAway,
}

#[derive(Debug)]
struct Slot {
    connections: mpsc::Sender<(Accepted, Open)>,
    open: Arc<AtomicUsize>,
    queue: Arc<Queue>,
}

/// How much all workers have to do.
#[derive(Debug, Clone)]
pub(crate) struct Load(Arc<[(Arc<AtomicUsize>, Arc<Queue>)]>);

impl Load {
    /// Connections that are open.
    pub(crate) fn connections(&self) -> usize {
        self.0.iter().map(|(open, _)| open.load(Ordering::Relaxed)).fold(0, usize::saturating_add)
    }

    /// Decisions that wait or are under way.
    pub(crate) fn decisions(&self) -> usize {
        self.0.iter().map(|(_, queue)| queue.length()).fold(0, usize::saturating_add)
    }

    /// Decisions that were asked for since the start, those that were refused a place too.
    pub(crate) fn asked(&self) -> u64 {
        self.0.iter().map(|(_, queue)| queue.asked()).fold(0, u64::saturating_add)
    }
}

impl Intake {
    /// Gives the connection to the worker that has the fewest.
    fn place(&self, connection: Accepted) {
        let open = |slot: &Slot| slot.open.load(Ordering::Relaxed);
        let all = self.slots.iter().map(open).fold(0, usize::saturating_add);
        // A worker that broke has none open.
        let taking = self.slots.iter().filter(|slot| !slot.connections.is_closed());
        let emptiest = taking.min_by_key(|slot| open(slot));
        let Some(slot) = emptiest.filter(|_| all < MAX_CONNECTIONS) else {
            self.turned_away.count();
            return;
        };
        // A worker that is gone, or does not keep up with accepting, takes no more; the client sees it closed.
        if slot.connections.try_send((connection, Open::count(&slot.open))).is_err() {
            self.turned_away.count();
        }
    }

    pub(crate) fn turned_away(&self) -> TurnedAway {
        self.turned_away.clone()
    }

    pub(crate) fn load(&self) -> Load {
        Load(self.slots.iter().map(|slot| (Arc::clone(&slot.open), Arc::clone(&slot.queue))).collect())
    }
}

/// The running workers.
#[derive(Debug)]
pub(crate) struct Workers {
    intake: Intake,
    /// Take nothing new, finish what you have.
    drain: CancellationToken,
    /// End, whatever is open.
    end: CancellationToken,
    /// How each worker's transport ended; closed once all have said so.
    served: mpsc::Receiver<Result<(), WorkerError>>,
    gone: Vec<oneshot::Receiver<Infallible>>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// If the system has no thread or no descriptors for one.
    pub(crate) fn start<H: Health>(
        count: usize,
        service: &Service,
        outcomes: &Outcomes,
        health: &HealthServer<H>,
    ) -> Result<Self, WorkerError> {
        let runtimes =
            (0..count.max(1)).map(|_| tokio::runtime::Builder::new_current_thread().enable_all().build());
        let runtimes = runtimes.collect::<Result<Vec<Runtime>, _>>()?;
        let desks: Arc<[Desk]> = runtimes.iter().map(|runtime| Desk::new(runtime.handle().clone())).collect();
        let (drain, end) = (CancellationToken::new(), CancellationToken::new());
        let (tell_served, served) = mpsc::channel(desks.len());
        let (mut slots, mut gone) = (Vec::new(), Vec::new());
        for ((own, runtime), desk) in runtimes.into_iter().enumerate().zip(desks.iter()) {
            let (connections, incoming) = mpsc::channel(MAX_CONNECTIONS);
            slots.push(Slot { connections, open: Arc::default(), queue: Arc::clone(&desk.queue) });
            let (tell_gone, went) = oneshot::channel();
            gone.push(went);
            let floor = Floor { desks: Arc::clone(&desks), own };
            let worker = Worker {
                front: Front::new(service.clone(), floor.clone()),
                floor,
                outcomes: outcomes.of_worker(),
                health: health.clone(),
                incoming,
                drain: drain.clone(),
                end: end.clone(),
                served: Outcome { tell: tell_served.clone(), told: false },
            };
            std::thread::Builder::new().name(format!("exequatur-{own}")).spawn(move || {
                runtime.block_on(worker.run());
                drop(runtime);
                // That it is dropped is the message.
                drop(tell_gone);
            })?;
        }
        let intake = Intake { slots: slots.into(), turned_away: TurnedAway::default() };
        Ok(Self { intake, drain, end, served, gone })
    }

    pub(crate) fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// Lets the workers finish what they have, for at most 5 s, and ends them.
    ///
    /// # Errors
    /// If the transport failed in one of them, before or now.
    pub(crate) async fn finish(self) -> Result<(), WorkerError> {
        let Self { intake, drain, end, mut served, gone } = self;
        drop(intake);
        drain.cancel();
        let finished = async {
            let mut outcome = Ok(());
            while let Some(one) = served.recv().await {
                outcome = outcome.and(one);
            }
            outcome
        };
        let outcome = match tokio::time::timeout(FINISH_WITHIN, finished).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => {
                tracing::warn!("gRPC connections were still open and are cut");
                Ok(())
            }
        };
        end.cancel();
        let all_gone = async {
            for gone in gone {
                if let Ok(never) = gone.await {
                    match never {}
                }
            }
        };
        if tokio::time::timeout(THREADS_WITHIN, all_gone).await.is_err() {
            tracing::error!("a worker did not end in time");
        }
        outcome
    }

    /// Resolves when a worker has ended though nobody asked it to.
    pub(crate) async fn broken(&mut self) -> WorkerError {
        let error = match self.served.recv().await {
            Some(Err(error)) => error,
            Some(Ok(())) | None => WorkerError::Gone,
        };
        metrics::duty_lost("worker");
        tracing::error!(%error, "a worker broke; the server stops");
        error
    }
}

/// What runs in a worker's thread.
struct Worker<H: Health> {
    front: Front,
    floor: Floor,
    outcomes: Outcomes,
    health: HealthServer<H>,
    incoming: mpsc::Receiver<(Accepted, Open)>,
    drain: CancellationToken,
    end: CancellationToken,
    served: Outcome,
}

/// Tells how a worker's transport ended, a panic included.
struct Outcome {
    tell: mpsc::Sender<Result<(), WorkerError>>,
    told: bool,
}

impl Outcome {
    fn tell(mut self, outcome: Result<(), tonic::transport::Error>) {
        self.told = true;
        // There is room for every worker's outcome.
        drop(self.tell.try_send(outcome.map_err(WorkerError::from)));
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if !self.told {
            drop(self.tell.try_send(Err(WorkerError::Gone)));
        }
    }
}

impl<H: Health> Worker<H> {
    /// Serves until drained, then does what others hand over until told to end.
    async fn run(self) {
        let Self { front, floor, outcomes, health, incoming, drain, end, served } = self;
        let Some(desk) = floor.desks.get(floor.own) else { return };
        let _at_desk = AtDesk(desk);
        let work = async {
            let incoming =
                ReceiverStream::new(incoming).filter_map(|(accepted, open)| {
                    match Connection::new(accepted, open) {
                        Ok(connection) => Some(Ok::<_, std::io::Error>(connection)),
                        Err(error) => {
                            tracing::warn!(%error, "a gRPC connection could not be taken over");
                            None
                        }
                    }
                });
            let health = health.max_decoding_message_size(MAX_HEALTH_MESSAGE);
            let router = server()
                .add_service(Metered::new(health, Budget::of_health()))
                .add_service(AccessLogs::new(outcomes, drain.clone()))
                .add_service(Metered::new(Endpoint::new(front), Budget::of_checks()));
            let outcome = router.serve_with_incoming_shutdown(incoming, drain.cancelled_owned()).await;
            served.tell(outcome);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = work => {}
            () = desk.queue.grant_turns() => {}
            () = end.cancelled() => {}
        }
    }
}

fn server() -> Server {
    Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_WITHIN))
        .timeout(CHECK_WITHIN)
}

#[cfg(test)]
mod tests;

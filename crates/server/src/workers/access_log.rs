//! The stream in which Envoy reports what came of requests. Its messages are read one by one as they come; the answer is
//! begun at once, and is ended when the stream is, by Envoy, by a breach of the bounds, or when this replica stops.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use exequatur_proto::envoy::service::accesslog::v3::access_log_service_server::SERVICE_NAME;
use http_body::Frame;
use prost::bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderName};
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{Body as HttpBody, Service};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::budget::{Budget, Held, Spent};
use super::metered::{EMPTY, PREFIX, no_room};
use super::{CHECK_WITHIN, MAX_MESSAGE};
use crate::metrics;
use crate::outcomes::{OpenStream, Outcomes};

const METHOD: &str = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";
/// Pieces that are read before others have their turn: one sender of many small ones keeps nobody waiting.
const AT_ONCE: usize = 32;
/// How long a stream that reports too much is not read. Short, since what it has sent meanwhile takes room in the window of a
/// connection on which Envoy asks too.
const PAUSE: Duration = Duration::from_millis(20);
/// When this replica stops, a stream is ended after so long a silence: Envoy reports each second.
const QUIET: Duration = Duration::from_millis(1500);
/// And after so long at the latest, within the time that a drain has.
const LINGER: Duration = Duration::from_secs(4);

/// Envoy's access-log service. The generated one would decode what is not known yet to have an end.
#[derive(Debug, Clone)]
pub(super) struct AccessLogs {
    outcomes: Outcomes,
    budget: Budget,
    drain: CancellationToken,
}

impl AccessLogs {
    pub(super) fn new(outcomes: Outcomes, drain: CancellationToken) -> Self {
        Self { outcomes, budget: Budget::of_reports(), drain }
    }

    fn answer(&self, request: Request<Body>) -> Response<Body> {
        if request.uri().path() != METHOD {
            return Status::unimplemented("there is only StreamAccessLogs").into_http();
        }
        let Ok(held) = self.budget.begin() else { return no_room() };
        let reports = Reports {
            body: request.into_body(),
            gathered: BytesMut::new(),
            held,
            outcomes: self.outcomes.clone(),
            overdue: None,
            pause: None,
            drain: Drain::Waited(Box::pin(self.drain.clone().cancelled_owned())),
            end: End::NotYet,
            _open: self.outcomes.open(),
        };
        let mut response = Response::new(Body::new(reports));
        response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        response
    }
}

impl NamedService for AccessLogs {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Body>> for AccessLogs {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.answer(request);
        if let Some(code) = response.headers().get(Status::GRPC_STATUS) {
            metrics::failed(SERVICE_NAME, Code::from_bytes(code.as_bytes()));
        }
        ready(Ok(response))
    }
}

/// The answer, which reads the stream while it is waited for.
struct Reports {
    body: Body,
    /// A copy of what came and is no whole message yet.
    gathered: BytesMut,
    held: Held,
    outcomes: Outcomes,
    /// When a message that has begun is to be whole.
    overdue: Option<Pin<Box<Sleep>>>,
    /// Until when it is not read, for having reported too much.
    pause: Option<Pin<Box<Sleep>>>,
    drain: Drain,
    end: End,
    _open: OpenStream,
}

/// Whether this replica stops.
enum Drain {
    Waited(Pin<Box<WaitForCancellationFutureOwned>>),
    Begun { silent: Pin<Box<Sleep>>, latest: Instant },
}

/// What is still to be said.
enum End {
    NotYet,
    /// A message without fields, then the status.
    Whole,
    Status(Status),
    Said,
}

impl Reports {
    /// Reads until the stream is to be ended.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Status> {
        for _ in 0..AT_ONCE {
            if self.is_over(context) {
                return Poll::Ready(Status::ok(""));
            }
            if let Some(overdue) = &mut self.overdue
                && overdue.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(Status::deadline_exceeded("a message that does not end"));
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            let data = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(status)) => return Poll::Ready(status),
                None if self.gathered.is_empty() => return Poll::Ready(Status::ok("")),
                None => return Poll::Ready(Status::invalid_argument("half a message")),
            };
            if let Err(status) = self.take(&data) {
                return Poll::Ready(status);
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// # Errors
    /// What the stream is ended with.
    fn take(&mut self, data: &Bytes) -> Result<(), Status> {
        let spent = |Spent| Status::resource_exhausted("too much is waiting");
        self.held.grow(data.len()).map_err(spent)?;
        self.gathered.extend_from_slice(data);
        while let Some(message) = self.message()? {
            self.overdue = None;
            if !self.outcomes.take(message)? {
                self.pause = Some(Box::pin(sleep(PAUSE)));
            }
            self.drain.put_off();
        }
        self.held.shrink(self.gathered.len());
        if self.gathered.is_empty() {
            // Its room is not counted any more.
            self.gathered = BytesMut::new();
        } else if self.overdue.is_none() {
            self.overdue = Some(Box::pin(sleep(CHECK_WITHIN)));
        }
        Ok(())
    }

    /// The next message, if it is whole (gRPC over HTTP/2, "Length-Prefixed-Message").
    fn message(&mut self) -> Result<Option<Bytes>, Status> {
        let mut prefix = self.gathered.get(..PREFIX).unwrap_or_default();
        if prefix.is_empty() {
            return Ok(None);
        }
        if prefix.get_u8() != 0 {
            return Err(Status::unimplemented("messages are not compressed here"));
        }
        let length = usize::try_from(prefix.get_u32()).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE {
            return Err(Status::out_of_range("the message is too long"));
        }
        let whole = PREFIX.saturating_add(length);
        if self.gathered.len() < whole {
            return Ok(None);
        }
        let mut message = self.gathered.split_to(whole).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// Whether this replica stops, and has waited for what is under way.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        if let Drain::Waited(begun) = &mut self.drain
            && begun.as_mut().poll(context).is_ready()
        {
            let now = Instant::now();
            let latest = now.checked_add(LINGER).unwrap_or(now);
            self.drain = Drain::Begun { silent: Box::pin(sleep(QUIET)), latest };
        }
        match &mut self.drain {
            Drain::Waited(_) => false,
            Drain::Begun { silent, .. } => silent.as_mut().poll(context).is_ready(),
        }
    }
}

impl Drain {
    /// Something was reported: more may come.
    fn put_off(&mut self) {
        if let Self::Begun { silent, latest } = self {
            let now = Instant::now();
            let until = now.checked_add(QUIET).unwrap_or(now);
            *silent = Box::pin(sleep_until(until.min(*latest)));
        }
    }
}

impl HttpBody for Reports {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let End::NotYet = this.end {
            let status = ready!(this.poll_end(context));
            this.end = if status.code() == Code::Ok {
                End::Whole
            } else {
                metrics::failed(SERVICE_NAME, status.code());
                tracing::debug!(code = ?status.code(), "a stream of outcomes was ended");
                End::Status(status)
            };
        }
        match std::mem::replace(&mut this.end, End::Said) {
            End::NotYet | End::Said => Poll::Ready(None),
            End::Whole => {
                this.end = End::Status(Status::ok(""));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EMPTY)))))
            }
            End::Status(status) => Poll::Ready(Some(Ok(Frame::trailers(trailers(&status))))),
        }
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let code = HeaderValue::from(i32::from(status.code()));
    let mut trailers = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), code)]);
    // Our own words, which need no encoding.
    if let Ok(message) = HeaderValue::from_str(status.message()) {
        trailers.insert(HeaderName::from_static("grpc-message"), message);
    }
    trailers
}

#[cfg(test)]
mod tests;

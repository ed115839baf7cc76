//! A service that has a budget: it reads each message whole before it is looked at, and keeps count of what its requests
//! hold, from their first byte until their answer was taken.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::http::request::Parts;
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{Body as HttpBody, Bytes, Service};
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::MAX_MESSAGE;
use super::budget::{Budget, Held, Spent};
use crate::metrics;

/// A message's length in front of it, and whether it is compressed (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(super) const PREFIX: usize = 5;
/// A message without fields.
pub(super) const EMPTY: &[u8] = &[0; PREFIX];

/// Among a request's extensions: there was no room for its message, so it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoRoom;

/// `S` within a budget.
#[derive(Debug, Clone)]
pub(super) struct Metered<S> {
    inner: S,
    budget: Budget,
}

impl<S> Metered<S> {
    pub(super) fn new(inner: S, budget: Budget) -> Self {
        Self { inner, budget }
    }
}

impl<S: NamedService> NamedService for Metered<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Whole>, Response = Response<Body>, Error = Infallible> + NamedService + Clone + Unpin,
    S::Future: Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering<S>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Answering<S> {
        let (parts, body) = request.into_parts();
        let reading = Reading { parts, body, only: None, gathered: Vec::new(), service: self.inner.clone() };
        let (begun, held) = match self.budget.begin() {
            Ok(held) => (true, Some(held)),
            Err(Spent) => (false, self.budget.refuse().ok()),
        };
        let in_words = self.budget.refuses_in_words();
        Answering { begun, in_words, held, reading: Some(reading), answering: None }
    }
}

/// An answer to come.
pub(super) struct Answering<S: Service<Request<Whole>>> {
    /// Whether there was room to begin with its message.
    begun: bool,
    /// Whether the service has words for what finds no room, and is to be asked for them.
    in_words: bool,
    /// Nothing if there is no room even for a refusal with words.
    held: Option<Held>,
    reading: Option<Reading<S>>,
    answering: Option<S::Future>,
}

/// A request whose message is not whole yet.
struct Reading<S> {
    parts: Parts,
    body: Body,
    /// The first piece, as long as no other came and nothing was waited for: most messages are one piece.
    only: Option<Bytes>,
    /// A copy of what came else. A piece itself may hold on to much more memory than its length.
    gathered: Vec<u8>,
    service: S,
}

/// Why a message is not read to its end.
enum Unread {
    NoRoom,
    Failed(Status),
}

impl From<Spent> for Unread {
    fn from(Spent: Spent) -> Self {
        Self::NoRoom
    }
}

impl<S> Reading<S> {
    fn poll(&mut self, held: &mut Held, context: &mut Context<'_>) -> Poll<Result<Bytes, Unread>> {
        loop {
            let Poll::Ready(next) = Pin::new(&mut self.body).poll_frame(context) else {
                self.gather();
                return Poll::Pending;
            };
            let data = match next.transpose().map_err(Unread::Failed)?.map(Frame::into_data) {
                Some(Ok(data)) => data,
                // A request's trailers mean nothing.
                Some(Err(_trailers)) => continue,
                None => return Poll::Ready(Ok(self.take())),
            };
            held.grow(data.len())?;
            if held.message() > MAX_MESSAGE.saturating_add(PREFIX) {
                return Poll::Ready(Err(Unread::Failed(Status::out_of_range("the message is too long"))));
            }
            if self.only.is_none() && self.gathered.is_empty() {
                self.only = Some(data);
            } else {
                self.gather();
                self.gathered.extend_from_slice(&data);
            }
        }
    }

    fn gather(&mut self) {
        if let Some(piece) = self.only.take() {
            self.gathered.extend_from_slice(&piece);
        }
    }

    fn take(&mut self) -> Bytes {
        self.only.take().unwrap_or_else(|| std::mem::take(&mut self.gathered).into())
    }
}

impl<S> Future for Answering<S>
where
    S: Service<Request<Whole>, Response = Response<Body>, Error = Infallible> + NamedService + Unpin,
    S::Future: Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(response) = ready!(self.get_mut().poll_response(context));
        // What ends without a message has its status among the headers.
        if let Some(code) = response.headers().get(Status::GRPC_STATUS) {
            metrics::failed(S::NAME, Code::from_bytes(code.as_bytes()));
        }
        Poll::Ready(Ok(response))
    }
}

impl<S> Answering<S>
where
    S: Service<Request<Whole>, Response = Response<Body>, Error = Infallible> + Unpin,
    S::Future: Unpin,
{
    fn poll_response(&mut self, context: &mut Context<'_>) -> Poll<Result<Response<Body>, Infallible>> {
        if let Some(reading) = &mut self.reading {
            let read = match &mut self.held {
                Some(held) if self.begun => ready!(reading.poll(held, context)),
                Some(_) | None => Err(Unread::NoRoom),
            };
            let Some(Reading { mut parts, service: mut inner, .. }) = self.reading.take() else {
                return Poll::Pending;
            };
            let message = match read {
                Ok(message) => message,
                Err(Unread::NoRoom) if !self.in_words => return Poll::Ready(Ok(no_room())),
                Err(Unread::NoRoom) => {
                    parts.extensions.insert(NoRoom);
                    Bytes::from_static(EMPTY)
                }
                Err(Unread::Failed(status)) => return Poll::Ready(Ok(status.into_http())),
            };
            self.answering = Some(inner.call(Request::from_parts(parts, Whole(Some(message)))));
        }
        let Some(answering) = &mut self.answering else { return Poll::Pending };
        let Ok(response) = ready!(Pin::new(answering).poll(context));
        let Some(held) = self.held.take() else {
            return Poll::Ready(Ok(no_room()));
        };
        Poll::Ready(Ok(response.map(|body| Body::new(Kept { body, _held: held }))))
    }
}

pub(super) fn no_room() -> Response<Body> {
    Status::resource_exhausted("too much is waiting").into_http()
}

/// A message that has come as a whole.
#[derive(Debug)]
pub(super) struct Whole(Option<Bytes>);

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|message| Ok(Frame::data(message))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}

/// An answer that counts until the client has taken it.
struct Kept {
    body: Body,
    _held: Held,
}

impl HttpBody for Kept {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;

//! The method that Envoy calls, over gRPC.

use std::convert::Infallible;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use exequatur_proto::envoy::service::auth::v3::CheckResponse;
use exequatur_proto::envoy::service::auth::v3::authorization_server::SERVICE_NAME;
use http_body::Frame;
use prost::Message as _;
use prost::bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::codegen::http::header::{CONTENT_TYPE, HeaderName};
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::codegen::{Body as HttpBody, BoxFuture, Service};
use tonic::metadata::GRPC_CONTENT_TYPE;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstEncoder;

use super::MAX_MESSAGE;
use super::metered::{NoRoom, PREFIX, Whole};
use super::{Overload, Seat};
use crate::service::Front;
use crate::wire::extract::Message;
use crate::wire::trace_state::Lineage;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Envoy's authorization service. The generated one would decode each message before it is known whether its turn comes.
#[derive(Debug, Clone)]
pub(super) struct Endpoint(Arc<Front>);

impl Endpoint {
    pub(super) fn new(front: Front) -> Self {
        Self(Arc::new(front))
    }
}

impl NamedService for Endpoint {
    const NAME: &'static str = SERVICE_NAME;
}

impl Service<Request<Whole>> for Endpoint {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Whole>) -> Self::Future {
        if request.uri().path() != CHECK {
            return Box::pin(ready(Ok(Status::unimplemented("there is only Check").into_http())));
        }
        let found_room = request.extensions().get::<NoRoom>().is_none();
        let seat = if found_room { self.0.seat(request.headers()) } else { Err(Overload) };
        let Ok(seat) = seat else {
            return Box::pin(ready(Ok(Refused::response(&self.0.turn_away()))));
        };
        let method = Check { front: Arc::clone(&self.0), seat: Some(seat) };
        Box::pin(async move {
            // The bound again, so that a length that lies reserves nothing. A second message, against the protocol, has to be
            // one too, and is not decoded.
            let mut grpc = Grpc::new(Coding).apply_max_message_size_config(Some(MAX_MESSAGE), None);
            Ok(grpc.unary(method, request).await)
        })
    }
}

struct Check {
    front: Arc<Front>,
    /// For the one call that there is.
    seat: Option<Seat>,
}

impl UnaryService<Message> for Check {
    type Response = CheckResponse;
    type Future = BoxFuture<tonic::Response<CheckResponse>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        let Some(seat) = self.seat.take() else {
            return Box::pin(ready(Err(Status::internal("a method is called once"))));
        };
        let front = Arc::clone(&self.front);
        Box::pin(async move {
            let (metadata, _, message) = request.into_parts();
            let asked_in = Lineage::of_call(metadata.as_ref());
            front.check(message, asked_in, seat).await.map(tonic::Response::new)
        })
    }
}

/// The answer to what has no seat: one message and its status, without what a call takes that may stream.
#[derive(Debug)]
struct Refused {
    message: Option<Bytes>,
    ended: bool,
}

impl Refused {
    /// Whatever cannot be said as it is becomes a bare status, which denies: an empty message would be a permit to Envoy.
    fn response(refusal: &CheckResponse) -> Response<Body> {
        let Some(message) = framed(refusal) else {
            return Status::internal("a refusal that cannot be encoded").into_http();
        };
        let mut response = Response::new(Body::new(Self { message: Some(message), ended: false }));
        response.headers_mut().insert(CONTENT_TYPE, GRPC_CONTENT_TYPE);
        response
    }
}

/// A message that is not empty, with its length before it.
fn framed(refusal: &CheckResponse) -> Option<Bytes> {
    let length = refusal.encoded_len();
    let said = u32::try_from(length).ok().filter(|length| *length > 0)?;
    let mut message = BytesMut::with_capacity(PREFIX.saturating_add(length));
    message.put_u8(0);
    message.put_u32(said);
    refusal.encode(&mut message).ok()?;
    Some(message.freeze())
}

impl HttpBody for Refused {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(message) = self.message.take() {
            return Poll::Ready(Some(Ok(Frame::data(message))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::from_iter([ok])))))
    }
}

/// Messages stay as they came; answers are encoded.
#[derive(Debug, Clone, Copy)]
struct Coding;

impl Codec for Coding {
    type Encode = CheckResponse;
    type Decode = Message;
    type Encoder = ProstEncoder<CheckResponse>;
    type Decoder = AsItCame;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> AsItCame {
        AsItCame
    }
}

#[derive(Debug, Clone, Copy)]
struct AsItCame;

impl Decoder for AsItCame {
    type Item = Message;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Message>, Status> {
        Ok(Some(Message::encoded(buffer.copy_to_bytes(buffer.remaining()))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use exequatur_proto::google::rpc;

    use super::*;

    /// A refusal is what any gRPC client reads as one message and an OK.
    #[tokio::test]
    async fn a_refusal_is_one_message_and_its_status() {
        let refusal = CheckResponse {
            status: Some(rpc::Status { code: 14, message: String::new() }),
            ..CheckResponse::default()
        };
        let response = Refused::response(&refusal);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let mut body = response.into_body();
        let mut frames = Vec::new();
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            frames.push(frame.unwrap());
        }
        let [message, trailers] = frames.as_slice() else { panic!("{frames:?}") };
        let message = message.data_ref().unwrap();
        let (prefix, message) = message.split_at(PREFIX);
        assert_eq!(prefix, [0, 0, 0, 0, u8::try_from(message.len()).unwrap()]);
        assert_eq!(CheckResponse::decode(message).unwrap(), refusal);
        assert_eq!(trailers.trailers_ref().unwrap()["grpc-status"], "0");
    }

    /// G0: to Envoy an empty message is a permit, so it is never sent for a refusal.
    #[test]
    fn an_empty_refusal_is_a_status() {
        let response = Refused::response(&CheckResponse::default());
        assert_eq!(response.headers()["grpc-status"], "13");
    }

    /// The name that Envoy calls it by.
    #[test]
    fn the_method_is_of_the_service() {
        assert_eq!(CHECK, format!("/{SERVICE_NAME}/Check"));
    }
}

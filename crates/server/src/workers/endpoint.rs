//! The method that Envoy calls, over gRPC.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use exequatur_proto::envoy::service::auth::v3::CheckResponse;
use exequatur_proto::envoy::service::auth::v3::authorization_server::SERVICE_NAME;
use prost::bytes::Buf as _;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::codegen::http::{Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstEncoder;

use super::metered::Whole;
use crate::service::Front;
use crate::wire::extract::Message;

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
        let method = Check(Arc::clone(&self.0));
        Box::pin(async move {
            // A second message, against the protocol, is neither decoded nor asked for.
            Ok(Grpc::new(Coding).unary(method, request).await)
        })
    }
}

struct Check(Arc<Front>);

impl UnaryService<Message> for Check {
    type Response = CheckResponse;
    type Future = BoxFuture<tonic::Response<CheckResponse>, Status>;

    fn call(&mut self, request: tonic::Request<Message>) -> Self::Future {
        let front = Arc::clone(&self.0);
        Box::pin(async move { front.check(request).await })
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
    use super::*;

    /// The name that Envoy calls it by.
    #[test]
    fn the_method_is_of_the_service() {
        assert_eq!(CHECK, format!("/{SERVICE_NAME}/Check"));
    }
}

//! In the place of Exequatur: a server that breaks off, or answers with anything but a decision.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use exequatur_proto::envoy::service::auth::v3::{
    CheckResponse, OkHttpResponse, check_response::HttpResponse,
};
use exequatur_proto::google::rpc::Status;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What it does with each Check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The connection is closed before a word of HTTP.
    Closed,
    /// An answer of HTTP/1.1, status 200.
    Http1,
    /// `RST_STREAM` in place of an answer.
    Reset(Reason),
    /// GOAWAY, and the connection is closed.
    GoAway,
    /// A head with status 200, and `RST_STREAM` behind it.
    HeadThenReset,
    /// A whole permit, and `RST_STREAM` in place of its trailers.
    PermitThenReset,
    /// A message of bytes that are no protobuf.
    Garbage,
    /// Bytes without the length that gRPC puts before a message.
    Unframed,
    /// The beginning of a message that is announced to be longer.
    Truncated,
    /// A permit that is said to be compressed, and is not.
    Compressed,
    /// `grpc-status: 0` without a message.
    Nothing,
    /// This `grpc-status` behind a permit.
    PermitWithStatus(&'static str),
    /// This status of HTTP with a permit behind it.
    PermitWithHttp(u16),
    /// A decision without anything in it: a message of no bytes.
    Empty,
    /// A permit.
    Permit,
}

/// The server; its connections end when it is dropped.
#[derive(Debug)]
pub struct HostileService {
    asked: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl HostileService {
    /// Listens on this port of the loopback.
    ///
    /// # Errors
    /// When somebody else does.
    pub async fn start(port: u16, says: Says) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            // Dropped with the task: no connection outlives it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, says, Arc::clone(&counted)));
            }
        });
        Ok(Self { asked, server })
    }

    /// How many Checks (or connections, if none gets so far) it has answered in its way.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Ends it, and waits until the port is free.
    pub async fn stop(mut self) {
        self.server.abort();
        // Aborted: that is no news.
        let _aborted = (&mut self.server).await;
    }
}

impl Drop for HostileService {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A broken connection is what this is for.
async fn serve(mut stream: TcpStream, says: Says, asked: Arc<AtomicUsize>) -> Option<()> {
    match says {
        Says::Closed => {
            asked.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Says::Http1 => {
            asked.fetch_add(1, Ordering::Relaxed);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 0\r\ncontent-length: 0\r\n\r\n";
            return stream.write_all(answer).await.ok();
        }
        _ => {}
    }
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(request) = connection.accept().await {
        let (request, respond) = request.ok()?;
        asked.fetch_add(1, Ordering::Relaxed);
        if says == Says::GoAway {
            connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
            continue;
        }
        tokio::spawn(answer(request, respond, says));
    }
    Some(())
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    says: Says,
) -> Result<(), h2::Error> {
    // All of it, as a service would.
    let mut body = request.into_body();
    while let Some(bytes) = body.data().await {
        body.flow_control().release_capacity(bytes?.len())?;
    }
    if let Says::Reset(reason) = says {
        respond.send_reset(reason);
        return Ok(());
    }
    let status = if let Says::PermitWithHttp(status) = says { status } else { 200 };
    let head = Response::builder().status(status).header("content-type", "application/grpc").body(());
    let mut stream = respond.send_response(head.expect("this is a head"), false)?;
    let bytes = match says {
        Says::HeadThenReset => {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        Says::Nothing => Vec::new(),
        Says::Empty => framed(0, &[]),
        Says::Garbage => framed(0, &[0xff; 64]),
        Says::Unframed => b"<html>this is somebody else</html>".to_vec(),
        Says::Truncated => framed(0, &permit())[..12].to_vec(),
        Says::Compressed => framed(1, &permit()),
        _ => framed(0, &permit()),
    };
    stream.send_data(bytes.into(), false)?;
    if says == Says::PermitThenReset {
        stream.send_reset(Reason::INTERNAL_ERROR);
        return Ok(());
    }
    let status = if let Says::PermitWithStatus(status) = says { status } else { "0" };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().expect("this is a value"));
    stream.send_trailers(trailers)
}

fn permit() -> Vec<u8> {
    let status = Some(Status { code: 0, message: "a permit of a service that is none".to_owned() });
    let http_response = Some(HttpResponse::OkResponse(OkHttpResponse::default()));
    CheckResponse { status, http_response, ..CheckResponse::default() }.encode_to_vec()
}

/// As gRPC has it over HTTP/2: whether it is compressed, its length, the message.
fn framed(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    [&[compressed][..], &length, message].concat()
}

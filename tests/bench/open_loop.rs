//! An open loop: requests come at their rate, whether or not earlier ones are answered. It has to cost little beside
//! what is measured, so messages are encoded before, and of a permit only the first bytes are read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut as _, Bytes, BytesMut};
use exequatur_proto::envoy::service::auth::v3::check_response::HttpResponse;
use exequatur_proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use h2::client::SendRequest;
use prost::Message as _;
use tokio::net::TcpStream;

use crate::load::{End, Outcome, sum_up};

/// What a client may be sent ahead, for one answer and for one connection.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The length of gRPC's prefix: whether the message is compressed, and its length.
const PREFIX: usize = 5;
/// How a permit begins: its status, whose code is that of OK and therefore absent.
const PERMIT: [u8; 2] = [0x0a, 0];

/// Connections to `port` of the loopback.
pub(crate) async fn connect(port: u16, connections: usize) -> Result<Vec<SendRequest<Bytes>>, String> {
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
        clients.push(client);
    }
    Ok(clients)
}

/// The messages as they are sent.
pub(crate) fn framed(requests: &[CheckRequest]) -> Vec<Bytes> {
    let frame = |request: &CheckRequest| {
        let length = request.encoded_len();
        let mut frame = BytesMut::with_capacity(PREFIX + length);
        frame.put_u8(0);
        frame.put_u32(u32::try_from(length).expect("a Check is small"));
        request.encode(&mut frame).expect("there is room");
        frame.freeze()
    };
    requests.iter().map(frame).collect()
}

/// Each message once, `rate` of them a second.
pub(crate) async fn open(clients: &[SendRequest<Bytes>], frames: Arc<Vec<Bytes>>, rate: f64) -> Outcome {
    let begun = Instant::now();
    let mut asked = Vec::with_capacity(frames.len());
    while asked.len() < frames.len() {
        let due = (begun.elapsed().as_secs_f64() * rate) as usize;
        while asked.len() < due.min(frames.len()) {
            let number = asked.len();
            let (client, frame) = (clients[number % clients.len()].clone(), frames[number].clone());
            asked.push(tokio::spawn(async move {
                let begun = Instant::now();
                let end = ask(client, frame).await.unwrap_or(End::Other);
                (end, begun.elapsed())
            }));
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    let sending = begun.elapsed();
    let mut ends = Vec::new();
    for one in asked {
        ends.push(one.await.expect("the load does not panic"));
    }
    sum_up(ends, sending)
}

async fn ask(client: SendRequest<Bytes>, frame: Bytes) -> Result<End, h2::Error> {
    let request = http::Request::post("http://127.0.0.1/envoy.service.auth.v3.Authorization/Check")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("a request");
    let (response, mut message) = client.ready().await?.send_request(request, false)?;
    message.send_data(frame, true)?;
    let mut body = response.await?.into_body();
    let mut answer = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        answer.extend_from_slice(&part);
    }
    Ok(end_of(answer.get(PREFIX..).unwrap_or_default()))
}

fn end_of(message: &[u8]) -> End {
    if message.starts_with(&PERMIT) {
        return End::Permitted;
    }
    match CheckResponse::decode(message).map(|answer| answer.http_response) {
        Ok(Some(HttpResponse::DeniedResponse(denied)))
            if denied.status.is_some_and(|status| status.code == 503) =>
        {
            End::Shed
        }
        _ => End::Other,
    }
}

//! One exchange over HTTP/2 (RFC 9113), on stream 1 of a connection of its own.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Body, Raw, RawAnswer, hpack};
use crate::tls::Connection;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest payload of a frame that every peer takes.
const MAX_FRAME: usize = 16_384;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) async fn exchange(mut connection: Connection, request: &Raw) -> Result<RawAnswer, String> {
    // The other side may answer, and close, before it has read everything: then the answer is what counts.
    let _written = connection.write_all(&encode(request)).await.and(connection.flush().await);
    let mut answer = RawAnswer::default();
    let (mut body, mut block) = (Vec::new(), Vec::new());
    let mut ended = false;
    loop {
        let Ok(Frame { kind, flags, stream, payload }) = Frame::read(&mut connection).await else {
            return finished(answer, &body);
        };
        match (kind, stream) {
            (SETTINGS, 0) if flags & ACK == 0 => {
                let acknowledged = frame(SETTINGS, ACK, 0, &[]);
                if connection.write_all(&acknowledged).await.and(connection.flush().await).is_err() {
                    return finished(answer, &body);
                }
            }
            (HEADERS | CONTINUATION, 1) => {
                block.extend(payload);
                ended |= kind == HEADERS && flags & END_STREAM != 0;
                if flags & END_HEADERS != 0 {
                    take_head(&mut answer, &std::mem::take(&mut block))?;
                }
            }
            (DATA, 1) => {
                body.extend(payload);
                ended |= flags & END_STREAM != 0;
            }
            (RST_STREAM, 1) => return finished(answer, &body),
            (GOAWAY, 0) if answer.status == 0 => return finished(answer, &body),
            _ => {}
        }
        if ended && block.is_empty() {
            return finished(answer, &body);
        }
    }
}

fn finished(mut answer: RawAnswer, body: &[u8]) -> Result<RawAnswer, String> {
    answer.body = String::from_utf8_lossy(body).into_owned();
    Ok(answer)
}

fn take_head(answer: &mut RawAnswer, block: &[u8]) -> Result<(), String> {
    // Trailers have no status.
    match hpack::status(block) {
        Some(100) => answer.interim.push(100),
        Some(status) => answer.status = status,
        None if answer.status != 0 => {}
        None => return Err(format!("no status in {block:x?}")),
    }
    Ok(())
}

fn encode(request: &Raw) -> Vec<u8> {
    // No dynamic table: SETTINGS_HEADER_TABLE_SIZE 0.
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0])].concat();
    let mut block = Vec::new();
    hpack::encode(b":method", &request.method, &mut block);
    // The scheme is what the client claims: it is compared with nothing (N04).
    hpack::encode(b":scheme", b"https", &mut block);
    if let Some(authority) = &request.authority {
        hpack::encode(b":authority", authority, &mut block);
    }
    if !request.target.is_empty() {
        hpack::encode(b":path", &request.target, &mut block);
    }
    if let Some(protocol) = &request.protocol {
        hpack::encode(b":protocol", protocol, &mut block);
    }
    for (name, value) in &request.fields {
        hpack::encode(name, value, &mut block);
    }
    let last = matches!(request.body, Body::None) && request.method != b"CONNECT";
    bytes.extend(head(&block, last));
    match &request.body {
        Body::None => {}
        Body::Bytes(body) => {
            let mut rest = body.chunks(MAX_FRAME).peekable();
            while let Some(piece) = rest.next() {
                let flags = if rest.peek().is_none() { END_STREAM } else { 0 };
                bytes.extend(frame(DATA, flags, 1, piece));
            }
        }
        Body::Pieces(pieces, trailers) => {
            for piece in pieces {
                bytes.extend(frame(DATA, 0, 1, piece));
            }
            if trailers.is_empty() {
                bytes.extend(frame(DATA, END_STREAM, 1, &[]));
            } else {
                let mut block = Vec::new();
                trailers.iter().for_each(|(name, value)| hpack::encode(name, value, &mut block));
                bytes.extend(head(&block, true));
            }
        }
    }
    bytes
}

fn head(block: &[u8], last: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pieces = block.chunks(MAX_FRAME).peekable();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let end_headers = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let end_stream = if last && kind == HEADERS { END_STREAM } else { 0 };
        bytes.extend(frame(kind, end_headers | end_stream, 1, piece));
        kind = CONTINUATION;
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    async fn read(connection: &mut Connection) -> std::io::Result<Self> {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
        connection.read_exact(&mut payload).await?;
        Ok(Self { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }
}

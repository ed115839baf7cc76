//! A client of HTTP/2 that keeps to no rule: frames as bytes, to the gRPC listener.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::raw::hpack;

/// RFC 9113 §3.4.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest payload of a frame that every peer takes.
pub const MAX_FRAME: usize = 16_384;
/// Flags of HEADERS, DATA and CONTINUATION.
pub const END_STREAM: u8 = 1;
/// See [`END_STREAM`].
pub const END_HEADERS: u8 = 4;

/// Types of frames (RFC 9113 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DATA
    Data = 0,
    /// HEADERS
    Headers = 1,
    /// `RST_STREAM`
    ResetStream = 3,
    /// SETTINGS
    Settings = 4,
    /// PING
    Ping = 6,
    /// GOAWAY
    GoAway = 7,
    /// `WINDOW_UPDATE`
    WindowUpdate = 8,
    /// CONTINUATION
    Continuation = 9,
}

/// A frame as bytes.
#[must_use]
pub fn frame(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &[kind as u8, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a Check.
#[must_use]
pub fn check_block() -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/envoy.service.auth.v3.Authorization/Check"),
        (":authority", "exequatur"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        hpack::encode(name.as_bytes(), value.as_bytes(), &mut block);
    }
    block
}

/// A header field as a literal, for a header block.
pub fn field(name: &str, value: &[u8], block: &mut Vec<u8>) {
    hpack::encode(name.as_bytes(), value, block);
}

/// A frame that came.
#[derive(Clone, Debug)]
pub struct Received {
    kind: u8,
    flags: u8,
    /// 0 for the connection.
    pub stream: u32,
    payload: Vec<u8>,
}

impl Received {
    /// Whether it is of this type.
    #[must_use]
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind as u8
    }

    /// Whether it ends its stream.
    #[must_use]
    pub fn ends(&self) -> bool {
        self.flags & END_STREAM != 0
    }

    /// `:status` of the head of an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        hpack::status(&self.payload)
    }
}

/// A connection to `port` of the loopback.
#[derive(Debug)]
pub struct Frames(TcpStream);

impl Frames {
    /// Says nothing yet.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn silent(port: u16) -> std::io::Result<Self> {
        TcpStream::connect(("127.0.0.1", port)).await.map(Self)
    }

    /// With the preface and empty settings.
    ///
    /// # Errors
    /// When nobody listens there, or the connection is closed at once.
    pub async fn open(port: u16) -> std::io::Result<Self> {
        let mut frames = Self::silent(port).await?;
        frames.write(PREFACE).await?;
        frames.write(&frame(Kind::Settings, 0, 0, &[])).await?;
        Ok(frames)
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Received> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).ok()?];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Received { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }

    /// Reads until the other side closes the connection.
    pub async fn closed(&mut self) {
        let mut bytes = [0; 4096];
        while self.0.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    }
}

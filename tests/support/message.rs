//! HTTP/1.1 messages, read without changing a byte.

use tokio::io::{AsyncRead, AsyncReadExt as _};

const HEAD_END: &[u8] = b"\r\n\r\n";
/// Longest head or body that is read.
const MAX_BYTES: usize = 1 << 22;

/// First line and fields.
#[derive(Clone, Debug)]
pub struct Head {
    /// Request line or status line.
    pub first: Vec<u8>,
    /// Names as they came, values without the white space around them.
    pub fields: Vec<(String, Vec<u8>)>,
}

/// What a message without `content-length` and `transfer-encoding` means.
#[derive(Clone, Copy, Debug)]
pub enum Unframed {
    /// No body: a request.
    Empty,
    /// All up to the end of the connection: an answer.
    UntilEnd,
}

/// Fields behind a body, or before one.
pub type Fields = Vec<(String, Vec<u8>)>;

/// Each value of a field, in order; bytes that are not UTF-8 as U+FFFD.
#[must_use]
pub fn values(fields: &[(String, Vec<u8>)], name: &str) -> Vec<String> {
    fields
        .iter()
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// Reads messages from a connection.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Reader<S> {
    /// Reads from `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// To write to.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// What is left after the messages that were read.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The next head; `None` at the end of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or ends within the head.
    pub async fn head(&mut self) -> std::io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.buffer, HEAD_END) {
                break end;
            }
            if !self.more().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(broken("the head is not whole")) };
            }
        };
        let head = self.take(end + HEAD_END.len());
        let mut lines = split_lines(&head[..end]).into_iter();
        let first = lines.next().unwrap_or_default().to_vec();
        Ok(Some(Head { first, fields: lines.map(field).collect() }))
    }

    /// The body of a message with these fields, and its trailers.
    ///
    /// # Errors
    /// When the connection breaks, or the framing is wrong.
    pub async fn body(
        &mut self,
        fields: &[(String, Vec<u8>)],
        unframed: Unframed,
    ) -> std::io::Result<(Vec<u8>, Fields)> {
        if values(fields, "transfer-encoding").iter().any(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.chunks().await;
        }
        if let Some(length) = values(fields, "content-length").first() {
            let length = length.parse().map_err(|_| broken("a content-length that is no number"))?;
            return Ok((self.exactly(length).await?, Vec::new()));
        }
        if matches!(unframed, Unframed::UntilEnd) {
            while self.more().await? {}
            return Ok((std::mem::take(&mut self.buffer), Vec::new()));
        }
        Ok((Vec::new(), Vec::new()))
    }

    async fn chunks(&mut self) -> std::io::Result<(Vec<u8>, Fields)> {
        let mut body = Vec::new();
        loop {
            let size = self.line().await?;
            let size = std::str::from_utf8(&size).ok().and_then(|size| {
                usize::from_str_radix(size.split(';').next().unwrap_or(size).trim(), 16).ok()
            });
            match size.ok_or_else(|| broken("a chunk without a size"))? {
                0 => break,
                size => {
                    body.extend(self.exactly(size).await?);
                    self.line().await?;
                }
            }
        }
        let mut trailers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok((body, trailers));
            }
            trailers.push(field(&line));
        }
    }

    async fn line(&mut self) -> std::io::Result<Vec<u8>> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let mut line = self.take(end + 2);
                line.truncate(end);
                return Ok(line);
            }
            if !self.more().await? {
                return Err(broken("a line is not whole"));
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await? {
                return Err(broken("the body is not whole"));
            }
        }
        Ok(self.take(length))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length);
        std::mem::replace(&mut self.buffer, rest)
    }

    async fn more(&mut self) -> std::io::Result<bool> {
        if self.buffer.len() > MAX_BYTES {
            return Err(broken("the message is too long"));
        }
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::other(what.to_owned())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn split_lines(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = find(bytes, b"\r\n") {
        lines.push(&bytes[..end]);
        bytes = &bytes[end + 2..];
    }
    lines.push(bytes);
    lines
}

fn field(line: &[u8]) -> (String, Vec<u8>) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default().trim_ascii().to_vec();
    (String::from_utf8_lossy(&line[..colon]).into_owned(), value)
}

//! A caller that writes its own bytes: requests that no client library would send, over HTTP/1.1 and HTTP/2.

pub(crate) mod hpack;
mod http1;
mod http2;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::message;
use crate::tls::{self, Shown};

/// Most exchanges at a time.
const AT_ONCE: usize = 16;
/// Bound on one exchange.
const WITHIN: Duration = Duration::from_secs(120);

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, negotiated over TLS, else by prior knowledge.
    Http2,
}

/// A request, byte for byte: nothing is added but what is named here.
#[derive(Clone, Debug)]
pub struct Raw {
    method: Vec<u8>,
    target: Vec<u8>,
    authority: Option<Vec<u8>>,
    protocol: Option<Vec<u8>>,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    body: Body,
}

/// How a body is sent.
#[derive(Clone, Debug, Default)]
enum Body {
    #[default]
    None,
    /// As it is, behind the fields that the test named.
    Bytes(Vec<u8>),
    /// Without a length: chunked over HTTP/1.1, a frame per piece over HTTP/2. Then the trailers.
    Pieces(Vec<Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>),
}

impl Raw {
    /// A request for `localhost` without fields.
    #[must_use]
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.as_bytes().to_vec(),
            target: target.as_ref().to_vec(),
            authority: Some(b"localhost".to_vec()),
            protocol: None,
            fields: Vec::new(),
            body: Body::None,
        }
    }

    /// With this `Host`, which is `:authority` over HTTP/2; with none if there is none.
    #[must_use]
    pub fn authority<'a>(mut self, authority: impl Into<Option<&'a str>>) -> Self {
        self.authority = authority.into().map(|authority| authority.as_bytes().to_vec());
        self
    }

    /// With `:protocol`, over HTTP/2: an extended CONNECT (RFC 8441).
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.as_bytes().to_vec());
        self
    }

    /// With one more field. Over HTTP/2 its name should be in lower case.
    #[must_use]
    pub fn with(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.as_ref().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// With the token and proof of a caller, under the scheme `DPoP`.
    #[must_use]
    pub fn proven(self, token: &str, proof: &str) -> Self {
        self.with("authorization", format!("DPoP {token}")).with("dpop", proof)
    }

    /// With this body and its length.
    #[must_use]
    pub fn sized(self, body: impl AsRef<[u8]>) -> Self {
        let length = body.as_ref().len().to_string();
        self.with("content-length", length).bytes(body)
    }

    /// With these bytes behind the head, and no field that announces them.
    #[must_use]
    pub fn bytes(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Body::Bytes(body.as_ref().to_vec());
        self
    }

    /// With a body without a length, in pieces.
    #[must_use]
    pub fn pieces(self, pieces: &[&[u8]]) -> Self {
        self.pieces_and_trailers(pieces, &[])
    }

    /// With a body without a length, in pieces, and fields behind it.
    #[must_use]
    pub fn pieces_and_trailers(mut self, pieces: &[&[u8]], trailers: &[(&str, &str)]) -> Self {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        let bytes = |text: &str| text.as_bytes().to_vec();
        let trailers = trailers.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        self.body = Body::Pieces(pieces, trailers);
        self
    }

    /// The method as text.
    #[must_use]
    pub fn method(&self) -> String {
        String::from_utf8_lossy(&self.method).into_owned()
    }

    /// The target as text.
    #[must_use]
    pub fn target(&self) -> String {
        String::from_utf8_lossy(&self.target).into_owned()
    }
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct RawAnswer {
    /// The last status; 0 if the connection or stream ended without one.
    pub status: u16,
    /// Statuses before it: 100.
    pub interim: Vec<u16>,
    /// Fields of the answer (HTTP/1.1 only).
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body, as text.
    pub body: String,
}

impl RawAnswer {
    /// `reason` of a problem document; empty if there is none.
    #[must_use]
    pub fn reason(&self) -> String {
        let problem = serde_json::from_str::<Value>(&self.body).ok();
        problem.and_then(|problem| Some(problem.get("reason")?.as_str()?.to_owned())).unwrap_or_default()
    }

    /// Each value of a field of the answer (HTTP/1.1 only).
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        message::values(&self.fields, name)
    }
}

/// Sends raw requests to one listener, each over a connection of its own.
#[derive(Clone, Debug)]
pub struct RawCaller {
    /// Which version it speaks.
    pub version: Version,
    pub(crate) port: u16,
    /// The folder with the authority of the listener, if it speaks TLS.
    pub(crate) tls: Option<PathBuf>,
    /// The certificate that is shown.
    pub(crate) shown: Option<Shown>,
}

impl RawCaller {
    /// The same, showing a client certificate.
    #[must_use]
    pub fn showing(mut self, shown: Shown) -> Self {
        self.shown = Some(shown);
        self
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the listener cannot be reached, or there is no end of the answer within a bounded time. A stream or
    /// connection that is closed without an answer is an answer with status 0.
    pub async fn send(&self, request: &Raw) -> Result<RawAnswer, String> {
        let exchange = async {
            match self.version {
                Version::Http1 => http1::exchange(self.connect().await?, &http1::encode(request)).await,
                Version::Http2 => http2::exchange(self.connect().await?, request).await,
            }
        };
        self.within(exchange, &request.target()).await
    }

    /// The same caller at another port of the loopback.
    #[must_use]
    pub fn at(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Sends them all, several at a time; the answers are in the order of the requests.
    ///
    /// # Errors
    /// As [`RawCaller::send`].
    pub async fn send_all(&self, requests: Vec<Raw>) -> Result<Vec<RawAnswer>, String> {
        let mut tasks = JoinSet::new();
        let mut answers = BTreeMap::new();
        for (number, request) in requests.into_iter().enumerate() {
            if tasks.len() == AT_ONCE
                && let Some(done) = tasks.join_next().await
            {
                let (number, answer) = done.map_err(|error| error.to_string())?;
                answers.insert(number, answer);
            }
            let caller = self.clone();
            tasks.spawn(async move { (number, caller.send(&request).await) });
        }
        for (number, answer) in tasks.join_all().await {
            answers.insert(number, answer);
        }
        answers.into_values().collect()
    }

    /// Sends these bytes over HTTP/1.1.
    ///
    /// # Errors
    /// As [`RawCaller::send`].
    pub async fn send_bytes(&self, bytes: &[u8]) -> Result<RawAnswer, String> {
        let exchange = async { http1::exchange(self.connect().await?, bytes).await };
        self.within(exchange, &String::from_utf8_lossy(bytes)).await
    }

    async fn within(
        &self,
        exchange: impl Future<Output = Result<RawAnswer, String>>,
        what: &str,
    ) -> Result<RawAnswer, String> {
        let answer = tokio::time::timeout(WITHIN, exchange).await;
        answer.map_err(|_elapsed| format!("{:?} {what}: no end of the answer", self.version))?
    }

    async fn connect(&self) -> Result<tls::Connection, String> {
        tls::connect(self.port, self.tls.as_deref(), self.version, self.shown.as_ref()).await
    }
}

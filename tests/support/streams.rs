//! A client of HTTP/2 that keeps to its rules and to no others: messages without an end, answers that are never taken.

use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::Request;
use prost::Message as _;
use prost::bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use exequatur_proto::envoy::service::auth::v3::CheckRequest;

/// A connection to the gRPC listener. Closed when it is dropped.
#[derive(Debug)]
pub struct Streams {
    send: SendRequest<Bytes>,
    _connection: JoinSet<()>,
}

/// A Check on its way.
#[derive(Debug)]
pub struct Asked {
    /// Its answer.
    pub answer: ResponseFuture,
    /// The rest of its message.
    pub rest: SendStream<Bytes>,
}

impl Asked {
    /// The status of the answer's head, or why there is none.
    ///
    /// # Errors
    /// When the stream or the connection was closed.
    pub async fn head(&mut self) -> Result<u16, Option<Reason>> {
        (&mut self.answer).await.map(|head| head.status().as_u16()).map_err(|error| error.reason())
    }
}

impl Streams {
    /// Connects to `port` of the loopback; answers may be so long before they are taken.
    ///
    /// # Errors
    /// When nobody listens there, or there are no settings.
    pub async fn open(port: u16, window: u32) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window).initial_max_send_streams(0);
        let handshake = builder.handshake::<_, Bytes>(stream).await;
        let (send, connection) = handshake.map_err(|error| error.to_string())?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("the connection ended: {error}");
            }
        });
        Ok(Self { send, _connection: tasks })
    }

    /// Begins a Check with these fields more, whose message is `bytes` so far.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn ask(
        &mut self,
        fields: &[(&str, &str)],
        bytes: Bytes,
        whole: bool,
    ) -> Result<Asked, h2::Error> {
        self.call("envoy.service.auth.v3.Authorization/Check", fields, bytes, whole).await
    }

    /// Begins a request of a method, named with its service.
    ///
    /// # Errors
    /// When the connection is closed.
    pub async fn call(
        &mut self,
        method: &str,
        fields: &[(&str, &str)],
        bytes: Bytes,
        whole: bool,
    ) -> Result<Asked, h2::Error> {
        let mut request = Request::post(format!("http://exequatur/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("these are fields");
        let mut ready = self.send.clone().ready().await?;
        let (answer, mut rest) = ready.send_request(request, false)?;
        rest.send_data(bytes, whole)?;
        Ok(Asked { answer, rest })
    }
}

/// A message with its length before it, as gRPC sends it.
#[must_use]
pub fn prefixed(check: &CheckRequest) -> Bytes {
    let message = check.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
    [&[0][..], &length, &message].concat().into()
}

/// The beginning of a message that says that it is long, and `length` bytes of it.
#[must_use]
pub fn unfinished(length: usize) -> Bytes {
    let announced = 200 * 1024_u32;
    [&[0][..], &announced.to_be_bytes(), &vec![0; length]].concat().into()
}

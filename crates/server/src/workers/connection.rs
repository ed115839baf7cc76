//! A connection of Envoy's, and its place among those of a worker.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use super::outbox::Outbox;

/// How long the client has for its first bytes: HTTP/2's preface (RFC 9113 §3.4). Later silence is found by
/// keep-alive pings.
const GREETING_WITHIN: Duration = Duration::from_secs(5);
/// The length of the preface.
const GREETING: usize = 24;

/// A connection that no runtime has yet.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

/// One more connection of a worker, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn count(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection in its worker's runtime.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Either<TcpStream, UnixStream>,
    outbox: Outbox,
    /// Until the preface has come.
    greeting: Option<Greeting>,
    _open: Open,
}

#[derive(Debug)]
struct Greeting {
    missing: usize,
    until: Pin<Box<Sleep>>,
}

impl Connection {
    /// Takes the connection into the runtime that this is called in.
    pub(super) fn new(accepted: Accepted, open: Open) -> io::Result<Self> {
        let stream = match accepted {
            Accepted::Tcp(stream) => Either::Left(TcpStream::from_std(stream)?),
            Accepted::Unix(stream) => Either::Right(UnixStream::from_std(stream)?),
        };
        let until = Box::pin(tokio::time::sleep(GREETING_WITHIN));
        let greeting = Some(Greeting { missing: GREETING, until });
        Ok(Self { stream, outbox: Outbox::default(), greeting, _open: open })
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(greeting) = &mut self.greeting else { return polled };
        let came = buffer.filled().len().saturating_sub(before);
        greeting.missing = greeting.missing.saturating_sub(came);
        if greeting.missing == 0 {
            self.greeting = None;
        } else if polled.is_pending() && greeting.until.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, outbox, .. } = self.get_mut();
        outbox.poll_flush(stream, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, outbox, .. } = self.get_mut();
        outbox.poll_shutdown(stream, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, outbox, .. } = self.get_mut();
        outbox.poll_write(stream, context, slices)
    }

    /// What is gathered is copied, from however many slices.
    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair(connections: &Arc<AtomicUsize>) -> (Connection, UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let ours = Connection::new(Accepted::Unix(ours), Open::count(connections)).unwrap();
        (ours, UnixStream::from_std(theirs).unwrap())
    }

    /// C-18: a connection that says nothing, or not enough, does not keep its place.
    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_let_go() {
        let connections = Arc::default();
        for sent in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"] {
            let (mut ours, mut theirs) = pair(&connections);
            theirs.write_all(sent).await.unwrap();
            let mut all = Vec::new();
            let error = ours.read_to_end(&mut all).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{sent:?}");
            assert_eq!(connections.load(Ordering::Relaxed), 1);
            drop(ours);
            assert_eq!(connections.load(Ordering::Relaxed), 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_preface_silence_is_no_error() {
        let (mut ours, mut theirs) = pair(&Arc::default());
        theirs.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut preface = [0; GREETING];
        ours.read_exact(&mut preface).await.unwrap();
        let silent = tokio::time::timeout(GREETING_WITHIN * 10, ours.read_u8()).await;
        assert!(silent.is_err(), "{silent:?}");
    }
}

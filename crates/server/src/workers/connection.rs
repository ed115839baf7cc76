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
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tonic::transport::server::Connected;

use super::TurnedAway;
use super::outbox::Outbox;
use super::stream::Stream;

/// How long the client has for its first bytes, a handshake included: HTTP/2's preface (RFC 9113 §3.4). Later silence is
/// found by keep-alive pings.
const GREETING_WITHIN: Duration = Duration::from_secs(5);
/// The length of the preface.
const GREETING: usize = 24;

/// A connection that no runtime has yet.
#[derive(Debug)]
pub(super) enum Accepted {
    Tcp(std::net::TcpStream),
    /// What the handshake is made with, and where it is counted if it fails.
    Tls(std::net::TcpStream, Arc<ServerConfig>, TurnedAway),
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
    stream: Stream,
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
            Accepted::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream)?),
            Accepted::Unix(stream) => Stream::Unix(UnixStream::from_std(stream)?),
            Accepted::Tls(stream, config, failed) => {
                let stream = TcpStream::from_std(stream)?;
                Stream::handshake(TlsAcceptor::from(config).accept(stream), failed)
            }
        };
        let until = Box::pin(tokio::time::sleep(GREETING_WITHIN));
        let greeting = Some(Greeting { missing: GREETING, until });
        Ok(Self { stream, outbox: Outbox::default(), greeting, _open: open })
    }

    /// What was polled, unless the client's time for its first bytes is over. Before a handshake is done, writing waits
    /// for the client as well.
    fn in_time<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let Some(greeting) = self.greeting.as_mut().filter(|_| polled.is_pending()) else { return polled };
        match greeting.until.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => polled,
        }
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
        }
        self.in_time(polled, context)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.outbox.poll_flush(&mut this.stream, context);
        this.in_time(polled, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = this.outbox.poll_shutdown(&mut this.stream, context);
        this.in_time(polled, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = this.outbox.poll_write(&mut this.stream, context, slices);
        this.in_time(polled, context)
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

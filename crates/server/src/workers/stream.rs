//! The bytes of a connection, whatever they come over.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use super::TurnedAway;

/// A byte stream. One with TLS makes its handshake when it is first read from or written to, so that a client that is slow
/// with it holds up nobody.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    Handshake(Box<Handshake>),
    /// The handshake has failed.
    Failed,
}

/// A handshake that is under way.
pub(super) struct Handshake {
    accept: Accept<TcpStream>,
    failed: TurnedAway,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl Stream {
    /// One whose handshake is still to be made; `failed` counts it if it fails.
    pub(super) fn handshake(accept: Accept<TcpStream>, failed: TurnedAway) -> Self {
        Self::Handshake(Box::new(Handshake { accept, failed }))
    }

    /// Until bytes can be read and written.
    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Handshake(handshake) = self else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(&mut handshake.accept).poll(context)) {
            Ok(stream) => {
                *self = Self::Tls(Box::new(stream));
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                handshake.failed.count_handshake();
                tracing::debug!(%error, "a gRPC connection without its handshake");
                *self = Self::Failed;
                Poll::Ready(Err(error))
            }
        }
    }

    /// INVARIANT: asked for after [`Self::poll_open`] alone, so that no handshake is among them.
    fn bytes(&mut self) -> io::Result<Pin<&mut dyn Bytes>> {
        match self {
            Self::Tcp(stream) => Ok(Pin::new(stream)),
            Self::Unix(stream) => Ok(Pin::new(stream)),
            Self::Tls(stream) => Ok(Pin::new(&mut **stream)),
            Self::Handshake(_) | Self::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// What can be read from and written to.
trait Bytes: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Bytes for S {}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_open(context))?;
        this.bytes()?.poll_flush(context)
    }

    /// Who has not made his handshake is told nothing.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut().bytes() {
            Ok(stream) => stream.poll_shutdown(context),
            Err(_unopened) => Poll::Ready(Ok(())),
        }
    }
}

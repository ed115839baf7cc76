//! What may lie between Exequatur and Redis: a connection that delays, drips, swallows or spoils what goes over it, and
//! TLS before a server that has none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What is done with the connections, open ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Each piece of an answer comes so much later.
    Slow(Duration),
    /// Answers come octet by octet, each so much later than the one before.
    Drip(Duration),
    /// Questions do not reach the server: the other half of the connection is gone, and nobody said so.
    Deaf,
    /// Questions reach the server, and its answers are lost.
    Mute,
    /// These octets come in the place of each piece of an answer.
    Instead(&'static [u8]),
    /// These octets come before each piece of an answer.
    Before(&'static [u8]),
    /// Of each piece of an answer only the first half comes, and then the end.
    Torn,
    /// Every connection is closed at once.
    Closed,
}

/// A proxy on a port of the loopback; it ends when it is dropped, and all its connections with it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    accepted: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts one before the server at `port` of the loopback.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(port: u16) -> std::io::Result<Self> {
        Self::with(port, None).await
    }

    /// The same, and speaks TLS with those who connect.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn with_tls(port: u16, tls: TlsAcceptor) -> std::io::Result<Self> {
        Self::with(port, Some(tls)).await
    }

    async fn with(port: u16, tls: Option<TlsAcceptor>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (fault, faults) = watch::channel(Fault::None);
        let accepted = Arc::new(AtomicUsize::new(0));
        let server = tokio::spawn(accept(listener, tls, port, faults, Arc::clone(&accepted)));
        Ok(Self { address, fault, accepted, server })
    }

    /// Its address, as that of a Redis.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The port of the loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many connections were made to it.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    port: u16,
    faults: watch::Receiver<Fault>,
    accepted: Arc<AtomicUsize>,
) {
    // Dropped with the task: no connection outlives its proxy.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let (faults, tls) = (faults.clone(), tls.clone());
        connections.spawn(async move {
            if *faults.borrow() == Fault::Closed {
                return;
            }
            drop(stream.set_nodelay(true));
            match tls {
                None => between(stream, port, faults).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        between(stream, port, faults).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn between(caller: impl AsyncRead + AsyncWrite, port: u16, faults: watch::Receiver<Fault>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { return };
    drop(server.set_nodelay(true));
    let ((asks, told), (answers, asked)) = (tokio::io::split(caller), server.into_split());
    let mut closed = faults.clone();
    tokio::select! {
        _ = questions(asks, asked, &faults) => {}
        _ = self::answers(answers, told, &faults) => {}
        _ = closed.wait_for(|fault| *fault == Fault::Closed) => {}
    }
}

async fn questions(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: &watch::Receiver<Fault>,
) -> std::io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        if *faults.borrow() != Fault::Deaf {
            to.write_all(&piece[..length]).await?;
        }
    }
}

async fn answers(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    faults: &watch::Receiver<Fault>,
) -> std::io::Result<()> {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return Ok(());
        }
        let (piece, fault) = (&piece[..length], faults.borrow().clone());
        match fault {
            Fault::None | Fault::Deaf => to.write_all(piece).await?,
            Fault::Slow(by) => {
                tokio::time::sleep(by).await;
                to.write_all(piece).await?;
            }
            Fault::Drip(by) => {
                for octet in piece {
                    tokio::time::sleep(by).await;
                    to.write_all(&[*octet]).await?;
                    to.flush().await?;
                }
            }
            Fault::Mute => {}
            Fault::Instead(octets) => to.write_all(octets).await?,
            Fault::Before(octets) => {
                to.write_all(octets).await?;
                to.write_all(piece).await?;
            }
            Fault::Torn => {
                to.write_all(&piece[..length / 2]).await?;
                return Ok(());
            }
            Fault::Closed => return Ok(()),
        }
        to.flush().await?;
    }
}

//! The protected service: answers with 200, or as it is told, and keeps, byte for byte, what reached it.
//!
//! It reads HTTP/1.1 itself, since a library would tidy up, or refuse, what a test wants to see.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::message::{self, Head, Reader};

/// A request that got through.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: String,
    /// Path and query; bytes that are not UTF-8 as U+FFFD.
    pub target: String,
    /// All its fields, names as they came.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Its body, whatever its framing.
    pub body: Vec<u8>,
    /// The fields behind a chunked body.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the body came to its end.
    pub whole: bool,
}

impl Received {
    /// Each value of a field, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        message::values(&self.fields, name)
    }
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Next {
    /// Answers with this status.
    Status(u16),
    /// Closes the connection without a word.
    Close,
    /// Answers with 200 and half of the body that it announced, then closes the connection.
    Half,
    /// Answers with 200 once told to.
    Wait(Arc<Notify>),
}

#[derive(Debug, Default)]
struct State {
    log: Vec<Received>,
    next: VecDeque<Next>,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    state: Shared,
    server: JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Shared::default();
        let server = tokio::spawn(accept(listener, state.clone()));
        Ok(Self { address, state, server })
    }

    /// What got through so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().log.clone()
    }

    /// What got through after the first `count`.
    #[must_use]
    pub fn received_after(&self, count: usize) -> Vec<Received> {
        self.state.lock().log.iter().skip(count).cloned().collect()
    }

    /// Answers the next requests with these statuses, then with 200 again.
    pub fn answer_next_with(&self, statuses: &[u16]) {
        self.state.lock().next.extend(statuses.iter().copied().map(Next::Status));
    }

    /// What it does with the next request, before it answers with 200 again.
    pub fn next_will(&self, next: Next) {
        self.state.lock().next.push_back(next);
    }

    /// Waits until so many requests have got through.
    pub async fn until_received(&self, count: usize) {
        while self.state.lock().log.len() < count {
            tokio::task::yield_now().await;
        }
    }

    /// Listens no more, and closes all connections.
    pub fn stop(&self) {
        self.server.abort();
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, state: Shared) {
    // Dropped with the task: no connection outlives its upstream.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, state.clone()));
    }
}

async fn serve(stream: TcpStream, state: Shared) -> std::io::Result<()> {
    let mut reader = Reader::new(stream);
    while let Some(head) = reader.head().await? {
        let Head { first, fields } = head;
        let line = String::from_utf8_lossy(&first).into_owned();
        // A method holds no space, and the version is last: what is between is the target.
        let (method, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let target = rest.rsplit_once(' ').map_or(rest, |(target, _)| target);
        let upgrade = message::values(&fields, "upgrade").into_iter().next();
        let (body, trailers, whole) = match reader.body(&fields, message::Unframed::Empty).await {
            Ok((body, trailers)) => (body, trailers, true),
            Err(_broken) => (Vec::new(), Vec::new(), false),
        };
        let answer = format!("upstream saw {method} {target}\n");
        let (method, target) = (method.to_owned(), target.to_owned());
        let bodiless = method == "HEAD";
        let next = {
            let mut state = state.lock();
            state.log.push(Received { method, target, fields, body, trailers, whole });
            state.next.pop_front().unwrap_or(Next::Status(200))
        };
        if !whole {
            return Ok(());
        }
        if let Some(protocol) = upgrade {
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n\r\n"
            );
            return echo(reader.into_stream(), answer.as_bytes()).await;
        }
        let body = if bodiless { "" } else { &answer };
        let mut length = answer.len();
        let mut status = 200;
        match &next {
            Next::Status(told) => status = *told,
            Next::Close => return Ok(()),
            Next::Half => length *= 2,
            Next::Wait(told) => told.notified().await,
        }
        let answer = format!("HTTP/1.1 {status} as told\r\ncontent-length: {length}\r\n\r\n{body}");
        reader.stream().write_all(answer.as_bytes()).await?;
        if let Next::Half = next {
            return Ok(());
        }
    }
    Ok(())
}

async fn echo(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.write_all(answer).await?;
    let mut bytes = [0; 1024];
    loop {
        let read = stream.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..read]).await?;
    }
}

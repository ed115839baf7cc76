//! A server on the loopback that answers as it is told to.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::time::turns;

/// What a request is answered with.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, and the connection is closed.
    Bytes(Arc<[u8]>),
    /// The bytes one by one, with a pause before each.
    Drip(Arc<[u8]>, Duration),
    /// Nothing, for as long as the client waits.
    Silence,
}

impl Answer {
    pub(crate) fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bytes(bytes.into().into())
    }

    /// Status and header lines, and a body of the length that is announced.
    pub(crate) fn of(head: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::raw([head.as_bytes(), body].concat())
    }

    pub(crate) fn ok(body: &str) -> Self {
        Self::of("200 OK\r\ncontent-type: application/json", body.as_bytes())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) at: Instant,
}

#[derive(Clone, Default)]
struct State {
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// Connections that are neither answered nor left silent.
    busy: Arc<AtomicUsize>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    tls: Option<TlsAcceptor>,
    state: State,
    serving: Option<AbortOnDropHandle<()>>,
}

impl Server {
    /// Answers 404 to whatever it has no answer for.
    pub(crate) async fn start() -> Self {
        Self::with(None).await
    }

    pub(crate) async fn with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self { address, tls, state: State::default(), serving: None };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let (tls, state) = (self.tls.clone(), self.state.clone());
        let connections = TaskTracker::new();
        let task = TaskTracker::new().spawn(async move {
            loop {
                let (connection, _) = listener.accept().await.unwrap();
                let (tls, state) = (tls.clone(), state.clone());
                state.busy.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    match tls {
                        None => answer(connection, &state).await,
                        // A client that does not trust us hangs up.
                        Some(tls) => match tls.accept(connection).await {
                            Ok(connection) => answer(connection, &state).await,
                            Err(_distrusted) => drop(state.busy.fetch_sub(1, Ordering::SeqCst)),
                        },
                    }
                });
            }
        });
        self.serving = Some(AbortOnDropHandle::new(task));
    }

    /// Nobody listens any more.
    pub(crate) async fn stop(&mut self) {
        self.serving = None;
        turns().await;
    }

    /// Listens again where it did.
    pub(crate) async fn start_again(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn answer(&self, path: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    pub(crate) fn requests(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    /// The most requests within any stretch of time so long.
    pub(crate) fn most_within(&self, stretch: Duration) -> usize {
        let times: Vec<_> = self.seen().iter().map(|seen| seen.at).collect();
        let within = |from: &Instant| times.iter().filter(|at| (*from..*from + stretch).contains(at)).count();
        times.iter().map(within).max().unwrap_or(0)
    }

    /// Until every connection is answered, or left silent.
    pub(crate) async fn settle(&self) {
        turns().await;
        while self.state.busy.load(Ordering::SeqCst) > 0 {
            turns().await;
        }
        turns().await;
    }
}

async fn answer(mut connection: impl AsyncRead + AsyncWrite + Unpin, state: &State) {
    let head = read_head(&mut connection).await;
    if head.is_empty() {
        state.busy.fetch_sub(1, Ordering::SeqCst);
        return;
    }
    let body = read_body(&mut connection, &head).await;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let told = state.answers.lock().unwrap().get(&path).cloned();
    state.seen.lock().unwrap().push(Seen { path, head, body, at: Instant::now() });
    let told = told.unwrap_or_else(|| Answer::of("404 Not Found", b""));
    // What it is told now takes as long as it takes.
    if !matches!(told, Answer::Bytes(_)) {
        state.busy.fetch_sub(1, Ordering::SeqCst);
    }
    // A client that has seen enough hangs up.
    match &told {
        Answer::Bytes(bytes) => {
            drop(connection.write_all(bytes).await);
            drop(connection.shutdown().await);
            state.busy.fetch_sub(1, Ordering::SeqCst);
        }
        Answer::Drip(bytes, pause) => {
            for byte in bytes.iter() {
                tokio::time::sleep(*pause).await;
                if connection.write_all(&[*byte]).await.is_err() {
                    return;
                }
            }
        }
        Answer::Silence => drop(connection.read(&mut [0]).await),
    }
}

async fn read_body(connection: &mut (impl AsyncRead + Unpin), head: &str) -> String {
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    drop(connection.read_exact(&mut body).await);
    String::from_utf8(body).unwrap()
}

pub(crate) async fn read_head(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_ended) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

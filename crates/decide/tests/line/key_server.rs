//! An issuer's key set over a real socket, in a time that only the test moves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exequatur_issuers::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::world::at;

/// How often the runtime is let run until what became ready has got to its next wait.
const TURNS: usize = 32;

pub(crate) struct KeyServer {
    pub(crate) url: String,
    /// The document; silence if `None`.
    document: Arc<Mutex<Option<String>>>,
    requests: Arc<AtomicUsize>,
    /// Requests that are not answered yet, and are going to be.
    busy: Arc<AtomicUsize>,
    began: Instant,
    /// A blocking task that is under way keeps tokio from moving a paused clock by itself.
    _held: Sender<()>,
    _serving: AbortOnDropHandle<()>,
}

impl KeyServer {
    /// Says nothing until [`Self::publish`]. The test's clock must be paused.
    pub(crate) async fn start() -> Self {
        let (held, ended) = channel::<()>();
        drop(tokio::task::spawn_blocking(move || ended.recv()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let document = Arc::new(Mutex::new(None::<String>));
        let (requests, busy) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let state = (Arc::clone(&document), Arc::clone(&requests), Arc::clone(&busy));
        let connections = TaskTracker::new();
        let serving = TaskTracker::new().spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (document, requests, busy) = state.clone();
                busy.fetch_add(1, Ordering::SeqCst);
                connections.spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n")
                        && connection.read_buf(&mut head).await.is_ok_and(|n| n > 0)
                    {}
                    requests.fetch_add(1, Ordering::SeqCst);
                    let document = document.lock().unwrap().clone();
                    if let Some(document) = &document {
                        let answer = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}",
                            document.len()
                        );
                        drop(connection.write_all(answer.as_bytes()).await);
                    }
                    busy.fetch_sub(1, Ordering::SeqCst);
                    drop(connection.read_buf(&mut head).await);
                });
            }
        });
        let _serving = AbortOnDropHandle::new(serving);
        Self { url, document, requests, busy, began: Instant::now(), _held: held, _serving }
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        *self.document.lock().unwrap() = Some(json!({ "keys": keys }).to_string());
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn clock(&self) -> Clock {
        let began = self.began;
        Arc::new(move || at(0) + SignedDuration::try_from(began.elapsed()).unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock())()
    }

    /// Moves time second by second, and lets loads end after each.
    pub(crate) async fn pass(&self, seconds: u32) {
        for _ in 0..seconds {
            tokio::time::advance(Duration::from_secs(1)).await;
            self.settle().await;
        }
    }

    /// Until every request is answered, or left in silence.
    pub(crate) async fn settle(&self) {
        turns().await;
        while self.busy.load(Ordering::SeqCst) > 0 {
            turns().await;
        }
        turns().await;
    }
}

async fn turns() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

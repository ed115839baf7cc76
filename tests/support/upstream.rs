//! The protected service: answers everything with 200 and keeps what reached it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;

/// A request that got through.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// All its fields.
    pub headers: HeaderMap,
}

impl Received {
    /// Each value of a field, in order.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<String> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }
}

type Log = Arc<Mutex<Vec<Received>>>;

/// A running upstream.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    log: Log,
    server: tokio::task::JoinHandle<()>,
}

impl Upstream {
    /// Starts one on a free port of the loopback.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let log = Log::default();
        let router = Router::new().fallback(keep).with_state(Arc::clone(&log));
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("upstream: {error}");
            }
        });
        Ok(Self { address, log, server })
    }

    /// What got through so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn keep(State(log): State<Log>, request: Request) -> String {
    let received = Received {
        method: request.method().to_string(),
        target: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
        headers: request.headers().clone(),
    };
    let answer = format!("upstream saw {} {}\n", received.method, received.target);
    log.lock().unwrap_or_else(PoisonError::into_inner).push(received);
    answer
}

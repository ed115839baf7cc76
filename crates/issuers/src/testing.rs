//! Key sets, profiles and servers for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use exequatur_token::{Algorithm, ClaimNames, IssuerProfile, KeySet, TenantScope};
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tokio_util::task::TaskTracker;

use crate::signers::Clock;

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A clock that follows tokio's, which tests can pause.
pub(crate) fn clock() -> Clock {
    let start = tokio::time::Instant::now();
    Arc::new(move || at(0) + SignedDuration::try_from(start.elapsed()).unwrap())
}

/// The key of RFC 8037 appendix A.2 under this id.
pub(crate) fn jwks(kid: &str) -> String {
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"{kid}"}}]}}"#)
}

pub(crate) fn key_set(kid: &str) -> KeySet {
    KeySet::parse(jwks(kid).as_bytes(), &[Algorithm::EdDsa]).unwrap()
}

pub(crate) fn profile(name: &str) -> IssuerProfile {
    IssuerProfile {
        name: name.parse().unwrap(),
        issuer: format!("https://{name}.example"),
        audiences: vec!["https://api.example".to_owned()],
        algorithms: vec![Algorithm::EdDsa],
        max_lifetime: SignedDuration::from_mins(15),
        leeway: SignedDuration::ZERO,
        accept_typ_jwt: false,
        claims: ClaimNames::default(),
        tenants: TenantScope::Any,
        status_required: false,
    }
}

/// A server on the loopback that answers every request with the same bytes, and then stays silent.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    pub(crate) async fn start(answer: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let connections = TaskTracker::new();
        let task = TaskTracker::new().spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (answer, seen) = (answer.clone(), Arc::clone(&seen));
                connections.spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        if connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                            continue;
                        }
                        return;
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                    // A client that has seen enough hangs up.
                    drop(connection.write_all(&answer).await);
                    drop(connection.read_buf(&mut request).await);
                });
            }
        });
        Self { url, requests, _task: AbortOnDropHandle::new(task) }
    }

    pub(crate) async fn answering(status: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::start([head.as_bytes(), body].concat()).await
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

//! One connection, whatever it comes over: HTTP/1, bounded in time.

use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};

/// How long a request's head may take.
const HEAD_WITHIN: Duration = Duration::from_secs(2);
/// How long a connection may last, whatever it does.
const CONNECTION_WITHIN: Duration = Duration::from_secs(30);
/// Longest head, in bytes.
const MAX_HEAD: usize = 32 * 1024;
/// Most header fields.
const MAX_FIELDS: usize = 64;

/// Whether another request may follow on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    ForMany,
    ForOne,
}

pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router, lasts: Lasts) {
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder.max_buf_size(MAX_HEAD).max_headers(MAX_FIELDS).keep_alive(lasts == Lasts::ForMany);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_WITHIN, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin connection ended"),
        Err(_elapsed) => tracing::debug!("admin connection lasted too long"),
    }
}

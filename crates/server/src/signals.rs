//! SIGTERM and SIGINT, and SIGXFSZ.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Resolves at SIGTERM, SIGINT, or when something else has asked to stop.
pub(crate) async fn asked_to_stop(stop: &CancellationToken) {
    let term = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be watched");
                std::future::pending::<()>().await;
            }
        }
    };
    let interrupt = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "SIGINT cannot be watched");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = term => {}
        () = interrupt => {}
        () = stop.cancelled() => {}
    }
}

/// On Linux, but for MIPS.
const SIGXFSZ: i32 = 25;

/// A file that is as long as this process's files may be (`RLIMIT_FSIZE`) takes no more, as on a full disk; but a process that does
/// nothing about the signal ends. Once it is watched, whatever comes of that, the write fails instead.
pub(crate) fn outlive_full_files() {
    if let Err(error) = signal(SignalKind::from_raw(SIGXFSZ)) {
        tracing::warn!(%error, "SIGXFSZ cannot be watched: a file that reaches the limit of its size ends this process");
    }
}

//! New connections, and which worker each goes to.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::Intake;
use super::connection::Accepted;

/// Wait after a failed accept, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Where Envoy connects.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// A socket that a stopped process left behind is replaced; a live one, and anything else, is not touched.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn unix(socket: &Path) -> io::Result<Self> {
        use std::os::unix::fs::FileTypeExt;
        if std::fs::symlink_metadata(socket).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(socket).is_err()
        {
            std::fs::remove_file(socket)?;
        }
        UnixListener::bind(socket).map(Self::Unix)
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _peer) = listener.accept().await?;
                // An answer is one small write; held back for the peer's acknowledgement it comes 40 ms late.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "answers may be held back");
                }
                Ok(Accepted::Tcp(stream.into_std()?))
            }
            Self::Unix(listener) => {
                let (stream, _peer) = listener.accept().await?;
                Ok(Accepted::Unix(stream.into_std()?))
            }
        }
    }
}

/// Hands connections to workers until told to stop. Beyond the bound they are closed at once.
pub(crate) async fn accept(listener: Listener, intake: Intake, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(connection) => intake.place(connection),
            Err(error) => {
                tracing::warn!(%error, "a gRPC connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

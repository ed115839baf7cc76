//! New connections, and which worker each goes to.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use super::Intake;
use super::connection::Accepted;
use crate::tls::Certificates;

/// Wait after a failed accept, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Where Envoy connects.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp {
        listener: TcpListener,
        /// What handshakes are made with; bytes are taken as they come without.
        tls: Option<Arc<Certificates>>,
    },
    Unix {
        listener: UnixListener,
        peers: Peers,
    },
}

/// Who may connect to a Unix socket, by what the kernel says of the other end.
#[derive(Debug)]
pub(crate) struct Peers {
    owner: u32,
    others: Vec<u32>,
}

impl Peers {
    /// This process's own user, root, and those that are named. Whom the kernel does not know is nobody.
    fn may_connect(&self, uid: Option<u32>) -> bool {
        const ROOT: u32 = 0;
        uid.is_some_and(|uid| uid == self.owner || uid == ROOT || self.others.contains(&uid))
    }
}

impl Listener {
    /// A socket for this process's own user, root and `others`. One that a stopped process left behind is replaced; a live
    /// one, and anything else, is not touched.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn unix(socket: &Path, others: &[u32]) -> io::Result<Self> {
        if std::fs::symlink_metadata(socket).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(socket).is_err()
        {
            std::fs::remove_file(socket)?;
        }
        let listener = UnixListener::bind(socket)?;
        // The file keeps everybody else away, or, if there are others, lets everybody come as far as to be asked who he
        // is. Between the two lines the process's umask holds; who connects then is asked too.
        let mode = if others.is_empty() { 0o600 } else { 0o666 };
        std::fs::set_permissions(socket, Permissions::from_mode(mode))?;
        let owner = std::fs::symlink_metadata(socket)?.uid();
        Ok(Self::Unix { listener, peers: Peers { owner, others: others.to_vec() } })
    }

    /// The next connection; `None` if it is of somebody who may not have one, and is closed, none of it having been read.
    async fn accept(&self, intake: &Intake) -> io::Result<Option<Accepted>> {
        match self {
            Self::Tcp { listener, tls } => {
                let (stream, _peer) = listener.accept().await?;
                // An answer is one small write; held back for the peer's acknowledgement it comes 40 ms late.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "answers may be held back");
                }
                let stream = stream.into_std()?;
                Ok(Some(match tls {
                    None => Accepted::Tcp(stream),
                    Some(certificates) => Accepted::Tls(stream, certificates.current(), intake.turned_away()),
                }))
            }
            Self::Unix { listener, peers } => {
                let (stream, _peer) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                if !peers.may_connect(uid) {
                    intake.turned_away().count_stranger();
                    return Ok(None);
                }
                Ok(Some(Accepted::Unix(stream.into_std()?)))
            }
        }
    }
}

/// Hands connections to workers until told to stop. Beyond the bound they are closed at once.
pub(crate) async fn accept(listener: Listener, intake: Intake, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept(&intake) => accepted,
        };
        match accepted {
            Ok(Some(connection)) => intake.place(connection),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a gRPC connection could not be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B-14: the kernel says who it is, and who is not named does not get in.
    #[test]
    fn only_peers_may_connect() {
        let peers = |others: &[u32]| Peers { owner: 1000, others: others.to_vec() };
        for (others, uid, may) in [
            (&[][..], Some(1000), true),
            (&[], Some(0), true),
            (&[], Some(101), false),
            (&[], Some(u32::MAX), false),
            (&[], None, false),
            (&[101, 102], Some(101), true),
            (&[101, 102], Some(103), false),
            (&[101, 102], Some(1000), true),
            (&[101, 102], None, false),
        ] {
            assert_eq!(peers(others).may_connect(uid), may, "{others:?} {uid:?}");
        }
    }

    /// The mode is set, whatever the umask is.
    #[tokio::test]
    async fn the_socket_has_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        for (others, expected) in [(&[][..], 0o600), (&[101], 0o666)] {
            let socket = folder.path().join(format!("{expected:o}.sock"));
            let _listener = Listener::unix(&socket, others).unwrap();
            let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, expected);
            assert!(Listener::unix(&socket, others).is_err(), "a live one is not replaced");
        }
    }
}

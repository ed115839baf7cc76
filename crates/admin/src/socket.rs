//! The Unix socket: who is there, by what the kernel says of the connection.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Counter, Entrance, Work};
use crate::caller::{Actor, Author, Caller};
use crate::connection::{self, Lasts};
use crate::desk::Desk;

/// Connections at once.
const MAX_CONNECTIONS: usize = 16;
/// Wait after a failed accept, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
const ROOT: u32 = 0;

/// A socket that listens, with mode 0600.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    owner: u32,
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct SocketError {
    path: PathBuf,
    source: io::Error,
}

impl Socket {
    /// Makes it. A socket that a stopped process left behind is replaced; a live one, and anything else, is not touched.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        Self::try_bind(path).map_err(|source| SocketError { path: path.to_owned(), source })
    }

    fn try_bind(path: &Path) -> io::Result<Self> {
        if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path).is_err()
        {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        // Between the two lines the process's umask holds; whoever connects then is asked for its number all the same.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, owner: std::fs::symlink_metadata(path)?.uid() })
    }

    /// Serves until told to stop. Connections beyond the bound are closed at once.
    pub async fn serve(self, desk: Arc<Desk>, tasks: TaskTracker, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _address)) = accepted else {
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let actor = match stream.peer_cred() {
                Ok(credentials) => Actor::Local(credentials.uid()),
                Err(_unsaid) => Actor::Nobody,
            };
            let work = Work { tasks: tasks.clone(), place: Arc::new(place) };
            let router =
                api::router(Counter { desk: Arc::clone(&desk), entrance: entrance(actor, self.owner), work });
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = connection::serve(stream, router, Lasts::ForMany) => {}
                }
            });
        }
    }
}

/// The process's own user, and root.
fn entrance(actor: Actor, owner: u32) -> Entrance {
    let caller = match actor {
        Actor::Local(uid) if uid == owner || uid == ROOT => Caller::at_the_socket(uid),
        Actor::Local(_) | Actor::Nobody | Actor::Token(_) | Actor::Certificate(_) | Actor::Stranger(_) => {
            None
        }
    };
    caller.map_or_else(|| Entrance::Closed(Author::new(actor)), Entrance::Known)
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroUsize};

    use axum::Router;

    use exequatur_audit::{Checkpoints, Mode, Recorder, Sealing};
    use exequatur_store::{
        Changed, EmbeddedOverrides, EmbeddedRevocations, Lift, Note, Page, Position, Revocation,
        RevocationFuture, RevocationHealth, RevocationLimits, RevocationStore, Snapshot, Target,
    };
    use jiff::Timestamp;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixStream;

    use super::*;
    use crate::desk::DeskParts;

    #[test]
    fn the_owner_and_root_may_order() {
        for (actor, may) in [
            (Actor::Local(1000), true),
            (Actor::Local(0), true),
            (Actor::Local(1001), false),
            (Actor::Local(u32::MAX), false),
            (Actor::Nobody, false),
        ] {
            let known = matches!(entrance(actor.clone(), 1000), Entrance::Known(_));
            assert_eq!(known, may, "{actor}");
        }
    }

    fn work() -> Work {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Work { tasks: TaskTracker::new(), place: Arc::new(place) }
    }

    async fn answer(router: Router) -> String {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let serving = connection::serve(theirs, router, Lasts::ForMany);
        let asking = async {
            let mut ours = ours;
            ours.write_all(b"GET /v1/revocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut answer = String::new();
            ours.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::join!(serving, asking).1
    }

    /// Whoever may not is answered, whatever is asked, and gets nothing.
    #[tokio::test]
    async fn anybody_else_is_refused() {
        let now = Timestamp::UNIX_EPOCH;
        let revocations = EmbeddedRevocations::open(None, RevocationLimits::default(), now).unwrap();
        let parts = DeskParts {
            revocations: Arc::new(revocations),
            overrides: Arc::new(EmbeddedOverrides::open(None, 1).unwrap()),
            limits: Arc::new(Arc::default),
            recorder: None,
            redaction: Arc::default(),
            records: None,
            issuers: Vec::new(),
            clock: Arc::new(move || now),
        };
        let desk = Arc::new(Desk::new(parts));
        let counter = |uid| Counter {
            desk: Arc::clone(&desk),
            entrance: entrance(Actor::Local(uid), 1000),
            work: work(),
        };
        let refused = answer(api::router(counter(1001))).await;
        assert!(refused.starts_with("HTTP/1.1 403 ") && refused.contains("forbidden"), "{refused}");
        let answered = answer(api::router(counter(1000))).await;
        assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    }

    /// A store that takes its time, as one that waits for other replicas does.
    #[derive(Debug)]
    struct Slow {
        store: EmbeddedRevocations,
        asked: Semaphore,
        goes_on: Semaphore,
    }

    impl Slow {
        async fn wait(&self) {
            self.asked.add_permits(1);
            self.goes_on.acquire().await.unwrap().forget();
        }
    }

    impl RevocationStore for Slow {
        fn snapshot(&self) -> &Arc<Snapshot> {
            self.store.snapshot()
        }

        fn revoke<'a>(&'a self, revocation: &'a Revocation, now: Timestamp) -> RevocationFuture<'a, Changed> {
            Box::pin(async move {
                self.wait().await;
                self.store.revoke(revocation, now).await
            })
        }

        fn lift<'a>(
            &'a self,
            target: Target,
            lift: Lift,
            note: &'a Note,
            now: Timestamp,
        ) -> RevocationFuture<'a, Changed> {
            Box::pin(async move {
                self.wait().await;
                self.store.lift(target, lift, note, now).await
            })
        }

        fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> RevocationFuture<'_, Page> {
            self.store.list(after, limit, now)
        }

        fn tend(&self, now: Timestamp) -> RevocationFuture<'_, ()> {
            self.store.tend(now)
        }

        fn health(&self) -> RevocationHealth {
            self.store.health()
        }

        fn itself(&self) -> &exequatur_store::Itself {
            self.store.itself()
        }

        fn fleet(&self) -> exequatur_store::FleetFuture<'_> {
            self.store.fleet()
        }
    }

    /// An order whose caller goes away is carried out to its end, and recorded; until then its place is taken.
    #[tokio::test]
    async fn an_order_outlives_its_caller() {
        let now = Timestamp::UNIX_EPOCH;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("records.jsonl");
        let store = EmbeddedRevocations::open(None, RevocationLimits::default(), now).unwrap();
        let slow = Arc::new(Slow { store, asked: Semaphore::new(0), goes_on: Semaphore::new(0) });
        let sealing = Sealing { checkpoints: Checkpoints::default(), clock: Arc::new(move || now) };
        let parts = DeskParts {
            revocations: Arc::<Slow>::clone(&slow),
            overrides: Arc::new(EmbeddedOverrides::open(None, 1).unwrap()),
            limits: Arc::new(Arc::default),
            recorder: Some(Recorder::open(&file, Mode::BestEffort, NonZeroUsize::MIN, sealing).unwrap()),
            redaction: Arc::default(),
            records: None,
            issuers: Vec::new(),
            clock: Arc::new(move || now),
        };
        let desk = Arc::new(Desk::new(parts));
        for (path, outcome, entries) in [("", "done", 1), ("/undo", "ordered", 0)] {
            let work = work();
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            let entrance = entrance(Actor::Local(1000), 1000);
            let router = api::router(Counter { desk: Arc::clone(&desk), entrance, work: work.clone() });
            let asking = async {
                let body = r#"{"kind":"tenant","name":"acme","reason":"stolen"}"#;
                let head = format!(
                    "POST /v1/revocations{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                ours.write_all((head + body).as_bytes()).await.unwrap();
                slow.asked.acquire().await.unwrap().forget();
                drop(ours);
            };
            tokio::join!(connection::serve(theirs, router, Lasts::ForMany), asking);
            assert_eq!(work.tasks.len(), 1, "{path}: it is under way");
            assert_eq!(Arc::strong_count(&work.place), 2, "{path}: and has its place");
            slow.goes_on.add_permits(1);
            work.tasks.close();
            work.tasks.wait().await;
            assert_eq!(slow.store.health().entries, entries, "{path}");
            let records = std::fs::read_to_string(&file).unwrap();
            let last: serde_json::Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
            assert_eq!((last["outcome"].as_str(), last["name"].as_str()), (Some(outcome), Some("acme")));
            assert_eq!(Arc::strong_count(&work.place), 1, "{path}");
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_replaces_a_dead_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.sock");
        let socket = Socket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Socket::bind(&path).is_err(), "a live one is not touched");
        drop(socket);
        assert!(Socket::bind(&path).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Socket::bind(&file).is_err());
    }
}

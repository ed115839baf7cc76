//! TCP, with TLS or on loopback: whoever comes has to say who he is.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use exequatur_store::SourceKey;
use exequatur_token::{CertificateName, ClientCertificate};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, Counter, Entrance, Work};
use crate::connection::{self, Lasts};
use crate::desk::Desk;
use crate::gate::{Arrival, Gate, PeerCertificate, key_of};

/// Connections at once, and of one address.
const MAX_CONNECTIONS: usize = 64;
const MAX_OF_ONE: usize = 8;
/// How long a handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(3);
/// Time between two handshakes: they cost about as much as a hundred decisions.
const PACE: Duration = Duration::from_millis(20);
/// Wait after a failed accept, such as for want of descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// What a handshake is made with: asked for each time, so that certificates can be replaced.
pub type Tls = Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>;

/// A listener that lets in whom its [`Gate`] lets in.
pub struct Listener {
    listener: TcpListener,
    tls: Option<Tls>,
    gate: Arc<Gate>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Listener {
    /// Without `tls`, the listener is to be on loopback.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<Tls>, gate: Gate) -> Self {
        Self { listener, tls, gate: Arc::new(gate) }
    }

    /// Serves until told to stop. Connections beyond the bounds are closed at once.
    pub async fn serve(self, desk: Arc<Desk>, tasks: TaskTracker, stop: CancellationToken) {
        let places = Places::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_AGAIN).await;
                continue;
            };
            // Without TLS whoever is shut out is told so: that costs next to nothing.
            if self.tls.is_some() && self.gate.shuts_out(peer.ip(), desk.now()) {
                continue;
            }
            let Some(place) = places.take(peer.ip()) else { continue };
            let (tls, gate, desk) =
                (self.tls.as_ref().map(|tls| tls()), Arc::clone(&self.gate), Arc::clone(&desk));
            let (work, stop) = (tasks.clone(), stop.clone());
            let encrypted = tls.is_some();
            tasks.spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = attend(stream, peer, tls, Attendance { gate, desk, tasks: work, place }) => {}
                }
            });
            if encrypted {
                tokio::time::sleep(PACE).await;
            }
        }
    }
}

/// What a connection takes with it.
struct Attendance {
    gate: Arc<Gate>,
    desk: Arc<Desk>,
    tasks: TaskTracker,
    place: Place,
}

async fn attend(stream: TcpStream, peer: SocketAddr, tls: Option<Arc<ServerConfig>>, with: Attendance) {
    let Attendance { gate, desk, tasks, place } = with;
    let Place { permit, _share } = place;
    let (came_to_nothing, clock) = (Arc::clone(&gate), Arc::clone(&desk));
    let now = || clock.now();
    let work = Work { tasks, place: Arc::new(permit) };
    let counter = |encrypted, certificate| {
        let arrival = Arrival { peer, encrypted, certificate };
        api::router(Counter { desk, entrance: Entrance::Gate(gate, Arc::new(arrival)), work })
    };
    let Some(tls) = tls else {
        return connection::serve(stream, counter(false, None), Lasts::ForOne).await;
    };
    let handshake = TlsAcceptor::from(tls).accept(stream);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await else {
        tracing::debug!(%peer, "no TLS handshake on the admin listener");
        came_to_nothing.came_to_nothing(peer.ip(), now());
        return;
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = leaf.and_then(|leaf| {
        let certificate = ClientCertificate::from_der(leaf).ok()?;
        Some(PeerCertificate { certificate, names: CertificateName::all_in(leaf) })
    });
    connection::serve(stream, counter(true, certificate), Lasts::ForOne).await;
}

/// Places for connections, of which one address has only so many.
#[derive(Debug)]
struct Places {
    all: Arc<Semaphore>,
    of_one: Arc<Mutex<HashMap<SourceKey, usize>>>,
}

/// Free again once it is dropped.
#[derive(Debug)]
struct Place {
    permit: OwnedSemaphorePermit,
    _share: Share,
}

#[derive(Debug)]
struct Share {
    source: SourceKey,
    of_one: Arc<Mutex<HashMap<SourceKey, usize>>>,
}

impl Places {
    fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(MAX_CONNECTIONS)), of_one: Arc::default() }
    }

    fn take(&self, address: IpAddr) -> Option<Place> {
        let permit = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let source = key_of(address);
        let held = of_one.entry(source).or_default();
        if *held >= MAX_OF_ONE {
            return None;
        }
        *held = held.saturating_add(1);
        Some(Place { permit, _share: Share { source, of_one: Arc::clone(&self.of_one) } })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = of_one.get_mut(&self.source) {
            *held = held.saturating_sub(1);
            if *held == 0 {
                of_one.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_every_place() {
        let places = Places::new();
        let (one, other) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        // Of IPv6, a /64 is one.
        let six = |n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
        let crowd: Vec<_> = (0..8).map(|n| places.take(six(n)).unwrap()).collect();
        assert!(places.take(six(9)).is_none());
        drop(crowd);
        let mut held: Vec<_> = (0..MAX_OF_ONE).map(|_| places.take(one).unwrap()).collect();
        assert!(places.take(one).is_none());
        assert!(places.take(other).is_some());
        held.pop();
        assert!(places.take(one).is_some());
        drop(held);
        assert!(places.of_one.lock().unwrap().is_empty());
        assert_eq!(places.all.available_permits(), MAX_CONNECTIONS);
    }
}

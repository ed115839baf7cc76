//! A cluster: what its slots are, as one of its nodes told, and the connections to each primary.
//!
//! Slots are asked for with the first call, and anew when a node says that it has not what was asked of it, when a
//! connection is lost, and now and then. No call waits for that but the first; whoever asked at the wrong node is refused,
//! and nothing was done there (C-04, C-09). Nothing is kept of a node that has no slot any more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use redis::{AsyncConnectionConfig, Pipeline, Value};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::address::Address;
use super::clock::Top;
use super::link::{CONNECT_FACTOR, Links, unreachable_server};
use super::server::check_cluster;
use super::slots::{Slot, Slots};
use super::suspicion::{Learnt, Pace, Suspicion};
use crate::admission::StoreError;
use crate::replay::Nodes;

/// How long an answer is gone by if nothing speaks against it.
const LONGEST: Duration = Duration::from_secs(10);
/// Known nodes that are asked before the configured place is.
const MOST_ASKED: usize = 3;

/// What is known of a cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    /// A node, or a name of all; and what is needed to reach each.
    address: Address,
    timeout: Duration,
    known: RwLock<Option<Arc<Known>>>,
    suspicion: Arc<Suspicion>,
    pace: Pace,
    /// Held by whoever asks.
    asking: tokio::sync::Mutex<()>,
    learners: TaskTracker,
    top: Arc<Top>,
    /// Which of the nodes was asked last.
    turn: AtomicUsize,
    told_lost: AtomicBool,
    /// Of nodes that are gone, and of asking.
    interruptions: AtomicU64,
}

/// An answer, and the connections to each primary in it.
#[derive(Debug)]
struct Known {
    slots: Slots,
    /// In the order of the answer's primaries.
    links: Vec<Arc<Links>>,
}

impl Cluster {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        Self {
            address,
            timeout,
            known: RwLock::default(),
            suspicion: Arc::default(),
            pace: Pace::default(),
            asking: tokio::sync::Mutex::default(),
            learners: TaskTracker::new(),
            top: Arc::default(),
            turn: AtomicUsize::new(0),
            told_lost: AtomicBool::new(false),
            interruptions: AtomicU64::new(0),
        }
    }

    /// The connections to the node that has a slot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if none is known to have it; [`StoreError::Unfit`].
    pub(super) async fn of(self: &Arc<Self>, slot: Slot) -> Result<Arc<Links>, StoreError> {
        let known = self.known_or_learnt().await?;
        let links = known.slots.owner(slot).and_then(|owner| known.links.get(owner)).map(Arc::clone);
        if links.is_none() {
            self.suspicion.raise();
        }
        self.learn_beside();
        links.ok_or(StoreError::Unavailable)
    }

    /// The connections to each primary.
    ///
    /// # Errors
    /// As for [`Cluster::of`].
    pub(super) async fn all(self: &Arc<Self>) -> Result<Vec<Arc<Links>>, StoreError> {
        let known = self.known_or_learnt().await?;
        if self.pace.is_older_than(LONGEST, Instant::now()) {
            self.suspicion.raise();
        }
        self.learn_beside();
        Ok(known.links.clone())
    }

    pub(super) fn suspect(self: &Arc<Self>) {
        self.suspicion.raise();
        self.learn_beside();
    }

    /// Asks who has what, if there is reason to, on a task of its own: the answer counts for the calls that come then.
    pub(super) fn learn_beside(self: &Arc<Self>) {
        if !self.suspicion.is_raised() || !self.pace.pass(Instant::now()) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let cluster = Arc::clone(self);
        self.learners.spawn_on(
            async move {
                let Ok(_turn) = cluster.asking.try_lock() else { return };
                if let Err(error) = cluster.learn().await {
                    tracing::debug!(%error, "the cluster's slots are as they were known");
                }
            },
            &runtime,
        );
    }

    /// Asks who has what, whether there is reason to or not.
    pub(super) async fn learn_now(&self) -> Result<(), StoreError> {
        let _turn = self.asking.lock().await;
        self.learn().await
    }

    pub(super) fn nodes(&self, down: usize) -> Option<Nodes> {
        let known = self.known().ok()??;
        Some(Nodes { all: known.links.len(), down, uncovered_slots: known.slots.uncovered() })
    }

    pub(super) fn interruptions(&self) -> u64 {
        let links = self.known().ok().flatten().map(|known| known.links.clone()).unwrap_or_default();
        let gone = self.interruptions.load(Ordering::Relaxed);
        links.iter().fold(gone, |sum, links| sum.saturating_add(links.interruptions()))
    }

    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        let known = self.known().unwrap().unwrap();
        known.links.iter().map(|links| links.failures()).sum()
    }

    fn known(&self) -> Result<Option<Arc<Known>>, StoreError> {
        Ok(self.known.read().or(Err(StoreError::Poisoned))?.clone())
    }

    async fn known_or_learnt(&self) -> Result<Arc<Known>, StoreError> {
        if let Some(known) = self.known()? {
            return Ok(known);
        }
        // Others wait for the one who asks.
        let Ok(_turn) = tokio::time::timeout(self.timeout, self.asking.lock()).await else {
            return Err(StoreError::Unavailable);
        };
        if self.known()?.is_none() {
            if !self.pace.pass(Instant::now()) {
                return Err(StoreError::Unavailable);
            }
            self.learn().await?;
        }
        self.known()?.ok_or(StoreError::Unavailable)
    }

    /// Asks a few nodes in turn, and then the configured place. The turn to ask is held by the caller.
    async fn learn(&self) -> Result<(), StoreError> {
        self.suspicion.lay();
        let known = self.known()?;
        let mut why = StoreError::Unavailable;
        for (place, of_node) in self.places(known.as_deref()) {
            match self.ask(&place).await {
                // A node's place may have been given to another cluster's.
                Ok(slots)
                    if of_node
                        && known.as_ref().is_some_and(|known| !slots.shares_a_node_with(&known.slots)) =>
                {
                    tracing::debug!("where a node of the cluster was, there is another cluster");
                }
                Ok(slots) => return self.adopt(slots),
                Err(error) => why = error,
            }
        }
        self.suspicion.raise();
        self.pace.learnt(Instant::now(), Learnt::Nothing);
        if !self.told_lost.swap(true, Ordering::Relaxed) {
            self.interruptions.fetch_add(1, Ordering::Relaxed);
            tracing::error!(error = %why, "no node of the store's cluster says which slots are where");
        }
        Err(why)
    }

    /// Whom to ask, and whether that is a node that was learnt of.
    fn places(&self, known: Option<&Known>) -> Vec<(Address, bool)> {
        let primaries = known.map(|known| known.slots.primaries()).unwrap_or_default();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(primaries.len()).unwrap_or_default();
        let in_turn = primaries.iter().cycle().skip(turn).take(primaries.len().min(MOST_ASKED));
        let nodes = in_turn.filter_map(|primary| {
            let address = self.address.moved_to(primary.node.host.clone(), primary.node.port);
            Some((address.ok()?, true))
        });
        nodes.chain([(self.address.clone(), false)]).collect()
    }

    async fn ask(&self, place: &Address) -> Result<Slots, StoreError> {
        let within = self.timeout.saturating_mul(CONNECT_FACTOR);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(within));
        let asked = async {
            let client = place.primary(within).await?;
            let connection = client.get_multiplexed_async_connection_with_config(&config).await;
            let mut connection = connection.map_err(|error| unreachable_server(&error))?;
            let mut commands = Pipeline::new();
            commands.cmd("INFO").arg("cluster").cmd("CLUSTER").arg("SLOTS");
            let answers = connection.send_packed_commands(&commands, 0, 2).await;
            let answers = answers.map_err(|error| unreachable_server(&error))?;
            let Ok([info, slots]) = <[Value; 2]>::try_from(answers) else { return Err(StoreError::Foreign) };
            let info = info.extract_error().map_err(|error| unreachable_server(&error))?;
            let Value::BulkString(info) = info else { return Err(StoreError::Foreign) };
            check_cluster(&String::from_utf8_lossy(&info), true).map_err(StoreError::Unfit)?;
            let slots = slots.extract_error().map_err(|error| unreachable_server(&error))?;
            Slots::read(&slots, &place.host()).ok_or(StoreError::Foreign)
        };
        tokio::time::timeout(within, asked).await.unwrap_or(Err(StoreError::Unavailable))
    }

    /// Goes by an answer from now on. Connections to nodes that are in it stay.
    fn adopt(&self, slots: Slots) -> Result<(), StoreError> {
        let mut known = self.known.write().or(Err(StoreError::Poisoned))?;
        let before = known.as_deref();
        self.told_lost.store(false, Ordering::Relaxed);
        if before.is_some_and(|before| before.slots == slots) {
            self.pace.learnt(Instant::now(), Learnt::Same);
            return Ok(());
        }
        let mut links = Vec::with_capacity(slots.primaries().len());
        for primary in slots.primaries() {
            let of_node = |links: &&Arc<Links>| links.node() == Some(&primary.node);
            let kept = before.and_then(|before| before.links.iter().find(of_node));
            links.push(match kept {
                Some(kept) => {
                    kept.retag(primary.tag);
                    Arc::clone(kept)
                }
                None => {
                    let address = self.address.moved_to(primary.node.host.clone(), primary.node.port)?;
                    let (suspicion, top) = (Arc::clone(&self.suspicion), Arc::clone(&self.top));
                    Arc::new(Links::of_node(address, self.timeout, primary, suspicion, top))
                }
            });
        }
        for gone in before.iter().flat_map(|before| &before.links) {
            if !links.iter().any(|kept| Arc::ptr_eq(kept, gone)) {
                self.interruptions.fetch_add(gone.interruptions(), Ordering::Relaxed);
            }
        }
        tracing::info!(primaries = links.len(), uncovered_slots = slots.uncovered(), "the store's cluster");
        *known = Some(Arc::new(Known { slots, links }));
        self.pace.learnt(Instant::now(), Learnt::New);
        Ok(())
    }
}

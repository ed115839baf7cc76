//! The servers of a store: one, or the nodes of a cluster, each with connections, a gate and a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::cluster::Cluster;
use super::keys::Prefix;
use super::link::Links;
use super::slots::Slot;
use crate::admission::{Scope, StoreError};
use crate::replay::Nodes;

/// The servers of a store.
#[derive(Debug, Clone)]
pub(super) enum Servers {
    /// One, or whichever sentinels name.
    One(Arc<Links>),
    /// Each slot has its node.
    Cluster(Arc<Cluster>),
}

impl Servers {
    pub(super) fn new(address: Address, timeout: Duration) -> Self {
        if address.is_of_cluster() {
            Self::Cluster(Arc::new(Cluster::new(address, timeout)))
        } else {
            Self::One(Arc::new(Links::new(address, timeout)))
        }
    }

    /// The server that has a scope, as far as is known.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if no server is known to have it.
    pub(super) async fn of_scope(&self, scope: Scope) -> Result<Arc<Links>, StoreError> {
        self.of(|| Prefix::slot(scope)).await
    }

    /// The server that has the revocations.
    ///
    /// # Errors
    /// As for [`Servers::of_scope`].
    pub(super) async fn of_revocations(&self) -> Result<Arc<Links>, StoreError> {
        self.of(Prefix::revocations_slot).await
    }

    async fn of(&self, slot: impl FnOnce() -> Slot) -> Result<Arc<Links>, StoreError> {
        match self {
            Self::One(links) => Ok(Arc::clone(links)),
            Self::Cluster(cluster) => cluster.of(slot()).await,
        }
    }

    /// The server that has the revocations if it is another than was thought: asked now, however often it was before. For
    /// an order that was not taken.
    pub(super) async fn of_revocations_instead(
        &self,
        before: Option<&Arc<Links>>,
        within: Duration,
    ) -> Option<Arc<Links>> {
        let Self::Cluster(cluster) = self else { return None };
        if tokio::time::timeout(within, cluster.learn_now()).await.is_err() {
            return None;
        }
        let links = cluster.of(Prefix::revocations_slot()).await.ok()?;
        before.is_none_or(|before| !Arc::ptr_eq(before, &links)).then_some(links)
    }

    /// All of them.
    ///
    /// # Errors
    /// As for [`Servers::of_scope`], if none is known.
    pub(super) async fn all(&self) -> Result<Vec<Arc<Links>>, StoreError> {
        match self {
            Self::One(links) => Ok(vec![Arc::clone(links)]),
            Self::Cluster(cluster) => cluster.all().await,
        }
    }

    /// What is known of a cluster, of whose nodes so many cannot be used.
    pub(super) fn nodes(&self, down: usize) -> Option<Nodes> {
        match self {
            Self::One(_) => None,
            Self::Cluster(cluster) => cluster.nodes(down),
        }
    }

    /// Something failed: has a slot moved? Asks beside the caller, if there is reason to and it is time.
    pub(super) fn doubt(&self) {
        match self {
            Self::One(_) => {}
            Self::Cluster(cluster) => cluster.learn_beside(),
        }
    }

    /// The feed of revocations broke: others may have them now.
    pub(super) fn suspect(&self) {
        match self {
            Self::One(_) => {}
            Self::Cluster(cluster) => cluster.suspect(),
        }
    }

    /// How often a server could not be asked any more.
    pub(super) fn interruptions(&self) -> u64 {
        match self {
            Self::One(links) => links.interruptions(),
            Self::Cluster(cluster) => cluster.interruptions(),
        }
    }

    /// How often a connection could not be made, broke or fell silent.
    #[cfg(test)]
    pub(super) fn failures(&self) -> u64 {
        match self {
            Self::One(links) => links.failures(),
            Self::Cluster(cluster) => cluster.failures(),
        }
    }
}

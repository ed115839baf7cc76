//! A cluster: revocations lie on one node, wherever that is now.

use super::super::super::tests::ports::Reserved as Ports;
use super::super::super::tests::process::cluster::Cluster;
use super::*;

/// The node that has the revocations at first, of three.
const FIRST: usize = 1;

struct Nodes {
    cluster: Cluster,
    slot: u16,
    _ports: Ports,
    _folder: tempfile::TempDir,
}

impl Nodes {
    fn start(kind: Kind, copied: &[usize]) -> Self {
        let (ports, folder) = (Ports::block().unwrap(), tempfile::tempdir().unwrap());
        let cluster = Cluster::start(kind, folder.path(), &ports.all(), 3, copied).unwrap();
        let slot = cluster.slot_of(&Prefix::default().revocation_memory()).unwrap();
        assert_eq!(cluster.owner_of(&cluster.nodes[0], slot).unwrap(), Some(FIRST));
        Self { cluster, slot, _ports: ports, _folder: folder }
    }

    fn follower(&self, prefix: &str, limits: RevocationLimits) -> Follower {
        Follower::at(Address::of_cluster(&self.cluster.url().into(), None).unwrap(), prefix, limits)
    }

    async fn ready(&self) -> Follower {
        let follower = self.follower("exequatur", RevocationLimits::default()).follow();
        follower.until_known().await;
        follower
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let nodes = Nodes::start(kind, &[]);
        let stores = AtomicU32::new(0);
        contract::check(start(), async |limits| {
            let number = stores.fetch_add(1, Ordering::Relaxed);
            let follower = nodes.follower(&format!("contract:{number}"), limits);
            *follower.told.lock().unwrap() = Some(start());
            let follower = follower.follow();
            follower.until_known().await;
            Ok(Told(follower))
        })
        .await
        .unwrap();
    }
}

/// C-09: the slot of the revocations moves. An order that neither node takes holds where it was given; all are obeyed
/// by all once the move is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revocations_that_move_are_followed() {
    for kind in Kind::ALL {
        let nodes = Nodes::start(kind, &[]);
        let (one, other) = (nodes.ready().await, nodes.ready().await);
        assert_eq!(one.order(1).await.behind(), 0);
        nodes.cluster.begin_move(nodes.slot, FIRST, 2).unwrap();
        nodes.cluster.move_keys(nodes.slot, FIRST, 2).unwrap();
        let kept = one.revoke(&revocation(2), start()).await;
        assert_eq!(kept, Err(RevocationError::NotKept(ErrorKind::TimedOut)), "{kind:?}");
        assert!(one.stops(1) && one.stops(2) && other.stops(1), "{kind:?}");
        nodes.cluster.end_move(nodes.slot, FIRST, 2).unwrap();
        // The first order after it finds its way by itself.
        assert!(one.order(3).await.changed, "{kind:?}");
        until(|| [1, 2, 3].iter().all(|n| other.stops(*n) && one.stops(*n))).await;
        assert_eq!(other.order(4).await.behind(), 0, "{kind:?}");
        assert!(one.stops(4));
        let later = nodes.ready().await;
        assert!([1, 2, 3, 4].iter().all(|n| later.stops(*n)), "{kind:?}");
        assert_eq!(listed(&later).await.len(), 4);
    }
}

/// C-09: the node that has the revocations is killed, and its copy has not all of them: those who know say them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_took_with_it_is_said_again() {
    for kind in Kind::ALL {
        let mut nodes = Nodes::start(kind, &[FIRST]);
        let (one, other) = (nodes.ready().await, nodes.ready().await);
        assert_eq!(one.order(1).await.behind(), 0);
        assert!(nodes.cluster.nodes[FIRST].say(&["WAIT", "1", "10000"]).unwrap().starts_with(":1"));
        nodes.cluster.nodes[3].signal("STOP").unwrap();
        assert_eq!(one.order(2).await.behind(), 0, "the copy does not get it");
        nodes.cluster.nodes[FIRST].kill().unwrap();
        nodes.cluster.nodes[3].signal("CONT").unwrap();
        nodes.cluster.until_taken_over(nodes.slot, 3, FIRST).unwrap();
        assert!(one.order(3).await.changed, "{kind:?}");
        until(|| [1, 2, 3].iter().all(|n| one.stops(*n) && other.stops(*n))).await;
        let all_listed = async {
            while listed(&one).await.len() < 3 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), all_listed).await.unwrap();
        let later = nodes.ready().await;
        until(|| [1, 2, 3].iter().all(|n| later.stops(*n))).await;
    }
}

//! A cluster: each scope on its node, wherever that is now.

use super::process::cluster::Cluster;
use super::*;

/// Three primaries, and copies of the first.
struct Nodes {
    cluster: Cluster,
    _ports: Ports,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Nodes {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

fn nodes(kind: Kind, copied: &[usize]) -> Nodes {
    let (ports, folder) = (Ports::block().unwrap(), folder());
    let cluster = Cluster::start(kind, folder.path(), &ports.all(), 3, copied).unwrap();
    Nodes { cluster, _ports: ports, _folder: folder }
}

fn over(nodes: &Nodes, prefix: &str, bounds: WindowBounds, timeout: Duration) -> RedisStore {
    RedisStore::new(RedisConfig {
        address: Address::of_cluster(&nodes.url().into(), None).unwrap(),
        prefix: Prefix::parse(prefix).unwrap(),
        timeout,
        bounds,
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    })
}

fn replica(nodes: &Nodes) -> RedisStore {
    over(nodes, "exequatur", WindowBounds::default(), Duration::from_secs(2))
}

/// A scope on each of the three primaries, and its slot.
fn scopes(nodes: &Nodes) -> [(Scope, u16); 3] {
    let scope = |n: u8| Scope([n; 16]);
    std::array::from_fn(|owner| {
        let mut found =
            (0..=255).map(|n| (scope(n), nodes.slot_of(&Prefix::default().memory(scope(n))).unwrap()));
        found.find(|(_, slot)| usize::from(*slot) / 5462 == owner).unwrap()
    })
}

/// A proof of now with a nonce of the scope's epoch.
async fn undoubted_in(store: &RedisStore, nodes: &Nodes, scope: Scope, n: u8) -> Claim {
    // The clock of all nodes is that of this machine.
    let now = server_time(&nodes.nodes[2]);
    let epoch = async {
        loop {
            if let Ok(epoch) = store.epoch(scope, now).await {
                return epoch;
            }
            tokio::task::yield_now().await;
        }
    };
    let epoch = tokio::time::timeout(Duration::from_secs(20), epoch).await.unwrap();
    Claim { nonce_epoch: Some(epoch), ..claim(n, now) }
}

/// Claims until it is answered.
async fn answered(store: &RedisStore, scope: Scope, claim: &Claim) -> ClaimOutcome {
    let answer = async {
        loop {
            match store.claim(scope, claim, claim.issued_at).await {
                Ok(outcome) => return outcome,
                Err(StoreError::Unavailable | StoreError::Unfit(Unfit::Replica)) => {
                    tokio::task::yield_now().await
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap()
}

/// D18, G06, G07, C-10: a cluster does what one server does.
#[tokio::test]
async fn it_keeps_the_contract() {
    for kind in Kind::ALL {
        let nodes = nodes(kind, &[]);
        let stores = std::sync::atomic::AtomicU32::new(0);
        contract::check(at(0), async |limits, _start| {
            let number = stores.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let bounds =
                WindowBounds { max_per_tenant: limits.max_per_tenant, max_per_key: limits.max_per_key };
            Ok(Told(over(&nodes, &format!("c:{number}"), bounds, Duration::from_secs(5))))
        })
        .await
        .unwrap();
    }
}

/// G06: each scope lies on its node, with a clock for each node; of many replicas one is first.
#[tokio::test]
async fn each_scope_has_its_node() {
    for kind in Kind::ALL {
        let nodes = nodes(kind, &[]);
        let (one, other) = (replica(&nodes), replica(&nodes));
        for (owner, (scope, _)) in scopes(&nodes).into_iter().enumerate() {
            let used = undoubted_in(&one, &nodes, scope, 1).await;
            assert!(fresh(&one.claim(scope, &used, used.issued_at).await));
            assert_eq!(other.claim(scope, &used, used.issued_at).await, Ok(ClaimOutcome::Replayed));
            let memory = Prefix::default().memory(scope);
            for (number, node) in nodes.nodes.iter().enumerate() {
                let keys = node.say(&["KEYS", "*"]).unwrap();
                assert_eq!(keys.contains(&memory), number == owner, "{kind:?} {owner} {number}: {keys}");
            }
        }
        for node in &nodes.nodes {
            let keys = node.say(&["KEYS", "exequatur:*:clock:*"]).unwrap();
            assert!(keys.starts_with("*1\r"), "one clock, whoever looks: {keys}");
        }
        let health = one.health(at(0)).await.unwrap();
        assert_eq!(health.nodes, Some(crate::replay::Nodes { all: 3, down: 0, uncovered_slots: 0 }));
    }
}

/// C-06: what is no cluster is none, and a node of one is no single server.
#[tokio::test]
async fn a_server_is_what_it_was_configured_as() {
    for kind in Kind::ALL {
        let (ports, folder, nodes) = (Ports::block().unwrap(), folder(), nodes(kind, &[]));
        let [port, ..] = ports.all();
        let single = Redis::start(kind, folder.path(), Some(port), &[]).unwrap();
        let as_cluster = RedisStore::new(RedisConfig {
            address: Address::of_cluster(&single.url().into(), None).unwrap(),
            prefix: Prefix::default(),
            timeout: Duration::from_secs(5),
            bounds: WindowBounds::default(),
            limits_without: LimitsWithout::Local,
            replicas: NonZeroU32::MIN,
        });
        assert_eq!(as_cluster.epoch(SCOPE, at(0)).await, Err(StoreError::Unfit(Unfit::Single)));
        let as_single = bounded(&nodes.url(), "exequatur", WindowBounds::default());
        assert_eq!(as_single.epoch(SCOPE, at(0)).await, Err(StoreError::Unfit(Unfit::Cluster)));
    }
}

/// What the address of a cluster may be.
#[test]
fn a_cluster_has_one_database_and_ports() {
    let of = |url: &str| Address::of_cluster(&url.to_owned().into(), None).map(drop);
    assert_eq!(of("redis://localhost:7000/0"), Ok(()));
    assert_eq!(of("redis://localhost:7000/1"), Err(AddressError::Database));
    assert_eq!(of("redis+unix:///run/redis.sock"), Err(AddressError::Socket));
    assert_eq!(of("nonsense"), Err(AddressError::Malformed));
}

/// C-09, G11: a slot moves while claims come, to a node and back: what was used passes never again. While its keys move it
/// is refused, afterwards doubted once, and then it goes on. Scopes of other nodes notice nothing.
#[tokio::test]
async fn a_slot_that_moves_is_doubted() {
    for kind in Kind::ALL {
        let nodes = nodes(kind, &[]);
        let [(scope, slot), (elsewhere, _), _] = scopes(&nodes);
        let (one, other) = (replica(&nodes), replica(&nodes));
        let far = undoubted_in(&one, &nodes, elsewhere, 1).await;
        let mut next = 0;
        let mut proof = |first: &Claim| {
            next += 1;
            Claim { key: ReplayKey { proof: [next; 16], holder: [1; 16] }, ..first.clone() }
        };
        assert!(fresh(&one.claim(elsewhere, &far, far.issued_at).await));
        let mut used = Vec::new();
        for (from, to) in [(0, 1), (1, 0), (0, 2)] {
            let what = format!("{kind:?}: from {from} to {to}");
            let first = undoubted_in(&one, &nodes, scope, 0).await;
            for store in [&one, &other] {
                let taken = proof(&first);
                assert!(matches!(answered(store, scope, &taken).await, ClaimOutcome::Fresh(_)), "{what}");
                used.push(taken);
            }
            nodes.begin_move(slot, from, to).unwrap();
            for store in [&one, &other] {
                let new = proof(&first);
                let got = store.claim(scope, &new, new.issued_at).await;
                assert_eq!(got, Err(StoreError::Unavailable), "{what}: what is new is taken by neither");
                for used in &used {
                    assert!(!fresh(&store.claim(scope, used, used.issued_at).await), "{what}");
                }
            }
            nodes.move_keys(slot, from, to).unwrap();
            for used in &used {
                let got = one.claim(scope, used, used.issued_at).await;
                assert_eq!(got, Err(StoreError::Unavailable), "{what}: moved, and not yet given");
            }
            nodes.end_move(slot, from, to).unwrap();
            let last = used.last().unwrap();
            for store in [&one, &other] {
                let got = answered(store, scope, last).await;
                assert!(matches!(got, ClaimOutcome::Doubtful { .. }), "{what}: {got:?}");
            }
            let epochs = (one.epoch(scope, at(0)).await, other.epoch(scope, at(0)).await);
            assert!(epochs.0.is_ok() && epochs.0 == epochs.1, "{what}: {epochs:?}");
            for used in &used {
                assert!(!fresh(&other.claim(scope, used, used.issued_at).await), "{what}");
            }
            let replayed = other.claim(elsewhere, &far, far.issued_at).await;
            assert_eq!(replayed, Ok(ClaimOutcome::Replayed), "{what}: no doubt elsewhere");
        }
    }
}

/// C-09, G11: a slot that moves as a whole, as Valkey can: nothing is refused but what comes to the wrong node, and what was
/// used is doubted.
#[tokio::test]
async fn a_slot_that_moves_at_once_is_doubted() {
    let nodes = nodes(Kind::Newest, &[]);
    let [(scope, slot), ..] = scopes(&nodes);
    let store = replica(&nodes);
    let used = undoubted_in(&store, &nodes, scope, 0).await;
    assert!(fresh(&store.claim(scope, &used, used.issued_at).await));
    let target = nodes.nodes[2].say(&["CLUSTER", "MYID"]).unwrap();
    let (slot, target) = (slot.to_string(), target.lines().nth(1).unwrap());
    let move_it = ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &slot, &slot, "NODE", target];
    let said = nodes.nodes[0].say(&move_it).unwrap();
    assert!(said.starts_with("+OK"), "{said}");
    let moved = async {
        let mut taken = 0_u16;
        loop {
            let [high, low] = taken.to_be_bytes();
            let proof = [high, low, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
            let new = Claim { key: ReplayKey { proof, holder: [1; 16] }, ..used.clone() };
            match store.claim(scope, &new, new.issued_at).await {
                Ok(ClaimOutcome::Fresh(_)) => taken += 1,
                Ok(ClaimOutcome::Doubtful { .. }) => return taken,
                Err(StoreError::Unavailable) => {}
                other => panic!("{other:?}"),
            }
            let again = store.claim(scope, &used, used.issued_at).await;
            assert!(!fresh(&again), "{again:?}");
            tokio::task::yield_now().await;
        }
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), moved).await.unwrap();
    assert!(nodes.nodes[2].say(&["KEYS", "*:1:p:*"]).unwrap().starts_with(&format!("*{}\r", taken + 1)));
    let again = store.claim(scope, &used, used.issued_at).await;
    assert!(matches!(again, Ok(ClaimOutcome::Doubtful { .. })), "{again:?}");
}

/// C-09, G11: a node is killed and its copy takes over: what was used passes never again, whether the copy had it or not.
/// The others' scopes go on all the time.
#[tokio::test]
async fn a_copy_of_a_node_that_takes_over_is_doubted() {
    for kind in Kind::ALL {
        let mut nodes = nodes(kind, &[0]);
        let [(scope, slot), (elsewhere, _), (third, _)] = scopes(&nodes);
        let store = replica(&nodes);
        let used = undoubted_in(&store, &nodes, scope, 1).await;
        assert!(fresh(&store.claim(scope, &used, used.issued_at).await));
        assert!(nodes.nodes[0].say(&["WAIT", "1", "10000"]).unwrap().starts_with(":1"));
        // The copy does not get this one.
        nodes.nodes[3].signal("STOP").unwrap();
        let lost = Claim { key: ReplayKey { proof: [2; 16], ..used.key }, ..used.clone() };
        assert!(fresh(&store.claim(scope, &lost, lost.issued_at).await));
        let near =
            [undoubted_in(&store, &nodes, elsewhere, 1).await, undoubted_in(&store, &nodes, third, 1).await];
        nodes.cluster.nodes[0].kill().unwrap();
        nodes.nodes[3].signal("CONT").unwrap();
        let mut went_on = 0_u16;
        let goes_on = async |went_on: &mut u16| {
            for (scope, near) in [elsewhere, third].into_iter().zip(&near) {
                let [high, low] = went_on.to_be_bytes();
                let proof = [high, low, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
                let new = Claim { key: ReplayKey { proof, holder: [2; 16] }, ..near.clone() };
                assert!(fresh(&store.claim(scope, &new, new.issued_at).await), "{kind:?}: {went_on}");
            }
            *went_on += 1;
        };
        let taken_over = async {
            let mut down = 0;
            loop {
                goes_on(&mut went_on).await;
                match store.claim(scope, &used, used.issued_at).await {
                    Ok(outcome) => return (outcome, down),
                    Err(StoreError::Unavailable | StoreError::Unfit(Unfit::Replica)) => {}
                    Err(error) => panic!("{error}"),
                }
                let health = store.health(at(0)).await.unwrap();
                down = down.max(health.nodes.unwrap().down);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (outcome, down) = tokio::time::timeout(Duration::from_secs(30), taken_over).await.unwrap();
        assert!(matches!(outcome, ClaimOutcome::Doubtful { .. }), "{kind:?}: {outcome:?}");
        assert_eq!(down, 1, "{kind:?}");
        // The copy serves before all the others have heard of it.
        nodes.until_taken_over(slot, 3, 0).unwrap();
        assert!(went_on > 10, "{went_on}");
        for used in [&used, &lost] {
            let got = store.claim(scope, used, used.issued_at).await;
            assert!(matches!(got, Ok(ClaimOutcome::Doubtful { .. })), "{kind:?}: {got:?}");
        }
        let after = undoubted_in(&store, &nodes, scope, 50).await;
        assert!(fresh(&store.claim(scope, &after, after.issued_at).await));
        assert_eq!(store.claim(scope, &after, after.issued_at).await, Ok(ClaimOutcome::Replayed));
        assert_eq!(store.health(at(0)).await.unwrap().nodes.map(|nodes| nodes.down), Some(0));
    }
}

/// C-10: the node that a scope moves to has a clock that lags behind: what the other one took is doubted for as long.
#[tokio::test]
async fn a_node_that_lags_behind_doubts_for_longer() {
    let nodes = nodes(Kind::Newest, &[]);
    let [(scope, slot), ..] = scopes(&nodes);
    let told = Told(replica(&nodes));
    told.epoch(scope, at(0)).await.unwrap();
    let used = claim(1, at(60_000));
    assert!(fresh(&told.claim(scope, &used, at(60_000)).await));
    nodes.begin_move(slot, 0, 1).unwrap();
    nodes.move_keys(slot, 0, 1).unwrap();
    nodes.end_move(slot, 0, 1).unwrap();
    nodes.nodes[1].say(&["DEL", &Prefix::default().proof(scope, &[1; 16])]).unwrap();
    told.tell(at(10_000));
    let began = async {
        while told.0.epoch(scope, at(10_000)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), began).await.unwrap();
    for now in [at(50_000), at(60_000), at(70_000)] {
        let got = told.claim(scope, &used, now).await;
        assert!(matches!(got, Ok(ClaimOutcome::Doubtful { .. })), "{got:?}");
    }
}

/// G11: the slot in which a node's clock lies moves. The clock goes on, for the node that gave it and for the one that got it:
/// nothing that they remember is doubted.
#[tokio::test]
async fn a_clock_whose_slot_moves_goes_on() {
    // The third node's tag is less than the second's, which then has its clock in that slot too.
    for (kind, [giver, taker]) in Kind::ALL.into_iter().flat_map(|kind| [(kind, [0, 1]), (kind, [2, 1])]) {
        let nodes = nodes(kind, &[]);
        let [(from, _), (to, _)] = [giver, taker].map(|node: usize| scopes(&nodes)[node]);
        let store = replica(&nodes);
        let used = undoubted_in(&store, &nodes, from, 1).await;
        let near = undoubted_in(&store, &nodes, to, 2).await;
        assert!(fresh(&store.claim(from, &used, used.issued_at).await));
        assert!(fresh(&store.claim(to, &near, near.issued_at).await));
        let clocks = |node: usize| {
            let keys = nodes.nodes[node].say(&["KEYS", "*:clock:*"]).unwrap();
            keys.lines().filter(|key| key.starts_with("exequatur")).map(str::to_owned).collect::<Vec<_>>()
        };
        let [clock] = clocks(giver).try_into().unwrap();
        let slot = nodes.slot_of(&clock).unwrap();
        nodes.begin_move(slot, giver, taker).unwrap();
        nodes.move_keys(slot, giver, taker).unwrap();
        nodes.end_move(slot, giver, taker).unwrap();
        let looked = async {
            // Until who gave it has another, and the other's, which may be where it was, was looked at.
            while store.health(at(0)).await.is_err() || clocks(giver).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looked).await.unwrap();
        for store in [store, replica(&nodes)] {
            let health = store.health(at(0)).await.unwrap();
            assert_eq!(health.nodes.map(|nodes| nodes.down), Some(0), "{kind:?}");
            for (scope, claim) in [(from, &used), (to, &near)] {
                let got = store.claim(scope, claim, claim.issued_at).await;
                assert_eq!(got, Ok(ClaimOutcome::Replayed), "{kind:?}");
            }
        }
    }
}

/// C-01, C-02: a node without a copy is killed, and comes back with nothing. Its scopes are refused meanwhile, and no others.
#[tokio::test]
async fn a_node_that_is_gone_takes_its_scopes_alone() {
    let mut nodes = nodes(Kind::Newest, &[]);
    let [(scope, _), (elsewhere, _), _] = scopes(&nodes);
    let store = replica(&nodes);
    let used = undoubted_in(&store, &nodes, scope, 1).await;
    assert!(fresh(&store.claim(scope, &used, used.issued_at).await));
    let near = undoubted_in(&store, &nodes, elsewhere, 1).await;
    nodes.cluster.nodes[0].kill().unwrap();
    let begin = tokio::time::Instant::now();
    for n in 0..200 {
        let got = store.claim(scope, &used, used.issued_at).await;
        assert_eq!(got, Err(StoreError::Unavailable));
        let new = Claim { key: ReplayKey { proof: [n; 16], holder: [2; 16] }, ..near.clone() };
        assert!(fresh(&store.claim(elsewhere, &new, new.issued_at).await));
    }
    // The slots were asked for when the store was new, and are again at times.
    let asked = || nodes.nodes[1..].iter().map(times_asked).sum::<u32>();
    let again = async {
        // A fast machine is through before it is time to ask.
        while asked() == 0 {
            assert_eq!(store.claim(scope, &used, used.issued_at).await, Err(StoreError::Unavailable));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.unwrap();
    let asked = asked();
    let most = 10 + 20 * u32::try_from(begin.elapsed().as_secs()).unwrap();
    assert!((1..=most).contains(&asked), "{asked} times for 200 calls");
    let health = store.health(at(0)).await.unwrap();
    assert_eq!(health.nodes.map(|nodes| (nodes.all, nodes.down)), Some((3, 1)));
    // A replica that starts now finds the cluster by the nodes that are there.
    let [_, second, _] = [0, 1, 2].map(|number: usize| nodes.nodes[number].url());
    let later = RedisStore::new(RedisConfig {
        address: Address::of_cluster(&second.into(), None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(2),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    assert!(later.epoch(elsewhere, at(0)).await.is_ok());
    assert_eq!(later.epoch(scope, at(0)).await, Err(StoreError::Unavailable));
    nodes.cluster.nodes[0].start_again().unwrap();
    let got = answered(&store, scope, &used).await;
    assert!(matches!(got, ClaimOutcome::Doubtful { .. }), "{got:?}");
}

/// C-03: a node hangs. Its scopes are refused in time; the others' go on, and nobody waits for it on their behalf.
#[tokio::test]
async fn a_node_that_hangs_holds_nobody_else_up() {
    let nodes = nodes(Kind::Newest, &[]);
    let [(scope, _), (elsewhere, _), _] = scopes(&nodes);
    let store = over(&nodes, "exequatur", WindowBounds::default(), Duration::from_millis(300));
    let used = undoubted_in(&store, &nodes, scope, 1).await;
    assert!(matches!(answered(&store, scope, &used).await, ClaimOutcome::Fresh(_)));
    let near = undoubted_in(&store, &nodes, elsewhere, 1).await;
    nodes.nodes[0].signal("STOP").unwrap();
    let begin = tokio::time::Instant::now();
    for n in 0..200 {
        let refused = store.claim(scope, &used, used.issued_at);
        let new = Claim { key: ReplayKey { proof: [n; 16], holder: [2; 16] }, ..near.clone() };
        let (refused, taken) = tokio::join!(refused, store.claim(elsewhere, &new, new.issued_at));
        assert_eq!(refused, Err(StoreError::Unavailable), "{n}");
        assert!(fresh(&taken), "{n}: {taken:?}");
    }
    // A few calls are waited for, and an attempt to connect about once a second.
    assert!(begin.elapsed() < Duration::from_secs(20), "200 calls of 300 ms each would take a minute");
    let health = store.health(at(0)).await.unwrap();
    assert_eq!(health.nodes.map(|nodes| (nodes.all, nodes.down)), Some((3, 1)));
    nodes.nodes[0].signal("CONT").unwrap();
    let got = answered(&store, scope, &used).await;
    assert_eq!(got, ClaimOutcome::Replayed, "it forgot nothing");
}

/// C-04, C-09: a node says that another has a slot, which has it not. Whoever asks there is refused, and finds the right one.
#[tokio::test]
async fn what_a_node_says_wrongly_lets_nothing_through() {
    for kind in Kind::ALL {
        let nodes = nodes(kind, &[]);
        let [_, (scope, slot), _] = scopes(&nodes);
        let store = replica(&nodes);
        let used = undoubted_in(&store, &nodes, scope, 1).await;
        assert!(fresh(&store.claim(scope, &used, used.issued_at).await));
        let third = nodes.nodes[2].say(&["CLUSTER", "MYID"]).unwrap();
        let third = third.lines().nth(1).unwrap();
        // Until the one that has it says so again, which takes nodes a moment.
        let said = nodes.nodes[0].say(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", third]).unwrap();
        assert!(said.starts_with("+OK"), "{said}");
        let misled = replica(&nodes);
        assert_eq!(
            misled.claim(scope, &used, used.issued_at).await,
            Err(StoreError::Unavailable),
            "{kind:?}"
        );
        assert_eq!(answered(&misled, scope, &used).await, ClaimOutcome::Replayed, "{kind:?}");
    }
}

/// How often a node was asked for the slots.
fn times_asked(node: &Redis) -> u32 {
    let stats = node.say(&["INFO", "commandstats"]).unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_cluster|slots:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// C-07: where the nodes of a cluster were, there are those of another, which have the same slots. Neither what they say of
/// slots nor they themselves count.
#[tokio::test]
async fn another_cluster_at_the_same_place_is_not_followed() {
    let (ports, folders) = (Ports::block().unwrap(), [folder(), folder()]);
    let cluster = Cluster::start(Kind::Newest, folders[0].path(), &ports.all(), 3, &[0]).unwrap();
    // The configured place is that of the copy, and nobody comes there later.
    let store = RedisStore::new(RedisConfig {
        address: Address::of_cluster(&cluster.nodes[3].url().into(), None).unwrap(),
        prefix: Prefix::default(),
        timeout: Duration::from_secs(2),
        bounds: WindowBounds::default(),
        limits_without: LimitsWithout::Local,
        replicas: NonZeroU32::MIN,
    });
    let now = server_time(&cluster.nodes[0]);
    let used = Claim { nonce_epoch: Some(store.epoch(SCOPE, now).await.unwrap()), ..claim(1, now) };
    assert!(fresh(&store.claim(SCOPE, &used, now).await));
    assert_eq!(store.health(now).await.unwrap().nodes.map(|nodes| nodes.down), Some(0));
    drop(cluster);
    let other = Cluster::start(Kind::Newest, folders[1].path(), &ports.all(), 3, &[]).unwrap();
    // Each is tried a few times.
    let enough = store.servers.failures() + 12;
    let tried = async {
        while store.servers.failures() < enough {
            assert_eq!(store.claim(SCOPE, &used, now).await, Err(StoreError::Unavailable));
            assert!(store.health(now).await.is_err(), "nobody of the cluster is there");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), tried).await.unwrap();
    drop(other);
}

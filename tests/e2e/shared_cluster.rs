//! Two replicas behind Envoy that share a real cluster: tenants on several of its nodes, while a node is killed and a slot
//! moves.

use exequatur_tests::orders::{command_at, with_orders};
use exequatur_tests::ports::Reserved;
use exequatur_tests::redis::Kind;
use exequatur_tests::redis::cluster::Cluster;
use exequatur_tests::traffic::{BEARERS_TOO, Load, Traffic, Who};
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack, in_time};
use serde_json::{Value, json};

const LOAD: Load = Load { honest: 5, thieves: 2, bearers: 1, rate: 12.0 };
/// Envoy asks one replica after the other.
const EACH: usize = 4;

/// Three primaries, each with a copy.
struct Nodes {
    cluster: Cluster,
    _ports: Reserved,
    _folder: tempfile::TempDir,
}

impl Nodes {
    fn start(kind: Kind) -> Self {
        let (ports, folder) = (Reserved::block().unwrap(), tempfile::tempdir().unwrap());
        let cluster = Cluster::start(kind, folder.path(), &ports.all(), 3, &[0, 1, 2]).unwrap();
        Self { cluster, _ports: ports, _folder: folder }
    }

    async fn stack(&self) -> Stack {
        // The node that is asked first is not the only one: another takes its place later.
        let store = format!("url: \"{}\", cluster: true, timeout: 2s, max_staleness: 1h", self.cluster.url());
        let options =
            Options { store: Some(store), redis: None, terse: true, ..Options::shared(Kind::Newest) };
        let mut options = with_orders(options);
        options.exequatur.extend(BEARERS_TOO);
        Stack::start(options).await.unwrap()
    }

    /// The memories of scopes on each primary.
    fn memories(&self) -> Vec<Vec<String>> {
        let of = |node: &exequatur_tests::redis::Redis| {
            let keys = node.say(&["KEYS", "exequatur:{*}"]).unwrap();
            let memory = |key: &&str| key.starts_with("exequatur:{") && !key.contains("{revocations}");
            keys.lines().filter(memory).map(str::to_owned).collect()
        };
        self.cluster.nodes.iter().take(3).map(of).collect()
    }

    /// Asks once for a tenant; the primary that it lies on, and its slot.
    async fn place_of(&self, stack: &Stack, tenant: &str) -> (usize, u16) {
        let before = self.memories();
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &json!({ "tenant": tenant }));
        let url = stack.url(&DOCUMENT.replace("acme", tenant));
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!(answer.status, 200, "{tenant}: {answer:?}");
        let after = self.memories();
        let new = |node: &usize| after[*node].iter().find(|key| !before[*node].contains(key));
        let node = (0..3).find(|node| new(node).is_some()).unwrap();
        (node, self.cluster.slot_of(new(&node).unwrap()).unwrap())
    }
}

async fn order(stack: &Stack, socket: &str, words: &[&str]) -> Value {
    let words: Vec<_> = words.iter().copied().chain(["--reason", "a test", "--output", "json"]).collect();
    command_at(stack, socket, &words).await.unwrap().json().unwrap()
}

/// Orders at one replica that a token be stopped; both obey from the answer on.
async fn stops_a_token(stack: &Stack, socket: &str, id: &str) {
    let agent = Agent::new();
    let token = stack.tokens.token(&agent, &json!({ "jti": id }));
    let url = stack.url(DOCUMENT);
    for _ in 0..EACH {
        assert_eq!(stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap().status, 200, "{id}");
    }
    let done = order(stack, socket, &["revoke", "token", &format!("corp:{id}")]).await;
    assert_eq!((&done["changed"], &done["kept"]), (&json!(true), &json!("shared")), "{id}: {done}");
    assert_eq!(done["behind"].as_u64().unwrap_or(0), 0, "{id}: {done}");
    for _ in 0..EACH {
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (401, "token_revoked"), "{id}");
    }
}

/// D-06, C-09, G11: a tenant's node is killed under load, and its copy takes over; then the tenant's slot moves to another
/// node. No proof passes twice, whoever follows a nonce goes on, the tenants of other nodes notice nothing, and orders are
/// obeyed by both replicas.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_killed_and_a_slot_moves() {
    for kind in Kind::ALL {
        let mut nodes = Nodes::start(kind);
        let mut stack = nodes.stack().await;
        let (node, slot) = nodes.place_of(&stack, "acme").await;
        let mut elsewhere = None;
        for tenant in ["globex", "initech", "hooli", "umbrella", "stark", "wayne", "tyrell", "cyberdyne"] {
            let (other, _) = nodes.place_of(&stack, tenant).await;
            if other != node {
                elsewhere = Some(tenant);
                break;
            }
        }
        let (here, there) =
            (Traffic::start(&stack, LOAD), Traffic::of_tenant(&stack, LOAD, elsewhere.unwrap()));
        here.all_well(3).await;
        there.all_well(3).await;
        stops_a_token(&stack, "admin.sock", "before").await;

        nodes.cluster.nodes[node].kill().unwrap();
        here.more("the node is gone", 5, |one| one.who == Who::Honest && one.status == 503).await;
        in_time("a node down", stack.wait_for_metric("exequatur_store_nodes{state=\"down\"} 1"))
            .await
            .unwrap();
        nodes.cluster.until_taken_over(slot, node + 3, node).unwrap();
        here.all_well(3).await;
        in_time("no node down", stack.wait_for_metric("exequatur_store_nodes{state=\"down\"} 0"))
            .await
            .unwrap();
        in_time("all of it", stack.wait_for_metric("exequatur_store_up 1")).await.unwrap();
        stops_a_token(&stack, "second.sock", "after-the-failover").await;

        let to = (0..3).find(|other| *other != node).unwrap();
        nodes.cluster.begin_move(slot, node + 3, to).unwrap();
        here.more("the slot moves", 5, |one| one.who == Who::Honest && one.status == 503).await;
        nodes.cluster.move_keys(slot, node + 3, to).unwrap();
        nodes.cluster.end_move(slot, node + 3, to).unwrap();
        here.all_well(3).await;
        stops_a_token(&stack, "admin.sock", "after-the-move").await;

        let there = there.stop().await;
        let refused = there.of(Who::Honest).find(|one| one.status != 200);
        assert!(refused.is_none(), "{kind:?}: a tenant of another node was refused: {refused:?}");
        there.assert_lawful(&format!("{kind:?}: elsewhere"), &stack.upstream);
        here.stop().await.assert_lawful(&format!("{kind:?}"), &stack.upstream);
        assert_eq!(stack.ended(), "");
    }
}

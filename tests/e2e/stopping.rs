//! C-17: a replica is told to stop while requests go through. Nobody outside notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use exequatur_tests::client::send;
use exequatur_tests::stack::{CHECKED_CLUSTER, CLUSTER, ONE_ENDPOINT, TWO_ENDPOINTS};
use exequatur_tests::{Agent, Call, DOCUMENT, OPEN, Options, Stack, in_time};
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinSet;

/// Requests at once.
const AT_ONCE: usize = 8;
/// Answers that are waited for before the stop, and after it.
const ENOUGH: u64 = 200;

/// A caller that sends requests of each kind, over and over.
#[derive(Clone)]
struct Caller {
    client: Client,
    agent: Arc<Agent>,
    token: String,
    document: String,
    open: String,
    nowhere: String,
}

impl Caller {
    fn of(stack: &Stack) -> Self {
        let agent = Agent::new();
        let token = stack.tokens.token(&agent, &Value::Null);
        Self {
            client: stack.client.clone(),
            agent: Arc::new(agent),
            token,
            document: stack.url(DOCUMENT),
            open: stack.url(OPEN),
            nowhere: stack.url("/nowhere"),
        }
    }

    /// One request of each kind: each has the answer that it always has.
    async fn ask_all(&self, answered: &AtomicU64) {
        let proof = self.agent.proof("GET", &self.document, &self.token, &Value::Null);
        let dpop = format!("DPoP {}", self.token);
        for (call, authorization, proof, expected) in [
            (Call::new("GET", &self.document), Some(&*dpop), Some(&*proof), (200, "")),
            (Call::new("GET", &self.open), None, None, (200, "")),
            (Call::new("GET", &self.document), None, None, (401, "credentials_missing")),
            (Call::new("GET", &self.nowhere), None, None, (403, "route_unmatched")),
        ] {
            let answer = send(&self.client, &call, authorization, proof).await.unwrap();
            assert_eq!((answer.status, answer.reason.as_str()), expected, "{call:?}");
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn until_more(answered: &AtomicU64, load: &mut JoinSet<()>, stack: &mut Stack) {
    let before = answered.load(Ordering::Relaxed);
    while answered.load(Ordering::Relaxed) < before + ENOUGH {
        if let Some(Err(error)) = load.try_join_next() {
            panic!("{error}; of the processes {}", stack.ended());
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_no_request() {
    let options = Options {
        terse: true,
        second_replica: true,
        envoy: vec![(CLUSTER, CHECKED_CLUSTER), (ONE_ENDPOINT, TWO_ENDPOINTS)],
        ..Options::default()
    };
    let mut stack = Stack::start(options).await.unwrap();
    for port in [stack.ports.grpc, stack.ports.second[0]] {
        stack.until_beyond_doubt(port).await;
    }
    let caller = Caller::of(&stack);
    let (answered, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut load = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (caller, answered, enough) = (caller.clone(), Arc::clone(&answered), Arc::clone(&enough));
        load.spawn(async move {
            while !enough.load(Ordering::Relaxed) {
                caller.ask_all(&answered).await;
            }
        });
    }
    in_time("answers", until_more(&answered, &mut load, &mut stack)).await;
    // Waits until it has ended, with success.
    stack.terminate_exequatur().await.unwrap();
    in_time("answers", until_more(&answered, &mut load, &mut stack)).await;
    enough.store(true, Ordering::Relaxed);
    load.join_all().await;
    // Nothing was cut, and nothing had to be waited for in vain.
    let log = stack.log().unwrap();
    let told = |line: &&str| line.contains("WARN") || line.contains("ERROR");
    assert_eq!(log.lines().filter(told).collect::<Vec<_>>(), [""; 0]);
    // Both had their share, and each answer is on record with one of them.
    let (first, second) = (stack.records().await.unwrap(), stack.records_of_second().await.unwrap());
    assert!(first.len() > 20 && second.len() > 20, "{} {}", first.len(), second.len());
}

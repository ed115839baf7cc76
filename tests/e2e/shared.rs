//! Two replicas behind Envoy that share a real Redis: what one has permitted the other knows, and what Redis has
//! forgotten is doubted by both (D18, G06, G11).

use exequatur_tests::redis::Kind;
use exequatur_tests::{Call, DOCUMENT, Options, Raw, Stack, Version, in_time};
use serde_json::{Value, json};

/// Copies of one proof, sent at once.
const COPIES: usize = 40;

/// Permits and replays among the answers to copies of one request, sent at once.
async fn race(stack: &Stack, request: &Raw) -> (usize, usize) {
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..COPIES {
        let (caller, request) = (stack.raw(Version::Http1), request.clone());
        asked.spawn(async move { caller.send(&request).await.unwrap() });
    }
    let answers = asked.join_all().await;
    let permitted = answers.iter().filter(|answer| answer.status == 200).count();
    let replayed = answers.iter().filter(|answer| answer.body.contains("dpop_replay")).count();
    (permitted, replayed)
}

/// G06, G07
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_proof_passes_once_in_the_fleet() {
    for kind in Kind::ALL {
        let stack = Stack::start(Options::shared(kind)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for _ in 0..3 {
            let request = holder.sign(Raw::new("GET", DOCUMENT));
            assert_eq!(race(&stack, &request).await, (1, COPIES - 1), "{kind:?}");
        }
        let (first, second) = (stack.records().await.unwrap(), stack.records_of_second().await.unwrap());
        assert!(first.len() > COPIES / 2 && second.len() > COPIES / 2, "{} {}", first.len(), second.len());
    }
}

/// A replica that starts anew knows what its fleet knows: there is no doubt.
#[tokio::test]
async fn a_replica_that_restarts_forgets_nothing() {
    let mut stack = Stack::start(Options::shared(Kind::Newest)).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let used = holder.sign(Raw::new("GET", DOCUMENT));
    let caller = stack.raw(Version::Http1);
    assert_eq!(caller.send(&used).await.unwrap().status, 200);
    stack.restart_exequatur().await.unwrap();
    for _ in 0..4 {
        let answer = caller.send(&used).await.unwrap();
        assert!(answer.status == 401 && answer.body.contains("dpop_replay"), "{answer:?}");
        let fresh = holder.sign(Raw::new("GET", DOCUMENT));
        assert_eq!(caller.send(&fresh).await.unwrap().status, 200, "its nonce is still good");
    }
}

/// Sends the used proof to both replicas until each has said what it makes of it, then calls as a stock client does.
async fn doubted_and_recovered(what: &str, stack: &Stack, used: &Raw) {
    for _ in 0..4 {
        let answer = stack.raw(Version::Http1).send(used).await.unwrap();
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(answer.body.contains("dpop_nonce_invalid"), "{what}: {answer:?}");
        assert_eq!(answer.values("dpop-nonce").len(), 1, "{what}: {answer:?}");
    }
    let agent = exequatur_tests::Agent::new();
    let token = stack.tokens.token(&agent, &Value::Null);
    let url = stack.url(DOCUMENT);
    for _ in 0..4 {
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
    }
}

/// C-01, C-02, G11: Redis is flushed, killed and started again: what was used never passes, and who follows a nonce is
/// let through at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_forgot_is_doubted_by_all() {
    for kind in Kind::ALL {
        let mut stack = Stack::start(Options::shared(kind)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let used = holder.sign(Raw::new("GET", DOCUMENT));
        assert_eq!(stack.raw(Version::Http1).send(&used).await.unwrap().status, 200);

        stack.redis().say(&["FLUSHALL"]).unwrap();
        doubted_and_recovered("flushed", &stack, &used).await;

        let holder = stack.holder(&Value::Null).await.unwrap();
        let used = holder.sign(Raw::new("GET", DOCUMENT));
        assert_eq!(stack.raw(Version::Http1).send(&used).await.unwrap().status, 200);
        stack.redis().kill().unwrap();
        let fresh = holder.sign(Raw::new("GET", DOCUMENT));
        for request in [&used, &fresh] {
            let answer = stack.raw(Version::Http1).send(request).await.unwrap();
            assert_eq!(answer.status, 503, "{answer:?}");
            assert!(answer.body.contains("replay_store_unavailable"), "{answer:?}");
        }
        in_time("the metric", stack.wait_for_metric("exequatur_store_up 0")).await.unwrap();
        stack.redis().start_again().unwrap();
        in_time("the metric", stack.wait_for_metric("exequatur_store_up 1")).await.unwrap();
        in_time("both replicas", async {
            // The second may take a moment longer; until then it says so.
            let mut well = 0;
            while well < 4 {
                let answer = stack.raw(Version::Http1).send(&used).await.unwrap();
                well = if answer.status == 503 { 0 } else { well + 1 };
                assert_ne!(answer.status, 200, "{answer:?}");
            }
        })
        .await;
        doubted_and_recovered("started again", &stack, &used).await;
    }
}

/// product.md, "What is unknown is not allowed": without Redis proofs are refused, and who needs none goes on.
#[tokio::test]
async fn bearer_tokens_need_no_redis() {
    let options = Options {
        exequatur: vec![("require: any", "require: none"), ("    sender_constraint: dpop\n", "")],
        ..Options::shared(Kind::Newest)
    };
    let mut stack = Stack::start(options).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let bearer = stack.tokens.token(&holder.agent, &json!({ "cnf": null }));
    let url = stack.url(DOCUMENT);
    let authorization = format!("Bearer {bearer}");
    let call = Call::new("GET", &url);
    assert_eq!(stack.send(&call, Some(&authorization), None).await.unwrap().status, 200);
    stack.redis().kill().unwrap();
    for _ in 0..4 {
        assert_eq!(stack.send(&call, Some(&authorization), None).await.unwrap().status, 200);
        let answer = stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
        assert!(answer.status == 503 && answer.body.contains("replay_store_unavailable"), "{answer:?}");
    }
}

//! One request is one Check, one claim and one record, however often Envoy sends it on: B-13, G12, M8.

use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::Value;

/// Where the upstream's route stands in both examples, and the same with retries.
const ROUTE: &str = "route: { cluster: upstream";
const RETRIED: &str = "route: { cluster: upstream, retry_policy: { retry_on: \"5xx\", num_retries: 3 }";

#[tokio::test]
async fn a_retried_request_is_claimed_once() {
    for hardened in [false, true] {
        let options = Options { envoy: vec![(ROUTE, RETRIED)], ..Options::on(hardened) };
        let stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            let before = stack.upstream.received().len();
            stack.upstream.answer_next_with(&[503, 500]);
            let request = holder.sign(Raw::new("GET", DOCUMENT));
            let answer = stack.raw(version).send(&request).await.unwrap();
            assert_eq!(answer.status, 200, "hardened {hardened} {version:?}: {answer:?}");
            let received = stack.upstream.received_after(before);
            assert_eq!(received.len(), 3, "hardened {hardened} {version:?}");
            let decision = received[0].values("x-exequatur-decision");
            assert_eq!(decision.len(), 1);
            for request in &received {
                assert_eq!(request.values("x-exequatur-decision"), decision);
                assert!(request.values("dpop").is_empty() && request.values("authorization").is_empty());
            }
            stack.record(&decision[0]).await.unwrap();
            let permits = stack
                .records()
                .await
                .unwrap()
                .iter()
                .filter(|record| record["decision"] == decision[0])
                .count();
            assert_eq!(permits, 1);
            // The caller's own second attempt is another request, with a proof that was used.
            let again = stack.raw(version).send(&request).await.unwrap();
            assert_eq!((again.status, again.reason().as_str()), (401, "dpop_replay"));
            assert_eq!(stack.upstream.received_after(before).len(), 3);
        }
    }
}

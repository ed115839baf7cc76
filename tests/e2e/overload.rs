//! C-24: more requests than the queue takes.

use exequatur_proto::envoy::service::auth::v3::CheckRequest;
use exequatur_tests::direct::{Decision, Direct, check};
use exequatur_tests::streams::{Streams, prefixed};
use exequatur_tests::{DOCUMENT, Holder, Options, Stack, in_time};
use serde_json::Value;

const CONNECTIONS: usize = 16;
const EACH: usize = 48;
const OVERLOADED: &str = "exequatur_decisions_total{verdict=\"fault\",reason=\"overloaded\"}";
const PERMITTED: &str = "exequatur_decisions_total{verdict=\"permit\",reason=\"permitted\"}";

fn request(holder: &Holder) -> CheckRequest {
    let (token, proof) = (format!("DPoP {}", holder.token), holder.proof("GET", DOCUMENT));
    check("GET", "localhost", DOCUMENT, &[("authorization", &token), ("dpop", &proof)])
}

/// A burst is answered to the last request: what comes too late is refused as such, and every answer is either on
/// record or counted as missing there. Then the service is as before.
#[tokio::test]
async fn what_the_queue_does_not_take_is_refused_and_counted() {
    let options = Options {
        terse: true,
        exequatur: vec![("records:", "workers: 1\nrecords:"), ("deadline: 8s", "deadline: 40ms")],
        ..Options::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Direct::connect(stack.ports.grpc).await.unwrap());
    }
    let before = stack.metric(PERMITTED).await.unwrap();
    let (mut permitted, mut refused) = (0, 0);
    // The first burst will do, unless the machine lets the burst come slower than it is decided.
    for _ in 0..10 {
        let mut asked = tokio::task::JoinSet::new();
        for connection in &connections {
            for _ in 0..EACH {
                let (connection, request) = (connection.clone(), request(&holder));
                asked.spawn(async move { connection.ask(request).await.unwrap() });
            }
        }
        for decision in asked.join_all().await {
            match decision {
                Decision::Permit => permitted += 1,
                decision => {
                    assert_eq!(decision, Decision::Deny(503, "overloaded".to_owned()));
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0);
    assert_eq!(stack.metric(OVERLOADED).await.unwrap(), refused);
    assert_eq!(stack.metric(PERMITTED).await.unwrap(), before + permitted);
    // The holder's own request is on record too.
    let all = permitted + refused + 1;
    let told = async {
        loop {
            let gaps = stack.metric("exequatur_record_gaps_total").await.unwrap();
            // Between them the file says what is missing.
            let records = stack.records_so_far().unwrap();
            let recorded = records.iter().filter(|record| record["decision"].is_string()).count();
            let recorded = u64::try_from(recorded).unwrap();
            assert!(gaps + recorded <= all, "{gaps} + {recorded} of {all}");
            let logged = stack.log().unwrap().contains("overloaded: requests were refused");
            if gaps + recorded == all && logged {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    in_time("every answer is on record, or told to be missing", told).await;
    // A pause of the machine may make one late; no more than that is wrong with it.
    let again = async {
        loop {
            match connections[0].ask(request(&holder)).await.unwrap() {
                Decision::Permit => break,
                decision => assert_eq!(decision.reason(), "overloaded"),
            }
        }
    };
    in_time("the service is as before", again).await;
}

/// A caller that has given up is not worked for: its proof is not used, so that it may try again.
#[tokio::test]
async fn what_nobody_waits_for_is_not_begun() {
    let stack = Stack::start(Options { terse: true, ..Options::default() }).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let direct = Direct::connect(stack.ports.grpc).await.unwrap();
    let before = stack.metric(PERMITTED).await.unwrap();
    for (number, timeout) in (0..).zip(["0m", "1n", "1000n"]) {
        let request = request(&holder);
        let mut streams = Streams::open(stack.ports.grpc, 65_535).await.unwrap();
        let mut asked = streams.ask(&[("grpc-timeout", timeout)], prefixed(&request), true).await.unwrap();
        assert_eq!(asked.head().await, Ok(200));
        assert_eq!(stack.metric(PERMITTED).await.unwrap(), before + number, "{timeout}");
        assert_eq!(direct.ask(request.clone()).await.unwrap(), Decision::Permit, "{timeout}");
        assert_eq!(direct.ask(request).await.unwrap().reason(), "dpop_replay");
    }
}

//! N01, N08, B-14: no answer from Exequatur is no permit, whatever the route.

use std::time::{Duration, Instant};

use exequatur_tests::{DOCUMENT, Holder, OPEN, Options, Raw, Stack, Version};
use serde_json::Value;

/// Guarded with everything that a permit takes, public, and nothing.
fn requests(holder: &Holder) -> Vec<Raw> {
    vec![holder.sign(Raw::new("GET", DOCUMENT)), Raw::new("GET", OPEN), Raw::new("GET", "/nowhere")]
}

async fn assert_refused(stack: &Stack, holder: &Holder, what: &str) {
    let before = stack.upstream.received().len();
    for version in [Version::Http1, Version::Http2] {
        for answer in stack.raw(version).send_all(requests(holder)).await.unwrap() {
            assert_eq!(answer.status, 503, "{what} {version:?}: {answer:?}");
        }
    }
    assert_eq!(stack.upstream.received().len(), before, "{what}");
}

#[tokio::test]
async fn without_exequatur_nothing_passes() {
    for hardened in [false, true] {
        let mut stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        assert_eq!(stack.raw(Version::Http1).send(&requests(&holder)[0]).await.unwrap().status, 200);
        stack.stop_exequatur().await.unwrap();
        assert_refused(&stack, &holder, "gone").await;
        stack.restart_exequatur().await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        assert_eq!(stack.raw(Version::Http1).send(&requests(&holder)[0]).await.unwrap().status, 200);
    }
}

/// A process that is there and says nothing: Envoy's time limit is the answer, and when it speaks again nothing of
/// what was refused is let through late.
#[tokio::test]
async fn while_exequatur_hangs_nothing_passes() {
    for hardened in [false, true] {
        // The limit as the examples have it: 250 ms.
        let options = Options { timely: true, ..Options::on(hardened) };
        let stack = Stack::start(options).await.unwrap();
        let holder = loop {
            // It may be late on a machine that does much at once, and then there is no nonce.
            let holder = stack.holder(&Value::Null).await.unwrap();
            if stack.raw(Version::Http1).send(&requests(&holder)[0]).await.unwrap().status == 200 {
                break holder;
            }
        };
        stack.signal_exequatur("STOP").await.unwrap();
        let start = Instant::now();
        assert_refused(&stack, &holder, "hanging").await;
        // Two rounds of three at once; the rest is for a machine that does much at once.
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
        let before = stack.upstream.received().len();
        stack.signal_exequatur("CONT").await.unwrap();
        loop {
            let answer =
                stack.raw(Version::Http1).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
            if answer.status == 200 {
                break;
            }
            assert_eq!(answer.status, 503, "{answer:?}");
        }
        assert_eq!(stack.upstream.received().len(), before + 1);
    }
}

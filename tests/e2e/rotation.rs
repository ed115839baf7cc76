//! C-12, D26: keys and secrets rotate while requests come.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use exequatur_tests::redis::Kind;
use exequatur_tests::traffic::{Load, Traffic, Who};
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Raw, Replica, Stack, Version, in_time};
use serde_json::Value;

/// Far more than a refresh of a second takes, for a machine that does much at once.
const WITHIN: Duration = Duration::from_secs(30);

/// Calls with a fresh proof each time until the answer has this status; that answer's reason.
async fn until(stack: &Stack, agent: &Agent, token: &str, status: u16) -> String {
    let url = stack.url("/tenants/acme/documents/plan");
    let answered = async {
        loop {
            let answer = stack.call(agent, token, &Call::new("GET", &url)).await.unwrap();
            if answer.status == status {
                return answer.reason;
            }
        }
    };
    tokio::time::timeout(WITHIN, answered).await.unwrap()
}

/// A new key is accepted beside the old one; once the old one is withdrawn, its tokens are refused, although one was
/// verified and kept just before; the new key goes on.
#[tokio::test]
async fn a_rotation_is_followed_and_a_withdrawn_key_takes_its_tokens_along() {
    let refresh = ("max_lifetime: 15m", "max_lifetime: 15m\n    refresh: 1s\n    cooldown: 1s");
    let stack = Stack::start(Options { exequatur: vec![refresh], ..Options::default() }).await.unwrap();
    let agent = Agent::new();
    let old = stack.tokens.token(&agent, &Value::Null);
    let new = stack.tokens.token_of_next_key(&agent, &Value::Null);
    until(&stack, &agent, &old, 200).await;
    assert_eq!(until(&stack, &agent, &new, 401).await, "token_key_unknown");

    stack.tokens.publish_next_key();
    until(&stack, &agent, &new, 200).await;
    until(&stack, &agent, &old, 200).await;

    let before = stack.upstream.received().len();
    stack.tokens.withdraw_first_key();
    assert_eq!(until(&stack, &agent, &old, 401).await, "token_key_unknown");
    let after = stack.upstream.received().len();
    assert_eq!(until(&stack, &agent, &old, 401).await, "token_key_unknown");
    until(&stack, &agent, &new, 200).await;
    assert_eq!(stack.upstream.received().len(), after + 1, "the new token alone; {before} before");
}

/// Where the secrets of nonces stand in the configuration of a stack with Redis.
const SECRETS: &str = "nonce: \"off\", nonce_secret_file: ./nonce.secret";

/// Names other secrets in the configurations of both replicas, and waits until both have gone over to them.
async fn go_over(stack: &mut Stack, before: &str, after: &str, generation: usize) {
    for (replica, name) in [(Replica::First, "exequatur"), (Replica::Second, "second")] {
        let file = stack.folder().join(format!("{name}.yaml"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(before), "{text}");
        std::fs::write(&file, text.replace(before, after)).unwrap();
        stack.signal(replica, "HUP").await.unwrap();
        let log = stack.folder().join(format!("{name}.log"));
        in_time("another generation", async {
            while std::fs::read_to_string(&log).unwrap().matches("generation in force").count() < generation {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

/// D26: the secret of nonces is replaced in the steps of docs/how-to/rotate-keys.md while callers come whose every proof needs a
/// nonce of either replica. Nobody is refused; once it is over, a nonce of the old secret is good for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_of_nonces_is_replaced_and_nobody_is_refused() {
    let options = Options {
        exequatur: vec![(SECRETS, "nonce: required, nonce_secret_file: ./nonce.secret")],
        ..Options::shared(Kind::Newest)
    };
    let mut stack = Stack::start(options).await.unwrap();
    let next = stack.folder().join("next.secret");
    std::fs::write(&next, "another secret of more than 32 bytes").unwrap();
    std::fs::set_permissions(&next, Permissions::from_mode(0o600)).unwrap();
    let old = stack.holder(&Value::Null).await.unwrap();
    assert_eq!(
        stack.raw(Version::Http1).send(&old.sign(Raw::new("GET", DOCUMENT))).await.unwrap().status,
        200
    );

    let traffic = Traffic::start(&stack, Load { honest: 4, thieves: 0, bearers: 0, rate: 10.0 });
    traffic.all_well(3).await;
    let secrets = [
        "nonce_secret_file: ./nonce.secret }",
        "nonce_secret_file: ./nonce.secret, previous_nonce_secret_file: ./next.secret }",
        "nonce_secret_file: ./next.secret, previous_nonce_secret_file: ./nonce.secret }",
        "nonce_secret_file: ./next.secret }",
    ];
    for (number, pair) in secrets.windows(2).enumerate() {
        let [before, after] = pair else { panic!() };
        if number == 2 {
            let answer = stack.raw(Version::Http1).send(&old.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
            assert_eq!(answer.status, 200, "the old secret still counts: {answer:?}");
            // Callers have nonces of the new one by now.
            traffic.more("answers", 40, |one| one.who == Who::Honest).await;
        }
        go_over(&mut stack, before, after, number + 2).await;
        traffic.all_well(2).await;
    }
    let answer = stack.raw(Version::Http1).send(&old.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
    assert!(answer.status == 401 && answer.body.contains("dpop_nonce_invalid"), "{answer:?}");
    let seen = traffic.stop().await;
    let refused: Vec<_> = seen.of(Who::Honest).filter(|one| one.status != 200).collect();
    assert!(refused.is_empty(), "{refused:?}");
    // Nor had anybody to ask a second time: the one nonce that was not taken is the one above.
    let records = [stack.records().await.unwrap(), stack.records_of_second().await.unwrap()].concat();
    let invalid = records.iter().filter(|record| record["reason"] == "dpop_nonce_invalid").count();
    assert_eq!(invalid, 1);
}

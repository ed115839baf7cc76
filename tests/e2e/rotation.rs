//! C-12: an issuer's keys rotate while requests come.

use std::time::Duration;

use exequatur_tests::{Agent, Call, Options, Stack};
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

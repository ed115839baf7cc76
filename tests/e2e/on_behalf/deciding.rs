//! The policies for the user and for each agent decide what they are about.

use exequatur_tests::Options;
use serde_json::{Value, json};

use super::{SCOPE, Scene, denied, passed};

/// To write takes a user, and the policies' word for the user and for the agent; to share, an agent that acts for itself.
fn options() -> Options {
    Options {
        exequatur: vec![
            ("    user: required\n    principals: both\n", "    user: refused\n"),
            ("action: WriteDocument", "action: WriteDocument\n    user: required\n    principals: both"),
        ],
        ..Options::default()
    }
}

impl Scene {
    async fn writes(&self, party: &str, token: &str, document: &str) -> (u16, String) {
        let url = self.stack.url(&format!("/tenants/acme/documents/{document}"));
        self.parties.call(party, token, "PUT", &url).await.unwrap()
    }

    /// The record of the last decision.
    async fn last_record(&self) -> Value {
        let received = self.stack.upstream.received().pop().unwrap();
        self.stack.record(&received.values("x-exequatur-decision").concat()).await.unwrap()
    }
}

/// Issue 6: each document is refused for one reason more or less, and to whom it is due.
#[tokio::test]
async fn the_policies_for_user_and_agents_each_decide() {
    let scene = Scene::start(options()).await;
    let tokens = scene.delegated(&["agent-a", "agent-b", "agent-c"]).await;
    let parties = ["frontend", "agent-a", "agent-b", "agent-c"];
    let (no, never) = (denied(403, "policy_no_permit"), denied(403, "policy_forbid"));
    for (document, expected) in [
        // Nobody has permitted anything to the front end, whoever sits before it.
        ("plan", [&no, &passed(), &passed(), &passed()]),
        ("not-a", [&no, &no, &passed(), &passed()]),
        ("not-b", [&no, &passed(), &no, &passed()]),
        ("not-alice", [&no, &no, &no, &no]),
        // A policy forbids what came through A, and A is not before itself.
        ("not-through-a", [&no, &passed(), &never, &never]),
    ] {
        for ((party, token), expected) in parties.iter().zip(&tokens).zip(expected) {
            assert_eq!(scene.writes(party, token, document).await, *expected, "{party} {document}");
        }
    }
    // Of bob nothing is permitted, to whichever agent.
    let bob = scene.parties.sign_in("bob", SCOPE).await.unwrap();
    let for_bob = scene.parties.exchange("agent-a", &bob, &Value::Null).await.unwrap();
    assert_eq!(scene.writes("agent-a", &for_bob, "plan").await, no);
    assert_eq!(scene.reads("agent-a", &for_bob).await, passed());

    assert_eq!(scene.writes("agent-b", &tokens[2], "plan").await, passed());
    let received = scene.stack.upstream.received().pop().unwrap();
    let said = |name: &str| received.values(name).concat().replace("%3A", ":");
    assert_eq!(said("x-exequatur-agent"), "corp:agent-b");
    assert_eq!(said("x-exequatur-user"), "corp:alice");
    assert_eq!(said("x-exequatur-delegation"), "corp:agent-b,corp:agent-a");
    let record = scene.last_record().await;
    let mut policies: Vec<_> =
        record["policy"]["ids"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    policies.sort_unstable();
    assert_eq!(policies, ["agent-b-writes", "alice-writes"], "{record}");
}

/// J07: a client's own token is nobody's but the client's, also if the client is called as a user is.
#[tokio::test]
async fn a_client_is_no_user() {
    let scene = Scene::start(options()).await;
    let own = scene.parties.own("agent-a", SCOPE).await.unwrap();
    let delegated = scene.delegated(&["agent-a"]).await;
    // This client has the id of a user.
    let namesake = scene.parties.own("alice", SCOPE).await.unwrap();
    assert_eq!(exequatur_tests::jwt::payload(&namesake)["sub"], "alice");

    for (party, token) in [("agent-a", &own), ("alice", &namesake)] {
        assert_eq!(scene.reads(party, token).await, passed(), "{party}");
        let received = scene.stack.upstream.received().pop().unwrap();
        assert!(received.values("x-exequatur-user").concat().is_empty(), "{party}");
        let record = scene.last_record().await;
        assert_eq!(
            (&record["user"], &record["agent"]),
            (&Value::Null, &json!(format!("corp:{party}"))),
            "{record}"
        );
        assert_eq!(scene.writes(party, token, "plan").await, denied(403, "user_required"), "{party}");
    }
    let share = scene.stack.url("/tenants/acme/documents/plan/share");
    for (party, token, expected) in [
        ("agent-a", &own, passed()),
        ("alice", &namesake, denied(403, "policy_no_permit")),
        ("agent-a", &delegated[1], denied(403, "user_not_allowed")),
        ("frontend", &delegated[0], denied(403, "user_not_allowed")),
    ] {
        assert_eq!(scene.parties.call(party, token, "POST", &share).await.unwrap(), expected, "{party}");
    }
    // Nor can it be revoked as a user.
    scene.revoke("user", "alice").await;
    assert_eq!(scene.reads("alice", &namesake).await, passed());
    assert_eq!(scene.reads("agent-a", &delegated[1]).await, denied(401, "user_revoked"));
    scene.revoke("agent", "alice").await;
    assert_eq!(scene.reads("alice", &namesake).await, denied(401, "agent_revoked"));
}

//! user → agent A → agent B → … by token exchange (RFC 8693), and what becomes of them when one is revoked.

use exequatur_tests::redis::Kind;
use exequatur_tests::{DOCUMENT, Options, in_time, jwt};
use serde_json::json;

use super::{SCOPE, Scene, denied, passed};

/// Alone with a store of its own, and two replicas with a Redis.
fn stores() -> [Options; 2] {
    [Options::default(), Options::shared(Kind::Newest)]
}

/// Issue 6, D-06: each token of a chain carries who is before it; whoever is revoked takes along those after them, and nobody
/// before them; the user and the session take all, of this session alone.
#[tokio::test]
async fn revoking_one_in_the_middle_stops_what_comes_after() {
    for options in stores() {
        let scene = Scene::start(options).await;
        let agents = ["agent-a", "agent-b", "agent-c"];
        let parties = ["frontend", "agent-a", "agent-b", "agent-c"];
        let tokens = scene.delegated(&agents).await;
        let act = jwt::payload(&tokens[3])["act"].clone();
        assert_eq!(
            act,
            json!({ "sub": "agent-c", "act": { "sub": "agent-b", "act": { "sub": "agent-a" } } })
        );

        // A session of the same user, and agents that act for themselves.
        let another = scene.delegated(&["agent-a"]).await;
        let own_a = scene.parties.own("agent-a", SCOPE).await.unwrap();
        let own_b = scene.parties.own("agent-b", SCOPE).await.unwrap();
        let others =
            [("frontend", &another[0]), ("agent-a", &another[1]), ("agent-a", &own_a), ("agent-b", &own_b)];
        let everybody: Vec<_> = parties
            .into_iter()
            .zip(&tokens)
            .chain(others.iter().map(|(party, token)| (*party, *token)))
            .collect();
        let session = jwt::payload(&tokens[0])["sid"].as_str().unwrap().to_owned();

        // Who of everybody is stopped.
        for (kind, name, reason, stopped) in [
            ("agent", "agent-a", "agent_revoked", [0, 1, 1, 1, 0, 1, 1, 0]),
            ("agent", "agent-b", "agent_revoked", [0, 0, 1, 1, 0, 0, 0, 1]),
            ("agent", "agent-c", "agent_revoked", [0, 0, 0, 1, 0, 0, 0, 0]),
            ("agent", "agent-d", "agent_revoked", [0, 0, 0, 0, 0, 0, 0, 0]),
            ("user", "alice", "user_revoked", [1, 1, 1, 1, 1, 1, 0, 0]),
            // An actor may be a person: the order stops what was done through it, not what it does for itself.
            ("user", "agent-a", "user_revoked", [0, 1, 1, 1, 0, 1, 0, 0]),
            ("session", &session, "session_revoked", [1, 1, 1, 1, 0, 0, 0, 0]),
        ] {
            scene.revoke(kind, name).await;
            for ((party, token), stopped) in everybody.iter().zip(stopped) {
                let expected = if stopped == 1 { denied(401, reason) } else { passed() };
                assert_eq!(
                    scene.reads(party, token).await,
                    expected,
                    "{kind} {name}: {party} {}",
                    jwt::payload(token)
                );
            }
            scene.undo(kind, name).await;
            for (party, token) in &everybody {
                assert_eq!(scene.reads(party, token).await, passed(), "{kind} {name} undone: {party}");
            }
        }
    }
}

/// D-06: a hundred requests of C are on their way when B is revoked. None that begins after the answer to the order passes, A's go
/// on.
#[tokio::test]
async fn nothing_of_the_rest_of_the_chain_begins_after_the_answer() {
    for options in stores() {
        let scene = Scene::start(options).await;
        let tokens = scene.delegated(&["agent-a", "agent-b", "agent-c"]).await;
        let url = scene.stack.url(DOCUMENT);
        let stream = json!({
            "do": "stream", "as": "agent-c", "token": tokens[3], "url": url, "width": 100, "after": 300,
        });
        let revoking = async {
            in_time("calls before the order", async {
                while scene.parties.order(&json!({ "do": "ended" })).await.unwrap()["ended"].as_u64()
                    < Some(200)
                {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            scene.revoke("agent", "agent-b").await;
            // The parties hear of it after the answer: whatever they begin from here on began after it.
            scene.parties.order(&json!({ "do": "mark" })).await.unwrap();
            scene.reads("agent-a", &tokens[1]).await
        };
        let (outcomes, beside) = tokio::join!(scene.parties.order(&stream), revoking);
        let outcomes = outcomes.unwrap();
        assert_eq!(beside, passed());
        // A machine that has other work may refuse some of the hundred for its load: that is no permit either.
        let count = |when: &str, outcome: &str| outcomes[when][outcome].as_u64().unwrap_or_default();
        let denied = |when| count(when, "401 agent_revoked") + count(when, "503 overloaded");
        let all = |when: &str| {
            outcomes[when].as_object().unwrap().values().map(|number| number.as_u64().unwrap()).sum::<u64>()
        };
        assert_eq!((denied("after"), all("after")), (300, 300), "{outcomes}");
        assert!(count("after", "401 agent_revoked") >= 100, "{outcomes}");
        assert!(count("before", "200") >= 100, "{outcomes}");
        assert_eq!(count("before", "200") + denied("before"), all("before"), "{outcomes}");
    }
}

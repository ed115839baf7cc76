//! D-03: what an exchange narrows stays narrow; what of it a resource server can see, it judges.

use exequatur_tests::{AuthorizationServer, DOCUMENT, Options, jwt};
use serde_json::{Value, json};

use super::{SCOPE, Scene, denied, passed};

/// D-03, X06: this issuer gives no more than the subject token had, and gives it to whom the subject token lets have it. A
/// resource server could not tell.
#[tokio::test]
async fn an_exchange_gives_no_more_than_there_was() {
    let scene = Scene::start(Options::default()).await;
    let parties = &scene.parties;
    let user = parties.sign_in("alice", SCOPE).await.unwrap();
    let narrow = parties.exchange("agent-a", &user, &json!({ "scope": "documents:read" })).await.unwrap();
    let own_a = parties.own("agent-a", SCOPE).await.unwrap();
    let own_b = parties.own("agent-b", SCOPE).await.unwrap();
    let bob = parties.sign_in("bob", SCOPE).await.unwrap();
    let bob_a = parties.exchange("agent-a", &bob, &Value::Null).await.unwrap();
    let other = AuthorizationServer::OTHER_AUDIENCE;
    let refused = |error: &str| Err(error.to_owned());
    for (agent, subject, more, expected) in [
        ("agent-b", &narrow, json!({ "scope": SCOPE }), refused("invalid_scope")),
        ("agent-b", &narrow, json!({ "scope": "documents:write" }), refused("invalid_scope")),
        ("agent-b", &narrow, json!({ "resource": other }), refused("invalid_target")),
        ("agent-b", &narrow, json!({ "actor": own_a }), refused("invalid_grant")),
        ("agent-b", &narrow, json!({ "actor": user }), refused("invalid_grant")),
        ("agent-b", &own_a, json!({}), refused("invalid_grant")),
        ("agent-b", &jwt::with_broken_signature(&narrow), json!({}), refused("invalid_grant")),
        // bob lets nobody act for him but A.
        ("agent-b", &bob, json!({}), refused("invalid_grant")),
        ("agent-b", &bob_a, json!({}), refused("invalid_grant")),
    ] {
        assert_eq!(parties.exchange(agent, subject, &more).await, expected, "{more}");
    }
    let next = parties.exchange("agent-b", &narrow, &json!({ "actor": own_b })).await.unwrap();
    let (before, after) = (jwt::payload(&narrow), jwt::payload(&next));
    assert_eq!(after["scope"], "documents:read");
    assert!(after["exp"].as_i64().unwrap() <= before["exp"].as_i64().unwrap(), "{before} {after}");
    assert_eq!(
        (&after["sid"], &after["tenant"], &after["sub"]),
        (&before["sid"], &before["tenant"], &before["sub"])
    );
    assert_eq!(after["act"], json!({ "sub": "agent-b", "act": { "sub": "agent-a" } }));
    assert_ne!(after["cnf"]["jkt"], before["cnf"]["jkt"]);

    assert_eq!(scene.reads("agent-b", &next).await, passed());
    let url = scene.stack.url(DOCUMENT);
    let written = parties.call("agent-b", &next, "PUT", &url).await.unwrap();
    assert_eq!(written, denied(403, "scope_insufficient"));
    // A token is its holder's: not that of whoever handed it on.
    assert_eq!(scene.reads("agent-a", &next).await, denied(401, "dpop_key_mismatch"));
    assert_eq!(scene.reads("agent-a", &bob_a).await, passed());
}

/// D-03, X05: what the token itself shows is judged, although the issuer signed it: whom it is for, how long the chain is, and
/// whether it comes back to itself.
#[tokio::test]
async fn what_can_be_seen_of_an_exchange_is_judged() {
    let scene = Scene::start(Options::default()).await;
    let agents = ["agent-a", "agent-b", "agent-c", "agent-d", "agent-e", "agent-f"];
    let tokens = scene.delegated(&agents).await;
    for (depth, (agent, token)) in agents.iter().zip(&tokens[1..]).enumerate() {
        let expected = if depth < 5 { passed() } else { denied(401, "delegation_too_deep") };
        assert_eq!(scene.reads(agent, token).await, expected, "{agent}");
    }
    let back = scene.parties.exchange("agent-a", &tokens[2], &Value::Null).await.unwrap();
    let act = json!({ "sub": "agent-a", "act": { "sub": "agent-b", "act": { "sub": "agent-a" } } });
    assert_eq!(jwt::payload(&back)["act"], act);
    assert_eq!(scene.reads("agent-a", &back).await, denied(401, "token_claim_invalid"));

    let elsewhere = json!({
        "do": "sign_in", "as": "frontend", "user": "alice", "scope": SCOPE,
        "resource": AuthorizationServer::OTHER_AUDIENCE,
    });
    let elsewhere = scene.parties.token(&elsewhere).await.unwrap();
    let exchanged = scene.parties.exchange("agent-a", &elsewhere, &Value::Null).await.unwrap();
    for (party, token) in [("frontend", &elsewhere), ("agent-a", &exchanged)] {
        assert_eq!(scene.reads(party, token).await, denied(401, "token_audience_mismatch"), "{party}");
    }
}

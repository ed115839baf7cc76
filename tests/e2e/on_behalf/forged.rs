//! D-05: who acts is what the issuer signed in `act`, in its one shape, and nothing else.

use exequatur_tests::jwt::KeyPair;
use exequatur_tests::{Agent, Call, DOCUMENT, Options, Stack};
use serde_json::{Value, json};

/// `{"sub":"a1","act":{"sub":"a2",…}}`
fn chain(depth: usize) -> String {
    let opened = (1..=depth).map(|n| format!(r#"{{"sub":"a{n}","#)).collect::<Vec<_>>();
    format!("{}{}", opened.join(r#""act":"#), "}".repeat(depth)).replace(",}", "}")
}

/// D-05, X05: an `act` of another shape is refused, wherever in the chain it stands, although the issuer signed it; so is
/// one that is too deep. The valid ones beside them pass.
#[tokio::test]
async fn an_actor_has_one_shape() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let url = stack.url(DOCUMENT);
    let attacker = KeyPair::generate();
    let signed_by_attacker = attacker.sign(&json!({ "alg": "ES256" }), &json!({ "sub": "planner" }));
    let bare = |depth: usize| format!(r#"{}1{}"#, r#"{"act":"#.repeat(depth), "}".repeat(depth));
    let invalid = "token_claim_invalid";
    for (act, refusal) in [
        (r#"{"sub":"helper"}"#.to_owned(), ""),
        (r#"{"sub":"helper","act":{"sub":"planner"}}"#.to_owned(), ""),
        (r#"{"sub":"helper","exp":1,"aud":"x","other":[1]}"#.to_owned(), ""),
        (r#"{"sub":"helper","iss":"https://sts.example.com"}"#.to_owned(), ""),
        (r#""helper""#.to_owned(), invalid),
        (r#"["helper"]"#.to_owned(), invalid),
        (r#"[{"sub":"helper"}]"#.to_owned(), invalid),
        ("[]".to_owned(), invalid),
        ("{}".to_owned(), invalid),
        ("null".to_owned(), invalid),
        ("true".to_owned(), invalid),
        ("7".to_owned(), invalid),
        (r#"{"sub":7}"#.to_owned(), invalid),
        (r#"{"sub":""}"#.to_owned(), invalid),
        (r#"{"sub":["helper"]}"#.to_owned(), invalid),
        (r#"{"sub":"a\u0000b"}"#.to_owned(), invalid),
        (r#"{"Sub":"helper"}"#.to_owned(), invalid),
        (r#"{"client_id":"helper"}"#.to_owned(), invalid),
        (r#"{"sub":"helper","iss":"https://elsewhere.example.com"}"#.to_owned(), invalid),
        (r#"{"sub":"helper","act":"planner"}"#.to_owned(), invalid),
        (r#"{"sub":"helper","act":[{"sub":"planner"}]}"#.to_owned(), invalid),
        (r#"{"sub":"helper","act":{}}"#.to_owned(), invalid),
        (
            r#"{"sub":"helper","act":{"sub":"planner","iss":"https://elsewhere.example.com"}}"#.to_owned(),
            invalid,
        ),
        (r#"{"sub":"helper","act":{"sub":"helper"}}"#.to_owned(), invalid),
        (format!("\"{signed_by_attacker}\""), invalid),
        (format!(r#"{{"sub":"helper","act":"{signed_by_attacker}"}}"#), invalid),
        (r#"{"sub":"helper","sub":"planner"}"#.to_owned(), "token_malformed"),
        (r#"{"sub":"helper","\u0073ub":"planner"}"#.to_owned(), "token_malformed"),
        (r#"{"sub":"helper"},"act":{"sub":"planner"}"#.to_owned(), "token_malformed"),
        (r#"{"sub":"helper"},"\u0061ct":{"sub":"planner"}"#.to_owned(), "token_malformed"),
        (chain(6), "delegation_too_deep"),
        (chain(20), "token_malformed"),
        (bare(4), invalid),
        (bare(1000), "token_too_large"),
    ] {
        let token = stack.tokens.token_with_text(&agent, &format!(r#""act":{act}"#));
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        let status = if refusal.is_empty() { 200 } else { 401 };
        assert_eq!((answer.status, answer.reason.as_str()), (status, refusal), "{act:.200}");
    }
    // Five are not too many; the policies of this stack forbid more than two.
    let token = stack.tokens.token_with_text(&agent, &format!(r#""act":{}"#, chain(5)));
    let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (403, "policy_forbid"));
}

/// D-05: nothing but the token says who acts: neither fields of the request nor claims that look like `act`.
#[tokio::test]
async fn nobody_acts_by_saying_so() {
    let stack = Stack::start(Options::default()).await.unwrap();
    let agent = Agent::new();
    let url = stack.url(DOCUMENT);
    let token = stack.tokens.token(&agent, &json!({ "act": { "sub": "helper" } }));
    for name in [
        "x-agent-id",
        "x-exequatur-agent",
        "x-exequatur-delegation",
        "x_exequatur_agent",
        "x-forwarded-user",
        "act",
        "actor-token",
    ] {
        let call = Call::new("GET", &url).with(name, "corp:planner");
        let answer = stack.call(&agent, &token, &call).await.unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (200, ""), "{name}");
        let received = stack.upstream.received().pop().unwrap();
        let said = |name: &str| received.values(name).join(" ").replace("%3A", ":");
        assert_eq!(said("x-exequatur-delegation"), "corp:helper", "{name}");
        assert!(!said("x-exequatur-agent").contains("planner"), "{name}");
        let record = stack.record(&said("x-exequatur-decision")).await.unwrap();
        assert!(!record.to_string().contains("planner"), "{name}: {record}");
    }
    for claims in [
        json!({ "Act": { "sub": "planner" } }),
        json!({ "actor": { "sub": "planner" } }),
        json!({ "act_as": "planner" }),
        json!({ "azp": "planner" }),
        json!({ "may_act": { "sub": "crm-bot" } }),
    ] {
        let token = stack.tokens.token(&agent, &claims);
        let answer = stack.call(&agent, &token, &Call::new("GET", &url)).await.unwrap();
        assert_eq!(answer.status, 200, "{claims}");
        let received = stack.upstream.received().pop().unwrap();
        assert_eq!(received.values("x-exequatur-agent").join(" ").replace("%3A", ":"), "corp:crm-bot");
        assert_eq!(received.values("x-exequatur-delegation").join(" "), "", "{claims}");
    }
    // Whoever signs with another key says nothing at all.
    let attacker = KeyPair::generate();
    let forged = stack.tokens.forged(&attacker, &agent, &Value::Null);
    let answer = stack.call(&agent, &forged, &Call::new("GET", &url)).await.unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (401, "token_signature_invalid"));
}

/// D-05, X04: the actor decides. What the client may, and what prior actors may, is nothing to it.
#[tokio::test]
async fn prior_actors_and_clients_permit_nothing() {
    let options = Options { policies: Some("tests/e2e/on_behalf/policies"), ..Options::default() };
    let stack = Stack::start(options).await.unwrap();
    let agent = Agent::new();
    let url = stack.url(DOCUMENT);
    // The policies permit agent-a to write.
    for (claims, actor, permitted) in [
        (json!({ "client_id": "agent-a" }), "agent-a", true),
        (json!({ "client_id": "rogue" }), "rogue", false),
        (json!({ "client_id": "rogue", "act": { "sub": "agent-a" } }), "agent-a", true),
        (json!({ "client_id": "agent-a", "act": { "sub": "rogue" } }), "rogue", false),
        (
            json!({ "client_id": "rogue", "act": { "sub": "rogue", "act": { "sub": "agent-a" } } }),
            "rogue",
            false,
        ),
        (
            json!({ "client_id": "agent-a", "act": { "sub": "rogue", "act": { "sub": "agent-a" } } }),
            "rogue",
            false,
        ),
        (json!({ "client_id": "rogue", "act": { "sub": "rogue", "client_id": "agent-a" } }), "rogue", false),
        (
            json!({ "client_id": "rogue", "act": { "sub": "agent-a", "act": { "sub": "rogue" } } }),
            "agent-a",
            true,
        ),
    ] {
        let token = stack.tokens.token(&agent, &claims);
        let answer = stack.call(&agent, &token, &Call::new("PUT", &url)).await.unwrap();
        let expected = if permitted { (200, "") } else { (403, "policy_no_permit") };
        assert_eq!((answer.status, answer.reason.as_str()), expected, "{claims}");
        let decision = serde_json::from_str::<Value>(&answer.body).ok();
        let decision = decision.and_then(|problem| problem["decision"].as_str().map(str::to_owned));
        let decision = decision.unwrap_or_else(|| {
            stack.upstream.received().pop().unwrap().values("x-exequatur-decision").concat()
        });
        let record = stack.record(&decision).await.unwrap();
        assert_eq!(record["agent"], format!("corp:{actor}"), "{claims}");
    }
}

//! Who acts for whom, through whom: the rows about chains of agents.

use exequatur_tests::Agent;
use exequatur_tests::orders::order;
use serde_json::{Value, json};

use crate::ledger::{Expected, Ledger};

const SHARE: (&str, &str) = ("POST", "/tenants/acme/documents/plan/share");
const ACTING: Expected = Expected::Acting { agent: "corp:planner", chain: "corp:planner,corp:front-desk" };

/// alice asked front-desk, which asked planner; the token was issued to crm-bot.
fn chain() -> Value {
    json!({ "scope": "documents:share", "act": { "sub": "planner", "act": { "sub": "front-desk" } } })
}

fn changed(name: &str, value: Value) -> Value {
    let mut claims = chain();
    claims[name] = value;
    claims
}

pub(crate) async fn all(ledger: &mut Ledger, agent: &Agent) -> Result<(), String> {
    let longer = json!({ "sub": "planner", "act": { "sub": "front-desk", "act": { "sub": "mail" } } });
    let sandbox = json!({ "sub": "planner", "act": { "sub": "sandbox-bot" } });
    let own = changed("gty", json!("client-credentials"));
    let rows = [
        ("share: alice, by planner, after front-desk", chain(), ACTING),
        ("share: the same for bob, whose document it is not", changed("sub", json!("bob")), no_permit()),
        ("share: the same, with a scope of reading", changed("scope", json!("documents:read")), no_permit()),
        ("share: the same, for nobody (client credentials)", own, Expected::Deny(403, &["user_required"])),
        ("share: after one agent more", changed("act", longer), forbidden()),
        ("share: after the sandbox's agent", changed("act", sandbox), forbidden()),
        (
            "share: the token says that mail may act",
            changed("may_act", json!({ "sub": "mail" })),
            Expected::Deny(403, &["actor_not_permitted"]),
        ),
        (
            "share: the actor is a text",
            changed("act", json!("planner")),
            Expected::Deny(401, &["token_claim_invalid"]),
        ),
    ];
    for (what, claims, expected) in rows {
        ledger.row_with_token(agent, &claims, SHARE, what, expected).await?;
    }
    let revoked = Expected::Deny(401, &["agent_revoked"]);
    let orders: [(&[&str], &str, Expected); 3] = [
        (&["revoke", "agent", "corp:front-desk"], "share: front-desk, who handed it on, revoked", revoked),
        (&["revoke", "undo", "agent", "corp:front-desk"], "share: and let go on", ACTING),
        (&["revoke", "agent", "corp:planner"], "share: planner, who acts, revoked", revoked),
    ];
    for (words, what, expected) in orders {
        ledger.say(&format!("    exequatur {}", words.join(" ")));
        order(ledger.stack(), words).await?;
        ledger.row_with_token(agent, &chain(), SHARE, what, expected).await?;
    }
    let before = changed("act", json!({ "sub": "front-desk" }));
    let left = Expected::Acting { agent: "corp:front-desk", chain: "corp:front-desk" };
    let what = "share: front-desk itself goes on";
    ledger.row_with_token(agent, &before, SHARE, what, left).await.map(drop)
}

fn no_permit() -> Expected {
    Expected::Deny(403, &["policy_no_permit"])
}

fn forbidden() -> Expected {
    Expected::Deny(403, &["policy_forbid"])
}

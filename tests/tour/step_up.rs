//! How the user was authenticated: the rows about a route that asks for a certain way, and lately (RFC 9470).

use exequatur_tests::jwt::now;
use exequatur_tests::{Agent, TokenService};
use serde_json::{Value, json};

use crate::ledger::{Expected, Ledger};

/// A route whose deletions take a login by the user's own key in the last five minutes.
pub(crate) const ROUTE: (&str, &str) = (
    "  - name: share-document",
    r#"  - name: delete-document
    match: { host: localhost, path: "/tenants/{tenant}/documents/{id}", methods: [DELETE] }
    action: DeleteDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } }
    scopes: ["documents:write"]
    step_up: { acr_values: ["urn:example:key"], max_age: 5m }
  - name: share-document"#,
);

const DELETE: (&str, &str) = ("DELETE", "/tenants/acme/documents/plan");

pub(crate) async fn all(ledger: &mut Ledger, agent: &Agent) -> Result<(), String> {
    let login = |acr: Value, age: i64| json!({ "acr": acr, "auth_time": now() - age });
    let key = || json!("urn:example:key");
    let again = Expected::Deny(401, &["step_up_required"]);
    let asked = format!(
        "DPoP error=\"insufficient_user_authentication\", error_description=\"another authentication of the user is \
         needed\", acr_values=\"urn:example:key\", max_age=\"300\", \
         resource_metadata=\"{}/.well-known/oauth-protected-resource\"",
        TokenService::AUDIENCE
    );
    let rows = [
        ("delete: alice logged in by a key, a minute ago", login(key(), 60), Expected::Permit),
        ("delete: the same, by a password", login(json!("urn:example:password"), 60), again),
        ("delete: the same, nobody says how", login(Value::Null, 60), again),
        ("delete: the same, an hour ago", login(key(), 3600), again),
    ];
    for (what, claims, expected) in rows {
        let answer = ledger.row_with_token(agent, &claims, DELETE, what, expected).await?;
        if answer.reason == "step_up_required" && answer.fields("www-authenticate") != [asked.as_str()] {
            return Err(format!("the client was not told which login is needed: {answer:?}"));
        }
    }
    ledger.say(&format!("      the client was told: {asked}"));
    Ok(())
}

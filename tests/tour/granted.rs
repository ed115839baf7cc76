//! What was granted in detail: the rows about a route that asks for authorization details (RFC 9396).

use exequatur_tests::jwt::merged;
use exequatur_tests::{Agent, TokenService};
use serde_json::{Value, json};

use crate::ledger::{Expected, Ledger};

/// A route of documents that are read where the user has granted each of them.
pub(crate) const ROUTE: (&str, &str) = (
    "  - name: share-document",
    r#"  - name: read-granted-document
    match: { host: localhost, path: "/tenants/{tenant}/granted/{id}", methods: [GET] }
    action: ReadDocument
    resource: { type: Document, id: "{id}", tenant: "{tenant}", attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } }
    scopes: ["documents:read"]
    authorization_details: [{ type: document, actions: [read], identifier: "{tenant}/{id}", locations: required }]
  - name: share-document"#,
);

const READ: (&str, &str) = ("GET", "/tenants/acme/granted/plan");

pub(crate) async fn all(ledger: &mut Ledger, agent: &Agent) -> Result<(), String> {
    let detail = |changes: Value| {
        let usual = json!({
            "type": "document", "actions": ["read"], "identifier": "acme/plan",
            "locations": [TokenService::AUDIENCE],
        });
        json!({ "authorization_details": [merged(usual, &changes)] })
    };
    let refused = Expected::Deny(403, &["authorization_details_insufficient"]);
    let rows = [
        ("granted: alice granted reading of just this document", detail(json!({})), Expected::Permit),
        ("granted: the same without any detail", json!({}), refused),
        ("granted: the same of another document", detail(json!({ "identifier": "acme/other" })), refused),
        ("granted: the same for listing", detail(json!({ "actions": ["list"] })), refused),
        (
            "granted: the same at another location",
            detail(json!({ "locations": ["https://other.example.com"] })),
            refused,
        ),
        ("granted: the same, but for ten pages of it", detail(json!({ "max_pages": 10 })), refused),
    ];
    for (what, claims, expected) in rows {
        ledger.row_with_token(agent, &claims, READ, what, expected).await?;
    }
    Ok(())
}

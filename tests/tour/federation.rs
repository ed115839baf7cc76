//! From one tenant to another: the rows about what a federation opens, and what it does not. A tenant without one is among those
//! of what is not allowed.

use exequatur_tests::Agent;
use serde_json::{Value, json};

use crate::ledger::{Expected, Ledger};

/// Agents of acme may ask initech, of whose partners the policies speak, and hooli, of whose visitors no policy does. All are in
/// one region and classified as open: the policies keep documents there, and those of others at home.
pub(crate) const RULES: (&str, &str) = (
    "records: {",
    "tenants:
  acme: { region: eu, classification: internal }
  initech: { region: eu, classification: internal }
  hooli: { region: eu, classification: internal }
federations:
  - { name: partners, from: acme, to: initech, routes: [read-document] }
  - { name: visitors, from: acme, to: hooli, routes: [read-document] }
records: {",
);

pub(crate) async fn all(ledger: &mut Ledger, agent: &Agent) -> Result<(), String> {
    let (usual, of_partner) = (Value::Null, json!({ "tenant": "initech" }));
    let partners = "/tenants/initech/documents/plan";
    let mismatch = Expected::Deny(403, &["tenant_mismatch"]);
    let rows = [
        ("federation: acme's agent reads at initech, a partner", &usual, "GET", partners, Expected::Permit),
        ("federation: the same for writing", &usual, "PUT", partners, mismatch),
        ("federation: the same at globex", &usual, "GET", "/tenants/globex/documents/plan", mismatch),
        (
            "federation: the same at hooli, of which no policy speaks",
            &usual,
            "GET",
            "/tenants/hooli/documents/plan",
            Expected::Deny(403, &["policy_no_permit"]),
        ),
        (
            "federation: initech's agent reads at acme",
            &of_partner,
            "GET",
            "/tenants/acme/documents/plan",
            mismatch,
        ),
    ];
    for (what, claims, method, path, expected) in rows {
        ledger.row_with_token(agent, claims, (method, path), what, expected).await?;
    }
    Ok(())
}

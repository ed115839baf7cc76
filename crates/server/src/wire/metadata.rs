//! Dynamic metadata: what Envoy's access log and later filters may know of the decision.

use std::collections::BTreeMap;

use exequatur_decide::Facts;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// The names that the access log is read by again, and the verdict of a permit.
pub(super) const DECISION: &str = "decision";
pub(super) const VERDICT: &str = "verdict";
pub(super) const PERMIT: &str = "permit";

/// The fields, of names and ids only: no token, proof or claim beyond them.
pub(crate) fn metadata(
    id: &str,
    verdict: &str,
    reason: Option<&str>,
    generation: u64,
    facts: &Facts,
) -> Struct {
    let mut fields = BTreeMap::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            fields.insert(name.to_owned(), text(value));
        }
    };
    put(DECISION, Some(id));
    put(VERDICT, Some(verdict));
    put("reason", reason);
    put("route", facts.route.as_deref());
    put("agent", facts.agent.as_deref());
    put("user", facts.user.as_deref());
    put("tenant", facts.tenant.as_deref());
    put("federation", facts.federation.as_deref());
    put("generation", Some(&generation.to_string()));
    let policies = facts.policies.iter().map(|id| text(id)).collect();
    let policies = Value { kind: Some(Kind::ListValue(ListValue { values: policies })) };
    fields.insert("policies".to_owned(), policies);
    Struct { fields }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

//! Which policies speak of other tenants' agents: of a request under a federation, only a `permit` counts that itself reads
//! `context.federation`. So a line of the configuration never opens to others what a policy meant for the tenant's own (D-20).

use cedar_policy::{Effect, Policy};
use serde_json::Value;

/// Whether the policy may permit a request under a federation. What cannot be told is no.
pub(crate) fn may_permit(policy: &Policy) -> bool {
    policy.effect() == Effect::Permit
        && policy.to_json().ok().and_then(|json| json.get("conditions").map(reads)).unwrap_or(false)
}

/// `context.federation` or `context has federation`, anywhere in it. The context as a whole is not enough: whoever wrote that
/// need not have thought of tenants.
fn reads(expression: &Value) -> bool {
    match expression {
        Value::Object(members) => members.iter().any(|(operator, operand)| match operator.as_str() {
            "." | "has" => is_federation(operand) || reads(operand),
            _ => reads(operand),
        }),
        Value::Array(items) => items.iter().any(reads),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn is_federation(operand: &Value) -> bool {
    let attribute = operand.get("attr").and_then(Value::as_str);
    let of = operand.get("left").and_then(|left| left.get("Var")).and_then(Value::as_str);
    attribute == Some("federation") && of == Some("context")
}

#[cfg(test)]
mod tests {
    use crate::decide::Answer;
    use crate::question::{PrincipalKind, Principals, TenantFact};
    use crate::testing::{question, set};

    const ORDINARY: &str = r#"@id("ordinary") permit (principal, action == Action::"Read", resource);"#;

    /// The answer to a request under a federation, and to the same one without.
    fn answers(policies: &str) -> [Answer; 2] {
        let set = set(policies);
        let mut asked = question();
        asked.resource.tenant = Some(TenantFact::named("globex"));
        let without = set.decide(&asked).unwrap();
        asked.context.federation = Some("partners");
        [set.decide(&asked).unwrap(), without]
    }

    fn ids(answer: &Answer) -> Vec<&str> {
        answer.policies().iter().map(AsRef::as_ref).collect()
    }

    fn permits(condition: &str) -> String {
        format!(r#"@id("by-federation") permit (principal, action == Action::"Read", resource) {condition};"#)
    }

    /// D-20: whoever wrote an ordinary `permit` did not have other tenants in mind.
    #[test]
    fn an_ordinary_permit_opens_nothing_to_other_tenants() {
        let [federated, own] = answers(ORDINARY);
        assert_eq!(federated, Answer::NoPermit { principal: PrincipalKind::Agent });
        assert_eq!(ids(&own), ["ordinary"]);
        for condition in [
            r#"when { context.method == "GET" }"#,
            "when { context has tenant && context has resource_tenant }",
            r#"when { context.route != "federation" }"#,
            r#"when { context has signals && context.signals.user has risk || context.scopes.contains("federation") || true }"#,
        ] {
            let [federated, own] = answers(&permits(condition));
            assert_eq!(ids(&federated), [""; 0], "{condition}");
            assert_eq!(ids(&own), ["by-federation"], "{condition}");
        }
    }

    #[test]
    fn a_permit_that_reads_the_federation_counts_where_it_holds() {
        for (condition, expected) in [
            (r#"when { context has federation && context.federation == "partners" }"#, true),
            (
                r#"when { context has federation && ["others", "partners"].contains(context.federation) }"#,
                true,
            ),
            (r#"when { context.method == "GET" && (context has federation) }"#, true),
            (r#"when { context has federation && context.federation like "p*" }"#, true),
            (r#"when { context has federation && context.federation == "others" }"#, false),
            (r#"when { context has federation && context.federation == "Partners" }"#, false),
            (r"unless { context has federation }", false),
        ] {
            let [federated, _own] = answers(&permits(condition));
            assert_eq!(matches!(federated, Answer::Permit(_)), expected, "{condition}");
        }
        // An ordinary permit beside it is not what the answer is due to.
        let both = format!("{ORDINARY}{}", permits("when { context has federation }"));
        let [federated, own] = answers(&both);
        assert_eq!((ids(&federated), ids(&own)), (vec!["by-federation"], vec!["ordinary"]));
        // A `forbid` counts as ever, whether it reads the federation or not.
        let forbidden = format!(
            r#"{both} @id("never") forbid (principal, action, resource) when {{ context.method == "GET" }};"#
        );
        assert_eq!(ids(&answers(&forbidden)[0]), ["never"]);
    }

    /// Where agent and user are asked about, each needs a permit that knows of the federation.
    #[test]
    fn both_principals_need_such_a_permit() {
        let by = |id: &str, kind: &str| {
            format!(
                r#"@id("{id}") permit (principal is Exequatur::{kind}, action == Action::"Lend", resource)
                when {{ context has federation }};"#
            )
        };
        let ordinary = r#"@id("ordinary") permit (principal, action == Action::"Lend", resource);"#;
        let mut asked = question();
        asked.action = "Lend";
        asked.principals = Principals::Both;
        asked.resource.tenant = Some(TenantFact::named("globex"));
        asked.context.federation = Some("partners");
        for (policies, expected) in [
            (format!("{ordinary}{}", by("agents", "Agent")), Some(PrincipalKind::User)),
            (format!("{ordinary}{}", by("users", "User")), Some(PrincipalKind::Agent)),
            (format!("{}{}", by("agents", "Agent"), by("users", "User")), None),
        ] {
            match (set(&policies).decide(&asked).unwrap(), expected) {
                (Answer::Permit(_), None) => {}
                (Answer::NoPermit { principal }, Some(expected)) => assert_eq!(principal, expected),
                (answer, _) => panic!("{answer:?}"),
            }
        }
    }
}

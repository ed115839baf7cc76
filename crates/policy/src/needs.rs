use std::collections::BTreeSet;

use cedar_policy::{ActionConstraint, Policy, PrincipalConstraint, ResourceConstraint};
use serde_json::Value;

/// An attribute of `Exequatur::Context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ContextAttribute {
    Actor,
    Client,
    User,
    Tenant,
    ResourceTenant,
    Federation,
    Sensitivity,
    Now,
    Scopes,
    SenderConstraint,
    Method,
    Route,
    Token,
    Authentication,
    AuthorizationDetails,
    Delegation,
    Signals,
}

impl ContextAttribute {
    pub(crate) const ALL: [Self; 17] = [
        Self::Actor,
        Self::Client,
        Self::User,
        Self::Tenant,
        Self::ResourceTenant,
        Self::Federation,
        Self::Sensitivity,
        Self::Now,
        Self::Scopes,
        Self::SenderConstraint,
        Self::Method,
        Self::Route,
        Self::Token,
        Self::Authentication,
        Self::AuthorizationDetails,
        Self::Delegation,
        Self::Signals,
    ];

    /// As the base schema spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Client => "client",
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::ResourceTenant => "resource_tenant",
            Self::Federation => "federation",
            Self::Sensitivity => "sensitivity",
            Self::Now => "now",
            Self::Scopes => "scopes",
            Self::SenderConstraint => "sender_constraint",
            Self::Method => "method",
            Self::Route => "route",
            Self::Token => "token",
            Self::Authentication => "authentication",
            Self::AuthorizationDetails => "authorization_details",
            Self::Delegation => "delegation",
            Self::Signals => "signals",
        }
    }
}

/// What policies read of a question. What none of them reads is not made: that would take most of the time of a
/// decision, and could not change it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    context: BTreeSet<ContextAttribute>,
    action_groups: bool,
    parents: bool,
}

impl Needs {
    /// Everything there is.
    pub(crate) fn all() -> Self {
        Self { context: ContextAttribute::ALL.into(), action_groups: true, parents: true }
    }

    /// Adds what `policy` reads; everything, where that cannot be told.
    pub(crate) fn add(&mut self, policy: &Policy) {
        if matches!(policy.action_constraint(), ActionConstraint::In(_)) {
            self.action_groups = true;
        }
        self.parents |= names_a_parent(policy);
        match policy.to_json() {
            // The scope names no attribute.
            Ok(json) => match json.get("conditions") {
                Some(conditions) => self.read(conditions),
                None => *self = Self::all(),
            },
            Err(_no_json) => *self = Self::all(),
        }
    }

    /// The context's attributes that are read, in a fixed order.
    pub(crate) fn context(&self) -> impl Iterator<Item = ContextAttribute> {
        self.context.iter().copied()
    }

    /// Whether an attribute of the context is read.
    pub(crate) fn reads(&self, attribute: ContextAttribute) -> bool {
        self.context.contains(&attribute)
    }

    /// Whether an answer to the same question changes as time goes by.
    pub(crate) fn reads_the_time(&self) -> bool {
        let passing = [ContextAttribute::Now, ContextAttribute::Token, ContextAttribute::Authentication];
        passing.into_iter().any(|attribute| self.reads(attribute))
    }

    /// Whether it matters which groups the action is in.
    pub(crate) const fn reads_action_groups(&self) -> bool {
        self.action_groups
    }

    /// Whether it matters which tenant principal and resource are in, beyond their attributes.
    pub(crate) const fn reads_parents(&self) -> bool {
        self.parents
    }

    fn read(&mut self, expression: &Value) {
        match expression {
            Value::Object(members) => {
                if is_variable(expression, "context") {
                    // The context as a whole.
                    *self = Self::all();
                    return;
                }
                for (operator, operand) in members {
                    // `in`, and `is … in`, which has an operand of that name. What is on its left may be the action
                    // of the request by its name, not only by the variable.
                    self.parents |= operator == "in";
                    self.action_groups |= operator == "in";
                    let attribute = match operator.as_str() {
                        "." | "has" => attribute_of_context(operand),
                        _ => None,
                    };
                    match attribute {
                        Some(attribute) => {
                            self.context.insert(attribute);
                        }
                        None => self.read(operand),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.read(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn names_a_parent(policy: &Policy) -> bool {
    let principal = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Eq(_) | PrincipalConstraint::Is(_) => false,
        PrincipalConstraint::In(_) | PrincipalConstraint::IsIn(..) => true,
    };
    let resource = match policy.resource_constraint() {
        ResourceConstraint::Any | ResourceConstraint::Eq(_) | ResourceConstraint::Is(_) => false,
        ResourceConstraint::In(_) | ResourceConstraint::IsIn(..) => true,
    };
    principal || resource
}

fn is_variable(expression: &Value, name: &str) -> bool {
    expression.get("Var").and_then(Value::as_str) == Some(name)
}

/// `context.<attribute>` and `context has <attribute>`, of an attribute that the base schema knows.
fn attribute_of_context(operand: &Value) -> Option<ContextAttribute> {
    if !is_variable(operand.get("left")?, "context") {
        return None;
    }
    let name = operand.get("attr")?.as_str()?;
    ContextAttribute::ALL.into_iter().find(|attribute| attribute.name() == name)
}

#[cfg(test)]
mod tests;

//! Breaches that an operator has named, with a reason, in the metadata of the message where they are:
//!
//! ```yaml
//! metadata: { filter_metadata: { exequatur: { allow: { route-bypass: "Envoy's own health, nothing behind it" } } } }
//! ```
//!
//! It travels with the configuration, and Envoy takes it for what it is: metadata.

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules;
use crate::tree::{Node, Place, shortened};

/// A rule that may be broken inside of one message.
#[derive(Debug)]
pub(crate) struct Allowance {
    pub(crate) rule: String,
    pub(crate) reason: String,
    pub(crate) place: Place,
    pub(crate) used: bool,
}

pub(crate) static UNUSED: Rule = Rule::new(
    Severity::Weak,
    "allowance-unused",
    &["B-15"],
    "an allowance without its breach waits for one: what comes to stand here later is allowed unseen",
    "remove the allowance",
);

pub(crate) static INVALID: Rule = Rule::new(
    Severity::Weak,
    "allowance-invalid",
    &["B-15"],
    "an allowance that says neither what nor why cannot be reviewed, and allows nothing",
    "write `allow: { <rule>: \"<reason>\" }`, with a rule that may be allowed (`exequatur envoy lint --list`)",
);

/// The allowances in a message's metadata; those that will not do are reported.
pub(crate) fn of(node: &Node, linter: &mut Linter<'_>) -> Vec<Allowance> {
    let namespace = node.at("metadata.filter_metadata").and_then(|metadata| metadata.get("exequatur"));
    let Some(allow) = namespace.and_then(|namespace| namespace.get("allow")) else { return Vec::new() };
    if allow.entries().is_empty() {
        linter.report(&INVALID, allow.place, "`allow` is a map of rules to reasons");
    }
    let mut allowances = Vec::new();
    for entry in allow.entries() {
        let shown = shortened(&entry.key);
        let Some(rule) = rules::all().find(|rule| rule.id == entry.key) else {
            linter.report(&INVALID, entry.place, format!("`{shown}` is no rule"));
            continue;
        };
        if !rule.allowable {
            linter.report(&INVALID, entry.place, format!("`{shown}` cannot be allowed"));
            continue;
        }
        match entry.value.text().map(str::trim).filter(|reason| !reason.is_empty()) {
            Some(reason) => allowances.push(Allowance {
                rule: entry.key.clone(),
                reason: reason.to_owned(),
                place: entry.place,
                used: false,
            }),
            None => {
                linter.report(&INVALID, entry.value.place, format!("`{shown}` is allowed without a reason"))
            }
        }
    }
    allowances
}

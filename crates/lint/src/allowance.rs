//! Breaches that an operator has named, with a reason, in the metadata of the message where they are:
//!
//! ```yaml
//! metadata: { filter_metadata: { exequatur: { allow: { route-bypass: "Envoy's own health, nothing behind it" } } } }
//! ```
//!
//! It travels with the configuration, and Envoy takes it for what it is: metadata. A Kubernetes resource has annotations
//! for it: `exequatur.allow/<rule>: "<reason>"`.

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::rules;
use crate::tree::{Entry, Node, Place, shortened};

/// Before the name of a rule, in the annotations of a Kubernetes resource.
const ANNOTATION: &str = "exequatur.allow/";

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
    let mut allowances = Vec::new();
    for entry in node.at("metadata.annotations").map(Node::entries).unwrap_or_default() {
        if let Some(rule) = entry.key.strip_prefix(ANNOTATION) {
            allowances.extend(one(rule, entry, linter));
        }
    }
    let namespace = node.at("metadata.filter_metadata").and_then(|metadata| metadata.get("exequatur"));
    let Some(allow) = namespace.and_then(|namespace| namespace.get("allow")) else { return allowances };
    if allow.entries().is_empty() {
        linter.report(&INVALID, allow.place, "`allow` is a map of rules to reasons");
    }
    for entry in allow.entries() {
        allowances.extend(one(&entry.key, entry, linter));
    }
    allowances
}

/// One allowance, if it will do.
fn one(name: &str, entry: &Entry, linter: &mut Linter<'_>) -> Option<Allowance> {
    let shown = shortened(name);
    let Some(rule) = rules::all().find(|rule| rule.id == name) else {
        linter.report(&INVALID, entry.place, format!("`{shown}` is no rule"));
        return None;
    };
    if !rule.allowable {
        linter.report(&INVALID, entry.place, format!("`{shown}` cannot be allowed"));
        return None;
    }
    let Some(reason) = entry.value.text().map(str::trim).filter(|reason| !reason.is_empty()) else {
        linter.report(&INVALID, entry.value.place, format!("`{shown}` is allowed without a reason"));
        return None;
    };
    Some(Allowance { rule: name.to_owned(), reason: reason.to_owned(), place: entry.place, used: false })
}

//! Changes of headers: which Exequatur may make, and which others make.

use crate::Options;
use crate::linter::Linter;
use crate::names::{self, FOREIGN};
use crate::rule::{Key, Part, Rule, Severity, elsewhere, is_true};
use crate::rules::fields;
use crate::rules::logs;
use crate::tree::{Node, Place, shortened};

static RULES_OPEN: Rule = Rule::new(
    Severity::Weak,
    "mutation-rules",
    &["N06"],
    "whoever answers in Exequatur's place may write any header; `allow_expression` alone restricts nothing",
    "decoder_header_mutation_rules: { disallow_all: true, … }",
)
.key(Key::must(Part::Check, "decoder_header_mutation_rules.disallow_all", is_true, &["false"]));
static RULES_SILENT: Rule = Rule::new(
    Severity::Weak,
    "mutation-rules-silent",
    &["N06"],
    "a change that is not allowed is left out, and the request goes on without it",
    "disallow_is_error: true",
)
.key(Key::must(Part::Check, "decoder_header_mutation_rules.disallow_is_error", is_true, &["false"]));
static EXPRESSION: Rule = Rule::new(
    Severity::Weak,
    "mutation-names",
    &["N06"],
    "what a permit sets or removes does not happen, or names are open that Exequatur never writes",
    "the expression of envoy/hardened.yaml, which is made for the names that a permit sets and removes",
)
.key(Key::must(
    Part::Check,
    "decoder_header_mutation_rules.allow_expression",
    elsewhere,
    &[
        "{ regex: \".*\" }",
        "{ regex: \"x-exequatur-.*\" }",
        "{ regex: \"x-.*|authorization|dpop\" }",
        "{ regex: \"(\" }",
    ],
));

pub(crate) static RULES: &[&Rule] = &[&RULES_OPEN, &RULES_SILENT, &EXPRESSION];

/// Tries the rules on every name that a permit writes, and on names that it never does.
pub(crate) fn judge(check: &Node, linter: &mut Linter<'_>) {
    let Some(rules) = check.get("decoder_header_mutation_rules") else { return };
    fields::judge(&fields::MUTATION_RULES, rules, linter);
    let expression = |key: &str, linter: &mut Linter<'_>| {
        let given = rules.get(key)?;
        let compiled = given.get("regex").and_then(Node::text).and_then(names::whole);
        if compiled.is_none() {
            linter.unknown(&EXPRESSION, given.place, format!("`{key}` cannot be read"));
        }
        compiled
    };
    let allow = expression("allow_expression", linter);
    let disallow = expression("disallow_expression", linter);
    // Envoy's order: what is disallowed, then what is allowed, then the rest.
    let permitted = |name: &str| {
        !disallow.as_ref().is_some_and(|regex| regex.is_match(name))
            && (allow.as_ref().is_some_and(|regex| regex.is_match(name)) || !rules.says("disallow_all"))
    };
    let place = rules.nearest("allow_expression.regex").place;
    let kept: Vec<_> = linter.options.headers.iter().filter(|name| !permitted(name)).collect();
    if let Some(first) = kept.first() {
        let message = format!(
            "`{first}` and {} more names cannot be changed by a permit",
            kept.len().saturating_sub(1)
        );
        linter.report(&EXPRESSION, place, message);
    }
    let open: Vec<_> = FOREIGN.iter().filter(|name| permitted(name)).collect();
    if let Some(first) = open.first() {
        let message =
            format!("`{first}` and {} more foreign names can be changed", open.len().saturating_sub(1));
        linter.report(&EXPRESSION, place, message);
    }
}

/// What a `HeaderMutation` filter writes or removes of what decides, or was decided.
pub(crate) fn of_filter(config: &Node, linter: &mut Linter<'_>) -> Vec<(String, Place)> {
    let Some(mutations) = config.get("mutations") else { return Vec::new() };
    fields::judge(&fields::MUTATIONS, mutations, linter);
    let options = linter.options;
    let mut found = written(mutations.list("request_mutations"), options);
    let query = mutations.list("query_parameter_mutations").iter();
    found.extend(query.map(|mutation| ("the query".to_owned(), mutation.place)));
    found
}

/// Which reserved names a list of mutations touches. Removing our own prefix is what is asked for.
pub(crate) fn written(mutations: &[Node], options: &Options) -> Vec<(String, Place)> {
    let mut found = Vec::new();
    for mutation in mutations {
        if let Some(name) = mutation.get("remove").and_then(Node::text) {
            if names::reserved(name, options) && !names::is_ours(name) {
                found.push((format!("`{}`", shortened(name)), mutation.place));
            }
        } else if let Some(append) = mutation.get("append") {
            let name = append.at("header.key").and_then(Node::text).unwrap_or_default();
            if names::reserved(name, options) {
                found.push((format!("`{}`", shortened(name)), mutation.place));
            }
            let value = append.at("header.value").and_then(Node::text).unwrap_or_default();
            if let Some(secret) = logs::credentials(value) {
                found.push((format!("a copy of {secret}, in `{}`,", shortened(name)), mutation.place));
            }
        } else if let Some(matcher) = mutation.at("remove_on_match.key_matcher") {
            let touched = names::DECIDING.iter().chain(&[":path", "host"]);
            match touched
                .map(|name| (name, names::matches(matcher, name)))
                .find(|(_, hit)| *hit != Some(false))
            {
                Some((name, Some(_))) => found.push((format!("`{name}`"), mutation.place)),
                Some((_, None)) => {
                    found.push(("what a matcher that cannot be read selects".to_owned(), mutation.place))
                }
                None => {}
            }
        } else {
            found.push(("something by a mutation that is not known".to_owned(), mutation.place));
        }
    }
    found
}

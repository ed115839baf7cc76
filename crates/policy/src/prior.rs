//! The actors before the current one are history: they "are not to be considered in access control decisions" is the
//! rule for grants (RFC 8693 §4.1, X04). Here a `permit` that reads them is refused at load, and a `forbid` may read them:
//! that can only narrow what the current actor is permitted.

use cedar_policy::{Effect, Policy};
use serde_json::Value;

use crate::parse::{Parsed, at};
use crate::problem::Problem;

const MESSAGE: &str = "a `permit` rests on prior actors";
const HELP: &str = "prior actors are information (RFC 8693 section 4.1): say what they must not be in a `forbid`; of \
                    `context.delegation` a `permit` may read `depth` and `source`";

/// What is wrong with a policy that permits by prior actors, at the words that say so.
pub(crate) fn problem(parsed: &Parsed<'_>) -> Option<Problem> {
    if parsed.policy.effect() == Effect::Forbid || !rests_on_prior(&parsed.policy) {
        return None;
    }
    let (start, end) = parsed.policy.as_ref().loc().map(|loc| (loc.start(), loc.end()))?;
    let text = parsed.source.text.get(start..end).unwrap_or_default();
    let problem = match words(text) {
        Some((offset, length)) => Problem::at(parsed.source, start.saturating_add(offset), length, MESSAGE),
        None => at(parsed.source, &parsed.policy, MESSAGE),
    };
    Some(problem.with_help(HELP))
}

/// Whether a condition reads them, or hands on something that holds them. What cannot be told counts as such.
fn rests_on_prior(policy: &Policy) -> bool {
    policy.to_json().ok().and_then(|json| json.get("conditions").map(reads)).unwrap_or(true)
}

fn reads(expression: &Value) -> bool {
    if let Some(read) = member(expression) {
        return match read {
            Read { of: Of::Context, attribute, whole: true } => attribute == "delegation",
            // Asking whether there is one tells nothing of it.
            Read { of: Of::Context, whole: false, .. } => false,
            Read { of: Of::Delegation, attribute, .. } => attribute != "depth" && attribute != "source",
        };
    }
    if is_context(expression) {
        return true;
    }
    match expression {
        Value::Object(members) => members.values().any(reads),
        Value::Array(items) => items.iter().any(reads),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

enum Of {
    Context,
    Delegation,
}

/// An attribute that is read (`whole`) or asked for, of the context or of its delegation.
struct Read<'e> {
    of: Of,
    attribute: &'e str,
    whole: bool,
}

fn member(expression: &Value) -> Option<Read<'_>> {
    let (operand, whole) = match (expression.get("."), expression.get("has")) {
        (Some(operand), None) => (operand, true),
        (None, Some(operand)) => (operand, false),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    let attribute = operand.get("attr")?.as_str()?;
    let left = operand.get("left")?;
    if is_context(left) {
        return Some(Read { of: Of::Context, attribute, whole });
    }
    let inner = left.get(".")?;
    let delegation = inner.get("attr")?.as_str()? == "delegation" && is_context(inner.get("left")?);
    delegation.then_some(Read { of: Of::Delegation, attribute, whole })
}

fn is_context(expression: &Value) -> bool {
    expression.get("Var").and_then(Value::as_str) == Some("context")
}

/// Where a policy's text first says `prior`, else `delegation`, else `context`; not in a comment. A text in quotes may be
/// an attribute too.
fn words(text: &str) -> Option<(usize, usize)> {
    let found = |word: &str| {
        let mut line_start = 0;
        for line in text.split_inclusive('\n') {
            let code = line.split("//").next().unwrap_or_default();
            let place = code.match_indices(word).find(|(at, _)| whole_word(code, *at, word.len()));
            if let Some((at, _)) = place {
                return Some((at.saturating_add(line_start), word.len()));
            }
            line_start = line_start.saturating_add(line.len());
        }
        None
    };
    found("prior").or_else(|| found("delegation")).or_else(|| found("context"))
}

fn whole_word(text: &str, at: usize, length: usize) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = text.get(..at).and_then(|before| before.chars().next_back());
    let after = text.get(at.saturating_add(length)..).and_then(|after| after.chars().next());
    !before.is_some_and(part) && !after.is_some_and(part)
}

#[cfg(test)]
mod tests {
    use crate::testing::{load, set};

    fn permit(condition: &str) -> String {
        format!("@id(\"p\")\npermit (principal, action, resource)\nwhen {{ {condition} }};")
    }

    /// X04: whichever way it is written.
    #[test]
    fn a_permit_never_rests_on_prior_actors() {
        for (condition, column) in [
            ("context.delegation.prior.contains(Exequatur::Agent::\"corp:a\")", 27),
            ("!context.delegation.prior.isEmpty()", 28),
            ("context[\"delegation\"][\"prior\"].isEmpty()", 31),
            ("context.delegation == {depth: 0, source: \"none\", prior: []}", 57),
            ("context.delegation has prior", 31),
            ("principal == resource || {a: context.delegation} has a", 45),
            ("(if true then context else context).delegation.depth == 0", 44),
        ] {
            for text in [permit(condition), permit(condition).replace("when", "unless")] {
                let problems = load(&text).unwrap_err();
                let shift = if text.contains("unless") { 2 } else { 0 };
                let found = problems.iter().find(|problem| problem.message() == super::MESSAGE);
                let found = found.unwrap_or_else(|| panic!("{condition}: {problems}"));
                assert_eq!((found.line(), found.column()), (Some(3), Some(column + shift)), "{condition}");
                assert!(found.help().is_some_and(|help| help.contains("forbid")));
            }
        }
    }

    #[test]
    fn what_is_no_history_may_be_read_and_a_forbid_may_read_all() {
        for condition in [
            "context.delegation.depth <= 1",
            "context.delegation.source == \"issuer\"",
            "context has delegation",
            "context.actor == context.client // prior\n",
            "context.route == \"prior\"",
        ] {
            drop(set(&permit(condition)));
        }
        let forbid = permit("context.delegation.prior.contains(Exequatur::Agent::\"corp:a\")");
        drop(set(&forbid.replace("permit", "forbid")));
    }
}

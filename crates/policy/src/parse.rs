use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, PolicySet as CedarSet};

use crate::problem::Problem;
use crate::source::Source;

/// Bytes of the longest policy id.
const MAX_ID: usize = 64;

/// A policy under its own id, and the file that it stands in.
#[derive(Debug)]
pub(crate) struct Parsed<'a> {
    pub(crate) policy: Policy,
    pub(crate) id: Arc<str>,
    pub(crate) source: &'a Source,
}

/// Parses every file and gives each policy the id that its `@id` says. A file with a syntax error
/// yields problems only; the others still yield policies.
pub(crate) fn parse<'a>(sources: &'a [Source]) -> (Vec<Parsed<'a>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut policies: BTreeMap<Arc<str>, Parsed<'a>> = BTreeMap::new();
    for source in sources {
        for policy in file(source, &mut problems) {
            let id: Arc<str> = match policy.annotation("id") {
                None => {
                    problems
                        .push(at(source, &policy, "the policy has no `@id`").with_help(
                            "write `@id(\"...\")` before it: ids are what records and tests name",
                        ));
                    continue;
                }
                Some(id) if !well_formed(id) => {
                    problems.push(
                        at(source, &policy, format!("`{id}` is not a policy id"))
                            .with_help("1 to 64 lower-case letters, digits and hyphens"),
                    );
                    continue;
                }
                Some(id) => id.into(),
            };
            if let Some(first) = policies.get(&id) {
                let first = at(first.source, &first.policy, "");
                let place = first.line().map_or(String::new(), |line| format!(":{line}"));
                problems.push(
                    at(source, &policy, format!("the policy id `{id}` is used twice"))
                        .with_help(format!("it is used in {}{place} already", first.file())),
                );
                continue;
            }
            let policy = policy.new_id(PolicyId::new(&id));
            policies.insert(Arc::clone(&id), Parsed { policy, id, source });
        }
    }
    (policies.into_values().collect(), problems)
}

/// The file's policies in the order of its lines.
pub(crate) fn file(source: &Source, problems: &mut Vec<Problem>) -> Vec<Policy> {
    let set: CedarSet = match source.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            problems.extend(errors.iter().map(|error| Problem::from_cedar(source, error)));
            return Vec::new();
        }
    };
    for template in set.templates() {
        let place = template.as_ref().loc().map(|loc| (loc.start(), loc.end()));
        problems.push(
            spanned(source, place, "the policy is a template".to_owned()).with_help(
                "`?principal` and `?resource` cannot be filled: name the entity, or use a condition",
            ),
        );
    }
    let mut policies: Vec<Policy> = set.policies().cloned().collect();
    policies.sort_by_key(|policy| policy.as_ref().loc().map(|loc| loc.start()));
    policies
}

fn well_formed(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(allowed)
}

/// A problem of a whole policy, at its first line.
pub(crate) fn at(source: &Source, policy: &Policy, message: impl Into<String>) -> Problem {
    spanned(source, policy.as_ref().loc().map(|loc| (loc.start(), loc.end())), message.into())
}

fn spanned(source: &Source, place: Option<(usize, usize)>, message: String) -> Problem {
    let Some((start, end)) = place else { return Problem::of_file(&source.name, message) };
    let text = source.text.get(start..end).unwrap_or_default();
    let first_line = text.lines().next().unwrap_or_default();
    Problem::at(source, start, first_line.len(), message)
}

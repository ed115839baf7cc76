use std::collections::{BTreeSet, HashSet};
use std::mem;
use std::sync::Arc;

use cedar_policy::{Authorizer, PolicyId, PolicySet as CedarSet, ValidationError, ValidationMode, Validator};
use miette::Diagnostic;
use sha2::{Digest, Sha256};

use crate::answers::Answers;
use crate::base;
use crate::entities::BaseTypes;
use crate::federation;
use crate::parse::{Parsed, at, parse};
use crate::prior;
use crate::problem::{Problem, Problems};
use crate::schema::MergedSchema;
use crate::slice::{Slices, is_unscoped};
use crate::source::{PolicyFolder, Source};

/// How many entities a policy may step through. One: `principal`, `resource`, and those that the
/// context names are known with their attributes; what those refer to is known by its id alone, and
/// reading an attribute of it would be a fault in every decision.
const DEREFERENCES: u32 = 1;
const TOO_DEEP: &str = "reads an attribute or the parents of an entity that is known by its id only";
const KNOWN: &str = "only `principal`, `resource`, and `actor`, `client`, `user`, `tenant` and `resource_tenant` of the \
                     context come with their attributes";

/// A validated set of policies with the schema that they were validated against. Immutable.
#[derive(Debug)]
pub struct PolicySet {
    pub(crate) slices: Slices,
    pub(crate) authorizer: Authorizer,
    pub(crate) types: BaseTypes,
    pub(crate) ids: BTreeSet<Arc<str>>,
    pub(crate) answers: Answers,
    /// The policies that may permit a request under a federation.
    pub(crate) federated: BTreeSet<Arc<str>>,
    schema_text: String,
    schema_hash: String,
    content_hash: String,
    unscoped: usize,
    warnings: Vec<Problem>,
}

impl PolicySet {
    /// Merges the schema, parses and validates every policy (Cedar's strict mode). Tests of the
    /// folder are not looked at; see [`crate::run`].
    ///
    /// # Errors
    /// Every problem that could be found: a broken schema hides those that need a schema to be seen.
    pub fn load(folder: &PolicyFolder) -> Result<Arc<Self>, Problems> {
        let (parsed, mut problems) = parse(&folder.policies);
        let schema = match MergedSchema::load(&folder.schema) {
            Ok(schema) => Some(schema),
            Err(found) => {
                problems.extend(found.iter().cloned());
                None
            }
        };
        if parsed.is_empty() && problems.is_empty() {
            problems.push(
                Problem::of_file(".", "the folder has no policy")
                    .with_help("without a `permit` nothing is ever allowed, so an empty set is a mistake"),
            );
        }
        problems.extend(parsed.iter().filter_map(prior::problem));
        let warnings =
            schema.as_ref().map(|schema| validate(schema, &parsed, &mut problems)).unwrap_or_default();
        Problems::check(problems)?;
        // Without a problem there is a schema, and the base schema's own names always parse.
        let (Some(schema), Some(types)) = (schema, BaseTypes::new()) else {
            return Err(Problems::of(vec![Problem::of_file(base::FILE, "cannot be used")]));
        };
        Ok(Arc::new(Self {
            slices: Slices::build(&schema, parsed.iter().map(|parsed| &parsed.policy))?,
            authorizer: Authorizer::new(),
            types,
            ids: parsed.iter().map(|parsed| Arc::clone(&parsed.id)).collect(),
            schema_hash: hash([folder.schema.as_slice()]),
            content_hash: hash([folder.schema.as_slice(), folder.policies.as_slice()]),
            schema_text: schema.text,
            unscoped: parsed.iter().filter(|parsed| is_unscoped(&parsed.policy)).count(),
            warnings,
            answers: Answers::new(),
            federated: parsed
                .iter()
                .filter(|parsed| federation::may_permit(&parsed.policy))
                .map(|parsed| Arc::clone(&parsed.id))
                .collect(),
        }))
    }

    /// The set's identity: SHA-256, in hex, over the version of the base schema and the names and
    /// texts of schema and policies. Tests are not part of it.
    pub fn content_hash(&self) -> &str {
        &self.content_hash
    }

    /// As [`Self::content_hash`], of the schema alone.
    pub fn schema_hash(&self) -> &str {
        &self.schema_hash
    }

    /// The merged schema in Cedar's schema syntax: the base schema, then each file of the folder.
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// How many policies there are; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Every policy's id, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.ids.iter()
    }

    /// How many policies name neither an action nor a resource in their scope. Each of them is
    /// evaluated in every decision, which takes about a microsecond.
    pub fn unscoped(&self) -> usize {
        self.unscoped
    }

    /// What Cedar finds odd but not wrong, for example a policy that can never apply.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    pub(crate) fn id(&self, id: &PolicyId) -> Arc<str> {
        let id: &str = id.as_ref();
        self.ids.get(id).cloned().unwrap_or_else(|| id.into())
    }
}

/// Adds what is wrong to `problems` and returns what is odd.
fn validate(schema: &MergedSchema, parsed: &[Parsed<'_>], problems: &mut Vec<Problem>) -> Vec<Problem> {
    let policies = parsed.iter().map(|parsed| parsed.policy.clone());
    let set = match CedarSet::from_policies(policies) {
        Ok(set) => set,
        Err(error) => {
            problems.push(Problem::of_file(".", error.to_string()));
            return Vec::new();
        }
    };
    let result =
        Validator::new(schema.cedar.clone()).validate_with_level(&set, ValidationMode::Strict, DEREFERENCES);
    // Cedar says the same for every action that a policy applies to; once is enough.
    let mut told = HashSet::new();
    for error in result.validation_errors() {
        let problem = located(parsed, error.policy_id(), error);
        let place = (problem.file().to_owned(), problem.line(), problem.column());
        if !told.insert((place, problem.help().map(str::to_owned), mem::discriminant(error))) {
            continue;
        }
        let too_deep = matches!(error, ValidationError::EntityDerefLevelViolation(_));
        problems.push(if too_deep { problem.with_message(TOO_DEEP).with_help(KNOWN) } else { problem });
    }
    let warnings = result.validation_warnings();
    let mut warnings: Vec<Problem> =
        warnings.map(|warning| located(parsed, warning.policy_id(), warning)).collect();
    warnings.dedup();
    warnings
}

/// What Cedar says of a policy, without the id: file and line say that.
fn located(parsed: &[Parsed<'_>], id: &PolicyId, diagnostic: &dyn Diagnostic) -> Problem {
    let id: &str = id.as_ref();
    let Some(parsed) = parsed.iter().find(|parsed| &*parsed.id == id) else {
        return Problem::of_file(".", diagnostic.to_string());
    };
    let of_policy = format!("for policy `{id}`, ");
    let bare = |text: &str| text.strip_prefix(&of_policy).unwrap_or(text).to_owned();
    let mut problem = Problem::from_cedar(parsed.source, diagnostic);
    if problem.line().is_none() {
        let help = problem.help().map(str::to_owned);
        problem = at(parsed.source, &parsed.policy, problem.message());
        if let Some(help) = help {
            problem = problem.with_help(help);
        }
    }
    let message = bare(problem.message());
    match problem.help().map(bare) {
        Some(help) => problem.with_message(message).with_help(help),
        None => problem.with_message(message),
    }
}

/// Lengths are hashed before texts, so that no two folders run into the same bytes.
fn hash<'s>(parts: impl IntoIterator<Item = &'s [Source]>) -> String {
    let mut digest = Sha256::new();
    digest.update(base::BASE_SCHEMA_VERSION.to_be_bytes());
    for sources in parts {
        let mut sorted: Vec<&Source> = sources.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        digest.update(sorted.len().to_be_bytes());
        for source in sorted {
            for text in [source.name.as_str(), &source.text] {
                digest.update(text.len().to_be_bytes());
                digest.update(text);
            }
        }
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;

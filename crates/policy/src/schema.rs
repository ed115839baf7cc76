use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{CedarSchemaError, EntityTypeName, EntityUid, Schema, SchemaFragment};
use miette::Diagnostic;

use crate::base;
use crate::problem::{Problem, Problems};
use crate::question::Principals;
use crate::shape::{ActionShape, AttributeKind, ResourceType, Shapes};
use crate::source::Source;

/// The base schema and the folder's, merged and checked.
#[derive(Debug)]
pub(crate) struct MergedSchema {
    pub(crate) cedar: Schema,
    pub(crate) text: String,
    pub(crate) actions: Vec<Action>,
    pub(crate) resources: BTreeMap<String, ResourceType>,
}

/// An action that can be asked about.
#[derive(Debug)]
pub(crate) struct Action {
    /// As a [`crate::Question`] names it.
    pub(crate) name: String,
    pub(crate) uid: EntityUid,
    /// Names of resource types.
    pub(crate) resources: Vec<String>,
    /// Whether a user can be its principal.
    pub(crate) takes_users: bool,
}

impl MergedSchema {
    pub(crate) fn load(sources: &[Source]) -> Result<Self, Problems> {
        let built_in = Source::new(base::FILE, base::BASE_SCHEMA);
        let all: Vec<&Source> = std::iter::once(&built_in).chain(sources).collect();
        let fragments = fragments(&all)?;
        let cedar = Schema::from_schema_fragments(fragments)
            .map_err(|error| Problems::of(vec![located(&all, &error)]))?;
        let text =
            all.iter().map(|source| format!("// {}\n{}", source.name, source.text)).collect::<Vec<_>>();
        let text = text.join("\n");
        let (resolved, _warnings) = cedar_policy::schema_str_to_json_with_resolved_types(&text)
            .map_err(|error| Problems::of(vec![located(&all, &error)]))?;
        let (actions, resources) = conventions(&Shapes::new(&resolved), sources)?;
        Ok(Self { cedar, text, actions, resources })
    }
}

/// The base schema and the files of a folder as one text in Cedar's schema syntax. Policies are not looked at.
///
/// # Errors
/// Every problem of the schema.
pub fn merged_schema(sources: &[Source]) -> Result<String, Problems> {
    MergedSchema::load(sources).map(|schema| schema.text)
}

/// Parses each file on its own, so that every place is in its file.
fn fragments(all: &[&Source]) -> Result<Vec<SchemaFragment>, Problems> {
    let mut fragments = Vec::new();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for source in all {
        let fragment = match SchemaFragment::from_cedarschema_str(&source.text) {
            Ok((fragment, _warnings)) => fragment,
            Err(error) => {
                problems.extend(parse_problems(source, &error));
                continue;
            }
        };
        for namespace in fragment.namespaces().flatten().map(|namespace| namespace.to_string()) {
            let reserved = namespace.split("::").next() == Some(base::NAMESPACE);
            match seen.insert(namespace.clone(), &source.name) {
                _ if reserved && source.name != base::FILE => problems.push(
                    declaration(source, &format!("namespace {namespace}"), "the namespace is reserved")
                        .with_help("declare your types and actions outside the namespace `Exequatur`"),
                ),
                Some(first) => problems.push(
                    declaration(source, &format!("namespace {namespace}"), "the namespace is declared twice")
                        .with_help(format!("it is in `{first}` already; a namespace belongs into one file")),
                ),
                None => {}
            }
        }
        fragments.push(fragment);
    }
    Problems::check(problems)?;
    Ok(fragments)
}

fn parse_problems(source: &Source, error: &CedarSchemaError) -> Vec<Problem> {
    let mut problems = vec![Problem::from_cedar(source, error)];
    problems.extend(error.related().into_iter().flatten().map(|each| Problem::from_cedar(source, each)));
    problems
}

/// A problem of the whole schema, shown in the file that it is about: Cedar hands over the text.
fn located(all: &[&Source], error: &dyn Diagnostic) -> Problem {
    let label = error.labels().and_then(|mut labels| labels.next());
    let text = error.source_code().and_then(|code| {
        let contents = code.read_span(label?.inner(), usize::MAX, usize::MAX).ok()?;
        Some(contents.data().to_vec())
    });
    let file = text.and_then(|text| all.iter().find(|source| source.text.as_bytes() == text));
    match file {
        Some(source) => Problem::from_cedar(source, error),
        None => {
            let problem = Problem::of_file("schema", error.to_string());
            match error.help() {
                Some(help) => problem.with_help(help.to_string()),
                None => problem,
            }
        }
    }
}

/// A problem at the first place where `words` stand in `source`.
fn declaration(source: &Source, words: &str, message: &str) -> Problem {
    match source.text.find(words) {
        Some(offset) => Problem::at(source, offset, words.len(), message),
        None => Problem::of_file(&source.name, message),
    }
}

type Conventions = (Vec<Action>, BTreeMap<String, ResourceType>);

/// What Cedar does not ask, and a decision relies on: see the base schema.
fn conventions(shapes: &Shapes<'_>, sources: &[Source]) -> Result<Conventions, Problems> {
    let mut problems = Vec::new();
    let mut actions = Vec::new();
    let mut resources = BTreeMap::new();
    for shape in shapes.actions() {
        if principals(&shape).is_none() {
            problems.push(
                action_problem(
                    sources,
                    &shape,
                    "applies to other principals than agents, or agents and users",
                )
                .with_help("say `principal: [Exequatur::Agent]`, or `[Exequatur::Agent, Exequatur::User]`"),
            );
        }
        if shape.context.as_deref() != Some(base::CONTEXT) {
            problems.push(
                action_problem(sources, &shape, "has another context than `Exequatur::Context`")
                    .with_help("say `context: Exequatur::Context`"),
            );
        }
        for name in &shape.resources {
            let Some(resource) = shapes.entity_type(name) else {
                problems.push(action_problem(
                    sources,
                    &shape,
                    "applies to a resource type of no known shape",
                ));
                continue;
            };
            problems.extend(tenant_problem(sources, name, &resource));
            resources.insert(name.clone(), resource);
        }
        match action(&shape) {
            Some(action) => actions.push(action),
            None => problems.push(action_problem(sources, &shape, "cannot be named")),
        }
    }
    Problems::check(problems)?;
    Ok((actions, resources))
}

fn action(shape: &ActionShape) -> Option<Action> {
    let kind =
        if shape.namespace.is_empty() { "Action".to_owned() } else { format!("{}::Action", shape.namespace) };
    let kind: EntityTypeName = kind.parse().ok()?;
    let uid = EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(&shape.id));
    let name = if shape.namespace.is_empty() { shape.id.clone() } else { uid.to_string() };
    let takes_users = principals(shape) == Some(Principals::Both);
    Some(Action { name, uid, resources: shape.resources.clone(), takes_users })
}

/// Who its principals are, if that is one of the two answers that there are.
fn principals(shape: &ActionShape) -> Option<Principals> {
    let principals: BTreeSet<&str> = shape.principals.iter().map(String::as_str).collect();
    if principals == BTreeSet::from([base::AGENT]) {
        Some(Principals::Agent)
    } else if principals == BTreeSet::from([base::AGENT, base::USER]) {
        Some(Principals::Both)
    } else {
        None
    }
}

fn tenant_problem(sources: &[Source], name: &str, resource: &ResourceType) -> Option<Problem> {
    let tenant = resource.attributes.get("tenant")?;
    let fits = matches!(&tenant.kind, Some(AttributeKind::Entity(kind)) if kind.name() == base::TENANT);
    let message = format!("the attribute `tenant` of `{name}` has to be an `Exequatur::Tenant`");
    (!fits).then(|| of_any(sources, &format!("entity {}", local(name)), &message))
}

fn action_problem(sources: &[Source], shape: &ActionShape, what: &str) -> Problem {
    let message = format!("the action `{}` {what}", shape.id);
    let bare = format!("action {}", shape.id);
    let quoted = format!("action \"{}\"", shape.id);
    let words = if sources.iter().any(|source| source.text.contains(&quoted)) { quoted } else { bare };
    of_any(sources, &words, &message)
}

fn of_any(sources: &[Source], words: &str, message: &str) -> Problem {
    match sources.iter().find(|source| source.text.contains(words)) {
        Some(source) => declaration(source, words, message),
        None => Problem::of_file("schema", message),
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once("::").map_or(name, |(_, local)| local)
}

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::yaml::{File, Node};
use super::{Outcome, Verdict};
use crate::check::nearest;
use crate::problem::Problems;
use crate::question::{AttributeValue, ContextFacts, Principal, Question, ResourceFact, SenderConstraint};
use crate::set::PolicySet;
use crate::shape::AttributeKind;
use crate::source::Source;

const FILE_KEYS: &[&str] = &["defaults", "cases"];
const FACT_KEYS: &[&str] = &["agent", "user", "tenant", "action", "resource", "context"];
const CASE_KEYS: &[&str] =
    &["name", "agent", "user", "tenant", "action", "resource", "context", "expect", "policies"];
const PERSON_KEYS: &[&str] = &["id", "issuer", "tenant"];
const RESOURCE_KEYS: &[&str] = &["type", "id", "tenant", "attributes"];
const CONTEXT_KEYS: &[&str] =
    &["now", "scopes", "sender_constraint", "method", "route", "token", "delegation"];
const TOKEN_KEYS: &[&str] = &["age", "remaining"];
const DELEGATION_KEYS: &[&str] = &["depth", "actor"];

/// A case, read.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) expected: Outcome,
    agent: Person,
    user: Option<Person>,
    tenant: Option<String>,
    action: String,
    resource: Resource,
    context: Circumstances,
}

#[derive(Debug)]
struct Person {
    id: String,
    issuer: String,
    tenant: Option<String>,
}

#[derive(Debug)]
struct Resource {
    kind: String,
    id: String,
    tenant: Option<String>,
    attributes: Vec<(String, AttributeValue)>,
}

#[derive(Debug)]
struct Circumstances {
    now: Timestamp,
    scopes: Vec<String>,
    sender_constraint: SenderConstraint,
    method: String,
    route: String,
    age: i64,
    remaining: i64,
    depth: i64,
    actor: Option<String>,
}

/// Every case of a file, or every mistake in it.
pub(super) fn read(set: &PolicySet, source: &Source) -> Result<Vec<Case>, Problems> {
    let file = File::new(source);
    let document = file.document();
    let cases = document.as_ref().and_then(|document| cases(set, file.root(document))).unwrap_or_default();
    Problems::check(file.into_problems())?;
    Ok(cases)
}

fn cases(set: &PolicySet, root: Node<'_, '_>) -> Option<Vec<Case>> {
    root.only(FILE_KEYS);
    let defaults = root.get("defaults");
    if let Some(defaults) = defaults {
        defaults.only(FACT_KEYS);
    }
    let Some(list) = root.get("cases") else {
        root.problem("the file has no `cases`");
        return None;
    };
    let items = list.items()?;
    if items.is_empty() {
        list.problem("the file has no case");
    }
    let mut names = BTreeSet::new();
    let mut cases = Vec::new();
    for item in items {
        item.only(CASE_KEYS);
        if let Some(name) =
            item.get("name").filter(|name| name.text().is_some_and(|text| !names.insert(text)))
        {
            name.problem("another case has this name");
        }
        cases.extend(Case::read(set, item, defaults));
    }
    Some(cases)
}

/// A mapping of a case over the same mapping of the defaults. A null in the case takes the default
/// away.
#[derive(Debug, Clone, Copy)]
struct Layers<'f, 's> {
    /// Where to report what is missing.
    at: Node<'f, 's>,
    upper: Option<Node<'f, 's>>,
    lower: Option<Node<'f, 's>>,
}

impl<'f, 's> Layers<'f, 's> {
    fn get(self, name: &str) -> Option<Node<'f, 's>> {
        let found = self.upper.and_then(|node| node.get(name)).or_else(|| self.lower?.get(name))?;
        (!found.is_null()).then_some(found)
    }

    fn need(self, name: &str) -> Option<Node<'f, 's>> {
        let found = self.get(name);
        if found.is_none() {
            self.at
                .problem_with_help(format!("`{name}` is missing"), "say it in the case or under `defaults`");
        }
        found
    }

    /// A mapping below; its keys are checked against those that are known, if they are fixed.
    fn below<'k>(self, name: &str, known: impl Into<Option<&'k [&'k str]>>) -> Self {
        let upper = self.upper.and_then(|node| node.get(name));
        let lower = self.lower.and_then(|node| node.get(name));
        // Two mappings are merged; anything else in the case takes the default's place.
        let merged = upper.is_none_or(|upper| upper.is_mapping() && lower.is_some_and(Node::is_mapping));
        let lower = lower.filter(|_| merged);
        let upper = upper.filter(|upper| !upper.is_null());
        if let Some(known) = known.into() {
            for layer in [upper, lower].into_iter().flatten() {
                layer.only(known);
            }
        }
        Self { at: upper.or(lower).unwrap_or(self.at), upper, lower }
    }

    /// Whether either layer says something of it, be it null.
    fn says(self, name: &str) -> bool {
        [self.upper, self.lower].into_iter().flatten().any(|node| node.get(name).is_some())
    }

    /// Names of all members that are not null.
    fn names(self) -> BTreeSet<&'f str> {
        let layers = [self.upper, self.lower].into_iter().flatten();
        let members = layers.filter_map(Node::members).flatten().map(|(name, _, _)| name);
        members.filter(|name| self.get(name).is_some()).collect()
    }
}

impl Case {
    /// None if a problem was added.
    fn read(set: &PolicySet, item: Node<'_, '_>, defaults: Option<Node<'_, '_>>) -> Option<Self> {
        let layers = Layers { at: item, upper: Some(item), lower: defaults };
        // Each part is read before any is missed, so that every mistake is told.
        let name = layers.need("name").and_then(Node::text);
        let expected = expected(set, layers);
        let tenant = optional_text(layers, "tenant");
        let agent = layers.need("agent").and_then(|_| person(layers, "agent", tenant.as_deref()));
        let user = layers.get("user").map(|_| person(layers, "user", tenant.as_deref()));
        let action = layers.need("action").and_then(Node::text);
        let resource = layers
            .need("resource")
            .and_then(|_| Resource::read(set, action?, layers.below("resource", RESOURCE_KEYS)));
        let context =
            layers.need("context").and_then(|_| Circumstances::read(layers.below("context", CONTEXT_KEYS)));
        Some(Self {
            name: name?.to_owned(),
            line: item.line(),
            expected: expected?,
            agent: agent?,
            user: match user {
                Some(user) => Some(user?),
                None => None,
            },
            tenant,
            action: action?.to_owned(),
            resource: resource?,
            context: context?,
        })
    }

    pub(super) fn question(&self) -> Question<'_> {
        let Circumstances { now, scopes, sender_constraint, method, route, age, remaining, depth, actor } =
            &self.context;
        Question {
            agent: self.agent.principal(),
            user: self.user.as_ref().map(Person::principal),
            tenant: self.tenant.as_deref(),
            action: &self.action,
            resource: ResourceFact {
                kind: &self.resource.kind,
                id: &self.resource.id,
                tenant: self.resource.tenant.as_deref(),
                attributes: self.resource.attributes.clone(),
            },
            context: ContextFacts {
                now: *now,
                scopes: scopes.iter().map(String::as_str).collect(),
                sender_constraint: *sender_constraint,
                method,
                route,
                token_age_s: *age,
                token_remaining_s: *remaining,
                delegation_depth: *depth,
                actor: actor.as_deref(),
            },
        }
    }
}

fn optional_text(layers: Layers<'_, '_>, name: &str) -> Option<String> {
    layers.get(name).and_then(Node::text).map(str::to_owned)
}

fn text(layers: Layers<'_, '_>, name: &str) -> Option<String> {
    layers.need(name).and_then(Node::text).map(str::to_owned)
}

fn natural(layers: Layers<'_, '_>, name: &str) -> Option<i64> {
    let node = layers.need(name)?;
    let number = node.integer()?;
    if number < 0 {
        node.problem("has to be 0 or more");
    }
    Some(number)
}

fn expected(set: &PolicySet, layers: Layers<'_, '_>) -> Option<Outcome> {
    let node = layers.need("expect")?;
    let Some(verdict) = Verdict::parse(node.text()?) else {
        node.problem_with_help("unknown verdict", "one of `permit`, `forbid`, `no_permit`");
        return None;
    };
    let mut policies = BTreeSet::new();
    for item in layers.get("policies").and_then(Node::items).unwrap_or_default() {
        let id = item.text()?;
        match set.ids().find(|known| &***known == id) {
            Some(id) => drop(policies.insert(Arc::clone(id))),
            None => match nearest(id, set.ids().map(|id| &**id)) {
                Some(near) => {
                    item.problem_with_help("no policy has this id", format!("did you mean `{near}`?"))
                }
                None => item.problem("no policy has this id"),
            },
        }
    }
    match (verdict, policies.is_empty()) {
        (Verdict::NoPermit, false) => node.problem("no policy determines `no_permit`; leave `policies` out"),
        (Verdict::Permit | Verdict::Forbid, true) => {
            node.problem_with_help("`policies` is missing", "name every policy that the answer is due to");
        }
        (Verdict::NoPermit, true) | (Verdict::Permit | Verdict::Forbid, false) => {}
    }
    Some(Outcome { verdict, policies: policies.into_iter().collect() })
}

/// An agent or a user: its id alone, or a mapping that also says what follows from the id otherwise.
fn person(layers: Layers<'_, '_>, name: &str, tenant: Option<&str>) -> Option<Person> {
    let node = layers.get(name)?;
    let (id_node, issuer, tenant) = if node.is_mapping() {
        let below = layers.below(name, PERSON_KEYS);
        let tenant =
            if below.says("tenant") { optional_text(below, "tenant") } else { tenant.map(str::to_owned) };
        (below.need("id")?, optional_text(below, "issuer"), tenant)
    } else {
        (node, None, tenant.map(str::to_owned))
    };
    let id = id_node.text()?;
    let Some((before, _)) = id.split_once(':') else {
        id_node.problem_with_help("not an id", "an id is `<issuer name>:<claim>`, for example `corp:alice`");
        return None;
    };
    Some(Person { id: id.to_owned(), issuer: issuer.unwrap_or_else(|| before.to_owned()), tenant })
}

impl Person {
    fn principal(&self) -> Principal<'_> {
        Principal { id: &self.id, issuer: &self.issuer, tenant: self.tenant.as_deref() }
    }
}

impl Resource {
    fn read(set: &PolicySet, action: &str, layers: Layers<'_, '_>) -> Option<Self> {
        let kind = text(layers, "type");
        let id = text(layers, "id");
        let tenant = optional_text(layers, "tenant");
        let kind = kind?;
        let values = layers.below("attributes", None);
        let names = values.names();
        let given: Vec<&str> = names.iter().copied().chain(tenant.as_ref().map(|_| "tenant")).collect();
        if let Err(misfits) = set.knows(action, &kind, &given) {
            for misfit in misfits {
                layers.at.problem(misfit.to_string());
            }
            return None;
        }
        let mut attributes = Vec::new();
        for name in names {
            let value =
                set.attribute_kind(action, &kind, name).and_then(|kind| value(values.get(name)?, kind));
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        }
        Some(Self { kind, id: id?, tenant, attributes })
    }
}

/// A value of the type that the schema says.
fn value(node: Node<'_, '_>, kind: &AttributeKind) -> Option<AttributeValue> {
    match kind {
        AttributeKind::String => node.text().map(|text| AttributeValue::String(text.to_owned())),
        AttributeKind::Long => node.integer().map(AttributeValue::Long),
        AttributeKind::Bool => node.boolean().map(AttributeValue::Bool),
        AttributeKind::Set(element) => {
            let values: Option<Vec<_>> = node.items()?.into_iter().map(|item| value(item, element)).collect();
            values.map(AttributeValue::Set)
        }
        AttributeKind::Entity(kind) => {
            let id = node.text()?.to_owned();
            Some(AttributeValue::Entity { kind: kind.name().to_owned(), id })
        }
    }
}

impl Circumstances {
    fn read(layers: Layers<'_, '_>) -> Option<Self> {
        let now = layers.need("now").and_then(instant);
        let scopes = layers.need("scopes").and_then(strings);
        let sender_constraint = layers.need("sender_constraint").and_then(constraint);
        let method = text(layers, "method");
        let route = text(layers, "route");
        let token = layers.below("token", TOKEN_KEYS);
        let (age, remaining) = (natural(token, "age"), natural(token, "remaining"));
        let delegation = layers.below("delegation", DELEGATION_KEYS);
        let depth = natural(delegation, "depth");
        Some(Self {
            now: now?,
            scopes: scopes?,
            sender_constraint: sender_constraint?,
            method: method?,
            route: route?,
            age: age?,
            remaining: remaining?,
            depth: depth?,
            actor: optional_text(delegation, "actor"),
        })
    }
}

fn instant(node: Node<'_, '_>) -> Option<Timestamp> {
    let instant = node.text()?.parse().ok();
    if instant.is_none() {
        node.problem_with_help("not an instant", "as in `2026-03-04T10:00:00Z`");
    }
    instant
}

fn strings(node: Node<'_, '_>) -> Option<Vec<String>> {
    node.items()?.into_iter().map(|item| item.text().map(str::to_owned)).collect()
}

fn constraint(node: Node<'_, '_>) -> Option<SenderConstraint> {
    let constraint = SenderConstraint::parse(node.text()?);
    if constraint.is_none() {
        node.problem_with_help("unknown sender constraint", "one of `bearer`, `dpop`, `mtls`, `dpop_mtls`");
    }
    constraint
}

use std::collections::BTreeSet;
use std::sync::Arc;

use super::circumstances::Circumstances;
use super::layers::Layers;
use super::yaml::{File, Node};
use super::{Outcome, Verdict};
use crate::check::{RouteMisfit, nearest};
use crate::decide::{Answer, PolicyFault};
use crate::problem::Problems;
use crate::question::{
    AttributeValue, Identity, Principal, Principals, Question, ResourceFact, TenantFact, Who,
};
use crate::set::PolicySet;
use crate::shape::AttributeKind;
use crate::source::Source;

const FILE_KEYS: &[&str] = &["defaults", "cases"];
const FACT_KEYS: &[&str] =
    &["agent", "client", "user", "tenant", "tenants", "principals", "action", "resource", "context"];
const CASE_KEYS: &[&str] = &[
    "name",
    "agent",
    "client",
    "user",
    "tenant",
    "tenants",
    "principals",
    "action",
    "resource",
    "context",
    "expect",
    "policies",
];
const TENANT_KEYS: &[&str] = &["classification", "region"];
const PRINCIPALS: [(&str, Principals); 2] = [("agent", Principals::Agent), ("both", Principals::Both)];
const PERSON_KEYS: &[&str] = &["id", "issuer", "tenant"];
const RESOURCE_KEYS: &[&str] = &["type", "id", "tenant", "attributes"];

/// A case, read.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) expected: Outcome,
    agent: Person,
    /// The agent, if the case does not say another.
    client: Option<Person>,
    user: Option<Person>,
    tenant: Option<String>,
    tenants: Vec<Tenant>,
    principals: Principals,
    action: String,
    resource: Resource,
    context: Circumstances,
}

/// What is said of a tenant.
#[derive(Debug)]
struct Tenant {
    name: String,
    classification: Option<String>,
    region: Option<String>,
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

impl Case {
    /// None if a problem was added.
    fn read(set: &PolicySet, item: Node<'_, '_>, defaults: Option<Node<'_, '_>>) -> Option<Self> {
        let layers = Layers { at: item, upper: Some(item), lower: defaults };
        // Each part is read before any is missed, so that every mistake is told.
        let name = own(item, "name").and_then(Node::text);
        let expected = expected(set, item);
        let tenant = layers.optional_text("tenant");
        let agent = layers.need("agent").and_then(|_| person(layers, "agent", tenant.as_deref()));
        let user = layers.get("user").map(|_| person(layers, "user", tenant.as_deref()));
        let client = layers.get("client").map(|_| person(layers, "client", tenant.as_deref()));
        let principals = layers.get("principals").map_or(Some(Principals::Agent), principals);
        let tenants = tenants(layers.below("tenants", None));
        let action = layers.need("action");
        let resource = layers
            .need("resource")
            .and_then(|_| Resource::read(set, action?, layers.below("resource", RESOURCE_KEYS)));
        let context = layers.need("context").and_then(|_| Circumstances::read(layers));
        Some(Self {
            name: name?.to_owned(),
            line: item.line(),
            expected: expected?,
            agent: agent?,
            client: match client {
                Some(client) => Some(client?),
                None => None,
            },
            user: match user {
                Some(user) => Some(user?),
                None => None,
            },
            tenant,
            tenants,
            principals: principals?,
            action: action?.text()?.to_owned(),
            resource: resource?,
            context: context?,
        })
    }

    /// Asks the policies.
    pub(super) fn ask(&self, set: &PolicySet) -> Result<Answer, PolicyFault> {
        let prior: Vec<&str> = self.context.prior().iter().map(String::as_str).collect();
        set.decide(&self.question(&prior))
    }

    fn tenant_fact<'a>(&'a self, name: &'a str) -> TenantFact<'a> {
        let said = self.tenants.iter().find(|tenant| tenant.name == name);
        TenantFact {
            name,
            classification: said.and_then(|tenant| tenant.classification.as_deref()),
            region: said.and_then(|tenant| tenant.region.as_deref()),
        }
    }

    fn question<'a>(&'a self, prior: &'a [&'a str]) -> Question<'a> {
        Question {
            who: Who::Named(Identity {
                actor: self.agent.principal(),
                client: self.client.as_ref().unwrap_or(&self.agent).principal(),
                user: self.user.as_ref().map(Person::principal),
                tenant: self.tenant.as_deref().map(|tenant| self.tenant_fact(tenant)),
                prior,
            }),
            principals: self.principals,
            action: &self.action,
            resource: ResourceFact {
                kind: &self.resource.kind,
                id: &self.resource.id,
                tenant: self.resource.tenant.as_deref().map(|tenant| self.tenant_fact(tenant)),
                attributes: self.resource.attributes.clone(),
            },
            context: self.context.facts(),
        }
    }
}

fn principals(node: Node<'_, '_>) -> Option<Principals> {
    let word = node.text()?;
    let found = PRINCIPALS.iter().find(|(known, _)| *known == word);
    if found.is_none() {
        node.problem_with_help("unknown principals", "one of `agent`, `both`");
    }
    found.map(|(_, principals)| *principals)
}

fn tenants(layers: Layers<'_, '_>) -> Vec<Tenant> {
    let tenant = |name: &str| {
        let said = layers.below(name, TENANT_KEYS);
        let (classification, region) = (said.optional_text("classification"), said.optional_text("region"));
        Tenant { name: name.to_owned(), classification, region }
    };
    layers.names().into_iter().map(tenant).collect()
}

/// What each case has to say itself.
fn own<'f, 's>(item: Node<'f, 's>, name: &str) -> Option<Node<'f, 's>> {
    let found = item.get(name);
    if found.is_none() {
        item.problem(format!("the case has no `{name}`"));
    }
    found
}

fn expected(set: &PolicySet, item: Node<'_, '_>) -> Option<Outcome> {
    let node = own(item, "expect")?;
    let Some(verdict) = Verdict::parse(node.text()?) else {
        node.problem_with_help("unknown verdict", "one of `permit`, `forbid`, `no_permit`");
        return None;
    };
    let mut policies = BTreeSet::new();
    let listed = match item.get("policies") {
        Some(list) => list.items()?,
        None => Vec::new(),
    };
    for item in &listed {
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
    match (verdict, listed.is_empty()) {
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
            if below.says("tenant") { below.optional_text("tenant") } else { tenant.map(str::to_owned) };
        (below.need("id")?, below.optional_text("issuer"), tenant)
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
    fn read(set: &PolicySet, action: Node<'_, '_>, layers: Layers<'_, '_>) -> Option<Self> {
        let kind = layers.text("type");
        let id = layers.text("id");
        let tenant = layers.optional_text("tenant");
        let (kind, name) = (kind?, action.text()?);
        let values = layers.below("attributes", None);
        let names = values.names();
        let given: Vec<&str> = names.iter().copied().chain(tenant.as_ref().map(|_| "tenant")).collect();
        if let Err(misfits) = set.knows(name, &kind, &given) {
            for misfit in misfits {
                let unknown = matches!(misfit, RouteMisfit::ActionUnknown { .. });
                let at = if unknown { action } else { layers.at };
                at.problem(misfit.to_string());
            }
            return None;
        }
        let mut attributes = Vec::new();
        for attribute in names {
            let declared = set.attribute_kind(name, &kind, attribute);
            let value = declared.and_then(|declared| value(values.get(attribute)?, declared));
            attributes.extend(value.map(|value| (attribute.to_owned(), value)));
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

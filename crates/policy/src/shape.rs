use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{EntityTypeName, EntityUid};
use serde_json::Value;

/// How deep type aliases and sets may nest before a type counts as unsupported.
const MAX_DEPTH: usize = 16;

/// The attributes and parents of one entity type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceType {
    pub(crate) name: EntityTypeName,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    /// Whether an `Exequatur::Tenant` may be its parent.
    pub(crate) in_tenant: bool,
    /// The ids that an enumerated type has; None if ids are free.
    pub(crate) ids: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) required: bool,
    /// None for a type that an [`crate::AttributeValue`] cannot have (records, extension types).
    pub(crate) kind: Option<AttributeKind>,
}

/// The type of a resource's attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeKind {
    /// `String`.
    String,
    /// `Long`.
    Long,
    /// `Bool`.
    Bool,
    /// `Set<…>`.
    Set(Box<Self>),
    /// A reference to an entity of this type.
    Entity(EntityKind),
}

/// An entity type that an attribute may refer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityKind {
    name: EntityTypeName,
    shown: Arc<str>,
    ids: Option<Arc<BTreeSet<String>>>,
}

impl EntityKind {
    /// The type as the schema names it.
    pub fn name(&self) -> &str {
        &self.shown
    }

    /// The entity with this id; None if the type is enumerated without it.
    pub(crate) fn entity(&self, id: &str) -> Option<EntityUid> {
        let known = self.ids.as_ref().is_none_or(|ids| ids.contains(id));
        known.then(|| EntityUid::from_type_name_and_id(self.name.clone(), cedar_policy::EntityId::new(id)))
    }
}

/// An action: which resources it applies to, and with which principals and context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActionShape {
    pub(crate) namespace: String,
    pub(crate) id: String,
    pub(crate) principals: Vec<String>,
    pub(crate) resources: Vec<String>,
    /// The context's type name after aliases are followed, if it has a name.
    pub(crate) context: Option<String>,
}

/// The merged schema as resolved JSON, with every name qualified.
#[derive(Debug)]
pub(crate) struct Shapes<'a> {
    namespaces: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Shapes<'a> {
    pub(crate) fn new(resolved: &'a Value) -> Self {
        let namespaces =
            resolved.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect();
        Self { namespaces }
    }

    pub(crate) fn actions(&self) -> Vec<ActionShape> {
        let mut actions = Vec::new();
        for (namespace, id, value) in self.members("actions") {
            let applies = value.get("appliesTo");
            let resources = names(applies, "resourceTypes");
            // An action group applies to nothing and is never asked about.
            if resources.is_empty() {
                continue;
            }
            actions.push(ActionShape {
                namespace: namespace.to_owned(),
                id: id.to_owned(),
                principals: names(applies, "principalTypes"),
                resources,
                context: applies.and_then(|applies| applies.get("context")).and_then(|ty| self.named(ty)),
            });
        }
        actions
    }

    pub(crate) fn entity_type(&self, name: &str) -> Option<ResourceType> {
        let value = self.member("entityTypes", name)?;
        // No shape is no attributes; a shape that cannot be read makes the type unusable, not empty.
        let attributes = match value.get("shape") {
            Some(shape) => self.record(shape)?,
            None => BTreeMap::new(),
        };
        let in_tenant = strings(value.get("memberOfTypes")).any(|parent| parent == crate::base::TENANT);
        Some(ResourceType { name: name.parse().ok()?, attributes, in_tenant, ids: enumerated(value) })
    }

    fn record(&self, shape: &Value) -> Option<BTreeMap<String, Attribute>> {
        let shape = self.resolve(shape)?;
        let attributes = shape.get("attributes")?.as_object()?;
        let convert = |(name, ty): (&String, &Value)| {
            let required = ty.get("required").and_then(Value::as_bool).unwrap_or(true);
            (name.clone(), Attribute { required, kind: self.kind(ty, MAX_DEPTH) })
        };
        Some(attributes.iter().map(convert).collect())
    }

    fn kind(&self, ty: &Value, depth: usize) -> Option<AttributeKind> {
        let ty = self.resolve(ty)?;
        match ty.get("type")?.as_str()? {
            "String" => Some(AttributeKind::String),
            "Long" => Some(AttributeKind::Long),
            "Boolean" | "Bool" => Some(AttributeKind::Bool),
            "Set" => {
                let element = self.kind(ty.get("element")?, depth.checked_sub(1)?)?;
                Some(AttributeKind::Set(Box::new(element)))
            }
            "Entity" => {
                let shown = ty.get("name")?.as_str()?;
                let declared = self.member("entityTypes", shown)?;
                Some(AttributeKind::Entity(EntityKind {
                    name: shown.parse().ok()?,
                    shown: shown.into(),
                    ids: enumerated(declared).map(Arc::new),
                }))
            }
            _ => None,
        }
    }

    /// Follows type aliases to the type that they stand for.
    fn resolve(&self, ty: &'a Value) -> Option<&'a Value> {
        let mut ty = ty;
        for _ in 0..MAX_DEPTH {
            match ty.get("type").and_then(Value::as_str).and_then(|name| self.member("commonTypes", name)) {
                Some(aliased) => ty = aliased,
                None => return Some(ty),
            }
        }
        None
    }

    /// The last name on the way through type aliases.
    fn named(&self, ty: &'a Value) -> Option<String> {
        let mut found = None;
        let mut ty = ty;
        for _ in 0..MAX_DEPTH {
            let Some(name) = ty.get("type").and_then(Value::as_str) else { break };
            let Some(aliased) = self.member("commonTypes", name) else { break };
            found = Some(name.to_owned());
            ty = aliased;
        }
        found
    }

    /// A declaration by its qualified name.
    fn member(&self, section: &str, name: &str) -> Option<&'a Value> {
        let (namespace, id) = name.rsplit_once("::").unwrap_or(("", name));
        self.namespaces.get(namespace)?.get(section)?.get(id)
    }

    fn members(&self, section: &str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
        self.namespaces.iter().flat_map(move |(namespace, value)| {
            let declared = value.get(section).and_then(Value::as_object);
            declared.into_iter().flatten().map(move |(id, value)| (*namespace, id.as_str(), value))
        })
    }
}

fn names(applies: Option<&Value>, key: &str) -> Vec<String> {
    strings(applies.and_then(|applies| applies.get(key))).map(str::to_owned).collect()
}

fn strings(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn enumerated(declared: &Value) -> Option<BTreeSet<String>> {
    let ids = declared.get("enum")?;
    Some(strings(Some(ids)).map(str::to_owned).collect())
}

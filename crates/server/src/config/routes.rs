//! `routes`: what a host, path and method mean.

use std::num::NonZeroU32;
use std::sync::Arc;

use exequatur_decide::{
    Access, AttributeTemplate, CredentialHandling, Guard, Host, PathPattern, ResourceTemplate, Route,
    RouteMatch, SenderRequirement, Template, UserRequirement,
};
use exequatur_policy::Principals;
use serde_json::{Map, Value as Json, json};

use super::authorization_details;
use super::keys::{Key, Shape, boolean, either, list, map, optional, pattern, required, text, words};
use super::limits;
use super::problems::Place;
use super::reader::{Entry, Fields, Node, Notes, Value, once};
use super::recorded;
use super::sender::REQUIREMENTS;
use super::step_up;

const GUARDED_KEYS: &[&str] = &[
    "action",
    "resource",
    "scopes",
    "user",
    "principals",
    "step_up",
    "authorization_details",
    "sender_constraint",
    "credentials",
    "hide",
    "upgrades",
    "cost",
];
const KEYS: &[Key] = &[
    required("name", "In records, metadata and the policies' context; unique.", || {
        pattern(&format!("^[A-Za-z0-9._-]{{1,{MAX_NAME}}}$"))
    }),
    required("match", "Which requests it takes. The most specific route wins.", || map(MATCH_KEYS)),
    optional(
        "access",
        "`public` and `preflight` need no identity and take none of the keys that are about one.",
        || words(KINDS).default("guarded"),
    ),
    optional("action", "An action of the schema. Required unless `access` says otherwise.", text),
    optional("resource", "What the action is done to. Required unless `access` says otherwise.", || {
        map(RESOURCE_KEYS)
    }),
    optional("scopes", "Scopes that the token must all have: templates such as `doc:{id}`.", || {
        list(text()).default(Vec::<String>::new())
    }),
    optional("user", "Whether it takes requests on behalf of a user, and those without.", || {
        words(USERS).default("any")
    }),
    optional(
        "principals",
        "Whom the policies have to permit it: the agent, or the agent and the user, each for itself. `both` needs \
         `user: required`.",
        || words(PRINCIPALS).default("agent"),
    ),
    optional("step_up", "How, and how recently, the user must have been authenticated.", step_up::shape),
    optional(
        "authorization_details",
        "What must have been granted in detail: each entry by one detail of the token.",
        authorization_details::shape,
    ),
    optional(
        "sender_constraint",
        "May ask for more than `sender_constraint.require`, never for less. If absent, the same.",
        || words(REQUIREMENTS),
    ),
    optional(
        "credentials",
        "Whether `authorization` goes on to the upstream; with `forward` the token must be for that very \
         audience.",
        || either([words(STRIP), map(CREDENTIAL_KEYS)]).default("strip"),
    ),
    optional("hide", "Answer 404 instead of 403.", || boolean().default(false)),
    optional(
        "upgrades",
        "Protocols that a connection may be switched to, such as `websocket`. What is said over it then is not \
         judged.",
        || list(pattern("^[a-z0-9-]+$")).default(Vec::<String>::new()),
    ),
    optional("cost", "What a request costs of each limit that applies.", limits::cost_shape),
    optional("record", "Which parts of requests stand in records: at most 16.", recorded::shape),
];
const MATCH_KEYS: &[Key] = &[
    optional("host", "A host name without scheme and port. If absent, that of any protected resource.", text),
    required(
        "path",
        "`/literal/{parameter}`, perhaps `/**` at the end. A parameter is a whole segment.",
        || pattern("^/"),
    ),
    required("methods", "Methods in upper case.", || {
        list(pattern(&format!("^[!#$%&'*+.^_`|~0-9A-Z-]{{1,{MAX_METHOD}}}$"))).some().unique()
    }),
];
const RESOURCE_KEYS: &[Key] = &[
    required("type", "An entity type of the schema.", text),
    required("id", "A template: `{id}` is the parameter of the path.", text),
    optional("tenant", "A template; must equal the token's tenant.", text),
    optional("attributes", "What the schema demands of the type.", || {
        Shape::of(json!({ "type": "object", "additionalProperties": attribute_reference() }))
    }),
];
const CREDENTIAL_KEYS: &[Key] = &[required("forward", "Pass the caller's token on.", || map(FORWARD_KEYS))];
const FORWARD_KEYS: &[Key] = &[required("audience", "The audience of that very upstream.", text)];
const ENTITY_KEYS: &[Key] =
    &[required("entity", "An entity type.", text), required("id", "Its id: a template.", text)];
const KINDS: &[(&str, Kind)] =
    &[("guarded", Kind::Guarded), ("public", Kind::Public), ("preflight", Kind::Preflight)];
pub(super) const USERS: &[(&str, UserRequirement)] = &[
    ("any", UserRequirement::Any),
    ("required", UserRequirement::Required),
    ("refused", UserRequirement::Refused),
];
pub(super) const PRINCIPALS: &[(&str, Principals)] =
    &[("agent", Principals::Agent), ("both", Principals::Both)];
const STRIP: &[(&str, ())] = &[("strip", ())];
/// Where the JSON Schema defines an attribute's value, which may be a list of such.
pub(super) const ATTRIBUTE_DEFINITION: &str = "attribute";
/// Longest method, in bytes; none of the registered ones has more than 17.
const MAX_METHOD: usize = 32;
const MAX_NAME: usize = 64;

/// Where a route stands in the file.
#[derive(Clone, Debug)]
pub struct RoutePlace {
    /// The whole route.
    pub at: Place,
    /// The key of each of its fields.
    pub fields: Vec<(String, Place)>,
    /// Its patterns as they were written.
    pub texts: RouteTexts,
}

/// Patterns and templates as they were written.
#[derive(Clone, Debug, Default)]
pub struct RouteTexts {
    /// The path.
    pub path: String,
    /// The resource's id.
    pub id: String,
    /// The resource's tenant.
    pub tenant: Option<String>,
    /// The resource's attributes, each with its value.
    pub attributes: Vec<(String, String)>,
    /// The scopes.
    pub scopes: Vec<String>,
    /// The identifier that each entry of the authorization details asks for.
    pub identifiers: Vec<Option<String>>,
}

impl RoutePlace {
    /// Where a field of the route stands, or the route itself if the field is absent.
    #[must_use]
    pub fn field(&self, name: &str) -> Place {
        self.fields.iter().find(|(field, _)| field == name).map_or(self.at, |(_, place)| *place)
    }
}

/// The audience that a route passes the caller's token on to.
pub(super) fn forward_audience(route: &Route) -> Option<&str> {
    match &route.access {
        Access::Public | Access::Preflight => None,
        Access::Guarded(guard) => match &guard.credentials {
            CredentialHandling::Strip => None,
            CredentialHandling::Forward { audience } => Some(audience),
        },
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Guarded,
    Public,
    Preflight,
}

/// A route: what is needed and what is refused depends on `access`.
pub(super) fn shape() -> Shape {
    let Json::Object(mut schema) = map(KEYS).into_value() else { return map(KEYS) };
    let open =
        json!({ "properties": { "access": { "enum": ["public", "preflight"] } }, "required": ["access"] });
    let refused: Map<String, Json> =
        GUARDED_KEYS.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
    schema.insert("if".to_owned(), open);
    schema.insert("then".to_owned(), json!({ "properties": refused }));
    schema.insert("else".to_owned(), json!({ "required": ["action", "resource"] }));
    Shape::of(schema.into())
}

fn attribute_reference() -> Json {
    json!({ "$ref": format!("#/$defs/{ATTRIBUTE_DEFINITION}") })
}

/// The value of a resource's attribute.
pub(super) fn attribute_shape() -> Shape {
    Shape::of(json!({
        "description": "Text is a template.",
        "oneOf": [
            { "type": "string" },
            { "type": "integer" },
            { "type": "boolean" },
            { "type": "array", "items": attribute_reference() },
            map(ENTITY_KEYS).into_value(),
        ],
    }))
}

/// Reads the routes; one that says nothing of the sender asks for `least`.
pub(super) fn read(node: &Node, least: SenderRequirement, notes: &Notes) -> Option<Vec<(Route, RoutePlace)>> {
    let mut names = Vec::new();
    node.some(notes, |item| {
        let fields = Fields::open(item, KEYS, notes)?;
        let name = fields.required("name").and_then(|node| name(node, &mut names, notes));
        let kind = fields.or("access", Kind::Guarded, |node| node.word(KINDS, notes));
        let mut texts = RouteTexts::default();
        let matches = fields.required("match").and_then(|node| route_match(node, &mut texts, notes));
        let access = match kind {
            Some(Kind::Guarded) => {
                guard(&fields, least, &mut texts, notes).map(|guard| Access::Guarded(Arc::new(guard)))
            }
            Some(Kind::Public) => unguarded(&fields, notes).then_some(Access::Public),
            Some(Kind::Preflight) => unguarded(&fields, notes).then_some(Access::Preflight),
            None => None,
        };
        let places = item.map(notes)?.iter().map(|entry| (entry.key.clone(), entry.key_place)).collect();
        let record =
            fields.or("record", None, |node| recorded::read(node, notes).map(|parts| Some(Arc::new(parts))));
        let route = Route { name: name?, matches: matches?, access: access?, record: record? };
        Some((route, RoutePlace { at: item.place, fields: places, texts }))
    })
}

fn name(node: &Node, names: &mut Vec<String>, notes: &Notes) -> Option<String> {
    let name = node.text(notes)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.len() > MAX_NAME || !name.bytes().all(allowed) {
        notes.add(node.place, format!("a route's name is 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"));
        return None;
    }
    once(name, names, node.place, notes).then(|| name.to_owned())
}

/// Whether nothing stands here that only a guarded route has: it would look as if it were enforced.
fn unguarded(fields: &Fields<'_>, notes: &Notes) -> bool {
    let misplaced: Vec<&Entry> = GUARDED_KEYS.iter().filter_map(|key| fields.entry(key)).collect();
    for entry in &misplaced {
        let message = format!("`{}` has no meaning on a route without authentication", entry.key);
        notes.hint(entry.key_place, message, "remove it, or remove `access`");
    }
    misplaced.is_empty()
}

fn route_match(node: &Node, texts: &mut RouteTexts, notes: &Notes) -> Option<RouteMatch> {
    let fields = Fields::open(node, MATCH_KEYS, notes)?;
    let host = fields.or("host", None, |node| {
        let host = Host::parse(node.text(notes)?);
        if host.is_none() {
            notes.hint(node.place, "this is no host name", "a name such as api.example.com, without scheme");
        }
        host.map(Some)
    });
    let path = fields.required("path").and_then(|node| {
        let path = node.parsed(notes, PathPattern::parse)?;
        node.text(notes)?.clone_into(&mut texts.path);
        Some(path)
    });
    let mut seen = Vec::new();
    let methods = fields.required("methods").and_then(|node| {
        node.some(notes, |item| {
            let method = item.text(notes)?;
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if method.len() > MAX_METHOD || !method.bytes().all(token) {
                notes.add(item.place, "this is no method");
                return None;
            }
            if method.bytes().any(|b| b.is_ascii_lowercase()) {
                // RFC 9110 §9.1
                let hint = format!("did you mean `{}`?", method.to_ascii_uppercase());
                notes.hint(item.place, "methods are case-sensitive, and this one matches nothing", hint);
                return None;
            }
            once(method, &mut seen, item.place, notes).then(|| method.to_owned())
        })
    });
    Some(RouteMatch { host: host?, path: path?, methods: methods? })
}

fn guard(
    fields: &Fields<'_>,
    least: SenderRequirement,
    texts: &mut RouteTexts,
    notes: &Notes,
) -> Option<Guard> {
    let action = fields.required("action").and_then(|node| node.text(notes));
    let resource = fields.required("resource").and_then(|node| resource(node, texts, notes));
    let scopes = fields.or("scopes", Vec::new(), |node| {
        node.each(notes, |scope| {
            let template = scope.parsed(notes, Template::parse)?;
            texts.scopes.push(scope.text(notes)?.to_owned());
            Some(template)
        })
    });
    let user = fields.or("user", UserRequirement::Any, |node| node.word(USERS, notes));
    let principals = fields.or("principals", Principals::Agent, |node| node.word(PRINCIPALS, notes));
    let step_up = fields.or("step_up", None, |node| step_up::read(node, notes).map(Some));
    let authorization_details = fields.or("authorization_details", Vec::new(), |node| {
        authorization_details::read(node, &mut texts.identifiers, notes)
    });
    let sender = fields.or("sender_constraint", least, |node| node.word(REQUIREMENTS, notes));
    let credentials = fields.or("credentials", CredentialHandling::Strip, |node| credentials(node, notes));
    let hide = fields.or("hide", false, |node| node.boolean(notes));
    let upgrades = fields.or("upgrades", Vec::new(), |node| {
        node.each(notes, |item| {
            let protocol = item.text(notes)?;
            let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if protocol.is_empty() || !protocol.bytes().all(valid) {
                notes.add(item.place, "a protocol is named in lower-case letters, digits and `-`");
                return None;
            }
            Some(protocol.to_owned())
        })
    });
    let cost = fields.or("cost", NonZeroU32::MIN, |node| limits::cost(node, notes));
    Some(Guard {
        action: action?.to_owned(),
        resource: resource?,
        scopes: scopes?,
        user: user?,
        principals: principals?,
        step_up: step_up?,
        authorization_details: authorization_details?,
        sender: sender?,
        credentials: credentials?,
        hide: hide?,
        upgrades: upgrades?,
        cost: cost?,
    })
}

/// `strip`, or `{ forward: { audience: … } }`.
fn credentials(node: &Node, notes: &Notes) -> Option<CredentialHandling> {
    if let Value::Text(_) = node.value {
        node.word(STRIP, notes)?;
        return Some(CredentialHandling::Strip);
    }
    let forward = Fields::open(node, CREDENTIAL_KEYS, notes)?.required("forward")?;
    let audience = Fields::open(forward, FORWARD_KEYS, notes)?.required("audience")?.text(notes)?;
    Some(CredentialHandling::Forward { audience: audience.to_owned() })
}

fn resource(node: &Node, texts: &mut RouteTexts, notes: &Notes) -> Option<ResourceTemplate> {
    let fields = Fields::open(node, RESOURCE_KEYS, notes)?;
    let kind = fields.required("type").and_then(|node| node.text(notes));
    let id = fields.required("id").and_then(|node| {
        let template = node.parsed(notes, Template::parse)?;
        node.text(notes)?.clone_into(&mut texts.id);
        Some(template)
    });
    let tenant = fields.or("tenant", None, |node| {
        let template = node.parsed(notes, Template::parse)?;
        texts.tenant = node.text(notes).map(str::to_owned);
        Some(Some(template))
    });
    let attributes = fields.or("attributes", Vec::new(), |node| {
        let read: Vec<_> = node
            .map(notes)?
            .iter()
            .map(|entry| {
                texts.attributes.push((entry.key.clone(), written(&entry.value)));
                attribute(&entry.value, notes).map(|value| (entry.key.clone(), value))
            })
            .collect();
        read.into_iter().collect()
    });
    Some(ResourceTemplate { kind: kind?.to_owned(), id: id?, tenant: tenant?, attributes: attributes? })
}

fn attribute(node: &Node, notes: &Notes) -> Option<AttributeTemplate> {
    match &node.value {
        Value::Text(text) if text.is_empty() => Template::parse(text).ok().map(AttributeTemplate::Text),
        Value::Text(_) => node.parsed(notes, Template::parse).map(AttributeTemplate::Text),
        Value::Integer(number) => Some(AttributeTemplate::Long(*number)),
        Value::Bool(value) => Some(AttributeTemplate::Bool(*value)),
        Value::List(_) => node.each(notes, |item| attribute(item, notes)).map(AttributeTemplate::Set),
        Value::Map(_) => {
            let fields = Fields::open(node, ENTITY_KEYS, notes)?;
            let kind = fields.required("entity").and_then(|node| node.text(notes));
            let id = fields.required("id").and_then(|node| node.parsed(notes, Template::parse));
            Some(AttributeTemplate::Entity { kind: kind?.to_owned(), id: id? })
        }
        Value::Null | Value::Float | Value::Unusable => {
            node.mismatch("text, a whole number, a truth value, a list or `{ entity: …, id: … }`", notes)
        }
    }
}

/// A value in one line, as it could be written in the file.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Null | Value::Float | Value::Unusable => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, written(&entry.value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

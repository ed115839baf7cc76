use jiff::Timestamp;

use super::layers::Layers;
use super::yaml::Node;
use crate::question::{
    AuthenticationFacts, AuthorizationDetail, ContextFacts, Granted, SenderConstraint, SignalFacts,
    SubjectSignals, TokenSource,
};

const KEYS: &[&str] = &[
    "now",
    "scopes",
    "sender_constraint",
    "method",
    "route",
    "federation",
    "token",
    "authentication",
    "authorization_details",
    "delegation",
    "signals",
];
const TOKEN_KEYS: &[&str] = &["age", "remaining", "source"];
const AUTHENTICATION_KEYS: &[&str] = &["acr", "methods", "age"];
const DETAIL_KEYS: &[&str] = &["type", "actions", "datatypes", "privileges", "identifier"];
const MEMBERS: [&str; 3] = ["actions", "datatypes", "privileges"];
const DELEGATION_KEYS: &[&str] = &["depth", "prior"];
const SIGNALS_KEYS: &[&str] = &["agent", "user", "session"];
const SUBJECT_KEYS: &[&str] = &["risk", "device", "assurance"];

/// The `context` of a case.
#[derive(Debug)]
pub(super) struct Circumstances {
    now: Timestamp,
    scopes: Vec<String>,
    sender_constraint: SenderConstraint,
    method: String,
    route: String,
    age: i64,
    remaining: i64,
    token_source: TokenSource,
    authentication: Authentication,
    authorization_details: Vec<Detail>,
    depth: i64,
    prior: Vec<String>,
    federation: Option<String>,
    /// Of agent, user and session.
    signals: [Said; 3],
}

#[derive(Debug)]
struct Authentication {
    acr: Option<String>,
    methods: Vec<String>,
    age: Option<i64>,
}

/// One of `authorization_details`.
#[derive(Debug)]
struct Detail {
    kind: String,
    /// The one member that it names values of.
    named: Option<(&'static str, Vec<String>)>,
    identifier: Option<String>,
}

/// What signals have said of a subject; nothing, if a case does not say it.
#[derive(Debug)]
struct Said {
    risk: Option<String>,
    device: Option<String>,
    assurance: Vec<(String, String)>,
}

impl Circumstances {
    pub(super) fn read(above: Layers<'_, '_>) -> Option<Self> {
        let layers = above.below("context", KEYS);
        let now = layers.need("now").and_then(instant);
        let scopes = layers.need("scopes").and_then(strings);
        let sender_constraint = layers.need("sender_constraint").and_then(constraint);
        let method = layers.text("method");
        let route = layers.text("route");
        let token = layers.below("token", TOKEN_KEYS);
        let (age, remaining) = (token.natural("age"), token.natural("remaining"));
        let delegation = layers.below("delegation", DELEGATION_KEYS);
        let depth = delegation.natural("depth");
        let prior = prior(delegation, depth);
        let token_source = source(token);
        let authentication = Authentication::read(layers.below("authentication", AUTHENTICATION_KEYS));
        let authorization_details = match layers.get("authorization_details") {
            None => Some(Vec::new()),
            Some(node) => node.items().and_then(|items| items.into_iter().map(Detail::read).collect()),
        };
        let signals = layers.below("signals", SIGNALS_KEYS);
        let [agent, user, session] =
            ["agent", "user", "session"].map(|subject| Said::read(signals.below(subject, SUBJECT_KEYS)));
        Some(Self {
            now: now?,
            scopes: scopes?,
            sender_constraint: sender_constraint?,
            method: method?,
            route: route?,
            age: age?,
            remaining: remaining?,
            token_source: token_source?,
            authentication: authentication?,
            authorization_details: authorization_details?,
            depth: depth?,
            prior: prior?,
            federation: layers.optional_text("federation"),
            signals: [agent?, user?, session?],
        })
    }

    /// The actors before the current one.
    pub(super) fn prior(&self) -> &[String] {
        &self.prior
    }

    pub(super) fn facts(&self) -> ContextFacts<'_> {
        ContextFacts {
            now: self.now,
            scopes: self.scopes.iter().map(String::as_str).collect(),
            sender_constraint: self.sender_constraint,
            method: &self.method,
            route: &self.route,
            token_age_s: self.age,
            token_remaining_s: self.remaining,
            token_lifetime_s: self.age.saturating_add(self.remaining),
            token_source: self.token_source,
            authentication: self.authentication.facts(),
            authorization_details: self.authorization_details.iter().map(Detail::facts).collect(),
            delegation_depth: self.depth,
            federation: self.federation.as_deref(),
            signals: {
                let [agent, user, session] = &self.signals;
                Some(SignalFacts { agent: agent.facts(), user: user.facts(), session: session.facts() })
            },
        }
    }
}

impl Authentication {
    fn read(layers: Layers<'_, '_>) -> Option<Self> {
        let age = layers.get("age").map(|_| layers.natural("age"));
        Some(Self {
            acr: layers.optional_text("acr"),
            methods: layers.get("methods").map_or(Some(Vec::new()), strings)?,
            age: match age {
                Some(age) => Some(age?),
                None => None,
            },
        })
    }

    fn facts(&self) -> AuthenticationFacts<'_> {
        AuthenticationFacts { acr: self.acr.as_deref(), methods: borrowed(&self.methods), age_s: self.age }
    }
}

impl Detail {
    fn read(node: Node<'_, '_>) -> Option<Self> {
        node.only(DETAIL_KEYS);
        let layers = Layers { at: node, upper: Some(node), lower: None };
        let kind = layers.text("type");
        let named: Vec<_> =
            MEMBERS.iter().filter_map(|member| Some((*member, layers.get(member)?))).collect();
        if named.len() > 1 {
            node.problem_with_help(
                "a detail that narrows itself by several members is not told to policies",
                "name at most one of `actions`, `datatypes` and `privileges`",
            );
            return None;
        }
        let named = match named.first() {
            Some((member, node)) => Some((*member, strings(*node)?)),
            None => None,
        };
        Some(Self { kind: kind?, named, identifier: layers.optional_text("identifier") })
    }

    fn facts(&self) -> AuthorizationDetail<'_> {
        let granted = match &self.named {
            None => Granted::Whole,
            Some(("actions", values)) => Granted::Actions(borrowed(values)),
            Some(("datatypes", values)) => Granted::Datatypes(borrowed(values)),
            Some((_, values)) => Granted::Privileges(borrowed(values)),
        };
        AuthorizationDetail { kind: &self.kind, granted, identifier: self.identifier.as_deref() }
    }
}

impl Said {
    fn read(layers: Layers<'_, '_>) -> Option<Self> {
        let word = |name, known: &[&str]| match layers.get(name) {
            None => Some(None),
            Some(node) => {
                let word = node.text()?;
                if !known.contains(&word) {
                    let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
                    node.problem_with_help(format!("unknown {name}"), format!("one of {}", known.join(", ")));
                    return None;
                }
                Some(Some(word.to_owned()))
            }
        };
        let (risk, device) = (word("risk", &SubjectSignals::RISKS), word("device", &SubjectSignals::DEVICES));
        let levels = layers.below("assurance", None);
        let level = |namespace: &str| Some((namespace.to_owned(), levels.text(namespace)?));
        let assurance: Option<Vec<_>> = levels.names().into_iter().map(level).collect();
        Some(Self { risk: risk?, device: device?, assurance: assurance? })
    }

    fn facts(&self) -> SubjectSignals<'_> {
        let assurance = self.assurance.iter().map(|(namespace, level)| (namespace.as_str(), level.as_str()));
        SubjectSignals {
            risk: self.risk.as_deref(),
            device: self.device.as_deref(),
            assurance: assurance.collect(),
        }
    }
}

fn instant(node: Node<'_, '_>) -> Option<Timestamp> {
    let instant = node.text()?.parse().ok();
    if instant.is_none() {
        node.problem_with_help("not an instant", "as in `2026-03-04T10:00:00Z`");
    }
    instant
}

/// The actors before the current one; as many as the depth says, if any are named.
fn prior(layers: Layers<'_, '_>, depth: Option<i64>) -> Option<Vec<String>> {
    let Some(node) = layers.get("prior") else { return Some(Vec::new()) };
    let prior = strings(node)?;
    let count = i64::try_from(prior.len()).unwrap_or(i64::MAX);
    if !prior.is_empty() && depth.is_some_and(|depth| depth != count.saturating_add(1)) {
        node.problem_with_help(
            "the chain has another depth",
            "`depth` counts the prior actors and the current one",
        );
    }
    Some(prior)
}

fn source(layers: Layers<'_, '_>) -> Option<TokenSource> {
    let Some(node) = layers.get("source") else { return Some(TokenSource::Jwt) };
    let source = TokenSource::parse(node.text()?);
    if source.is_none() {
        node.problem_with_help("unknown source", "one of `jwt`, `introspection`");
    }
    source
}

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
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

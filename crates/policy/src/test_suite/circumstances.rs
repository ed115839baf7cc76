use jiff::Timestamp;

use super::layers::Layers;
use super::yaml::Node;
use crate::question::{ContextFacts, SenderConstraint, SignalFacts, SubjectSignals};

const KEYS: &[&str] =
    &["now", "scopes", "sender_constraint", "method", "route", "token", "delegation", "signals"];
const TOKEN_KEYS: &[&str] = &["age", "remaining"];
const DELEGATION_KEYS: &[&str] = &["depth", "actor"];
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
    depth: i64,
    actor: Option<String>,
    /// Of agent, user and session.
    signals: [Said; 3],
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
            depth: depth?,
            actor: delegation.optional_text("actor"),
            signals: [agent?, user?, session?],
        })
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
            delegation_depth: self.depth,
            actor: self.actor.as_deref(),
            signals: {
                let [agent, user, session] = &self.signals;
                Some(SignalFacts { agent: agent.facts(), user: user.facts(), session: session.facts() })
            },
        }
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

//! `issuers[].claims`: which claims say who.

use std::fmt;

use exequatur_token::{ClaimNames, ClaimWords, OwnSubject, Unmarked, UserClaim};
use serde_json::json;

use super::keys::{Key, Shape, either, map, optional, required, text, texts, words};
use super::reader::{Fields, Node, Notes, Value};
use super::remarks::NOT_MARKED;

pub(super) const KEYS: &[Key] = &[
    optional("agent", "The claim that says which agent the token was issued to.", || {
        text().default(ClaimNames::default().agent)
    }),
    optional("client", "The claim that says the OAuth client.", || {
        text().default(ClaimNames::default().client)
    }),
    optional("id", "The claim that says the token's id.", || text().default(ClaimNames::default().id)),
    optional(
        "scopes",
        "The claims that say the scopes: texts that are divided at spaces, or arrays (but for `scope`). One, or a list.",
        || either([text(), texts()]).default("scope"),
    ),
    optional(
        "user",
        "The claim that says on whose behalf the agent acts, and how a client's own token is told from a user's. A token \
         whose user has the client's id is refused.",
        || either([text(), map(USER_KEYS)]),
    ),
    optional("tenant", "The claim that says the tenant.", text),
    optional("purpose", "The claim that says what the token was issued for: a text, for records.", text),
    optional(
        "prompt_hash",
        "The claim with a digest of the prompt that led to the request: 22 to 160 characters, for records.",
        text,
    ),
];

const USER_KEYS: &[Key] = &[
    required("claim", "The claim that says the user.", text),
    optional(
        "when",
        "Claims, each with the words of which it has to hold one: a token is a user's if they do.",
        marks_shape,
    ),
    optional(
        "unless",
        "Claims, each with words: a token that holds one of them is the client's own.",
        marks_shape,
    ),
    optional("own_subject", "What a token is whose user has the client's id.", || {
        words(OWN_SUBJECTS).default("refuse")
    }),
    optional(
        "otherwise",
        "What a token is that is marked neither as a user's nor as the client's own.",
        || words(UNMARKED).default("refuse"),
    ),
];

const OWN_SUBJECTS: &[(&str, OwnSubject)] =
    &[("refuse", OwnSubject::Refused), ("client", OwnSubject::Client)];

const UNMARKED: &[(&str, Unmarked)] = &[("refuse", Unmarked::Refused), ("client", Unmarked::Client)];

/// Most claims of `when` and of `unless`, and most words of one.
const MAX_MARKS: usize = 16;

fn marks_shape() -> Shape {
    let words = either([text(), texts()]).into_value();
    Shape::of(json!({ "type": "object", "additionalProperties": words, "maxProperties": MAX_MARKS }))
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<ClaimNames> {
    let fields = Fields::open(node, KEYS, notes)?;
    let name = |node: &Node| node.text(notes).map(str::to_owned);
    let default = ClaimNames::default();
    let agent = fields.or("agent", default.agent, name);
    let client = fields.or("client", default.client, name);
    let id = fields.or("id", default.id, name);
    let scopes = fields.or("scopes", default.scopes, |node| one_or_more(node, notes));
    let user = fields.or("user", None, |node| user(node, notes).map(Some));
    let some = |node: &Node| name(node).map(Some);
    let tenant = fields.or("tenant", None, some);
    let (purpose, prompt_hash) = (fields.or("purpose", None, some), fields.or("prompt_hash", None, some));
    Some(ClaimNames {
        agent: agent?,
        client: client?,
        id: id?,
        scopes: scopes?,
        user: user?,
        tenant: tenant?,
        purpose: purpose?,
        prompt_hash: prompt_hash?,
    })
}

/// A claim, or a map that says how users' tokens are known.
fn user(node: &Node, notes: &Notes) -> Option<UserClaim> {
    if !matches!(node.value, Value::Map(_)) {
        if !matches!(node.value, Value::Text(_)) {
            return node.mismatch("a claim or `{ claim: …, when: …, unless: … }`", notes);
        }
        return node.text(notes).map(UserClaim::new);
    }
    let fields = Fields::open(node, USER_KEYS, notes)?;
    let name = fields.required("claim").and_then(|node| node.text(notes));
    let when = fields.or("when", Vec::new(), |node| marks(node, notes));
    let unless = fields.or("unless", Vec::new(), |node| marks(node, notes));
    let own_subject = fields.or("own_subject", OwnSubject::Refused, |node| node.word(OWN_SUBJECTS, notes));
    let otherwise = fields.or("otherwise", Unmarked::Refused, |node| node.word(UNMARKED, notes));
    Some(UserClaim {
        name: name?.to_owned(),
        when: when?,
        unless: unless?,
        own_subject: own_subject?,
        otherwise: otherwise?,
    })
}

fn marks(node: &Node, notes: &Notes) -> Option<Vec<ClaimWords>> {
    let entries = node.map(notes)?;
    if entries.is_empty() || entries.len() > MAX_MARKS {
        notes.add(node.place, format!("1 to {MAX_MARKS} claims are expected"));
        return None;
    }
    let read: Vec<_> = entries
        .iter()
        .map(|entry| {
            let words = one_or_more(&entry.value, notes)?;
            Some(ClaimWords { name: entry.key.clone(), words })
        })
        .collect();
    read.into_iter().collect()
}

fn one_or_more(node: &Node, notes: &Notes) -> Option<Vec<String>> {
    let words = match node.value {
        Value::List(_) => node.texts(notes)?,
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::Text(_)
        | Value::Map(_)
        | Value::Unusable => vec![node.text(notes)?.to_owned()],
    };
    if words.len() > MAX_MARKS {
        notes.add(node.place, format!("at most {MAX_MARKS} are taken"));
        return None;
    }
    Some(words)
}

/// The claims in effect, in the file's own form.
pub(super) fn show(claims: &ClaimNames, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ClaimNames { agent, client, id, scopes, user, tenant, purpose, prompt_hash } = claims;
    writeln!(f, "    claims:\n      agent: {agent:?}\n      client: {client:?}\n      id: {id:?}")?;
    writeln!(f, "      scopes: {scopes:?}")?;
    match user {
        Some(user) => show_user(user, f)?,
        None => writeln!(f, "      # user: none")?,
    }
    match tenant {
        Some(tenant) => writeln!(f, "      tenant: {tenant:?}")?,
        None => writeln!(f, "      # tenant: none")?,
    }
    for (key, claim) in [("purpose", purpose), ("prompt_hash", prompt_hash)] {
        if let Some(claim) = claim {
            writeln!(f, "      {key}: {claim:?}")?;
        }
    }
    Ok(())
}

fn show_user(user: &UserClaim, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let UserClaim { name, when, unless, own_subject, otherwise } = user;
    if !user.is_marked() {
        writeln!(f, "      # no mark: {NOT_MARKED}")?;
    }
    writeln!(f, "      user:\n        claim: {name:?}")?;
    for (key, marks) in [("when", when), ("unless", unless)] {
        if !marks.is_empty() {
            writeln!(f, "        {key}:")?;
            marks.iter().try_for_each(|mark| writeln!(f, "          {:?}: {:?}", mark.name, mark.words))?;
        }
    }
    let word = OWN_SUBJECTS.iter().find(|(_, known)| known == own_subject).map_or("", |(word, _)| word);
    writeln!(f, "        own_subject: {word}")?;
    let word = UNMARKED.iter().find(|(_, known)| known == otherwise).map_or("", |(word, _)| word);
    writeln!(f, "        otherwise: {word}")
}

#[cfg(test)]
mod tests;

//! `tenants`: what policies may know of tenants.

use std::collections::BTreeMap;

use exequatur_decide::{TenantTraits, Tenants};
use exequatur_token::check_id;
use serde_json::json;

use super::keys::{Key, Shape, map, optional, text};
use super::reader::{Fields, Node, Notes};

/// Most tenants of which something is said.
const MAX_TENANTS: usize = 10_000;
/// Longest word that is said of one, in characters.
const MAX_WORD: usize = 64;

const KEYS: &[Key] = &[
    optional("classification", "How its data is classified, in your words.", text),
    optional("region", "Where it is at home, in your words.", text),
];

/// A map from names, which are the operator's, to what is said.
pub(super) fn shape() -> Shape {
    Shape::of(json!({ "type": "object", "additionalProperties": map(KEYS).into_value() }))
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<Tenants> {
    let entries = node.map(notes)?;
    if entries.len() > MAX_TENANTS {
        notes.add(node.place, format!("more than {MAX_TENANTS} tenants"));
        return None;
    }
    let said: Vec<_> = entries
        .iter()
        .map(|entry| {
            let name = check_id(&entry.key);
            if let Err(error) = name {
                notes.add(entry.key_place, error.to_string());
            }
            let fields = Fields::open(&entry.value, KEYS, notes)?;
            let said = |key| fields.or(key, None, |node| word(node, notes).map(Some));
            let (classification, region) = (said("classification"), said("region"));
            let traits = TenantTraits { classification: classification?, region: region? };
            name.ok().map(|()| (entry.key.clone(), traits))
        })
        .collect();
    said.into_iter().collect::<Option<BTreeMap<_, _>>>().map(Tenants::new)
}

fn word(node: &Node, notes: &Notes) -> Option<String> {
    let word = node.text(notes)?;
    if word.chars().count() > MAX_WORD || word.chars().any(char::is_control) {
        notes.add(node.place, format!("1 to {MAX_WORD} characters without control characters expected"));
        return None;
    }
    Some(word.to_owned())
}

#[cfg(test)]
mod tests;

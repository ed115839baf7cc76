//! An issuer that has its tenant in its path: written once, read as one issuer for each tenant.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use exequatur_issuers::Place as Address;
use exequatur_token::IssuerName;

use super::problems::Place;
use super::reader::{Entry, Node, Notes, Value};

/// Stands for the tenant.
const PLACE: &str = "{tenant}";
/// Most tenants of one path: each is an issuer of its own, with its own keys and a task that keeps them.
const MAX_TENANTS: usize = 256;
/// Fits no issuer's name: stands for the tenant that may be listed later.
const NO_TENANT: &str = "0000000000000000000000000000000000000000";

/// The section with an issuer of its own for each tenant of a path; whether all could be had. Every part keeps its place in
/// the file.
pub(super) fn expanded(section: &Node, notes: &Notes) -> (Node, bool) {
    let Value::List(items) = &section.value else { return (section.clone(), true) };
    let mut whole = true;
    let mut issuers = Vec::new();
    for item in items {
        let in_path = entry(item, "issuer").is_some_and(|issuer| has_place(&issuer.value));
        if !in_path {
            whole &= no_stray_place(item, notes);
            issuers.push(item.clone());
            continue;
        }
        match one_each(item, notes) {
            Some(each) => issuers.extend(each),
            None => whole = false,
        }
    }
    (Node { place: section.place, value: Value::List(issuers) }, whole)
}

/// An issuer for each tenant. What they share with one another is what the file says once; never keys or names.
fn one_each(item: &Node, notes: &Notes) -> Option<Vec<Node>> {
    let named = own_name(item, notes);
    if let Some(tenant) = entry(item, "tenant") {
        let message = "the tenant is in the path of the issuer";
        notes.hint(tenant.key_place, message, "list them in `tenants`");
        return None;
    }
    let hint = "list them: `tenants: [acme, globex]`";
    let Some(list) = entry(item, "tenants") else {
        notes.hint(item.place, "key `tenants` is missing: which tenants are in the path?", hint);
        return None;
    };
    if !matches!(list.value.value, Value::List(_)) {
        notes.hint(list.value.place, "which tenants are in the path?", hint);
        return None;
    }
    let tenants = list.value.texts(notes)?;
    if tenants.len() > MAX_TENANTS {
        notes.add(list.value.place, format!("more than {MAX_TENANTS} tenants"));
        return None;
    }
    let keys = own_keys(item, &tenants, notes);
    let fitting = fitting(&list.value, named?, notes) && no_key_twice(item, &tenants, notes);
    (fitting && keys).then(|| tenants.iter().map(|tenant| of_tenant(item, tenant)).collect())
}

/// The pattern of the issuers' names.
fn own_name<'n>(item: &'n Node, notes: &Notes) -> Option<&'n str> {
    let hint = "each tenant's issuer has a name, such as `name: kc-{tenant}`";
    let Some(name) = entry(item, "name") else {
        notes.hint(item.place, "key `name` is missing", hint);
        return None;
    };
    let text = name.value.text(notes)?;
    if !text.contains(PLACE) {
        notes.hint(name.value.place, "`{tenant}` is missing: two issuers would have one name", hint);
        return None;
    }
    Some(text)
}

/// Whether no two tenants would have keys from one place: one realm's key would sign for another. Where metadata says the
/// place, it is not known here.
fn own_keys(item: &Node, tenants: &[String], notes: &Notes) -> bool {
    // That it is missing is told where it is read.
    let Some(jwks) = entry(item, "jwks") else { return true };
    let (from, place_of): (_, fn(&str) -> Option<String>) = match &jwks.value.value {
        Value::Map(_) => match entry(&jwks.value, "file") {
            Some(file) => (&file.value, place_of_file),
            None => return true,
        },
        Value::Text(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::List(_)
        | Value::Unusable => (&jwks.value, place_of_url),
    };
    let hint = "put it where the issuer has it, or discover the keys";
    let Value::Text(text) = &from.value else { return true };
    if !text.contains(PLACE) {
        notes.hint(from.place, "`{tenant}` is missing: one tenant's key would sign for another's", hint);
        return false;
    }
    let filled =
        tenants.iter().map(String::as_str).chain([NO_TENANT]).map(|tenant| text.replace(PLACE, tenant));
    let mut places = BTreeSet::new();
    let apart =
        filled.map(|text| place_of(&text)).all(|place| place.is_some_and(|place| places.insert(place)));
    if !apart {
        let message =
            "`{tenant}` does not make it another place for each: one tenant's key would sign for another's";
        notes.hint(from.place, message, hint);
    }
    apart
}

/// Scheme, host, port and path of a URL, as it is asked for. The query counts for nothing: whoever answers may not look at it.
fn place_of_url(text: &str) -> Option<String> {
    let Ok(address) = Address::named(text) else {
        // What is wrong with it is told where it is read.
        return Some(text.to_owned());
    };
    let url = address.as_str();
    Some(url.split_once('?').map_or(url, |(place, _)| place).to_owned())
}

/// The file, unless it is another one where a folder is a link.
fn place_of_file(text: &str) -> Option<String> {
    let path = Path::new(text);
    if path.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(path.components().collect::<PathBuf>().display().to_string())
}

/// Whether no map would have one key twice.
fn no_key_twice(node: &Node, tenants: &[String], notes: &Notes) -> bool {
    match &node.value {
        Value::Map(entries) => {
            let twice = |tenant: &String| -> Option<Place> {
                let mut seen = BTreeSet::new();
                let mut keys =
                    entries.iter().map(|entry| (entry.key.replace(PLACE, tenant), entry.key_place));
                keys.find_map(|(key, place)| (!seen.insert(key)).then_some(place))
            };
            if let Some(place) = tenants.iter().find_map(twice) {
                notes.add(place, "with a tenant for `{tenant}`, this key stands here a second time");
                return false;
            }
            entries.iter().all(|entry| no_key_twice(&entry.value, tenants, notes))
        }
        Value::List(items) => items.iter().all(|item| no_key_twice(item, tenants, notes)),
        Value::Text(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::Unusable => true,
    }
}

/// Whether each tenant can stand in a name and in one segment of a path as it is.
fn fitting(tenants: &Node, name: &str, notes: &Notes) -> bool {
    let Value::List(items) = &tenants.value else { return false };
    let misfits = items.iter().filter_map(|item| {
        let Value::Text(tenant) = &item.value else { return None };
        let name = name.replace(PLACE, tenant);
        let error = name.parse::<IssuerName>().err()?;
        notes.hint(
            item.place,
            format!("the issuer of `{tenant}` would be called `{name}`, and {error}"),
            "write an issuer of its own for this tenant, with `tenant`",
        );
        Some(())
    });
    misfits.count() == 0
}

/// The issuer of one tenant, as it could stand in the file.
fn of_tenant(item: &Node, tenant: &str) -> Node {
    let Value::Map(entries) = &item.value else { return item.clone() };
    let own = |entry: &Entry| {
        if entry.key == "tenants" {
            let value = Node { place: entry.value.place, value: Value::Text(tenant.to_owned()) };
            return Entry { key: "tenant".to_owned(), key_place: entry.key_place, value };
        }
        Entry { key: entry.key.clone(), key_place: entry.key_place, value: filled(&entry.value, tenant) }
    };
    Node { place: item.place, value: Value::Map(entries.iter().map(own).collect()) }
}

fn filled(node: &Node, tenant: &str) -> Node {
    let value = match &node.value {
        Value::Text(text) => Value::Text(text.replace(PLACE, tenant)),
        Value::List(items) => Value::List(items.iter().map(|item| filled(item, tenant)).collect()),
        Value::Map(entries) => Value::Map(
            entries
                .iter()
                .map(|entry| Entry {
                    key: entry.key.replace(PLACE, tenant),
                    key_place: entry.key_place,
                    value: filled(&entry.value, tenant),
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float | Value::Unusable => {
            node.value.clone()
        }
    };
    Node { place: node.place, value }
}

/// Whether `{tenant}` is not where it would be taken as it stands.
fn no_stray_place(item: &Node, notes: &Notes) -> bool {
    let mut seen = BTreeSet::new();
    for key in ["name", "jwks"] {
        let Some(entry) = entry(item, key).filter(|entry| mentions(&entry.value)) else { continue };
        if seen.insert(entry.value.place.offset) {
            let message = "`{tenant}` means nothing here, since `issuer` does not have it";
            notes.add(entry.value.place, message);
        }
    }
    seen.is_empty()
}

fn mentions(node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => text.contains(PLACE),
        Value::List(items) => items.iter().any(mentions),
        Value::Map(entries) => entries.iter().any(|entry| mentions(&entry.value)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float | Value::Unusable => false,
    }
}

fn has_place(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if text.contains(PLACE))
}

fn entry<'n>(item: &'n Node, key: &str) -> Option<&'n Entry> {
    let Value::Map(entries) = &item.value else { return None };
    entries.iter().find(|entry| entry.key == key)
}

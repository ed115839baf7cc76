//! Where tokens of an issuer have their tenant from: a claim, the issuer itself, the certificate of the client, or the path of
//! the issuer, which is written once and read as one issuer for each tenant.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr as _;

use exequatur_token::{CertifiedTenants, ClientAuthorities, IssuerName, TenantScope, TenantUri};

use super::keys::{Key, either, map, optional, required, text, texts, words};
use super::reader::{Entry, Fields, Node, Notes, Value};
use super::resolve;

/// Stands for the tenant.
const PLACE: &str = "{tenant}";
/// Most tenants of one path: each is an issuer of its own, with its own keys and a task that keeps them.
const MAX_TENANTS: usize = 256;
const ANY_TENANT: &[(&str, ())] = &[("any", ())];

/// Longest file of authorities, in bytes.
const MAX_AUTHORITIES: u64 = 256 * 1024;

pub(super) const TENANT: Key = optional(
    "tenant",
    "The one tenant that all its tokens are of, and then there is no `tenants`; or that the client's certificate says it.",
    || either([text(), map(BY_CERTIFICATE)]),
);

const BY_CERTIFICATE: &[Key] =
    &[required("certificate", "The certificate that a token is bound to says the tenant.", || {
        map(CERTIFICATE_KEYS)
    })];
const CERTIFICATE_KEYS: &[Key] = &[
    required(
        "ca_file",
        "PEM: the authorities that sign clients' certificates. Each has signed them itself.",
        text,
    ),
    required(
        "uri",
        "Where the one URI of a certificate has the tenant: `spiffe://example.com/{tenant}/**`.",
        text,
    ),
];
pub(super) const TENANTS: Key = optional(
    "tenants",
    "The tenants that its tokens may name: `any`, or a list. Required beside another issuer, if \
     `claims.tenant` is set. Where `issuer` has `{tenant}`, the tenants that are put there.",
    || either([words(ANY_TENANT), texts()]),
);

const MISSING_TENANTS: &str =
    "with several issuers, say whose tenants each may name: `tenants: [acme]`, or `tenants: any`";

/// The tenants that an issuer's tokens may name. Tenants are not scoped by issuer: with several issuers, none gets all
/// tenants by default.
pub(super) fn scope(
    fields: &Fields<'_>,
    item: &Node,
    claim_named: bool,
    (alone, folder): (bool, &Path),
    notes: &Notes,
) -> Option<TenantScope> {
    if let Some(node) = fields.optional("tenant").filter(|node| matches!(node.value, Value::Map(_))) {
        let by = certified(node, folder, notes);
        let only = match fields.entry("tenants") {
            Some(list) => tenants(&list.value, notes),
            None if alone => Some(TenantScope::Any),
            None => {
                notes.hint(item.place, "key `tenants` is missing", MISSING_TENANTS);
                None
            }
        };
        return Some(TenantScope::Certified { by: by?, only: only_these(only?) });
    }
    match (fields.optional("tenant"), fields.entry("tenants")) {
        (Some(own), None) => own.text(notes).map(|own| TenantScope::Always(own.to_owned())),
        (Some(_), Some(list)) => {
            notes.hint(list.key_place, "an issuer of one tenant has no `tenants`", "remove one of them");
            None
        }
        (None, Some(list)) => tenants(&list.value, notes),
        (None, None) if claim_named && !alone => {
            notes.hint(item.place, "key `tenants` is missing", MISSING_TENANTS);
            None
        }
        (None, None) => Some(TenantScope::Any),
    }
}

/// The list, if there is one.
fn only_these(scope: TenantScope) -> Option<Vec<String>> {
    match scope {
        TenantScope::Only(tenants) => Some(tenants),
        TenantScope::Any | TenantScope::Always(_) | TenantScope::Certified { .. } => None,
    }
}

/// By whose word a certificate says the tenant, and where. The file is read here, so that what is wrong with it is told with
/// its line.
fn certified(node: &Node, folder: &Path, notes: &Notes) -> Option<CertifiedTenants> {
    let fields = Fields::open(node, BY_CERTIFICATE, notes)?;
    let fields = Fields::open(fields.required("certificate")?, CERTIFICATE_KEYS, notes)?;
    let authorities = fields
        .required("ca_file")
        .and_then(|node| node.parsed(notes, |file| authorities(&resolve(folder, file))));
    let uri = fields.required("uri").and_then(|node| node.parsed(notes, TenantUri::from_str));
    Some(CertifiedTenants { authorities: authorities?, uri: uri? })
}

fn authorities(file: &Path) -> Result<ClientAuthorities, String> {
    let mut pem = Vec::new();
    let most = MAX_AUTHORITIES.saturating_add(1);
    let read = File::open(file).and_then(|open| open.take(most).read_to_end(&mut pem));
    let read = read.map_err(|error| format!("{}: {error}", file.display()))?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_AUTHORITIES) {
        return Err(format!("{}: longer than {MAX_AUTHORITIES} bytes", file.display()));
    }
    ClientAuthorities::from_pem(file.to_owned(), &pem)
        .map_err(|problem| format!("{}: {problem}", file.display()))
}

fn tenants(node: &Node, notes: &Notes) -> Option<TenantScope> {
    if let Value::Text(_) = node.value {
        node.word(ANY_TENANT, notes)?;
        return Some(TenantScope::Any);
    }
    if !matches!(node.value, Value::List(_)) {
        return node.mismatch("a list of tenants or `any`", notes);
    }
    node.texts(notes).map(TenantScope::Only)
}

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
    let keys = own_keys(item, notes);
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
    let fitting = fitting(&list.value, named?, notes);
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

/// Whether no two tenants would have keys from one place: one realm's key would sign for another.
fn own_keys(item: &Node, notes: &Notes) -> bool {
    // That it is missing is told where it is read.
    let Some(jwks) = entry(item, "jwks") else { return true };
    let from = match &jwks.value.value {
        Value::Map(_) => match entry(&jwks.value, "file") {
            Some(file) => &file.value,
            None => return true,
        },
        Value::Text(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::List(_)
        | Value::Unusable => &jwks.value,
    };
    let apart = has_place(from);
    if !apart {
        let message = "`{tenant}` is missing: one tenant's key would sign for another's";
        notes.hint(from.place, message, "put it where the issuer has it, or discover the keys");
    }
    apart
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
                .map(|entry| Entry { value: filled(&entry.value, tenant), ..entry.clone() })
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

#[cfg(test)]
mod tests;

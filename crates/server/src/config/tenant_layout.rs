//! Where tokens of an issuer have their tenant from: a claim, the issuer itself, or the certificate of the client.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr as _;

use exequatur_token::{CertifiedTenants, ClientAuthorities, TenantScope, TenantUri};

use super::keys::{Key, either, map, optional, required, text, texts, words};
use super::reader::{Fields, Node, Notes, Value};
use super::resolve;

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

#[cfg(test)]
mod tests;

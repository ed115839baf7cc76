//! `protected_resources`: what tokens are for.

use exequatur_decide::{Host, ProtectedResource, ProtectedResources};
use exequatur_token::Origin;

use super::keys::{Key, Shape, list, optional, pattern, required, texts};
use super::reader::{Fields, Node, Notes, once};

/// RFC 9728 §3.
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

pub(super) const KEYS: &[Key] = &[
    required(
        "resource",
        "The identifier that tokens carry in `aud`: an https URL without query and fragment; http for a \
         loopback host.",
        url,
    ),
    optional(
        "origin",
        "The origin that callers see, `https://host[:port]` or `http://…`: what the `htu` of a proof is \
         compared with. Its host selects the resource. If absent, that of `resource`.",
        url,
    ),
    optional(
        "audiences",
        "Other texts that tokens carry in `aud` for this resource, at issuers that do not take its identifier: an \
         application's id. Each has to be among the `audiences` of an issuer.",
        texts,
    ),
    optional("scopes", "What the metadata names as `scopes_supported`.", || {
        list(pattern(r"^[\x21\x23-\x5B\x5D-\x7E]+$")).default(Vec::<String>::new())
    }),
];

/// A URL; whether it is a safe one is for the reader.
pub(super) fn url() -> Shape {
    pattern("^[Hh][Tt][Tt][Pp][Ss]?://")
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<ProtectedResources> {
    let (mut hosts, mut identifiers) = (Vec::new(), Vec::new());
    let resources = node.some(notes, |item| {
        let fields = Fields::open(item, KEYS, notes)?;
        let identifier = fields.required("resource").and_then(|node| identifier(node, notes));
        let own = identifier.as_ref().map(|identifier| identifier.origin.clone());
        let origin = match fields.optional("origin") {
            Some(node) => node.parsed(notes, Origin::parse),
            None => own,
        };
        let aliases = fields.or("audiences", Vec::new(), |node| {
            node.some(notes, |item| {
                let alias = item.text(notes)?;
                once(alias, &mut identifiers, item.place, notes).then(|| alias.to_owned())
            })
        });
        let scopes =
            fields.or("scopes", Vec::new(), |node| node.each(notes, |scope| scope_token(scope, notes)));
        let (identifier, origin) = (identifier?, origin?);
        let host_place = fields.optional("origin").unwrap_or(item).place;
        let Some(host) = host_of(&origin) else {
            notes.add(host_place, "the origin's host cannot be compared with a request's");
            return None;
        };
        let hosts_apart = once(host.as_str(), &mut hosts, host_place, notes);
        let identifiers_apart = once(&identifier.text, &mut identifiers, item.place, notes);
        (hosts_apart && identifiers_apart).then_some(())?;
        Some(ProtectedResource {
            identifier: identifier.text,
            aliases: aliases?,
            origin,
            host,
            scopes: scopes?,
            metadata_url: identifier.metadata_url,
        })
    })?;
    Some(ProtectedResources::new(resources))
}

struct Identifier {
    text: String,
    origin: Origin,
    metadata_url: String,
}

/// An https URL without query and fragment (RFC 8707 §2, RFC 9728 §1.2); http for loopback only.
fn identifier(node: &Node, notes: &Notes) -> Option<Identifier> {
    let text = node.text(notes)?;
    let plain = !text.contains(['?', '#', '\\']) && text.bytes().all(|b| b.is_ascii_graphic());
    let (base, path) = split_origin(text);
    match Origin::parse(base) {
        Ok(_) if !plain => {
            notes.add(node.place, "a resource identifier has neither query nor fragment nor spaces");
            None
        }
        Ok(origin) if is_https_or_loopback(&origin) => {
            let path = if path == "/" { "" } else { path };
            Some(Identifier {
                text: text.to_owned(),
                metadata_url: format!("{origin}{WELL_KNOWN}{path}"),
                origin,
            })
        }
        Ok(_) => {
            notes.add(node.place, "a resource identifier begins with https://");
            None
        }
        Err(error) => {
            notes.hint(node.place, error.to_string(), "an https URL, such as https://api.example.com");
            None
        }
    }
}

fn is_https_or_loopback(origin: &Origin) -> bool {
    let loopback = || {
        host_of(origin).is_some_and(|host| {
            let bare = host.as_str().trim_start_matches('[').trim_end_matches(']');
            bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        })
    };
    origin.as_str().starts_with("https://") || loopback()
}

fn host_of(origin: &Origin) -> Option<Host> {
    origin.as_str().split_once("://").and_then(|(_, authority)| Host::parse(authority))
}

/// Scheme and authority, and what follows.
fn split_origin(text: &str) -> (&str, &str) {
    let authority = text.find("://").map_or(0, |colon| colon + 3);
    let path = text.char_indices().find(|(at, c)| *at >= authority && matches!(c, '/' | '?' | '#'));
    path.and_then(|(at, _)| text.split_at_checked(at)).unwrap_or((text, ""))
}

/// RFC 6749 §3.3.
fn scope_token(node: &Node, notes: &Notes) -> Option<String> {
    let text = node.text(notes)?;
    if text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        return Some(text.to_owned());
    }
    notes.add(node.place, "a scope has neither spaces nor quotes nor backslashes");
    None
}

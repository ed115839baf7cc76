//! Names in certificates of clients, as `uri` or `dns`.

use std::fmt;

use exequatur_token::CertificateName;

use super::keys::{Key, optional, text};
use super::reader::{Fields, Node, Notes, once};

pub(super) const URI: Key =
    optional("uri", "A URI in the certificate's `subjectAltName`, such as a SPIFFE id.", text);
pub(super) const DNS: Key = optional("dns", "A DNS name there, instead of a URI.", text);

/// The one name that a map with [`URI`] and [`DNS`] says, once among those `seen`. One with `*` is refused: it would be compared byte by
/// byte, and so mean nobody; that a server's certificate may have such a name makes it no name of a client.
pub(super) fn read(
    node: &Node,
    fields: &Fields<'_>,
    seen: &mut Vec<String>,
    notes: &Notes,
) -> Option<CertificateName> {
    let name = match (fields.optional("uri"), fields.optional("dns")) {
        (Some(uri), None) => uri.text(notes).map(|name| CertificateName::Uri(name.to_owned())),
        (None, Some(dns)) => dns.text(notes).map(|name| CertificateName::Dns(name.to_owned())),
        (None, None) | (Some(_), Some(_)) => {
            notes.add(node.place, "either `uri` or `dns` is needed");
            None
        }
    };
    let name = name.filter(|name| once(name.as_str(), seen, node.place, notes))?;
    if name.as_str().contains('*') {
        let hint = "each name in full: there are no wildcards";
        notes.hint(node.place, format!("`{}` has a `*`", name.as_str()), hint);
        return None;
    }
    Some(name)
}

/// In the form of the file.
pub(super) fn show(name: &CertificateName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name {
        CertificateName::Uri(uri) => write!(f, "uri: {uri:?}"),
        CertificateName::Dns(dns) => write!(f, "dns: {dns:?}"),
    }
}

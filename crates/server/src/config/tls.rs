//! The files of a listener with TLS.

use std::fmt;
use std::path::{Path, PathBuf};

use exequatur_token::CertificateName;

use super::certificate_names;
use super::keys::{Key, list, map, optional, required, text};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::secrets::private;

/// What a listener shows, and whom it lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Its certificate, and those between it and the root.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs certificates of clients; none are asked for without.
    pub client_authority: Option<PathBuf>,
    /// Whose certificates of theirs are let in: each one's if there is no name.
    pub clients: Vec<CertificateName>,
}

/// Most names of clients; each handshake compares with all.
const MAX_CLIENTS: usize = 256;

const CERTIFICATE: Key = required(
    "certificate_file",
    "PEM: the certificate, then those between it and the root. Read again when it changes.",
    text,
);
const KEY: Key = required("key_file", "PEM: its key, which only the owner and the group may read.", text);
const AUTHORITIES: Key =
    optional("client_ca_file", "PEM: the authorities that sign certificates of clients.", text);

const CLIENT_KEYS: &[Key] = &[certificate_names::URI, certificate_names::DNS];

/// Of a listener that asks who it is by other means.
pub(super) const KEYS: &[Key] = &[CERTIFICATE, KEY, AUTHORITIES];

/// Of Envoy's.
pub(super) const GRPC_KEYS: &[Key] = &[
    CERTIFICATE,
    KEY,
    AUTHORITIES,
    optional(
        "clients",
        "Names of the certificates that may ask; with none each that the authorities signed may.",
        || list(map(CLIENT_KEYS)).some().at_most_items(MAX_CLIENTS),
    ),
];

/// In the form of the file, below a key.
pub(super) fn show(files: &TlsFiles, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let TlsFiles { certificate, key, client_authority, clients } = files;
    writeln!(f, "    certificate_file: {certificate:?}\n    key_file: {key:?}")?;
    client_authority.iter().try_for_each(|file| writeln!(f, "    client_ca_file: {file:?}"))?;
    if !clients.is_empty() {
        writeln!(f, "    clients:")?;
    }
    clients.iter().try_for_each(|name| {
        write!(f, "      - ")?;
        certificate_names::show(name, f)?;
        writeln!(f)
    })
}

pub(super) fn read(node: &Node, keys: &'static [Key], folder: &Path, notes: &Notes) -> Option<TlsFiles> {
    let fields = Fields::open(node, keys, notes)?;
    let path = |node: &Node| node.text(notes).map(|path| resolve(folder, path));
    let certificate = fields.required("certificate_file").and_then(path);
    let key = fields.required("key_file").and_then(|node| {
        node.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| file)
        })
    });
    let client_authority = fields.or("client_ca_file", None, |node| path(node).map(Some));
    let mut seen = Vec::new();
    let clients = fields.or("clients", Vec::new(), |node| {
        let names = node.some(notes, |item| {
            let fields = Fields::open(item, CLIENT_KEYS, notes)?;
            certificate_names::read(item, &fields, &mut seen, notes)
        })?;
        if names.len() > MAX_CLIENTS {
            notes.add(node.place, format!("more than {MAX_CLIENTS} names"));
            return None;
        }
        Some(names)
    });
    if let (Some(entry), Some(None)) = (fields.entry("clients"), &client_authority) {
        let hint = "give `client_ca_file`";
        notes.hint(
            entry.key_place,
            "`clients` without `client_ca_file`: nobody vouches for their names",
            hint,
        );
        return None;
    }
    Some(TlsFiles {
        certificate: certificate?,
        key: key?,
        client_authority: client_authority?,
        clients: clients?,
    })
}

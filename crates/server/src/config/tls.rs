//! The files of a listener with TLS.

use std::fmt;
use std::path::{Path, PathBuf};

use super::keys::{Key, optional, required, text};
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
}

pub(super) const KEYS: &[Key] = &[
    required(
        "certificate_file",
        "PEM: the certificate, then those between it and the root. Read again when it changes.",
        text,
    ),
    required("key_file", "PEM: its key, which only the owner and the group may read.", text),
    optional("client_ca_file", "PEM: the authorities that sign certificates of clients.", text),
];

/// In the form of the file, below a key.
pub(super) fn show(files: &TlsFiles, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let TlsFiles { certificate, key, client_authority } = files;
    writeln!(f, "    certificate_file: {certificate:?}\n    key_file: {key:?}")?;
    client_authority.iter().try_for_each(|file| writeln!(f, "    client_ca_file: {file:?}"))
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<TlsFiles> {
    let fields = Fields::open(node, KEYS, notes)?;
    let path = |node: &Node| node.text(notes).map(|path| resolve(folder, path));
    let certificate = fields.required("certificate_file").and_then(path);
    let key = fields.required("key_file").and_then(|node| {
        node.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| file)
        })
    });
    let client_authority = fields.or("client_ca_file", None, |node| path(node).map(Some));
    Some(TlsFiles { certificate: certificate?, key: key?, client_authority: client_authority? })
}

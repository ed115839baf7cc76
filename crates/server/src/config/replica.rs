//! `replica`: what this process is called among its like.

use exequatur_store::ReplicaName;

use super::keys::{Key, optional, pattern};
use super::reader::{Fields, Node, Notes};

pub(super) const KEYS: &[Key] = &[optional(
    "name",
    "What people call it; the host's name, which in a pod is that of the pod, by default.",
    || pattern("^[A-Za-z0-9._-]{1,253}$"),
)];

pub(super) fn read(node: &Node, notes: &Notes) -> Option<Option<ReplicaName>> {
    let fields = Fields::open(node, KEYS, notes)?;
    fields.or("name", None, |node| {
        let name = ReplicaName::parse(node.text(notes)?);
        if name.is_none() {
            notes.add(node.place, "a name is 1 to 253 letters, digits, `-`, `_` and `.`");
        }
        name.map(Some)
    })
}

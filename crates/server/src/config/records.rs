//! `records`: what is kept of decisions.

use std::path::{Path, PathBuf};

use exequatur_audit::Mode;

use super::keys::{Key, optional, required, text, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;

/// Where decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The file; appended to.
    pub file: PathBuf,
    /// What happens when it cannot be written.
    pub mode: Mode,
}

const MODES: &[(&str, Mode)] = &[("best_effort", Mode::BestEffort), ("required", Mode::Required)];

pub(super) const KEYS: &[Key] = &[
    required("file", "JSON lines, appended to, created with mode 0600; one process at a time.", text),
    optional(
        "mode",
        "`required`: no permit before its record is on the disk. `best_effort`: what cannot be kept is counted.",
        || words(MODES).default(word(Mode::BestEffort)),
    ),
];

/// The mode's word in the configuration.
pub(super) fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::BestEffort => "best_effort",
        Mode::Required => "required",
    }
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Records> {
    let fields = Fields::open(node, KEYS, notes)?;
    let file = fields.required("file").and_then(|node| node.text(notes)).map(|path| resolve(folder, path));
    let mode = fields.or("mode", Mode::BestEffort, |node| node.word(MODES, notes));
    Some(Records { file: file?, mode: mode? })
}

//! `records` and `store`: what is kept of decisions, and of used proofs.

use std::path::{Path, PathBuf};

use exequatur_audit::Mode;
use exequatur_store::ReplayLimits;

use super::keys::{Key, count_or, map, optional, required, text, words};
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

pub(super) const STORE_KEYS: &[Key] =
    &[required("embedded", "In memory, for a single replica. At a bound new proofs are refused.", || {
        map(EMBEDDED_KEYS)
    })];

const EMBEDDED_KEYS: &[Key] = &[
    optional("max_proofs", "Live proofs in all.", || count_or(ReplayLimits::default().max_proofs)),
    optional("max_per_tenant", "Live proofs per tenant.", || {
        count_or(ReplayLimits::default().max_per_tenant)
    }),
    optional("max_per_key", "Live proofs per key.", || count_or(ReplayLimits::default().max_per_key)),
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

pub(super) fn read_store(node: &Node, notes: &Notes) -> Option<ReplayLimits> {
    let fields = Fields::open(node, STORE_KEYS, notes)?;
    let node = fields.required("embedded")?;
    let fields = Fields::open(node, EMBEDDED_KEYS, notes)?;
    let default = ReplayLimits::default();
    let count = |node: &Node| node.count(notes);
    let max_proofs = fields.or("max_proofs", default.max_proofs, count);
    let max_per_tenant = fields.or("max_per_tenant", default.max_per_tenant, count);
    let max_per_key = fields.or("max_per_key", default.max_per_key, count);
    Some(ReplayLimits { max_proofs: max_proofs?, max_per_tenant: max_per_tenant?, max_per_key: max_per_key? })
}

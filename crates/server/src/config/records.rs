//! `records` and `store`: what is kept of decisions, and of used proofs.

use std::path::{Path, PathBuf};

use exequatur_audit::Mode;
use exequatur_store::ReplayLimits;

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

/// The mode's word in the configuration.
pub(super) fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::BestEffort => "best_effort",
        Mode::Required => "required",
    }
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Records> {
    let fields = Fields::open(node, &["file", "mode"], notes)?;
    let file = fields.required("file").and_then(|node| node.text(notes)).map(|path| resolve(folder, path));
    let mode = fields.or("mode", Mode::BestEffort, |node| node.word(MODES, notes));
    Some(Records { file: file?, mode: mode? })
}

pub(super) fn read_store(node: &Node, notes: &Notes) -> Option<ReplayLimits> {
    let fields = Fields::open(node, &["embedded"], notes)?;
    let node = fields.required("embedded")?;
    let fields = Fields::open(node, &["max_proofs", "max_per_tenant", "max_per_key"], notes)?;
    let default = ReplayLimits::default();
    let count = |node: &Node| node.count(notes);
    let max_proofs = fields.or("max_proofs", default.max_proofs, count);
    let max_per_tenant = fields.or("max_per_tenant", default.max_per_tenant, count);
    let max_per_key = fields.or("max_per_key", default.max_per_key, count);
    Some(ReplayLimits { max_proofs: max_proofs?, max_per_tenant: max_per_tenant?, max_per_key: max_per_key? })
}

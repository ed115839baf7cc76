//! `records`: what is kept of decisions.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_audit::{Checkpoints, Mode, SigningKey};

use super::keys::{Key, duration, map, number, optional, pattern, required, text, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::secrets::private;

const EVERY_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const RECORDS_RANGE: RangeInclusive<usize> = 1..=1_000_000;
/// Printable ASCII without quotes and backslashes.
const KEY_ID: &str = r"^[ !#-\[\]-~]{1,128}$";

/// Where decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The file; appended to.
    pub file: PathBuf,
    /// What happens when it cannot be written.
    pub mode: Mode,
    /// What makes it evidence.
    pub checkpoints: RecordCheckpoints,
}

/// When the chain of records is summed up, and with which key that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCheckpoints {
    /// The private key; without it nothing is signed.
    pub key_file: Option<PathBuf>,
    /// What the key is called; by its thumbprint if `None`.
    pub key_id: Option<String>,
    /// The public keys that were used before.
    pub previous_keys_file: Option<PathBuf>,
    /// The longest time between two, while there are records.
    pub every: Duration,
    /// The most lines between two.
    pub records: NonZeroU32,
}

impl Default for RecordCheckpoints {
    fn default() -> Self {
        Self {
            key_file: None,
            key_id: None,
            previous_keys_file: None,
            every: every(),
            records: Checkpoints::RECORDS,
        }
    }
}

fn every() -> Duration {
    Checkpoints::EVERY.unsigned_abs()
}

const MODES: &[(&str, Mode)] = &[("best_effort", Mode::BestEffort), ("required", Mode::Required)];

pub(super) const KEYS: &[Key] = &[
    required("file", "JSON lines, appended to, created with mode 0600; one process at a time.", text),
    optional(
        "mode",
        "`required`: no permit before its record is on the disk. `best_effort`: what cannot be kept is counted.",
        || words(MODES).default(word(Mode::BestEffort)),
    ),
    optional(
        "checkpoints",
        "When the chain of records is summed up, and with which key that is signed.",
        || map(CHECKPOINT_KEYS),
    ),
];

const CHECKPOINT_KEYS: &[Key] = &[
    optional(
        "key_file",
        "PEM: a private key (PKCS #8, Ed25519 or P-256) that only the owner and the group may read. Without it nothing is signed.",
        text,
    ),
    optional("key_id", "The key's `kid`; by its thumbprint (RFC 7638) if it is left out.", || {
        pattern(KEY_ID)
    }),
    optional(
        "previous_keys_file",
        "A JWK set of the public keys that were used before: they are shown as well.",
        text,
    ),
    optional("every", "The longest time between two, while there are records.", || {
        duration(&EVERY_RANGE).default_duration(every())
    }),
    optional("records", "The most lines between two.", || {
        number(&RECORDS_RANGE).default(Checkpoints::RECORDS.get())
    }),
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
    let none = RecordCheckpoints::default();
    let checkpoints = fields.or("checkpoints", none, |node| checkpoints(node, folder, notes));
    Some(Records { file: file?, mode: mode?, checkpoints: checkpoints? })
}

fn checkpoints(node: &Node, folder: &Path, notes: &Notes) -> Option<RecordCheckpoints> {
    let fields = Fields::open(node, CHECKPOINT_KEYS, notes)?;
    let key_file = fields.or("key_file", None, |node| {
        node.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| Some(file))
        })
    });
    let key_id = fields.or("key_id", None, |node| node.parsed(notes, SigningKey::check_id).map(Some));
    let previous_keys_file = fields
        .or("previous_keys_file", None, |node| node.text(notes).map(|file| Some(resolve(folder, file))));
    let every = fields.duration("every", every(), &EVERY_RANGE);
    let records = fields.or("records", Checkpoints::RECORDS, |node| {
        let records = node.number(&RECORDS_RANGE, notes)?;
        u32::try_from(records).ok().and_then(NonZeroU32::new)
    });
    let key_file = key_file?;
    for key in ["key_id", "previous_keys_file"] {
        if let Some(entry) = fields.entry(key).filter(|_| key_file.is_none()) {
            notes.add(entry.key_place, format!("`{key}` without `key_file`: nothing is signed"));
        }
    }
    Some(RecordCheckpoints {
        key_file,
        key_id: key_id?,
        previous_keys_file: previous_keys_file?,
        every: every?,
        records: records?,
    })
}

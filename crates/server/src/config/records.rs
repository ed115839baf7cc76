//! `records`: what is kept of decisions.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_audit::{Checkpoints, Form, Mode, PeerForm, SigningKey};

use exequatur_decide::{PartForm, Route};

use super::keys::{Key, duration, map, number, optional, pattern, text, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::routes::RoutePlace;
use super::secrets::private;
use super::show::spelt;
use super::sinks::{self, SinkConfig, SinkPlace};

const EVERY_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
const RECORDS_RANGE: RangeInclusive<usize> = 1..=1_000_000;
/// Printable ASCII without quotes and backslashes.
const KEY_ID: &str = r"^[ !#-\[\]-~]{1,128}$";

/// Where decisions are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// The file; appended to. Without it, records go to the sinks alone.
    pub file: Option<PathBuf>,
    /// What happens when it cannot be written.
    pub mode: Mode,
    /// What makes it evidence.
    pub checkpoints: RecordCheckpoints,
    /// What it shows of whom.
    pub redaction: RecordRedaction,
    /// Where else lines go.
    pub sinks: Vec<SinkConfig>,
}

/// How records show what may be personal data or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRedaction {
    /// The key of digests.
    pub digest_key_file: Option<PathBuf>,
    /// Users: digested if there is a key, else plain.
    pub user: Form,
    /// Agents and clients.
    pub agent: Form,
    /// Tenants.
    pub tenant: Form,
    /// Addresses.
    pub peer: PeerForm,
    /// Whether the digest of a token's id is shown.
    pub token: bool,
    /// Whether a digest of what was asked with is.
    pub arguments: bool,
}

impl Default for RecordRedaction {
    fn default() -> Self {
        Self::with_key(None)
    }
}

impl RecordRedaction {
    /// What counts where nothing else is said.
    fn with_key(digest_key_file: Option<PathBuf>) -> Self {
        let user = if digest_key_file.is_some() { Form::Digest } else { Form::Plain };
        Self {
            digest_key_file,
            user,
            agent: Form::Plain,
            tenant: Form::Plain,
            peer: PeerForm::Plain,
            token: true,
            arguments: true,
        }
    }

    fn digests(&self) -> [(&'static str, Form); 3] {
        [("user", self.user), ("agent", self.agent), ("tenant", self.tenant)]
    }
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
    optional(
        "file",
        "JSON lines, appended to, created with mode 0600; one process at a time. Without it, records go to `sinks` alone.",
        text,
    ),
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
    optional("redaction", "How records show what may be personal data or a secret.", || map(REDACTION_KEYS)),
    optional("sinks", "Where the lines of the file go as well. Nothing waits for them.", sinks::shape),
];

const DIGESTED: &[(&str, bool)] = &[("digest", true), ("omit", false)];

const REDACTION_KEYS: &[Key] = &[
    optional(
        "digest_key_file",
        "32 to 4096 random bytes that only the owner and the group may read: the key of digests (HMAC-SHA-256).",
        text,
    ),
    optional("user", "Users' ids. `digest` by default if there is a key, else `plain`.", || {
        words(&Form::WORDS)
    }),
    optional("agent", "The ids of agents and clients.", || words(&Form::WORDS).default("plain")),
    optional("tenant", "Names of tenants.", || words(&Form::WORDS).default("plain")),
    optional("peer", "Addresses: `prefix` leaves 24 bits of IPv4 and 48 of IPv6.", || {
        words(&PeerForm::WORDS).default("plain")
    }),
    optional("token", "The token's id: the start of its SHA-256, or nothing.", || {
        words(DIGESTED).default("digest")
    }),
    optional(
        "arguments",
        "What was asked with: a digest of method, path, query and, where it is shown whole, body; or nothing.",
        || words(DIGESTED).default("digest"),
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
        "A JWK set of the public keys that were used before, if there are any: they are shown as well.",
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
    let file = fields.or("file", None, |node| node.text(notes).map(|path| Some(resolve(folder, path))));
    let mode = fields.or("mode", Mode::BestEffort, |node| node.word(MODES, notes));
    let none = RecordCheckpoints::default();
    let checkpoints = fields.or("checkpoints", none, |node| checkpoints(node, folder, notes));
    let redaction = fields.or("redaction", RecordRedaction::default(), |node| redaction(node, folder, notes));
    let sinks = fields.or("sinks", Vec::new(), |node| sinks::read(node, folder, notes));
    let (file, mode, sinks) = (file?, mode?, sinks?);
    if file.is_none() && sinks.is_empty() {
        notes.hint(node.place, "key `file` is missing", "without it, name at least one of `sinks`");
    }
    if let (None, Mode::Required, Some(entry)) = (&file, mode, fields.entry("mode")) {
        notes.hint(
            entry.value.place,
            "`mode: required` without `file`: only the file is on the disk before the answer",
            "add `file`, or say `best_effort`",
        );
    }
    if let Some(file) = &file {
        let same = sinks.iter().find(|sink| sink.place.is_also(&SinkPlace::File(file.clone())));
        if let Some(sink) = same {
            notes.add(node.place, format!("the sink `{}` is the record file itself", sink.name));
        }
    }
    Some(Records { file, mode, checkpoints: checkpoints?, redaction: redaction?, sinks })
}

fn redaction(node: &Node, folder: &Path, notes: &Notes) -> Option<RecordRedaction> {
    let fields = Fields::open(node, REDACTION_KEYS, notes)?;
    let key_file = fields.or("digest_key_file", None, |node| {
        node.parsed(notes, |file| {
            let file = resolve(folder, file);
            private(&file).map(|()| Some(file))
        })
    })?;
    let none = RecordRedaction::with_key(key_file);
    let form = |key, default| fields.or(key, default, |node| node.word(&Form::WORDS, notes));
    let (user, agent, tenant) =
        (form("user", none.user), form("agent", none.agent), form("tenant", none.tenant));
    let peer = fields.or("peer", none.peer, |node| node.word(&PeerForm::WORDS, notes));
    let digested = |key| fields.or(key, true, |node| node.word(DIGESTED, notes));
    let (token, arguments) = (digested("token"), digested("arguments"));
    let read = RecordRedaction {
        user: user?,
        agent: agent?,
        tenant: tenant?,
        peer: peer?,
        token: token?,
        arguments: arguments?,
        ..none
    };
    for (key, form) in read.digests() {
        if let Some(entry) =
            fields.entry(key).filter(|_| form == Form::Digest && read.digest_key_file.is_none())
        {
            notes.hint(
                entry.value.place,
                "a digest without a key: whoever guesses an id could see whether it is the one",
                "`openssl rand -out FILE 32`, and `digest_key_file: FILE`",
            );
        }
    }
    Some(read)
}

/// Routes whose parts are recorded, where there is nowhere to record them, or no key to digest them with. A broken section is
/// noted already.
pub(super) fn check(
    records: Option<&Option<Records>>,
    routes: Option<&[(Route, RoutePlace)]>,
    notes: &Notes,
) {
    let (Some(records), Some(routes)) = (records, routes) else { return };
    let has_key = records.as_ref().is_some_and(|records| records.redaction.digest_key_file.is_some());
    for (route, place) in routes {
        let Some(parts) = &route.record else { continue };
        if records.is_none() {
            notes.add(place.field("record"), "nothing is recorded without `records`");
        } else if !has_key && parts.iter().any(|part| part.form == PartForm::Digest) {
            notes.hint(
                place.field("record"),
                "parts are recorded as digests, and there is no key for them",
                "set `records.redaction.digest_key_file`, or say `{ name: …, as: plain }`",
            );
        }
    }
}

/// What records show, in the file's own form.
pub(super) fn show_redaction(redaction: &RecordRedaction, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let RecordRedaction { digest_key_file, peer, token, arguments, .. } = redaction;
    writeln!(f, "  redaction:")?;
    match digest_key_file {
        Some(file) => writeln!(f, "    digest_key_file: {file:?}")?,
        None => writeln!(f, "    # digest_key_file: none, users are shown as they are called")?,
    }
    for (key, form) in redaction.digests() {
        writeln!(f, "    {key}: {}", spelt(form, &Form::WORDS))?;
    }
    writeln!(f, "    peer: {}", spelt(*peer, &PeerForm::WORDS))?;
    writeln!(f, "    token: {}\n    arguments: {}", spelt(*token, DIGESTED), spelt(*arguments, DIGESTED))
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

//! `store`: what is remembered, how much of it, and where.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use exequatur_store::{ReplayLimits, RevocationLimits};

use super::keys::{Key, Shape, count_or, either, map, optional, required, text};
use super::reader::{Fields, Node, Notes};
use super::redis::{self, Redis};
use super::resolve;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The folder of what outlives the process; without it, nothing does.
    pub path: Option<PathBuf>,
    /// How many used proofs, in this process.
    pub replay: ReplayLimits,
    /// How many revocations.
    pub max_revocations: NonZeroU32,
    /// The Redis where used proofs and the levels of limits are instead, shared by all replicas.
    pub redis: Option<Redis>,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            path: None,
            replay: ReplayLimits::default(),
            max_revocations: RevocationLimits::default().max_revocations,
            redis: None,
        }
    }
}

const EMBEDDED: Key =
    required("embedded", "In this process, for a single replica. At a bound what is new is refused.", || {
        map(EMBEDDED_KEYS)
    });
const REDIS: Key = required("redis", "In Redis or Valkey, for any number of replicas.", || map(redis::KEYS));

/// Where it is: in the one or in the other.
pub(super) fn shape() -> Shape {
    either([map(&[EMBEDDED]), map(&[REDIS])])
}

const EMBEDDED_KEYS: &[Key] = &[
    optional(
        "path",
        "The folder of what outlives the process: revocations. Made with mode 0700; one process at a time. Without it \
         revocations are lost at a restart.",
        text,
    ),
    optional("max_proofs", "Live proofs in all.", || count_or(ReplayLimits::default().max_proofs)),
    optional("max_per_tenant", "Live proofs per tenant.", || {
        count_or(ReplayLimits::default().max_per_tenant)
    }),
    optional("max_per_key", "Live proofs per key.", || count_or(ReplayLimits::default().max_per_key)),
    optional("max_revocations", "Revocations at once.", || {
        count_or(RevocationLimits::default().max_revocations)
    }),
];

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Store> {
    let fields = Fields::open(node, &[EMBEDDED, REDIS], notes)?;
    match (fields.optional("embedded"), fields.entry("redis")) {
        (Some(embedded), None) => read_embedded(embedded, folder, notes),
        (None, Some(entry)) => {
            let redis = redis::read(&entry.value, folder, notes)?;
            let max_revocations = redis.max_revocations;
            Some(Store { redis: Some(redis), max_revocations, ..Store::default() })
        }
        (Some(_), Some(entry)) => {
            notes.add(entry.key_place, "both `embedded` and `redis`: what is remembered is in one place");
            None
        }
        (None, None) => {
            notes.add(node.place, "key `embedded` or `redis` is missing");
            None
        }
    }
}

fn read_embedded(node: &Node, folder: &Path, notes: &Notes) -> Option<Store> {
    let fields = Fields::open(node, EMBEDDED_KEYS, notes)?;
    let default = Store::default();
    let count = |node: &Node| node.count(notes);
    let path = fields.or("path", None, |node| node.text(notes).map(|path| Some(resolve(folder, path))));
    let max_proofs = fields.or("max_proofs", default.replay.max_proofs, count);
    let max_per_tenant = fields.or("max_per_tenant", default.replay.max_per_tenant, count);
    let max_per_key = fields.or("max_per_key", default.replay.max_per_key, count);
    let max_revocations = fields.or("max_revocations", default.max_revocations, count);
    let replay =
        ReplayLimits { max_proofs: max_proofs?, max_per_tenant: max_per_tenant?, max_per_key: max_per_key? };
    Some(Store { path: path?, replay, max_revocations: max_revocations?, redis: None })
}

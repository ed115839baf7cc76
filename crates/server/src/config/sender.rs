//! `sender_constraint`: how callers show that a token is theirs.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_decide::{NonceMode, SenderPolicy, SenderRequirement};
use exequatur_token::ProofLimits;
use jiff::SignedDuration;

use super::issuers::{algorithms, algorithms_shape, jose_names, signed};
use super::keys::{Key, Shape, duration, map, optional, text, words};
use super::reader::{Fields, Node, Notes};
use super::resolve;
use super::secrets::private;

/// What every route asks for at least.
pub(super) const REQUIREMENTS: &[(&str, SenderRequirement)] = &[
    ("none", SenderRequirement::None),
    ("any", SenderRequirement::Any),
    ("dpop", SenderRequirement::Dpop),
    ("mtls", SenderRequirement::Mtls),
];
const NONCES: &[(&str, bool)] = &[("off", false), ("required", true)];
/// D14: the window of a proof is at most five minutes, whatever the clocks do.
const MAX_AGE_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);
const CLOCK_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
const NONCE_AGE: Duration = Duration::from_secs(300);
const NONCE_AGE_RANGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);

pub(super) const KEYS: &[Key] = &[
    optional("require", "What each route asks for at least; `any` is DPoP or a client certificate.", || {
        words(REQUIREMENTS).default("any")
    }),
    optional("dpop", "How DPoP proofs are judged.", || map(DPOP_KEYS)),
];

const DPOP_KEYS: &[Key] = &[
    optional("max_age", "Oldest `iat` of a proof.", || window(&MAX_AGE_RANGE, |proofs| proofs.max_age)),
    optional("skew", "Added to `max_age`.", || window(&CLOCK_RANGE, |proofs| proofs.skew)),
    optional("future", "How far ahead `iat` may be.", || window(&CLOCK_RANGE, |proofs| proofs.future)),
    optional("algorithms", "Signatures of proofs that are accepted.", || {
        algorithms_shape().default(jose_names(&ProofLimits::default().algorithms))
    }),
    optional(
        "nonce",
        "Whether each proof needs a nonce. In doubt about replay one is asked for in either mode.",
        || words(NONCES).default("off"),
    ),
    optional("nonce_max_age", "Oldest nonce that is taken where `nonce: required`.", || {
        duration(&NONCE_AGE_RANGE).default_duration(NONCE_AGE)
    }),
    optional(
        "nonce_secret_file",
        "A file of at least 32 bytes: the secret that nonces are authenticated with. A random one per process \
         if absent.",
        text,
    ),
    optional(
        "previous_nonce_secret_file",
        "The secret that was replaced: nonces that were made with it are still taken.",
        text,
    ),
];

fn window(range: &RangeInclusive<Duration>, of: fn(&ProofLimits) -> SignedDuration) -> Shape {
    let default = Duration::try_from(of(&ProofLimits::default())).unwrap_or_default();
    duration(range).default_duration(default)
}

/// How senders are constrained.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What every route asks for at least.
    pub least: SenderRequirement,
    /// How proofs and nonces are judged.
    pub policy: SenderPolicy,
    /// The secret that nonces are made with; a random one per process if `None`.
    pub nonce_secret: Option<NonceSecretFiles>,
}

/// Where the secrets are that nonces are made with.
#[derive(Clone, Debug)]
pub struct NonceSecretFiles {
    /// The secret of new nonces.
    pub current: PathBuf,
    /// The one before it, whose nonces are still taken.
    pub previous: Option<PathBuf>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            least: SenderRequirement::Any,
            policy: SenderPolicy { proofs: ProofLimits::default(), nonces: NonceMode::Off },
            nonce_secret: None,
        }
    }
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Sender> {
    let fields = Fields::open(node, KEYS, notes)?;
    let default = Sender::default();
    let least = fields.or("require", default.least, |node| node.word(REQUIREMENTS, notes));
    let proofs = fields.or("dpop", (default.policy, None), |node| dpop(node, folder, notes));
    let (policy, nonce_secret) = proofs?;
    Some(Sender { least: least?, policy, nonce_secret })
}

fn dpop(node: &Node, folder: &Path, notes: &Notes) -> Option<(SenderPolicy, Option<NonceSecretFiles>)> {
    let fields = Fields::open(node, DPOP_KEYS, notes)?;
    let default = ProofLimits::default();
    let window = |key, default, range| {
        fields.optional(key).map_or(Some(default), |node| node.duration(range, notes).map(signed))
    };
    let max_age = window("max_age", default.max_age, &MAX_AGE_RANGE);
    let skew = window("skew", default.skew, &CLOCK_RANGE);
    let future = window("future", default.future, &CLOCK_RANGE);
    let algorithms = fields.or("algorithms", default.algorithms, |node| algorithms(node, notes));
    let required = fields.or("nonce", false, |node| node.word(NONCES, notes));
    let nonce_age = fields.duration("nonce_max_age", NONCE_AGE, &NONCE_AGE_RANGE);
    let secret = nonce_secret(&fields, folder, notes);
    let proofs = ProofLimits { max_age: max_age?, skew: skew?, future: future?, algorithms: algorithms? };
    let max_age = signed(nonce_age?);
    let nonces = if required? { NonceMode::Required { max_age } } else { NonceMode::Off };
    Some((SenderPolicy { proofs, nonces }, secret?))
}

fn nonce_secret(fields: &Fields<'_>, folder: &Path, notes: &Notes) -> Option<Option<NonceSecretFiles>> {
    let file = |key| {
        fields.or(key, None, |node| {
            node.parsed(notes, |file| {
                let file = resolve(folder, file);
                private(&file).map(|()| Some(file))
            })
        })
    };
    let (current, previous) = (file("nonce_secret_file"), file("previous_nonce_secret_file"));
    if let (None, Some(entry)) =
        (fields.optional("nonce_secret_file"), fields.entry("previous_nonce_secret_file"))
    {
        notes.add(entry.key_place, "a secret before `nonce_secret_file`, and no `nonce_secret_file`");
    }
    let (current, previous) = (current?, previous?);
    Some(current.map(|current| NonceSecretFiles { current, previous }))
}

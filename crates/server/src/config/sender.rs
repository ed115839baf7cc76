//! `sender_constraint`: how callers show that a token is theirs.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_decide::{NonceMode, SenderPolicy, SenderRequirement};
use exequatur_token::ProofLimits;

use super::issuers::{algorithms, signed};
use super::reader::{Fields, Node, Notes};
use super::resolve;

/// What every route asks for at least.
pub(super) const REQUIREMENTS: &[(&str, SenderRequirement)] = &[
    ("none", SenderRequirement::None),
    ("any", SenderRequirement::Any),
    ("dpop", SenderRequirement::Dpop),
    ("mtls", SenderRequirement::Mtls),
];
const NONCE_AGE: Duration = Duration::from_secs(300);
const NONCE_AGE_RANGE: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);

/// How senders are constrained.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What every route asks for at least.
    pub least: SenderRequirement,
    /// How proofs and nonces are judged.
    pub policy: SenderPolicy,
    /// The file with the secret that nonces are made with; a random one per process if `None`.
    pub nonce_secret_file: Option<PathBuf>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            least: SenderRequirement::Any,
            policy: SenderPolicy { proofs: ProofLimits::default(), nonces: NonceMode::Off },
            nonce_secret_file: None,
        }
    }
}

pub(super) fn read(node: &Node, folder: &Path, notes: &Notes) -> Option<Sender> {
    let fields = Fields::open(node, &["require", "dpop"], notes)?;
    let default = Sender::default();
    let least = fields.or("require", default.least, |node| node.word(REQUIREMENTS, notes));
    let proofs = fields.or("dpop", (default.policy, None), |node| dpop(node, folder, notes));
    let (policy, nonce_secret_file) = proofs?;
    Some(Sender { least: least?, policy, nonce_secret_file })
}

fn dpop(node: &Node, folder: &Path, notes: &Notes) -> Option<(SenderPolicy, Option<PathBuf>)> {
    const KEYS: &[&str] =
        &["max_age", "skew", "future", "algorithms", "nonce", "nonce_max_age", "nonce_secret_file"];
    let fields = Fields::open(node, KEYS, notes)?;
    let default = ProofLimits::default();
    // D14: the window of a proof is at most five minutes, whatever the clocks do.
    let window = |key, default, most| {
        let range = Duration::ZERO..=Duration::from_secs(most);
        fields.optional(key).map_or(Some(default), |node| node.duration(&range, notes).map(signed))
    };
    let max_age = window("max_age", default.max_age, 300);
    let skew = window("skew", default.skew, 60);
    let future = window("future", default.future, 60);
    let algorithms = fields.or("algorithms", default.algorithms, |node| algorithms(node, notes));
    let required = fields.or("nonce", false, |node| node.word(&[("off", false), ("required", true)], notes));
    let nonce_age = fields.duration("nonce_max_age", NONCE_AGE, &NONCE_AGE_RANGE);
    let secret =
        fields.or("nonce_secret_file", None, |node| node.text(notes).map(|path| Some(resolve(folder, path))));
    let proofs = ProofLimits { max_age: max_age?, skew: skew?, future: future?, algorithms: algorithms? };
    let max_age = signed(nonce_age?);
    let nonces = if required? { NonceMode::Required { max_age } } else { NonceMode::Off };
    Some((SenderPolicy { proofs, nonces }, secret?))
}

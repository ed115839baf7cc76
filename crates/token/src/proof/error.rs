//! Why a proof is refused: one cause each.

use crate::jws::JwsError;
use crate::key::KeyError;

/// Why a proof was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// More than one proof. Said by whoever reads the headers.
    #[error("more than one proof")]
    Multiple,
    /// No proof. Said by whoever reads the headers.
    #[error("no proof")]
    Missing,
    /// Not a proof at all.
    #[error("proof malformed: {0}")]
    Malformed(#[from] MalformedProof),
    /// `alg` is unknown or not allowed.
    #[error("proof algorithm not allowed")]
    AlgNotAllowed,
    /// The key in the proof was refused.
    #[error("proof key: {0}")]
    KeyInvalid(KeyError),
    /// The signature does not verify.
    #[error("proof signature invalid")]
    SignatureInvalid,
    /// For another method.
    #[error("proof is for another method")]
    HtmMismatch,
    /// For another target.
    #[error("proof is for another target")]
    HtuMismatch,
    /// Too old or from the future, or its own `exp` or `nbf` excludes now.
    #[error("proof is not of this time")]
    IatOutOfWindow,
    /// For another access token.
    #[error("proof is for another token")]
    AthMismatch,
}

/// What is wrong with a proof's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedProof {
    /// Not a compact JWS within the limits.
    #[error("{0}")]
    Jws(JwsError),
    /// `typ` is not `dpop+jwt`.
    #[error("type is not dpop+jwt")]
    TypeInvalid,
    /// A required header or claim is absent.
    #[error("`{0}` missing")]
    MemberMissing(&'static str),
    /// A header or claim has the wrong type or length.
    #[error("`{0}` invalid")]
    MemberInvalid(&'static str),
}

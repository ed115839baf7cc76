//! Why an answer about a token is not the server's, or none.

use crate::claims::Claim;
use crate::json::JsonError;
use crate::jws::JwsError;

/// Why an answer says nothing about the token that was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Not a compact JWS of strict JSON objects.
    #[error("the answer is malformed: {0}")]
    Malformed(JwsError),
    /// Not strict JSON.
    #[error("the answer is no json: {0}")]
    Json(#[from] JsonError),
    /// JSON, but not an object.
    #[error("the answer is no json object")]
    NotAnObject,
    /// `typ` is not that of a signed answer.
    #[error("the answer's type is not `token-introspection+jwt`")]
    TypeInvalid,
    /// `alg` is unknown or not allowed for the issuer.
    #[error("the answer's algorithm is not allowed")]
    AlgNotAllowed,
    /// `iss` is not the issuer's.
    #[error("the answer is of another issuer")]
    IssuerMismatch,
    /// `aud` does not name us.
    #[error("the answer is for somebody else")]
    AudienceMismatch,
    /// Something that must be said is not.
    #[error("the answer has no `{0}`")]
    ClaimMissing(Claim),
    /// Something has a wrong type or an impossible value.
    #[error("`{0}` in the answer is invalid")]
    ClaimInvalid(Claim),
    /// `iat` is too old, or `exp` has passed.
    #[error("the answer is too old")]
    Stale,
    /// `iat` is too far ahead.
    #[error("the answer is from the future")]
    NotYetValid,
    /// The issuer has no such key.
    #[error("the answer's key is unknown")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("the answer's signature is invalid")]
    SignatureInvalid,
    /// What it says is not what the token says.
    #[error("the answer is about another token")]
    AnotherToken,
}

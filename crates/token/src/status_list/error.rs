//! Why a list is none, and why a token does not pass by one.

use crate::claims::Claim;
use crate::jws::JwsError;

/// Why a document is not the list that it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusListError {
    /// Not a compact JWS of strict JSON objects.
    #[error("status list malformed: {0}")]
    Malformed(JwsError),
    /// Longer than [`crate::StatusListSize::document_bytes`].
    #[error("status list too large")]
    TooLarge,
    /// `typ` is not `statuslist+jwt`.
    #[error("not of the type of a status list")]
    TypeInvalid,
    /// `alg` is unknown or not allowed for the issuer.
    #[error("algorithm not allowed")]
    AlgNotAllowed,
    /// `sub` is not the address that it was loaded from.
    #[error("`sub` is another address")]
    SubjectMismatch,
    /// `iss` is there and another one.
    #[error("`iss` is another one")]
    IssuerMismatch,
    /// A required claim is absent.
    #[error("claim `{0}` missing")]
    ClaimMissing(Claim),
    /// A claim has a wrong type or an impossible value.
    #[error("claim `{0}` invalid")]
    ClaimInvalid(Claim),
    /// `iat` is too far ahead.
    #[error("status list not yet valid")]
    NotYetValid,
    /// `exp` has passed.
    #[error("status list expired")]
    Expired,
    /// The issuer has no such key.
    #[error("key unknown")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("signature invalid")]
    SignatureInvalid,
    /// `lst` is not zlib data in base64url.
    #[error("`lst` is no zlib data in base64url")]
    NotZlib,
    /// `lst` inflates to more than [`crate::StatusListSize::bytes`].
    #[error("`lst` inflates to more than is kept")]
    ListTooLarge,
}

/// What a list says of a token that may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusRefusal {
    /// The token names another list.
    #[error("the token's status is in another list")]
    AnotherList,
    /// The list ends before the token's index.
    #[error("the list ends before the token's index")]
    OutOfRange,
    /// 1: INVALID.
    #[error("invalid")]
    Invalid,
    /// 2: SUSPENDED.
    #[error("suspended")]
    Suspended,
    /// A status that is not defined, or the application's own.
    #[error("a status that is not known")]
    Unknown,
}

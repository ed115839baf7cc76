//! Why a token is refused: one cause each.

use crate::claims::Claim;
use crate::jws::JwsError;

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a compact JWS of strict JSON objects.
    #[error("token malformed: {0}")]
    Malformed(JwsError),
    /// Longer than the [`crate::TokenSize`], or a header longer than 1 KiB.
    #[error("token too large")]
    TooLarge,
    /// `typ` is not that of an access token.
    #[error("token type not accepted")]
    TypeInvalid,
    /// `alg` is unknown or not allowed for the issuer.
    #[error("algorithm not allowed")]
    AlgNotAllowed,
    /// The header asks for an extension.
    #[error("critical header not understood")]
    CritUnsupported,
    /// `iss` is no configured issuer, or not the one whose profile was given.
    #[error("issuer unknown")]
    IssuerUnknown,
    /// The issuer has no such key.
    #[error("key unknown")]
    KeyUnknown,
    /// The signature does not verify.
    #[error("signature invalid")]
    SignatureInvalid,
    /// `exp` has passed.
    #[error("token expired")]
    Expired,
    /// `nbf`, or an `iat` too far ahead, has not come.
    #[error("token not yet valid")]
    NotYetValid,
    /// Not for this audience.
    #[error("audience mismatch")]
    AudienceMismatch,
    /// A required claim is absent.
    #[error("claim `{0}` missing")]
    ClaimMissing(Claim),
    /// A claim has a wrong type or an impossible value.
    #[error("claim `{0}` invalid")]
    ClaimInvalid(Claim),
    /// `cnf` holds a sender constraint that is not understood.
    #[error("sender constraint not supported")]
    BindingUnsupported,
    /// `status` holds no way to ask for the token's status that is understood.
    #[error("status mechanism not supported")]
    StatusUnsupported,
    /// `act` is nested too deep.
    #[error("delegation too deep")]
    DelegationTooDeep,
}

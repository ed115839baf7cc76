//! The reason vocabulary: one code per decision, stable for ever. Codes are added, never renamed.

use std::fmt;

use exequatur_store::{Form, RevocationKind, Revoked};
use exequatur_token::{BindingError, ProofError, TokenError};

macro_rules! vocabulary {
    ($($name:ident = $code:literal,)*) => {
        /// Why a request was not permitted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each variant is its code")]
        pub enum Reason {
            $($name,)*
        }

        impl Reason {
            /// Every reason, for documentation and for tests that must not leave one out.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code: in the answer's body, the record and the metric.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

vocabulary! {
    CredentialsMissing = "credentials_missing",
    AuthSchemeUnsupported = "auth_scheme_unsupported",
    RequestMalformed = "request_malformed",
    MultipleCredentials = "multiple_credentials",
    TokenInQuery = "token_in_query",
    TokenMalformed = "token_malformed",
    TokenTooLarge = "token_too_large",
    TokenTypeInvalid = "token_type_invalid",
    TokenAlgNotAllowed = "token_alg_not_allowed",
    TokenCritUnsupported = "token_crit_unsupported",
    TokenIssuerUnknown = "token_issuer_unknown",
    TokenKeyUnknown = "token_key_unknown",
    TokenSignatureInvalid = "token_signature_invalid",
    TokenExpired = "token_expired",
    TokenNotYetValid = "token_not_yet_valid",
    TokenAudienceMismatch = "token_audience_mismatch",
    TokenClaimMissing = "token_claim_missing",
    TokenClaimInvalid = "token_claim_invalid",
    TokenBindingRequired = "token_binding_required",
    TokenBindingUnsupported = "token_binding_unsupported",
    DelegationTooDeep = "delegation_too_deep",
    DpopBoundTokenAsBearer = "dpop_bound_token_as_bearer",
    DpopKeyMismatch = "dpop_key_mismatch",
    MtlsCertMissing = "mtls_cert_missing",
    MtlsCertMismatch = "mtls_cert_mismatch",
    MtlsCertUntrusted = "mtls_cert_untrusted",
    DpopProofMissing = "dpop_proof_missing",
    DpopProofMultiple = "dpop_proof_multiple",
    DpopProofMalformed = "dpop_proof_malformed",
    DpopAlgNotAllowed = "dpop_alg_not_allowed",
    DpopKeyInvalid = "dpop_key_invalid",
    DpopSignatureInvalid = "dpop_signature_invalid",
    DpopHtmMismatch = "dpop_htm_mismatch",
    DpopHtuMismatch = "dpop_htu_mismatch",
    DpopIatOutOfWindow = "dpop_iat_out_of_window",
    DpopAthMismatch = "dpop_ath_mismatch",
    DpopReplay = "dpop_replay",
    DpopNonceRequired = "dpop_nonce_required",
    DpopNonceInvalid = "dpop_nonce_invalid",
    ScopeInsufficient = "scope_insufficient",
    StepUpRequired = "step_up_required",
    AuthorizationDetailsInsufficient = "authorization_details_insufficient",
    TenantMismatch = "tenant_mismatch",
    ActorNotPermitted = "actor_not_permitted",
    UserRequired = "user_required",
    UserNotAllowed = "user_not_allowed",
    TokenRevoked = "token_revoked",
    TokenInactive = "token_inactive",
    StatusListInvalid = "status_list_invalid",
    KeyRevoked = "key_revoked",
    AgentRevoked = "agent_revoked",
    AgentSuspended = "agent_suspended",
    UserRevoked = "user_revoked",
    SessionRevoked = "session_revoked",
    ClientRevoked = "client_revoked",
    TenantRevoked = "tenant_revoked",
    IssuerRevoked = "issuer_revoked",
    Killed = "killed",
    PolicyForbid = "policy_forbid",
    PolicyNoPermit = "policy_no_permit",
    PolicyError = "policy_error",
    RateLimited = "rate_limited",
    RouteUnmatched = "route_unmatched",
    PathRefused = "path_refused",
    HostUnknown = "host_unknown",
    IssuerKeysUnavailable = "issuer_keys_unavailable",
    StateStale = "state_stale",
    StatusListUnavailable = "status_list_unavailable",
    IntrospectionUnavailable = "introspection_unavailable",
    ReplayStoreUnavailable = "replay_store_unavailable",
    LimitsUnavailable = "limits_unavailable",
    AuditUnavailable = "audit_unavailable",
    Overloaded = "overloaded",
    InternalError = "internal_error",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

pub(crate) fn token_reason(error: &TokenError) -> Reason {
    match error {
        TokenError::Malformed(_) => Reason::TokenMalformed,
        TokenError::TooLarge => Reason::TokenTooLarge,
        TokenError::TypeInvalid => Reason::TokenTypeInvalid,
        TokenError::AlgNotAllowed => Reason::TokenAlgNotAllowed,
        TokenError::CritUnsupported => Reason::TokenCritUnsupported,
        TokenError::IssuerUnknown => Reason::TokenIssuerUnknown,
        TokenError::KeyUnknown => Reason::TokenKeyUnknown,
        TokenError::SignatureInvalid => Reason::TokenSignatureInvalid,
        TokenError::Expired => Reason::TokenExpired,
        TokenError::NotYetValid => Reason::TokenNotYetValid,
        TokenError::AudienceMismatch => Reason::TokenAudienceMismatch,
        TokenError::ClaimMissing(_) => Reason::TokenClaimMissing,
        TokenError::ClaimInvalid(_) => Reason::TokenClaimInvalid,
        TokenError::BindingUnsupported => Reason::TokenBindingUnsupported,
        TokenError::StatusUnsupported => Reason::StatusListInvalid,
        TokenError::DelegationTooDeep => Reason::DelegationTooDeep,
    }
}

pub(crate) fn proof_reason(error: &ProofError) -> Reason {
    match error {
        ProofError::Malformed(_) => Reason::DpopProofMalformed,
        ProofError::AlgNotAllowed => Reason::DpopAlgNotAllowed,
        ProofError::KeyInvalid(_) => Reason::DpopKeyInvalid,
        ProofError::SignatureInvalid => Reason::DpopSignatureInvalid,
        ProofError::HtmMismatch => Reason::DpopHtmMismatch,
        ProofError::HtuMismatch => Reason::DpopHtuMismatch,
        ProofError::IatOutOfWindow => Reason::DpopIatOutOfWindow,
        ProofError::AthMismatch => Reason::DpopAthMismatch,
        ProofError::Multiple => Reason::DpopProofMultiple,
        ProofError::Missing => Reason::DpopProofMissing,
    }
}

pub(crate) fn binding_reason(error: &BindingError) -> Reason {
    match error {
        BindingError::NotDpopBound => Reason::TokenBindingRequired,
        BindingError::DpopBoundAsBearer => Reason::DpopBoundTokenAsBearer,
        BindingError::ProofMissing => Reason::DpopProofMissing,
        BindingError::KeyMismatch => Reason::DpopKeyMismatch,
        BindingError::CertificateMissing => Reason::MtlsCertMissing,
        BindingError::CertificateMismatch => Reason::MtlsCertMismatch,
        BindingError::CertificateUntrusted => Reason::MtlsCertUntrusted,
    }
}

pub(crate) fn revocation_reason(revoked: &Revoked) -> Reason {
    match revoked.target.kind {
        RevocationKind::TokenId => Reason::TokenRevoked,
        RevocationKind::Key => Reason::KeyRevoked,
        RevocationKind::Agent if revoked.form == Form::Suspension => Reason::AgentSuspended,
        RevocationKind::Agent => Reason::AgentRevoked,
        RevocationKind::User => Reason::UserRevoked,
        RevocationKind::Session => Reason::SessionRevoked,
        RevocationKind::Client => Reason::ClientRevoked,
        RevocationKind::Tenant => Reason::TenantRevoked,
        RevocationKind::Issuer => Reason::IssuerRevoked,
        RevocationKind::All => Reason::Killed,
    }
}

//! Reason → status and challenge: the one place, and exhaustive.

use exequatur_decide::Reason;

/// How a reason is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) status: u16,
    pub(crate) challenge: Challenge,
    /// For people; the same for all callers, with nothing of the request in it.
    pub(crate) title: &'static str,
}

/// Which challenge goes with it (RFC 6750 §3, RFC 9449 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    None,
    /// No credentials were given, so no error is named (E02).
    Bare,
    /// `invalid_request`
    Request,
    /// `invalid_token`
    Token,
    /// `invalid_dpop_proof`
    Proof,
    /// `use_dpop_nonce`
    Nonce,
    /// `insufficient_scope`
    Scope,
    /// `insufficient_user_authentication`
    StepUp,
}

/// The answer to a reason.
#[expect(clippy::too_many_lines, reason = "a line for each reason there is")]
pub(crate) fn shape(reason: Reason) -> Shape {
    let (status, challenge, title) = match reason {
        Reason::CredentialsMissing => (401, Challenge::Bare, "an access token is needed"),
        Reason::AuthSchemeUnsupported => (401, Challenge::Bare, "the authorization scheme is not supported"),
        Reason::RequestMalformed => (400, Challenge::Request, "the request is malformed"),
        Reason::MultipleCredentials => (400, Challenge::Request, "more than one credential"),
        Reason::TokenInQuery => (400, Challenge::Request, "a token in the query is not accepted"),
        Reason::TokenMalformed
        | Reason::TokenTooLarge
        | Reason::TokenTypeInvalid
        | Reason::TokenAlgNotAllowed
        | Reason::TokenCritUnsupported
        | Reason::TokenIssuerUnknown
        | Reason::TokenKeyUnknown
        | Reason::TokenSignatureInvalid
        | Reason::TokenNotYetValid
        | Reason::TokenAudienceMismatch
        | Reason::TokenClaimMissing
        | Reason::TokenClaimInvalid
        | Reason::TokenBindingUnsupported
        | Reason::DelegationTooDeep => (401, Challenge::Token, "the access token is not valid"),
        Reason::TokenExpired => (401, Challenge::Token, "the access token has expired"),
        Reason::TokenBindingRequired => {
            (401, Challenge::Token, "the access token must be sender-constrained")
        }
        Reason::DpopBoundTokenAsBearer => {
            (401, Challenge::Token, "a DPoP-bound access token needs the DPoP scheme")
        }
        Reason::DpopKeyMismatch => (401, Challenge::Token, "invalid DPoP key binding"),
        Reason::MtlsCertMissing => (401, Challenge::Token, "the access token needs its client certificate"),
        Reason::MtlsCertMismatch => {
            (401, Challenge::Token, "the access token is bound to another certificate")
        }
        Reason::MtlsCertUntrusted => {
            (401, Challenge::Token, "the client certificate of the access token says no tenant that counts")
        }
        Reason::DpopProofMissing => (401, Challenge::Proof, "a DPoP proof is needed"),
        Reason::DpopProofMultiple => (401, Challenge::Proof, "more than one DPoP proof"),
        Reason::DpopProofMalformed
        | Reason::DpopAlgNotAllowed
        | Reason::DpopKeyInvalid
        | Reason::DpopSignatureInvalid
        | Reason::DpopHtmMismatch
        | Reason::DpopHtuMismatch
        | Reason::DpopIatOutOfWindow
        | Reason::DpopAthMismatch => (401, Challenge::Proof, "the DPoP proof is not valid"),
        Reason::DpopReplay => (401, Challenge::Proof, "the DPoP proof was used before"),
        Reason::DpopNonceRequired | Reason::DpopNonceInvalid => {
            (401, Challenge::Nonce, "resource server requires nonce in DPoP proof")
        }
        Reason::ScopeInsufficient => (403, Challenge::Scope, "the access token lacks a scope"),
        Reason::StepUpRequired => (401, Challenge::StepUp, "another authentication of the user is needed"),
        Reason::AuthorizationDetailsInsufficient => (403, Challenge::None, "this is not granted in detail"),
        Reason::TokenRevoked
        | Reason::KeyRevoked
        | Reason::AgentRevoked
        | Reason::UserRevoked
        | Reason::SessionRevoked
        | Reason::ClientRevoked
        | Reason::IssuerRevoked => (401, Challenge::Token, "the access token is revoked"),
        Reason::TokenInactive => (401, Challenge::Token, "the access token is not active"),
        Reason::StatusListInvalid => (401, Challenge::Token, "the status of the access token cannot be told"),
        Reason::AgentSuspended => (403, Challenge::None, "the agent is suspended"),
        Reason::TenantRevoked => (403, Challenge::None, "the tenant is stopped"),
        Reason::Killed => (403, Challenge::None, "everything is stopped"),
        Reason::TenantMismatch => (403, Challenge::None, "the tenant is another one"),
        Reason::ActorNotPermitted => (403, Challenge::None, "the access token names another actor"),
        Reason::UserRequired => (403, Challenge::None, "this is done on behalf of a user only"),
        Reason::UserNotAllowed => (403, Challenge::None, "this is not done on behalf of a user"),
        Reason::PolicyForbid | Reason::PolicyNoPermit => (403, Challenge::None, "not permitted by policy"),
        Reason::RouteUnmatched => (403, Challenge::None, "nothing is offered here"),
        Reason::HostUnknown => (403, Challenge::None, "this host is not served here"),
        Reason::PathRefused => (400, Challenge::None, "the path is not accepted"),
        Reason::RateLimited => (429, Challenge::None, "too many requests"),
        Reason::PolicyError
        | Reason::IssuerKeysUnavailable
        | Reason::StateStale
        | Reason::StatusListUnavailable
        | Reason::IntrospectionUnavailable
        | Reason::ReplayStoreUnavailable
        | Reason::LimitsUnavailable
        | Reason::AuditUnavailable
        | Reason::Overloaded
        | Reason::InternalError => (503, Challenge::None, "no decision can be made now"),
    };
    Shape { status, challenge, title }
}

/// The status that goes out: a hidden route says 404 where it would say 403 (E06).
pub(crate) fn status(reason: Reason, hide: bool) -> u16 {
    match shape(reason).status {
        403 if hide => 404,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E01: every 401 has a challenge; E03: the status follows from the OAuth error.
    #[test]
    fn status_and_challenge_agree() {
        for reason in Reason::ALL {
            let shape = shape(*reason);
            let expected: &[u16] = match shape.challenge {
                Challenge::Bare
                | Challenge::Token
                | Challenge::Proof
                | Challenge::Nonce
                | Challenge::StepUp => &[401],
                Challenge::Request => &[400],
                Challenge::Scope => &[403],
                Challenge::None => &[400, 403, 429, 503],
            };
            assert!(expected.contains(&shape.status), "{reason}");
        }
    }

    /// E07: titles go into `error_description`, which takes no quotes, backslashes or control characters.
    #[test]
    fn titles_fit_into_a_quoted_string() {
        for reason in Reason::ALL {
            let title = shape(*reason).title;
            assert!(title.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{reason}");
        }
    }
}

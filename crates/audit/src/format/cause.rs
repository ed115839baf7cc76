//! What kind of thing a reason is.

/// What kind of thing has led to a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nothing stood against it.
    Permitted,
    /// Who asks was not proven: token, proof, certificate.
    Authentication,
    /// Who asks was asked to prove it in another way.
    AuthenticationChallenge,
    /// Who asks may not: scopes, tenant, policies.
    Authorization,
    /// Who asks has to be authenticated better.
    StepUp,
    /// What the request rests on was taken back.
    Revocation,
    /// It was too much.
    Limit,
    /// The request is malformed, or for nothing that there is.
    Request,
    /// It could not be decided.
    Fault,
}

/// The kind of a reason; `None` for one that this version does not know.
#[must_use]
pub fn cause_of(reason: &str) -> Option<Cause> {
    Some(match reason {
        "permitted" => Cause::Permitted,
        "credentials_missing"
        | "auth_scheme_unsupported"
        | "multiple_credentials"
        | "token_in_query"
        | "token_malformed"
        | "token_too_large"
        | "token_type_invalid"
        | "token_alg_not_allowed"
        | "token_crit_unsupported"
        | "token_issuer_unknown"
        | "token_key_unknown"
        | "token_signature_invalid"
        | "token_expired"
        | "token_not_yet_valid"
        | "token_audience_mismatch"
        | "token_claim_missing"
        | "token_claim_invalid"
        | "token_binding_required"
        | "token_binding_unsupported"
        | "token_inactive"
        | "status_list_invalid"
        | "delegation_too_deep"
        | "dpop_bound_token_as_bearer"
        | "dpop_key_mismatch"
        | "mtls_cert_missing"
        | "mtls_cert_mismatch"
        | "mtls_cert_untrusted"
        | "dpop_proof_missing"
        | "dpop_proof_multiple"
        | "dpop_proof_malformed"
        | "dpop_alg_not_allowed"
        | "dpop_key_invalid"
        | "dpop_signature_invalid"
        | "dpop_htm_mismatch"
        | "dpop_htu_mismatch"
        | "dpop_iat_out_of_window"
        | "dpop_ath_mismatch"
        | "dpop_replay" => Cause::Authentication,
        "dpop_nonce_required" | "dpop_nonce_invalid" => Cause::AuthenticationChallenge,
        "scope_insufficient"
        | "authorization_details_insufficient"
        | "tenant_mismatch"
        | "actor_not_permitted"
        | "user_required"
        | "user_not_allowed"
        | "policy_forbid"
        | "policy_no_permit" => Cause::Authorization,
        "step_up_required" => Cause::StepUp,
        "token_revoked" | "key_revoked" | "agent_revoked" | "agent_suspended" | "user_revoked"
        | "session_revoked" | "client_revoked" | "tenant_revoked" | "issuer_revoked" | "killed" => {
            Cause::Revocation
        }
        "rate_limited" => Cause::Limit,
        "request_malformed" | "route_unmatched" | "path_refused" | "host_unknown" => Cause::Request,
        "policy_error"
        | "issuer_keys_unavailable"
        | "state_stale"
        | "status_list_unavailable"
        | "introspection_unavailable"
        | "replay_store_unavailable"
        | "limits_unavailable"
        | "audit_unavailable"
        | "overloaded"
        | "internal_error" => Cause::Fault,
        _ => return None,
    })
}

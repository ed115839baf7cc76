//! Every reason: what the caller gets, and when.

use std::fmt::Write as _;

use exequatur_decide::Reason;

use crate::wire::respond::grpc_status;
use crate::wire::shape::{Challenge, shape};

/// The part of the page that a reason stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Request,
    Token,
    Proof,
    Permission,
    Fault,
}

/// Each part with its heading, in the order of the page.
const PARTS: [(Part, &str); 5] = [
    (Part::Request, "The request"),
    (Part::Token, "The access token"),
    (Part::Proof, "The DPoP proof"),
    (Part::Permission, "Requirements, policies and bounds"),
    (Part::Fault, "Faults: nothing could be decided"),
];

/// The reasons as sections of Markdown, each with a table. All but the last part are the caller's to mend; of the last it can only
/// come back later.
#[must_use]
pub fn reasons() -> String {
    let mut out = String::new();
    for (part, title) in PARTS {
        let _infallible = write!(
            out,
            "## {title}\n\n| reason | status | gRPC | OAuth error | title | when |\n| --- | --- | --- | --- | --- | --- |\n"
        );
        for (reason, when) in Reason::ALL
            .iter()
            .map(|it| (*it, said(*it)))
            .filter(|(_, it)| it.0 == part)
            .map(|(r, it)| (r, it.1))
        {
            out.push_str(&row(reason, when));
        }
        out.push('\n');
    }
    out
}

/// When a reason is given, in the words of the reference, without their marks of Markdown.
#[must_use]
pub fn meaning(reason: Reason) -> String {
    said(reason).1.replace('`', "")
}

fn row(reason: Reason, when: &str) -> String {
    let shape = shape(reason);
    let grpc = grpc_status(shape.status).map_or_else(|| "–".to_owned(), |code| code.to_string());
    let error = error(shape.challenge);
    format!("| `{reason}` | {} | {grpc} | {error} | {} | {when} |\n", shape.status, shape.title)
}

pub(crate) fn error(challenge: Challenge) -> &'static str {
    match challenge {
        Challenge::None => "–",
        Challenge::Bare => "none",
        Challenge::Request => "`invalid_request`",
        Challenge::Token => "`invalid_token`",
        Challenge::Proof => "`invalid_dpop_proof`",
        Challenge::Nonce => "`use_dpop_nonce`",
        Challenge::Scope => "`insufficient_scope`",
        Challenge::StepUp => "`insufficient_user_authentication`",
    }
}

/// When a reason is given, in Markdown: what an operator, or a caller's developer, looks up.
#[expect(clippy::too_many_lines, reason = "a line for each reason there is")]
fn said(reason: Reason) -> (Part, &'static str) {
    match reason {
        Reason::CredentialsMissing => (Part::Request, "no `Authorization` where the route needs one"),
        Reason::AuthSchemeUnsupported => (Part::Request, "neither `Bearer` nor `DPoP`"),
        Reason::RequestMalformed => (
            Part::Request,
            "method, host, `Authorization` or client certificate cannot be read, too many header fields, or \
             Envoy's description is incomplete or cannot be decoded",
        ),
        Reason::MultipleCredentials => {
            (Part::Request, "two `Authorization` fields, a comma in one, or one beside a token in the query")
        }
        Reason::TokenInQuery => (Part::Request, "`access_token` in the query"),
        Reason::HostUnknown => (Part::Request, "no protected resource has this host"),
        Reason::PathRefused => (Part::Request, "the path can be read in more than one way"),
        Reason::RouteUnmatched => (Part::Request, "no route takes this host, path and method"),
        Reason::TokenMalformed => (Part::Token, "no strict compact JWS with JSON objects"),
        Reason::TokenTooLarge => (Part::Token, "longer than `max_token_bytes` (8 KiB)"),
        Reason::TokenTypeInvalid => (Part::Token, "`typ` is not that of an access token"),
        Reason::TokenAlgNotAllowed => {
            (Part::Token, "the algorithm is not known, or not on the issuer's list")
        }
        Reason::TokenCritUnsupported => (Part::Token, "`crit` is present"),
        Reason::TokenIssuerUnknown => (Part::Token, "`iss` is not exactly that of a configured issuer"),
        Reason::TokenKeyUnknown => (Part::Token, "no key of the issuer fits key id and algorithm"),
        Reason::TokenSignatureInvalid => (Part::Token, "the signature does not verify"),
        Reason::TokenExpired => (Part::Token, "`exp` has passed"),
        Reason::TokenNotYetValid => (Part::Token, "`nbf` is ahead"),
        Reason::TokenAudienceMismatch => (Part::Token, "`aud` does not name what the route needs"),
        Reason::TokenClaimMissing => (Part::Token, "a required claim is absent"),
        Reason::TokenClaimInvalid => (Part::Token, "a claim has a wrong type or value"),
        Reason::TokenBindingRequired => (
            Part::Token,
            "the route needs a sender constraint that the token lacks; its tenant is said by the certificate, and \
             it is bound to none; or an unbound token came under the `DPoP` scheme",
        ),
        Reason::TokenBindingUnsupported => (Part::Token, "`cnf` is empty, or has an unknown member"),
        Reason::DelegationTooDeep => (Part::Token, "more than 5 nested `act`"),
        Reason::DpopBoundTokenAsBearer => (Part::Token, "a DPoP-bound token under the `Bearer` scheme"),
        Reason::DpopKeyMismatch => (Part::Token, "the proof's key is not the one the token is bound to"),
        Reason::MtlsCertMissing => (Part::Token, "a certificate-bound token without a client certificate"),
        Reason::MtlsCertMismatch => (Part::Token, "the client certificate is another one"),
        Reason::MtlsCertUntrusted => (
            Part::Token,
            "the certificate is to say the tenant \
             ([tenants.md](../explanation/tenants.md#a-tenant-from-the-clients-certificate)), and is by none of \
             the authorities for that, not valid now, not for clients, or without the one URI that says a tenant",
        ),
        Reason::DpopProofMissing => (Part::Proof, "the `DPoP` scheme without a proof"),
        Reason::DpopProofMultiple => (Part::Proof, "more than one proof"),
        Reason::DpopProofMalformed => (Part::Proof, "no strict compact JWS, or a member is missing or wrong"),
        Reason::DpopAlgNotAllowed => (Part::Proof, "the algorithm is not on the list"),
        Reason::DpopKeyInvalid => (
            Part::Proof,
            "the key in the header is private, symmetric, off its curve or of another algorithm",
        ),
        Reason::DpopSignatureInvalid => (Part::Proof, "the signature does not verify"),
        Reason::DpopHtmMismatch => (Part::Proof, "`htm` is not the method"),
        Reason::DpopHtuMismatch => (Part::Proof, "`htu` is not the configured origin and the path"),
        Reason::DpopIatOutOfWindow => (Part::Proof, "`iat` is too old or too far ahead"),
        Reason::DpopAthMismatch => (Part::Proof, "`ath` is not the digest of the token"),
        Reason::DpopReplay => (Part::Proof, "the proof was used before"),
        Reason::DpopNonceRequired => {
            (Part::Proof, "a nonce is asked for; the answer's `DPoP-Nonce` holds one")
        }
        Reason::DpopNonceInvalid => {
            (Part::Proof, "the proof's nonce cannot be taken; the answer's `DPoP-Nonce` holds another")
        }
        Reason::TenantMismatch => {
            (Part::Permission, "the token is of another tenant than the resource, or of none")
        }
        Reason::ActorNotPermitted => {
            (Part::Permission, "the token's `may_act` names another party than the one that acts (`act`)")
        }
        Reason::UserRequired => (
            Part::Permission,
            "the route is for agents that act for a user (`user: required`), and this one acts for itself",
        ),
        Reason::UserNotAllowed => (
            Part::Permission,
            "the route is for what agents do for themselves (`user: refused`), and this one acts for a user",
        ),
        Reason::ScopeInsufficient => {
            (Part::Permission, "a scope is missing; the challenge names every scope that the route needs")
        }
        Reason::StepUpRequired => (
            Part::Permission,
            "the user was not authenticated as, or as recently as, the route asks, or the token does not say; the \
             challenge names `acr_values` and `max_age` (RFC 9470)",
        ),
        Reason::AuthorizationDetailsInsufficient => {
            (Part::Permission, "no detail of the token grants what the route asks (RFC 9396)")
        }
        Reason::TokenRevoked => {
            (Part::Permission, "this token is revoked, here or by its issuer's status list")
        }
        Reason::KeyRevoked => {
            (Part::Permission, "the key or the certificate that the token is bound to is revoked")
        }
        Reason::TokenInactive => (
            Part::Permission,
            "the issuer's status list says that this token is suspended, or the issuer, asked about it, that it \
             is not active",
        ),
        Reason::StatusListInvalid => (
            Part::Permission,
            "the token's status cannot be told: it is in a list of an issuer that has no `status_lists`, or not \
             below its `uris`; the list ends before the token's index, or has a status that is not known there; \
             or `status` holds nothing that is understood",
        ),
        Reason::AgentRevoked => (Part::Permission, "the agent, or an actor before it, is revoked"),
        Reason::AgentSuspended => (Part::Permission, "the agent, or an actor before it, is suspended"),
        Reason::UserRevoked => (Part::Permission, "the user is revoked"),
        Reason::SessionRevoked => (Part::Permission, "the session is revoked"),
        Reason::ClientRevoked => (Part::Permission, "the OAuth client is revoked"),
        Reason::TenantRevoked => (Part::Permission, "the tenant is stopped"),
        Reason::IssuerRevoked => (Part::Permission, "the issuer is revoked"),
        Reason::Killed => (Part::Permission, "everything is stopped"),
        Reason::PolicyForbid => (Part::Permission, "a policy forbids it"),
        Reason::PolicyNoPermit => (Part::Permission, "no policy permits it"),
        Reason::RateLimited => (
            Part::Permission,
            "a limit has no room; or the source of the request came too often without credentials that hold; or \
             this key or this tenant has as many live proofs as are remembered for one",
        ),
        Reason::IssuerKeysUnavailable => (
            Part::Fault,
            "the issuer's keys were never loaded, are older than `max_stale`, or were loaded at a time that is \
             still to come",
        ),
        Reason::StateStale => (
            Part::Fault,
            "it is not known what is revoked; or what signals have said of the subjects, and a policy reads it",
        ),
        Reason::StatusListUnavailable => (
            Part::Fault,
            "the status list that the token names was never loaded, has ended, has not come within `wait`, or \
             what came is not that list; or as many others are in use as are kept",
        ),
        Reason::IntrospectionUnavailable => (
            Part::Fault,
            "the issuer is asked about its tokens, and there is no answer: it is down or slow, what came is not \
             its answer about this token, too many questions are under way, or it is spared after failures",
        ),
        Reason::ReplayStoreUnavailable => (Part::Fault, "the replay store failed, or is full"),
        Reason::LimitsUnavailable => (
            Part::Fault,
            "the store failed for a request without a proof that limits apply to, or has no room to count for \
             somebody new; or it is not known how often the source failed",
        ),
        Reason::PolicyError => {
            (Part::Fault, "a policy failed while deciding, or the request does not fit the schema")
        }
        Reason::AuditUnavailable => (Part::Fault, "records are `required`, and this one could not be kept"),
        Reason::Overloaded => (
            Part::Fault,
            "no worker comes to it in time, there is no room for its message, or the deadline has passed",
        ),
        Reason::InternalError => {
            (Part::Fault, "an invariant does not hold, or a header value is too long to inject")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is our fault stands among the faults, and nothing else does.
    #[test]
    fn faults_are_those_of_status_503() {
        for reason in Reason::ALL {
            let (part, when) = said(*reason);
            assert_eq!(part == Part::Fault, shape(*reason).status == 503, "{reason}");
            assert!(!when.is_empty() && !when.contains(['|', '\n']), "{reason}");
        }
    }

    /// The words of the table are those that challenges say.
    #[test]
    fn each_reason_has_its_row_once() {
        let page = reasons();
        for reason in Reason::ALL {
            assert_eq!(page.matches(&format!("| `{reason}` |")).count(), 1, "{reason}");
        }
    }
}

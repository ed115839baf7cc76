//! What a permit carries and what a denial says, field by field.

use std::time::Duration;

use exequatur_decide::{BadStatus, Denial, Fault, FreshNonce, Malformed, PathRefusal, Reason, StepUp};
use exequatur_issuers::{KeysUnavailable, ListUnavailable};
use exequatur_policy::{PolicyFault, PrincipalKind};
use exequatur_store::{
    Bound as StoreBound, Form, RevocationKind, Revoked, Standing, StoreError, Target, Unknown,
};
use exequatur_token::{BindingError, Claim, JwsError, KeyError, MalformedProof, ProofError, TokenError};
use serde_json::json;

use super::*;

/// Name and value of each field, in order.
fn fields(options: &[HeaderValueOption]) -> Vec<(&str, &str)> {
    let headers = options.iter().map(|option| option.header.as_ref().unwrap());
    headers.map(|header| (header.key.as_str(), header.value.as_str())).collect()
}

fn denied(refusal: &Refusal, facts: &Facts) -> (CheckResponse, DeniedHttpResponse) {
    let offer = Offer { algorithms: "ES256 EdDSA", metadata: None, scopes: &[], facts };
    let response = deny(refusal, offer, Answer { id: "d", generation: 1, facts, grpc: false });
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response.clone() else {
        panic!("no denial")
    };
    (response, denied)
}

/// A refusal for each reason there is.
#[expect(clippy::too_many_lines, reason = "a line for each reason there is")]
fn refusal(reason: Reason) -> Refusal {
    use Refusal::{Denied, Faulted};
    let (token, proof) = (|error| Denied(Denial::Token(error)), |error| Denied(Denial::Proof(error)));
    let binding = |error| Denied(Denial::Binding(error));
    let revoked =
        |kind, form| Denied(Denial::Revoked(Revoked { target: Target { kind, digest: [0; 16] }, form }));
    let nonce = || FreshNonce::assertion("a-nonce");
    match reason {
        Reason::CredentialsMissing => Denied(Denial::CredentialsMissing),
        Reason::AuthSchemeUnsupported => Denied(Denial::SchemeUnsupported),
        Reason::RequestMalformed => Denied(Denial::Malformed(Malformed::Method)),
        Reason::MultipleCredentials => Denied(Denial::MultipleCredentials),
        Reason::TokenInQuery => Denied(Denial::TokenInQuery),
        Reason::TokenMalformed => token(TokenError::Malformed(JwsError::Parts)),
        Reason::TokenTooLarge => token(TokenError::TooLarge),
        Reason::TokenTypeInvalid => token(TokenError::TypeInvalid),
        Reason::TokenAlgNotAllowed => token(TokenError::AlgNotAllowed),
        Reason::TokenCritUnsupported => token(TokenError::CritUnsupported),
        Reason::TokenIssuerUnknown => token(TokenError::IssuerUnknown),
        Reason::TokenKeyUnknown => token(TokenError::KeyUnknown),
        Reason::TokenSignatureInvalid => token(TokenError::SignatureInvalid),
        Reason::TokenExpired => token(TokenError::Expired),
        Reason::TokenNotYetValid => token(TokenError::NotYetValid),
        Reason::TokenAudienceMismatch => token(TokenError::AudienceMismatch),
        Reason::TokenClaimMissing => token(TokenError::ClaimMissing(Claim::Sub)),
        Reason::TokenClaimInvalid => token(TokenError::ClaimInvalid(Claim::Sub)),
        Reason::TokenBindingRequired => Denied(Denial::BindingRequired),
        Reason::TokenBindingUnsupported => token(TokenError::BindingUnsupported),
        Reason::DelegationTooDeep => token(TokenError::DelegationTooDeep),
        Reason::DpopBoundTokenAsBearer => binding(BindingError::DpopBoundAsBearer),
        Reason::DpopKeyMismatch => binding(BindingError::KeyMismatch),
        Reason::MtlsCertMissing => binding(BindingError::CertificateMissing),
        Reason::MtlsCertMismatch => binding(BindingError::CertificateMismatch),
        Reason::MtlsCertUntrusted => binding(BindingError::CertificateUntrusted),
        Reason::DpopProofMissing => proof(ProofError::Missing),
        Reason::DpopProofMultiple => proof(ProofError::Multiple),
        Reason::DpopProofMalformed => proof(ProofError::Malformed(MalformedProof::TypeInvalid)),
        Reason::DpopAlgNotAllowed => proof(ProofError::AlgNotAllowed),
        Reason::DpopKeyInvalid => proof(ProofError::KeyInvalid(KeyError::TypeUnsupported)),
        Reason::DpopSignatureInvalid => proof(ProofError::SignatureInvalid),
        Reason::DpopHtmMismatch => proof(ProofError::HtmMismatch),
        Reason::DpopHtuMismatch => proof(ProofError::HtuMismatch),
        Reason::DpopIatOutOfWindow => proof(ProofError::IatOutOfWindow),
        Reason::DpopAthMismatch => proof(ProofError::AthMismatch),
        Reason::DpopReplay => Denied(Denial::Replayed),
        Reason::DpopNonceRequired => Denied(Denial::NonceRequired(nonce())),
        Reason::DpopNonceInvalid => Denied(Denial::NonceInvalid(nonce())),
        Reason::ScopeInsufficient => Denied(Denial::ScopeInsufficient { needed: vec!["a".to_owned()] }),
        Reason::StepUpRequired => {
            Denied(Denial::StepUpRequired(StepUp { acr_values: vec!["gold".to_owned()], max_age: None }))
        }
        Reason::AuthorizationDetailsInsufficient => Denied(Denial::AuthorizationDetailsInsufficient),
        Reason::TenantMismatch => Denied(Denial::TenantMismatch),
        Reason::ActorNotPermitted => Denied(Denial::ActorNotPermitted),
        Reason::UserRequired => Denied(Denial::UserRequired),
        Reason::UserNotAllowed => Denied(Denial::UserNotAllowed),
        Reason::TokenRevoked => revoked(RevocationKind::TokenId, Form::Total),
        Reason::TokenInactive => Denied(Denial::Status(BadStatus::Suspended)),
        Reason::StatusListInvalid => Denied(Denial::Status(BadStatus::NotAsked)),
        Reason::StatusListUnavailable => Faulted(Fault::StatusList(ListUnavailable::NotLoaded)),
        Reason::IntrospectionUnavailable => {
            Faulted(Fault::Introspection(exequatur_issuers::IntrospectionUnavailable::NotYet))
        }
        Reason::KeyRevoked => revoked(RevocationKind::Key, Form::Total),
        Reason::AgentRevoked => revoked(RevocationKind::Agent, Form::Total),
        Reason::AgentSuspended => revoked(RevocationKind::Agent, Form::Suspension),
        Reason::UserRevoked => revoked(RevocationKind::User, Form::IssuedUntil(jiff::Timestamp::UNIX_EPOCH)),
        Reason::SessionRevoked => revoked(RevocationKind::Session, Form::Total),
        Reason::ClientRevoked => revoked(RevocationKind::Client, Form::Total),
        Reason::TenantRevoked => revoked(RevocationKind::Tenant, Form::Total),
        Reason::IssuerRevoked => revoked(RevocationKind::Issuer, Form::Total),
        Reason::Killed => revoked(RevocationKind::All, Form::Total),
        Reason::PolicyForbid => Denied(Denial::Forbidden { policies: vec!["p".to_owned()] }),
        Reason::PolicyNoPermit => Denied(Denial::NotPermitted { principal: PrincipalKind::Agent }),
        Reason::PolicyError => Faulted(Fault::Policy(PolicyFault::Evaluation { policies: Vec::new() })),
        Reason::RateLimited => Denied(Denial::ReplayBound(StoreBound::Tenant)),
        Reason::RouteUnmatched => Denied(Denial::RouteUnmatched),
        Reason::PathRefused => Denied(Denial::PathRefused(PathRefusal::DotSegment)),
        Reason::HostUnknown => Denied(Denial::HostUnknown),
        Reason::IssuerKeysUnavailable => Faulted(Fault::Keys(KeysUnavailable::TooStale)),
        Reason::StateStale => Faulted(Fault::Revocations(Unknown::Silent)),
        Reason::ReplayStoreUnavailable => Faulted(Fault::Replay(StoreError::Unavailable)),
        Reason::LimitsUnavailable => Faulted(Fault::LimitsFull),
        Reason::AuditUnavailable => Faulted(Fault::Record),
        Reason::Overloaded => Faulted(Fault::Overloaded),
        Reason::InternalError => Faulted(Fault::Internal),
    }
}

/// N08: no refusal, for whatever reason, has status OK, an HTTP status below 400 or a cacheable answer; ours and
/// only ours are 503; all but a hidden one say their reason.
#[test]
fn no_refusal_is_a_permit() {
    for reason in Reason::ALL {
        let refusal = refusal(*reason);
        assert_eq!(refusal.reason(), *reason);
        for hide in [false, true] {
            let (response, denied) = denied(&refusal, &Facts { hide, ..Facts::default() });
            assert_ne!(response.status.unwrap().code, OK, "{reason}");
            let status = denied.status.unwrap().code;
            assert!((400..600).contains(&status), "{reason}: {status}");
            assert_eq!(status == 503, matches!(refusal, Refusal::Faulted(_)), "{reason}");
            let fields = fields(&denied.headers);
            assert!(fields.contains(&("cache-control", "no-store")), "{reason}");
            let nonce = matches!(reason, Reason::DpopNonceRequired | Reason::DpopNonceInvalid);
            assert_eq!(fields.contains(&("dpop-nonce", "a-nonce")), nonce, "{reason}");
            assert_eq!(denied.body.contains(reason.code()), status != 404, "{reason}");
            assert_eq!(status == 404, hide && shape(*reason).status == 403, "{reason}");
        }
    }
}

/// E06: a hidden route answers 404, and neither challenge nor reason tells why.
#[test]
fn a_hidden_route_says_nothing_but_not_found() {
    let facts = Facts { hide: true, ..Facts::default() };
    let (_, denied) = denied(&Refusal::Denied(Denial::ScopeInsufficient { needed: vec![] }), &facts);
    assert_eq!(denied.status.unwrap().code, 404);
    assert!(!denied.body.contains("scope"), "{}", denied.body);
    assert!(denied.headers.iter().all(|h| h.header.as_ref().unwrap().key != "www-authenticate"));
}

fn grant() -> Grant {
    Grant {
        agent: "corp:crm bot".to_owned(),
        user: Some("corp:alice".to_owned()),
        tenant: Some("acme".to_owned()),
        scopes: vec!["documents:read".to_owned(), "a,b".to_owned()],
        delegation: vec!["corp:planner".to_owned(), "corp:mail".to_owned()],
        credentials: CredentialHandling::Strip,
    }
}

/// N01, B-06: exactly what the upstream is told of the caller, encoded so that no value runs into another.
#[test]
fn the_identity_is_the_grants() {
    assert_eq!(
        fields(&identity(&grant())),
        [
            ("x-exequatur-agent", "corp:crm%20bot"),
            ("x-exequatur-user", "corp:alice"),
            ("x-exequatur-tenant", "acme"),
            ("x-exequatur-scopes", "documents:read,a%2Cb"),
            ("x-exequatur-delegation", "corp:planner,corp:mail"),
        ]
    );
}

/// What is not known is not set: the name is then removed, and an empty value would be somebody's.
#[test]
fn nothing_is_said_of_what_is_not_known() {
    let nobody = Grant { user: None, tenant: None, scopes: vec![], delegation: vec![], ..grant() };
    assert_eq!(fields(&identity(&nobody)), [("x-exequatur-agent", "corp:crm%20bot")]);
}

/// M7: a value of 4 KiB is injected, a longer one is a fault; so is a field without a value.
#[test]
fn values_have_a_bound() {
    assert!(!too_long(&overwrite("a", "x".repeat(4096))));
    assert!(too_long(&overwrite("a", "x".repeat(4097))));
    assert!(!too_long(&overwrite("a", String::new())));
    assert!(too_long(&HeaderValueOption { header: None, ..overwrite("a", String::new()) }));
}

/// E01, E08, D26: each challenge a field of its own, the second beside the first; scripts may read them.
#[test]
fn a_401_has_every_challenge() {
    let (response, denied) = denied(&Refusal::Denied(Denial::CredentialsMissing), &Facts::default());
    assert_eq!(response.status.unwrap().code, UNAUTHENTICATED);
    assert_eq!(denied.status.unwrap().code, 401);
    assert_eq!(
        fields(&denied.headers),
        [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("www-authenticate", "DPoP algs=\"ES256 EdDSA\""),
            ("www-authenticate", "Bearer"),
            ("access-control-expose-headers", "DPoP-Nonce, WWW-Authenticate"),
        ]
    );
    let appended: Vec<_> = denied.headers.iter().map(|option| option.append.unwrap()).collect();
    assert_eq!(appended, [false; 5]);
}

/// E08: Envoy 1.40 leaves out a field of a denial that says `append`.
#[test]
fn each_challenge_is_a_field_that_envoy_takes() {
    let (_, denied) = denied(&Refusal::Denied(Denial::CredentialsMissing), &Facts::default());
    let named = |h: &&HeaderValueOption| h.header.as_ref().unwrap().key == "www-authenticate";
    let fields: Vec<_> = denied.headers.iter().filter(named).collect();
    assert_eq!(fields.len(), 2, "{fields:?}");
    assert!(fields.iter().all(|field| field.append == Some(false)), "{fields:?}");
}

/// A caller that may not is neither asked to sign in again nor to come back later; one that could not be
/// answered is asked to come back.
#[test]
fn other_denials_have_what_their_status_asks_for() {
    type Case<'a> = (Refusal, i32, i32, &'a [(&'a str, &'a str)]);
    let cases: [Case<'_>; 3] = [
        (Refusal::Denied(Denial::TenantMismatch), 403, PERMISSION_DENIED, &[]),
        (
            Refusal::Denied(Denial::ReplayBound(StoreBound::Key)),
            429,
            RESOURCE_EXHAUSTED,
            &[
                ("access-control-expose-headers", "RateLimit, RateLimit-Policy, Retry-After"),
                ("retry-after", "1"),
            ],
        ),
        (Refusal::Faulted(Fault::Internal), 503, UNAVAILABLE, &[("retry-after", "1")]),
    ];
    for (refusal, status, code, more) in cases {
        let (response, denied) = denied(&refusal, &Facts::default());
        assert_eq!(response.status.unwrap().code, code, "{refusal:?}");
        assert_eq!(denied.status.unwrap().code, status, "{refusal:?}");
        let always = [("content-type", "application/problem+json"), ("cache-control", "no-store")];
        assert_eq!(fields(&denied.headers), [&always, more].concat(), "{refusal:?}");
    }
}

/// RFC 9457: the body says what was decided, and under which id it is recorded.
#[test]
fn the_body_is_a_problem_document() {
    let (response, denied) = denied(&Refusal::Denied(Denial::TenantMismatch), &Facts::default());
    let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "urn:exequatur:reason:tenant_mismatch",
            "title": "the tenant is another one",
            "status": 403,
            "reason": "tenant_mismatch",
            "decision": "d",
        })
    );
    let metadata = response.dynamic_metadata.unwrap();
    for (name, value) in [("verdict", "deny"), ("reason", "tenant_mismatch"), ("decision", "d")] {
        let kind = metadata.fields[name].kind.clone().unwrap();
        assert_eq!(kind, prost_types::value::Kind::StringValue(value.to_owned()), "{name}");
    }
}

fn limited() -> Refusal {
    let standing = |wait: Option<u64>| Standing {
        most: 10,
        window: Duration::from_secs(60),
        remaining: 0,
        reset: Duration::from_secs(50),
        wait: wait.map(Duration::from_millis),
    };
    let limits = [("a", standing(Some(2500))), ("b", standing(None))];
    let limits = limits.map(|(name, standing)| LimitStanding { name: name.to_owned(), standing });
    Refusal::Denied(Denial::Limited(limits.to_vec()))
}

/// L01, L02, L03: when to come back, to which limit it was due, and nothing of whom it counts.
#[test]
fn a_limited_request_is_told_when_to_come_back() {
    let facts = Facts { agent: Some("corp:crm-bot".into()), tenant: Some("acme".into()), ..Facts::default() };
    let (response, denied) = denied(&limited(), &facts);
    assert_eq!(response.status.unwrap().code, RESOURCE_EXHAUSTED);
    assert_eq!(denied.status.unwrap().code, 429);
    assert_eq!(
        fields(&denied.headers),
        [
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            ("access-control-expose-headers", "RateLimit, RateLimit-Policy, Retry-After"),
            ("retry-after", "3"),
            ("ratelimit-policy", "\"a\";q=10;w=60, \"b\";q=10;w=60"),
            ("ratelimit", "\"a\";r=0;t=3"),
        ]
    );
    let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
    assert_eq!(
        body,
        json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "too many requests",
            "status": 429,
            "reason": "rate_limited",
            "decision": "d",
            "violated-policies": ["a"],
        })
    );
}

/// L01, L04: a source is told when, and nothing of limits.
#[test]
fn a_limited_source_is_told_when_to_come_back() {
    let wait = Duration::from_micros(2_000_001);
    let (_, denied) = denied(&Refusal::Denied(Denial::SourceLimited { wait }), &Facts::default());
    let fields = fields(&denied.headers);
    assert!(fields.contains(&("retry-after", "3")), "{fields:?}");
    assert!(fields.iter().all(|(name, _)| !name.starts_with("ratelimit")), "{fields:?}");
    assert!(denied.body.contains("urn:exequatur:reason:rate_limited"), "{}", denied.body);
}

/// Envoy makes 14 of 429 for a gRPC caller unless it is told better; other callers get no such field.
#[test]
fn a_grpc_caller_is_told_that_something_is_exhausted() {
    for (refusal, grpc, expected) in [
        (limited(), true, Some("8")),
        (limited(), false, None),
        (Refusal::Denied(Denial::TenantMismatch), true, None),
    ] {
        let facts = Facts::default();
        let offer = Offer { algorithms: "", metadata: None, scopes: &[], facts: &facts };
        let response = deny(&refusal, offer, Answer { id: "d", generation: 1, facts: &facts, grpc });
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("no denial") };
        let status = fields(&denied.headers).into_iter().find(|(name, _)| *name == "grpc-status");
        assert_eq!(status.map(|(_, value)| value), expected, "{refusal:?} {grpc}");
    }
}

/// The page of headers has each field that a denial ever has, and no other; the page of reasons says the error that the
/// challenge does.
#[test]
fn the_reference_says_what_denials_say() {
    let mut seen = std::collections::BTreeSet::new();
    let all = Reason::ALL.iter().map(|reason| refusal(*reason)).chain([limited()]);
    for refusal in all {
        let facts = Facts::default();
        let offer = Offer { algorithms: "ES256", metadata: None, scopes: &[], facts: &facts };
        let response = deny(&refusal, offer, Answer { id: "d", generation: 1, facts: &facts, grpc: true });
        let Some(HttpResponse::DeniedResponse(denied)) = response.http_response else { panic!("no denial") };
        let fields = fields(&denied.headers);
        seen.extend(fields.iter().map(|(name, _)| (*name).to_owned()));
        let challenges: Vec<_> = fields.iter().filter(|(name, _)| *name == "www-authenticate").collect();
        let said = crate::reference::reasons::error(shape(refusal.reason()).challenge);
        match said {
            "–" => assert!(challenges.is_empty(), "{refusal:?}"),
            "none" => assert!(
                !challenges.is_empty() && challenges.iter().all(|(_, value)| !value.contains("error=")),
                "{refusal:?}"
            ),
            word => {
                let word = format!("error=\"{}\"", word.trim_matches('`'));
                assert!(
                    challenges.iter().any(|(_, value)| value.contains(&word)),
                    "{refusal:?}: {challenges:?}"
                );
            }
        }
    }
    let [_, denial, _] = crate::reference::headers::said();
    assert_eq!(seen, denial.iter().map(|name| (*name).to_owned()).collect());
}

/// The page of headers has each member of the metadata.
#[test]
fn the_reference_says_what_the_metadata_says() {
    let some = || Some("x".to_owned());
    let facts = Facts {
        route: some(),
        agent: some(),
        user: some(),
        tenant: some(),
        federation: some(),
        ..Facts::default()
    };
    let told = metadata("d", "deny", Some("killed"), 1, &facts).fields.into_keys().collect::<Vec<_>>();
    let [_, _, said] = crate::reference::headers::said();
    assert_eq!(told, said.into_iter().collect::<Vec<_>>());
}

/// The page of headers has each field that the response of a permit is given.
#[test]
fn the_reference_says_what_permits_add_to_a_response() {
    let Refusal::Denied(Denial::Limited(limits)) = limited() else { panic!("limits") };
    let told = ratelimit::of_permit(&limits);
    let mut told: Vec<_> = fields(&told).iter().map(|(name, _)| (*name).to_owned()).collect();
    told.insert(0, "dpop-nonce".to_owned());
    told.sort();
    let [said, _, _] = crate::reference::headers::said();
    assert_eq!(told, said.into_iter().collect::<Vec<_>>());
}

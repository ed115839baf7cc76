//! What a permit carries and what a denial says, field by field.

use exequatur_decide::{Denial, Fault};
use exequatur_store::Bound as StoreBound;

use super::*;

/// Name and value of each field, in order.
fn fields(options: &[HeaderValueOption]) -> Vec<(&str, &str)> {
    let headers = options.iter().map(|option| option.header.as_ref().unwrap());
    headers.map(|header| (header.key.as_str(), header.value.as_str())).collect()
}

fn denied(refusal: &Refusal, facts: &Facts) -> (CheckResponse, DeniedHttpResponse) {
    let offer = Offer { algorithms: "ES256 EdDSA", metadata: None, scopes: &[], facts };
    let response = deny(refusal, offer, Answer { id: "d", generation: 1, facts });
    let Some(HttpResponse::DeniedResponse(denied)) = response.http_response.clone() else {
        panic!("no denial")
    };
    (response, denied)
}

/// No refusal has status OK, an HTTP status below 400, or a cacheable answer.
#[test]
fn no_refusal_is_a_permit() {
    let refusals = [
        Refusal::Denied(Denial::CredentialsMissing),
        Refusal::Denied(Denial::HostUnknown),
        Refusal::Denied(Denial::Replayed),
        Refusal::Denied(Denial::NotPermitted),
        Refusal::Faulted(Fault::Internal),
        Refusal::Faulted(Fault::Deadline),
    ];
    for refusal in refusals {
        let (response, denied) = denied(&refusal, &Facts::default());
        assert_ne!(response.status.unwrap().code, OK);
        assert!(denied.status.unwrap().code >= 400);
        let cache =
            denied.headers.iter().filter_map(|h| h.header.as_ref()).find(|h| h.key == "cache-control");
        assert_eq!(cache.unwrap().value, "no-store");
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
            PERMISSION_DENIED,
            &[("retry-after", "1")],
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

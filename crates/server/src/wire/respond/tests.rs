//! What a permit carries and what a denial says, field by field.

use exequatur_decide::{Denial, Fault};

use super::*;

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

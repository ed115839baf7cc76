//! Routes that need no identity, and what they cannot open.

use exequatur_decide::{Denial, Settled};

use crate::ask::{Ask, READ, ask_for};
use crate::world::World;

fn assert_public(settled: &Settled) {
    assert!(settled.grant().is_none());
    assert!(settled.next_nonce().is_none());
}

#[tokio::test]
async fn a_public_route_takes_anyone() {
    let world = World::new().await;
    let health = Ask::anonymous().to("/healthz");
    assert_public(&world.check(&health).await.unwrap());
    for (name, value) in [
        ("authorization", "Bearer garbage"),
        ("authorization", "DPoP a,b"),
        ("authorization", "\u{e9}"),
        ("dpop", "garbage"),
    ] {
        assert_public(&world.check(&health.clone().header(name, value)).await.unwrap());
    }
    assert_public(&world.check(&ask_for(READ).to("/healthz")).await.unwrap());
    assert_eq!(world.live_proofs().await, 0);
    assert_eq!(world.refusal(&health.method("POST")).await, Denial::RouteUnmatched.into());
}

fn preflight() -> Ask {
    Ask::anonymous()
        .method("OPTIONS")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "GET")
}

/// B-07: by its whole shape, not by its method alone.
#[tokio::test]
async fn a_preflight_is_known_by_its_shape() {
    let world = World::new().await;
    assert_public(&world.check(&preflight()).await.unwrap());
    assert_public(&world.check(&preflight().header("authorization", "Bearer garbage")).await.unwrap());
    let unmatched = Denial::RouteUnmatched.into();
    assert_eq!(world.refusal(&preflight().without("origin")).await, unmatched);
    assert_eq!(world.refusal(&preflight().without("access-control-request-method")).await, unmatched);
    let mut with_body = preflight();
    with_body.has_body = true;
    assert_eq!(world.refusal(&with_body).await, unmatched);
    // Its shape gives no other method anything.
    assert_eq!(world.refusal(&preflight().method("DELETE")).await, unmatched);
    assert_eq!(world.refusal(&preflight().method("GET")).await, Denial::CredentialsMissing.into());
}

/// Any kind of thing is public, but for documents.
#[tokio::test]
async fn a_guarded_route_beats_an_overlapping_public_one() {
    let world = World::new().await;
    assert_public(&world.check(&Ask::anonymous().to("/tenants/acme/papers/open/1")).await.unwrap());
    assert_eq!(world.refusal(&Ask::anonymous()).await, Denial::CredentialsMissing.into());
    assert!(world.check(&Ask::valid()).await.unwrap().grant().is_some());
}

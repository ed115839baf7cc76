//! L04: requests without credentials that hold are bounded for each source, before any of them are looked at.

use std::num::NonZeroU32;
use std::time::Duration;

use exequatur_decide::{Denial, Refusal};
use exequatur_store::{Rate, RatePer};
use exequatur_token::TokenError;
use serde_json::json;

use crate::ask::{Ask, Proof, Token};
use crate::key::Key;
use crate::world::{Setting, World, at};

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// One a second, three at once.
async fn world() -> World {
    let rate = Rate::new(NonZeroU32::MIN, RatePer::Second, NonZeroU32::new(3).unwrap()).unwrap();
    World::with(Setting { unauthenticated: rate, ..Setting::default() }).await
}

fn forged() -> Ask {
    Ask::signed(&Token::bound().signed_by(Key::stranger()), &Proof::new())
}

fn limited() -> Refusal {
    Denial::SourceLimited { wait: Duration::from_secs(1) }.into()
}

/// Each way to fail is counted, the good are not, and another source goes on.
#[tokio::test]
async fn a_source_that_fails_too_often_is_not_looked_at() {
    let failures: [fn() -> Ask; 6] = [
        forged,
        Ask::anonymous,
        || Ask::signed(&Token::bound(), &Proof::by(Key::stranger())),
        || Ask::bearer(&Token::bound().sign()),
        || Ask::anonymous().header("authorization", "Basic YTpi"),
        || Ask::signed(&Token::bound().with("exp", json!(at(-60).as_second())), &Proof::new()),
    ];
    for (n, failure) in failures.iter().enumerate() {
        let world = world().await;
        for _ in 0..5 {
            world.check(&Ask::valid().from(HERE)).await.unwrap();
        }
        for _ in 0..3 {
            let refusal = world.refusal(&failure().from(HERE)).await;
            assert_ne!(refusal, limited(), "{n}");
        }
        assert_eq!(world.refusal(&failure().from(HERE)).await, limited(), "{n}");
        assert_eq!(world.refusal(&Ask::valid().from(HERE)).await, limited(), "{n}: nothing is looked at");
        world.check(&Ask::valid().from(ELSEWHERE)).await.unwrap();
        assert_ne!(world.refusal(&failure().from(ELSEWHERE)).await, limited(), "{n}");
        // No address is a source too, and another one.
        world.check(&Ask::valid()).await.unwrap();

        let then = Ask::signed(&Token::bound(), &Proof::new()).from(HERE);
        world.check_at(&then, at(1)).await.0.unwrap();
    }
}

/// Who has shown who it is does not fail by what follows.
#[tokio::test]
async fn what_is_refused_for_other_reasons_is_not_counted() {
    let world = world().await;
    let used = Ask::valid().from(HERE);
    world.check(&used).await.unwrap();
    let other_tenant = || Ask::signed(&Token::bound().with("tenant", json!("globex")), &Proof::new());
    for _ in 0..10 {
        assert_eq!(world.refusal(&used).await, Denial::Replayed.into());
        assert_eq!(world.refusal(&other_tenant().from(HERE)).await, Denial::TenantMismatch.into());
        assert_eq!(
            world.refusal(&Ask::valid().to("/nowhere").from(HERE)).await,
            Denial::RouteUnmatched.into()
        );
        world.check(&Ask::anonymous().to("/healthz").from(HERE)).await.unwrap();
    }
    let refusal = world.refusal(&forged().from(HERE)).await;
    assert_eq!(refusal, Denial::Token(TokenError::SignatureInvalid).into());
}

/// A public route needs nobody to be known, so nobody fails there and nobody is held back.
#[tokio::test]
async fn a_public_route_is_not_bounded() {
    let world = world().await;
    for _ in 0..3 {
        world.refusal(&forged().from(HERE)).await;
    }
    assert_eq!(world.refusal(&forged().from(HERE)).await, limited());
    world.check(&forged().to("/healthz").from(HERE)).await.unwrap();
}

/// A host has 64 bits of IPv6 addresses to choose from.
#[tokio::test]
async fn an_ipv6_source_is_its_network() {
    let world = world().await;
    for n in 1..=3 {
        world.refusal(&forged().from(&format!("2001:db8::{n}"))).await;
    }
    assert_eq!(world.refusal(&Ask::valid().from("2001:db8::ffff:0:0:1")).await, limited());
    world.check(&Ask::valid().from("2001:db8:0:1::1")).await.unwrap();
}

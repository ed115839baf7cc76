//! The cache of verified tokens saves a signature check and nothing else (G27).

use exequatur_decide::{Denial, Refusal};
use exequatur_token::{BindingError, TokenError};
use serde_json::json;

use crate::ask::{API, Ask, NOW, Proof, READ, Token};
use crate::key::Key;
use crate::world::{World, at};

/// A world in which this token has just been verified and kept.
async fn warm(token: &str) -> World {
    let world = World::new().await;
    world.check(&use_of(token, NOW)).await.unwrap();
    world
}

fn use_of(token: &str, iat: i64) -> Ask {
    Ask::dpop(token, &Proof::new().with("iat", iat).sign(token))
}

async fn cached(world: &World, ask: &Ask, seconds: i64) -> (Option<Refusal>, bool) {
    let (result, facts) = world.check_at(ask, at(seconds)).await;
    (result.err(), facts.token_cached.unwrap())
}

#[tokio::test]
async fn the_second_use_is_a_hit() {
    let token = Token::bound().sign();
    let world = World::new().await;
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, false));
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, true));
    // The same claims under another signature are another token.
    assert_eq!(cached(&world, &use_of(&Token::bound().sign(), NOW), 0).await, (None, false));
}

#[tokio::test]
async fn a_refused_token_is_not_kept() {
    let token = Token::bound().signed_by(Key::stranger()).sign();
    let world = World::new().await;
    let refusal: Refusal = Denial::Token(TokenError::SignatureInvalid).into();
    for _ in 0..2 {
        assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (Some(refusal.clone()), false));
    }
}

#[tokio::test]
async fn another_key_set_is_a_miss() {
    let token = Token::bound().sign();
    let world = warm(&token).await;
    world.rotate(&[Key::issuer().named("k1"), Key::new(9).named("k2")]).await;
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, false));
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, true));
}

/// A key that the issuer has removed works no more, whatever was verified with it.
#[tokio::test]
async fn a_removed_key_takes_its_tokens_along() {
    let token = Token::bound().sign();
    let world = warm(&token).await;
    world.rotate(&[Key::new(9).named("k2")]).await;
    let unknown: Refusal = Denial::Token(TokenError::KeyUnknown).into();
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (Some(unknown), false));
    world.rotate(&[Key::new(9).named("k1")]).await;
    let invalid: Refusal = Denial::Token(TokenError::SignatureInvalid).into();
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (Some(invalid), false));
}

#[tokio::test]
async fn another_configuration_is_a_miss() {
    let token = Token::bound().sign();
    let mut world = warm(&token).await;
    world.generation.configuration = [2; 32];
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, false));
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, true));
}

/// A generation of another number under the same configuration and schema loses nothing.
#[tokio::test]
async fn other_policies_alone_are_no_miss() {
    let token = Token::bound().sign();
    let mut world = warm(&token).await;
    world.generation.number = 2;
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, true));
}

/// The leeway is 5 s.
#[tokio::test]
async fn a_cached_token_expires() {
    let token = Token::bound().with("exp", json!(NOW + 30)).sign();
    let world = warm(&token).await;
    assert_eq!(cached(&world, &use_of(&token, NOW + 34), 34).await, (None, true));
    let expired: Refusal = Denial::Token(TokenError::Expired).into();
    assert_eq!(cached(&world, &use_of(&token, NOW + 35), 35).await, (Some(expired), true));
}

/// J05: issued up to 60 s ahead, by the clock at hand, which may have been set back since.
#[tokio::test]
async fn a_cached_token_is_not_from_the_future() {
    let token = Token::bound().with("iat", json!(NOW + 60)).sign();
    let world = warm(&token).await;
    assert_eq!(cached(&world, &use_of(&token, NOW), 0).await, (None, true));
    let early: Refusal = Denial::Token(TokenError::NotYetValid).into();
    assert_eq!(cached(&world, &use_of(&token, NOW - 1), -1).await, (Some(early), true));
}

#[tokio::test]
async fn a_cached_token_is_for_its_audience_only() {
    let token = Token::bound().sign();
    let world = warm(&token).await;
    let refusal: Refusal = Denial::Token(TokenError::AudienceMismatch).into();
    let files = Proof::new().with("htu", format!("https://files.example.com{READ}")).sign(&token);
    let files = Ask::dpop(&token, &files).at("files.example.com");
    assert_eq!(cached(&world, &files, 0).await, (Some(refusal.clone()), true));

    // X09: a token that is passed on must be for the upstream.
    let target = "/tenants/acme/forwarded/internal/1";
    let proof = || Proof::new().with("htu", format!("{API}{target}"));
    let forwarded = Ask::dpop(&token, &proof().sign(&token)).to(target);
    assert_eq!(cached(&world, &forwarded, 0).await, (Some(refusal), true));
    let for_upstream = Token::bound().with("aud", json!(["https://up.example.com"]));
    world.check(&Ask::signed(&for_upstream, &proof()).to(target)).await.unwrap();
}

/// J03: a resource that issuers know by another name, and it alone.
#[tokio::test]
async fn a_token_may_name_the_resource_by_another_name() {
    let files = "https://files.example.com";
    for (audience, host, permitted) in [
        (json!("api://documents"), API, true),
        (json!(["https://other.example.com", "api://documents"]), API, true),
        (json!("api://documents"), files, false),
        (json!("api://Documents"), API, false),
        (json!("api://nobody"), API, false),
    ] {
        let token = Token::bound().with("aud", audience.clone()).sign();
        let world = World::new().await;
        let proof = Proof::new().with("htu", format!("{host}{READ}")).sign(&token);
        let ask = Ask::dpop(&token, &proof).at(host.trim_start_matches("https://"));
        let refusal: Refusal = Denial::Token(TokenError::AudienceMismatch).into();
        for cached in [false, true] {
            let outcome = world.check(&ask).await;
            match (permitted, cached) {
                (true, false) => assert!(outcome.is_ok(), "{audience} at {host}: {outcome:?}"),
                (true, true) => {
                    assert_eq!(outcome.err(), Some(Denial::Replayed.into()), "{audience} at {host}")
                }
                (false, _) => assert_eq!(outcome.err(), Some(refusal.clone()), "{audience} at {host}"),
            }
        }
    }
    // What is passed on is for whom it is passed to.
    let target = "/tenants/acme/forwarded/internal/1";
    let token = Token::bound().with("aud", json!("api://documents")).sign();
    let proof = Proof::new().with("htu", format!("{API}{target}")).sign(&token);
    let refusal: Refusal = Denial::Token(TokenError::AudienceMismatch).into();
    let outcome = World::new().await.check(&Ask::dpop(&token, &proof).to(target)).await;
    assert_eq!(outcome.err(), Some(refusal));
}

#[tokio::test]
async fn binding_is_checked_on_a_hit() {
    let token = Token::bound().sign();
    let world = warm(&token).await;
    let stolen = Ask::dpop(&token, &Proof::by(Key::stranger()).sign(&token));
    let mismatch: Refusal = Denial::Binding(BindingError::KeyMismatch).into();
    assert_eq!(cached(&world, &stolen, 0).await, (Some(mismatch), true));
    let downgraded: Refusal = Denial::Binding(BindingError::DpopBoundAsBearer).into();
    assert_eq!(cached(&world, &Ask::bearer(&token), 0).await, (Some(downgraded), true));
}

/// What the route asks for is asked on a hit too.
#[tokio::test]
async fn requirements_and_replay_are_checked_on_a_hit() {
    let token = Token::bound().sign();
    let world = warm(&token).await;
    let target = "/tenants/globex/documents/internal/1";
    let proof = Proof::new().with("htu", format!("{API}{target}")).sign(&token);
    let mismatch: Refusal = Denial::TenantMismatch.into();
    assert_eq!(cached(&world, &Ask::dpop(&token, &proof).to(target), 0).await, (Some(mismatch), true));
    let ask = use_of(&token, NOW);
    assert_eq!(cached(&world, &ask, 0).await, (None, true));
    assert_eq!(cached(&world, &ask, 0).await, (Some(Denial::Replayed.into()), true));
}

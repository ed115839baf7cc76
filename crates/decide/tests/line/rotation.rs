//! An issuer's keys change, or do not come, while requests do (C-11 to C-13, C-22).

use exequatur_decide::{Denial, Fault, Refusal};
use exequatur_issuers::KeysUnavailable;
use exequatur_token::TokenError;
use serde_json::{Value, json};

use crate::ask::{Ask, NOW, Token};
use crate::key::{Key, base64url};
use crate::key_server::KeyServer;
use crate::world::World;

const LAX: &str = "/tenants/acme/lax/internal/1";

/// A bearer token for a route that asks for no more.
fn bearer(token: &str) -> Ask {
    Ask::bearer(token).to(LAX)
}

/// It outlives a refresh.
fn lasting() -> Token {
    Token::unbound().with("exp", json!(NOW + 880))
}

/// Well-formed, with a signature that nobody made.
fn forged(header: &Value) -> String {
    let [header, claims] = [header, &lasting().claims].map(|part| base64url(part.to_string().as_bytes()));
    format!("{header}.{claims}.{}", base64url(&[1; 64]))
}

async fn world(server: &KeyServer) -> World {
    server.publish(&[Key::issuer().named("k1")]);
    let world = World::at_url(&server.url, server.clock());
    while !world.has_keys(server.now()) {
        server.settle().await;
    }
    world
}

/// What becomes of it, and whether the token was in the cache.
async fn check(world: &World, server: &KeyServer, ask: &Ask) -> (Option<Refusal>, Option<bool>) {
    let (result, facts) = world.check_at(ask, server.now()).await;
    (result.err(), facts.token_cached)
}

fn refused(error: TokenError) -> Option<Refusal> {
    Some(Denial::Token(error).into())
}

/// C-12: a removed key stops working within the refresh interval (5 minutes, and a tenth of jitter), also for a token
/// that is verified and kept; until then it is a hit each time.
#[tokio::test(start_paused = true)]
async fn a_removed_key_takes_cached_tokens_along_within_a_refresh() {
    let server = KeyServer::start().await;
    let world = world(&server).await;
    let ask = bearer(&lasting().sign());
    assert_eq!(check(&world, &server, &ask).await, (None, Some(false)));
    server.publish(&[Key::new(9).named("k2")]);
    let mut seconds = 0;
    loop {
        match check(&world, &server, &ask).await {
            (None, cached) => assert_eq!(cached, Some(true), "after {seconds} s"),
            refusal => {
                assert_eq!(refusal, (refused(TokenError::KeyUnknown), Some(false)));
                break;
            }
        }
        server.pass(1).await;
        seconds += 1;
        assert!(seconds <= 331, "still accepted");
    }
    assert!(seconds >= 269, "a refresh came after {seconds} s");
    let mut renewed = lasting().signed_by(Key::new(9));
    renewed.header["kid"] = json!("k2");
    assert_eq!(check(&world, &server, &bearer(&renewed.sign())).await, (None, Some(false)));
}

/// C-22, C-11: ten thousand before the first keys: one request, and each is answered at once while it hangs.
#[tokio::test(start_paused = true)]
async fn cold_checks_are_one_request_and_wait_for_none() {
    let server = KeyServer::start().await;
    let world = World::at_url(&server.url, server.clock());
    let ask = bearer(&lasting().sign());
    let unavailable: Refusal = Fault::Keys(KeysUnavailable::NeverLoaded).into();
    for _ in 0..10_000 {
        assert_eq!(check(&world, &server, &ask).await.0.as_ref(), Some(&unavailable));
    }
    server.settle().await;
    assert_eq!(server.requests(), 1);
    assert_eq!(server.now(), crate::world::at(0), "no time has passed");
    server.publish(&[Key::issuer().named("k1")]);
    server.pass(8).await;
    assert_eq!(check(&world, &server, &ask).await.0, None);
}

/// C-13: 2400 tokens that name unknown keys, in two minutes: two requests a minute; good tokens pass all the while,
/// and the real new key in their midst is accepted within a minute.
#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_hides_no_rotation() {
    let server = KeyServer::start().await;
    let world = world(&server).await;
    let good = bearer(&lasting().sign());
    let mut renewed = lasting().signed_by(Key::new(9));
    renewed.header["kid"] = json!("k2");
    let renewed = bearer(&renewed.sign());
    let mut accepted = None;
    for second in 0..120 {
        if second == 40 {
            server.publish(&[Key::issuer().named("k1"), Key::new(9).named("k2")]);
        }
        for n in 0..20 {
            let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": format!("{second}-{n}")});
            let refusal = check(&world, &server, &bearer(&forged(&header))).await.0;
            assert_eq!(refusal, refused(TokenError::KeyUnknown));
        }
        assert_eq!(check(&world, &server, &good).await.0, None);
        if check(&world, &server, &renewed).await.0.is_none() {
            accepted.get_or_insert(second);
        }
        server.pass(1).await;
    }
    assert!(accepted.is_some_and(|second| (40..=100).contains(&second)), "{accepted:?}");
    assert!((4..=5).contains(&server.requests()), "{}", server.requests());
}

/// A rotation of keys without ids shows in signatures alone. With an id, a bad signature is no news.
#[tokio::test(start_paused = true)]
async fn a_signature_of_no_known_key_asks_for_keys_only_without_an_id() {
    let server = KeyServer::start().await;
    let world = world(&server).await;
    server.pass(60).await;
    let named = bearer(&forged(&json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"})));
    let unnamed = bearer(&forged(&json!({"typ": "at+jwt", "alg": "ES256"})));
    for (ask, requests) in [(named, 1), (unnamed, 2)] {
        assert_eq!(check(&world, &server, &ask).await.0, refused(TokenError::SignatureInvalid));
        server.settle().await;
        assert_eq!(server.requests(), requests);
    }
}

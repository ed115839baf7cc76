//! C-13, C-22, G16, G17: a flood of unknown keys costs at most two requests a minute per issuer, starves nobody, and a
//! rotation in its midst is followed within a minute.

use std::time::Duration;

use exequatur_issuers::{Discovery, IssuerConfig, KeySource, KeysUnavailable};

use crate::server::{Answer, Server};
use crate::world::{World, config, jwks, set_id};

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// 200 keys a second that nobody has named before.
fn flood(world: &World, name: &str) {
    let second = world.time.passed().as_secs();
    for n in 0..200 {
        world.unknown(name, &format!("{second}-{n}"));
    }
}

/// 120 000 of them in ten minutes; the keys rotate at four arbitrary moments.
async fn withstands(world: &World, server: &Server) {
    let mut published: Option<(Duration, &[&str])> = None;
    let mut rotations =
        [(97, &["b"][..]), (211, &["b", "c"]), (305, &["c"]), (449, &["a"])].into_iter().peekable();
    for second in 0..600 {
        if let Some((_, kids)) = rotations.next_if(|(at, _)| *at == second) {
            server.answer("/jwks", Answer::ok(&jwks(kids)));
            published = Some((world.time.passed(), kids));
        }
        flood(world, "corp");
        world.pass(SECOND, server).await;
        if let Some((at, kids)) = published {
            if world.keys("corp") == Ok(set_id(kids)) {
                published = None;
            } else {
                assert!(world.time.passed() - at <= MINUTE, "{kids:?} after a minute");
            }
        }
        assert!(world.keys("corp").is_ok(), "good keys are never lost");
    }
    assert!(published.is_none() && rotations.next().is_none());
    assert!(server.most_within(MINUTE) <= 2, "{:?}", server.seen());
}

#[tokio::test(start_paused = true)]
async fn a_flood_costs_two_requests_a_minute() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    withstands(&world, &server).await;
    assert!(server.requests() >= 15, "and it is two: {}", server.requests());
}

/// Metadata costs a request too.
#[tokio::test(start_paused = true)]
async fn a_flood_costs_no_more_where_keys_are_discovered() {
    let server = Server::start().await;
    let world = World::start(vec![discovered(&server)]).await;
    world.until_loads("corp", 1).await;
    assert_eq!(server.requests(), 2);
    withstands(&world, &server).await;
    let metadata = server.seen().iter().filter(|seen| seen.path.starts_with("/.well-known/")).count();
    assert!(metadata >= 2, "and it is read anew: {metadata}");
}

fn discovered(server: &Server) -> IssuerConfig {
    let mut config = config("corp", "");
    config.source = KeySource::Discovered { by: Discovery::OAuth };
    config.profile.issuer = server.url("");
    let metadata = format!(r#"{{"issuer":"{}","jwks_uri":"{}"}}"#, server.url(""), server.url("/jwks"));
    server.answer("/.well-known/oauth-authorization-server", Answer::ok(&metadata));
    server.answer("/jwks", Answer::ok(&jwks(&["a"])));
    config
}

/// The server fails all the while: it is not asked more often for that, and the last good keys stay.
#[tokio::test(start_paused = true)]
async fn a_flood_while_the_server_fails_costs_no_more() {
    for (what, answer) in [
        ("an empty set", Answer::ok(r#"{"keys":[]}"#)),
        ("a failure", Answer::of("500 Internal Server Error", b"")),
        ("silence", Answer::Silence),
    ] {
        let server = Server::start().await;
        let world = World::loaded_from(&server).await;
        server.answer("/jwks", answer);
        for _ in 0..600 {
            flood(&world, "corp");
            world.pass(SECOND, &server).await;
        }
        assert!(server.most_within(MINUTE) <= 2, "{what}: {:?}", server.seen());
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])), "{what}");
        server.answer("/jwks", Answer::ok(&jwks(&["b"])));
        for _ in 0..60 {
            flood(&world, "corp");
            world.pass(SECOND, &server).await;
        }
        assert_eq!(world.keys("corp"), Ok(set_id(&["b"])), "{what}");
    }
}

/// Before there are keys, the first load goes its own pace: a flood costs nothing at all.
#[tokio::test(start_paused = true)]
async fn a_flood_before_the_first_keys_costs_nothing() {
    let (flooded, quiet) = (Server::start().await, Server::start().await);
    for server in [&flooded, &quiet] {
        server.answer("/jwks", Answer::ok(r#"{"keys":[]}"#));
    }
    let configs = vec![config("corp", &flooded.url("/jwks")), config("quiet", &quiet.url("/jwks"))];
    let world = World::start(configs).await;
    for _ in 0..300 {
        flood(&world, "corp");
        world.pass(SECOND, &flooded).await;
        quiet.settle().await;
    }
    assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded));
    // Both: 5 s apart at most, 2.5 s at least, after the first few.
    for server in [&flooded, &quiet] {
        assert!(server.most_within(MINUTE) <= 12 + 18, "{}", server.most_within(MINUTE));
    }
    let (flooded, quiet) = (flooded.requests(), quiet.requests());
    assert!(flooded.abs_diff(quiet) <= 30, "{flooded} and {quiet}");
}

/// Another issuer's budget is its own: it rotates at leisure and is asked no more often.
#[tokio::test(start_paused = true)]
async fn a_flood_of_one_issuer_is_no_other_issuers_trouble() {
    let (flooded, other) = (Server::start().await, Server::start().await);
    for server in [&flooded, &other] {
        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
    }
    let configs = vec![config("corp", &flooded.url("/jwks")), config("other", &other.url("/jwks"))];
    let world = World::start(configs).await;
    world.until_loads("corp", 1).await;
    world.until_loads("other", 1).await;
    for second in 0..250 {
        flood(&world, "corp");
        if second == 100 {
            other.answer("/jwks", Answer::ok(&jwks(&["b"])));
            world.unknown("other", "b");
        }
        world.pass(SECOND, &flooded).await;
        other.settle().await;
        let expected = if second < 100 { 1 } else { 2 };
        assert_eq!(other.requests(), expected, "after {second} s: its first load, and the one it asked for");
    }
    assert_eq!(world.keys("other"), Ok(set_id(&["b"])));
    assert!(flooded.requests() >= 8);
}

/// G16: one key that stays unknown, named a hundred times a second, is looked for every second cooldown.
#[tokio::test(start_paused = true)]
async fn a_key_that_stays_unknown_costs_one_request_a_minute() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    for _ in 0..600 {
        for _ in 0..100 {
            world.unknown("corp", "gone");
        }
        world.pass(SECOND, &server).await;
    }
    assert!((9..=12).contains(&server.requests()), "{}", server.requests());
}

/// C-22: all callers at once, before a load and after one, are served by one.
#[tokio::test(start_paused = true)]
async fn ten_thousand_at_once_are_one_request() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    world.pass(MINUTE, &server).await;
    server.answer("/jwks", Answer::Silence);
    for n in 0..10_000 {
        world.unknown("corp", &format!("cold-{n}"));
    }
    server.settle().await;
    assert_eq!(server.requests(), 2, "the first load, and one for all of them");
    for n in 0..10_000 {
        world.unknown("corp", &format!("colder-{n}"));
    }
    server.settle().await;
    assert_eq!(server.requests(), 2, "nor any while it is under way");
}

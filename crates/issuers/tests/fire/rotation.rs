//! C-12: a key that was added is known, and one that was removed is gone, within a refresh.

use std::time::Duration;

use exequatur_token::Algorithm;

use crate::server::{Answer, Server};
use crate::world::{REFRESH, World, config, jwks, set_id};

/// The refresh, a tenth of jitter, and a second for each of the steps and the load.
const WITHIN: Duration = Duration::from_secs(332);

#[tokio::test(start_paused = true)]
async fn added_and_removed_keys_are_followed_within_a_refresh() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    let mut before = world.keys("corp").unwrap();
    // Overlap, removal, replacement at one go, and back.
    for kids in [&["a", "b"][..], &["b"], &["c"], &["a"]] {
        server.answer("/jwks", Answer::ok(&jwks(kids)));
        let published = world.time.passed();
        while world.keys("corp") == Ok(before) {
            world.pass(Duration::from_secs(1), &server).await;
        }
        assert!(world.time.passed() - published <= WITHIN, "{kids:?}");
        assert_eq!(world.keys("corp"), Ok(set_id(kids)));
        let keys = world.issuer("corp").keys(world.time.now()).unwrap();
        for kid in ["a", "b", "c"] {
            let found = keys.candidates(Some(kid), Algorithm::EdDsa).count();
            assert_eq!(found, usize::from(kids.contains(&kid)), "{kid} of {kids:?}");
        }
        before = set_id(kids);
    }
}

/// C-12, C-13: a token that names the new key brings it within a cooldown.
#[tokio::test(start_paused = true)]
async fn a_new_key_in_use_is_known_within_a_minute() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    // Whenever it comes: also while a cooldown runs, which may have begun with a key that was not there yet.
    for (round, kid) in ["b", "c", "d", "e"].into_iter().enumerate() {
        world.pass(Duration::from_secs(7 * u64::try_from(round).unwrap()), &server).await;
        world.unknown("corp", kid);
        world.pass(Duration::from_secs(1), &server).await;
        server.answer("/jwks", Answer::ok(&jwks(&[kid])));
        let published = world.time.passed();
        while world.keys("corp") != Ok(set_id(&[kid])) {
            world.unknown("corp", kid);
            world.pass(Duration::from_secs(1), &server).await;
        }
        assert!(world.time.passed() - published <= Duration::from_secs(60), "{kid}");
    }
}

/// C-22: issuers that were started together drift apart; and no pause is off by more than a tenth.
#[tokio::test(start_paused = true)]
async fn refreshes_are_jittered() {
    let server = Server::start().await;
    let names: Vec<_> = (0..20).map(|n| format!("corp-{n}")).collect();
    let path = |name: &str| format!("/{name}");
    for name in &names {
        server.answer(&path(name), Answer::ok(&jwks(&["a"])));
    }
    let configs = names.iter().map(|name| config(name, &server.url(&path(name)))).collect();
    let world = World::start(configs).await;
    world.pass(Duration::from_secs(700), &server).await;
    let mut firsts = Vec::new();
    for name in &names {
        let times: Vec<_> =
            server.seen().into_iter().filter(|seen| seen.path == path(name)).map(|seen| seen.at).collect();
        for pair in times.windows(2) {
            let pause = pair[1] - pair[0];
            assert!(pause >= REFRESH.mul_f64(0.9) && pause <= WITHIN, "{pause:?}");
        }
        firsts.push((times[1] - times[0]).as_secs());
    }
    firsts.sort_unstable();
    firsts.dedup();
    // Of 60 seconds, twenty draws hit 17 different ones on average; 8 or fewer are as good as impossible.
    assert!(firsts.len() > 8, "{firsts:?}");
}

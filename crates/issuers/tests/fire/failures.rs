//! C-11: whatever a key server does, the last good keys serve until their hard cap, nothing is taken that is no key
//! set, and nobody waits.

use std::time::Duration;

use exequatur_issuers::{Authorities, IssuerConfig, KeysUnavailable, LoadOutcome};
use exequatur_token::Algorithm;

use crate::authority::Authority;
use crate::server::{Answer, Server};
use crate::time::turns;
use crate::world::{COOLDOWN, MAX_STALE, REFRESH, World, config, jwks, set_id};

/// What a key server may do in place of answering, and what that counts as.
fn misbehaviours(trap: &Server) -> Vec<(&'static str, Answer, LoadOutcome)> {
    let good = jwks(&["a"]);
    let body = good.as_bytes();
    let one = good.strip_prefix(r#"{"keys":["#).and_then(|rest| rest.strip_suffix("]}")).unwrap();
    let elsewhere = |place: &str| Answer::of(&format!("302 Found\r\nlocation: {place}"), b"");
    let keys = |one: &str, count: usize| format!(r#"{{"keys":[{}]}}"#, vec![one; count].join(","));
    let announced = |length: usize, sent: usize| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        Answer::raw([head.into_bytes(), vec![b' '; sent]].concat())
    };
    let gzip = [&[0x1f, 0x8b, 8, 0][..], &[0; 1024]].concat();
    vec![
        ("hangs", Answer::Silence, LoadOutcome::Timeout),
        ("drips", Answer::Drip(drip(body), Duration::from_millis(500)), LoadOutcome::Timeout),
        ("fails", Answer::of("500 Internal Server Error", body), LoadOutcome::Status),
        ("has moved without saying so", Answer::of("404 Not Found", body), LoadOutcome::Status),
        ("has nothing", Answer::of("204 No Content", b""), LoadOutcome::Status),
        ("has a part", Answer::of("206 Partial Content", body), LoadOutcome::Status),
        ("redirects over http", elsewhere(&trap.url("/jwks")), LoadOutcome::Redirected),
        ("redirects to a file", elsewhere("file:///etc/passwd"), LoadOutcome::Redirected),
        ("redirects inwards", elsewhere("http://169.254.169.254/latest/meta-data"), LoadOutcome::Redirected),
        (
            "asks to sign in",
            Answer::of("200 OK\r\ncontent-type: text/html", b"<!doctype html>"),
            LoadOutcome::KeySet,
        ),
        ("has no keys", Answer::ok(r#"{"keys":[]}"#), LoadOutcome::KeySet),
        ("has no usable keys", Answer::ok(r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), LoadOutcome::KeySet),
        (
            "has two lists of keys",
            Answer::ok(&format!(r#"{{"keys":[],"keys":[{one}]}}"#)),
            LoadOutcome::KeySet,
        ),
        ("has 100000 keys", Answer::ok(&keys("{}", 100_000)), LoadOutcome::KeySet),
        ("has 300 keys", Answer::ok(&keys(one, 300)), LoadOutcome::KeySet),
        ("has 100000 whole keys", Answer::ok(&keys(one, 100_000)), LoadOutcome::Unacceptable),
        ("has 50 MB", announced(50_000_000, 50_000_000), LoadOutcome::Unacceptable),
        ("compresses", Answer::of("200 OK\r\ncontent-encoding: gzip", &gzip), LoadOutcome::Unacceptable),
        ("breaks off", announced(1000, 500), LoadOutcome::Transfer),
        (
            "has a head without end",
            Answer::raw(b"HTTP/1.1 200 OK\r\na: b".repeat(100_000)),
            LoadOutcome::Transfer,
        ),
        ("speaks something else", Answer::raw("SSH-2.0-OpenSSH_9.6\r\n\r\n"), LoadOutcome::Transfer),
        ("says nothing and goes", Answer::raw(""), LoadOutcome::Transfer),
    ]
}

fn drip(body: &[u8]) -> std::sync::Arc<[u8]> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat().into()
}

/// Later: the last good keys go on, a retry comes after a cooldown, and a good answer mends it.
#[tokio::test(start_paused = true)]
async fn a_server_that_misbehaves_later_changes_nothing() {
    let (server, trap) = (Server::start().await, Server::start().await);
    let world = World::loaded_from(&server).await;
    for (what, answer, outcome) in misbehaviours(&trap) {
        let before = world.count("corp", outcome);
        server.answer("/jwks", answer);
        world.next_load("corp", &server).await;
        assert_eq!(world.count("corp", outcome), before + 1, "{what}: {:?}", world.status("corp").last_error);
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])), "{what}");

        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
        let failed = world.time.passed();
        world.next_load("corp", &server).await;
        // A tenth of jitter, and a second for each of the steps and the load.
        assert!(world.time.passed() - failed <= COOLDOWN + Duration::from_secs(5), "{what}");
        assert_eq!(world.status("corp").last_error, None, "{what}");
    }
    assert_eq!(trap.requests(), 0, "no redirect was followed");
}

/// At the start: there are no keys, it is tried again within seconds, and a good answer begins the service.
#[tokio::test(start_paused = true)]
async fn a_server_that_misbehaves_at_the_start_delays_the_start() {
    let trap = Server::start().await;
    for (what, answer, outcome) in misbehaviours(&trap) {
        let server = Server::start().await;
        server.answer("/jwks", answer);
        let world = World::start(vec![config("corp", &server.url("/jwks"))]).await;
        world.pass(Duration::from_secs(20), &server).await;
        assert!(world.count("corp", outcome) >= 2, "{what}: {:?}", world.status("corp"));
        assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded), "{what}");
        assert!(!world.issuers.complete(world.time.now()), "{what}");

        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
        world.pass(Duration::from_secs(8), &server).await;
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])), "{what}");
        assert!(world.issuers.complete(world.time.now()), "{what}");
    }
    assert_eq!(trap.requests(), 0, "no redirect was followed");
}

/// Down at the start, well, down again until the keys are too old, and well again.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_outlived_until_the_hard_cap() {
    let mut server = Server::start().await;
    server.answer("/jwks", Answer::ok(&jwks(&["a"])));
    server.stop().await;
    let world = World::start(vec![config("corp", &server.url("/jwks"))]).await;
    world.pass(Duration::from_secs(10), &server).await;
    assert!(world.count("corp", LoadOutcome::Connect) >= 2);
    assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded));
    server.start_again().await;
    world.pass(Duration::from_secs(6), &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));

    server.stop().await;
    let age = |world: &World| world.status("corp").keys_age.unwrap().unsigned_abs();
    while age(&world) < MAX_STALE {
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])), "{:?} old", age(&world));
        world.pass(Duration::from_secs(1), &server).await;
    }
    world.pass(Duration::from_secs(1), &server).await;
    assert_eq!(world.keys("corp"), Err(KeysUnavailable::TooStale));

    server.start_again().await;
    world.pass(COOLDOWN + Duration::from_secs(5), &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
}

/// A content type of no use, a key id that stands for two keys, and keys of kinds unknown: all that is fine.
#[tokio::test(start_paused = true)]
async fn what_is_odd_and_harmless_is_taken() {
    let server = Server::start().await;
    let world = World::loaded_from(&server).await;
    let twins = jwks(&["b", "b"]).replacen("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", SECOND_KEY, 1);
    let strange = jwks(&["c"]).replace(r#"{"keys":["#, r#"{"keys":[{"kty":"AKP","alg":"ML-DSA-44"},7,"#);
    for (answer, kid, candidates) in [
        (Answer::of("200 OK\r\ncontent-type: text/plain", jwks(&["b"]).as_bytes()), "b", 1),
        (Answer::of("200 OK", twins.as_bytes()), "b", 2),
        (Answer::of("200 OK", strange.as_bytes()), "c", 1),
    ] {
        server.answer("/jwks", answer);
        world.next_load("corp", &server).await;
        let keys = world.issuer("corp").keys(world.time.now()).unwrap();
        assert_eq!(keys.candidates(Some(kid), Algorithm::EdDsa).count(), candidates);
    }
    assert_eq!(world.status("corp").loads.failed(), 0);
}

/// The public key of RFC 8032 section 7.1, test 2.
const SECOND_KEY: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// TLS that cannot be trusted: expired, of another name, of another authority, none at all.
#[tokio::test(start_paused = true)]
async fn a_server_without_a_good_certificate_is_not_believed() {
    let (ours, other) = (Authority::new(), Authority::new());
    let acceptors = [
        ("expired", Some(ours.expired_server("127.0.0.1")), LoadOutcome::Connect),
        ("of another name", Some(ours.server("localhost")), LoadOutcome::Connect),
        ("of another authority", Some(other.server("127.0.0.1")), LoadOutcome::Connect),
        // It waits for a request that never comes.
        ("none", None, LoadOutcome::Timeout),
    ];
    for (what, acceptor, outcome) in acceptors {
        let server = Server::with(acceptor).await;
        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
        let url = server.url("/jwks").replace("http://", "https://");
        let mut config: IssuerConfig = config("corp", &url);
        config.transport.authorities = Some(Authorities::read(&ours.file).unwrap());
        let world = World::start(vec![config]).await;
        while world.loads("corp") == 0 {
            turns().await;
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(world.count("corp", outcome), 1, "{what}: {:?}", world.status("corp"));
        assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded), "{what}");
    }
}

/// One issuer's trouble is no other's: while one hangs for ever, another is loaded at its pace.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_hangs_holds_up_no_other() {
    let (hanging, good) = (Server::start().await, Server::start().await);
    hanging.answer("/jwks", Answer::Silence);
    good.answer("/jwks", Answer::ok(&jwks(&["a"])));
    let configs = vec![config("hanging", &hanging.url("/jwks")), config("good", &good.url("/jwks"))];
    let world = World::start(configs).await;
    world.until_loads("good", 1).await;
    assert_eq!(world.time.passed(), Duration::ZERO);
    assert_eq!(world.keys("good"), Ok(set_id(&["a"])));
    good.answer("/jwks", Answer::ok(&jwks(&["b"])));
    world.pass(REFRESH.mul_f64(1.1) + Duration::from_secs(2), &good).await;
    assert_eq!(world.keys("good"), Ok(set_id(&["b"])));
    assert!(world.count("hanging", LoadOutcome::Timeout) > 10);
}

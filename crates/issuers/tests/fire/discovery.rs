//! Keys by way of the issuer's metadata (RFC 8414, OpenID Connect Discovery).

use std::time::Duration;

use exequatur_issuers::{
    AddressProblem, Discovery, DownloadError, FetchError, IssuerConfig, KeySource, KeysUnavailable,
    MetadataError,
};

use crate::server::{Answer, Server};
use crate::world::{REFRESH, World, config, jwks, set_id};

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// An issuer at `path` of the server.
pub(crate) fn discovered(server: &Server, path: &str, by: Discovery) -> IssuerConfig {
    let mut config = config("corp", "");
    config.source = KeySource::Discovered { by };
    config.profile.issuer = server.url(path);
    config
}

fn metadata(issuer: &str, keys: &str) -> Answer {
    Answer::ok(&format!(r#"{{"issuer":"{issuer}","token_endpoint":"{issuer}/token","jwks_uri":"{keys}"}}"#))
}

fn paths(server: &Server) -> Vec<String> {
    server.seen().into_iter().map(|seen| seen.path).collect()
}

/// Each kind at its place, with and without a path, and nowhere else.
#[tokio::test(start_paused = true)]
async fn keys_are_found_by_either_metadata() {
    for (by, path, well_known) in [
        (Discovery::OAuth, "", OAUTH.to_owned()),
        (Discovery::OAuth, "/realms/a", format!("{OAUTH}/realms/a")),
        (Discovery::OpenId, "", OPENID.to_owned()),
        (Discovery::OpenId, "/realms/a", format!("/realms/a{OPENID}")),
    ] {
        let server = Server::start().await;
        server.answer(&well_known, metadata(&server.url(path), &server.url("/keys")));
        server.answer("/keys", Answer::ok(&jwks(&["a"])));
        let world = World::start(vec![discovered(&server, path, by)]).await;
        world.until_loads("corp", 1).await;
        assert_eq!(world.keys("corp"), Ok(set_id(&["a"])), "{by:?} {path}");
        assert_eq!(paths(&server), [well_known, "/keys".to_owned()]);
    }
}

/// J02, J18, G23: metadata of somebody else, or that points where it may not. Nothing further is asked for.
#[tokio::test(start_paused = true)]
async fn metadata_that_may_not_be_followed_is_not() {
    let trap = Server::start().await;
    trap.answer("/keys", Answer::ok(&jwks(&["a"])));
    let server = Server::start().await;
    let (issuer, here) = (server.url(""), server.url("/keys"));
    let far = |url: &str| metadata(&server.url(""), url);
    let mismatch = MetadataError::IssuerMismatch;
    let cases = [
        ("another issuer", metadata("https://sts.example.com", &here), mismatch),
        ("a slash more", metadata(&format!("{issuer}/"), &here), mismatch),
        ("no issuer", Answer::ok(&format!(r#"{{"jwks_uri":"{here}"}}"#)), mismatch),
        ("no keys", Answer::ok(&format!(r#"{{"issuer":"{issuer}"}}"#)), MetadataError::NoKeys),
        ("a file", far("file:///etc/passwd"), AddressProblem::Insecure.into()),
        ("plain http", far("http://192.0.2.1/keys"), AddressProblem::Insecure.into()),
        ("cloud metadata", far("https://169.254.169.254/latest"), MetadataError::NotPublic),
        ("a private network", far("https://10.0.0.1/keys"), MetadataError::NotPublic),
        ("a failure", Answer::of("500 Internal Server Error", b""), DownloadError::Status(500).into()),
        ("a redirect", Answer::of(&format!("302 Found\r\nlocation: {}", trap.url("/keys")), b""), {
            DownloadError::Redirected(302).into()
        }),
        ("too much", Answer::ok(&" ".repeat(1024 * 1024 + 1)), DownloadError::TooLarge.into()),
    ];
    for (what, answer, expected) in cases {
        let before = server.requests();
        server.answer(OAUTH, answer);
        let world = World::start(vec![discovered(&server, "", Discovery::OAuth)]).await;
        world.until_loads("corp", 1).await;
        assert_eq!(world.status("corp").last_error, Some(FetchError::Metadata(expected)), "{what}");
        assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded), "{what}");
        server.settle().await;
        assert_eq!(server.requests(), before + 1, "{what}");
    }
    assert_eq!(trap.requests(), 0);
}

/// The keys move: the next refresh finds them, and a failure at the old place does not have to wait for it.
#[tokio::test(start_paused = true)]
async fn keys_that_move_are_followed() {
    let server = Server::start().await;
    let publish = |path: &str, kid: &str| {
        server.answer(OAUTH, metadata(&server.url(""), &server.url(path)));
        server.answer(path, Answer::ok(&jwks(&[kid])));
    };
    publish("/old", "a");
    let world = World::start(vec![discovered(&server, "", Discovery::OAuth)]).await;
    world.until_loads("corp", 1).await;

    // The old place goes on serving the old keys.
    publish("/new", "b");
    world.pass(REFRESH.mul_f64(1.1) + Duration::from_secs(2), &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["b"])));

    // The old place is gone, and a token already names the new key: one load fails, the next reads the metadata.
    world.pass(Duration::from_secs(90), &server).await;
    server.answer("/new", Answer::of("410 Gone", b""));
    publish("/newest", "c");
    world.unknown("corp", "c");
    world.pass(Duration::from_secs(70), &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["c"])));
    let asked = paths(&server);
    assert_eq!(asked[asked.len() - 3..], ["/new", OAUTH, "/newest"].map(str::to_owned));
}

/// A load that an unknown key asks for goes straight to the keys.
#[tokio::test(start_paused = true)]
async fn an_unknown_key_does_not_read_metadata_anew() {
    let server = Server::start().await;
    server.answer(OPENID, metadata(&server.url(""), &server.url("/keys")));
    server.answer("/keys", Answer::ok(&jwks(&["a"])));
    let world = World::start(vec![discovered(&server, "", Discovery::OpenId)]).await;
    world.until_loads("corp", 1).await;
    world.pass(Duration::from_secs(61), &server).await;
    server.answer("/keys", Answer::ok(&jwks(&["b"])));
    world.unknown("corp", "b");
    world.pass(Duration::from_secs(1), &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["b"])));
    assert_eq!(paths(&server), [OPENID, "/keys", "/keys"].map(str::to_owned));
}

//! Own authorities and a proxy, with real TLS and a real tunnel.

use std::net::SocketAddr;
use std::path::PathBuf;

use exequatur_issuers::{
    Authorities, Discovery, IssuerConfig, KeysUnavailable, LoadOutcome, ProxyCredentials,
};

use crate::authority::Authority;
use crate::proxy::Proxy;
use crate::server::{Answer, Server};
use crate::world::{World, config, jwks, set_id};

async fn server(authority: &Authority, name: &str) -> Server {
    let server = Server::with(Some(authority.server(name))).await;
    server.answer("/jwks", Answer::ok(&jwks(&["a"])));
    server
}

fn trusting(authority: &Authority, url: &str) -> IssuerConfig {
    let mut config = config("corp", url);
    config.transport.authorities = Some(Authorities::read(&authority.file).unwrap());
    config
}

async fn first_load(config: IssuerConfig) -> World {
    let world = World::start(vec![config]).await;
    world.until_loads("corp", 1).await;
    world
}

/// The issuer's own authority is trusted for it, in place of the system's, and for nobody else.
#[tokio::test(start_paused = true)]
async fn an_issuer_has_its_own_authority() {
    let authority = Authority::new();
    let server = server(&authority, "127.0.0.1").await;
    let url = server.url("/jwks");
    let world = first_load(trusting(&authority, &url)).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));

    let other = Authority::new();
    for config in [config("corp", &url), trusting(&other, &url)] {
        let world = first_load(config).await;
        assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded));
        assert_eq!(world.count("corp", LoadOutcome::Connect), 1);
    }
    assert_eq!(server.requests(), 1);

    // Side by side: neither lends its trust to the other.
    let mut usual = config("usual", &url);
    usual.profile.issuer = "https://usual.example".to_owned();
    let world = World::start(vec![usual, trusting(&authority, &url)]).await;
    world.until_loads("corp", 1).await;
    world.until_loads("usual", 1).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
    assert_eq!(world.keys("usual"), Err(KeysUnavailable::NeverLoaded));
}

/// J18: a file of authorities that is replaced while we run counts from the next load on; one that says nothing new
/// changes nothing.
#[tokio::test(start_paused = true)]
async fn a_new_authority_is_gone_over_to() {
    let (authority, old) = (Authority::new(), Authority::new());
    let server = server(&authority, "127.0.0.1").await;
    let url = server.url("/jwks");
    let mut usual = config("usual", &url);
    usual.profile.issuer = "https://usual.example".to_owned();
    let before = trusting(&old, &url);
    let world = World::start(vec![before.clone(), usual.clone()]).await;
    world.until_loads("corp", 1).await;
    assert_eq!(world.count("corp", LoadOutcome::Connect), 1);
    assert_eq!(
        world.issuers.renewal([&before.transport, &usual.transport]).unwrap().carry_out(),
        [""; 0].map(PathBuf::from)
    );

    std::fs::copy(&authority.file, &old.file).unwrap();
    let after = trusting(&old, &url);
    assert_eq!(
        world.issuers.renewal([&after.transport, &usual.transport]).unwrap().carry_out(),
        std::slice::from_ref(&old.file)
    );
    assert_eq!(
        world.issuers.renewal([&after.transport, &usual.transport]).unwrap().carry_out(),
        [""; 0].map(PathBuf::from)
    );
    world.next_load("corp", &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
    assert_eq!(world.keys("usual"), Err(KeysUnavailable::NeverLoaded), "trust is lent to nobody else");
}

/// The same for what a proxy is told, and for both requests of a discovery.
#[tokio::test(start_paused = true)]
async fn new_credentials_are_gone_over_to() {
    let authority = Authority::new();
    let server = server(&authority, HIDDEN).await;
    let issuer = format!("https://{HIDDEN}");
    let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/jwks"}}"#);
    server.answer("/.well-known/oauth-authorization-server", Answer::ok(&metadata));
    let proxy = Proxy::start(server.address, Some("Basic bWU6c2VjcmV0IHdvcmQ=")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        let credentials = Some(ProxyCredentials::read(file.path()).unwrap());
        let mut config = crate::discovery::discovered(&server, "", Discovery::OAuth);
        config.profile.issuer.clone_from(&issuer);
        config.transport.authorities = Some(Authorities::read(&authority.file).unwrap());
        config.transport.proxy = Some(exequatur_issuers::Proxy::new(&proxy.url(), credentials).unwrap());
        config
    };
    let world = first_load(config("me:another")).await;
    assert_eq!(world.count("corp", LoadOutcome::Connect), 1);
    let renewed = world.issuers.renewal([&config("me:secret word").transport]).unwrap().carry_out();
    assert_eq!(renewed, [file.path()]);
    world.next_load("corp", &server).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
}

fn through(proxy: &Proxy, credentials: Option<&str>, mut config: IssuerConfig) -> IssuerConfig {
    let credentials = credentials.map(|text| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ProxyCredentials::read(file.path()).unwrap()
    });
    config.transport.proxy = Some(exequatur_issuers::Proxy::new(&proxy.url(), credentials).unwrap());
    config
}

/// A name that only the proxy can resolve.
const HIDDEN: &str = "sts.hidden.example";

/// All that the proxy sees is a name and a port; it has to be told the credentials.
#[tokio::test(start_paused = true)]
async fn keys_come_through_a_proxy() {
    let authority = Authority::new();
    let server = server(&authority, HIDDEN).await;
    let url = format!("https://{HIDDEN}/jwks");
    let proxy = Proxy::start(server.address, Some("Basic bWU6c2VjcmV0IHdvcmQ=")).await;
    let config = through(&proxy, Some("me:secret word"), trusting(&authority, &url));
    let world = first_load(config).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
    let heads = proxy.heads();
    assert!(heads.len() == 1 && heads[0].starts_with(&format!("CONNECT {HIDDEN}:443 ")), "{heads:?}");
    let asked = server.seen();
    assert!(!asked[0].head.to_ascii_lowercase().contains("proxy-authorization"), "{asked:?}");

    for credentials in [None, Some("me:another")] {
        let world = first_load(through(&proxy, credentials, trusting(&authority, &url))).await;
        assert_eq!(world.keys("corp"), Err(KeysUnavailable::NeverLoaded));
        let shown = format!("{:?}", world.status("corp"));
        assert!(!shown.contains("another"), "{shown}");
    }
    assert_eq!(server.requests(), 1);
}

/// Metadata and keys both.
#[tokio::test(start_paused = true)]
async fn discovery_goes_through_the_proxy_too() {
    let authority = Authority::new();
    let server = server(&authority, HIDDEN).await;
    let issuer = format!("https://{HIDDEN}");
    let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}/jwks"}}"#);
    server.answer("/.well-known/oauth-authorization-server", Answer::ok(&metadata));
    let proxy = Proxy::start(server.address, None).await;
    let mut config = crate::discovery::discovered(&server, "", Discovery::OAuth);
    config.profile.issuer = issuer;
    config.transport.authorities = Some(Authorities::read(&authority.file).unwrap());
    let world = first_load(through(&proxy, None, config)).await;
    assert_eq!(world.keys("corp"), Ok(set_id(&["a"])));
    assert_eq!(proxy.heads().len(), 2);
}

/// Without its proxy an issuer is not reached at all: there is no way around.
#[tokio::test(start_paused = true)]
async fn a_proxy_that_is_down_is_not_gone_around() {
    let authority = Authority::new();
    let server = server(&authority, "127.0.0.1").await;
    let unused: SocketAddr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = trusting(&authority, &server.url("/jwks"));
    config.transport.proxy = Some(exequatur_issuers::Proxy::new(&format!("http://{unused}"), None).unwrap());
    let world = first_load(config).await;
    assert_eq!(world.count("corp", LoadOutcome::Connect), 1);
    assert_eq!(server.requests(), 0);
}

//! Status lists over real TLS: V10, V11 and what a list may come to.

use std::cell::Cell;
use std::time::Duration;

use exequatur_issuers::{
    Authorities, IssuerConfig, ListUnavailable, ListsStatus, LoadOutcome, StatusListConfig, StatusProblem,
};
use exequatur_token::{StatusListSize, StatusRefusal, StatusValid};
use jiff::SignedDuration;
use serde_json::json;

use crate::authority::Authority;
use crate::proxy::Proxy;
use crate::server::{Answer, Server};
use crate::signed::{List, another_jwk, reference};
use crate::time::turns;
use crate::world::{World, config, jwks, set_id};

/// Statuses 0, 1, 2, 3 from the first place on.
const FOUR: &[u8] = &[0b11_10_01_00];
/// The same, and the first is 1 as well.
const REVOKED: &[u8] = &[0b11_10_01_01];

type Outcome = Result<StatusValid, StatusProblem>;

/// An issuer with a server of its own, which has keys at `/jwks` and lists below `/lists/`.
struct Site {
    authority: Authority,
    server: Server,
    /// Requests for lists before the world began that is asked now.
    before: Cell<usize>,
}

impl Site {
    async fn new() -> Self {
        let authority = Authority::new();
        let server = Server::with(Some(authority.server("127.0.0.1"))).await;
        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
        Self { authority, server, before: Cell::new(0) }
    }

    fn uri(&self, list: &str) -> String {
        self.server.url(&format!("/lists/{list}"))
    }

    fn config(&self, name: &str) -> IssuerConfig {
        let mut config = config(name, &self.server.url("/jwks"));
        config.transport.authorities = Some(Authorities::read(&self.authority.file).unwrap());
        let prefix = self.server.url("/lists/").parse().unwrap();
        config.status_lists = Some(StatusListConfig::new(vec![prefix]));
        config
    }

    async fn world(&self, change: impl FnOnce(&mut StatusListConfig)) -> World {
        let mut config = self.config("corp");
        change(config.status_lists.as_mut().unwrap());
        self.world_of(vec![config]).await
    }

    async fn world_of(&self, configs: Vec<IssuerConfig>) -> World {
        self.before.set(self.all_asked());
        let names: Vec<_> = configs.iter().map(|config| config.profile.name.to_string()).collect();
        let world = World::start(configs).await;
        for name in names {
            world.until_loads(&name, 1).await;
        }
        world
    }

    /// Publishes a list under this name.
    fn publish(&self, name: &str, list: &List) {
        self.server.answer(&format!("/lists/{name}"), document(list));
    }

    fn list(&self, world: &World, octets: &[u8]) -> List {
        List::of(&self.uri("1"), octets, world.time.now())
    }

    /// Moves time second by second, and waits after each until what has come was read, which other threads do.
    async fn pass(&self, world: &World, span: Duration) {
        let end = world.time.passed() + span;
        while world.time.passed() < end {
            world.pass(seconds(1).min(end - world.time.passed()), &self.server).await;
            while lists(world).loads.succeeded() + lists(world).loads.failed() < self.asked_of_this_world() {
                turns().await;
            }
        }
    }

    fn all_asked(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.path.starts_with("/lists/")).count()
    }

    fn asked_of_this_world(&self) -> u64 {
        u64::try_from(self.all_asked() - self.before.get()).unwrap()
    }

    /// How often the list of this name was asked for.
    fn asked(&self, name: &str) -> usize {
        let path = format!("/lists/{name}");
        self.server.seen().iter().filter(|seen| seen.path == path).count()
    }
}

fn document(list: &List) -> Answer {
    Answer::of("200 OK\r\ncontent-type: application/statuslist+jwt", list.signed().as_bytes())
}

async fn ask(world: &World, name: &str, uri: &str, index: u64) -> Outcome {
    let reference = reference(name, uri, index, world.time.now());
    world.issuer(name).token_status(&reference, world.time.now()).await.map(|listed| listed.valid)
}

fn lists(world: &World) -> ListsStatus {
    world.issuer("corp").lists_status(world.time.now()).unwrap()
}

fn loads(world: &World, outcome: LoadOutcome) -> u64 {
    lists(world).loads.iter().find(|(counted, _)| *counted == outcome).unwrap().1
}

const fn seconds(span: u64) -> Duration {
    Duration::from_secs(span)
}

const fn unavailable(why: ListUnavailable) -> Outcome {
    Err(StatusProblem::Unavailable(why))
}

const NOT_LOADED: Outcome = unavailable(ListUnavailable::NotLoaded);

const fn refused(why: StatusRefusal) -> Outcome {
    Err(StatusProblem::Refused(why))
}

fn is_valid(outcome: Outcome) -> bool {
    outcome.is_ok()
}

// V10: fetched when it is first named, once, and looked into from then on.
#[tokio::test(start_paused = true)]
async fn v10_a_list_is_fetched_once_and_says_what_it_says() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    site.publish("1", &site.list(&world, FOUR));
    let uri = site.uri("1");
    let first = tokio::join!(
        ask(&world, "corp", &uri, 0),
        ask(&world, "corp", &uri, 0),
        ask(&world, "corp", &uri, 1),
        ask(&world, "corp", &uri, 2),
        ask(&world, "corp", &uri, 3),
        ask(&world, "corp", &uri, 4),
        ask(&world, "corp", &uri, u64::MAX),
    );
    assert!(is_valid(first.0) && is_valid(first.1));
    assert_eq!(first.2, refused(StatusRefusal::Invalid));
    assert_eq!(first.3, refused(StatusRefusal::Suspended));
    assert_eq!(first.4, refused(StatusRefusal::Unknown));
    assert_eq!(first.5, refused(StatusRefusal::OutOfRange));
    assert_eq!(first.6, refused(StatusRefusal::OutOfRange));
    for _ in 0..100 {
        assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    }
    assert_eq!(site.asked("1"), 1);
    let head = &site.server.seen().last().unwrap().head.to_lowercase();
    assert!(head.contains("accept: application/statuslist+jwt\r\n"), "{head}");
    let known = lists(&world);
    assert_eq!((known.lists, known.usable, known.oldest), (1, 1, Some(SignedDuration::ZERO)));
    assert_eq!(loads(&world, LoadOutcome::Loaded), 1);
}

// V10: what the issuer signs anew counts from the next refresh on, which nobody waits for.
#[tokio::test(start_paused = true)]
async fn v10_a_token_is_revoked_by_the_next_list() {
    let site = Site::new().await;
    let world = site.world(|lists| lists.refresh = Duration::from_secs(10)).await;
    let uri = site.uri("1");
    site.publish("1", &site.list(&world, FOUR));
    assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    site.publish("1", &site.list(&world, REVOKED));
    site.pass(&world, Duration::from_secs(8)).await;
    assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    site.pass(&world, Duration::from_secs(4)).await;
    assert_eq!(ask(&world, "corp", &uri, 0).await, refused(StatusRefusal::Invalid));
    assert_eq!(site.asked("1"), 2);
}

// V11: `ttl` and `exp` say when, whatever the header fields of HTTP say.
#[tokio::test(start_paused = true)]
async fn v11_ttl_and_exp_beat_what_http_says() {
    let site = Site::new().await;
    for name in ["ttl", "exp"] {
        let world = site.world(|_| {}).await;
        let uri = site.uri(name);
        let publish = |octets| {
            let now = world.time.now().as_second();
            let value = if name == "ttl" { 20 } else { now + 20 };
            let list = List::of(&uri, octets, world.time.now()).with(name, json!(value)).signed();
            let fresh = "200 OK\r\ncache-control: max-age=86400, immutable\r\nage: 0";
            site.server.answer(&format!("/lists/{name}"), Answer::of(fresh, list.as_bytes()));
        };
        publish(FOUR);
        assert!(is_valid(ask(&world, "corp", &uri, 0).await), "{name}");
        // Asked for again before it ends.
        site.pass(&world, seconds(14)).await;
        publish(FOUR);
        assert_eq!(site.asked(name), 1, "{name}");
        site.pass(&world, seconds(2)).await;
        assert_eq!(site.asked(name), 2, "{name}");
        // Used to its end where no other one comes, and not beyond.
        site.server.answer(&format!("/lists/{name}"), Answer::of("503 Service Unavailable", b""));
        site.pass(&world, seconds(17)).await;
        assert!(is_valid(ask(&world, "corp", &uri, 0).await), "{name}");
        assert!(loads(&world, LoadOutcome::Status) > 0, "{name}");
        site.pass(&world, seconds(3)).await;
        assert_eq!(ask(&world, "corp", &uri, 0).await, NOT_LOADED, "{name}");
    }
}

// V11: without `ttl` and `exp` the configuration says how long, and it bounds what they say.
#[tokio::test(start_paused = true)]
async fn v11_no_list_is_used_for_longer_than_is_configured() {
    let site = Site::new().await;
    for (name, claim) in [("1", None), ("2", Some(86_400))] {
        let world = site.world(|lists| (lists.refresh, lists.max_stale) = (seconds(10), seconds(30))).await;
        let uri = site.uri(name);
        let list = List::of(&uri, FOUR, world.time.now());
        site.publish(
            name,
            &match claim {
                None => list,
                Some(ttl) => list.with("ttl", json!(ttl)),
            },
        );
        assert!(is_valid(ask(&world, "corp", &uri, 0).await));
        site.server.answer(&format!("/lists/{name}"), Answer::of("404 Not Found", b""));
        site.pass(&world, seconds(29)).await;
        assert!(is_valid(ask(&world, "corp", &uri, 0).await), "{name}");
        site.pass(&world, seconds(1)).await;
        assert_eq!(ask(&world, "corp", &uri, 0).await, NOT_LOADED, "{name}");
    }
}

// V11: never there: refused at once, asked for again after the cooldown, and found when it is back.
#[tokio::test(start_paused = true)]
async fn v11_a_list_that_cannot_be_loaded_stops_its_tokens_until_it_is_back() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    let uri = site.uri("1");
    for _ in 0..50 {
        assert_eq!(ask(&world, "corp", &uri, 0).await, NOT_LOADED);
    }
    assert_eq!(site.asked("1"), 1, "one request, however many ask");
    site.pass(&world, seconds(4)).await;
    assert_eq!((ask(&world, "corp", &uri, 0).await, site.asked("1")), (NOT_LOADED, 1));
    site.publish("1", &site.list(&world, FOUR));
    site.pass(&world, seconds(2)).await;
    assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    assert_eq!((site.asked("1"), loads(&world, LoadOutcome::Status)), (2, 1));
}

// V11: a decision waits for as long as is configured, and not longer.
#[tokio::test(start_paused = true)]
async fn v11_a_decision_waits_within_its_bound() {
    let site = Site::new().await;
    let world = site.world(|lists| lists.wait = Duration::from_millis(40)).await;
    site.server.answer("/lists/1", Answer::Silence);
    let uri = site.uri("1");
    let began = world.time.passed();
    let (outcome, ()) = tokio::join!(ask(&world, "corp", &uri, 0), async {
        site.server.settle().await;
        tokio::time::advance(Duration::from_millis(39)).await;
        turns().await;
        tokio::time::advance(Duration::from_millis(2)).await;
    });
    assert_eq!(outcome, unavailable(ListUnavailable::NotYet));
    assert!(world.time.passed() - began < Duration::from_millis(50));
    world.pass(seconds(3), &site.server).await;
    assert_eq!((ask(&world, "corp", &uri, 0).await, loads(&world, LoadOutcome::Timeout)), (NOT_LOADED, 1));
}

// V10: what is not the list is none; and it takes nothing away that is there.
#[tokio::test(start_paused = true)]
async fn v10_what_is_not_the_list_is_none() {
    let site = Site::new().await;
    let refresh = |lists: &mut StatusListConfig| {
        (lists.refresh, lists.max_stale) = (seconds(10), seconds(30));
        lists.size = StatusListSize::new(4096).unwrap();
    };
    let world = site.world(refresh).await;
    let now = world.time.now();
    let good = |name: &str| List::of(&site.uri(name), FOUR, now);
    let typed = |typ| List { typ, ..good("1") };
    let bomb = List::of(&site.uri("1"), &vec![0; 10_000_000], now);
    let cases = [
        ("by another signer", document(&good("1").by_another_key())),
        ("by a key that is not known", document(&List { kid: "b", ..good("1") })),
        ("another list of the issuer", document(&good("2"))),
        ("an access token", document(&typed("at+jwt"))),
        ("no type of its own", document(&typed("JWT"))),
        ("another issuer", document(&good("1").with("iss", json!("https://other.example")))),
        ("expired", document(&good("1").with("exp", json!(now.as_second())))),
        ("of the future", document(&good("1").with("iat", json!(now.as_second() + 3600)))),
        ("a bomb", document(&bomb)),
        ("no list", Answer::ok("{}")),
        ("empty", Answer::ok("")),
        ("too large", Answer::ok(&"a".repeat(200_000))),
        ("compressed", Answer::of("200 OK\r\ncontent-encoding: gzip", good("1").signed().as_bytes())),
        ("elsewhere", Answer::of(&format!("302 Found\r\nlocation: {}", site.uri("2")), b"")),
        ("an error", Answer::of("500 Internal Server Error", good("1").signed().as_bytes())),
        ("no HTTP", Answer::raw(*b"hello\r\n\r\n")),
    ];
    let count = cases.len();
    site.publish("2", &good("2"));
    for (what, answer) in &cases {
        let world = site.world(refresh).await;
        site.server.answer("/lists/1", answer.clone());
        assert_eq!(ask(&world, "corp", &site.uri("1"), 0).await, NOT_LOADED, "{what}");
        assert_eq!(lists(&world).usable, 0, "{what}");
    }
    assert_eq!(site.asked("2"), 0, "no redirect is followed");

    // The same in the place of a good one: that one is used until it ends.
    let world = site.world(refresh).await;
    let uri = site.uri("1");
    let mut endured = 0;
    for (what, answer) in cases {
        site.publish("1", &site.list(&world, FOUR));
        while !is_valid(ask(&world, "corp", &uri, 0).await)
            || lists(&world).oldest > Some(SignedDuration::from_secs(2))
        {
            site.pass(&world, seconds(1)).await;
        }
        let failed = lists(&world).loads.failed();
        site.server.answer("/lists/1", answer);
        while lists(&world).loads.failed() == failed {
            site.pass(&world, seconds(1)).await;
            assert!(is_valid(ask(&world, "corp", &uri, 0).await), "{what}");
        }
        endured += 1;
    }
    assert_eq!(endured, count);
}

// A list that was issued before the one that is known is an old one, served again.
#[tokio::test(start_paused = true)]
async fn an_older_list_does_not_come_back() {
    let site = Site::new().await;
    let world = site.world(|lists| (lists.refresh, lists.max_stale) = (seconds(10), seconds(60))).await;
    let old = site.list(&world, FOUR);
    site.pass(&world, seconds(100)).await;
    site.publish("1", &site.list(&world, REVOKED));
    let uri = site.uri("1");
    assert_eq!(ask(&world, "corp", &uri, 0).await, refused(StatusRefusal::Invalid));
    site.publish("1", &old);
    for _ in 0..10 {
        site.pass(&world, seconds(10)).await;
        let outcome = ask(&world, "corp", &uri, 0).await;
        assert!(outcome == refused(StatusRefusal::Invalid) || outcome == NOT_LOADED, "{outcome:?}");
    }
    assert!(loads(&world, LoadOutcome::StatusList) > 1);
}

// G17: a key that is withdrawn takes the lists that it signed with it.
#[tokio::test(start_paused = true)]
async fn g17_a_list_ends_with_its_key() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    let uri = site.uri("1");
    site.publish("1", &site.list(&world, FOUR));
    assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    // Another key beside it changes nothing.
    let other = another_jwk("z");
    let ours = jwks(&["a"]);
    site.server.answer("/jwks", Answer::ok(&ours.replace(']', &format!(",{other}]"))));
    world.next_load("corp", &site.server).await;
    assert_ne!(world.keys("corp"), Ok(set_id(&["a"])));
    assert!(is_valid(ask(&world, "corp", &uri, 0).await));
    let asked = site.asked("1");
    site.server.answer("/jwks", Answer::ok(&format!(r#"{{"keys":[{other}]}}"#)));
    world.next_load("corp", &site.server).await;
    assert_eq!(ask(&world, "corp", &uri, 0).await, NOT_LOADED);
    assert!(site.asked("1") > asked, "it was asked for anew");
}

// G23, V10: what is not below a configured address is never asked for; nor is anything where nothing is configured.
#[tokio::test(start_paused = true)]
async fn g23_nobody_else_is_asked() {
    let site = Site::new().await;
    let elsewhere = Site::new().await;
    let mut without = site.config("without");
    without.status_lists = None;
    let world = site.world_of(vec![site.config("corp"), without]).await;
    let (ours, others) = (site.server.requests(), elsewhere.server.requests());
    for uri in [
        elsewhere.uri("1"),
        site.server.url("/other/1"),
        site.server.url("/jwks"),
        site.uri("../jwks"),
        site.uri("%2e%2e/jwks"),
        site.uri("1").replace("https:", "http:"),
        site.uri("1").replace("127.0.0.1", "localhost"),
        site.uri("1").replace("https://", "https://user@"),
    ] {
        assert_eq!(ask(&world, "corp", &uri, 0).await, Err(StatusProblem::NotAllowed), "{uri}");
    }
    assert_eq!(ask(&world, "without", &site.uri("1"), 0).await, Err(StatusProblem::NotConfigured));
    site.server.settle().await;
    assert_eq!((site.server.requests(), elsewhere.server.requests()), (ours, others));
}

// V11: per issuer: one whose lists do not come leaves the other as it is.
#[tokio::test(start_paused = true)]
async fn v11_another_issuer_goes_on() {
    let [broken, whole] = [Site::new().await, Site::new().await];
    let world = broken.world_of(vec![broken.config("corp"), whole.config("usual")]).await;
    whole.publish("1", &List::of(&whole.uri("1"), FOUR, world.time.now()));
    for list in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        broken.server.answer(&format!("/lists/{list}"), Answer::Silence);
        let uri = broken.uri(list);
        let (outcome, ()) = tokio::join!(ask(&world, "corp", &uri, 0), async {
            turns().await;
            tokio::time::advance(Duration::from_millis(51)).await;
        });
        assert_eq!(outcome, unavailable(ListUnavailable::NotYet));
    }
    assert!(is_valid(ask(&world, "usual", &whole.uri("1"), 0).await));
    let refusal = ask(&world, "usual", &broken.uri("1"), 0).await;
    assert_eq!(refusal, Err(StatusProblem::NotAllowed), "each has its own addresses");
}

// Bounded: lists in use are kept, and one that is not gives way.
#[tokio::test(start_paused = true)]
async fn lists_are_bounded_and_forgotten() {
    let site = Site::new().await;
    let world = site.world(|lists| lists.max_lists = 2).await;
    for name in ["1", "2", "3"] {
        site.publish(name, &List::of(&site.uri(name), FOUR, world.time.now()));
    }
    assert!(is_valid(ask(&world, "corp", &site.uri("1"), 0).await));
    assert!(is_valid(ask(&world, "corp", &site.uri("2"), 0).await));
    let full = unavailable(ListUnavailable::TooMany);
    assert_eq!(ask(&world, "corp", &site.uri("3"), 0).await, full);
    site.pass(&world, seconds(59)).await;
    assert!(is_valid(ask(&world, "corp", &site.uri("2"), 0).await));
    assert_eq!(ask(&world, "corp", &site.uri("3"), 0).await, full);
    site.pass(&world, seconds(2)).await;
    assert!(is_valid(ask(&world, "corp", &site.uri("3"), 0).await));
    assert_eq!(ask(&world, "corp", &site.uri("1"), 0).await, full);
    assert_eq!(lists(&world).lists, 2);
    assert_eq!(world.issuers.unattended(), None);

    // Kept up while tokens name them; forgotten some time after.
    site.pass(&world, seconds(1000)).await;
    assert_eq!(lists(&world).lists, 0);
    assert_eq!(world.issuers.unattended(), None);
    let requests = site.server.requests();
    let keys = world.loads("corp");
    site.pass(&world, seconds(1000)).await;
    assert_eq!(site.server.requests() - requests, usize::try_from(world.loads("corp") - keys).unwrap());
}

// J18: the issuer's own authority, and its proxy, for lists as for keys.
#[tokio::test(start_paused = true)]
async fn lists_are_reached_as_keys_are() {
    let site = Site::new().await;
    let mut distrusted = site.config("corp");
    distrusted.transport.authorities = Some(Authorities::read(&Authority::new().file).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks");
    std::fs::write(&file, jwks(&["a"])).unwrap();
    distrusted.source = exequatur_issuers::KeySource::File { path: file };
    let world = site.world_of(vec![distrusted]).await;
    site.publish("1", &site.list(&world, FOUR));
    assert_eq!(ask(&world, "corp", &site.uri("1"), 0).await, NOT_LOADED);
    assert_eq!((site.asked("1"), loads(&world, LoadOutcome::Connect)), (0, 1));

    let proxy = Proxy::start(site.server.address, None).await;
    let mut proxied = site.config("corp");
    proxied.transport.proxy = Some(exequatur_issuers::Proxy::new(&proxy.url(), None).unwrap());
    let world = site.world_of(vec![proxied]).await;
    let before = proxy.heads().len();
    assert!(is_valid(ask(&world, "corp", &site.uri("1"), 0).await));
    assert_eq!(proxy.heads().len(), before + 1);
}

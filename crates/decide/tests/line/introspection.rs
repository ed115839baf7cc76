//! S03: what an issuer says of a token when it is asked, in the line of a decision. How it is asked is tested where that is done.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use exequatur_decide::{Denial, Fault, IntrospectionFact, Reason, Refusal};
use exequatur_issuers::{IntrospectionOutcome, IntrospectionUnavailable, Uncounted};
use exequatur_store::{Form, Rate, RatePer, RevocationKind};
use exequatur_token::{TokenDigest, TokenError, TokenSource};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::ask::{Ask, Proof, Token};
use crate::key::{Key, digest};
use crate::world::{Setting, World, at, eventually, named};

/// Longer than a decision waits by default.
const SLOWLY: Duration = Duration::from_millis(400);
const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// Says the same of every token, and keeps what it was asked.
struct Server {
    url: String,
    says: Arc<Mutex<(&'static str, String)>>,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/introspect", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(("200 OK", active().to_string())));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let state = (Arc::clone(&says), Arc::clone(&asked));
        let connections = TaskTracker::new();
        let serving = TaskTracker::new().spawn(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let (says, asked) = state.clone();
                connections.spawn(async move {
                    let mut request = Vec::new();
                    // The form ends with what shows who asks.
                    while !String::from_utf8_lossy(&request).contains("&client_assertion=") {
                        if !connection.read_buf(&mut request).await.is_ok_and(|read| read > 0) {
                            return;
                        }
                    }
                    let request = String::from_utf8_lossy(&request).into_owned();
                    let token = request.split("token=").nth(1).unwrap().split('&').next().unwrap();
                    asked.lock().unwrap().push(token.to_owned());
                    let (status, body) = says.lock().unwrap().clone();
                    if body.contains("slowly") {
                        tokio::time::sleep(SLOWLY).await;
                    }
                    if body.contains("never") {
                        std::future::pending::<()>().await;
                    }
                    let length = body.len();
                    let head = format!(
                        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}"
                    );
                    drop(connection.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await);
                    drop(connection.shutdown().await);
                });
            }
        });
        Self { url, says, asked, _serving: AbortOnDropHandle::new(serving) }
    }

    fn says(&self, said: &Value) {
        *self.says.lock().unwrap() = ("200 OK", said.to_string());
    }

    fn fails(&self) {
        *self.says.lock().unwrap() = ("500 Oh", "{}".to_owned());
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Of a token like [`Token::bound`].
fn active() -> Value {
    let mut said = Token::bound().claims;
    said.as_object_mut().unwrap().remove("jti");
    said["active"] = json!(true);
    said["token_type"] = json!("DPoP");
    said
}

fn count(world: &World, outcome: IntrospectionOutcome) -> u64 {
    let status = world.asked().introspection_status().unwrap();
    status.questions.iter().find(|(counted, _)| *counted == outcome).unwrap().1
}

/// As often as is put up with: one a second, three at once.
async fn world(server: &Server, jwts: bool) -> World {
    let rate = Rate::new(NonZeroU32::MIN, RatePer::Second, NonZeroU32::new(3).unwrap()).unwrap();
    World::asking(Setting { unauthenticated: rate, ..Setting::default() }, &server.url, jwts).await
}

fn with(token: &str) -> Ask {
    Ask::dpop(token, &Proof::new().sign(token)).from(HERE)
}

/// S03, G27: what is said is what is known; all else is judged at each use, and what is said is asked for anew.
#[tokio::test]
async fn s03_an_opaque_token_is_what_its_issuer_says() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    for cached in [false, true] {
        let (result, facts) = world.check_at(&with("opaque"), at(0)).await;
        result.unwrap();
        assert_eq!(facts.agent.as_deref(), Some("corp:crm-bot"));
        assert_eq!((facts.token_source, facts.key_set), (Some(TokenSource::Introspection), None));
        assert_eq!(facts.introspection, Some(IntrospectionFact::Active));
        assert_eq!(facts.token_cached, Some(cached));
    }
    // D17: bound to a key by what was said.
    let bearer = world.refusal(&Ask::bearer("opaque").from(ELSEWHERE)).await;
    assert_eq!(bearer.reason(), Reason::DpopBoundTokenAsBearer);
    let other = Ask::dpop("opaque", &Proof::by(Key::stranger()).sign("opaque")).from(ELSEWHERE);
    assert_eq!(world.refusal(&other).await.reason(), Reason::DpopKeyMismatch);
    // J03: for its audience.
    let files = Ask::dpop("opaque", &Proof::new().sign("opaque")).at("files.example.com");
    let elsewhere = world.refusal(&files.from(ELSEWHERE)).await;
    assert_eq!(elsewhere, Denial::Token(TokenError::AudienceMismatch).into());
    assert_eq!(server.asked(), ["opaque"]);

    server.says(&json!({"active": false}));
    let late = |seconds: i64| {
        let proof = Proof::new().with("iat", at(seconds).as_second()).sign("opaque");
        Ask::dpop("opaque", &proof).from(HERE)
    };
    world.check_at(&late(29), at(29)).await.0.unwrap();
    let (result, facts) = world.check_at(&late(30), at(30)).await;
    assert_eq!(result.unwrap_err(), Denial::Inactive.into());
    assert_eq!(Refusal::from(Denial::Inactive).reason(), Reason::TokenInactive);
    assert_eq!(facts.introspection, Some(IntrospectionFact::Inactive));
    assert_eq!(server.asked(), ["opaque", "opaque"]);
}

/// D-06: what is revoked here stops it, known or not.
#[tokio::test]
async fn s03_an_opaque_token_is_revoked_by_its_digest() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    world.check(&with("opaque")).await.unwrap();
    let id = format!("corp:{}", digest(b"opaque"));
    world.revoke(&named(RevocationKind::TokenId, &id), Form::Total).await;
    assert_eq!(world.refusal(&with("opaque")).await.reason(), Reason::TokenRevoked);
    world.check(&with("another")).await.unwrap();
}

/// A stranger's tokens are refused and counted; nobody is asked for more than he may cause.
#[tokio::test]
async fn l04_tokens_that_are_not_active_are_failures() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    server.says(&json!({"active": "true"}));
    for token in ["a", "b", "c"] {
        assert_eq!(world.refusal(&with(token)).await, Denial::Inactive.into(), "{token}");
    }
    assert_eq!(world.refusal(&with("d")).await.reason(), Reason::RateLimited);
    assert_eq!(server.asked().len(), 3);
}

/// A question without an answer is a fault, which is charged to nobody; but who causes many has none put for a while.
#[tokio::test]
async fn s03_without_an_answer_there_is_no_decision() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    server.fails();
    for token in ["a", "b", "c"] {
        let (result, facts) = world.check_at(&with(token), at(0)).await;
        let refusal = result.unwrap_err();
        assert!(matches!(
            refusal,
            Refusal::Faulted(Fault::Introspection(IntrospectionUnavailable::Failed(_)))
        ));
        assert_eq!(refusal.reason(), Reason::IntrospectionUnavailable);
        assert_eq!(facts.introspection, Some(IntrospectionFact::Unavailable));
    }
    let no_more = Fault::Introspection(IntrospectionUnavailable::Source);
    assert_eq!(world.refusal(&with("d")).await, no_more.into());
    assert_eq!(server.asked().len(), 3);
    // A token that its issuer signed goes on, from the same source; so do others' questions.
    world.check(&Ask::valid().from(HERE)).await.unwrap();
    server.says(&active());
    world.check(&with("e").from(ELSEWHERE)).await.unwrap();
    let later = Proof::new().with("iat", at(1).as_second()).sign("f");
    world.check_at(&Ask::dpop("f", &later).from(HERE), at(1)).await.0.unwrap();
}

/// What is known costs no question: it goes on for a source that may cause none.
#[tokio::test]
async fn s03_what_was_said_is_told_to_who_may_not_ask() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    // Known of the issuer, and by no decision yet.
    world.asked().introspect("good", TokenDigest::of("good"), &Uncounted, at(0)).await.unwrap();
    server.says(&json!({"active": false}));
    assert_eq!(world.refusal(&with("bad")).await, Denial::Inactive.into());
    server.fails();
    // With the one about the bad token, three in vain.
    for token in ["a", "b"] {
        assert_eq!(world.refusal(&with(token)).await.reason(), Reason::IntrospectionUnavailable, "{token}");
    }
    let no_more = Fault::Introspection(IntrospectionUnavailable::Source);
    assert_eq!(world.refusal(&with("c")).await, no_more.into());
    world.check(&with("good")).await.unwrap();
    assert_eq!(world.refusal(&with("bad")).await, Denial::Inactive.into());
    assert_eq!(server.asked(), ["good", "bad", "a", "b"]);
}

/// L04: strangers' tokens at a server that answers later than a decision waits. What a source has asked counts from the beginning,
/// and is charged when the answer comes.
#[tokio::test]
async fn l04_a_slow_server_is_not_flooded_by_one_source() {
    let server = Server::start().await;
    let rate = Rate::new(NonZeroU32::MIN, RatePer::Hour, NonZeroU32::new(3).unwrap()).unwrap();
    let setting = Setting { unauthenticated: rate, usual_wait: true, ..Setting::default() };
    let world = World::asking(setting, &server.url, false).await;
    server.says(&json!({ "active": false, "slowly": true }));
    let unavailable = |why| Refusal::from(Fault::Introspection(why));
    let [not_yet, no_more] =
        [IntrospectionUnavailable::NotYet, IntrospectionUnavailable::Source].map(unavailable);
    let ask = |number: usize| Ask::bearer(&format!("stranger-{number}")).from(HERE);
    for number in 0..30 {
        let expected = if number < 3 { &not_yet } else { &no_more };
        assert_eq!(world.refusal(&ask(number)).await, *expected, "{number}");
    }
    assert_eq!(count(&world, IntrospectionOutcome::Source), 27);
    // Nobody waits for the answers any more.
    eventually(|| count(&world, IntrospectionOutcome::Inactive) == 3).await;
    assert_eq!(world.refusal(&ask(30)).await, no_more);
    assert_eq!(server.asked().len(), 3);
    // It is no failure of credentials, and nobody else's.
    world.check(&Ask::valid().from(HERE)).await.unwrap();
    server.says(&active());
    world.check(&with("e").from(ELSEWHERE)).await.unwrap();
}

/// Strangers' tokens of one source leave room for the questions of others, however many he may fail with.
#[tokio::test]
async fn l04_a_source_has_a_share_of_the_questions() {
    let server = Server::start().await;
    let setting = Setting { usual_wait: true, ..Setting::default() };
    let world = World::asking(setting, &server.url, false).await;
    server.says(&json!({ "active": false, "never": true }));
    let unavailable = |why| Refusal::from(Fault::Introspection(why));
    for number in 0..20 {
        let why =
            if number < 16 { IntrospectionUnavailable::NotYet } else { IntrospectionUnavailable::Source };
        let ask = Ask::bearer(&format!("stranger-{number}")).from(HERE);
        assert_eq!(world.refusal(&ask).await, unavailable(why), "{number}");
    }
    server.says(&active());
    world.check(&with("e").from(ELSEWHERE)).await.unwrap();
}

/// A good answer costs nothing, late as it may be; and a failure of the server is charged to nobody.
#[tokio::test]
async fn l04_only_what_is_in_vain_is_charged() {
    let server = Server::start().await;
    let rate = Rate::new(NonZeroU32::MIN, RatePer::Hour, NonZeroU32::MIN).unwrap();
    let setting = Setting { unauthenticated: rate, usual_wait: true, ..Setting::default() };
    let world = World::asking(setting, &server.url, false).await;
    let mut late = active();
    late["slowly"] = json!(true);
    server.says(&late);
    let not_yet = Refusal::from(Fault::Introspection(IntrospectionUnavailable::NotYet));
    assert_eq!(world.refusal(&with("late")).await, not_yet);
    // Who waits for the same answer asks nothing.
    assert_eq!(world.refusal(&with("late")).await, not_yet);
    eventually(|| count(&world, IntrospectionOutcome::Active) == 1).await;
    world.check(&with("late")).await.unwrap();
    *server.says.lock().unwrap() = ("503 Oh", "{}".to_owned());
    assert_eq!(world.refusal(&with("a")).await.reason(), Reason::IntrospectionUnavailable);
    server.says(&json!({ "active": false }));
    assert_eq!(world.refusal(&with("b")).await, Denial::Inactive.into());
    assert_eq!(server.asked(), ["late", "a", "b"]);
}

/// S03: what was said last counts, also where the clock is set back after it.
#[tokio::test]
async fn s03_a_no_is_not_forgotten() {
    let server = Server::start().await;
    let world = world(&server, false).await;
    world.check_at(&with("opaque"), at(0)).await.0.unwrap();
    server.says(&json!({ "active": false }));
    assert_eq!(world.check_at(&with("opaque"), at(31)).await.0.unwrap_err(), Denial::Inactive.into());
    assert_eq!(world.check_at(&with("opaque"), at(20)).await.0.unwrap_err(), Denial::Inactive.into());
}

/// S03: a JWT is asked about once its signature holds, and only then.
#[tokio::test]
async fn s03_a_signed_token_has_to_be_active_too() {
    let server = Server::start().await;
    let world = world(&server, true).await;
    let forged = Ask::signed(&Token::bound().signed_by(Key::stranger()), &Proof::new());
    let refusal = world.refusal(&forged.from(ELSEWHERE)).await;
    assert_eq!(refusal, Denial::Token(TokenError::SignatureInvalid).into());
    assert_eq!(server.asked().len(), 0);
    let token = Token::bound().sign();
    let (result, facts) = world.check_at(&with(&token), at(0)).await;
    result.unwrap();
    assert_eq!(facts.token_source, Some(TokenSource::Jwt));
    assert_eq!(facts.introspection, Some(IntrospectionFact::Active));
    world.check(&with(&token)).await.unwrap();
    assert_eq!(server.asked().len(), 1);
    server.says(&json!({"active": false}));
    let second = Ask::signed(&Token::bound().with("jti", json!("t-2")), &Proof::new());
    assert_eq!(world.refusal(&second.from(HERE)).await, Denial::Inactive.into());
    // About another token.
    server.says(&active());
    let third = Token::bound().with("jti", json!("t-3")).with("sub", json!("bob"));
    let refusal = world.refusal(&Ask::signed(&third, &Proof::new()).from(HERE)).await;
    assert_eq!(refusal.reason(), Reason::IntrospectionUnavailable);
}

/// Where nobody is asked, and where it is too long, a token that says nothing is none.
#[tokio::test]
async fn an_opaque_token_of_nobody_is_malformed() {
    let refusal = World::new().await.refusal(&with("opaque")).await;
    assert_eq!(refusal.reason(), Reason::TokenMalformed);
    let server = Server::start().await;
    let world = world(&server, false).await;
    let long = "a".repeat(9000);
    assert_eq!(world.refusal(&with(&long)).await, Denial::Token(TokenError::TooLarge).into());
    let parts = world.refusal(&with("a.b.c").from(ELSEWHERE)).await;
    assert_eq!(parts.reason(), Reason::TokenMalformed);
    assert_eq!(server.asked().len(), 0);
}

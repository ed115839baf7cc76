//! Questions about tokens over real sockets: S03, S04, and the row "introspection" of what may be unavailable.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use exequatur_issuers::{
    AnswerForm, Asker, AskerKey, AssertionAudience, Authorities, ClientAuthentication, ClientIdentity,
    ClientIdentityProblem, ClientKey, ClientKeyProblem, Discovery, DownloadError, IntrospectionConfig,
    IntrospectionEndpoint, IntrospectionError, IntrospectionOutcome, IntrospectionProblem,
    IntrospectionUnavailable, IssuerConfig, IssuersError, OpaqueTokens, Place, Stake, Uncounted,
};
use exequatur_token::{
    Algorithm, AnswerError, AssertionKeyError, CompactJws, JwsLimits, KeySet, TokenDigest, TokenError,
    UnverifiedToken, VerifiedToken,
};
use serde_json::{Value, json};

use crate::authority::Authority;
use crate::server::{Answer, Server};
use crate::signed::{OURS, sign};
use crate::time::turns;
use crate::world::{World, config, jwks, profile};

const JWT: &str = "200 OK\r\ncontent-type: application/token-introspection+jwt; charset=utf-8";
const JSON: &str = "200 OK\r\ncontent-type: application/json";

type Outcome = Result<Arc<VerifiedToken>, IntrospectionProblem>;

/// An authorization server with keys at `/jwks`, that is asked at `/introspect`.
struct Site {
    server: Server,
    key: tempfile::NamedTempFile,
    public: Value,
}

impl Site {
    async fn new() -> Self {
        let server = Server::start().await;
        server.answer("/jwks", Answer::ok(&jwks(&["a"])));
        let pair = rcgen::KeyPair::generate().unwrap();
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), pair.serialize_pem()).unwrap();
        let point = rcgen::PublicKeyData::der_bytes(&pair);
        let [x, y] = [&point[1..33], &point[33..]].map(exequatur_token::base64url::encode);
        let public =
            json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "us", "x": x, "y": y}]});
        Self { server, key, public }
    }

    fn asking(&self) -> IntrospectionConfig {
        let key = ClientKey::read(self.key.path(), Algorithm::Es256, Some("us".to_owned())).unwrap();
        let authentication = ClientAuthentication::PrivateKeyJwt { key, audience: AssertionAudience::Issuer };
        let endpoint = Place::named(&self.server.url("/introspect")).unwrap();
        let endpoint = IntrospectionEndpoint::Named(endpoint);
        IntrospectionConfig::new(endpoint, "exequatur".to_owned(), authentication)
    }

    fn config(&self, name: &str, change: impl FnOnce(&mut IntrospectionConfig)) -> IssuerConfig {
        let mut asking = self.asking();
        change(&mut asking);
        let mut config = config(name, &self.server.url("/jwks"));
        config.introspection = Some(asking);
        config
    }

    async fn world(&self, change: impl FnOnce(&mut IntrospectionConfig)) -> World {
        started(vec![self.config("corp", change)]).await
    }

    fn says(&self, head: &str, body: &str) {
        self.server.answer("/introspect", Answer::of(head, body.as_bytes()));
    }

    /// Answers each question with `said`, signed at the time of `world`.
    fn says_signed(&self, world: &World, said: &Value) {
        self.says(JWT, &signed(&envelope(world, said)));
    }

    fn questions(&self) -> Vec<HashMap<String, String>> {
        let seen = self.server.seen();
        let questions = seen.iter().filter(|seen| seen.path == "/introspect");
        questions
            .map(|seen| url::form_urlencoded::parse(seen.body.as_bytes()).into_owned().collect())
            .collect()
    }

    /// How often `token` was asked about.
    fn asked(&self, token: &str) -> usize {
        self.questions().iter().filter(|question| question["token"] == token).count()
    }
}

async fn started(configs: Vec<IssuerConfig>) -> World {
    let names: Vec<_> = configs.iter().map(|config| config.profile.name.to_string()).collect();
    let world = World::start(configs).await;
    for name in names {
        world.until_loads(&name, 1).await;
    }
    world
}

/// What an honest server says of an opaque token.
fn active(world: &World, name: &str) -> Value {
    let now = world.time.now().as_second();
    json!({
        "active": true, "token_type": "Bearer", "iss": profile(name).issuer, "client_id": "bot",
        "aud": "https://api.example", "iat": now, "exp": now + 600,
    })
}

fn envelope(world: &World, said: &Value) -> Value {
    json!({
        "iss": profile("corp").issuer, "aud": "exequatur", "iat": world.time.now().as_second(),
        "token_introspection": said,
    })
}

fn signed(envelope: &Value) -> String {
    sign("token-introspection+jwt", "a", envelope, OURS)
}

fn changed(object: &Value, name: &str, value: Value) -> Value {
    let mut changed = object.clone();
    changed[name] = value;
    changed
}

async fn ask(world: &World, name: &str, raw: &str) -> Outcome {
    let answer = world.issuer(name).introspect(raw, TokenDigest::of(raw), &Uncounted, world.time.now()).await;
    answer.map(|believed| believed.what)
}

/// Asks while time goes on until there is an answer.
async fn ask_in_time(world: &World, name: &str, raw: &str) -> Outcome {
    let asking = ask(world, name, raw);
    tokio::pin!(asking);
    loop {
        tokio::select! {
            biased;
            outcome = &mut asking => return outcome,
            () = turns() => tokio::time::advance(Duration::from_millis(1)).await,
        }
    }
}

fn problem(outcome: Outcome) -> IntrospectionProblem {
    outcome.unwrap_err()
}

const fn failed(error: IntrospectionError) -> IntrospectionProblem {
    IntrospectionProblem::Unavailable(IntrospectionUnavailable::Failed(error))
}

const fn download(error: DownloadError) -> IntrospectionProblem {
    failed(IntrospectionError::Download(error))
}

const fn unavailable(why: IntrospectionUnavailable) -> IntrospectionProblem {
    IntrospectionProblem::Unavailable(why)
}

fn count(world: &World, outcome: IntrospectionOutcome) -> u64 {
    let status = world.issuer("corp").introspection_status().unwrap();
    status.questions.iter().find(|(counted, _)| *counted == outcome).unwrap().1
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
    turns().await;
}

// S03, X10: who asks is shown by a signature, in a POST, once for each question.
#[tokio::test(start_paused = true)]
async fn s03_a_question_is_signed_and_its_answer_kept() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    site.says_signed(&world, &active(&world, "corp"));
    let (first, second) = tokio::join!(ask(&world, "corp", "opaque-1"), ask(&world, "corp", "opaque-1"));
    assert_eq!(first.unwrap().client().as_str(), "corp:bot");
    assert_eq!(second.unwrap().client().as_str(), "corp:bot");
    for _ in 0..100 {
        assert!(ask(&world, "corp", "opaque-1").await.is_ok());
    }
    assert_eq!(site.asked("opaque-1"), 1);
    assert!(ask(&world, "corp", "opaque&token=2").await.is_ok());

    let seen = site.server.seen();
    let head = seen.last().unwrap().head.to_lowercase();
    assert!(head.starts_with("post /introspect "), "{head}");
    assert!(head.contains("accept: application/token-introspection+jwt\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded\r\n"), "{head}");
    assert!(!head.contains("authorization:"), "{head}");
    let questions = site.questions();
    assert_eq!(questions[1]["token"], "opaque&token=2");
    let keys = KeySet::parse(site.public.to_string().as_bytes(), &[Algorithm::Es256]).unwrap();
    let limits = JwsLimits { bytes: 4096, header_bytes: 512, depth: 4, members: 16 };
    let mut ids = Vec::new();
    for question in &questions {
        assert_eq!(question["token_type_hint"], "access_token");
        assert_eq!(question["client_id"], "exequatur");
        assert_eq!(
            question["client_assertion_type"],
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        );
        assert!(!question.contains_key("client_secret"));
        let assertion = CompactJws::parse(&question["client_assertion"], &limits).unwrap();
        assert!(assertion.verify(&keys, &[Algorithm::Es256]).is_ok());
        let text = |name: &str| assertion.payload().get(name).unwrap().as_str().unwrap().to_owned();
        assert_eq!(text("aud"), profile("corp").issuer);
        assert_eq!((text("iss"), text("sub")), ("exequatur".to_owned(), "exequatur".to_owned()));
        ids.push(text("jti"));
    }
    assert_ne!(ids[0], ids[1]);
}

// S03: an answer counts for its time, and a no for a shorter one.
#[tokio::test(start_paused = true)]
async fn s03_an_answer_counts_for_its_time() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    site.says_signed(&world, &active(&world, "corp"));
    assert!(ask(&world, "corp", "one").await.is_ok());
    site.says_signed(&world, &json!({ "active": false }));
    assert_eq!(problem(ask(&world, "corp", "two").await), IntrospectionProblem::Inactive);
    pass(4).await;
    assert!(ask(&world, "corp", "one").await.is_ok());
    assert_eq!(problem(ask(&world, "corp", "two").await), IntrospectionProblem::Inactive);
    assert_eq!((site.asked("one"), site.asked("two")), (1, 1));
    pass(1).await;
    site.says_signed(&world, &active(&world, "corp"));
    assert!(ask(&world, "corp", "two").await.is_ok());
    assert_eq!(site.asked("two"), 2);
    pass(24).await;
    assert!(ask(&world, "corp", "one").await.is_ok());
    pass(1).await;
    site.says_signed(&world, &json!({ "active": false }));
    assert_eq!(problem(ask(&world, "corp", "one").await), IntrospectionProblem::Inactive);
    assert_eq!(site.asked("one"), 2);
    assert_eq!(count(&world, IntrospectionOutcome::Active), 2);
    assert_eq!(count(&world, IntrospectionOutcome::Inactive), 2);
}

/// What the server answers, and what becomes of it.
fn wrong_answers(site: &Site, world: &World) -> Vec<(&'static str, Answer, IntrospectionProblem)> {
    let said = active(world, "corp");
    let good = envelope(world, &said);
    let now = world.time.now().as_second();
    let jwt = |payload: &Value| Answer::of(JWT, signed(payload).as_bytes());
    let typ = |typ: &str| Answer::of(JWT, sign(typ, "a", &good, OURS).as_bytes());
    let other_key = exequatur_token::base64url::encode(&[7; 32]);
    let whole = signed(&good);
    let answer = |error| failed(IntrospectionError::Answer(error));
    let head = |head: &str| Answer::of(&format!("200 OK\r\n{head}"), whole.as_bytes());
    let announced =
        |length: usize| Answer::raw(format!("HTTP/1.1 {JWT}\r\ncontent-length: {length}\r\n\r\n{whole}"));
    let long = json!({"active": true, "filler": "x".repeat(70_000)});
    vec![
        (
            "500",
            Answer::of("500 Oh\r\ncontent-type: text/html", b"<html>"),
            download(DownloadError::Status(500)),
        ),
        ("400", Answer::of("400 No", b"{}"), download(DownloadError::Status(400))),
        (
            "201",
            Answer::of(&JWT.replace("200", "201"), whole.as_bytes()),
            download(DownloadError::Status(201)),
        ),
        (
            "redirect",
            Answer::of(&format!("307 There\r\nlocation: {}", site.server.url("/good")), b""),
            download(DownloadError::Redirected(307)),
        ),
        (
            "html",
            Answer::of("200 OK\r\ncontent-type: text/html", b"<html>"),
            failed(IntrospectionError::ContentType),
        ),
        ("no content type", head("x: y"), failed(IntrospectionError::ContentType)),
        ("json", Answer::of(JSON, said.to_string().as_bytes()), failed(IntrospectionError::ContentType)),
        ("a JWT", head("content-type: application/jwt"), failed(IntrospectionError::ContentType)),
        (
            "encoded",
            head("content-type: application/token-introspection+jwt\r\ncontent-encoding: gzip"),
            download(DownloadError::Encoded),
        ),
        ("too long", jwt(&envelope(world, &long)), download(DownloadError::TooLarge)),
        ("cut off", announced(whole.len() + 1), download(DownloadError::Transfer)),
        ("empty", Answer::raw(""), download(DownloadError::Transfer)),
        ("no HTTP", Answer::raw("hello\r\n\r\n"), download(DownloadError::Transfer)),
        ("type", typ("at+jwt"), answer(AnswerError::TypeInvalid)),
        ("no type", typ("JWT"), answer(AnswerError::TypeInvalid)),
        (
            "issuer",
            jwt(&changed(&good, "iss", json!("https://evil.example"))),
            answer(AnswerError::IssuerMismatch),
        ),
        (
            "audience",
            jwt(&changed(&good, "aud", json!("https://api.example"))),
            answer(AnswerError::AudienceMismatch),
        ),
        ("old", jwt(&changed(&good, "iat", json!(now - 61))), answer(AnswerError::Stale)),
        ("early", jwt(&changed(&good, "iat", json!(now + 61))), answer(AnswerError::NotYetValid)),
        (
            "another key",
            Answer::of(JWT, sign("token-introspection+jwt", "a", &good, &other_key).as_bytes()),
            answer(AnswerError::SignatureInvalid),
        ),
        (
            "an unknown key",
            Answer::of(JWT, sign("token-introspection+jwt", "b", &good, OURS).as_bytes()),
            answer(AnswerError::KeyUnknown),
        ),
    ]
}

// S03, S04: what is no answer to the question is no word about the token.
#[tokio::test(start_paused = true)]
async fn s04_a_wrong_answer_is_no_answer() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    let said = active(&world, "corp");
    let good = Answer::of(JWT, signed(&envelope(&world, &said)).as_bytes());
    site.server.answer("/good", good.clone());
    for (name, told, expected) in wrong_answers(&site, &world) {
        site.server.answer("/introspect", told);
        let token = format!("token {name}");
        assert_eq!(problem(ask(&world, "corp", &token).await), expected, "{name}");
        // Not asked again at once, and as before once it is.
        let asked = site.asked(&token);
        assert_eq!(problem(ask(&world, "corp", &token).await), expected, "{name}");
        assert_eq!(site.asked(&token), asked, "{name}");
        site.server.answer("/introspect", good.clone());
        // What comes between these is an answer, so that the server is not spared.
        assert!(ask(&world, "corp", &format!("after {name}")).await.is_ok(), "{name}");
    }
    assert!(!site.server.seen().iter().any(|seen| seen.path == "/good"), "the redirection was followed");
    pass(1).await;
    site.says_signed(&world, &said);
    assert!(ask(&world, "corp", "token 500").await.is_ok());
    // `active` that is not `true` is a no.
    site.says_signed(&world, &changed(&said, "active", json!("true")));
    assert_eq!(problem(ask(&world, "corp", "text").await), IntrospectionProblem::Inactive);
}

// S03: what a server says of a token it can say of its own tokens only.
#[tokio::test(start_paused = true)]
async fn s03_a_lying_server_says_nothing_of_others() {
    let site = Site::new().await;
    let world = site.world(|asking| asking.form = AnswerForm::Plain).await;
    let now = world.time.now().as_second();
    let honest = changed(&active(&world, "corp"), "iat", json!(now - 100));
    let lies = [
        ("iss", json!("https://other.example"), TokenError::IssuerUnknown),
        ("exp", json!(now - 1), TokenError::Expired),
        ("exp", json!(now + 3600 * 24), TokenError::ClaimInvalid(exequatur_token::Claim::Exp)),
        ("nbf", json!(now + 60), TokenError::NotYetValid),
        ("token_type", json!("refresh_token"), TokenError::TypeInvalid),
        ("cnf", json!({"x5c": []}), TokenError::BindingUnsupported),
    ];
    for (index, (name, value, error)) in lies.into_iter().enumerate() {
        site.says(JSON, &changed(&honest, name, value).to_string());
        let outcome = problem(ask(&world, "corp", &format!("lie-{index}")).await);
        assert_eq!(outcome, IntrospectionProblem::Token(error), "{name}");
    }
    // Names are its own, whatever it says; so is what it says of audiences, until they are needed.
    site.says(JSON, &changed(&honest, "client_id", json!("other:bot")).to_string());
    assert_eq!(ask(&world, "corp", "named").await.unwrap().client().as_str(), "corp:other:bot");
    site.says(JSON, &changed(&honest, "aud", json!("https://elsewhere.example")).to_string());
    let elsewhere = ask(&world, "corp", "elsewhere").await.unwrap();
    for audience in ["https://api.example", "https://elsewhere.example"] {
        let current = elsewhere.current(world.time.now(), audience, &profile("corp"));
        assert_eq!(current.unwrap_err(), TokenError::AudienceMismatch, "{audience}");
    }
    // A signed answer is none where a plain one was asked for.
    site.says_signed(&world, &honest);
    let outcome = problem(ask(&world, "corp", "signed").await);
    assert_eq!(outcome, failed(IntrospectionError::ContentType));
}

// An answer that is slow is waited for within bounds, and there for the next one.
#[tokio::test(start_paused = true)]
async fn a_slow_answer_comes_to_the_next_decision() {
    let site = Site::new().await;
    let world = site.world(|asking| asking.timeout = Duration::from_secs(10)).await;
    let body = signed(&envelope(&world, &active(&world, "corp")));
    let whole = format!("HTTP/1.1 {JWT}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let drip = Answer::Drip(whole.as_bytes().into(), Duration::from_millis(1));
    site.server.answer("/introspect", drip);
    let before = world.time.passed();
    let outcome = problem(ask_in_time(&world, "corp", "slow").await);
    assert_eq!(outcome, unavailable(IntrospectionUnavailable::NotYet));
    let waited = world.time.passed() - before;
    assert!((Duration::from_millis(75)..Duration::from_millis(90)).contains(&waited), "{waited:?}");
    while count(&world, IntrospectionOutcome::Active) == 0 {
        assert_eq!(count(&world, IntrospectionOutcome::Timeout), 0);
        tokio::time::advance(Duration::from_millis(1)).await;
        turns().await;
    }
    assert!(ask(&world, "corp", "slow").await.is_ok());
    assert_eq!(site.asked("slow"), 1);
}

// A server that hangs holds up nobody but its own, and those no longer than the bounds say.
#[tokio::test(start_paused = true)]
async fn a_hanging_server_is_no_others_trouble() {
    let (hanging, good) = (Site::new().await, Site::new().await);
    let prefixed = |prefix: &str| Some(OpaqueTokens::Prefixed(prefix.parse().unwrap()));
    let configs = vec![
        hanging.config("hanging", |asking| {
            asking.opaque = prefixed("h_");
            asking.max_in_flight = 2;
        }),
        good.config("corp", |asking| asking.opaque = prefixed("c_")),
    ];
    let world = started(configs).await;
    hanging.server.answer("/introspect", Answer::Silence);
    good.says_signed(&world, &active(&world, "corp"));
    for (token, name) in [("h_1", "hanging"), ("c_1", "corp")] {
        let found = world.issuers.of_opaque(token).unwrap();
        assert_eq!(found.profile().name.as_str(), name);
    }
    for token in ["x", "a.b.c", "h", ""] {
        assert!(world.issuers.of_opaque(token).is_none(), "{token}");
    }
    let not_yet = unavailable(IntrospectionUnavailable::NotYet);
    for token in ["h_1", "h_2", "h_1"] {
        assert_eq!(problem(ask_in_time(&world, "hanging", token).await), not_yet);
    }
    // At its bound, at once.
    let before = world.time.passed();
    let outcome = problem(ask(&world, "hanging", "h_3").await);
    assert_eq!(outcome, unavailable(IntrospectionUnavailable::TooMany));
    assert_eq!(world.issuer("hanging").introspection_status().unwrap().in_flight, 2);
    assert!(ask(&world, "corp", "c_1").await.is_ok());
    assert_eq!(world.time.passed(), before);
    // What hangs ends, and leaves room.
    pass(1).await;
    assert_eq!(world.issuer("hanging").introspection_status().unwrap().in_flight, 0);
    assert_eq!(problem(ask(&world, "hanging", "h_1").await), download(DownloadError::Timeout));
    assert_eq!(problem(ask_in_time(&world, "hanging", "h_3").await), not_yet);
    pass(1).await;
    // Three did not answer: it is spared.
    let outcome = problem(ask(&world, "hanging", "h_4").await);
    assert_eq!(outcome, unavailable(IntrospectionUnavailable::BackingOff));
    assert!(world.issuer("hanging").introspection_status().unwrap().backing_off);
    assert_eq!(hanging.questions().len(), 3);
    assert!(ask(&world, "corp", "c_2").await.is_ok());

    // It answers again; one question finds out.
    let mut envelope = envelope(&world, &active(&world, "hanging"));
    envelope["iss"] = json!(profile("hanging").issuer);
    hanging.says(JWT, &signed(&envelope));
    pass(1).await;
    assert!(ask(&world, "hanging", "h_5").await.is_ok());
    assert!(ask(&world, "hanging", "h_6").await.is_ok());
    assert!(!world.issuer("hanging").introspection_status().unwrap().backing_off);
}

/// One of many who ask, and how often he lost what he staked.
struct Caller {
    key: u8,
    may: bool,
    lost: Arc<AtomicUsize>,
}

impl Caller {
    fn new(key: u8) -> Self {
        Self { key, may: true, lost: Arc::default() }
    }

    async fn ask(&self, world: &World, raw: &str) -> Outcome {
        let issuer = world.issuer("corp");
        let asking = issuer.introspect(raw, TokenDigest::of(raw), self, world.time.now());
        tokio::pin!(asking);
        loop {
            tokio::select! {
                biased;
                answer = &mut asking => return answer.map(|believed| believed.what),
                () = turns() => tokio::time::advance(Duration::from_millis(1)).await,
            }
        }
    }

    fn lost(&self) -> usize {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Asker for Caller {
    fn key(&self) -> Option<AskerKey> {
        Some(AskerKey([self.key; 16]))
    }

    fn stake(&self) -> Option<Stake> {
        let lost = Arc::clone(&self.lost);
        let lose = move |_now| {
            lost.fetch_add(1, Ordering::Relaxed);
        };
        self.may.then(|| Stake::new(lose))
    }
}

// L04: nobody has more than a quarter of the room, whatever he stakes, and others have theirs.
#[tokio::test(start_paused = true)]
async fn l04_one_asker_has_a_share_of_the_room() {
    for (max_in_flight, share) in [(1, 1), (7, 1), (8, 2)] {
        let site = Site::new().await;
        let world = site.world(|asking| asking.max_in_flight = max_in_flight).await;
        site.server.answer("/introspect", Answer::Silence);
        let (flood, other) = (Caller::new(1), Caller::new(2));
        let source = unavailable(IntrospectionUnavailable::Source);
        let not_yet = unavailable(IntrospectionUnavailable::NotYet);
        for number in 0..5 {
            let expected = if number < share { not_yet } else { source };
            let found = problem(flood.ask(&world, &format!("flood-{number}")).await);
            assert_eq!(found, expected, "{number} of {max_in_flight}");
        }
        assert_eq!(count(&world, IntrospectionOutcome::Source), 5 - share);
        // Whoever waits for an answer that is under way asks nothing, and an operator is not counted.
        assert_eq!(problem(flood.ask(&world, "flood-0").await), not_yet);
        let room = max_in_flight > 1;
        let too_many = unavailable(IntrospectionUnavailable::TooMany);
        let expected = if room { not_yet } else { too_many };
        assert_eq!(problem(other.ask(&world, "other").await), expected);
        assert_eq!(problem(ask_in_time(&world, "corp", "operator").await), expected);
        // What has ended leaves its place; that the server hangs is not the asker's loss.
        pass(1).await;
        assert_eq!(world.issuer("corp").introspection_status().unwrap().in_flight, 0);
        assert_eq!((flood.lost(), other.lost()), (0, 0));
        pass(1).await;
        site.says_signed(&world, &json!({ "active": false }));
        assert_eq!(problem(flood.ask(&world, "again").await), IntrospectionProblem::Inactive);
        assert_eq!(flood.lost(), 1);
    }
}

// L04: what is lost is what was staked; who may stake nothing asks nothing, and does not find out whether the server is back.
#[tokio::test(start_paused = true)]
async fn l04_what_is_in_vain_is_lost() {
    let mut site = Site::new().await;
    let world = site.world(|_| {}).await;
    let caller = Caller::new(1);
    let active = active(&world, "corp");
    let lose = async |token: &str, lost: usize| {
        let outcome = caller.ask(&world, token).await;
        assert_eq!(caller.lost(), lost, "{token}: {outcome:?}");
        outcome
    };
    site.says_signed(&world, &active);
    assert!(lose("good", 0).await.is_ok() && lose("good", 0).await.is_ok());
    site.says_signed(&world, &json!({ "active": false }));
    assert!(lose("bad", 1).await.is_err() && lose("bad", 1).await.is_err());
    site.says_signed(&world, &changed(&active, "token_type", json!("N_A")));
    assert!(lose("refused", 2).await.is_err());
    site.says("400 Bad Request", "{}");
    assert!(lose("broken", 3).await.is_err());
    site.says("503 Service Unavailable", "{}");
    assert!(lose("overloaded", 3).await.is_err());

    site.server.stop().await;
    for token in ["1", "2"] {
        assert!(lose(token, 3).await.is_err());
    }
    let spent = Caller { may: false, ..Caller::new(2) };
    pass(1).await;
    site.server.start_again().await;
    site.says_signed(&world, &active);
    let source = unavailable(IntrospectionUnavailable::Source);
    assert_eq!(problem(spent.ask(&world, "spent").await), source);
    assert!(lose("found out", 3).await.is_ok());
    assert!(spent.ask(&world, "found out").await.is_ok());
    assert_eq!(site.asked("spent"), 0);
}

// Down: fast, bounded, and over when it is.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_ever_more_seldom() {
    let mut site = Site::new().await;
    let world = site.world(|_| {}).await;
    site.says_signed(&world, &active(&world, "corp"));
    assert!(ask(&world, "corp", "known").await.is_ok());
    site.server.stop().await;
    for token in ["1", "2", "3"] {
        assert_eq!(problem(ask(&world, "corp", token).await), download(DownloadError::Connect), "{token}");
    }
    let spared = unavailable(IntrospectionUnavailable::BackingOff);
    for token in 4..1000 {
        assert_eq!(problem(ask(&world, "corp", &token.to_string()).await), spared);
    }
    assert_eq!(count(&world, IntrospectionOutcome::Connect), 3);
    assert_eq!(count(&world, IntrospectionOutcome::BackingOff), 996);
    // What is known counts for its time.
    assert!(ask(&world, "corp", "known").await.is_ok());
    for second in 0..60 {
        pass(1).await;
        for token in 0..10 {
            assert!(ask(&world, "corp", &format!("{second}-{token}")).await.is_err());
        }
    }
    let questions = count(&world, IntrospectionOutcome::Connect);
    assert!((10..25).contains(&questions), "{questions}");
    site.server.start_again().await;
    pass(6).await;
    site.says_signed(&world, &active(&world, "corp"));
    assert!(ask(&world, "corp", "5").await.is_ok());
}

/// A token of `corp`'s own, as it was sent and once its signature was verified; its `jti` is 1.
fn own_jwt(world: &World) -> (String, Arc<VerifiedToken>) {
    let now = world.time.now();
    let claims = json!({
        "iss": profile("corp").issuer, "sub": "alice", "client_id": "bot", "jti": "1",
        "aud": "https://api.example", "iat": now.as_second(), "exp": now.as_second() + 60,
    });
    let raw = sign("at+jwt", "a", &claims, OURS);
    let keys = world.issuer("corp").keys(now).unwrap();
    let token = UnverifiedToken::parse(&raw).unwrap().verify(&profile("corp"), &keys, now).unwrap();
    (raw, Arc::new(token))
}

// Each of ours is asked about, once its signature holds, and refused if it is not active.
#[tokio::test(start_paused = true)]
async fn s03_a_jwt_is_asked_about_too() {
    let site = Site::new().await;
    let world = site.world(|asking| asking.jwts = true).await;
    assert!(world.issuer("corp").confirms_tokens());
    let now = world.time.now();
    let (raw, token) = own_jwt(&world);
    let confirm = async |label: &str| {
        // The digest is what an answer is kept under.
        let digest = TokenDigest::of(label);
        world.issuer("corp").confirm(&raw, digest, &token, &Uncounted, now).await.map(|_still| ())
    };
    site.says_signed(&world, &json!({"active": true, "jti": "1", "sub": "alice", "client_id": "bot"}));
    assert_eq!(confirm("good").await, Ok(()));
    site.says_signed(&world, &json!({"active": false}));
    assert_eq!(confirm("inactive").await, Err(IntrospectionProblem::Inactive));
    for (name, value) in
        [("jti", json!("2")), ("sub", json!("bob")), ("client_id", json!("b")), ("iss", json!("x"))]
    {
        let said = changed(&json!({"active": true}), name, value);
        site.says_signed(&world, &said);
        let another = failed(IntrospectionError::Answer(AnswerError::AnotherToken));
        assert_eq!(confirm(name).await, Err(another), "{name}");
    }
    assert_eq!(site.questions()[0]["token"], raw);
}

// What could not be verified is not asked for, and is nobody's loss.
#[tokio::test(start_paused = true)]
async fn s04_without_keys_there_is_no_question() {
    let site = Site::new().await;
    site.server.answer("/jwks", Answer::of("503 Service Unavailable", b""));
    let world = World::start(vec![site.config("corp", |_| {})]).await;
    let caller = Caller::new(1);
    for token in ["1", "2", "3", "4"] {
        assert_eq!(problem(caller.ask(&world, token).await), failed(IntrospectionError::Keys));
    }
    assert_eq!((site.questions().len(), caller.lost()), (0, 0));
}

// G16: an answer by a new key has the issuer's keys loaded, and counts from then on.
#[tokio::test(start_paused = true)]
async fn g16_the_answers_key_is_rotated() {
    let site = Site::new().await;
    let world = site.world(|_| {}).await;
    let body = |kid| sign("token-introspection+jwt", kid, &envelope(&world, &active(&world, "corp")), OURS);
    site.says(JWT, &body("a"));
    assert!(ask(&world, "corp", "1").await.is_ok());
    site.server.answer("/jwks", Answer::ok(&jwks(&["b"])));
    site.says(JWT, &body("b"));
    let unknown = failed(IntrospectionError::Answer(AnswerError::KeyUnknown));
    pass(30).await;
    site.says(JWT, &body("b"));
    assert_eq!(problem(ask(&world, "corp", "2").await), unknown);
    world.until_loads("corp", 2).await;
    pass(1).await;
    site.says(JWT, &body("b"));
    assert!(ask(&world, "corp", "2").await.is_ok());
}

// G16: an answer counts no longer than the key that it was signed with: the next use of the token asks anew.
#[tokio::test(start_paused = true)]
async fn g16_an_answer_by_a_removed_key_is_none() {
    let site = Site::new().await;
    let mut config = site.config("corp", |asking| asking.jwts = true);
    config.cooldown = Duration::from_secs(1);
    let world = started(vec![config]).await;
    let (raw, token) = own_jwt(&world);
    let confirm = async || {
        let digest = TokenDigest::of(&raw);
        let outcome = world.issuer("corp").confirm(&raw, digest, &token, &Uncounted, world.time.now()).await;
        outcome.map(|_still| ())
    };
    site.says_signed(&world, &active(&world, "corp"));
    assert!(ask(&world, "corp", "opaque").await.is_ok());
    site.says_signed(&world, &json!({"active": true, "jti": "1"}));
    assert_eq!(confirm().await, Ok(()));
    // The same keys, loaded again, change nothing.
    pass(2).await;
    world.unknown("corp", "b");
    world.until_loads("corp", 2).await;
    assert!(ask(&world, "corp", "opaque").await.is_ok());
    assert_eq!(confirm().await, Ok(()));
    assert_eq!((site.asked("opaque"), site.asked(&raw)), (1, 1));
    // Without the key there is no answer any more.
    site.server.answer("/jwks", Answer::ok(&jwks(&["b"])));
    pass(2).await;
    world.unknown("corp", "c");
    world.until_loads("corp", 3).await;
    site.says_signed(&world, &json!({"active": true, "jti": "1"}));
    let unknown = failed(IntrospectionError::Answer(AnswerError::KeyUnknown));
    assert_eq!(problem(ask(&world, "corp", "opaque").await), unknown);
    assert_eq!(confirm().await, Err(unknown));
    assert_eq!((site.asked("opaque"), site.asked(&raw)), (2, 2));
}

// What is asked while the process ends is not answered, and holds nobody up.
#[test]
fn a_question_after_the_end_is_cut_short() {
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let ended = runtime();
    let (world, _site) = ended.block_on(async {
        let site = Site::new().await;
        (site.world(|_| {}).await, site)
    });
    let now = world.time.now();
    let issuer = Arc::clone(world.issuer("corp"));
    ended.shutdown_background();
    let (told, outcome) = std::sync::mpsc::channel();
    // A thread of its own, which is left behind if it never comes back.
    let _asking = std::thread::spawn(move || {
        let answer = runtime().block_on(issuer.introspect("late", TokenDigest::of("late"), &Uncounted, now));
        drop(told.send(answer.map(|believed| believed.what)));
    });
    let outcome = outcome.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(problem(outcome), failed(IntrospectionError::CutShort));
}

// RFC 8705: who we are is shown by a certificate, at the address for those who show one.
#[tokio::test(start_paused = true)]
async fn x10_a_certificate_says_who_asks() {
    let authority = Authority::new();
    let server = Server::with(Some(authority.closed_server("127.0.0.1"))).await;
    let open = Server::with(Some(authority.server("127.0.0.1"))).await;
    let issuer = open.url("");
    let metadata = json!({
        "issuer": issuer, "jwks_uri": open.url("/jwks"), "introspection_endpoint": open.url("/introspect"),
        "mtls_endpoint_aliases": {"introspection_endpoint": server.url("/introspect")},
    });
    open.answer("/.well-known/oauth-authorization-server", Answer::ok(&metadata.to_string()));
    open.answer("/jwks", Answer::ok(&jwks(&["a"])));
    let (certificate, key) = authority.client();
    let identity = ClientIdentity::read(&certificate, &key).unwrap();
    let shown = format!("{identity:?}");
    assert!(shown.contains("client.key") && !shown.contains("PRIVATE"), "{shown}");
    let mut config = crate::discovery::discovered(&open, "", Discovery::OAuth);
    config.profile.issuer.clone_from(&issuer);
    config.transport.authorities = Some(Authorities::read(&authority.file).unwrap());
    let mut asking = IntrospectionConfig::new(
        IntrospectionEndpoint::Discovered { by: Discovery::OAuth },
        "exequatur".to_owned(),
        ClientAuthentication::Mtls { identity },
    );
    asking.form = AnswerForm::Plain;
    config.introspection = Some(asking);
    assert_eq!(config.problems(), []);
    let world = started(vec![config]).await;
    let said = changed(&active(&world, "corp"), "iss", json!(issuer));
    for server in [&server, &open] {
        server.answer("/introspect", Answer::of(JSON, said.to_string().as_bytes()));
    }
    while ask(&world, "corp", "early").await.is_err() {
        pass(1).await;
        open.settle().await;
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].body.contains("client_id=exequatur") && !seen[0].body.contains("assertion"));
    assert!(!open.seen().iter().any(|seen| seen.path == "/introspect"));
}

/// A token must be one issuer's.
#[tokio::test(start_paused = true)]
async fn two_issuers_have_prefixes_that_tell_their_tokens_apart() {
    let site = Site::new().await;
    let prefixed = |prefix: Option<&str>| {
        prefix.map_or(OpaqueTokens::All, |prefix| OpaqueTokens::Prefixed(prefix.parse().unwrap()))
    };
    let outcome = |one: Option<&str>, two: Option<&str>| {
        let configs = [("one", one), ("two", two)];
        let configs =
            configs.map(|(name, prefix)| site.config(name, |asking| asking.opaque = Some(prefixed(prefix))));
        exequatur_issuers::ambiguous(&configs)
            .map(|(one, two)| (one.profile.name.as_str().to_owned(), two.profile.name.as_str().to_owned()))
    };
    assert_eq!(outcome(Some("a_"), Some("b_")), None);
    for (one, two) in [(None, None), (Some("a_"), None), (None, Some("a_")), (Some("a_"), Some("a_b"))] {
        assert_eq!(outcome(one, two), Some(("one".to_owned(), "two".to_owned())));
    }
    let configs = ["one", "two"].map(|name| site.config(name, |_| {}));
    let (tasks, stop) = Default::default();
    let clock: exequatur_issuers::Clock = Arc::new(jiff::Timestamp::default);
    let refused = exequatur_issuers::Issuers::start(
        configs.to_vec(),
        exequatur_issuers::HttpConfig::default(),
        clock,
        &tasks,
        &stop,
    );
    assert!(matches!(refused, Err(IssuersError::Ambiguous(name)) if name.as_str() == "two"));
}

#[test]
fn files_that_say_nothing_are_told() {
    let file = |content: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    };
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let read = |content: &str| {
        let file = file(content);
        ClientKey::read(file.path(), Algorithm::Es256, None).map(|key| assert_eq!(key.file(), file.path()))
    };
    assert_eq!(read(&key), Ok(()));
    assert_eq!(read("secret"), Err(ClientKeyProblem::Key(AssertionKeyError::NotPem)));
    assert_eq!(read(&"x".repeat(70_000)), Err(ClientKeyProblem::Key(AssertionKeyError::NotPem)));
    let missing = ClientKey::read("/nonexistent/key".as_ref(), Algorithm::Es256, None).map(|_key| ());
    assert_eq!(missing, Err(ClientKeyProblem::Unreadable(std::io::ErrorKind::NotFound)));
    let authority = Authority::new();
    let (certificate, key) = authority.client();
    let other = file(&rcgen::KeyPair::generate().unwrap().serialize_pem());
    let read = |certificate, key| ClientIdentity::read(certificate, key).map(|_identity| ()).unwrap_err();
    assert_eq!(read(&certificate, other.path()), ClientIdentityProblem::Malformed);
    assert_eq!(read(&certificate, &certificate), ClientIdentityProblem::Malformed);
    assert_eq!(read(&key, &key), ClientIdentityProblem::Malformed);
    let missing = read(&certificate, "/nonexistent/key".as_ref());
    assert_eq!(missing, ClientIdentityProblem::Unreadable(std::io::ErrorKind::NotFound));
}

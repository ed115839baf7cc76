//! On whose behalf: every shape of token, at every kind of route, under every mix of policies, against a model that
//! knows nothing of how it is decided (J07, X04, X05, X06, D-05).

use std::fmt::Write as _;
use std::num::NonZeroU32;

use exequatur_decide::{Revocable, Route, SenderRequirement, UserRequirement};
use exequatur_policy::Principals;
use exequatur_store::{Form, Rate, RatePer, RevocationKind};
use serde_json::{Value, json};

use exequatur_token::{OwnSubject, Unmarked, UserClaim};

use crate::ask::{Ask, Token};
use crate::world::{Setting, World, guarded, mark, named, only_policies};

/// Actors, the current one first.
const ACTORS: [&str; 6] = ["planner", "front-desk", "clerk", "scout", "relay", "courier"];

/// A token, and what a reader of RFC 8693 says of it.
struct Shape {
    name: String,
    claims: Vec<(&'static str, Value)>,
    subject: &'static str,
    /// Whom another claim names.
    uid: Option<&'static str>,
    /// The mark of users' tokens, `kind`.
    kind: Mark,
    /// The mark of clients' own, `gty`.
    gty: Mark,
    actors: Vec<&'static str>,
    /// Whether `may_act` names somebody else.
    other_may: bool,
    /// Why it is nobody's.
    broken: Option<&'static str>,
}

impl Shape {
    fn of(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            claims: Vec::new(),
            subject: "alice",
            uid: None,
            kind: Mark::Absent,
            gty: Mark::Absent,
            actors: Vec::new(),
            other_may: false,
            broken: None,
        }
    }

    fn with(mut self, claim: &'static str, value: Value) -> Self {
        self.claims.push((claim, value));
        self
    }

    fn own(self) -> Self {
        Self { gty: Mark::Holds, ..self }
    }

    fn through(self, actors: &[&'static str]) -> Self {
        let act =
            actors.iter().rev().fold(None, |inner, actor| {
                Some(inner.map_or_else(
                    || json!({ "sub": actor }),
                    |act: Value| json!({ "sub": actor, "act": act }),
                ))
            });
        Self { actors: actors.to_vec(), ..self }.with("act", act.unwrap_or_default())
    }

    fn broken(self, reason: &'static str) -> Self {
        Self { broken: Some(reason), ..self }
    }

    fn bearer(&self) -> Ask {
        // Each shape is a token of its own.
        let token = Token::unbound().with("jti", json!(self.name)).with("sub", json!(self.subject));
        let others = [
            ("uid", self.uid.map(|uid| json!(uid))),
            ("kind", self.kind.value("person")),
            ("gty", self.gty.value("client-credentials")),
        ];
        let others = others.into_iter().filter_map(|(claim, value)| Some((claim, value?)));
        let token = others.fold(token, |token, (claim, value)| token.with(claim, value));
        let token = self.claims.iter().fold(token, |token, (claim, value)| token.with(claim, value.clone()));
        Ask::bearer(&token.sign())
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = vec![
        Shape::of("user"),
        Shape::of("client credentials").own(),
        Shape { subject: "crm-bot", ..Shape::of("client credentials, subject is the client") }.own(),
        Shape::of("client credentials, delegated").own().through(&["planner"]),
        Shape::of("the client itself acts").through(&["crm-bot"]),
        Shape::of("the client hands on").through(&["planner", "crm-bot"]),
        Shape::of("the user acts").through(&["alice"]),
        Shape::of("may act, nobody does").with("may_act", json!({ "sub": "clerk" })),
        Shape::of("may act and does").through(&["planner"]).with("may_act", json!({ "sub": "planner" })),
        Shape { other_may: true, ..Shape::of("another may act") }
            .through(&["planner"])
            .with("may_act", json!({ "sub": "clerk" })),
        Shape { other_may: true, ..Shape::of("a prior actor may act") }
            .through(&["planner", "clerk"])
            .with("may_act", json!({ "sub": "clerk" })),
        Shape { other_may: true, ..Shape::of("another issuer's may act") }
            .through(&["planner"])
            .with("may_act", json!({ "sub": "planner", "iss": "https://other.example.com" })),
        Shape { subject: "crm-bot", ..Shape::of("nobody's") },
    ];
    for depth in 1..=5 {
        shapes.push(Shape::of(format!("user, chain of {depth}")).through(&ACTORS[..depth]));
        shapes.push(Shape::of(format!("own, chain of {depth}")).own().through(&ACTORS[..depth]));
    }
    shapes.push(Shape::of("chain of 6").through(&ACTORS).broken("delegation_too_deep"));
    for act in [
        json!(null),
        json!("planner"),
        json!(["planner"]),
        json!({}),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "sub": ["planner"] }),
        json!({ "client_id": "planner" }),
        json!({ "sub": "planner", "iss": "https://other.example.com" }),
        json!({ "sub": "planner", "act": {} }),
        json!({ "sub": "planner", "act": "clerk" }),
        json!({ "sub": "planner", "act": { "sub": "planner" } }),
        json!({ "sub": "planner", "act": { "sub": "clerk", "act": { "sub": "planner" } } }),
    ] {
        shapes.push(Shape::of(format!("act {act}")).with("act", act).broken("token_claim_invalid"));
    }
    for may_act in [json!(null), json!("planner"), json!([]), json!({}), json!({ "sub": 7 })] {
        let shape = Shape::of(format!("may_act {may_act}")).through(&["planner"]);
        shapes.push(shape.with("may_act", may_act).broken("token_claim_invalid"));
    }
    shapes
}

/// What a token says in the place of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Absent,
    Another,
    Holds,
    Unreadable,
}

impl Mark {
    const ALL: [Self; 4] = [Self::Absent, Self::Another, Self::Holds, Self::Unreadable];

    fn value(self, word: &str) -> Option<Value> {
        match self {
            Self::Absent => None,
            Self::Another => Some(json!("another")),
            Self::Holds => Some(json!(word)),
            Self::Unreadable => Some(json!({ word: true })),
        }
    }
}

/// Each way to mark a token, with each that may be named, and a chain or none.
fn marked_shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for subject in ["alice", "crm-bot"] {
        for uid in [None, Some("bob")] {
            for kind in Mark::ALL {
                for gty in Mark::ALL {
                    let name = format!("{subject} {uid:?} {kind:?} {gty:?}");
                    let shape = |name: String| Shape { subject, uid, kind, gty, ..Shape::of(name) };
                    shapes.push(shape(format!("{name} alone")));
                    shapes.push(shape(format!("{name} acting")).through(&["planner", "clerk"]));
                }
            }
        }
    }
    shapes
}

/// How an issuer marks its tokens, as `claims.user` says it.
#[derive(Clone, Copy, Debug)]
struct Marking {
    claim: &'static str,
    when: bool,
    unless: bool,
    own_subject: OwnSubject,
    otherwise: Unmarked,
}

impl Marking {
    /// As the tests' other tokens are marked.
    const USUAL: Self = Self {
        claim: "sub",
        when: false,
        unless: true,
        own_subject: OwnSubject::Refused,
        otherwise: Unmarked::Refused,
    };

    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for claim in ["sub", "uid"] {
            for (when, unless) in [(false, false), (true, false), (false, true), (true, true)] {
                for own_subject in [OwnSubject::Refused, OwnSubject::Client] {
                    for otherwise in [Unmarked::Refused, Unmarked::Client] {
                        all.push(Self { claim, when, unless, own_subject, otherwise });
                    }
                }
            }
        }
        all
    }

    fn user(self) -> UserClaim {
        let marks = |named: bool, mark| if named { vec![mark] } else { Vec::new() };
        UserClaim {
            when: marks(self.when, mark("kind", "person")),
            unless: marks(self.unless, mark("gty", "client-credentials")),
            own_subject: self.own_subject,
            otherwise: self.otherwise,
            ..UserClaim::new(self.claim)
        }
    }
}

/// What the policies say, each part on or off.
#[derive(Clone, Copy)]
struct Policies {
    agents: &'static [&'static str],
    users: &'static [&'static str],
    /// A prior actor that is forbidden.
    prior: Option<&'static str>,
    /// How many actors are too many.
    depth: Option<usize>,
    /// Whether the user is forbidden, as a principal.
    user_forbidden: bool,
}

impl Policies {
    fn all() -> Vec<Self> {
        let agents: [&[&str]; 4] = [&[], &["crm-bot"], &["planner"], &["crm-bot", "planner", "alice"]];
        let users: [&[&str]; 3] = [&[], &["alice"], &["planner", "crm-bot"]];
        let mut all = Vec::new();
        for agents in agents {
            for users in users {
                for prior in [None, Some("clerk")] {
                    for depth in [None, Some(2)] {
                        for user_forbidden in [false, true] {
                            all.push(Self { agents, users, prior, depth, user_forbidden });
                        }
                    }
                }
            }
        }
        all
    }

    fn text(self) -> String {
        let mut text = String::from(
            r#"@id("never") forbid (principal, action, resource) when { resource.sensitivity == "x" };"#,
        );
        for (kind, names) in [("Agent", self.agents), ("User", self.users)] {
            for name in names {
                let id = format!("{}-{name}", kind.to_lowercase());
                writeln!(
                    text,
                    r#"@id("{id}") permit (principal == Exequatur::{kind}::"corp:{name}", action, resource);"#
                )
                .unwrap();
            }
        }
        if let Some(prior) = self.prior {
            let condition = format!(r#"context.delegation.prior.contains(Exequatur::Agent::"corp:{prior}")"#);
            writeln!(text, r#"@id("prior") forbid (principal, action, resource) when {{ {condition} }};"#)
                .unwrap();
        }
        if let Some(depth) = self.depth {
            let condition = format!("context.delegation.depth > {depth}");
            writeln!(text, r#"@id("deep") forbid (principal, action, resource) when {{ {condition} }};"#)
                .unwrap();
        }
        if self.user_forbidden {
            text.push_str(r#"@id("no-users") forbid (principal is Exequatur::User, action, resource);"#);
        }
        text
    }
}

const ROUTES: [(&str, UserRequirement, Principals); 4] = [
    ("any", UserRequirement::Any, Principals::Agent),
    ("users", UserRequirement::Required, Principals::Agent),
    ("own", UserRequirement::Refused, Principals::Agent),
    ("both", UserRequirement::Required, Principals::Both),
];

fn routes() -> Vec<Route> {
    let route = |(name, user, principals): (&str, _, _)| {
        guarded(name, |guard| {
            guard.sender = SenderRequirement::None;
            guard.user = user;
            guard.principals = principals;
        })
    };
    ROUTES.map(route).into()
}

/// The user, nobody where the token is the client's own, or why it is neither's: the table of docs/reference/configuration.md.
fn whose(shape: &Shape, marking: Marking) -> Result<Option<&'static str>, &'static str> {
    let named = if marking.claim == "sub" { Some(shape.subject) } else { shape.uid };
    let bad = |asked: bool, mark| asked && mark == Mark::Unreadable;
    if bad(marking.when, shape.kind) || bad(marking.unless, shape.gty) {
        return Err("token_claim_invalid");
    }
    if marking.unless && shape.gty == Mark::Holds {
        return Ok(None);
    }
    let neither = marking.when && shape.kind != Mark::Holds;
    if neither || (!marking.when && named.is_none()) {
        return match (marking.otherwise, named) {
            (Unmarked::Client, _) => Ok(None),
            (Unmarked::Refused, None) => Err("token_claim_missing"),
            (Unmarked::Refused, Some(_)) => Err("token_claim_invalid"),
        };
    }
    match (named, marking.own_subject) {
        (None, _) => Err("token_claim_missing"),
        (Some("crm-bot"), OwnSubject::Refused) => Err("token_claim_invalid"),
        (Some("crm-bot"), OwnSubject::Client) => Ok(None),
        (Some(user), _) => Ok(Some(user)),
    }
}

/// Who it is that may, or why nobody.
fn model(
    shape: &Shape,
    marking: Marking,
    (_, user, principals): (&str, UserRequirement, Principals),
    policies: Policies,
) -> Result<String, &'static str> {
    if let Some(reason) = shape.broken {
        return Err(reason);
    }
    let whose = whose(shape, marking)?;
    if shape.other_may {
        return Err("actor_not_permitted");
    }
    match (user, whose) {
        (UserRequirement::Required, None) => return Err("user_required"),
        (UserRequirement::Refused, Some(_)) => return Err("user_not_allowed"),
        _ => {}
    }
    let acting = shape.actors.first().copied().unwrap_or("crm-bot");
    let too_deep = policies.depth.is_some_and(|most| shape.actors.len() > most);
    let passed_on =
        policies.prior.is_some_and(|prior| shape.actors.iter().skip(1).any(|actor| *actor == prior));
    let asked_of_user = principals == Principals::Both;
    if too_deep || passed_on || (asked_of_user && policies.user_forbidden) {
        return Err("policy_forbid");
    }
    let user_may = whose.is_some_and(|user| policies.users.contains(&user));
    if !policies.agents.contains(&acting) || (asked_of_user && !user_may) {
        return Err("policy_no_permit");
    }
    Ok(format!("{acting} for {whose:?} through {:?}", shape.actors))
}

/// How many are permitted and denied at each route under each of the policies, all as the model says.
async fn agree(marking: Marking, asks: &[(Shape, Ask)], all: &[Policies]) -> (usize, usize) {
    // Many of them are refused, and all come from nowhere.
    let many = NonZeroU32::new(1_000_000).unwrap();
    let unauthenticated = Rate::new(many, RatePer::Second, many).unwrap();
    let mut world =
        World::with(Setting { unauthenticated, user: marking.user(), ..Setting::default() }).await;
    let (mut permits, mut denials) = (0, 0);
    for policies in all {
        world.switch(only_policies(&policies.text()), routes());
        for route in ROUTES {
            for (shape, ask) in asks {
                let mut ask = ask.clone();
                ask.target = format!("/tenants/acme/{}/internal/1", route.0);
                let result = world.check(&ask).await;
                let got = result.as_ref().map_err(|refusal| refusal.reason().code()).map(|settled| {
                    let grant = settled.grant().unwrap();
                    let bare = |id: &String| id.strip_prefix("corp:").unwrap().to_owned();
                    let actors: Vec<_> = grant.delegation.iter().map(bare).collect();
                    let user = grant.user.as_ref().map(bare);
                    format!("{} for {:?} through {:?}", bare(&grant.agent), user, actors)
                });
                let expected = model(shape, marking, route, *policies);
                assert_eq!(got, expected, "{} at {}\n{marking:?}\n{}", shape.name, route.0, policies.text());
                if expected.is_ok() { permits += 1 } else { denials += 1 }
            }
        }
    }
    (permits, denials)
}

fn asks(shapes: Vec<Shape>) -> Vec<(Shape, Ask)> {
    shapes.into_iter().map(|shape| (shape.bearer(), shape)).map(|(ask, shape)| (shape, ask)).collect()
}

#[tokio::test]
async fn every_shape_at_every_route_under_every_policy_as_the_model_says() {
    let found = agree(Marking::USUAL, &asks(shapes()), &Policies::all()).await;
    // So that the matrix does not shrink without anybody's noticing.
    assert_eq!(found, (1410, 14_718));
}

/// J07: whose a token is, for each way in which an issuer may mark its tokens and each way in which a token may be marked.
#[tokio::test]
async fn every_marking_of_every_issuer_as_the_model_says() {
    let policies = Policies {
        agents: &["crm-bot", "planner"],
        users: &["alice"],
        prior: None,
        depth: None,
        user_forbidden: false,
    };
    let asks = asks(marked_shapes());
    let (mut permits, mut denials) = (0, 0);
    for marking in Marking::all() {
        let (permitted, denied) = agree(marking, &asks, &[policies]).await;
        (permits, denials) = (permits + permitted, denials + denied);
    }
    assert_eq!((permits, denials), (4928, 11_456));
}

/// D-06: whoever stands anywhere in the chain takes the token along, as an agent, as a client, and as a user; nobody else does.
#[tokio::test]
async fn each_member_of_the_chain_stops_the_token() {
    let world = {
        let mut world = World::new().await;
        world.switch(only_policies(r#"@id("all") permit (principal, action, resource);"#), routes());
        world
    };
    let mut ask = Shape::of("chain").through(&ACTORS[..5]).bearer();
    ask.target = "/tenants/acme/any/internal/1".to_owned();
    assert!(world.check(&ask).await.is_ok());
    let kinds = [
        (RevocationKind::Agent, "agent_revoked"),
        (RevocationKind::User, "user_revoked"),
        (RevocationKind::Client, "client_revoked"),
    ];
    for (kind, reason) in kinds {
        let of = |name: &str| named(kind, &format!("corp:{name}"));
        for stranger in [of("courier"), of("planner2"), of("Planner"), named(kind, "other:planner")] {
            stopped(&world, &ask, &stranger, None).await;
        }
        for member in &ACTORS[..5] {
            stopped(&world, &ask, &of(member), Some(reason)).await;
        }
    }
    // The user and the client too, whatever the order takes them for; and the agent with which a chain begins.
    let mut own =
        Shape { subject: "intake", ..Shape::of("begun by an agent") }.own().through(&["planner"]).bearer();
    own.target.clone_from(&ask.target);
    for (kind, reason) in kinds {
        for name in ["corp:crm-bot", "corp:alice"] {
            stopped(&world, &ask, &named(kind, name), Some(reason)).await;
        }
        stopped(&world, &own, &named(kind, "corp:intake"), Some(reason)).await;
        stopped(&world, &own, &named(kind, "corp:alice"), None).await;
    }
    // Who comes later in the chain takes nothing from those before.
    let mut before = Shape::of("before").through(&ACTORS[1..5]).bearer();
    before.target.clone_from(&ask.target);
    stopped(&world, &before, &named(RevocationKind::Agent, "corp:planner"), None).await;
}

/// X04: the agent with which a chain begins is history as well, and is on record.
#[tokio::test]
async fn the_agent_that_began_the_chain_is_known() {
    let mut world = World::new().await;
    let forbid = r#"@id("all") permit (principal, action, resource);
        @id("begun") forbid (principal, action, resource)
        when { context.delegation.prior.contains(Exequatur::Agent::"corp:intake") };"#;
    world.switch(only_policies(forbid), routes());
    for (subject, actors, begun) in [
        ("intake", &["planner"][..], true),
        ("intake", &["planner", "intake"], true),
        ("other", &["planner"], false),
        // Whoever acts is not history.
        ("other", &["intake"], false),
        ("intake", &[], false),
    ] {
        let mut shape = Shape { subject, ..Shape::of(format!("{subject} {actors:?}")) }.own();
        if !actors.is_empty() {
            shape = shape.through(actors);
        }
        let mut ask = shape.bearer();
        ask.target = "/tenants/acme/any/internal/1".to_owned();
        let (result, facts) = world.check_at(&ask, crate::world::at(0)).await;
        assert_eq!(result.is_err(), begun, "{subject} {actors:?}");
        let recorded = facts.actors.iter().skip(1).any(|actor| actor == "corp:intake");
        assert_eq!(recorded, begun, "{subject} {actors:?}");
    }
}

/// D-06: whom the claim of the user names takes the token along, though it be taken for the client's own.
#[tokio::test]
async fn whom_a_token_names_stops_it_whoever_it_is_taken_for() {
    let user = UserClaim {
        when: vec![mark("kind", "person")],
        unless: vec![mark("gty", "client-credentials")],
        own_subject: OwnSubject::Client,
        otherwise: Unmarked::Client,
        ..UserClaim::new("uid")
    };
    let mut world = World::with(Setting { user, ..Setting::default() }).await;
    world.switch(only_policies(r#"@id("all") permit (principal, action, resource);"#), routes());
    let at_home = |shape: Shape| {
        let mut ask = shape.bearer();
        ask.target = "/tenants/acme/own/internal/1".to_owned();
        ask
    };
    let shape = |uid, name: &str| Shape { subject: "job-7", uid: Some(uid), ..Shape::of(name) };
    let user = |name: &str| named(RevocationKind::User, &format!("corp:{name}"));
    for ask in [shape("bob", "marked").own(), shape("bob", "unmarked")].map(at_home) {
        stopped(&world, &ask, &user("bob"), Some("user_revoked")).await;
        stopped(&world, &ask, &user("job-7"), Some("user_revoked")).await;
        stopped(&world, &ask, &user("alice"), None).await;
        stopped(&world, &ask, &named(RevocationKind::Agent, "corp:bob"), None).await;
    }
    // A client is no user; handed on, anybody is anything.
    let own = at_home(Shape { kind: Mark::Holds, ..shape("crm-bot", "the client's id") });
    stopped(&world, &own, &user("crm-bot"), None).await;
    let handed_on = at_home(shape("bob", "handed on").through(&["planner"]));
    for (kind, reason) in [
        (RevocationKind::Agent, "agent_revoked"),
        (RevocationKind::User, "user_revoked"),
        (RevocationKind::Client, "client_revoked"),
    ] {
        stopped(&world, &handed_on, &named(kind, "corp:bob"), Some(reason)).await;
    }
}

/// J07: a user who is named by a claim that the client need not ask for is stopped, and is no agent acting for itself.
#[tokio::test]
async fn j07_a_hidden_user_is_not_nobody() {
    let mut world = World::with(Setting { user: UserClaim::new("email"), ..Setting::default() }).await;
    world.switch(only_policies(r#"@id("all") permit (principal, action, resource);"#), routes());
    world.revoke(&named(RevocationKind::User, "corp:alice@example.com"), Form::Total).await;
    for (email, reason) in [(Some("alice@example.com"), "user_revoked"), (None, "token_claim_missing")] {
        let token = Token::unbound().with("jti", json!(reason));
        let token = match email {
            Some(email) => token.with("email", json!(email)),
            None => token,
        };
        let token = token.sign();
        for route in ["any", "own"] {
            let mut ask = Ask::bearer(&token);
            ask.target = format!("/tenants/acme/{route}/internal/1");
            let expected = if email.is_some() && route == "own" { "user_not_allowed" } else { reason };
            assert_eq!(world.refusal(&ask).await.reason().code(), expected, "{email:?} at {route}");
        }
    }
}

/// Revoked, asked, and taken back.
async fn stopped(world: &World, ask: &Ask, revocable: &Revocable, reason: Option<&str>) {
    world.revoke(revocable, Form::Total).await;
    let found = world.check(ask).await.err().map(|refusal| refusal.reason().code());
    assert_eq!(found, reason, "{revocable}");
    world.lift(revocable, exequatur_store::Lift::Revocation).await;
    assert!(world.check(ask).await.is_ok(), "{revocable}");
}

//! On whose behalf: every shape of token, at every kind of route, under every mix of policies, against a model that
//! knows nothing of how it is decided (J07, X04, X05, X06, D-05).

use std::fmt::Write as _;
use std::num::NonZeroU32;

use exequatur_decide::{Revocable, Route, SenderRequirement, UserRequirement};
use exequatur_policy::Principals;
use exequatur_store::{Form, Rate, RatePer, RevocationKind};
use serde_json::{Value, json};

use crate::ask::{Ask, Token};
use crate::world::{Setting, World, guarded, named, only_policies};

/// Actors, the current one first.
const ACTORS: [&str; 6] = ["planner", "front-desk", "clerk", "scout", "relay", "courier"];

/// A token, and what a reader of RFC 8693 says of it.
struct Shape {
    name: String,
    claims: Vec<(&'static str, Value)>,
    user: Option<&'static str>,
    actors: Vec<&'static str>,
    /// Whether `may_act` names somebody else.
    other_may: bool,
    /// Why it is nobody's.
    broken: Option<&'static str>,
}

impl Shape {
    fn of(name: impl Into<String>) -> Self {
        let user = Some("alice");
        Self {
            name: name.into(),
            claims: Vec::new(),
            user,
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
        Self { user: None, ..self }.with("gty", json!("client-credentials"))
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
        let token = self.claims.iter().fold(Token::unbound(), |token, (claim, value)| {
            // Each shape is a token of its own.
            token.with("jti", json!(self.name)).with(claim, value.clone())
        });
        Ask::bearer(&token.sign())
    }
}

fn shapes() -> Vec<Shape> {
    let mut shapes = vec![
        Shape::of("user"),
        Shape::of("client credentials").own(),
        Shape::of("client credentials, subject is the client").with("sub", json!("crm-bot")).own(),
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
        Shape::of("no user's").with("sub", json!("crm-bot")).broken("token_claim_invalid"),
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

/// Who it is that may, or why nobody.
fn model(
    shape: &Shape,
    (_, user, principals): (&str, UserRequirement, Principals),
    policies: Policies,
) -> Result<String, &'static str> {
    if let Some(reason) = shape.broken {
        return Err(reason);
    }
    if shape.other_may {
        return Err("actor_not_permitted");
    }
    match (user, shape.user) {
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
    let user_may = shape.user.is_some_and(|user| policies.users.contains(&user));
    if !policies.agents.contains(&acting) || (asked_of_user && !user_may) {
        return Err("policy_no_permit");
    }
    Ok(format!("{acting} for {:?} through {:?}", shape.user, shape.actors))
}

#[tokio::test]
async fn every_shape_at_every_route_under_every_policy_as_the_model_says() {
    // Many of them are refused, and all come from nowhere.
    let many = NonZeroU32::new(1_000_000).unwrap();
    let unauthenticated = Rate::new(many, RatePer::Second, many).unwrap();
    let mut world = World::with(Setting { unauthenticated, ..Setting::default() }).await;
    let asks: Vec<(Shape, Ask)> =
        shapes().into_iter().map(|shape| (shape.bearer(), shape)).map(|(a, s)| (s, a)).collect();
    let (mut permits, mut denials) = (0, 0);
    for policies in Policies::all() {
        world.switch(only_policies(&policies.text()), routes());
        for route in ROUTES {
            for (shape, ask) in &asks {
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
                let expected = model(shape, route, policies);
                assert_eq!(got, expected, "{} at {}\n{}", shape.name, route.0, policies.text());
                if expected.is_ok() { permits += 1 } else { denials += 1 }
            }
        }
    }
    // So that the matrix does not shrink without anybody's noticing.
    assert_eq!((permits, denials), (PERMITS, DENIALS));
}

const PERMITS: usize = 1410;
const DENIALS: usize = 14_718;

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
        Shape::of("begun by an agent").with("sub", json!("intake")).own().through(&["planner"]).bearer();
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
        let mut shape = Shape::of(format!("{subject} {actors:?}")).with("sub", json!(subject)).own();
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

/// Revoked, asked, and taken back.
async fn stopped(world: &World, ask: &Ask, revocable: &Revocable, reason: Option<&str>) {
    world.revoke(revocable, Form::Total).await;
    let found = world.check(ask).await.err().map(|refusal| refusal.reason().code());
    assert_eq!(found, reason, "{revocable}");
    world.lift(revocable, exequatur_store::Lift::Revocation).await;
    assert!(world.check(ask).await.is_ok(), "{revocable}");
}

//! L01, L04: who is charged, when, and what is given back.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::time::Duration;

use exequatur_decide::{Denial, Fault, LimitRule, LimitRules, LimitStanding, Per, Refusal};
use exequatur_store::{
    Limit, LimitOverride, Note, OverridePlace, OverrideStore as _, Period, Quota, Rate, RatePer, Whose,
};
use exequatur_token::{ProofError, TokenError};
use serde_json::json;

use crate::ask::{API, Ask, Proof, READ, Token, ask_for};
use crate::key::Key;
use crate::world::{Setting, World, at};

const SECRET: &str = "/tenants/acme/documents/secret/1";
const DEAR: &str = "/tenants/acme/dear/internal/1";
const LAX: &str = "/tenants/acme/lax/internal/1";

/// One a minute, `burst` at once.
fn rate(name: &str, per: &[Per], burst: u32) -> LimitRule {
    let rate = Rate::new(NonZeroU32::MIN, RatePer::Minute, NonZeroU32::new(burst).unwrap()).unwrap();
    LimitRule { name: name.to_owned(), per: per.to_vec(), limit: Limit::Rate(rate), routes: None }
}

fn quota(name: &str, per: &[Per], units: u64) -> LimitRule {
    let quota = Quota::new(NonZeroU64::new(units).unwrap(), Period::Month).unwrap();
    LimitRule { name: name.to_owned(), per: per.to_vec(), limit: Limit::Quota(quota), routes: None }
}

async fn world(rules: Vec<LimitRule>) -> World {
    let mut world = World::new().await;
    world.generation.limits = Arc::new(LimitRules::new(rules));
    world
}

/// What is left of each limit after a permit.
async fn permitted(world: &World, ask: &Ask) -> Vec<u64> {
    let settled = world.check(ask).await.unwrap();
    let left = settled.limits().iter().map(|limit| limit.standing.remaining).collect();
    settled.keep_charges();
    left
}

async fn limited(world: &World, ask: &Ask) -> Vec<LimitStanding> {
    let refusal = world.refusal(ask).await;
    let Refusal::Denied(Denial::Limited(limits)) = &refusal else {
        assert_eq!(refusal, Denial::Limited(Vec::new()).into());
        return Vec::new();
    };
    limits.clone()
}

fn by(claim: &str, value: &str) -> Ask {
    Ask::signed(&Token::bound().with(claim, json!(value)), &Proof::new())
}

#[tokio::test]
async fn a_limit_is_reached_and_says_so() {
    let world = world(vec![rate("burst", &[Per::Agent], 2), quota("month", &[Per::Tenant], 9)]).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [1, 8]);
    assert_eq!(permitted(&world, &Ask::valid()).await, [0, 7]);
    let limits = limited(&world, &Ask::valid()).await;
    let told: Vec<_> = limits.iter().map(|it| (it.name.as_str(), it.standing.wait)).collect();
    assert_eq!(told, [("burst", Some(Duration::from_secs(60))), ("month", None)]);
    let (result, facts) = world.check_at(&Ask::valid(), at(0)).await;
    assert!(result.is_err());
    assert_eq!(facts.limits, ["burst"], "the log names it");

    let (result, _) = world
        .check_at(&Ask::signed(&Token::bound(), &Proof::new().with("iat", at(60).as_second())), at(60))
        .await;
    let settled = result.unwrap();
    assert_eq!(settled.limits()[1].standing.remaining, 6, "what was limited was charged to none");
}

/// Each combination has a count of its own, within the token's tenant; what a limit does not count does not matter.
#[tokio::test]
async fn others_are_not_affected() {
    // Another agent of the policies' choice is not permitted, but charged.
    let other_agent = || by("client_id", "other-bot");
    let (other_user, no_user) = (|| by("sub", "bob"), || by("sub", "crm-bot"));
    let other_tenant = || {
        let target = READ.replace("acme", "globex");
        let proof = Proof::new().with("htu", format!("{API}{target}"));
        Ask::signed(&Token::bound().with("tenant", json!("globex")), &proof).to(&target)
    };
    let other_route = || ask_for("/tenants/acme/hidden/internal/1");
    type Case<'a> = (&'a [Per], [bool; 4]);
    // agent, user, tenant, route: who is counted apart
    let cases: [Case<'_>; 7] = [
        (&[Per::Agent], [true, false, true, false]),
        (&[Per::User], [false, true, true, false]),
        (&[Per::Tenant], [false, false, true, false]),
        (&[Per::Route], [false, false, true, true]),
        (&[Per::Agent, Per::User], [true, true, true, false]),
        (&[Per::User, Per::Route], [false, true, true, true]),
        (&[Per::Agent, Per::User, Per::Tenant, Per::Route], [true, true, true, true]),
    ];
    for (per, apart) in cases {
        let world = world(vec![rate("one", per, 1)]).await;
        permitted(&world, &Ask::valid()).await;
        limited(&world, &Ask::valid()).await;
        let asks = [other_agent(), other_user(), other_tenant(), other_route()];
        for (n, (ask, apart)) in asks.iter().zip(apart).enumerate() {
            let is_limited = matches!(world.check(ask).await, Err(Refusal::Denied(Denial::Limited(_))));
            assert_eq!(is_limited, !apart, "{per:?}, case {n}");
        }
    }
    // A user claim that equals the agent's is refused at the token, so nobody passes for an agent without a user.
    let world = world(vec![rate("one", &[Per::User], 1)]).await;
    assert!(matches!(world.refusal(&no_user()).await, Refusal::Denied(Denial::Token(_))));
}

/// L04: nobody without the agent's key and token uses up what the agent has; a replay charges nothing.
#[tokio::test]
async fn nobody_else_can_charge_an_agent() {
    let world = world(vec![rate("burst", &[Per::Agent], 2), quota("month", &[Per::Agent], 9)]).await;
    let token = Token::bound();
    let forged = Token::bound().signed_by(Key::stranger());
    let stolen_proof = Proof::by(Key::stranger());
    let late = Proof::new().with("iat", at(-600).as_second());
    let signed = token.sign();
    let mut cut = Proof::new().sign(&signed);
    cut.truncate(cut.len() - 4);
    let used = Ask::valid();
    assert_eq!(permitted(&world, &used).await, [1, 8]);
    for turn in 0..20 {
        let cases = [
            Ask::signed(&forged, &Proof::new()),
            Ask::signed(&token, &stolen_proof),
            Ask::signed(&token, &late),
            Ask::dpop(&signed, &cut),
            Ask::bearer(&signed),
            Ask::signed(&Token::bound().with("exp", json!(at(-60).as_second())), &Proof::new()),
            Ask::signed(&Token::bound().with("scope", json!("other")), &Proof::new()),
            by("tenant", "globex"),
        ];
        for (n, ask) in cases.iter().enumerate() {
            let refusal = world.refusal(ask).await;
            assert!(!matches!(refusal, Refusal::Denied(Denial::Limited(_))), "{turn} {n}: {refusal:?}");
        }
        assert_eq!(world.refusal(&used).await, Denial::Replayed.into());
    }
    assert!(matches!(
        world.refusal(&Ask::signed(&forged, &Proof::new())).await,
        Refusal::Denied(Denial::Token(TokenError::SignatureInvalid))
    ));
    assert!(matches!(
        world.refusal(&Ask::signed(&token, &late)).await,
        Refusal::Denied(Denial::Proof(ProofError::IatOutOfWindow))
    ));
    assert_eq!(permitted(&world, &Ask::valid()).await, [0, 7]);
}

/// A limited request has spent its proof: it cannot be kept for later.
#[tokio::test]
async fn a_limited_request_has_spent_its_proof() {
    let world = world(vec![rate("burst", &[Per::Agent], 1)]).await;
    permitted(&world, &Ask::valid()).await;
    let ask = Ask::valid();
    limited(&world, &ask).await;
    assert_eq!(world.check_at(&ask, at(60)).await.0.unwrap_err(), Denial::Replayed.into());
}

/// A quota counts what was permitted, a rate what was tried.
#[tokio::test]
async fn a_denial_gives_the_quota_back_and_not_the_rate() {
    let world = world(vec![rate("burst", &[Per::Agent], 9), quota("month", &[Per::Agent], 2)]).await;
    for _ in 0..5 {
        let refusal = world.refusal(&ask_for(SECRET)).await;
        assert!(matches!(refusal, Refusal::Denied(Denial::Forbidden { .. })), "{refusal:?}");
    }
    assert_eq!(permitted(&world, &Ask::valid()).await, [3, 1]);
    // A fault of a policy.
    let broken = Token::bound().with("scope", json!("documents:read broken"));
    assert!(matches!(world.refusal(&Ask::signed(&broken, &Proof::new())).await, Refusal::Faulted(_)));
    assert_eq!(permitted(&world, &Ask::valid()).await, [1, 0]);
}

/// What was settled and is not answered with a permit, because it came too late or could not be recorded, is given back.
#[tokio::test]
async fn what_is_not_kept_is_given_back() {
    let world = world(vec![quota("month", &[Per::Agent], 1)]).await;
    for _ in 0..3 {
        drop(world.check(&Ask::valid()).await.unwrap());
    }
    permitted(&world, &Ask::valid()).await;
    limited(&world, &Ask::valid()).await;
}

/// The cost is the route's, whatever the policies say.
#[tokio::test]
async fn a_route_has_its_cost() {
    let world = world(vec![rate("burst", &[Per::Agent], 5), quota("month", &[Per::Agent], 5)]).await;
    assert_eq!(permitted(&world, &ask_for(DEAR)).await, [2, 2]);
    let limits = limited(&world, &ask_for(DEAR)).await;
    assert_eq!(limits[0].standing.remaining, 2, "some is left, and too little");
    assert_eq!(permitted(&world, &Ask::valid()).await, [1, 1]);
}

/// A limit for some routes charges no others; a limit for all charges these too. A bearer token is charged as well.
#[tokio::test]
async fn a_limit_is_for_its_routes() {
    let lax = LimitRule { routes: Some(vec!["lax".to_owned()]), ..rate("lax", &[Per::Agent], 1) };
    let world = world(vec![lax, rate("all", &[Per::Agent], 9)]).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [8]);
    let bearer = Ask::bearer(&Token::unbound().sign()).to(LAX);
    assert_eq!(permitted(&world, &bearer).await, [0, 7]);
    assert_eq!(limited(&world, &bearer).await.len(), 2);
    assert_eq!(permitted(&world, &Ask::valid()).await, [6]);
}

/// A count belongs to the limit's name and kind, not to its figures.
#[tokio::test]
async fn a_reload_lets_the_count_go_on() {
    let mut world = world(vec![quota("month", &[Per::Agent], 2)]).await;
    permitted(&world, &Ask::valid()).await;
    permitted(&world, &Ask::valid()).await;
    world.generation.limits = Arc::new(LimitRules::new(vec![quota("month", &[Per::Agent], 3)]));
    assert_eq!(permitted(&world, &Ask::valid()).await, [0]);
    world.generation.limits = Arc::new(LimitRules::new(vec![quota("month", &[Per::Agent], 1)]));
    limited(&world, &Ask::valid()).await;
    for (n, rule) in
        [quota("other", &[Per::Agent], 1), quota("month", &[Per::User], 1), rate("month", &[Per::Agent], 1)]
            .into_iter()
            .enumerate()
    {
        world.generation.limits = Arc::new(LimitRules::new(vec![rule]));
        assert_eq!(permitted(&world, &Ask::valid()).await, [0], "{n}: another count");
    }
}

async fn set(world: &World, limit: &str, whose: Whose, figure: Limit) {
    let place = OverridePlace::new(limit, whose).unwrap();
    let note = Note::new(String::new(), "r".to_owned(), "b".to_owned(), at(0)).unwrap();
    world.overrides.set(&LimitOverride { place, figure, until: None, note }, at(0)).await.unwrap();
}

/// What is set otherwise counts for whom it is set, at once: a rate from a full bucket, a quota with what was used.
#[tokio::test]
async fn a_limit_is_set_otherwise_for_somebody() {
    let agent = || Whose::Agent("corp:crm-bot".to_owned());
    let tenant = || Whose::Tenant("acme".to_owned());
    let other_agent = || by("client_id", "other-bot");
    let (rate_of, quota_of) = (|burst| rate("", &[], burst).limit, |units| quota("", &[], units).limit);
    let world = world(vec![rate("one", &[Per::Agent], 1), quota("all", &[Per::Tenant], 100)]).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [0, 99]);
    limited(&world, &Ask::valid()).await;
    set(&world, "one", agent(), rate_of(2)).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [1, 98]);
    assert_eq!(permitted(&world, &Ask::valid()).await, [0, 97]);
    limited(&world, &Ask::valid()).await;
    world.refusal(&other_agent()).await;
    limited(&world, &other_agent()).await;

    // Of a limit that agents share, none has a figure of its own.
    set(&world, "all", agent(), quota_of(1)).await;
    set(&world, "one", agent(), rate_of(9)).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [8, 96]);
    set(&world, "all", tenant(), quota_of(4)).await;
    let violated = limited(&world, &Ask::valid()).await;
    assert!(violated[1].standing.wait.is_some(), "four are used: {violated:?}");
    set(&world, "all", tenant(), quota_of(5)).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [7, 0]);
    // A rate counts for no quota.
    set(&world, "all", tenant(), rate_of(1)).await;
    assert_eq!(permitted(&world, &Ask::valid()).await, [6, 94]);
    // Back at the configured rate, what was used of it is used.
    let place = OverridePlace::new("one", agent()).unwrap();
    let note = Note::new(String::new(), "r".to_owned(), "b".to_owned(), at(0)).unwrap();
    world.overrides.take_back(&place, &note, at(0)).await.unwrap();
    limited(&world, &Ask::valid()).await;
}

/// As long as it was never heard which limits are set otherwise, lower ones may be among them.
#[tokio::test]
async fn what_was_never_heard_of_is_not_taken_for_nothing() {
    let mut world = World::with(Setting { overrides_known: false, ..Setting::default() }).await;
    assert!(world.check(&Ask::valid()).await.is_ok(), "nothing is limited");
    world.generation.limits = Arc::new(LimitRules::new(vec![rate("one", &[Per::Agent], 9)]));
    assert_eq!(world.refusal(&Ask::valid()).await, Refusal::Faulted(Fault::Overrides));
}

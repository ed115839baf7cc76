//! V08: what signals have said of agent, user and session is in the context of the next decision.

use exequatur_decide::{Denial, Fault, Reason, Refusal};
use exequatur_store::{
    Assurance, Attribute, AttributeStore as _, DeviceCompliance, Note, RevocationKind, RiskLevel, Staleness,
    SubjectAttribute,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::ask::{Ask, Proof, Token};
use crate::world::{Setting, World, at, named, policies_and};

const POLICIES: &str = r#"
@id("risky-user") forbid (principal, action, resource)
    when { context.signals.user has risk && context.signals.user.risk == "high" };
@id("risky-agent") forbid (principal, action, resource)
    when { context.signals.agent has risk && context.signals.agent.risk != "low" };
@id("bad-device") forbid (principal, action, resource)
    when { context.signals.session has device && context.signals.session.device == "not_compliant" };
@id("weak-session") forbid (principal, action, resource)
    when { context.signals.session.assurance.contains({ namespace: "NIST-AAL", level: "nist-aal1" }) };
"#;

async fn world(setting: Setting) -> World {
    let mut world = World::with(setting).await;
    world.generation.policies = policies_and(POLICIES);
    world
}

fn ask() -> Ask {
    Ask::signed(&Token::bound().with("sid", json!("s-1")), &Proof::new())
}

async fn tell(
    world: &World,
    (kind, name): (RevocationKind, &str),
    attribute: Attribute,
    seconds: (i64, i64),
) {
    let note = Note::new(name.to_owned(), "a test".to_owned(), "corp".to_owned(), at(0)).unwrap();
    let (subject, times) = (named(kind, name).target(), (at(seconds.0), at(seconds.1)));
    let event = SubjectAttribute::new(subject, attribute, times, note).unwrap();
    world.attributes.set(&event, at(0)).await.unwrap();
}

fn forbidden_by(id: &str) -> Refusal {
    Denial::Forbidden { policies: vec![id.to_owned()] }.into()
}

/// Each attribute of each subject, and for each what differs from it by one thing. The same is asked before and after, so that an
/// answer that is remembered would show.
#[tokio::test]
async fn what_is_said_of_a_subject_counts_for_its_next_request() {
    use RevocationKind::{Agent, Session, User};
    let risk = Attribute::Risk;
    let device = Attribute::Device;
    let assurance = |level: &str| Attribute::Assurance(Assurance::new("NIST-AAL", level).unwrap());
    let (good, bad) = (DeviceCompliance::Compliant, DeviceCompliance::NotCompliant);
    let other = |namespace: &str| Attribute::Assurance(Assurance::new(namespace, "nist-aal1").unwrap());
    let cases = [
        ((User, "corp:alice"), risk(RiskLevel::High), "risky-user"),
        ((Agent, "corp:crm-bot"), risk(RiskLevel::Medium), "risky-agent"),
        ((Session, "corp:s-1"), device(bad), "bad-device"),
        ((Session, "corp:s-1"), assurance("nist-aal1"), "weak-session"),
    ];
    let harmless = [
        ((User, "corp:alice"), risk(RiskLevel::Medium)),
        ((User, "corp:bob"), risk(RiskLevel::High)),
        ((User, "other:alice"), risk(RiskLevel::High)),
        ((User, "corp:crm-bot"), risk(RiskLevel::High)),
        ((Agent, "corp:crm-bot"), risk(RiskLevel::Low)),
        ((Agent, "corp:alice"), risk(RiskLevel::High)),
        ((Session, "corp:s-1"), risk(RiskLevel::High)),
        ((Session, "corp:s-1"), device(good)),
        ((User, "corp:alice"), device(bad)),
        ((Session, "corp:s-2"), device(bad)),
        ((Session, "corp:s-1"), assurance("nist-aal2")),
        ((Session, "corp:s-1"), other("NIST-IAL")),
    ];
    let world = world(Setting::default()).await;
    assert!(world.check(&ask()).await.is_ok());
    for (subject, attribute) in harmless {
        tell(&world, subject, attribute.clone(), (0, 60)).await;
        assert!(world.check(&ask()).await.is_ok(), "{subject:?} {attribute:?}");
    }
    for ((subject, attribute, id), second) in cases.into_iter().zip(1..) {
        tell(&world, subject, attribute, (second, 60)).await;
        assert_eq!(world.refusal(&ask()).await, forbidden_by(id));
        let well = match id {
            "bad-device" => device(good),
            "weak-session" => assurance("nist-aal2"),
            _ => risk(RiskLevel::Low),
        };
        tell(&world, subject, well, (second + 10, 60)).await;
        assert!(world.check(&ask()).await.is_ok(), "{id}");
    }
}

/// What is over holds no more, though nobody says so.
#[tokio::test]
async fn what_is_said_ends() {
    let world = world(Setting::default()).await;
    tell(&world, (RevocationKind::User, "corp:alice"), Attribute::Risk(RiskLevel::High), (0, 5)).await;
    assert_eq!(world.check_at(&ask(), at(4)).await.0.unwrap_err(), forbidden_by("risky-user"));
    assert!(world.check_at(&ask(), at(5)).await.0.is_ok());
}

/// D-07: what is not known is not absent: policies that read it are not asked, others are.
#[tokio::test]
async fn what_was_not_heard_is_not_taken_for_nothing() {
    let seconds = SignedDuration::from_secs;
    let staleness = Staleness { usual: seconds(5), degraded: seconds(60) };
    let setting = || Setting { signals_heard: Some(staleness), ..Setting::default() };
    let (reads, does_not) = (world(setting()).await, World::with(setting()).await);
    let refusal = reads.refusal(&ask()).await;
    assert_eq!(refusal, Fault::Signals.into());
    assert_eq!(refusal.reason(), Reason::StateStale);
    assert!(does_not.check(&ask()).await.is_ok());
}

/// What is said of the agent is said of the one that acts, and nobody who acts stands in for a user.
#[tokio::test]
async fn signals_are_of_the_one_that_acts() {
    use RevocationKind::{Agent, User};
    let world = world(Setting::default()).await;
    let act = |own: bool| {
        let token = Token::bound().with("act", json!({ "sub": "planner" }));
        let token = if own { token.with("gty", json!("client-credentials")) } else { token };
        Ask::signed(&token, &Proof::new())
    };
    // The usual policies permit the client alone.
    let forbidden = |refusal: &Refusal| matches!(refusal, Refusal::Denied(Denial::Forbidden { .. }));
    tell(&world, (Agent, "corp:crm-bot"), Attribute::Risk(RiskLevel::High), (-1, 100)).await;
    tell(&world, (User, "corp:planner"), Attribute::Risk(RiskLevel::High), (-1, 100)).await;
    for own in [false, true] {
        assert!(!forbidden(&world.refusal(&act(own)).await), "own: {own}");
    }
    tell(&world, (Agent, "corp:planner"), Attribute::Risk(RiskLevel::High), (-1, 100)).await;
    assert_eq!(world.refusal(&act(false)).await, forbidden_by("risky-agent"));
}

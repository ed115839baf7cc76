//! What is revoked is stopped at its next use, with its reason; what differs from it by one thing passes.

use exequatur_decide::{Denial, Fault, Reason, Refusal, Revocable, RevocationFact};
use exequatur_store::{Form, Lift, RevocationKind, Unknown};
use jiff::SignedDuration;
use serde_json::json;

use crate::ask::{API, Ask, NOW, Proof, READ, Token};
use crate::key::{Key, digest};
use crate::world::{Setting, World, at, named};

fn token() -> Token {
    Token::bound()
        .with("sid", json!("s-1"))
        .with("act", json!({"sub": "crm-bot", "act": {"sub": "planner", "act": {"sub": "intake"}}}))
}

fn ask(token: &Token) -> Ask {
    Ask::signed(token, &Proof::new())
}

fn thumbprint() -> String {
    Key::agent().thumbprint
}

/// A name of each kind that [`token`] rests on; one that it does not rest on; the reason.
fn kinds() -> Vec<(Revocable, Revocable, Reason)> {
    let stranger = Key::stranger().thumbprint;
    let pair = |kind, name: &str, other: &str, reason| (named(kind, name), named(kind, other), reason);
    vec![
        pair(RevocationKind::TokenId, "corp:t-1", "corp:t-2", Reason::TokenRevoked),
        pair(RevocationKind::TokenId, "corp:t-1", "other:t-1", Reason::TokenRevoked),
        pair(RevocationKind::Key, &thumbprint(), &stranger, Reason::KeyRevoked),
        pair(RevocationKind::Agent, "corp:crm-bot", "corp:crm-bot2", Reason::AgentRevoked),
        pair(RevocationKind::Agent, "corp:planner", "other:planner", Reason::AgentRevoked),
        pair(RevocationKind::Agent, "corp:intake", "corp:Intake", Reason::AgentRevoked),
        pair(RevocationKind::User, "corp:alice", "corp:bob", Reason::UserRevoked),
        pair(RevocationKind::Session, "corp:s-1", "corp:s-2", Reason::SessionRevoked),
        pair(RevocationKind::Client, "corp:crm-bot", "other:crm-bot", Reason::ClientRevoked),
        pair(RevocationKind::Tenant, "acme", "globex", Reason::TenantRevoked),
        pair(RevocationKind::Issuer, "corp", "other", Reason::IssuerRevoked),
    ]
}

fn reason(refusal: &Refusal) -> Reason {
    assert!(matches!(refusal, Refusal::Denied(Denial::Revoked(_))), "{refusal:?}");
    refusal.reason()
}

/// D-06, D-07, G26: each kind, and for each what differs from it by one thing. The token is known from its first use
/// on: a cached token is checked at every use (G27).
#[tokio::test]
async fn each_kind_stops_what_rests_on_it_and_nothing_else() {
    for (name, other, expected) in kinds() {
        let world = World::new().await;
        let token = token().sign();
        let ask = || Ask::dpop(&token, &Proof::new().sign(&token));
        world.revoke(&other, Form::Total).await;
        let (first, facts) = world.check_at(&ask(), at(0)).await;
        assert!(first.is_ok(), "{other} stops {name}");
        assert_eq!(facts.revocation, Some(RevocationFact::Clear));

        world.revoke(&name, Form::Total).await;
        let (refused, facts) = world.check_at(&ask(), at(0)).await;
        assert_eq!(reason(&refused.unwrap_err()), expected, "{name}");
        assert_eq!((facts.token_cached, facts.revocation), (Some(true), Some(RevocationFact::Revoked)));
        // A proof that is refused for this was not used up, and no store was asked.
        assert_eq!((facts.replay, world.live_proofs().await), (None, 1), "{name}");

        world.lift(&name, Lift::Revocation).await;
        assert!(world.check(&ask()).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn the_kill_switch_stops_everything() {
    let world = World::new().await;
    world.revoke(&Revocable::all(), Form::Total).await;
    assert_eq!(reason(&world.refusal(&ask(&token())).await), Reason::Killed);
    let health = Ask::anonymous().to("/healthz");
    assert!(world.check(&health).await.is_ok(), "what is public rests on nobody");
    world.lift(&Revocable::all(), Lift::Revocation).await;
    assert!(world.check(&ask(&token())).await.is_ok());
}

/// A token that rests on less is asked about less, and a kind that it does not name cannot stop it.
#[tokio::test]
async fn what_a_token_does_not_name_does_not_stop_it() {
    let world = World::new().await;
    for (kind, name) in [
        (RevocationKind::Session, "corp:s-1"),
        (RevocationKind::Agent, "corp:planner"),
        (RevocationKind::Agent, "corp:alice"),
        (RevocationKind::User, "corp:crm-bot"),
    ] {
        world.revoke(&named(kind, name), Form::Total).await;
    }
    assert!(world.check(&Ask::valid()).await.is_ok());
    assert_eq!(reason(&world.refusal(&ask(&token())).await), Reason::AgentRevoked);
}

/// A certificate is a key too.
#[tokio::test]
async fn a_certificate_is_revoked_by_its_thumbprint() {
    let world = World::new().await;
    let thumbprint = digest(b"certificate");
    let token = Token::unbound().with("cnf", json!({"x5t#S256": digest(crate::denials::DER)})).sign();
    let ask =
        Ask::bearer(&token).to("/tenants/acme/certified/internal/1").certificate(crate::denials::CERTIFICATE);
    world.revoke(&named(RevocationKind::Key, &thumbprint), Form::Total).await;
    assert!(world.check(&ask).await.is_ok());
    world.revoke(&named(RevocationKind::Key, &digest(crate::denials::DER)), Form::Total).await;
    assert_eq!(reason(&world.refusal(&ask).await), Reason::KeyRevoked);
}

/// V05: whatever was issued until then; a token that is fetched anew passes. G26: of the same user, any token.
#[tokio::test]
async fn a_watermark_goes_by_when_the_token_was_issued() {
    let world = World::new().await;
    world.revoke(&named(RevocationKind::User, "corp:alice"), Form::IssuedUntil(at(-10))).await;
    for (iat, jti, passes) in [(-60, "t-1", false), (-10, "t-2", false), (-9, "t-3", true), (0, "t-4", true)]
    {
        let token = token().with("iat", json!(NOW + iat)).with("jti", json!(jti));
        let result = world.check(&ask(&token)).await;
        assert_eq!(result.is_ok(), passes, "{iat}");
        if let Err(refusal) = result {
            assert_eq!(reason(&refusal), Reason::UserRevoked);
        }
    }
}

/// A suspension has its own reason for an agent, and its own way back.
#[tokio::test]
async fn a_suspended_agent_comes_back() {
    let world = World::new().await;
    for name in ["corp:crm-bot", "corp:planner"] {
        let agent = named(RevocationKind::Agent, name);
        world.revoke(&agent, Form::Suspension).await;
        assert_eq!(reason(&world.refusal(&ask(&token())).await), Reason::AgentSuspended, "{name}");
        world.lift(&agent, Lift::Revocation).await;
        assert_eq!(reason(&world.refusal(&ask(&token())).await), Reason::AgentSuspended, "{name}");
        world.lift(&agent, Lift::Suspension).await;
        assert!(world.check(&ask(&token())).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn a_token_is_named_by_what_records_show_of_it() {
    let world = World::new().await;
    let (_, facts) = world.check_at(&ask(&token()), at(0)).await;
    let shown = format!("corp:{}", facts.token_id_digest.unwrap());
    world.revoke(&Revocable::token_by_digest(&shown).unwrap(), Form::Total).await;
    assert_eq!(reason(&world.refusal(&ask(&token())).await), Reason::TokenRevoked);
}

/// Requirements come before revocation, revocation before replay: a replayed proof of a revoked token names the
/// revocation, a token of another tenant the tenant.
#[tokio::test]
async fn revocation_has_its_place_in_the_order() {
    let world = World::new().await;
    let used = ask(&token());
    world.check(&used).await.unwrap();
    world.revoke(&named(RevocationKind::User, "corp:alice"), Form::Total).await;
    assert_eq!(reason(&world.refusal(&used).await), Reason::UserRevoked);
    let elsewhere = token().with("tenant", json!("globex"));
    assert_eq!(world.refusal(&ask(&elsewhere)).await, Denial::TenantMismatch.into());
    let forbidden = "/tenants/acme/documents/secret/1";
    let proof = Proof::new().with("htu", format!("{API}{forbidden}"));
    assert_eq!(
        reason(&world.refusal(&Ask::signed(&token(), &proof).to(forbidden)).await),
        Reason::UserRevoked
    );
}

/// C-28: what is not known is not allowed, for a bearer token as for a proof; nothing is claimed meanwhile.
#[tokio::test]
async fn revocations_that_are_not_known_are_a_fault() {
    let max_staleness = Some(SignedDuration::from_secs(5));
    let world = World::with(Setting { max_staleness, ..Setting::default() }).await;
    let bearer = Ask::bearer(&Token::unbound().sign()).to(&READ.replace("documents", "lax"));
    for (heard, now, unknown) in [
        (None, 0, Some(Unknown::NeverLoaded)),
        (Some(0), 0, None),
        (Some(0), 5, None),
        (Some(0), 6, Some(Unknown::Silent)),
        (Some(6), 6, None),
    ] {
        if let Some(heard) = heard {
            world.snapshot().heard(at(heard));
        }
        for ask in [ask(&token()), bearer.clone()] {
            let (result, facts) = world.check_at(&ask, at(now)).await;
            match unknown {
                None => assert!(result.is_ok(), "{now}"),
                Some(unknown) => {
                    let refusal = result.unwrap_err();
                    assert_eq!(refusal, Fault::Revocations(unknown).into());
                    assert_eq!(refusal.reason(), Reason::StateStale);
                    assert_eq!(facts.revocation, Some(RevocationFact::Unknown));
                    assert_eq!(facts.replay, None);
                }
            }
        }
    }
}

/// product.md, "What is unknown is not allowed": where the configuration accepts it, a silent feed is put up with until a
/// bound, and each decision says so. What was revoked stays revoked.
#[tokio::test]
async fn a_silence_that_is_put_up_with_is_marked_and_ends() {
    let setting = Setting {
        max_staleness: Some(SignedDuration::from_secs(5)),
        degraded: SignedDuration::from_secs(8),
        ..Setting::default()
    };
    let world = World::with(setting).await;
    world.snapshot().heard(at(0));
    let bearer = Ask::bearer(&Token::unbound().sign()).to(&READ.replace("documents", "lax"));
    for (now, expected) in [
        (5, Some(RevocationFact::Clear)),
        (6, Some(RevocationFact::Degraded)),
        (8, Some(RevocationFact::Degraded)),
        (9, Some(RevocationFact::Unknown)),
    ] {
        let (result, facts) = world.check_at(&bearer, at(now)).await;
        assert_eq!(result.is_ok(), now <= 8, "{now}");
        assert_eq!(facts.revocation, expected, "{now}");
    }
}

//! How, and how recently, the user was authenticated (S01): one token that does, and some that differ in one thing.

use exequatur_decide::{Denial, Refusal, RequirementFact, StepUp};
use exequatur_token::TokenError;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::ask::{API, Ask, NOW, Proof, Token};
use crate::world::{World, at};

fn ask(kind: &str, claims: &[(&str, Value)]) -> Ask {
    let token = claims.iter().fold(Token::bound(), |token, (name, value)| token.with(name, value.clone()));
    let target = format!("/tenants/acme/{kind}/internal/1");
    Ask::signed(&token, &Proof::new().with("htu", format!("{API}{target}"))).to(&target)
}

fn required(acr_values: &[&str], max_age: Option<i64>) -> Refusal {
    let acr_values = acr_values.iter().map(|value| (*value).to_owned()).collect();
    Denial::StepUpRequired(StepUp { acr_values, max_age: max_age.map(SignedDuration::from_secs) }).into()
}

#[tokio::test]
async fn s01_the_class_is_one_of_those_that_suffice() {
    let world = World::new().await;
    for acr in ["gold", "platinum"] {
        world.check(&ask("classed", &[("acr", json!(acr))])).await.unwrap();
    }
    let needed = required(&["gold", "platinum"], None);
    for (name, claims) in [
        ("another", vec![("acr", json!("silver"))]),
        ("another case", vec![("acr", json!("Gold"))]),
        ("more than one", vec![("acr", json!("gold platinum"))]),
        ("a beginning", vec![("acr", json!("gol"))]),
        ("none", vec![]),
        ("methods alone", vec![("amr", json!(["gold"]))]),
        ("a time alone", vec![("auth_time", json!(NOW))]),
    ] {
        let (result, facts) = world.check_at(&ask("classed", &claims), at(0)).await;
        assert_eq!(result.unwrap_err(), needed, "{name}");
        assert_eq!(facts.step_up, Some(RequirementFact::Unmet), "{name}");
    }
}

#[tokio::test]
async fn s01_the_authentication_is_recent() {
    let world = World::new().await;
    for time in [NOW - 300, NOW, NOW + 60] {
        let (result, facts) = world.check_at(&ask("fresh", &[("auth_time", json!(time))]), at(0)).await;
        result.unwrap();
        assert_eq!(facts.step_up, Some(RequirementFact::Met), "{time}");
    }
    let needed = required(&[], Some(300));
    for (name, claims) in [
        ("a second too long ago", vec![("auth_time", json!(NOW - 301))]),
        ("a part of it", vec![("auth_time", json!(1_799_999_699.5))]),
        ("none", vec![]),
        ("a class alone", vec![("acr", json!("gold"))]),
        ("a new token alone", vec![("iat", json!(NOW))]),
    ] {
        assert_eq!(world.refusal(&ask("fresh", &claims)).await, needed, "{name}");
    }
    let ahead = ask("fresh", &[("auth_time", json!(NOW + 61))]);
    assert!(matches!(
        world.refusal(&ahead).await,
        Refusal::Denied(Denial::Token(TokenError::ClaimInvalid(_)))
    ));
}

/// A token that is remembered as verified is as old as it is.
#[tokio::test]
async fn s01_the_time_goes_on() {
    let world = World::new().await;
    let token = Token::bound().with("auth_time", json!(NOW - 290)).sign();
    let target = "/tenants/acme/fresh/internal/1";
    let ask = |iat: i64| {
        let proof = Proof::new().with("htu", format!("{API}{target}")).with("iat", iat).sign(&token);
        Ask::anonymous().to(target).header("authorization", &format!("DPoP {token}")).header("dpop", &proof)
    };
    world.check(&ask(NOW)).await.unwrap();
    let (result, facts) = world.check_at(&ask(NOW + 10), at(10)).await;
    result.unwrap();
    assert_eq!(facts.token_cached, Some(true));
    let (result, _) = world.check_at(&ask(NOW + 11), at(11)).await;
    assert_eq!(result.unwrap_err(), required(&[], Some(300)));
}

/// The order of requirements: tenant, scopes, step-up, authorization details. The next one is told once the one before is met.
#[tokio::test]
async fn s01_each_requirement_has_its_turn() {
    let world = World::new().await;
    let mut claims = vec![
        ("tenant", json!("globex")),
        ("scope", json!("documents")),
        ("auth_time", json!(NOW - 301)),
        ("acr", json!("gold")),
    ];
    assert_eq!(world.refusal(&ask("strong", &claims)).await, Denial::TenantMismatch.into());
    claims.push(("tenant", json!("acme")));
    let needed = vec!["documents:read".to_owned()];
    assert_eq!(world.refusal(&ask("strong", &claims)).await, Denial::ScopeInsufficient { needed }.into());
    claims.push(("scope", json!("documents:read")));
    assert_eq!(world.refusal(&ask("strong", &claims)).await, required(&["gold"], Some(300)));
    claims.push(("auth_time", json!(NOW - 300)));
    claims.push(("acr", json!("silver")));
    assert_eq!(world.refusal(&ask("strong", &claims)).await, required(&["gold"], Some(300)));
    claims.push(("acr", json!("gold")));
    let insufficient = Denial::AuthorizationDetailsInsufficient;
    assert_eq!(world.refusal(&ask("strong", &claims)).await, insufficient.into());
    assert_eq!(world.live_proofs().await, 0, "a refused proof is not claimed (G10)");
    claims.push(("authorization_details", json!([{ "type": "document" }])));
    world.check(&ask("strong", &claims)).await.unwrap();
}

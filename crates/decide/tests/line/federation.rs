//! D-20: a token reaches another tenant's resource by a rule of the configuration and a permit that knows of it, or not at all.

use std::collections::BTreeMap;

use exequatur_decide::{Denial, Facts, Federation, Federations, Reason, Refusal, TenantTraits, Tenants};
use exequatur_store::{Form, Lift, RevocationKind};
use serde_json::json;

use crate::ask::{API, Ask, Proof, Token};
use crate::world::{World, at, named, policies_and};

const PARTNERS: &str = r#"
@id("partners-read")
permit (principal, action == Action::"ReadDocument", resource)
when { context has federation && context.federation == "partners" };
@id("of-one-region")
forbid (principal, action == Action::"ReadDocument", resource)
when { context has federation && context has tenant && context.tenant has region && context has resource_tenant &&
       context.resource_tenant has region && context.tenant.region != context.resource_tenant.region };
@id("restricted-own")
forbid (principal, action == Action::"ReadDocument", resource)
when { context has tenant && context.tenant has classification && context.tenant.classification == "closed" };
"#;

fn rule(name: &str, from: &str, to: &str, routes: &[&str]) -> Federation {
    let routes = routes.iter().map(|&route| route.to_owned()).collect();
    Federation { name: name.to_owned(), from: from.to_owned(), to: to.to_owned(), routes }
}

/// acme's tokens may ask for globex's documents, by one route.
async fn world() -> World {
    let mut world = World::new().await;
    world.generation.policies = policies_and(PARTNERS);
    world.generation.federations = Federations::new(vec![rule("partners", "acme", "globex", &["documents"])]);
    world
}

fn traits(classification: Option<&str>, region: Option<&str>) -> TenantTraits {
    let text = |text: &str| text.to_owned();
    TenantTraits { classification: classification.map(text), region: region.map(text) }
}

fn target(tenant: &str, route: &str) -> String {
    format!("/tenants/{tenant}/{route}/internal/1")
}

fn ask(token: &Token, target: &str) -> Ask {
    Ask::signed(token, &Proof::new().with("htu", format!("{API}{target}"))).to(target)
}

/// What a token of `own` gets at `target`.
async fn outcome(world: &World, own: Option<&str>, target: &str) -> (Option<Refusal>, Facts) {
    let token = Token::bound().with("tenant", json!(own.unwrap_or("acme")));
    let token = if own.is_some() { token } else { without_tenant(token) };
    let (result, facts) = world.check_at(&ask(&token, target), at(0)).await;
    (result.err(), facts)
}

fn without_tenant(mut token: Token) -> Token {
    token.claims.as_object_mut().unwrap().remove("tenant");
    token
}

#[tokio::test]
async fn a_rule_leads_one_way_and_by_its_routes() {
    let world = world().await;
    let mismatch: Option<Refusal> = Some(Denial::TenantMismatch.into());
    let (refusal, facts) = outcome(&world, Some("acme"), &target("globex", "documents")).await;
    assert_eq!(refusal, None);
    assert_eq!((facts.federation.as_deref(), facts.tenant.as_deref()), (Some("partners"), Some("acme")));
    assert_eq!(facts.policies, ["partners-read"]);
    // Within the tenant nothing is federated, and the permit of federations is none.
    let (refusal, facts) = outcome(&world, Some("acme"), &target("acme", "documents")).await;
    assert_eq!((refusal, facts.federation), (None, None));
    assert_eq!(facts.policies, ["crm-bot-reads"]);
    for (own, to) in [
        (Some("acme"), target("globex", "either")),
        (Some("acme"), target("globex", "dear")),
        (Some("globex"), target("acme", "documents")),
        (Some("acme"), target("initech", "documents")),
        (Some("initech"), target("globex", "documents")),
        (Some("acme"), target("Globex", "documents")),
        (Some("Acme"), target("globex", "documents")),
        (None, target("globex", "documents")),
    ] {
        let (refusal, facts) = outcome(&world, own, &to).await;
        assert_eq!(refusal, mismatch, "{own:?} {to}");
        assert_eq!((facts.federation, facts.policies), (None, Vec::new()), "{own:?} {to}");
    }
}

#[tokio::test]
async fn without_the_policy_a_rule_opens_nothing() {
    let mut world = world().await;
    world.generation.policies = policies_and("");
    let (refusal, facts) = outcome(&world, Some("acme"), &target("globex", "documents")).await;
    assert_eq!(refusal.map(|refusal| refusal.reason()), Some(Reason::PolicyNoPermit));
    assert_eq!(facts.federation.as_deref(), Some("partners"));
    // Another rule's name is not the policy's.
    world.generation.policies = policies_and(PARTNERS);
    world.generation.federations = Federations::new(vec![rule("others", "acme", "globex", &["documents"])]);
    let (refusal, _facts) = outcome(&world, Some("acme"), &target("globex", "documents")).await;
    assert_eq!(refusal.map(|refusal| refusal.reason()), Some(Reason::PolicyNoPermit));
}

/// What is asked within a tenant and under a federation are two questions, in either order, though answers are remembered.
#[tokio::test]
async fn an_answer_under_a_federation_is_for_it_alone() {
    let mut world = world().await;
    let cross = target("globex", "documents");
    for _ in 0..2 {
        assert_eq!(outcome(&world, Some("acme"), &cross).await.1.policies, ["partners-read"]);
        assert_eq!(outcome(&world, Some("globex"), &cross).await.1.policies, ["crm-bot-reads"]);
    }
    // The rule is gone, and with it what was remembered.
    world.generation.federations = Federations::default();
    let (refusal, _facts) = outcome(&world, Some("acme"), &cross).await;
    assert_eq!(refusal, Some(Denial::TenantMismatch.into()));
}

/// D-06: who stops a tenant stops what others do there too, and nothing else of them.
#[tokio::test]
async fn a_stopped_tenant_is_reached_by_nobody() {
    let world = world().await;
    let (globex, initech) =
        (named(RevocationKind::Tenant, "globex"), named(RevocationKind::Tenant, "initech"));
    let (cross, own) = (target("globex", "documents"), target("acme", "documents"));
    world.revoke(&initech, Form::Total).await;
    assert_eq!(outcome(&world, Some("acme"), &cross).await.0, None);
    world.revoke(&globex, Form::Total).await;
    let (refusal, _facts) = outcome(&world, Some("acme"), &cross).await;
    assert_eq!(refusal.map(|refusal| refusal.reason()), Some(Reason::TenantRevoked));
    assert_eq!(outcome(&world, Some("acme"), &own).await.0, None, "acme goes on at home");
    world.lift(&globex, Lift::Revocation).await;
    assert_eq!(outcome(&world, Some("acme"), &cross).await.0, None);
    // And who stops the tenant of the token stops it everywhere.
    world.revoke(&named(RevocationKind::Tenant, "acme"), Form::Total).await;
    let (refusal, _facts) = outcome(&world, Some("acme"), &cross).await;
    assert_eq!(refusal.map(|refusal| refusal.reason()), Some(Reason::TenantRevoked));
}

#[tokio::test]
async fn policies_know_what_is_said_of_both_tenants() {
    let mut world = world().await;
    let said = |acme, globex| {
        Tenants::new(BTreeMap::from([("acme".to_owned(), acme), ("globex".to_owned(), globex)]))
    };
    let cross = target("globex", "documents");
    for (number, acme, globex, expected) in [
        (2, traits(None, Some("eu")), traits(None, Some("eu")), &["partners-read"][..]),
        (3, traits(None, Some("eu")), traits(None, Some("us")), &["of-one-region"]),
        (4, traits(None, Some("us")), traits(None, Some("us")), &["partners-read"]),
        (5, traits(Some("closed"), None), traits(Some("open"), None), &["restricted-own"]),
        (6, traits(Some("open"), None), traits(Some("closed"), None), &["partners-read"]),
    ] {
        world.generation.tenants = said(acme, globex);
        // As every change of the configuration does: a verified token holds what was said of its tenant.
        world.generation.configuration = [number; 32];
        let (_refusal, facts) = outcome(&world, Some("acme"), &cross).await;
        assert_eq!(facts.policies, expected, "{number}");
    }
}

use cedar_policy::Request;

use super::*;
use crate::question::{Granted, Identity, TenantFact, TokenSource, Who};
use crate::schema::MergedSchema;
use crate::source::Source;
use crate::testing::{SCHEMA, question, set, shelf};

// Decisions do not let Cedar check questions against the schema: that would cost more than the
// decision. This is what justifies it.
#[test]
fn what_is_asked_conforms_to_the_schema() {
    let schema = MergedSchema::load(&[Source::new("s", SCHEMA)]).unwrap().cedar;
    let set = set(r#"@id("all") permit (principal, action, resource);"#);
    let mut questions = vec![question()];
    let mut full = question();
    let of_acme = |id| Principal { id, issuer: "corp", tenant: Some("acme") };
    let acme = TenantFact { name: "acme", classification: Some("restricted"), region: Some("eu") };
    full.who = Who::Named(Identity {
        actor: of_acme("corp:planner"),
        client: of_acme("corp:bot"),
        user: Some(of_acme("corp:alice")),
        tenant: Some(acme),
        prior: &["corp:front-desk", "corp:first"],
    });
    full.resource.tenant = Some(TenantFact { region: Some("us"), ..TenantFact::named("globex") });
    full.context.delegation_depth = 3;
    full.context.federation = Some("acme-globex");
    full.context.token_source = TokenSource::Introspection;
    full.context.authentication =
        AuthenticationFacts { acr: Some("silver"), methods: vec!["pwd", "otp"], age_s: Some(60) };
    full.context.authorization_details = vec![AuthorizationDetail {
        kind: "files",
        granted: Granted::Privileges(vec!["owner"]),
        identifier: Some("a"),
    }];
    full.resource.attributes.extend([
        ("labels".to_owned(), AttributeValue::Set(vec![AttributeValue::String("x".to_owned())])),
        ("open".to_owned(), AttributeValue::Bool(true)),
        ("colour".to_owned(), AttributeValue::Entity { kind: "Colour".to_owned(), id: "red".to_owned() }),
    ]);
    questions.push(full);
    let mut bare = question();
    let agent = Principal { id: "corp:bot", issuer: "corp", tenant: None };
    bare.who = Who::Named(Identity { actor: agent, client: agent, user: None, tenant: None, prior: &[] });
    bare.context.scopes.clear();
    bare.resource.attributes.retain(|(name, _)| name == "size");
    questions.push(bare);
    let mut of_shelf = question();
    of_shelf.resource = shelf();
    of_shelf.resource.tenant = Some(TenantFact::named("acme"));
    questions.push(of_shelf);

    for question in questions {
        let action = set.slices.action(question.action).unwrap();
        let slice = action.on(question.resource.kind).unwrap();
        let subject = Subject::of(&set.types, &question.who).unwrap();
        let asked =
            Asked::new(&set.types, &question, &subject, action, &slice.resource, &Needs::all()).unwrap();
        let entities = asked.entities.iter().cloned();
        Entities::from_entities(entities, Some(&schema)).unwrap();
        let principal = subject.actor.own();
        let request =
            Request::new(principal, action.uid.clone(), asked.resource, asked.context, Some(&schema));
        assert!(request.is_ok(), "{:?}", request.err());
    }
}

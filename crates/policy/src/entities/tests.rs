use cedar_policy::Request;

use super::*;
use crate::question::Identity;
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
    full.context.actor = Some("planner");
    full.resource.attributes.extend([
        ("labels".to_owned(), AttributeValue::Set(vec![AttributeValue::String("x".to_owned())])),
        ("open".to_owned(), AttributeValue::Bool(true)),
        ("colour".to_owned(), AttributeValue::Entity { kind: "Colour".to_owned(), id: "red".to_owned() }),
    ]);
    questions.push(full);
    let mut bare = question();
    let agent = Principal { id: "corp:bot", issuer: "corp", tenant: None };
    bare.who = Who::Named(Identity { agent, user: None, tenant: None });
    bare.context.scopes.clear();
    bare.resource.attributes.retain(|(name, _)| name == "size");
    questions.push(bare);
    let mut of_shelf = question();
    of_shelf.resource = shelf();
    of_shelf.resource.tenant = Some("acme");
    questions.push(of_shelf);

    for question in questions {
        let action = set.slices.action(question.action).unwrap();
        let slice = action.on(question.resource.kind).unwrap();
        let asked = Asked::new(&set.types, &question, action, &slice.resource, &Needs::all()).unwrap();
        let entities = asked.entities.iter().cloned();
        Entities::from_entities(entities, Some(&schema)).unwrap();
        let request =
            Request::new(asked.principal, action.uid.clone(), asked.resource, asked.context, Some(&schema));
        assert!(request.is_ok(), "{:?}", request.err());
    }
}

use super::*;
use crate::testing::{question, set, shelf, user};
use crate::{AttributeValue, Identity, Principal, Who};

const OVERFLOW: &str = "context.token.age * 9223372036854775807 > 0";

fn ids(answer: &Answer) -> Vec<&str> {
    answer.policies().iter().map(|id| &**id).collect()
}

#[test]
fn forbid_wins_and_each_answer_names_its_policies() {
    let permits = r#"
        @id("b") permit (principal, action, resource);
        @id("a") permit (principal, action == Action::"Read", resource == File::"a");
    "#;
    let answer = set(permits).decide(&question()).unwrap();
    assert!(matches!(answer, Answer::Permit(_)));
    assert_eq!(ids(&answer), ["a", "b"]);

    let forbid = r#"@id("c") forbid (principal, action, resource in Exequatur::Tenant::"acme");"#;
    let answer = set(&format!("{permits}{forbid}")).decide(&question()).unwrap();
    assert_eq!(answer, Answer::Forbid { policies: vec!["c".into()] });

    let answer =
        set(r#"@id("d") permit (principal, action == Action::"Write", resource);"#).decide(&question());
    assert_eq!(answer, Ok(Answer::NoPermit));
}

// Cedar passes over what fails, so that a failing `forbid` would open the door.
#[test]
fn a_failing_policy_is_a_fault_whatever_the_others_say() {
    let failing = [("forbid", ""), ("permit", ""), ("forbid", "== File::\"a\"")];
    let others = ["", "permit (principal, action, resource);", "forbid (principal, action, resource);"];
    for (effect, scope) in failing {
        for other in others {
            let other = if other.is_empty() { String::new() } else { format!("@id(\"other\") {other}") };
            let text = format!(
                "@id(\"bad\") {effect} (principal, action, resource {scope}) when {{ {OVERFLOW} }}; {other}"
            );
            let answer = set(&text).decide(&question());
            assert_eq!(answer, Err(PolicyFault::Evaluation { policies: vec!["bad".into()] }), "{text}");
        }
    }
}

#[test]
fn a_policy_of_another_action_cannot_fail_this_one() {
    let text = format!(
        "@id(\"bad\") forbid (principal, action == Action::\"Write\", resource) when {{ {OVERFLOW} }};
         @id(\"good\") permit (principal, action == Action::\"Read\", resource);"
    );
    assert_eq!(ids(&set(&text).decide(&question()).unwrap()), ["good"]);
}

#[test]
fn every_fact_reaches_the_policies() {
    let conditions = [
        r#"principal == Exequatur::Agent::"corp:bot""#,
        r#"principal.issuer == "corp""#,
        r#"principal in Exequatur::Tenant::"acme""#,
        r#"principal has tenant && principal.tenant == resource.tenant"#,
        r#"context has user && context.user == Exequatur::User::"corp:alice""#,
        r#"context has user && context.user has tenant && context.user.tenant == Exequatur::Tenant::"acme""#,
        r#"context has user && context.user in Exequatur::Tenant::"acme""#,
        r#"context has user && context.user.issuer == "corp""#,
        r#"context has user && resource has owner && context.user == resource.owner"#,
        r#"context has tenant && context.tenant == Exequatur::Tenant::"acme""#,
        r#"resource == File::"a" && resource in Exequatur::Tenant::"acme""#,
        r#"resource.size == 10 && !(resource has labels)"#,
        r#"action in Action::"Anything""#,
        r#"context.now == datetime("2026-03-04T12:00:00.000Z")"#,
        r#"context.scopes == ["files:read"]"#,
        r#"context.sender_constraint == "dpop""#,
        r#"context.method == "GET" && context.route == "read-file""#,
        r#"context.token.age == 30 && context.token.remaining == 270"#,
        r#"context.delegation.depth == 0 && !(context.delegation has actor)"#,
    ];
    for condition in conditions {
        let text = format!(
            "@id(\"it\") permit (principal, action in Action::\"Anything\", resource is File) when {{ {condition} }};"
        );
        assert_eq!(ids(&set(&text).decide(&question()).unwrap()), ["it"], "{condition}");
    }
}

/// What is left out because nothing reads it must not be missed by a name that Cedar takes for the action asked.
#[test]
fn the_groups_of_an_action_are_known_by_its_name_too() {
    let text = r#"
        @id("all") permit (principal, action, resource);
        @id("stop") forbid (principal, action == Action::"Read", resource)
        when { Action::"Read" in Action::"Anything" };
    "#;
    assert_eq!(set(text).decide(&question()), Ok(Answer::Forbid { policies: vec!["stop".into()] }));
}

#[test]
fn absent_facts_are_absent() {
    let mut bare = question();
    let agent = Principal { id: "corp:bot", issuer: "corp", tenant: None };
    bare.who = Who::Named(Identity { agent, user: None, tenant: None });
    bare.context.scopes.clear();
    bare.context.actor = Some("planner");
    let text = r#"@id("it") permit (principal, action, resource) when {
        !(context has user) && !(context has tenant) && !(principal has tenant) &&
        !(principal in Exequatur::Tenant::"acme") && context.scopes.isEmpty() &&
        context.delegation has actor && context.delegation.actor == "planner" };"#;
    assert_eq!(ids(&set(text).decide(&bare).unwrap()), ["it"]);
}

#[test]
fn actions_of_a_namespace_are_asked_by_their_full_name() {
    let text = r#"@id("it") permit (principal, action == Deep::Down::Action::"turn it", resource);"#;
    let mut asked = question();
    asked.resource = shelf();
    asked.action = r#"Deep::Down::Action::"turn it""#;
    assert_eq!(ids(&set(text).decide(&asked).unwrap()), ["it"]);
    asked.action = "turn it";
    assert_eq!(set(text).decide(&asked), Err(QuestionMisfit::ActionUnknown.into()));
}

#[test]
fn a_question_that_does_not_fit_the_schema_is_a_fault() {
    let colour = |id: &str| AttributeValue::Entity { kind: "Colour".to_owned(), id: id.to_owned() };
    let set = set(r#"@id("all") permit (principal, action, resource);"#);
    let with = |name: &str, value: AttributeValue| {
        let mut asked = question();
        asked.resource.attributes.push((name.to_owned(), value));
        set.decide(&asked)
    };
    let misfit = |misfit: QuestionMisfit| Err(PolicyFault::Question(misfit));
    let text = |text: &str| AttributeValue::String(text.to_owned());

    assert_eq!(with("lables", text("x")), misfit(QuestionMisfit::AttributeUnknown("lables".to_owned())));
    assert_eq!(with("labels", text("x")), misfit(QuestionMisfit::AttributeType("labels".to_owned())));
    let mixed = AttributeValue::Set(vec![text("x"), AttributeValue::Long(1)]);
    assert_eq!(with("labels", mixed), misfit(QuestionMisfit::AttributeType("labels".to_owned())));
    assert_eq!(with("origin", text("10.0.0.1")), misfit(QuestionMisfit::AttributeType("origin".to_owned())));
    assert_eq!(with("colour", colour("blue")), misfit(QuestionMisfit::AttributeType("colour".to_owned())));
    assert_eq!(with("colour", user("red")), misfit(QuestionMisfit::AttributeType("colour".to_owned())));
    assert_eq!(
        with("size", AttributeValue::Long(1)),
        misfit(QuestionMisfit::AttributeTwice("size".to_owned()))
    );
    assert_eq!(with("tenant", text("acme")), misfit(QuestionMisfit::AttributeUnknown("tenant".to_owned())));
    assert!(with("colour", colour("red")).is_ok());
    assert!(with("labels", AttributeValue::Set(vec![text("x")])).is_ok());
    assert!(with("open", AttributeValue::Bool(true)).is_ok());

    let changed = |change: fn(&mut Question<'static>)| {
        let mut asked = question();
        change(&mut asked);
        set.decide(&asked)
    };
    let missing = |name: &str| misfit(QuestionMisfit::AttributeMissing(name.to_owned()));
    assert_eq!(changed(|it| it.action = "Reed"), misfit(QuestionMisfit::ActionUnknown));
    assert_eq!(changed(|it| it.action = "Anything"), misfit(QuestionMisfit::ActionUnknown));
    assert_eq!(changed(|it| it.resource.kind = "Fiel"), misfit(QuestionMisfit::ResourceUnknown));
    assert_eq!(changed(|it| it.resource.tenant = None), missing("tenant"));
    assert_eq!(changed(|it| it.resource.attributes.clear()), missing("size"));
}

/// V08: what is not known is not absent; who does not ask for it is answered.
#[test]
fn signals_that_are_not_known_are_a_fault_where_they_are_read() {
    let read = r#"@id("it") permit (principal, action, resource) unless { context.signals.user has risk };"#;
    let unread = r#"@id("it") permit (principal, action, resource);"#;
    let mut asked = question();
    assert_eq!(ids(&set(read).decide(&asked).unwrap()), ["it"]);
    asked.context.signals = None;
    assert_eq!(set(read).decide(&asked), Err(PolicyFault::SignalsUnknown));
    assert_eq!(ids(&set(unread).decide(&asked).unwrap()), ["it"]);
}

#[test]
fn a_fact_that_cannot_be_said_is_a_fault_where_it_is_read() {
    let mut asked = question();
    asked.context.now = jiff::Timestamp::MIN;
    let read =
        r#"@id("it") permit (principal, action, resource) when { context.now < datetime("2026-03-05") };"#;
    assert_eq!(set(read).decide(&asked), Err(QuestionMisfit::Value.into()));
    let unread = r#"@id("it") permit (principal, action, resource);"#;
    assert_eq!(ids(&set(unread).decide(&asked).unwrap()), ["it"]);
}

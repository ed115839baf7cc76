use super::*;
use crate::testing::{question, set, shelf, user};
use crate::{AttributeValue, Identity, Principal, PrincipalKind, Principals, TenantFact, TokenSource, Who};
use crate::{AuthorizationDetail, Granted};

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
    assert_eq!(answer, Ok(Answer::NoPermit { principal: PrincipalKind::Agent }));
}

/// What a token says beside scopes, each where the base schema says.
#[test]
fn facts_are_where_the_schema_says() {
    let of_acme = |id| Principal { id, issuer: "corp", tenant: Some("acme") };
    let mut full = question();
    full.who = Who::Named(Identity {
        actor: of_acme("corp:planner"),
        client: of_acme("corp:bot"),
        user: None,
        tenant: Some(TenantFact { name: "acme", classification: Some("restricted"), region: None }),
        prior: &["corp:front-desk"],
    });
    full.resource.tenant = Some(TenantFact { region: Some("us"), ..TenantFact::named("globex") });
    full.resource.attributes.push(("owner".to_owned(), user("corp:alice")));
    full.resource.attributes.dedup_by(|a, b| a.0 == b.0);
    full.context.delegation_depth = 2;
    full.context.token_source = TokenSource::Introspection;
    full.context.authentication.methods = vec!["otp"];
    full.context.authentication.age_s = Some(59);
    full.context.authorization_details = vec![AuthorizationDetail {
        kind: "files",
        granted: Granted::Actions(vec!["read", "list"]),
        identifier: Some("a"),
    }];
    for condition in [
        r#"!context.authorization_details.contains({ type: "files", member: "type", value: "files", identifier: "a" })"#,
        r#"context.authorization_details.contains({ type: "files", member: "actions", value: "list", identifier: "a" })"#,
        r#"!context.authorization_details.contains({ type: "files", member: "datatypes", value: "list", identifier: "a" })"#,
        r#"!context.authorization_details.contains({ type: "files", member: "actions", value: "list", identifier: "" })"#,
        r#"principal == Exequatur::Agent::"corp:planner" && context.actor == principal"#,
        r#"context.client == Exequatur::Agent::"corp:bot" && context.client.issuer == "corp""#,
        r#"context has tenant && context.tenant has classification && context.tenant.classification == "restricted""#,
        r#"context has tenant && !(context.tenant has region)"#,
        r#"context has resource_tenant && context.resource_tenant has region && context.resource_tenant.region == "us""#,
        r#"context.delegation.depth == 2 && context.delegation.source == "issuer""#,
        r#"context.token.lifetime == 300 && context.token.source == "introspection""#,
        r#"context.authentication.methods.contains("otp")"#,
        r#"context.authentication has age && context.authentication.age < 60"#,
        r#"!(context has sensitivity)"#,
        r#"!(context has federation)"#,
    ] {
        let text = format!("@id(\"it\") permit (principal, action, resource) when {{ {condition} }};");
        assert_eq!(ids(&set(&text).decide(&full).unwrap()), ["it"], "{condition}");
    }
    // Under a federation only a permit that reads it counts; one does.
    full.context.federation = Some("both");
    let text = r#"@id("it") permit (principal, action, resource) when { context has federation && context.federation == "both" };"#;
    assert_eq!(ids(&set(text).decide(&full).unwrap()), ["it"]);
    let forbid = |prior| {
        let text = format!(
            r#"@id("it") forbid (principal, action, resource)
            when {{ context.delegation.prior.contains(Exequatur::Agent::"{prior}") }};"#
        );
        matches!(set(&text).decide(&full), Ok(Answer::Forbid { .. }))
    };
    assert!(forbid("corp:front-desk"));
    assert!(!forbid("corp:planner"), "the current actor is the principal");
}

fn both() -> Question<'static> {
    Question { principals: Principals::Both, action: "Lend", ..question() }
}

/// Agent and user have to be permitted, each for itself; a `forbid` and a failure of one are those of both.
#[test]
fn both_principals_have_to_be_permitted() {
    let agent = r#"@id("agent") permit (principal == Exequatur::Agent::"corp:bot", action, resource);"#;
    let user = r#"@id("user") permit (principal == Exequatur::User::"corp:alice", action, resource);"#;
    let answer = |text: &str| set(text).decide(&both());
    assert_eq!(ids(&answer(&format!("{agent}{user}")).unwrap()), ["agent", "user"]);
    assert!(matches!(answer(&format!("{agent}{user}")), Ok(Answer::Permit(_))));
    assert_eq!(answer(agent), Ok(Answer::NoPermit { principal: PrincipalKind::User }));
    assert_eq!(answer(user), Ok(Answer::NoPermit { principal: PrincipalKind::Agent }));
    // Another user's and another resource's permits count for nobody.
    for (from, to) in [("corp:alice", "corp:bob"), ("action, resource", r#"action, resource == File::"b""#)] {
        let user = user.replace(from, to);
        assert_eq!(
            answer(&format!("{agent}{user}")),
            Ok(Answer::NoPermit { principal: PrincipalKind::User }),
            "{to}"
        );
    }
    for kind in ["Agent", "User"] {
        let forbid = format!(r#"@id("no") forbid (principal is Exequatur::{kind}, action, resource);"#);
        assert_eq!(
            answer(&format!("{agent}{user}{forbid}")),
            Ok(Answer::Forbid { policies: vec!["no".into()] })
        );
        let failing = forbid.replace("resource);", &format!("resource) when {{ {OVERFLOW} }};"));
        let fault = PolicyFault::Evaluation { policies: vec!["no".into()] };
        assert_eq!(answer(&format!("{agent}{user}{failing}")), Err(fault));
    }
}

/// Nobody to ask about is no permit.
#[test]
fn without_a_user_or_an_action_for_users_there_is_no_answer() {
    let all = r#"@id("all") permit (principal, action, resource);"#;
    let mut without = both();
    if let Who::Named(identity) = &mut without.who {
        identity.user = None;
    }
    assert_eq!(set(all).decide(&without), Err(QuestionMisfit::User.into()));
    let for_agents = Question { action: "Read", ..both() };
    assert_eq!(set(all).decide(&for_agents), Err(QuestionMisfit::User.into()));
    assert!(set(all).takes("Read", Principals::Both).is_err());
    assert_eq!(set(all).takes("Lend", Principals::Both), Ok(()));
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
        r#"context.delegation.depth == 0 && context.delegation.source == "none""#,
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
    bare.who = Who::Named(Identity { actor: agent, client: agent, user: None, tenant: None, prior: &[] });
    bare.context.scopes.clear();
    let text = r#"@id("it") permit (principal, action, resource) when {
        !(context has user) && !(context has tenant) && !(principal has tenant) &&
        !(principal in Exequatur::Tenant::"acme") && context.scopes.isEmpty() &&
        !(context.authentication has acr) && !(context.authentication has age) && !(context has federation) &&
        context.authentication.methods.isEmpty() && context.authorization_details.isEmpty() &&
        context.delegation.source == "none" && context.actor == context.client };"#;
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

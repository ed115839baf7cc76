use super::ContextAttribute::{Delegation, Now, Scopes, Signals, Tenant, Token, User};
use super::*;

fn needs(conditions: &str) -> Needs {
    let text = format!("permit (principal, action, resource) {conditions};");
    let mut needs = Needs::default();
    needs.add(&Policy::parse(None, text).unwrap());
    needs
}

#[test]
fn what_a_condition_reads_is_needed_and_nothing_else() {
    let cases: [(&str, &[ContextAttribute]); 9] = [
        ("", &[]),
        ("when { principal has tenant && principal.tenant == resource.tenant }", &[]),
        (r#"when { context.scopes.contains("a") }"#, &[Scopes]),
        ("unless { context has user }", &[User]),
        ("when { context.signals.user has risk && context.signals.session.assurance.isEmpty() }", &[Signals]),
        (r#"when { context has user && context.user.issuer == "corp" }"#, &[User]),
        ("when { context.token.age > 1 } unless { context.delegation has prior }", &[Token, Delegation]),
        (
            r#"when { if context has tenant then true else context.now > datetime("2026-01-01") }"#,
            &[Tenant, Now],
        ),
        (r#"when { {"a": [context.token]}["a"].contains({"age": 1, "remaining": 1}) }"#, &[Token]),
    ];
    for (conditions, expected) in cases {
        let found: Vec<_> = needs(conditions).context().collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected, "{conditions}");
    }
}

#[test]
fn what_cannot_be_told_apart_is_needed_whole() {
    for conditions in [
        "when { context == {} }",
        "when { [context].isEmpty() }",
        "when { if true then context.unheard_of else false }",
        "when { context has unheard_of }",
    ] {
        assert_eq!(needs(conditions), Needs::all(), "{conditions}");
    }
}

#[test]
fn groups_of_the_action_are_needed_where_they_are_asked_for() {
    let of = |text: &str| {
        let mut needs = Needs::default();
        needs.add(&Policy::parse(None, text).unwrap());
        needs.reads_action_groups()
    };
    assert!(!of("permit (principal, action, resource);"));
    assert!(!of(r#"permit (principal, action == Action::"Read", resource);"#));
    assert!(of(r#"permit (principal, action in Action::"Anything", resource);"#));
    assert!(of(r#"permit (principal, action in [Action::"Read"], resource);"#));
    assert!(of(r#"permit (principal, action, resource) when { action in Action::"Anything" };"#));
    // By its name, which Cedar takes where it is the action of the request.
    let named = r#"permit (principal, action == Action::"Read", resource) when { Action::"Read" in Action::"Anything" };"#;
    assert!(of(named));
}

#[test]
fn parents_are_needed_where_something_is_asked_to_be_in_something() {
    let of = |text: &str| {
        let mut needs = Needs::default();
        needs.add(&Policy::parse(None, text).unwrap());
        needs.reads_parents()
    };
    for without in [
        "permit (principal, action, resource);",
        r#"permit (principal is Exequatur::Agent, action in Action::"A", resource == File::"a");"#,
        r#"permit (principal, action, resource is File) when { resource.tenant == principal.tenant };"#,
        r#"permit (principal, action, resource) when { resource is File };"#,
    ] {
        assert!(!of(without), "{without}");
    }
    for with in [
        r#"permit (principal in Exequatur::Tenant::"a", action, resource);"#,
        r#"permit (principal is Exequatur::Agent in Exequatur::Tenant::"a", action, resource);"#,
        r#"permit (principal, action, resource in Exequatur::Tenant::"a");"#,
        r#"permit (principal, action, resource is File in Exequatur::Tenant::"a");"#,
        r#"permit (principal, action, resource) when { resource in Exequatur::Tenant::"a" };"#,
        r#"permit (principal, action, resource) unless { true && [principal in context.tenant].isEmpty() };"#,
        r#"permit (principal, action, resource) when { resource is File in Exequatur::Tenant::"a" };"#,
    ] {
        assert!(of(with), "{with}");
    }
}

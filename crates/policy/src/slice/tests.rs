use cedar_policy::{AuthorizationError, Authorizer, Decision, Request};
use proptest::prelude::*;

use super::*;
use crate::entities::Asked;
use crate::testing::{question, set, shelf};
use crate::{Answer, PolicyFault, PolicySet, Question, Subject, TenantFact, Who};

const PRINCIPALS: [&str; 6] = [
    "principal",
    "principal is Exequatur::Agent",
    "principal in Exequatur::Tenant::\"acme\"",
    "principal == Exequatur::Agent::\"corp:bot\"",
    "principal == Exequatur::Agent::\"corp:other\"",
    "principal is Exequatur::Agent in Exequatur::Tenant::\"acme\"",
];
const ACTIONS: [&str; 5] = [
    "action",
    "action == Action::\"Read\"",
    "action == Action::\"Write\"",
    "action in Action::\"Anything\"",
    "action in [Action::\"Write\", Action::\"Read\"]",
];
const RESOURCES: [&str; 11] = [
    "resource",
    "resource is File",
    "resource is Shelf",
    "resource == File::\"a\"",
    "resource == File::\"b\"",
    "resource in Exequatur::Tenant::\"acme\"",
    "resource in Exequatur::Tenant::\"globex\"",
    "resource in File::\"a\"",
    "resource is File in Exequatur::Tenant::\"acme\"",
    "resource is File in Exequatur::Tenant::\"globex\"",
    "resource is File in File::\"b\"",
];
const CONDITIONS: [&str; 15] = [
    "",
    "when { context has user && context.user.issuer == \"corp\" }",
    "when { context has tenant && resource in context.tenant }",
    "when { action in Action::\"Anything\" }",
    "when { context.now > datetime(\"2026-03-04T11:59:59Z\") }",
    "unless { context has federation || context.method == \"PUT\" }",
    "when { context.sender_constraint == \"dpop\" && context.route like \"read-*\" }",
    "when { context.token.remaining > 200 }",
    "when { context.scopes.contains(\"files:read\") }",
    "unless { context has user }",
    "when { resource is File in Exequatur::Tenant::\"acme\" }",
    "unless { resource is File in Exequatur::Tenant::\"globex\" || resource is Shelf }",
    "when { principal is Exequatur::Agent in Exequatur::Tenant::\"acme\" }",
    "when { context has user && context.user is Exequatur::User in Exequatur::Tenant::\"acme\" }",
    "when { resource is File && context has tenant && resource in context.tenant && resource has owner }",
];
/// A product that is too large: always, for a file, for somebody's file.
const FAILING: [&str; 3] = [
    "when { context.token.age * 9223372036854775807 > 0 }",
    "unless { resource is File in Exequatur::Tenant::\"acme\" && resource.size * 9223372036854775807 > 0 }",
    "when { resource is File && context has user && resource.size * 9223372036854775807 > 0 }",
];

fn policy() -> impl Strategy<Value = String> {
    let part = |parts: &'static [&'static str]| proptest::sample::select(parts);
    // Failing conditions are rare, or no answer would ever be compared.
    let condition = prop_oneof![30 => part(&CONDITIONS), 1 => part(&FAILING)];
    (any::<bool>(), part(&PRINCIPALS), part(&ACTIONS), part(&RESOURCES), condition).prop_map(
        |(permit, principal, action, resource, condition)| {
            let effect = if permit { "permit" } else { "forbid" };
            format!("{effect} ({principal}, {action}, {resource}) {condition};")
        },
    )
}

fn asked() -> impl Strategy<Value = Question<'static>> {
    let pick = |of: &'static [&'static str]| proptest::sample::select(of);
    (
        any::<bool>(),
        pick(&["Read", "Write"]),
        pick(&["a", "b", "c"]),
        pick(&["acme", "globex"]),
        any::<bool>(),
    )
        .prop_map(|(of_shelf, action, id, tenant, with_user)| {
            let mut asked = question();
            asked.action = action;
            if of_shelf {
                asked.resource = shelf();
            } else {
                asked.resource.id = id;
                asked.resource.tenant = Some(TenantFact::named(tenant));
            }
            if let Who::Named(identity) = &mut asked.who {
                identity.user = identity.user.filter(|_| with_user);
            }
            asked
        })
}

/// What Cedar says of the whole folder at once: decision, ids of what determined it, ids of what failed.
fn reference(
    set: &PolicySet,
    all: &CedarSet,
    question: &Question<'_>,
) -> (Decision, Vec<String>, Vec<String>) {
    let action = set.slices.action(question.action).unwrap();
    let resource = &action.on(question.resource.kind).unwrap().resource;
    let subject = Subject::of(&set.types, &question.who).unwrap();
    let asked = Asked::new(&set.types, question, &subject, action, resource, &Needs::all()).unwrap();
    let principal = subject.actor.own();
    let request = Request::new(principal, action.uid.clone(), asked.resource, asked.context, None).unwrap();
    let response = Authorizer::new().is_authorized(&request, all, &asked.entities);
    let mut ids: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    let mut failed: Vec<String> = response
        .diagnostics()
        .errors()
        .map(|AuthorizationError::PolicyEvaluationError(error)| error.policy_id().to_string())
        .collect();
    ids.sort();
    failed.sort();
    (response.decision(), ids, failed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn slices_answer_as_the_whole_set_does(
        policies in proptest::collection::vec(policy(), 1..12),
        questions in proptest::collection::vec(asked(), 1..6),
    ) {
        let numbered = policies.iter().enumerate();
        let text: String = numbered.map(|(index, policy)| format!("@id(\"p{index}\") {policy}\n")).collect();
        let folder = crate::testing::folder(&text);
        let set = PolicySet::load(&folder).unwrap();
        let parsed = crate::parse::parse(&folder.policies).0;
        let all = CedarSet::from_policies(parsed.into_iter().map(|parsed| parsed.policy)).unwrap();
        for question in &questions {
            same(&set, &all, question).map_err(|error| TestCaseError::fail(format!("{error}: {question:?} of {text}")))?;
        }
    }
}

/// The slices' answer is that of all policies: the same decision for the same policies, or the same failures.
fn same(set: &PolicySet, all: &CedarSet, question: &Question<'_>) -> Result<(), TestCaseError> {
    let names = |ids: &[Arc<str>]| -> Vec<String> { ids.iter().map(ToString::to_string).collect() };
    let (decision, ids, failed) = reference(set, all, question);
    match set.decide(question) {
        Err(PolicyFault::Evaluation { policies }) => {
            prop_assert!(!policies.is_empty());
            prop_assert_eq!(names(&policies), failed);
        }
        Err(misfit @ (PolicyFault::Question(_) | PolicyFault::SignalsUnknown)) => {
            prop_assert!(false, "{misfit}")
        }
        Ok(answer) => {
            prop_assert!(failed.is_empty(), "no fault, and {failed:?} failed");
            prop_assert_eq!(matches!(answer, Answer::Permit(_)), decision == Decision::Allow);
            prop_assert_eq!(names(answer.policies()), ids);
        }
    }
    Ok(())
}

#[test]
fn policies_of_other_actions_and_resources_are_not_evaluated() {
    let mut text = "@id(\"it\") permit (principal, action == Action::\"Read\", resource is File);".to_owned();
    for index in 0..50 {
        text += &format!("@id(\"r{index}\") permit (principal, action, resource == File::\"x{index}\");");
        text += &format!("@id(\"w{index}\") permit (principal, action == Action::\"Write\", resource);");
        text += &format!(
            "@id(\"t{index}\") permit (principal, action, resource in Exequatur::Tenant::\"t{index}\");"
        );
    }
    let set = set(&text);
    let slice = set.slices.action("Read").unwrap().on("File").unwrap();
    let uid = |text: &str| text.parse().unwrap();
    let sizes = |resource: &str, tenant: &str| -> usize {
        let (resource, tenant) = (uid(resource), uid(tenant));
        slice.sets(&resource, Some(&tenant)).map(CedarSet::num_of_policies).sum()
    };
    assert_eq!(sizes("File::\"a\"", "Exequatur::Tenant::\"acme\""), 1);
    assert_eq!(sizes("File::\"x7\"", "Exequatur::Tenant::\"t9\""), 3);
}

#[test]
fn only_policies_that_name_neither_action_nor_resource_are_unscoped() {
    let set = set(r#"
        @id("1") permit (principal, action, resource);
        @id("2") forbid (principal == Exequatur::Agent::"corp:bot", action, resource) when { context.token.age > 1 };
        @id("3") permit (principal, action in Action::"Anything", resource);
        @id("4") permit (principal, action, resource is File);
    "#);
    assert_eq!(set.unscoped(), 2);
    assert_eq!(set.len(), 4);
}

/// What a slice keeps of a policy says nothing more of action and resource, and everything else still.
#[test]
fn a_slice_keeps_what_it_does_not_know() {
    let text = r#"@id("p") forbid (principal is Exequatur::Agent, action in [Action::"Read"], resource == File::"a")
        when { resource.tenant == principal.tenant } unless { context has user };"#;
    let policy = Policy::parse(None, text).unwrap();
    let rest = without_place(&policy);
    assert_eq!(rest.action_constraint(), ActionConstraint::Any);
    assert_eq!(rest.resource_constraint(), ResourceConstraint::Any);
    assert_eq!(rest.principal_constraint(), policy.principal_constraint());
    assert_eq!((rest.id(), rest.effect()), (policy.id(), policy.effect()));
    let conditions = |policy: &Policy| policy.to_json().unwrap().get("conditions").cloned();
    assert_eq!(conditions(&rest), conditions(&policy));
}

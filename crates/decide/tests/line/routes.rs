//! Routes that cannot be meant are refused when they are loaded.

use std::sync::Arc;

use exequatur_decide::{
    Access, DetailTemplate, Guard, Host, Locations, Route, RouteMisfit, Routes, SenderRequirement, StepUp,
    Template, UserRequirement,
};
use exequatur_policy::RouteMisfit as PolicyMisfit;

use crate::world::{guard, guarded, policies, protected, route};

const READ: &str = "/tenants/{tenant}/documents/{sensitivity}/{id}";

fn compile(routes: Vec<Route>) -> Vec<(String, &'static str, RouteMisfit)> {
    match Routes::compile(routes, protected(), &policies(), SenderRequirement::Dpop) {
        Ok(_) => Vec::new(),
        Err(problems) => {
            problems.into_iter().map(|problem| (problem.route, problem.field, problem.cause)).collect()
        }
    }
}

fn guarded_at(name: &str, path: &str, change: impl FnOnce(&mut Guard)) -> Route {
    let mut guard = guard();
    change(&mut guard);
    route(name, path, Access::Guarded(Arc::new(guard)))
}

fn misfit(name: &str, field: &'static str, cause: RouteMisfit) -> Vec<(String, &'static str, RouteMisfit)> {
    vec![(name.to_owned(), field, cause)]
}

#[test]
fn distinct_routes_are_accepted() {
    let narrower = guarded_at("narrower", "/tenants/{tenant}/documents/{sensitivity}/latest", |guard| {
        guard.resource.id = Template::parse("latest").unwrap();
    });
    let public = route("public", "/tenants/{tenant}/{kind}/{level}/{id}", Access::Public);
    assert_eq!(compile(vec![guarded("documents", |_| {}), narrower, public]), []);
}

/// B-01, B-02: `**` would take each near miss of the guarded path, such as one with a slash behind it.
#[test]
fn a_wide_public_route_around_a_guarded_one_is_refused() {
    let wide = route("wide", "/tenants/**", Access::Public);
    let found = compile(vec![wide, guarded("documents", |_| {})]);
    assert_eq!(found, misfit("wide", "match", RouteMisfit::TooWide("documents".to_owned())));
}

#[test]
fn names_are_unique() {
    let found = compile(vec![guarded("a", |_| {}), route("a", "/healthz", Access::Public)]);
    assert_eq!(found, misfit("a", "name", RouteMisfit::NameTaken));
}

#[test]
fn ambiguous_routes_are_refused() {
    let ambiguous = misfit("two", "match", RouteMisfit::Ambiguous("one".to_owned()));
    // Neither contains the other.
    let one = guarded_at("one", "/{tenant}/x/{sensitivity}/{id}", |_| {});
    let two = guarded_at("two", "/acme/{tenant}/{sensitivity}/{id}", |_| {});
    assert_eq!(compile(vec![one, two]), ambiguous);
    // Both are the same but for the parameters' names.
    let one = guarded_at("one", READ, |_| {});
    let two = guarded_at("two", "/tenants/{id}/documents/{tenant}/{sensitivity}", |_| {});
    assert_eq!(compile(vec![one, two]), ambiguous);
    let public = |name, path| route(name, path, Access::Public);
    assert_eq!(compile(vec![public("one", "/a/{x}"), public("two", "/{y}/b")]), ambiguous);
    // More specific in the host, less in the path.
    let mut one = guarded_at("one", READ, |_| {});
    one.matches.host = Host::parse("api.example.com");
    let two =
        guarded_at("two", "/tenants/acme/documents/{sensitivity}/{id}", |guard| guard.resource.tenant = None);
    let found = compile(vec![one, two]);
    assert!(found.contains(&ambiguous[0]), "{found:?}");
}

#[test]
fn a_public_route_that_opens_nothing_is_refused() {
    let shadowed = |name: &str| misfit(name, "match", RouteMisfit::Shadowed("documents".to_owned()));
    let documents = || guarded("documents", |_| {});
    for path in [READ, "/tenants/{t}/documents/public/{id}", "/tenants/acme/documents/public/1"] {
        assert_eq!(
            compile(vec![documents(), route("open", path, Access::Public)]),
            shadowed("open"),
            "{path}"
        );
        assert_eq!(
            compile(vec![route("open", path, Access::Public), documents()]),
            shadowed("open"),
            "{path}"
        );
    }
    // Another method is not taken by the guarded route.
    let mut open = route("open", READ, Access::Public);
    open.matches.methods = vec!["HEAD".to_owned()];
    assert_eq!(compile(vec![documents(), open]), []);
}

#[test]
fn a_route_never_asks_for_less_than_the_general_setting() {
    for sender in [SenderRequirement::None, SenderRequirement::Any, SenderRequirement::Mtls] {
        let found = compile(vec![guarded("lax", |guard| guard.sender = sender)]);
        assert_eq!(found, misfit("lax", "sender_constraint", RouteMisfit::Loosened), "{sender:?}");
    }
}

/// What no request could meet is a mistake.
#[test]
fn what_is_asked_of_a_user_needs_one() {
    let step_up = || Some(StepUp { acr_values: vec!["gold".to_owned()], max_age: None });
    for user in [UserRequirement::Any, UserRequirement::Required, UserRequirement::Refused] {
        let found = compile(vec![guarded("a", |guard| {
            guard.user = user;
            guard.step_up = step_up();
        })]);
        let expected = match user {
            UserRequirement::Any | UserRequirement::Required => Vec::new(),
            UserRequirement::Refused => misfit("a", "step_up", RouteMisfit::StepUpOfNobody),
        };
        assert_eq!(found, expected, "{user:?}");
        assert_eq!(compile(vec![guarded("a", |guard| guard.user = user)]), []);
    }
}

#[test]
fn parameters_come_from_the_path() {
    let unknown = |field| misfit("a", field, RouteMisfit::ParameterUnknown("nope".to_owned()));
    let template = || Template::parse("x-{nope}").unwrap();
    assert_eq!(compile(vec![guarded("a", |guard| guard.resource.id = template())]), unknown("resource"));
    assert_eq!(
        compile(vec![guarded("a", |guard| guard.resource.tenant = Some(template()))]),
        unknown("resource")
    );
    assert_eq!(compile(vec![guarded("a", |guard| guard.scopes.push(template()))]), unknown("scopes"));
    let mut detail = DetailTemplate {
        kind: "document".to_owned(),
        actions: Vec::new(),
        datatypes: Vec::new(),
        privileges: Vec::new(),
        identifier: Some(template()),
        locations: Locations::Optional,
        unjudged: Vec::new(),
    };
    let with = |detail: &DetailTemplate| vec![Arc::new(detail.clone())];
    let found = compile(vec![guarded("a", |guard| guard.authorization_details = with(&detail))]);
    assert_eq!(found, unknown("authorization_details"));
    detail.identifier = Some(Template::parse("x-{id}").unwrap());
    assert_eq!(compile(vec![guarded("a", |guard| guard.authorization_details = with(&detail))]), []);
    let attribute = exequatur_decide::AttributeTemplate::Text(template());
    let found = compile(vec![guarded("a", |guard| guard.resource.attributes[0].1 = attribute)]);
    assert_eq!(found, unknown("resource"));
}

#[test]
fn actions_resources_hosts_and_methods_are_known() {
    let found = compile(vec![guarded("a", |guard| guard.action = "ReadDocumnt".to_owned())]);
    let near = Some("ReadDocument".to_owned());
    let unknown = PolicyMisfit::ActionUnknown { action: "ReadDocumnt".to_owned(), near };
    assert_eq!(found, misfit("a", "action", RouteMisfit::Policy(unknown)));

    let found = compile(vec![guarded("a", |guard| guard.resource.attributes.clear())]);
    let missing =
        PolicyMisfit::AttributeMissing { kind: "Document".to_owned(), attribute: "sensitivity".to_owned() };
    assert_eq!(found, misfit("a", "action", RouteMisfit::Policy(missing)));

    let found = compile(vec![guarded("a", |guard| guard.resource.tenant = None)]);
    let missing =
        PolicyMisfit::AttributeMissing { kind: "Document".to_owned(), attribute: "tenant".to_owned() };
    assert_eq!(found, misfit("a", "action", RouteMisfit::Policy(missing)));

    let mut elsewhere = route("a", "/healthz", Access::Public);
    elsewhere.matches.host = Host::parse("other.example.com");
    let host = Host::parse("other.example.com").unwrap();
    assert_eq!(compile(vec![elsewhere]), misfit("a", "match", RouteMisfit::HostUnknown(host)));

    let mut preflight = route("a", "/**", Access::Preflight);
    preflight.matches.methods.push("GET".to_owned());
    assert_eq!(compile(vec![preflight]), misfit("a", "match", RouteMisfit::PreflightMethod));
}

/// All at once.
#[test]
fn every_problem_is_told() {
    let found = compile(vec![
        guarded("a", |guard| guard.sender = SenderRequirement::None),
        guarded("b", |guard| guard.action = "Fly".to_owned()),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
}

//! `federations`: by which routes tokens of one tenant may ask for resources of another.

use std::collections::BTreeSet;

use exequatur_decide::{Access, Federation, Route};
use exequatur_issuers::IssuerConfig;
use exequatur_token::check_id;

use super::keys::{Key, pattern, required, text, texts};
use super::problems::Place;
use super::reader::{Fields, Node, Notes, once};
use super::routes::RoutePlace;

/// Most rules.
const MAX_RULES: usize = 1000;
const MAX_NAME: usize = 64;

pub(super) const KEYS: &[Key] = &[
    required("name", "In the policies' `context.federation` and in records; unique.", || {
        pattern(&format!("^[A-Za-z0-9._-]{{1,{MAX_NAME}}}$"))
    }),
    required("from", "The tenant of the tokens.", text),
    required("to", "The tenant of the resources; another one.", text),
    required("routes", "Names of routes whose resource has a tenant.", texts),
];

/// A rule, where it stands, and where its routes stand.
pub(super) type Placed = (Federation, Place, Vec<Place>);

pub(super) fn read(node: &Node, notes: &Notes) -> Option<Vec<Placed>> {
    let mut names = Vec::new();
    let rules = node.each(notes, |item| {
        let fields = Fields::open(item, KEYS, notes)?;
        let name = fields.required("name").and_then(|node| name(node, &mut names, notes));
        let from = fields.required("from").and_then(|node| tenant(node, notes));
        let to = fields.required("to").and_then(|node| {
            let to = tenant(node, notes)?;
            if from.as_ref() == Some(&to) {
                notes.hint(node.place, "a tenant reaches its own resources anyway", "name another tenant");
                return None;
            }
            Some(to)
        });
        let routes = fields.required("routes").and_then(|node| {
            let places = node.list(notes)?.iter().map(|item| item.place).collect();
            Some((node.texts(notes)?, places))
        });
        let (routes, places) = routes?;
        Some((Federation { name: name?, from: from?, to: to?, routes }, item.place, places))
    })?;
    if rules.len() > MAX_RULES {
        notes.add(node.place, format!("more than {MAX_RULES} federations"));
        return None;
    }
    Some(rules)
}

fn name(node: &Node, names: &mut Vec<String>, notes: &Notes) -> Option<String> {
    let name = node.text(notes)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.len() > MAX_NAME || !name.bytes().all(allowed) {
        let message = format!("a federation's name is 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`");
        notes.add(node.place, message);
        return None;
    }
    once(name, names, node.place, notes).then(|| name.to_owned())
}

fn tenant(node: &Node, notes: &Notes) -> Option<String> {
    node.parsed(notes, |text| check_id(text).map(|()| text.to_owned()))
}

/// Whether each rule can ever hold, and none of them twice: a request has one federation or none.
pub(super) fn check(
    rules: Option<&[Placed]>,
    issuers: Option<&[IssuerConfig]>,
    routes: Option<&[(Route, RoutePlace)]>,
    notes: &Notes,
) {
    let mut seen = BTreeSet::new();
    for (rule, place, places) in rules.into_iter().flatten() {
        if issuers.is_some_and(|issuers| !issuers.iter().any(|issuer| issuer.profile.speaks_for(&rule.from)))
        {
            let message = format!("no issuer speaks for tenant `{}`", rule.from);
            notes.hint(*place, message, "its tokens are of the tenants in `issuers[].tenants` or `tenant`");
        }
        for (route, place) in rule.routes.iter().zip(places) {
            if !seen.insert((route, &rule.from, &rule.to)) {
                let message = format!("another federation leads from `{}` to `{}` here", rule.from, rule.to);
                notes.hint(*place, message, "which of the two would a request be under?");
            }
            if let Some(routes) = routes {
                check_route(route, *place, routes, notes);
            }
        }
    }
}

fn check_route(name: &str, place: Place, routes: &[(Route, RoutePlace)], notes: &Notes) {
    let route = routes.iter().find(|(route, _)| route.name == name);
    match route.map(|(route, _)| &route.access) {
        Some(Access::Guarded(guard)) if guard.resource.tenant.is_some() => {}
        Some(Access::Guarded(_)) => {
            let message =
                format!("route `{name}` says no tenant of its resource: nothing keeps tenants apart");
            notes.hint(place, message, "add `tenant` to its `resource`, or leave the route out here");
        }
        Some(Access::Public | Access::Preflight) => {
            notes.hint(place, format!("route `{name}` needs no identity"), "leave it out here");
        }
        None => notes.hint(place, format!("there is no route `{name}`"), "a route's `name`"),
    }
}

#[cfg(test)]
mod tests;

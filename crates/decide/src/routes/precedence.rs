//! Which of two routes takes a request that matches both.
//!
//! The most specific wins; where neither is more specific, loading fails; and a public route never beats a
//! guarded one that also matches, so that a wide guarded route cannot be opened by accident.

use std::cmp::Ordering;

use super::{Access, Misfit, Route, RouteMisfit};

/// Whether `route` goes before `current` for a request that both match.
pub(super) fn beats(route: &Route, current: &Route) -> bool {
    match (is_guarded(route), is_guarded(current)) {
        (true, false) => true,
        (false, true) => false,
        (true, true) | (false, false) => specificity(route, current) == Some(Ordering::Greater),
    }
}

/// Problems of a route with those that stand before it.
pub(super) fn check_against<'a>(route: &Route, before: impl Iterator<Item = &'a Route>) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    for other in before {
        if other.name == route.name {
            misfits.push(("name", RouteMisfit::NameTaken));
        }
        let same_class = is_guarded(route) == is_guarded(other);
        let undecided = matches!(specificity(route, other), None | Some(Ordering::Equal));
        // A preflight is told from other requests by its shape, so it may share a path with a public route.
        let same_shape = is_preflight(route) == is_preflight(other);
        if same_class && same_shape && overlap(route, other) && undecided {
            misfits.push(("match", RouteMisfit::Ambiguous(other.name.clone())));
        }
    }
    misfits
}

/// A public route of which a guarded one takes every request is a mistake: it opens nothing.
pub(super) fn check_shadow(route: &Route, all: &[Route]) -> Option<Misfit> {
    if is_guarded(route) {
        return None;
    }
    let shadow = all.iter().find(|other| {
        is_guarded(other)
            && route.matches.methods.iter().all(|method| other.matches.methods.contains(method))
            && overlap(route, other)
            && matches!(specificity(route, other), Some(Ordering::Greater | Ordering::Equal))
    });
    shadow.map(|other| ("match", RouteMisfit::Shadowed(other.name.clone())))
}

/// A public `**` around a guarded path is a mistake: it takes every spelling of that path which the guarded
/// route does not, and which an upstream may read as the same (a trailing slash, another case).
pub(super) fn check_wide(route: &Route, all: &[Route]) -> Option<Misfit> {
    if !matches!(route.access, Access::Public) || !route.matches.path.is_open() {
        return None;
    }
    let inside = all.iter().find(|other| is_guarded(other) && overlap(route, other));
    inside.map(|other| ("match", RouteMisfit::TooWide(other.name.clone())))
}

fn is_guarded(route: &Route) -> bool {
    matches!(route.access, Access::Guarded(_))
}

fn is_preflight(route: &Route) -> bool {
    matches!(route.access, Access::Preflight)
}

fn overlap(one: &Route, two: &Route) -> bool {
    let hosts = match (&one.matches.host, &two.matches.host) {
        (Some(one), Some(two)) => one == two,
        (None, _) | (_, None) => true,
    };
    hosts
        && one.matches.methods.iter().any(|method| two.matches.methods.contains(method))
        && one.matches.path.overlaps(&two.matches.path)
}

/// The path's specificity and the host's, if they do not contradict each other.
fn specificity(one: &Route, two: &Route) -> Option<Ordering> {
    let host = one.matches.host.is_some().cmp(&two.matches.host.is_some());
    let path = one.matches.path.specificity(&two.matches.path)?;
    match (host, path) {
        (Ordering::Equal, order) | (order, Ordering::Equal) => Some(order),
        (host, path) if host == path => Some(host),
        _ => None,
    }
}

//! Routes: what was judged is what the upstream gets, and every route is in the file.

mod choice;

use std::time::Duration;

use crate::linter::Linter;
use crate::names;
use crate::rule::{Rule, Severity};
use crate::rules::connection::{LONGEST_STREAM, UPGRADES, bounded};
use crate::rules::listener::Around;
use crate::rules::order::Line;
use crate::rules::per_route::{self, Bodies, Level};
use crate::rules::{check, fields, logs};
use crate::tree::{Node, shortened};

static DYNAMIC: Rule = Rule::new(
    Severity::Unknown,
    "dynamic-routes",
    &["B-15"],
    "routes that arrive while Envoy runs may switch ext_authz off, or rewrite what was judged",
    "write the routes out in `route_config`; or allow it, and judge what the control plane sends",
)
.allowable();
pub(crate) static REWRITE: Rule = Rule::new(
    Severity::Weak,
    "route-rewrite",
    &["N09"],
    "the upstream gets another path or host than the one that was judged",
    "leave it out; or allow it, where the upstream serves under the new name exactly what was judged",
)
.allowable();
static HOST_FROM_HEADER: Rule = Rule::new(
    Severity::Hole,
    "host-from-header",
    &["B-05"],
    "the caller chooses the host that the upstream sees, whatever was judged",
    "host_rewrite_literal, or nothing",
);
pub(crate) static UPSTREAM_FROM_HEADER: Rule = Rule::new(
    Severity::Hole,
    "upstream-from-header",
    &["B-06"],
    "the caller chooses the upstream, the virtual host or the route by a header, whatever was judged",
    "name it; let no name that Exequatur sets or removes choose",
)
.allowable();
pub(crate) static HEADER: Rule = Rule::new(
    Severity::Hole,
    "route-header",
    &["N06"],
    "the upstream believes of the caller what Exequatur did not say, or gets what was not judged",
    "leave these headers to Exequatur",
)
.allowable();
static REDIRECT: Rule = Rule::new(
    Severity::Weak,
    "internal-redirect",
    &["B-13"],
    "an upstream's answer sends the request to another path, with the identity that was judged for the first",
    "leave it out: let clients follow redirects; or allow it",
)
.allowable();
pub(crate) static MIRROR: Rule = Rule::new(
    Severity::Weak,
    "route-mirror",
    &["B-13"],
    "a second upstream gets the request, which no policy named",
    "leave it out; or allow it",
)
.allowable();
static TUNNEL: Rule = Rule::new(
    Severity::Weak,
    "connect-route",
    &["B-11"],
    "a tunnel is checked once: what goes through it is judged by nobody",
    "leave `connect_matcher` out; or allow it",
)
.allowable();
static TIMEOUT: Rule = Rule::new(
    Severity::Weak,
    "route-timeout",
    &["N01"],
    "the route gives up before the Check does",
    "a route `timeout` above that of the Check",
);
static STREAM_TIME: Rule = Rule::new(
    Severity::Weak,
    "route-stream-time",
    &["N07"],
    "a stream is checked once: it goes on after its token has expired or was withdrawn",
    "max_stream_duration of at most 3600s; or allow it",
)
.allowable();
static PATH_PARAMETERS: Rule = Rule::new(
    Severity::Weak,
    "path-parameters",
    &["N05"],
    "Envoy chooses a route by another path than the one that is forwarded",
    "leave `ignore_path_parameters_in_path_matching` out",
);

static TO_CHECK: Rule = Rule::new(
    Severity::Hole,
    "route-to-check",
    &["B-14"],
    "whoever comes in by the route asks Checks: tries out tokens, spends proofs and limits of others",
    "lead to the upstream; for metadata, to a cluster of Exequatur's public listener (`listen.public`)",
);

pub(crate) static RULES: &[&Rule] = &[
    &TO_CHECK,
    &DYNAMIC,
    &REWRITE,
    &HOST_FROM_HEADER,
    &UPSTREAM_FROM_HEADER,
    &HEADER,
    &REDIRECT,
    &MIRROR,
    &TUNNEL,
    &TIMEOUT,
    &STREAM_TIME,
    &PATH_PARAMETERS,
];

/// What all levels have to know.
#[derive(Clone, Copy)]
struct Walk<'a, 'n> {
    line: &'a Line<'n>,
    around: Around<'a>,
    /// The longest that a Check may take.
    check: Duration,
}

/// Judges every route that a connection manager has.
pub(crate) fn judge_manager(manager: &Node, line: &Line<'_>, around: Around<'_>, linter: &mut Linter<'_>) {
    let checks = line.guards.iter().filter_map(|guard| guard.check.at("grpc_service.timeout")?.duration());
    let check = checks.max().unwrap_or_default();
    let walk = Walk { line, around, check };
    let mut found = false;
    if let Some(routes) = manager.get("route_config") {
        found = true;
        walk.configuration(routes, linter);
    }
    if let Some(scopes) = manager.get("scoped_routes") {
        choice::of_scopes(scopes, linter);
    }
    let scoped = manager.at("scoped_routes.scoped_route_configurations_list.scoped_route_configurations");
    for scope in scoped.map(Node::items).unwrap_or_default() {
        match scope.get("route_configuration") {
            Some(routes) => walk.configuration(routes, linter),
            None => linter.report(&DYNAMIC, scope.place, "the routes of a scope come from elsewhere"),
        }
        found = true;
    }
    for dynamic in ["rds", "scoped_routes.scoped_rds"].iter().filter_map(|path| manager.at(path)) {
        found = true;
        linter.report(&DYNAMIC, dynamic.place, "routes come from elsewhere");
    }
    if !found {
        linter.report(&DYNAMIC, manager.place, "there is no `route_config`");
    }
}

/// Reports each route, wherever it stands, that leads to a cluster that some filter asks.
pub(crate) fn to_check(bootstrap: &Node, linter: &mut Linter<'_>) {
    let mut asked = Vec::new();
    let mut routes = Vec::new();
    let mut open = vec![bootstrap];
    while let Some(node) = open.pop() {
        if let Some((_, check)) = node.typed().filter(|(kind, _)| *kind == check::FILTER) {
            asked.extend(check.at("grpc_service.envoy_grpc.cluster_name").and_then(Node::text));
        }
        if let Some(action) = node.get("route") {
            let weighted = action.at("weighted_clusters.clusters").map(Node::items).unwrap_or_default();
            routes.extend(action.get("cluster"));
            routes.extend(weighted.iter().filter_map(|cluster| cluster.get("name")));
        }
        open.extend(node.items());
        open.extend(node.entries().iter().map(|entry| &entry.value));
    }
    for cluster in routes.iter().filter(|cluster| cluster.text().is_some_and(|name| asked.contains(&name))) {
        let message = format!("a route leads to the cluster that is asked, `{}`", cluster.shown());
        linter.report(&TO_CHECK, cluster.place, message);
    }
}

impl Walk<'_, '_> {
    fn configuration(self, routes: &Node, linter: &mut Linter<'_>) {
        linter.within(routes, |linter| {
            fields::judge(&fields::ROUTES, routes, linter);
            specifiers(routes, linter);
            if let Some(vhds) = routes.get("vhds") {
                linter.report(&DYNAMIC, vhds.place, "virtual hosts come from elsewhere");
            }
            if let Some(header) = routes.get("vhost_header") {
                let message = format!("the virtual host is chosen by header `{}`", header.shown());
                linter.report(&UPSTREAM_FROM_HEADER, header.place, message);
            }
            if let Some(ignored) = routes.get("ignore_path_parameters_in_path_matching")
                && ignored.truth() != Some(false)
            {
                linter.report(&PATH_PARAMETERS, ignored.place, "routes are chosen without `;…`");
            }
            for plugin in routes.list("cluster_specifier_plugins") {
                linter.report(&DYNAMIC, plugin.place, "an extension chooses the upstream");
            }
            mirrors(routes, linter);
            headers(routes, linter);
            let bodies = self.level(routes, Level { narrow: false, preflight: false }, linter);
            for host in routes.list("virtual_hosts") {
                linter.within(host, |linter| self.host(host, bodies, linter));
            }
        });
    }

    fn host(self, host: &Node, general: Bodies, linter: &mut Linter<'_>) {
        if let Some(matcher) = host.get("matcher") {
            linter.report(&DYNAMIC, matcher.place, "the routes are chosen by a matcher, which is not judged");
        }
        fields::judge(&fields::HOST, host, linter);
        specifiers(host, linter);
        mirrors(host, linter);
        headers(host, linter);
        let bodies = self.level(host, Level { narrow: false, preflight: false }, linter);
        for route in host.list("routes") {
            linter.within(route, |linter| self.route(route, &[general, bodies], linter));
        }
    }

    fn level(self, owner: &Node, level: Level, linter: &mut Linter<'_>) -> Bodies {
        per_route::judge(owner, level, self.line, self.around, linter)
    }

    fn route(self, route: &Node, general: &[Bodies], linter: &mut Linter<'_>) {
        let found = route.get("match");
        if let Some(found) = found {
            choice::of_match(found, linter);
        }
        let exact = found.is_some_and(|found| found.get("path").is_some());
        let answered = ["direct_response", "redirect"].iter().any(|key| route.get(key).is_some());
        let level = Level { narrow: exact || answered, preflight: found.is_some_and(only_options) };
        if let Some(connect) = found.and_then(|found| found.get("connect_matcher")) {
            linter.report(&TUNNEL, connect.place, "the route takes CONNECT");
        }
        fields::judge(&fields::ROUTE, route, linter);
        specifiers(route, linter);
        headers(route, linter);
        if let Some(tracing) = route.get("tracing") {
            logs::judge(tracing, linter);
        }
        let bodies = [general, &[self.level(route, level, linter)]].concat();
        if let Some(action) = route.get("filter_action") {
            linter.report(&DYNAMIC, action.place, "a filter decides what the route does");
        }
        let Some(action) = route.get("route") else {
            per_route::judge_bodies(&bodies, self.line, linter);
            return;
        };
        self.action(action, linter);
        let weighted = action.at("weighted_clusters.clusters").map(Node::items).unwrap_or_default();
        for cluster in weighted {
            fields::judge(&fields::WEIGHT, cluster, linter);
            headers(cluster, linter);
            rewrites(cluster, linter);
            let own = self.level(cluster, level, linter);
            per_route::judge_bodies(&[&bodies[..], &[own]].concat(), self.line, linter);
        }
        if weighted.is_empty() {
            per_route::judge_bodies(&bodies, self.line, linter);
        }
    }

    fn action(self, action: &Node, linter: &mut Linter<'_>) {
        fields::judge(&fields::ACTION, action, linter);
        rewrites(action, linter);
        choice::of_weights(action, linter);
        mirrors(action, linter);
        for key in ["cluster_specifier_plugin", "inline_cluster_specifier_plugin"] {
            if let Some(plugin) = action.get(key) {
                linter.report(&DYNAMIC, plugin.place, "an extension chooses the upstream");
            }
        }
        if let Some(policy) = action.get("internal_redirect_policy") {
            linter.report(&REDIRECT, policy.place, "Envoy follows redirects of the upstream itself");
        }
        if let Some(old) = action.get("internal_redirect_action")
            && !old.is_member(&[("PASS_THROUGH_INTERNAL_REDIRECT", 0)])
        {
            linter.report(&REDIRECT, old.place, "Envoy follows redirects of the upstream itself");
        }
        for upgrade in action.list("upgrade_configs") {
            if upgrade.get("enabled").and_then(Node::truth) != Some(false) {
                let kind = upgrade.get("upgrade_type").map(Node::shown).unwrap_or_default();
                linter.report(&UPGRADES, upgrade.place, format!("upgrade `{kind}` is on for a route"));
            }
        }
        if let Some(timeout) = action.get("timeout") {
            let long = timeout.duration().is_some_and(|time| time.is_zero() || time > self.check);
            if !long {
                let message =
                    format!("the route's timeout of `{}` is not above that of the Check", timeout.shown());
                linter.report(&TIMEOUT, timeout.place, message);
            }
        }
        for key in ["max_stream_duration", "grpc_timeout_header_max"] {
            let limit = action.get("max_stream_duration").and_then(|limits| limits.get(key));
            if let Some(limit) = limit.filter(|limit| !bounded(limit, LONGEST_STREAM)) {
                linter.report(
                    &STREAM_TIME,
                    limit.place,
                    format!("`{key}` of a route is `{}`", limit.shown()),
                );
            }
        }
    }
}

/// Whether a match takes nothing but OPTIONS.
fn only_options(found: &Node) -> bool {
    found.list("headers").iter().any(|header| {
        let exact = header.at("string_match.exact").or_else(|| header.get("exact_match"));
        header.text_of("name") == ":method"
            && exact.and_then(Node::text) == Some("OPTIONS")
            && !header.says("invert_match")
    })
}

fn rewrites(action: &Node, linter: &mut Linter<'_>) {
    const REWRITES: [&str; 7] = [
        "prefix_rewrite",
        "regex_rewrite",
        "path_rewrite_policy",
        "path_rewrite",
        "host_rewrite_literal",
        "host_rewrite",
        "host_rewrite_path_regex",
    ];
    for key in REWRITES {
        if let Some(rewrite) = action.get(key) {
            linter.report(&REWRITE, rewrite.place, format!("`{key}` is `{}`", rewrite.shown()));
        }
    }
    if let Some(auto) = action.get("auto_host_rewrite").filter(|auto| auto.truth() != Some(false)) {
        linter.report(&REWRITE, auto.place, "the host becomes that of the upstream");
    }
    if let Some(header) = action.get("host_rewrite_header") {
        let message = format!("the host is taken from header `{}`", header.shown());
        linter.report(&HOST_FROM_HEADER, header.place, message);
    }
    if let Some(header) = action.get("cluster_header") {
        let message = format!("the upstream is chosen by header `{}`", header.shown());
        linter.report(&UPSTREAM_FROM_HEADER, header.place, message);
    }
}

fn specifiers(owner: &Node, linter: &mut Linter<'_>) {
    for specifier in owner.list("route_specifiers") {
        linter.report(&DYNAMIC, specifier.place, "an extension chooses the route");
    }
}

fn mirrors(owner: &Node, linter: &mut Linter<'_>) {
    for mirror in owner.list("request_mirror_policies") {
        linter.report(&MIRROR, mirror.place, "requests are copied to another upstream");
    }
}

fn headers(owner: &Node, linter: &mut Linter<'_>) {
    for header in owner.list("request_headers_to_add") {
        let name = header.at("header.key").and_then(Node::text).unwrap_or_default();
        if names::reserved(name, linter.options) {
            linter.report(&HEADER, header.place, format!("`{}` is written by a route", shortened(name)));
        }
    }
    for removed in owner.list("request_headers_to_remove") {
        let name = removed.text().unwrap_or_default();
        if names::is_ours(name) {
            let message = format!("`{}` is removed by a route", shortened(name));
            linter.report(&HEADER, removed.place, message);
        }
    }
}

//! The order of the HTTP filters: what is judged is what the caller sent, and what the upstream gets is what
//! was judged.

use crate::linter::Linter;
use crate::names::OURS;
use crate::rule::{Key, Part, Rule, Severity, elsewhere};
use crate::rules::check;
use crate::rules::listener::Around;
use crate::rules::{fields, logs, mutation};
use crate::tree::{Node, shortened};

pub(crate) static STRIP_MISSING: Rule = Rule::new(
    Severity::Weak,
    "strip",
    &["B-03"],
    "a caller's own `x-exequatur-…` headers come in; what a permit does not overwrite by name goes on to the upstream",
    "a `header_mutation` filter before ext_authz: remove_on_match: { key_matcher: { prefix: x-exequatur- } }",
)
.key(Key::must(
    Part::Strip,
    "remove_on_match.key_matcher",
    elsewhere,
    &["{ exact: x-exequatur-user }", "{ prefix: x-exequatur-u }", "{ suffix: x-exequatur- }", "{ prefix: x-other- }"],
));
static STRIP_AFTER: Rule = Rule::new(
    Severity::Weak,
    "strip-after",
    &["B-03"],
    "what Exequatur says of the caller is removed again",
    "put the filter before ext_authz",
);
static FILTER_BEFORE: Rule = Rule::new(
    Severity::Unknown,
    "filter-before",
    &["N09"],
    "if it changes method, path, host or headers, what is judged is not what the caller sent",
    "put the ext_authz filter first; or allow it with a reason",
)
.allowable();
static FILTER_AFTER: Rule = Rule::new(
    Severity::Unknown,
    "filter-after",
    &["N09"],
    "if it changes method, path, host, headers or body, the upstream gets what was not judged",
    "leave it out; or allow it with a reason",
)
.allowable();
pub(crate) static MUTATION_BEFORE: Rule = Rule::new(
    Severity::Hole,
    "mutation-before",
    &["N09"],
    "what is judged is not what the caller sent",
    "let nothing before ext_authz write the headers that decide",
)
.allowable();
static MUTATION_AFTER: Rule = Rule::new(
    Severity::Hole,
    "mutation-after",
    &["N09"],
    "the upstream gets what was not judged, or what Exequatur did not say",
    "let nothing after ext_authz write these headers",
)
.allowable();
static CONDITIONAL: Rule = Rule::new(
    Severity::Hole,
    "conditional-check",
    &["B-15"],
    "requests that the matcher does not send there pass without a decision",
    "put the ext_authz filter itself into `http_filters`",
);
static DISABLED: Rule = Rule::new(
    Severity::Hole,
    "check-disabled",
    &["B-15"],
    "the filter is off, but for routes that switch it on",
    "leave `disabled` out",
);
static OPTIONAL: Rule = Rule::new(
    Severity::Hole,
    "check-optional",
    &["B-15"],
    "an Envoy that does not know the filter leaves it out, and everything passes",
    "leave `is_optional` out",
);

pub(crate) static RULES: &[&Rule] = &[
    &STRIP_MISSING,
    &STRIP_AFTER,
    &FILTER_BEFORE,
    &FILTER_AFTER,
    &MUTATION_BEFORE,
    &MUTATION_AFTER,
    &CONDITIONAL,
    &DISABLED,
    &OPTIONAL,
];

pub(crate) const MUTATION: &str = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";
const CODEC: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";
const WITH_MATCHER: &str = "envoy.extensions.common.matching.v3.ExtensionWithMatcher";
/// Filters that refuse, count, delay or look, and change nothing that is judged.
const HARMLESS: [&str; 15] = [
    "envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",
    "envoy.extensions.filters.http.admission_control.v3.AdmissionControl",
    "envoy.extensions.filters.http.bandwidth_limit.v3.BandwidthLimit",
    "envoy.extensions.filters.http.buffer.v3.Buffer",
    "envoy.extensions.filters.http.cdn_loop.v3.CdnLoopConfig",
    "envoy.extensions.filters.http.compressor.v3.Compressor",
    "envoy.extensions.filters.http.cors.v3.Cors",
    "envoy.extensions.filters.http.csrf.v3.CsrfPolicy",
    "envoy.extensions.filters.http.fault.v3.HTTPFault",
    "envoy.extensions.filters.http.grpc_stats.v3.FilterConfig",
    "envoy.extensions.filters.http.health_check.v3.HealthCheck",
    "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
    "envoy.extensions.filters.http.original_src.v3.OriginalSrc",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.set_metadata.v3.Config",
];

/// An `ext_authz` filter in its place.
pub(crate) struct Guard<'n> {
    /// The name that configurations of routes use for it.
    pub(crate) name: &'n str,
    /// Its `ExtAuthz`.
    pub(crate) check: &'n Node,
}

/// What routes have to know of the filters.
pub(crate) struct Line<'n> {
    pub(crate) guards: Vec<Guard<'n>>,
    /// Names of the filters that strip our prefix.
    pub(crate) strips: Vec<&'n str>,
}

/// Judges a list of filters. `None`: no `ext_authz` filter is in it.
pub(crate) fn judge<'n>(
    filters: &'n [Node],
    around: Around<'_>,
    linter: &mut Linter<'_>,
) -> Option<Line<'n>> {
    let guards: Vec<(usize, Guard<'n>)> = filters
        .iter()
        .enumerate()
        .filter_map(|(index, filter)| Some((index, guard(filter, linter)?)))
        .collect();
    let first = guards.first()?.0;
    let last = guards.last()?.0;
    let mut strips = Vec::new();
    for (index, filter) in filters.iter().enumerate() {
        fields::judge(&fields::FILTER, filter, linter);
        if index < last && !guards.iter().any(|(guard, _)| *guard == index) {
            before(filter, linter);
            if index < first && strips_ours(filter) {
                strips.push(filter.text_of("name"));
            }
        } else if index > last {
            after(filter, linter);
        }
    }
    let guards: Vec<Guard<'n>> = guards.into_iter().map(|(_, guard)| guard).collect();
    for guard in &guards {
        check::judge(guard.check, around, linter);
    }
    if strips.is_empty() {
        let place =
            filters.get(first).map_or(crate::Place { text: 0, line: 1, column: 1 }, |filter| filter.place);
        linter.report(&STRIP_MISSING, place, "nothing before ext_authz removes every `x-exequatur-…` header");
    }
    Some(Line { guards, strips })
}

/// The filter's `ExtAuthz`, if it is one, or holds one behind a matcher.
fn guard<'n>(filter: &'n Node, linter: &mut Linter<'_>) -> Option<Guard<'n>> {
    let (kind, config) = filter.get("typed_config")?.typed()?;
    let check = if kind == check::FILTER {
        config
    } else if kind == WITH_MATCHER {
        let (inner, config) = config.at("extension_config.typed_config")?.typed()?;
        if inner != check::FILTER {
            return None;
        }
        linter.report(&CONDITIONAL, filter.place, "ext_authz stands behind a matcher");
        config
    } else {
        return None;
    };
    for (key, rule) in [("disabled", &DISABLED), ("is_optional", &OPTIONAL)] {
        if let Some(value) = filter.get(key).filter(|value| value.truth() != Some(false)) {
            linter.report(
                rule,
                value.place,
                format!("`{key}` of the ext_authz filter is `{}`", value.shown()),
            );
        }
    }
    Some(Guard { name: filter.text_of("name"), check })
}

fn before(filter: &Node, linter: &mut Linter<'_>) {
    match filter.get("typed_config").and_then(Node::typed) {
        Some((MUTATION, config)) => {
            for (name, place) in mutation::of_filter(config, linter) {
                linter.report(&MUTATION_BEFORE, place, format!("{name} is written before ext_authz"));
            }
        }
        kind => judge_kind(filter, kind, "before", &FILTER_BEFORE, linter),
    }
}

/// Judges filters that see a request on its way to the upstream, after the decision.
pub(crate) fn upstream(filters: &[Node], linter: &mut Linter<'_>) {
    for filter in filters {
        after(filter, linter);
    }
}

fn after(filter: &Node, linter: &mut Linter<'_>) {
    match filter.get("typed_config").and_then(Node::typed) {
        Some((MUTATION, config)) => {
            if strips_ours(filter) {
                linter.report(&STRIP_AFTER, filter.place, "`x-exequatur-…` is removed after ext_authz");
            }
            for (name, place) in mutation::of_filter(config, linter) {
                linter.report(&MUTATION_AFTER, place, format!("{name} is written after ext_authz"));
            }
        }
        Some((ROUTER, config)) => {
            for log in config.list("upstream_log") {
                logs::judge(log, linter);
            }
            upstream(config.list("upstream_http_filters"), linter);
        }
        Some((CODEC, _)) => {}
        kind => judge_kind(filter, kind, "after", &FILTER_AFTER, linter),
    }
}

fn judge_kind(
    filter: &Node,
    kind: Option<(&str, &Node)>,
    place: &str,
    rule: &'static Rule,
    linter: &mut Linter<'_>,
) {
    let name = shortened(filter.text_of("name"));
    let Some((kind, config)) = kind else {
        linter.report(rule, filter.place, format!("filter `{name}` {place} ext_authz is not in this file"));
        return;
    };
    if !HARMLESS.contains(&kind) {
        let kind = shortened(kind);
        linter.report(rule, filter.place, format!("filter `{name}` {place} ext_authz is a `{kind}`"));
        return;
    }
    for header in config.list("request_headers_to_add_when_not_enforced") {
        let name = header.at("header.key").and_then(Node::text).unwrap_or_default();
        if crate::names::reserved(name, linter.options) {
            linter.report(&MUTATION_AFTER, header.place, format!("`{}` is written", shortened(name)));
        }
    }
}

/// Whether the filter removes every name of ours, whatever it is called, and is always on.
pub(crate) fn strips_ours(filter: &Node) -> bool {
    if filter.says("disabled") || filter.says("is_optional") {
        return false;
    }
    let Some((MUTATION, config)) = filter.get("typed_config").and_then(Node::typed) else { return false };
    let mutations = config.at("mutations.request_mutations").map(Node::items).unwrap_or_default();
    mutations.iter().filter_map(|mutation| mutation.at("remove_on_match.key_matcher")).any(|matcher| {
        OURS.iter().all(|name| crate::names::matches(matcher, name) == Some(true))
            && crate::names::matches(matcher, "authorization") == Some(false)
            && crate::names::matches(matcher, "dpop") == Some(false)
    })
}

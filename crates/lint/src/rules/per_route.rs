//! What routes say of the filters: where the Check is switched off, sent elsewhere, or shown a body.

use crate::linter::Linter;
use crate::rule::{Key, Part, Rule, Severity, elsewhere};
use crate::rules::check;
use crate::rules::listener::Around;
use crate::rules::order::Line;
use crate::rules::{body, fields, mutation};
use crate::tree::{Entry, Node, Place, shortened};

static BYPASS: Rule = Rule::new(
    Severity::Hole,
    "route-bypass",
    &["B-15"],
    "requests pass here without a decision, whatever they carry; `deny_at_disable` does not cover it",
    "remove it: a public route is declared in Exequatur's configuration; or allow it with a reason",
)
.allowable_here();
static BYPASS_WIDE: Rule = Rule::new(
    Severity::Hole,
    "bypass-wide",
    &["B-15"],
    "more than one path passes without a decision: whatever an upstream comes to serve there is open",
    "match one exact `path`, or answer by `direct_response`; or allow it with a reason",
)
.allowable_here();
static STRIP_BYPASS: Rule = Rule::new(
    Severity::Hole,
    "strip-bypass",
    &["B-03"],
    "a caller's own `x-exequatur-…` headers come in on this route",
    "leave it out",
);
static OPTIONAL: Rule = Rule::new(
    Severity::Hole,
    "route-optional",
    &["B-15"],
    "an Envoy that does not know what is said here goes on without it",
    "leave `is_optional` out",
);
static UNKNOWN_SETTINGS: Rule = Rule::new(
    Severity::Unknown,
    "route-settings",
    &["B-15"],
    "what this says to the ext_authz filter is not known here",
    "use `ExtAuthzPerRoute`",
);
pub(crate) static BODY_NOT_SHOWN: Rule = Rule::new(
    Severity::Hole,
    "body-not-shown",
    &["G29"],
    "Exequatur believes that a preflight has no body where Envoy does not look for one",
    "with_request_body beside `exequatur_body: shown`, in the same `check_settings`",
)
.key(Key::must(Part::Body, "max_request_bytes", elsewhere, &[]));
static BYTES_LOST: Rule = Rule::new(
    Severity::Weak,
    "body-bytes-lost",
    &["B-09"],
    "Envoy gives bytes to Exequatur only where the filter itself has `with_request_body`: here it gives repaired text",
    "with_request_body for the filter too, with `disable_request_body_buffering` on other routes",
)
.allowable();

pub(crate) static RULES: &[&Rule] =
    &[&BYPASS, &BYPASS_WIDE, &STRIP_BYPASS, &OPTIONAL, &UNKNOWN_SETTINGS, &BODY_NOT_SHOWN, &BYTES_LOST];

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";
const MUTATION_PER_ROUTE: &str = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute";

/// What one level (route configuration, virtual host, route, weighted cluster) says of bodies.
#[derive(Clone, Copy, Default)]
pub(crate) struct Bodies {
    /// Where it says that Exequatur is shown them.
    shown: Option<Place>,
    /// Whether Envoy buffers them; `None`: it says nothing of it.
    buffered: Option<bool>,
}

/// What a level is, as far as bypasses and bodies depend on it.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// One exact path, or nothing behind it.
    pub(crate) narrow: bool,
    /// Only OPTIONS: it does not matter which bytes a body has, only that there are some.
    pub(crate) preflight: bool,
}

/// Judges the settings of one level.
pub(crate) fn judge(
    owner: &Node,
    level: Level,
    line: &Line<'_>,
    around: Around<'_>,
    linter: &mut Linter<'_>,
) -> Bodies {
    let mut bodies = Bodies::default();
    for entry in owner.get("typed_per_filter_config").map(Node::entries).unwrap_or_default() {
        let mut place = Settings { entry, level, line, around, bodies: &mut bodies };
        place.judge(&entry.value, linter);
    }
    bodies
}

/// One entry of `typed_per_filter_config`.
struct Settings<'a, 'n> {
    entry: &'n Entry,
    level: Level,
    line: &'a Line<'n>,
    around: Around<'a>,
    bodies: &'a mut Bodies,
}

impl<'n> Settings<'_, 'n> {
    fn of_guard(&self) -> bool {
        self.line.guards.iter().any(|guard| guard.name == self.entry.key)
    }

    fn judge(&mut self, any: &'n Node, linter: &mut Linter<'_>) {
        match any.typed() {
            Some((check::PER_ROUTE, settings)) => self.check(settings, linter),
            Some((FILTER_CONFIG, wrapper)) => self.wrapper(wrapper, linter),
            Some((MUTATION_PER_ROUTE, settings)) => {
                for (name, place) in mutation::of_filter(settings, linter) {
                    linter.report(&super::route::HEADER, place, format!("{name} is written on this route"));
                }
            }
            Some((kind, _)) if self.of_guard() => {
                let message = format!("`{}` for the ext_authz filter", shortened(kind));
                linter.report(&UNKNOWN_SETTINGS, any.place, message);
            }
            None if self.of_guard() => {
                linter.report(
                    &UNKNOWN_SETTINGS,
                    any.place,
                    "settings without a type for the ext_authz filter",
                );
            }
            Some(_) | None => {}
        }
    }

    fn wrapper(&mut self, wrapper: &'n Node, linter: &mut Linter<'_>) {
        fields::judge(&fields::FILTER_CONFIG, wrapper, linter);
        let off = wrapper.get("disabled").filter(|off| off.truth() != Some(false));
        if let Some(off) = off {
            if self.of_guard() {
                self.bypass(off, linter);
            } else if self.line.strips.contains(&self.entry.key.as_str()) {
                linter.report(&STRIP_BYPASS, off.place, "the filter that strips `x-exequatur-…` is off");
            }
        }
        if let Some(optional) = wrapper.get("is_optional").filter(|optional| optional.truth() != Some(false))
            && self.of_guard()
        {
            linter.report(&OPTIONAL, optional.place, "settings for the ext_authz filter are optional");
        }
        if let Some(inner) = wrapper.get("config") {
            self.judge(inner, linter);
        }
    }

    fn bypass(&self, off: &Node, linter: &mut Linter<'_>) {
        linter.report(&BYPASS, off.place, "ext_authz is off here");
        if !self.level.narrow {
            linter.report(&BYPASS_WIDE, off.place, "ext_authz is off for more than one exact path");
        }
    }

    fn check(&mut self, settings: &'n Node, linter: &mut Linter<'_>) {
        linter.judged(settings);
        fields::judge(&fields::PER_ROUTE, settings, linter);
        if let Some(off) = settings.get("disabled").filter(|off| off.truth() != Some(false)) {
            self.bypass(off, linter);
        }
        let Some(settings) = settings.get("check_settings") else { return };
        fields::judge(&fields::SETTINGS, settings, linter);
        if let Some(grpc) = settings.get("grpc_service") {
            check::service(grpc, self.around, linter);
        }
        if let Some(http) = settings.get("http_service") {
            check::not_grpc(http, linter);
        }
        let said = settings.get("context_extensions").map(Node::entries).unwrap_or_default();
        let shown =
            said.iter().find(|entry| entry.key == "exequatur_body" && entry.value.text() == Some("shown"));
        self.bodies.shown = shown.map(|entry| entry.place);
        let filter = self.line.guards.iter().all(|guard| guard.check.get("with_request_body").is_some());
        let buffer = settings.get("with_request_body");
        let off =
            settings.get("disable_request_body_buffering").is_some_and(|off| off.truth() != Some(false));
        self.bodies.buffered = Some(!off && (buffer.is_some() || filter));
        if let Some(buffer) = buffer {
            body::judge(buffer, linter);
            if buffer.says("pack_as_bytes") && !filter && !self.level.preflight {
                let message =
                    "`pack_as_bytes` of a route, while the filter itself has no `with_request_body`";
                linter.report(&BYTES_LOST, buffer.place, message);
            }
        }
    }
}

/// Judges what the levels of one route, the most general first, say of bodies together.
pub(crate) fn judge_bodies(levels: &[Bodies], line: &Line<'_>, linter: &mut Linter<'_>) {
    let Some(shown) = levels.iter().rev().find_map(|level| level.shown) else { return };
    let filter = line.guards.iter().all(|guard| guard.check.get("with_request_body").is_some());
    let buffered = levels.iter().rev().find_map(|level| level.buffered).unwrap_or(filter);
    if !buffered {
        linter.report(&BODY_NOT_SHOWN, shown, "`exequatur_body: shown`, and no `with_request_body` here");
    }
}

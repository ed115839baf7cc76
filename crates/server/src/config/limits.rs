//! `limits` and `unauthenticated`: how often, and how much.

use std::num::{NonZeroU32, NonZeroU64};

use exequatur_decide::{Access, LimitRule, Per, Route};
use exequatur_store::{Limit, MAX_CHARGES, MAX_UNITS, Period, Quota, Rate, RatePer, parse_quota, parse_rate};
use serde_json::json;

use super::keys::{Key, Shape, count, either, list, optional, pattern, required, texts, words};
use super::problems::Place;
use super::reader::{Fields, Node, Notes, Value, once};
use super::routes::RoutePlace;

/// The key that would let a limit count across tenants.
const ACROSS: &str = "across";
const MAX_NAME: usize = 64;

pub(super) const KEYS: &[Key] = &[
    required("name", "In headers, records and overrides; unique.", || {
        pattern(&format!("^[A-Za-z0-9._-]{{1,{MAX_NAME}}}$"))
    }),
    required(
        "per",
        "Whom it counts, within the token's tenant (its issuer, if it names none). Of a list, each combination.",
        || either([words(&Per::WORDS), list(words(&Per::WORDS)).some().unique()]),
    ),
    optional(
        "rate",
        "Attempts a second, minute or hour (`100/s`, `/m`, `/h`). Either this or `quota`.",
        rate_shape,
    ),
    optional("burst", "With `rate`: how many at once. If absent, the number of the rate.", || {
        count().at_most(MAX_UNITS)
    }),
    optional(
        "quota",
        "Permitted requests in a calendar period of UTC: `1000000/day`, also `/minute`, `/hour`, `/month`.",
        || {
            let units: Vec<_> = Period::WORDS.iter().map(|(word, _)| *word).collect();
            pattern(&format!("^[1-9][0-9]*/({})$", units.join("|")))
        },
    ),
    optional("routes", "The guarded routes that it is for. If absent, all.", texts),
];

pub(super) const UNAUTHENTICATED_KEYS: &[Key] = &[
    required(
        "rate",
        "Requests of one source without credentials that hold: `100/s`, `/m`, `/h`.",
        rate_shape,
    ),
    optional("burst", "How many at once. If absent, the number of the rate.", || count().at_most(MAX_UNITS)),
];

fn rate_shape() -> Shape {
    pattern("^[1-9][0-9]*/(s|m|h)$")
}

/// What a request may cost of each limit.
pub(super) fn cost_shape() -> Shape {
    count().at_most(MAX_UNITS).default(json!(1))
}

pub(super) fn cost(node: &Node, notes: &Notes) -> Option<NonZeroU32> {
    units(node, notes)
}

/// A limit, and where it stands.
pub(super) type Placed = (LimitRule, Place);

pub(super) fn read(node: &Node, notes: &Notes) -> Option<Vec<Placed>> {
    let mut names = Vec::new();
    node.each(notes, |item| {
        if let Some(entry) = item.map(notes)?.iter().find(|entry| entry.key == ACROSS) {
            let message = "a limit across tenants is not built yet: each tenant is counted on its own";
            notes.hint(entry.key_place, message, "remove `across`: the limit then counts within each tenant");
            return None;
        }
        let fields = Fields::open(item, KEYS, notes)?;
        let name = fields.required("name").and_then(|node| name(node, &mut names, notes));
        let per = fields.required("per").and_then(|node| per(node, notes));
        let limit = limit(&fields, item, notes);
        let routes = fields.or("routes", None, |node| node.texts(notes).map(Some));
        Some((LimitRule { name: name?, per: per?, limit: limit?, routes: routes? }, item.place))
    })
}

pub(super) fn read_unauthenticated(node: &Node, notes: &Notes) -> Option<Rate> {
    let fields = Fields::open(node, UNAUTHENTICATED_KEYS, notes)?;
    let rate = fields.required("rate").and_then(|node| per_time(node, parse_rate, RATE_HINT, notes));
    let burst = fields.or("burst", None, |node| units(node, notes).map(Some));
    bucket(node, rate?, burst?, notes)
}

fn name(node: &Node, names: &mut Vec<String>, notes: &Notes) -> Option<String> {
    let name = node.text(notes)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.len() > MAX_NAME || !name.bytes().all(allowed) {
        notes.add(node.place, format!("a limit's name is 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"));
        return None;
    }
    once(name, names, node.place, notes).then(|| name.to_owned())
}

fn per(node: &Node, notes: &Notes) -> Option<Vec<Per>> {
    let mut per = match &node.value {
        Value::Text(_) => vec![node.word(&Per::WORDS, notes)?],
        Value::Null
        | Value::Bool(_)
        | Value::Integer(_)
        | Value::Float
        | Value::List(_)
        | Value::Map(_)
        | Value::Unusable => {
            let mut seen = Vec::new();
            node.some(notes, |item| {
                let word = item.word(&Per::WORDS, notes)?;
                once(item.text(notes)?, &mut seen, item.place, notes).then_some(word)
            })?
        }
    };
    // Two spellings of one combination are one.
    per.sort_unstable();
    Some(per)
}

const RATE_HINT: &str = "write 100/s, 100/m or 100/h";
const QUOTA_HINT: &str = "write 1000000/day, or /minute, /hour, /month";

fn limit(fields: &Fields<'_>, item: &Node, notes: &Notes) -> Option<Limit> {
    let burst = fields.or("burst", None, |node| units(node, notes).map(Some));
    match (fields.optional("rate"), fields.optional("quota")) {
        (Some(rate), None) => {
            let counted = per_time(rate, parse_rate, RATE_HINT, notes);
            bucket(rate, counted?, burst?, notes).map(Limit::Rate)
        }
        (None, Some(quota)) => {
            let counted = per_time(quota, parse_quota, QUOTA_HINT, notes);
            if let Some(entry) = fields.entry("burst") {
                notes.hint(entry.key_place, "a quota has no burst", "remove it, or say `rate`");
                return None;
            }
            let (units, period) = counted?;
            let found = Quota::new(units, period);
            if found.is_none() {
                notes.add(quota.place, format!("more than {} units", Quota::MAX));
            }
            found.map(Limit::Quota)
        }
        (Some(_), Some(quota)) => {
            notes.hint(
                quota.place,
                "`rate` and `quota` in one limit",
                "make two limits of it: both must have room",
            );
            None
        }
        (None, None) => {
            notes.hint(item.place, "neither `rate` nor `quota`", RATE_HINT);
            None
        }
    }
}

fn bucket(
    node: &Node,
    (count, per): (NonZeroU64, RatePer),
    burst: Option<NonZeroU32>,
    notes: &Notes,
) -> Option<Rate> {
    let count = NonZeroU32::try_from(count).ok();
    let rate = count.and_then(|count| Rate::new(count, per, burst.unwrap_or(count)));
    if rate.is_none() {
        notes.add(node.place, format!("more than {MAX_UNITS}"));
    }
    rate
}

/// `count/unit`
fn per_time<T>(
    node: &Node,
    parse: impl FnOnce(&str) -> Option<(NonZeroU64, T)>,
    hint: &str,
    notes: &Notes,
) -> Option<(NonZeroU64, T)> {
    let text = node.text(notes)?;
    let read = parse(text);
    if read.is_none() {
        notes.hint(node.place, format!("`{text}` says no number in a time"), hint);
    }
    read
}

fn units(node: &Node, notes: &Notes) -> Option<NonZeroU32> {
    let units = node.count(notes)?;
    if units.get() > MAX_UNITS {
        notes.add(node.place, format!("more than {MAX_UNITS}"));
        return None;
    }
    Some(units)
}

/// Whether routes and limits fit each other: what is named exists, no route has more limits than can be charged in one
/// step, and no request costs more than there can ever be.
pub(super) fn check(limits: &[Placed], routes: &[(Route, RoutePlace)], notes: &Notes) {
    for (limit, place) in limits {
        for name in limit.routes.iter().flatten() {
            let route = routes.iter().find(|(route, _)| route.name == *name);
            match route.map(|(route, _)| &route.access) {
                Some(Access::Guarded(_)) => {}
                Some(Access::Public | Access::Preflight) => {
                    let message = format!(
                        "limit `{}`: route `{name}` needs no identity, so nobody is counted",
                        limit.name
                    );
                    notes.hint(*place, message, "limit it in Envoy");
                }
                None => {
                    let message = format!("limit `{}`: there is no route `{name}`", limit.name);
                    notes.hint(*place, message, "a route's `name`");
                }
            }
        }
    }
    for (route, place) in routes {
        let Access::Guarded(guard) = &route.access else { continue };
        let applying: Vec<_> = limits.iter().filter(|(limit, _)| limit.applies_to(&route.name)).collect();
        if applying.len() > MAX_CHARGES {
            let message = format!("{} limits for one route; at most {MAX_CHARGES}", applying.len());
            notes.add(place.at, message);
        }
        for (limit, _) in applying {
            let most = limit.limit.most();
            if u64::from(guard.cost.get()) > most {
                let message = format!(
                    "a request costs {}, and limit `{}` never has more than {most}",
                    guard.cost, limit.name
                );
                notes.hint(
                    place.field("cost"),
                    message,
                    "every request would be refused: raise the limit's burst or quota",
                );
            }
        }
    }
}

/// The text of whom a limit counts.
pub(super) fn per_text(per: &[Per]) -> String {
    format!("[{}]", per.iter().map(|per| per.word()).collect::<Vec<_>>().join(", "))
}

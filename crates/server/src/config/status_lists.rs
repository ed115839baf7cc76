//! `issuers[].status_lists`: where the status of an issuer's tokens is kept, and how it is looked up.

use std::ops::RangeInclusive;
use std::str::FromStr as _;
use std::time::Duration;

use exequatur_issuers::{ConfigProblem, IssuerConfig, ListPrefix, StatusListConfig};
use exequatur_token::StatusListSize;

use super::duration;
use super::keys::{Key, boolean, duration as duration_shape, list, number, optional, pattern, required};
use super::problems::Place;
use super::reader::{Fields, Node, Notes, Value, once};

const REFRESH_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
const WAIT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(5);
/// A list of a million tokens takes 125 KiB; nobody has thousands in use.
const LISTS_RANGE: RangeInclusive<usize> = 1..=1024;

pub(super) const KEYS: &[Key] = &[
    required(
        "uris",
        "What the address of a list begins with: https URLs, by whole path segments. No other one is asked.",
        || list(pattern("^https://")).some().unique(),
    ),
    optional("required", "Refuse a token that names no list.", || boolean().default(false)),
    optional(
        "refresh",
        "How often a list is loaded, give or take a tenth; sooner where its `ttl` or `exp` asks for it.",
        || duration_shape(&REFRESH_RANGE).default_duration(defaults().refresh),
    ),
    optional("cooldown", "Least time between a load that failed and the next one.", || {
        duration_shape(&REFRESH_RANGE).default_duration(defaults().cooldown)
    }),
    optional(
        "max_stale",
        "How long a list is used without being loaded anew, whatever its `ttl` and `exp` say; at least twice \
         `refresh`.",
        || duration_shape(&REFRESH_RANGE).default_duration(defaults().max_stale),
    ),
    optional(
        "wait",
        "How long a decision waits for a list that was never loaded; at most half of `deadline`.",
        || duration_shape(&WAIT_RANGE).default_duration(defaults().wait),
    ),
    optional("max_lists", "Most lists that are kept.", || number(&LISTS_RANGE).default(defaults().max_lists)),
    optional("max_list_bytes", "Longest list that is kept, as inflated.", || {
        number(&StatusListSize::RANGE).default(defaults().size.bytes())
    }),
];

/// As read.
pub(super) struct Lists {
    pub(super) config: StatusListConfig,
    pub(super) required: bool,
}

fn defaults() -> StatusListConfig {
    StatusListConfig::new(Vec::new())
}

pub(super) fn read(node: &Node, notes: &Notes) -> Option<Lists> {
    let fields = Fields::open(node, KEYS, notes)?;
    let mut seen = Vec::new();
    let uris = fields.required("uris").and_then(|node| {
        node.some(notes, |item| {
            let text = item.text(notes)?;
            if !once(text, &mut seen, item.place, notes) {
                return None;
            }
            match ListPrefix::from_str(text) {
                Ok(prefix) => Some(prefix),
                Err(problem) => {
                    let hint = "write it as tokens do, such as https://sts.example.com/statuslists/";
                    notes.hint(item.place, problem.to_string(), hint);
                    None
                }
            }
        })
    });
    let required = fields.or("required", false, |node| node.boolean(notes));
    let refresh = fields.duration("refresh", defaults().refresh, &REFRESH_RANGE);
    let cooldown = fields.duration("cooldown", defaults().cooldown, &REFRESH_RANGE);
    let max_stale = fields.duration("max_stale", defaults().max_stale, &REFRESH_RANGE);
    let wait = fields.duration("wait", defaults().wait, &WAIT_RANGE);
    let max_lists = fields.or("max_lists", defaults().max_lists, |node| node.number(&LISTS_RANGE, notes));
    let size = fields.or("max_list_bytes", defaults().size, |node| {
        node.number(&StatusListSize::RANGE, notes).and_then(StatusListSize::new)
    });
    let config = StatusListConfig {
        uris: uris?,
        refresh: refresh?,
        cooldown: cooldown?,
        max_stale: max_stale?,
        wait: wait?,
        max_lists: max_lists?,
        size: size?,
    };
    Some(Lists { config, required: required? })
}

/// Where in `status_lists` a mistake stands, if it is one in there.
pub(super) fn place_of(problem: ConfigProblem, issuer: &Fields<'_>, notes: &Notes) -> Option<Place> {
    let key = match problem {
        ConfigProblem::RequiredWithoutLists => "required",
        ConfigProblem::NoListPrefix => "uris",
        ConfigProblem::NoListRefresh => "refresh",
        ConfigProblem::NoListCooldown => "cooldown",
        ConfigProblem::ListStaleBeforeRefresh => "max_stale",
        ConfigProblem::NoRoomForLists => "max_lists",
        ConfigProblem::Profile(_)
        | ConfigProblem::Url(_)
        | ConfigProblem::Issuer(_)
        | ConfigProblem::TransportUnused
        | ConfigProblem::AuthoritiesUnused
        | ConfigProblem::ProxyWithoutTls
        | ConfigProblem::NoRefresh
        | ConfigProblem::NoCooldown
        | ConfigProblem::StaleBeforeRefresh
        | ConfigProblem::IntrospectionIssuer(_) => return None,
    };
    let entries = issuer.optional("status_lists")?.map(notes)?;
    entries.iter().find(|entry| entry.key == key).map(|entry| entry.key_place)
}

/// A decision may have waited for its turn for half of its time already.
pub(super) fn check(issuers: &[IssuerConfig], deadline: Duration, section: Option<&Node>, notes: &Notes) {
    for (index, issuer) in issuers.iter().enumerate() {
        let Some(lists) = issuer.status_lists.as_ref().filter(|lists| lists.wait > deadline / 2) else {
            continue;
        };
        let wait = duration::format(lists.wait);
        let message = format!(
            "a decision would wait {wait}, more than half of `deadline` ({})",
            duration::format(deadline)
        );
        notes.hint(
            wait_place(section, index).unwrap_or_default(),
            message,
            "lower `wait`, or raise `deadline` and Envoy's `timeout`",
        );
    }
}

fn wait_place(section: Option<&Node>, index: usize) -> Option<Place> {
    let item = items(section?)?.get(index)?;
    let lists = entry(item, "status_lists").unwrap_or(item);
    Some(entry(lists, "wait").unwrap_or(lists).place)
}

pub(super) fn items(node: &Node) -> Option<&[Node]> {
    if let Value::List(items) = &node.value { Some(items) } else { None }
}

pub(super) fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

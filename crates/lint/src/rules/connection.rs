//! The HTTP connection manager: one reading of a request, for Envoy, Exequatur and the upstream.

pub(crate) mod keys;

use std::time::Duration;

use crate::linter::Linter;
use crate::rule::{Part, Rule, Severity};
use crate::rules::listener::{self, Around};
use crate::rules::{fields, logs, mutation, order, route};
use crate::tree::Node;

/// Longest life of a stream that is checked only once, at its beginning.
pub(crate) const LONGEST_STREAM: Duration = Duration::from_secs(3600);

pub(crate) static UPGRADES: Rule = Rule::new(
    Severity::Weak,
    "upgrades",
    &["B-11", "N07"],
    "an upgraded connection is checked once: what goes through it is judged by nobody",
    "leave the upgrade out; or allow it with a reason",
)
.allowable();
static ORIGINAL_ADDRESS: Rule = Rule::new(
    Severity::Weak,
    "original-address",
    &["B-06"],
    "an extension takes the source address from what the caller sends",
    "leave `original_ip_detection_extensions` out; or allow it",
)
.allowable();
static EARLY_MUTATION: Rule = Rule::new(
    Severity::Hole,
    "early-mutation",
    &["N09"],
    "what is judged is not what the caller sent",
    "leave `early_header_mutation_extensions` out, or let them touch none of the headers that decide",
)
.allowable();
static LOCAL_REPLY: Rule = Rule::new(
    Severity::Hole,
    "local-reply",
    &["B-14"],
    "a refusal looks like a success to the caller, and to whatever caches its answer",
    "map no answer of Envoy's own to a status below 400",
);
pub(crate) static RULES: &[&Rule] = &[&UPGRADES, &ORIGINAL_ADDRESS, &EARLY_MUTATION, &LOCAL_REPLY];

/// Above zero, and at most `most`.
pub(crate) fn bounded(node: &Node, most: Duration) -> bool {
    node.duration().is_some_and(|time| !time.is_zero() && time <= most)
}

/// Judges a connection manager with its filters and routes.
pub(crate) fn judge(manager: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    linter.judged(manager);
    let Some(line) = order::judge(manager.list("http_filters"), around, linter) else {
        listener::unguarded(manager, around, linter);
        return;
    };
    linter.keys(Part::Connection, manager);
    fields::judge(&fields::CONNECTION, manager, linter);
    upgrades(manager, around, linter);
    for extension in manager.list("original_ip_detection_extensions") {
        let name = extension.get("name").map(Node::shown).unwrap_or_default();
        linter.report(
            &ORIGINAL_ADDRESS,
            extension.place,
            format!("`{name}` says where a request comes from"),
        );
    }
    early_mutations(manager, linter);
    for mapper in manager.at("local_reply_config.mappers").map(Node::items).unwrap_or_default() {
        if let Some(status) =
            mapper.get("status_code").filter(|status| status.integer().is_none_or(|s| s < 400))
        {
            linter.report(
                &LOCAL_REPLY,
                status.place,
                format!("answers of Envoy's own become {}", status.shown()),
            );
        }
    }
    for log in manager.list("access_log").iter().chain(manager.get("tracing")) {
        logs::judge(log, linter);
    }
    route::judge_manager(manager, &line, around, linter);
}

fn upgrades(manager: &Node, around: Around<'_>, linter: &mut Linter<'_>) {
    for upgrade in manager.list("upgrade_configs") {
        fields::judge(&fields::UPGRADE, upgrade, linter);
        let kind = upgrade.get("upgrade_type").map(Node::shown).unwrap_or_default();
        if upgrade.get("enabled").and_then(Node::truth) != Some(false) {
            linter.report(&UPGRADES, upgrade.place, format!("upgrade `{kind}` is on"));
        }
        // Filters of its own stand in the place of all others; a route can switch it on.
        let filters = upgrade.list("filters");
        if !filters.is_empty() && order::judge(filters, around, linter).is_none() {
            listener::unguarded(upgrade, around, linter);
        }
    }
}

fn early_mutations(manager: &Node, linter: &mut Linter<'_>) {
    for extension in manager.list("early_header_mutation_extensions") {
        match extension.get("typed_config").and_then(Node::typed) {
            Some((
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                config,
            )) => {
                for (name, place) in mutation::written(config.list("mutations"), linter.options) {
                    linter.report(
                        &EARLY_MUTATION,
                        place,
                        format!("{name} is written before anybody judges it"),
                    );
                }
            }
            _ => linter.report(
                &EARLY_MUTATION,
                extension.place,
                "an extension that is not known changes headers",
            ),
        }
    }
}

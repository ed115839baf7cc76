//! Which headers choose where a request goes. Envoy chooses before any filter runs: before forged names of ours are
//! stripped, and before the decision sets the true ones.

use super::UPSTREAM_FROM_HEADER;
use crate::linter::Linter;
use crate::names;
use crate::rules::fields;
use crate::tree::{Node, Place, shortened};

/// Judges a `RouteMatch`.
pub(super) fn of_match(found: &Node, linter: &mut Linter<'_>) {
    fields::judge(&fields::MATCH, found, linter);
    for header in found.list("headers") {
        believed("the route", header.get("name"), linter);
    }
}

/// Judges a `ScopedRoutes`: a scope is chosen as a virtual host is by `vhost_header`. Host, method and path are
/// judged by the decision too.
pub(super) fn of_scopes(scopes: &Node, linter: &mut Linter<'_>) {
    for fragment in scopes.at("scope_key_builder.fragments").map(Node::items).unwrap_or_default() {
        let Some(header) = fragment.at("header_value_extractor.name") else {
            linter.unknown(
                &UPSTREAM_FROM_HEADER,
                fragment.place,
                "the scope is chosen by what is not known here",
            );
            continue;
        };
        let name = header.text().unwrap_or_default().to_ascii_lowercase();
        if !matches!(name.as_str(), ":authority" | "host" | ":path" | ":method") {
            chosen("the scope of routes", header.place, &name, linter);
        }
    }
}

/// Judges how a `RouteAction` chooses among weighted clusters. Elsewhere a hash is made after the decision, of the
/// headers that it has set.
pub(super) fn of_weights(action: &Node, linter: &mut Linter<'_>) {
    let Some(weighted) = action.get("weighted_clusters") else { return };
    believed("the upstream", weighted.get("header_name"), linter);
    if weighted.get("use_hash_policy").is_some_and(|hash| hash.truth() != Some(false)) {
        for policy in action.list("hash_policy") {
            believed("the upstream", policy.at("header.header_name"), linter);
        }
    }
}

/// Reports a choice by what the decision alone may say, or by what it removes.
fn believed(what: &str, header: Option<&Node>, linter: &mut Linter<'_>) {
    let Some(header) = header else { return };
    let name = header.text().unwrap_or_default();
    if names::believed(name, linter.options) {
        chosen(what, header.place, name, linter);
    }
}

fn chosen(what: &str, place: Place, name: &str, linter: &mut Linter<'_>) {
    let message = format!("{what} is chosen by header `{}` as the caller sent it", shortened(name));
    linter.report(&UPSTREAM_FROM_HEADER, place, message);
}

//! The rules: one file per family, and the walk through the configuration.

pub(crate) mod agentgateway;
pub(crate) mod body;
pub(crate) mod bootstrap;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod envoy_gateway;
pub(crate) mod fields;
pub(crate) mod istio;
pub(crate) mod kinds;
pub(crate) mod listener;
pub(crate) mod logs;
pub(crate) mod mutation;
pub(crate) mod order;
pub(crate) mod per_route;
pub(crate) mod resources;
pub(crate) mod route;
pub(crate) mod tls;

use crate::allowance;
use crate::rule::Rule;

/// Every rule as a table of Markdown: that of `docs/reference/envoy.md`.
#[must_use]
pub fn table() -> String {
    let mut table = "| rule | kind | requires | key | marked | allowed | what it opens | fix |\n\
                     | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for rule in all() {
        let key =
            rule.key.map(|key| format!("`{}` of `{}`", key.path, key.part.message())).unwrap_or_default();
        let marked = if rule.key.is_some_and(|key| key.required) { "yes" } else { "" };
        let allowed = if rule.allowable { "yes" } else { "" };
        let requires = rule.requires.join(", ");
        table.push_str(&format!(
            "| `{}` | {} | {requires} | {key} | {marked} | {allowed} | {} | {} |\n",
            rule.id, rule.severity, rule.opens, rule.fix
        ));
    }
    table
}

/// Every rule, by family.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    [
        fields::RULES,
        bootstrap::RULES,
        listener::RULES,
        tls::RULES,
        connection::keys::RULES,
        connection::RULES,
        logs::RULES,
        order::RULES,
        check::RULES,
        mutation::RULES,
        body::RULES,
        per_route::RULES,
        route::RULES,
        cluster::RULES,
        resources::RULES,
        istio::RULES,
        envoy_gateway::RULES,
        agentgateway::RULES,
    ]
    .into_iter()
    .flatten()
    .copied()
    .chain([&allowance::UNUSED, &allowance::INVALID])
}

//! The fields of Envoy's messages that these rules know: judged, or without harm. Those of Envoy 1.40.
//!
//! A later Envoy may add a field that switches the Check off, as 1.40 did with `shadow_mode`. A field that is
//! not in these lists is reported as unknown.

mod check;
mod connection;
mod gateways;
mod istio;
mod listener;
mod process;

pub(crate) use check::{
    BODY, CHECK, ENVOY_GRPC, FILTER, FILTER_CONFIG, MUTATION_RULES, MUTATIONS, PER_ROUTE, SERVICE, SETTINGS,
};
pub(crate) use connection::{ACTION, CONNECTION, HOST, MATCH, ROUTE, ROUTES, UPGRADE, WEIGHT};
pub(crate) use gateways::{
    AGENT_AUTH, BACKEND_TRAFFIC, CLIENT_HEADERS, CLIENT_HTTP1, CLIENT_TRAFFIC, CLIENT_VALIDATION,
    EARLY_HEADERS, EXT_AUTH,
};
pub(crate) use istio::{ENVOY_FILTER, POLICY, PROVIDER, PROVIDERS};
pub(crate) use listener::{CHAIN, COMMON_TLS, LISTENER, NETWORK_FILTER, TLS, VALIDATION};
pub(crate) use process::{BOOTSTRAP, CLUSTER};

use crate::linter::Linter;
use crate::rule::{Rule, Severity};
use crate::tree::{Node, camel, shortened};

static UNKNOWN_FIELD: Rule = Rule::new(
    Severity::Unknown,
    "unknown-field",
    &["N01"],
    "what this field does is not known here: it may be that of a newer Envoy, and open anything",
    "leave it out; or allow it, after reading what it does",
)
.allowable();

pub(crate) static RULES: &[&Rule] = &[&UNKNOWN_FIELD];

/// A message of Envoy's.
#[derive(Debug)]
pub(crate) struct Message {
    name: &'static str,
    fields: &'static [&'static str],
}

/// Reports each field of the message that is not known.
pub(crate) fn judge(message: &Message, node: &Node, linter: &mut Linter<'_>) {
    for entry in node.entries() {
        let known = entry.key.starts_with('@')
            || message.fields.iter().any(|field| *field == entry.key || camel(field) == entry.key);
        if !known {
            let text = format!("field `{}` of `{}` is not known", shortened(&entry.key), message.name);
            linter.report(&UNKNOWN_FIELD, entry.place, text);
        }
    }
}

#[cfg(test)]
impl Message {
    pub(crate) fn knows(&self, field: &str) -> bool {
        self.fields.contains(&field)
    }
}

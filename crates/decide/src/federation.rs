//! Where a token of one tenant may ask for a resource of another: nowhere, but where a rule says so.
//!
//! A rule opens nothing by itself: it lets the policies be asked, and of these only a `permit` counts that reads
//! `context.federation` itself (D-20).

use std::collections::HashMap;
use std::sync::Arc;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    /// Unique; in the policies' context and in records.
    pub name: String,
    /// Whose tokens.
    pub from: String,
    /// Whose resources. Never the same tenant.
    pub to: String,
    /// By which routes; at least one.
    pub routes: Vec<String>,
}

/// The rules of a generation.
#[derive(Debug, Default)]
pub struct Federations {
    rules: Vec<Arc<Federation>>,
    by_route: HashMap<String, Vec<Arc<Federation>>>,
}

impl Federations {
    /// The rules, in the order of the configuration, which sees to it that no two are for the same tenants and route.
    #[must_use]
    pub fn new(rules: Vec<Federation>) -> Self {
        let rules: Vec<_> = rules.into_iter().map(Arc::new).collect();
        let mut by_route: HashMap<String, Vec<_>> = HashMap::new();
        for rule in &rules {
            for route in &rule.routes {
                by_route.entry(route.clone()).or_default().push(Arc::clone(rule));
            }
        }
        Self { rules, by_route }
    }

    /// The rules, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Federation> {
        self.rules.iter().map(AsRef::as_ref)
    }

    /// The rule for a token of `from` that asks for a resource of `to` by this route: names are compared byte by byte.
    pub(crate) fn find(&self, route: &str, from: &str, to: &str) -> Option<&Arc<Federation>> {
        self.by_route.get(route)?.iter().find(|rule| rule.from == from && rule.to == to)
    }
}

use std::collections::BTreeSet;

use super::yaml::Node;

/// A mapping of a case over the same mapping of the defaults. A null in the case takes the default
/// away.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'f, 's> {
    /// Where to report what is missing.
    pub(super) at: Node<'f, 's>,
    pub(super) upper: Option<Node<'f, 's>>,
    pub(super) lower: Option<Node<'f, 's>>,
}

impl<'f, 's> Layers<'f, 's> {
    pub(super) fn get(self, name: &str) -> Option<Node<'f, 's>> {
        let found = self.upper.and_then(|node| node.get(name)).or_else(|| self.lower?.get(name))?;
        (!found.is_null()).then_some(found)
    }

    pub(super) fn need(self, name: &str) -> Option<Node<'f, 's>> {
        let found = self.get(name);
        if found.is_none() {
            self.at
                .problem_with_help(format!("`{name}` is missing"), "say it in the case or under `defaults`");
        }
        found
    }

    /// A mapping below; its keys are checked against those that are known, if they are fixed.
    pub(super) fn below<'k>(self, name: &str, known: impl Into<Option<&'k [&'k str]>>) -> Self {
        let upper = self.upper.and_then(|node| node.get(name));
        let lower = self.lower.and_then(|node| node.get(name));
        // Two mappings are merged; anything else in the case takes the default's place.
        let merged = upper.is_none_or(|upper| upper.is_mapping() && lower.is_some_and(Node::is_mapping));
        let lower = lower.filter(|_| merged);
        let upper = upper.filter(|upper| !upper.is_null());
        if let Some(known) = known.into() {
            for layer in [upper, lower].into_iter().flatten() {
                layer.only(known);
            }
        }
        Self { at: upper.unwrap_or(self.at), upper, lower }
    }

    /// Whether either layer says something of it, be it null.
    pub(super) fn says(self, name: &str) -> bool {
        [self.upper, self.lower].into_iter().flatten().any(|node| node.get(name).is_some())
    }

    /// Names of all members that are not null.
    pub(super) fn names(self) -> BTreeSet<&'f str> {
        let layers = [self.upper, self.lower].into_iter().flatten();
        let members = layers.filter_map(Node::members).flatten().map(|(name, _, _)| name);
        members.filter(|name| self.get(name).is_some()).collect()
    }

    pub(super) fn optional_text(self, name: &str) -> Option<String> {
        self.get(name).and_then(Node::text).map(str::to_owned)
    }

    pub(super) fn text(self, name: &str) -> Option<String> {
        self.need(name).and_then(Node::text).map(str::to_owned)
    }

    /// An integer of 0 or more.
    pub(super) fn natural(self, name: &str) -> Option<i64> {
        let node = self.need(name)?;
        let number = node.integer()?;
        if number < 0 {
            node.problem("has to be 0 or more");
        }
        Some(number)
    }
}

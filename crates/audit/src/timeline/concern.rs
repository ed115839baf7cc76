//! Which orders concern the decisions of a timeline, beside those that name what is looked for.

use std::collections::HashSet;

use crate::filter::Criteria;
use crate::view::View;

/// So much is remembered of what decisions rest on. With more, every order concerns them.
const MOST: usize = 20_000;

/// What the decisions so far rest on.
#[derive(Debug, Default)]
pub(super) struct Concern {
    things: HashSet<(&'static str, String)>,
    more: bool,
}

impl Concern {
    /// The issuers of those who are looked for are known from the start: a name begins with its issuer's.
    pub(super) fn new(criteria: &Criteria) -> Self {
        let mut concern = Self::default();
        let chain = criteria.chain.iter().flat_map(|chain| &chain.names);
        for name in criteria.agent.iter().chain(&criteria.user).chain(chain) {
            if let Some((issuer, _)) = name.split_once(':').filter(|(issuer, _)| *issuer != "hmac") {
                concern.add("issuer", issuer);
            }
        }
        concern
    }

    /// A decision that is shown rests on these.
    pub(super) fn rests_on(&mut self, view: &View<'_>) {
        let things = [
            ("user", &view.user),
            ("agent", &view.agent),
            ("agent", &view.client),
            ("tenant", &view.tenant),
            ("tenant", &view.resource_tenant),
            ("issuer", &view.issuer),
            ("token", &view.token),
            ("key", &view.thumbprint),
        ];
        for (kind, name) in things {
            if let Some(name) = name {
                self.add(kind, name);
            }
        }
        for actor in &view.actors {
            self.add("agent", actor);
        }
    }

    fn add(&mut self, kind: &'static str, name: &str) {
        if self.things.len() < MOST {
            self.things.insert((kind, name.to_owned()));
        } else {
            self.more = true;
        }
    }

    /// Whether an order is about everything, or about one of these, or about somebody whose name was left out (redaction): that may
    /// be one of these. Records say nothing of sessions: those of the issuer may be theirs.
    pub(super) fn has(&self, order: &View<'_>) -> bool {
        let (kind, name) = (order.about.as_deref(), order.name.as_deref().unwrap_or_default());
        let knows = |kind, name: &str| self.more || self.things.contains(&(kind, name.to_owned()));
        let own = name.split_once(':');
        match kind {
            Some("all") => true,
            Some("agent" | "client" | "user" | "tenant") if order.name.is_none() => true,
            Some("agent" | "client") => knows("agent", name),
            Some("user") => knows("user", name),
            Some("tenant") => knows("tenant", name),
            Some("issuer") => knows("issuer", name),
            Some("key") => knows("key", name),
            Some("token") => knows("token", own.map_or(name, |(_, digest)| digest)),
            Some("session") => own.is_some_and(|(issuer, _)| knows("issuer", issuer)),
            Some(_) | None => false,
        }
    }
}

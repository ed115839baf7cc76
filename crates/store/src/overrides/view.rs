//! What decisions ask.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use jiff::Timestamp;

use super::entry::{OverridePlace, Standing, Whose};
use crate::limit::Limit;

/// The overrides as this process knows them: nothing, until it has heard of them.
#[derive(Debug, Default)]
pub struct Overrides(ArcSwapOption<View>);

/// It was never heard which limits are set otherwise: one of them may be lower than the configured one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not known yet which limits are set otherwise")]
pub struct NotKnown;

/// All overrides, for one decision.
#[derive(Debug)]
pub struct Known(Guard<Option<Arc<View>>>);

/// By limit and by name.
#[derive(Debug, Default)]
pub(crate) struct View(HashMap<String, OfLimit>);

#[derive(Debug, Default)]
struct OfLimit {
    agents: HashMap<String, Standing>,
    tenants: HashMap<String, Standing>,
}

impl Overrides {
    /// For who has none: a trial, a test.
    #[must_use]
    pub fn none() -> Self {
        Self(ArcSwapOption::from_pointee(View::default()))
    }

    /// What is known now.
    ///
    /// # Errors
    /// [`NotKnown`]
    pub fn known(&self) -> Result<Known, NotKnown> {
        let guard = self.0.load();
        if guard.is_some() { Ok(Known(guard)) } else { Err(NotKnown) }
    }

    pub(crate) fn publish(&self, view: View) {
        self.0.store(Some(Arc::new(view)));
    }
}

impl Known {
    /// What counts for this agent and this tenant in place of the configured limit: the agent's own comes before its
    /// tenant's. One of another kind, or of another calendar period, than the configured limit counts for nothing.
    #[must_use]
    pub fn instead_of(
        &self,
        name: &str,
        configured: &Limit,
        agent: Option<&str>,
        tenant: Option<&str>,
        now: Timestamp,
    ) -> Option<Limit> {
        let of_limit = self.0.as_ref()?.0.get(name)?;
        let found = [
            agent.and_then(|agent| of_limit.agents.get(agent)),
            tenant.and_then(|tenant| of_limit.tenants.get(tenant)),
        ];
        let counts = |standing: &&Standing| {
            standing.until.is_none_or(|until| now < until) && standing.figure.replaces(configured)
        };
        found.into_iter().flatten().find(counts).map(|standing| standing.figure)
    }

    /// What is set otherwise at `place`, and the instant from which it counts no more, if there is one. Whether it counts for the
    /// configured limit is another question: [`Self::instead_of`].
    #[must_use]
    pub fn at(&self, place: &OverridePlace, now: Timestamp) -> Option<(Limit, Option<Timestamp>)> {
        let of_limit = self.0.as_ref()?.0.get(place.limit())?;
        let standing = match place.whose() {
            Whose::Agent(name) => of_limit.agents.get(name),
            Whose::Tenant(name) => of_limit.tenants.get(name),
        };
        let holds = |standing: &&Standing| standing.until.is_none_or(|until| now < until);
        standing.filter(holds).map(|standing| (standing.figure, standing.until))
    }

    /// How many there are, those that are over among them.
    #[must_use]
    pub fn count(&self) -> usize {
        let of_limit = |of: &OfLimit| of.agents.len().saturating_add(of.tenants.len());
        self.0.as_ref().map_or(0, |view| view.0.values().map(of_limit).sum())
    }
}

impl View {
    pub(super) fn put(&mut self, place: &OverridePlace, standing: Standing) {
        let of_limit = self.0.entry(place.limit().to_owned()).or_default();
        match place.whose() {
            Whose::Agent(agent) => of_limit.agents.insert(agent.clone(), standing),
            Whose::Tenant(tenant) => of_limit.tenants.insert(tenant.clone(), standing),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::limit::{Period, Quota, Rate, RatePer};

    fn rate(count: u32) -> Limit {
        let count = NonZeroU32::new(count).unwrap();
        Limit::Rate(Rate::new(count, RatePer::Second, count).unwrap())
    }

    fn quota(units: u32, period: Period) -> Limit {
        Limit::Quota(Quota::new(NonZeroU32::new(units).unwrap().into(), period).unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn known(entries: &[(&str, Whose, Limit, Option<i64>)]) -> Known {
        let mut view = View::default();
        for (limit, whose, figure, until) in entries {
            let place = OverridePlace::new(limit, whose.clone()).unwrap();
            view.put(&place, Standing { figure: *figure, until: until.map(at) });
        }
        let overrides = Overrides::default();
        overrides.publish(view);
        overrides.known().unwrap()
    }

    #[test]
    fn nothing_is_known_before_it_was_heard() {
        assert_eq!(Overrides::default().known().map(|_| ()), Err(NotKnown));
        assert_eq!(Overrides::none().known().map(|known| known.count()), Ok(0));
    }

    #[test]
    fn an_agent_s_own_comes_before_its_tenant_s() {
        let agent = || Whose::Agent("corp:a".to_owned());
        let tenant = || Whose::Tenant("acme".to_owned());
        let known = known(&[
            ("r", agent(), rate(1), Some(10)),
            ("r", tenant(), rate(2), None),
            ("q", tenant(), quota(3, Period::Day), None),
            ("other", agent(), rate(4), None),
        ]);
        let (configured, now) = (rate(9), at(0));
        let of = |agent, tenant| known.instead_of("r", &configured, agent, tenant, now);
        assert_eq!(of(Some("corp:a"), Some("acme")), Some(rate(1)));
        assert_eq!(of(Some("corp:b"), Some("acme")), Some(rate(2)));
        assert_eq!(of(None, Some("acme")), Some(rate(2)), "the limit does not count agents");
        assert_eq!(of(Some("corp:a"), None), Some(rate(1)));
        for (agent, tenant) in [("corp:b", "acm"), ("acme", "corp:a"), ("", "")] {
            assert_eq!(of(Some(agent), Some(tenant)), None, "{agent} {tenant}");
        }
        let later = known.instead_of("r", &configured, Some("corp:a"), Some("acme"), at(10));
        assert_eq!(later, Some(rate(2)), "an end is exclusive");
        assert_eq!(known.instead_of("none", &configured, Some("corp:a"), Some("acme"), now), None);
        let quota_of = |configured| known.instead_of("q", &configured, None, Some("acme"), now);
        assert_eq!(quota_of(quota(9, Period::Day)), Some(quota(3, Period::Day)));
        assert_eq!(quota_of(quota(9, Period::Hour)), None, "of another period");
        assert_eq!(quota_of(rate(9)), None, "of another kind");
    }
}

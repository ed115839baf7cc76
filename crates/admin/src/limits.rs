//! Orders about limits: what they ask for, once it is known to make sense, and what is told of limits.

use std::num::NonZeroU32;

use exequatur_decide::{LimitRule, LimitRules, Per, Revocable};
use exequatur_store::{
    Limit, LimitOverride, OverridePlace, Quota, Rate, RevocationKind, Whose, parse_quota, parse_rate,
};
use jiff::Timestamp;

use crate::operation::Operation;
use crate::order::{Senseless, check_issuer, check_reason, revocable};
use crate::wire::{ConfiguredLimit, Figure, ResetLimit, SetLimit, SetOtherwise, When};

/// An order about a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LimitOrder {
    pub(crate) place: OverridePlace,
    pub(crate) change: LimitChange,
    pub(crate) reason: String,
}

/// Sets a limit otherwise, or takes that back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitChange {
    Set { figure: Limit, until: Option<Timestamp> },
    Reset,
}

impl LimitOrder {
    pub(crate) fn set(
        limit: &str,
        order: SetLimit,
        (rules, issuers): (&LimitRules, &[String]),
        now: Timestamp,
    ) -> Result<Self, Senseless> {
        let SetLimit { agent, tenant, rate, burst, quota, until, reason } = order;
        let rule = rules.iter().find(|rule| rule.name == limit);
        let rule = rule.ok_or_else(|| Senseless::Limit(limit.chars().take(64).collect()))?;
        let of_agent = agent.is_some();
        let whose = whose(agent.as_deref(), tenant.as_deref(), issuers)?;
        check_known(&whose, issuers)?;
        if of_agent && !rule.per.contains(&Per::Agent) {
            return Err(Senseless::NotPerAgent(rule.name.clone()));
        }
        let figure = figure(rule, rate.as_deref(), burst, quota.as_deref())?;
        let until = until.map(|until| until.0);
        if until.is_some_and(|until| until <= now) {
            return Err(Senseless::Over);
        }
        check_reason(&reason)?;
        let place = OverridePlace::new(limit, whose).ok_or(Senseless::Whose)?;
        Ok(Self { place, change: LimitChange::Set { figure, until }, reason })
    }

    /// What is not configured any more can still be taken back.
    pub(crate) fn reset(limit: &str, order: ResetLimit, issuers: &[String]) -> Result<Self, Senseless> {
        let ResetLimit { agent, tenant, reason } = order;
        let whose = whose(agent.as_deref(), tenant.as_deref(), issuers)?;
        check_reason(&reason)?;
        let place = OverridePlace::new(limit, whose);
        let place = place.ok_or_else(|| Senseless::Limit(limit.chars().take(64).collect()))?;
        Ok(Self { place, change: LimitChange::Reset, reason })
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self.change {
            LimitChange::Set { .. } => Operation::SetLimit,
            LimitChange::Reset => Operation::ResetLimit,
        }
    }
}

/// The word for whom it is.
pub(crate) const fn whose_word(whose: &Whose) -> &'static str {
    match whose {
        Whose::Agent(_) => "agent",
        Whose::Tenant(_) => "tenant",
    }
}

/// In the spelling that decisions have.
fn whose(agent: Option<&str>, tenant: Option<&str>, issuers: &[String]) -> Result<Whose, Senseless> {
    let named = |kind, name| revocable(kind, name, issuers).map(|named| named.name().to_owned());
    match (agent, tenant) {
        (Some(agent), None) => Ok(Whose::Agent(named(RevocationKind::Agent, agent)?)),
        (None, Some(tenant)) => Ok(Whose::Tenant(named(RevocationKind::Tenant, tenant)?)),
        (Some(_), Some(_)) | (None, None) => Err(Senseless::Whose),
    }
}

fn check_known(whose: &Whose, issuers: &[String]) -> Result<(), Senseless> {
    match whose {
        Whose::Agent(name) => check_issuer(&Revocable::parse(RevocationKind::Agent, name)?, issuers),
        Whose::Tenant(_) => Ok(()),
    }
}

/// Of the kind that is configured: a count goes on only under a limit of its kind.
fn figure(
    rule: &LimitRule,
    rate: Option<&str>,
    burst: Option<NonZeroU32>,
    quota: Option<&str>,
) -> Result<Limit, Senseless> {
    let other = |expected: &str| Senseless::OtherKind {
        limit: rule.name.clone(),
        configured: rule.limit.to_string(),
        expected: expected.to_owned(),
    };
    match (&rule.limit, rate, quota) {
        (Limit::Rate(_), Some(rate), None) => {
            let (count, per) = parse_rate(rate).ok_or(Senseless::Figure)?;
            let count = NonZeroU32::try_from(count).or(Err(Senseless::Figure))?;
            Rate::new(count, per, burst.unwrap_or(count)).map(Limit::Rate).ok_or(Senseless::Figure)
        }
        (Limit::Rate(_), _, _) => Err(other("a `rate` and, if need be, a `burst`")),
        (Limit::Quota(configured), None, Some(quota)) if burst.is_none() => {
            let (units, period) = parse_quota(quota).ok_or(Senseless::Figure)?;
            if period != configured.period() {
                return Err(other("a `quota` of the same period"));
            }
            Quota::new(units, period).map(Limit::Quota).ok_or(Senseless::Figure)
        }
        (Limit::Quota(_), _, _) => Err(other("a `quota` of the same period")),
    }
}

pub(crate) fn configured(rule: &LimitRule) -> ConfiguredLimit {
    ConfiguredLimit {
        limit: rule.name.clone(),
        per: rule.per.iter().map(|per| per.word().to_owned()).collect(),
        figure: told(&rule.limit),
        routes: rule.routes.clone(),
    }
}

pub(crate) fn set_otherwise(standing: &LimitOverride, rules: &LimitRules) -> SetOtherwise {
    let LimitOverride { place, figure, until, note } = standing;
    let rule = rules.iter().find(|rule| rule.name == place.limit());
    let counts = |rule: &LimitRule| match place.whose() {
        Whose::Agent(_) => rule.per.contains(&Per::Agent),
        Whose::Tenant(_) => true,
    };
    SetOtherwise {
        limit: place.limit().to_owned(),
        kind: whose_word(place.whose()).to_owned(),
        name: place.whose().name().to_owned(),
        figure: told(figure),
        applies: rule.is_some_and(|rule| counts(rule) && figure.replaces(&rule.limit)),
        until: until.map(When),
        reason: note.reason().to_owned(),
        by: note.by().to_owned(),
        at: When(note.at()),
    }
}

fn told(limit: &Limit) -> Figure {
    match limit {
        Limit::Rate(rate) => Figure { rate: Some(rate.to_string()), burst: Some(rate.burst()), quota: None },
        Limit::Quota(quota) => Figure { rate: None, burst: None, quota: Some(quota.to_string()) },
    }
}

#[cfg(test)]
mod tests {
    use exequatur_store::{Period, RatePer};

    use super::*;

    fn rules() -> LimitRules {
        let n = |n| NonZeroU32::new(n).unwrap();
        let rate = Limit::Rate(Rate::new(n(9), RatePer::Second, n(9)).unwrap());
        let quota = Limit::Quota(Quota::new(n(9).into(), Period::Day).unwrap());
        let rule = |name: &str, per, limit| LimitRule { name: name.to_owned(), per, limit, routes: None };
        LimitRules::new(vec![
            rule("burst", vec![Per::Agent, Per::Route], rate),
            rule("shared", vec![Per::Tenant], rate),
            rule("day", vec![Per::User], quota),
        ])
    }

    fn set(limit: &str, change: impl FnOnce(&mut SetLimit)) -> Result<LimitOrder, Senseless> {
        let mut order = SetLimit {
            agent: None,
            tenant: Some("acme".to_owned()),
            rate: Some("5/m".to_owned()),
            burst: None,
            quota: None,
            until: None,
            reason: "because".to_owned(),
        };
        change(&mut order);
        LimitOrder::set(limit, order, (&rules(), &["corp".to_owned()]), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn an_order_fits_the_limit_that_is_configured() {
        let order = set("shared", |_| {}).unwrap();
        let five = NonZeroU32::new(5).unwrap();
        let figure = Limit::Rate(Rate::new(five, RatePer::Minute, five).unwrap());
        assert_eq!(order.change, LimitChange::Set { figure, until: None });
        assert_eq!(order.place.to_string(), "shared:tenant:acme");
        let agent = |name: &str| {
            let name = name.to_owned();
            move |order: &mut SetLimit| (order.agent, order.tenant) = (Some(name), None)
        };
        assert_eq!(set("burst", agent("corp:a")).unwrap().place.to_string(), "burst:agent:corp:a");
        let quota = |text: &str| {
            let text = text.to_owned();
            move |order: &mut SetLimit| (order.rate, order.quota) = (None, Some(text))
        };
        assert!(set("day", quota("5/day")).is_ok());

        assert_eq!(set("none", |_| {}), Err(Senseless::Limit("none".to_owned())));
        assert_eq!(set("shared", agent("corp:a")), Err(Senseless::NotPerAgent("shared".to_owned())));
        assert_eq!(set("burst", agent("other:a")), Err(Senseless::Issuer("other".to_owned())));
        assert_eq!(set("burst", agent("a")).unwrap().place.to_string(), "burst:agent:corp:a");
        assert!(matches!(set("burst", agent("")), Err(Senseless::NotRevocable(_))));
        assert_eq!(set("burst", |order| order.agent = Some("corp:a".to_owned())), Err(Senseless::Whose));
        assert_eq!(set("burst", |order| order.tenant = None), Err(Senseless::Whose));
        let now = When(Timestamp::UNIX_EPOCH);
        assert_eq!(set("shared", |order| order.until = Some(now)), Err(Senseless::Over));
        assert_eq!(set("shared", |order| order.reason.clear()), Err(Senseless::Reason));
        for rate in ["5", "0/s", "5/day", "1000001/s"] {
            let bad = set("shared", |order| order.rate = Some(rate.to_owned()));
            assert_eq!(bad, Err(Senseless::Figure), "{rate}");
        }
        let too_much = NonZeroU32::new(1_000_001);
        assert_eq!(set("shared", |order| order.burst = too_much), Err(Senseless::Figure));
        assert_eq!(set("day", quota("1000000000001/day")), Err(Senseless::Figure));
        let other = |bad: Result<LimitOrder, Senseless>| matches!(bad, Err(Senseless::OtherKind { .. }));
        assert!(other(set("shared", quota("5/day"))));
        assert!(other(set("day", |_| {})));
        assert!(other(set("day", quota("5/month"))));
        assert!(other(set("shared", |order| order.quota = Some("5/day".to_owned()))));
        let burst = |order: &mut SetLimit| {
            (order.rate, order.quota, order.burst) = (None, Some("5/day".to_owned()), NonZeroU32::new(1));
        };
        assert!(other(set("day", burst)));
    }
}

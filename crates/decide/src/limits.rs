//! Limits: which apply to a request, whose levels they charge, and what becomes of the charges.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use exequatur_store::{
    AdmissionStore, Charge, Known, Limit, LimitKey, Period, RatePer, Reserved, Scope, Standing,
};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// One limit, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRule {
    /// Unique; in headers, records and the keys of levels.
    pub name: String,
    /// Whom it counts: each combination has a level of its own. At least one, none twice, in order.
    pub per: Vec<Per>,
    /// How much.
    pub limit: Limit,
    /// The routes that it is for; all guarded ones if `None`.
    pub routes: Option<Vec<String>>,
}

/// Whom a limit counts: always within the token's tenant, or within its issuer where it names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// The agent.
    Agent,
    /// The user on whose behalf; an agent that acts for nobody is counted for itself.
    User,
    /// The tenant, or the issuer of tokens that name none.
    Tenant,
    /// The route.
    Route,
}

impl Per {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 4] = [
        (Self::Agent.word(), Self::Agent),
        (Self::User.word(), Self::User),
        (Self::Tenant.word(), Self::Tenant),
        (Self::Route.word(), Self::Route),
    ];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::Route => "route",
        }
    }
}

/// The limits of a generation, by route.
#[derive(Debug, Default)]
pub struct LimitRules {
    rules: Vec<Arc<LimitRule>>,
    everywhere: Vec<Arc<LimitRule>>,
    /// For each route that is named by a limit: all that apply to it.
    by_route: HashMap<String, Vec<Arc<LimitRule>>>,
}

/// How one limit stands after a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitStanding {
    /// The limit's name.
    pub name: String,
    /// What is left, and until when.
    pub standing: Standing,
}

/// What was charged to quotas for a request that is not permitted yet. Unless it is kept, it is given back: whichever
/// way the decision ends, also by being dropped in the middle.
#[derive(Debug)]
pub(crate) struct Held {
    store: Arc<dyn AdmissionStore>,
    reserved: Option<Reserved>,
}

impl Held {
    pub(crate) fn new(store: &Arc<dyn AdmissionStore>, reserved: Reserved) -> Self {
        Self { store: Arc::clone(store), reserved: Some(reserved) }
    }

    /// The request was permitted: the charge stays.
    pub(crate) fn keep(&mut self) {
        self.reserved = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(reserved) = self.reserved.take() {
            self.store.give_back(reserved);
        }
    }
}

impl LimitRules {
    /// The rules, in the order in which they are charged and shown.
    #[must_use]
    pub fn new(rules: Vec<LimitRule>) -> Self {
        let rules: Vec<_> = rules.into_iter().map(Arc::new).collect();
        let everywhere: Vec<_> = rules.iter().filter(|rule| rule.routes.is_none()).cloned().collect();
        let mut by_route = HashMap::new();
        for route in rules.iter().filter_map(|rule| rule.routes.as_ref()).flatten() {
            let applies = |rule: &&Arc<LimitRule>| rule.applies_to(route);
            by_route.insert(route.clone(), rules.iter().filter(applies).cloned().collect());
        }
        Self { rules, everywhere, by_route }
    }

    /// All limits.
    pub fn iter(&self) -> impl Iterator<Item = &LimitRule> {
        self.rules.iter().map(AsRef::as_ref)
    }

    /// Those that apply to a guarded route.
    pub(crate) fn of_route(&self, route: &str) -> &[Arc<LimitRule>] {
        self.by_route.get(route).unwrap_or(&self.everywhere)
    }
}

/// Whom a request is charged to: ids as the configuration's issuers scope them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account<'a> {
    pub(crate) scope: Scope,
    pub(crate) agent: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) route: &'a str,
    pub(crate) tenant: Option<&'a str>,
}

impl LimitRule {
    /// Whether requests to a route are charged.
    #[must_use]
    pub fn applies_to(&self, route: &str) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.iter().any(|other| other == route))
    }

    /// What is set otherwise for the agent counts only where each agent is counted apart: what many share is no one's to
    /// make larger.
    pub(crate) fn charge(
        &self,
        account: Account<'_>,
        cost: NonZeroU32,
        overrides: &Known,
        now: Timestamp,
    ) -> Charge {
        let agent = self.per.contains(&Per::Agent).then_some(account.agent);
        let instead = overrides.instead_of(&self.name, &self.limit, agent, account.tenant, now);
        Charge { key: self.key(account, instead.as_ref()), limit: instead.unwrap_or(self.limit), cost }
    }

    /// SHA-256, cut to 128 bits, over the limit's name and kind and whom it counts; not over its figures, so that a
    /// count goes on when they change. Each part ends with a zero byte, which is in none.
    ///
    /// But a rate that is set otherwise has a bucket of its own, which is full at first: a level is an instant, and what
    /// a slow rate lacks until then would be far more of a fast one. Units of a quota are the same under each.
    fn key(&self, account: Account<'_>, instead: Option<&Limit>) -> LimitKey {
        let mut digest = Sha256::new();
        digest.update(account.scope.0);
        for part in ["limit", self.name.as_str(), kind(&self.limit)] {
            digest.update(part);
            digest.update([0]);
        }
        for per in &self.per {
            let parts = match per {
                Per::Agent => ["agent", account.agent],
                Per::User => account.user.map_or(["agent for itself", account.agent], |user| ["user", user]),
                Per::Tenant => ["tenant", ""],
                Per::Route => ["route", account.route],
            };
            for part in parts {
                digest.update(part);
                digest.update([0]);
            }
        }
        if let Some(Limit::Rate(rate)) = instead {
            digest.update(format!("instead\0{rate}\0{}\0", rate.burst()));
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest) {
            *to = from;
        }
        LimitKey(key)
    }
}

/// What a level means depends on it.
fn kind(limit: &Limit) -> &'static str {
    match limit {
        Limit::Rate(rate) => match rate.per() {
            RatePer::Second | RatePer::Minute | RatePer::Hour => "rate",
        },
        Limit::Quota(quota) => match quota.period() {
            Period::Minute => "minute",
            Period::Hour => "hour",
            Period::Day => "day",
            Period::Month => "month",
        },
    }
}

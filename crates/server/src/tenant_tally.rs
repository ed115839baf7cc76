//! Decisions counted by the tenant of the token: of those that the configuration names, and of a few others. A name comes from a
//! token that was verified, so nobody adds one but an issuer; and an issuer that may name any tenant adds a bounded number.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use exequatur_token::TenantScope;

use crate::config::Config;

/// Most tenants of the configuration that are counted apart.
const MAX_CONFIGURED: usize = 1000;
/// Most others that are counted apart: those whose tokens come first.
const MAX_OTHERS: usize = 100;
/// Everybody else. A tenant's own name that begins as these do is counted here too, so that it cannot pass for one.
const OTHER: &str = "_other";
/// Tokens of no tenant, and requests without a token that holds.
const NONE: &str = "_none";

/// What a decision came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Permit,
    Deny,
    Fault,
}

impl Verdict {
    const ALL: [Self; 3] = [Self::Permit, Self::Deny, Self::Fault];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Fault => "fault",
        }
    }
}

/// The counts.
#[derive(Debug)]
pub(crate) struct TenantTally {
    none: Counts,
    other: Counts,
    named: RwLock<Named>,
}

#[derive(Debug)]
struct Named {
    counts: BTreeMap<Arc<str>, Counts>,
    /// How many more may be added.
    room: usize,
}

#[derive(Debug, Default)]
struct Counts {
    permit: AtomicU64,
    deny: AtomicU64,
    fault: AtomicU64,
}

impl Counts {
    const fn of(&self, verdict: Verdict) -> &AtomicU64 {
        match verdict {
            Verdict::Permit => &self.permit,
            Verdict::Deny => &self.deny,
            Verdict::Fault => &self.fault,
        }
    }

    fn add(&self, verdict: Verdict) {
        self.of(verdict).fetch_add(1, Ordering::Relaxed);
    }
}

impl TenantTally {
    /// The tenants that the configuration names have their places: first those that are an issuer's own, then those of which
    /// something is said, then those of lists.
    pub(crate) fn new(config: &Config) -> Self {
        let scopes = || config.issuers.iter().map(|issuer| &issuer.profile.tenants);
        let own = scopes().filter(|scope| matches!(scope, TenantScope::Always(_)));
        let listed = scopes().filter(|scope| matches!(scope, TenantScope::Only(_)));
        let names = own.flat_map(TenantScope::known).chain(config.tenants.iter().map(|(name, _)| name));
        Self::of(names.chain(listed.flat_map(TenantScope::known)))
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut counts = BTreeMap::new();
        for name in names.filter(|name| !name.starts_with('_')) {
            if counts.len() >= MAX_CONFIGURED {
                break;
            }
            counts.entry(Arc::from(name)).or_default();
        }
        let named = RwLock::new(Named { counts, room: MAX_OTHERS });
        Self { none: Counts::default(), other: Counts::default(), named }
    }

    /// Counts a decision about a token of this tenant.
    pub(crate) fn count(&self, tenant: Option<&str>, verdict: Verdict) {
        let Some(tenant) = tenant else { return self.none.add(verdict) };
        if tenant.starts_with('_') {
            return self.other.add(verdict);
        }
        {
            // Counting cannot fail half-way: what another thread left is whole.
            let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
            match named.counts.get(tenant) {
                Some(counts) => return counts.add(verdict),
                None if named.room == 0 => return self.other.add(verdict),
                None => {}
            }
        }
        let mut named = self.named.write().unwrap_or_else(PoisonError::into_inner);
        if named.room == 0 && !named.counts.contains_key(tenant) {
            return self.other.add(verdict);
        }
        let before = named.counts.len();
        named.counts.entry(Arc::from(tenant)).or_default().add(verdict);
        named.room = named.room.saturating_sub(usize::from(named.counts.len() > before));
    }

    /// Every count that is not 0.
    pub(crate) fn each(&self, mut tell: impl FnMut(&str, Verdict, u64)) {
        let named = self.named.read().unwrap_or_else(PoisonError::into_inner);
        let named = named.counts.iter().map(|(name, counts)| (name.as_ref(), counts));
        for (name, counts) in named.chain([(OTHER, &self.other), (NONE, &self.none)]) {
            for verdict in Verdict::ALL {
                let total = counts.of(verdict).load(Ordering::Relaxed);
                if total > 0 {
                    tell(name, verdict, total);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tally: &TenantTally) -> Vec<(String, &'static str, u64)> {
        let mut told = Vec::new();
        tally.each(|name, verdict, total| told.push((name.to_owned(), verdict.word(), total)));
        told
    }

    #[test]
    fn decisions_are_counted_by_tenant() {
        let tally = TenantTally::of(["acme", "globex"].into_iter());
        assert_eq!(told(&tally), []);
        for (tenant, verdict) in [
            (Some("acme"), Verdict::Permit),
            (Some("acme"), Verdict::Permit),
            (Some("acme"), Verdict::Deny),
            (Some("Acme"), Verdict::Fault),
            (None, Verdict::Deny),
        ] {
            tally.count(tenant, verdict);
        }
        let name = |name: &str, verdict, total| (name.to_owned(), verdict, total);
        let expected = [
            name("Acme", "fault", 1),
            name("acme", "permit", 2),
            name("acme", "deny", 1),
            name("_none", "deny", 1),
        ];
        assert_eq!(told(&tally), expected);
    }

    /// D-20: whoever may name any tenant makes no more series than there is room for, and takes no place of a configured tenant.
    #[test]
    fn hostile_names_are_one_series() {
        let tally = TenantTally::of(["acme"].into_iter());
        for number in 0..10_000 {
            tally.count(Some(&format!("t{number}")), Verdict::Deny);
            tally.count(Some(&format!("t{number}")), Verdict::Permit);
        }
        for name in ["_other", "_none", "_", "__"] {
            tally.count(Some(name), Verdict::Permit);
        }
        tally.count(Some("acme"), Verdict::Permit);
        let told = told(&tally);
        let names: std::collections::BTreeSet<_> = told.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names.len(), MAX_OTHERS + 2, "acme and what is left over");
        assert!(told.contains(&("acme".to_owned(), "permit", 1)));
        let others = 10_000 - u64::try_from(MAX_OTHERS).unwrap();
        assert!(told.contains(&("_other".to_owned(), "permit", others + 4)), "{told:?}");
        assert!(!names.contains("_none"), "nobody passes for who has no tenant");
    }

    #[test]
    fn configured_names_are_bounded_too() {
        let names: Vec<_> = (0..5000).map(|number| format!("t{number}")).collect();
        let tally = TenantTally::of(names.iter().map(String::as_str));
        for name in &names {
            tally.count(Some(name), Verdict::Permit);
        }
        assert_eq!(told(&tally).len(), MAX_CONFIGURED + MAX_OTHERS + 1);
        let all: u64 = told(&tally).iter().map(|(.., total)| total).sum();
        assert_eq!(all, 5000, "each is counted once");
    }
}

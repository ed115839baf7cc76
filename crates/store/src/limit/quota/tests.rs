use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn quota(units: u64, period: Period) -> Quota {
    Quota::new(units.try_into().unwrap(), period).unwrap()
}

fn units(count: u32) -> NonZeroU32 {
    count.try_into().unwrap()
}

fn charge(quota: &Quota, level: Option<Level>, cost: u32, now: i64) -> Option<Level> {
    match quota.judge(level, units(cost), now) {
        Verdict::Room(level) => Some(level),
        Verdict::Refused { .. } => None,
    }
}

#[test]
fn a_quota_begins_anew_with_its_period() {
    let (last, first) = (at("2026-11-30T23:59:59.999999Z"), at("2026-12-01T00:00:00Z"));
    for period in [Period::Minute, Period::Hour, Period::Day, Period::Month] {
        let quota = quota(2, period);
        let used = charge(&quota, None, 2, last).unwrap();
        assert_eq!(quota.judge(Some(used), units(1), last), Verdict::Refused { wait: 1 }, "{period:?}");
        assert_eq!(quota.read(Some(used), last), Reading { remaining: 0, reset: 1 });
        assert_eq!(quota.read(Some(used), first).remaining, 2, "{period:?}");
        let next = charge(&quota, Some(used), 1, first).unwrap();
        assert_eq!(next.amount, 1, "{period:?}");
        assert!(used.is_over(first + 1));
    }
}

/// A request that read the clock just before the boundary, and one after it, are counted in the later period.
#[test]
fn a_lagging_clock_counts_for_the_later_period() {
    let quota = quota(2, Period::Day);
    let (before, after) = (at("2026-11-30T23:59:59.5Z"), at("2026-12-01T00:00:00.1Z"));
    let level = charge(&quota, None, 1, after).unwrap();
    let level = charge(&quota, Some(level), 1, before).unwrap();
    assert_eq!((level.over_at, level.amount), (at("2026-12-02T00:00:00Z"), 2));
    assert_eq!(charge(&quota, Some(level), 1, after), None);
}

/// A clock that was set back over a boundary begins a period anew; it locks nobody out until the time that it showed.
#[test]
fn a_clock_set_back_begins_anew() {
    let quota = quota(2, Period::Day);
    let level = charge(&quota, None, 2, at("2030-01-01T12:00:00Z")).unwrap();
    for now in ["2026-11-30T12:00:00Z", "2029-12-31T23:59:58.9Z"].map(at) {
        let level = charge(&quota, Some(level), 2, now).unwrap();
        assert_eq!((level.over_at, level.amount), (Period::Day.bounds(now).1, 2));
        assert_eq!(charge(&quota, Some(level), 1, now), None);
    }
}

/// The figures may change while the count goes on.
#[test]
fn another_number_of_units_keeps_the_count() {
    let now = at("2026-11-30T12:00:00Z");
    let level = charge(&quota(10, Period::Day), None, 8, now).unwrap();
    assert_eq!(quota(20, Period::Day).read(Some(level), now).remaining, 12);
    assert_eq!(quota(5, Period::Day).read(Some(level), now).remaining, 0);
    assert_eq!(charge(&quota(5, Period::Day), Some(level), 1, now), None);
}

#[test]
fn figures_have_bounds() {
    let new = |units: u64| Quota::new(units.try_into().unwrap(), Period::Day);
    assert!(new(Quota::MAX).is_some() && new(Quota::MAX + 1).is_none());
}

proptest! {
    /// Never more than the quota in one period, whatever comes back in between; nothing below zero.
    #[test]
    fn a_period_lets_through_its_quota(
        most in 1..20_u64,
        steps in prop::collection::vec((0..20_000_000_i64, 1..5_u32, any::<bool>()), 1..100),
    ) {
        let quota = quota(most, Period::Minute);
        let (mut level, mut now) = (None, at("2026-11-30T12:00:00Z"));
        let mut kept: std::collections::BTreeMap<i64, u64> = std::collections::BTreeMap::new();
        for (step, cost, refund) in steps {
            now += step;
            let period = Period::Minute.bounds(now).1;
            let so_far = kept.entry(period).or_default();
            let next = charge(&quota, level, cost, now);
            prop_assert_eq!(next.is_some(), *so_far + u64::from(cost) <= most);
            if let Some(next) = next {
                level = Some(next);
                if refund {
                    let key = crate::limit::LimitKey([0; 16]);
                    let reservation =
                        crate::limit::Reservation { key, period_end: next.over_at, cost: units(cost) };
                    level = reservation.taken_from(next);
                } else {
                    *so_far += u64::from(cost);
                }
            }
            prop_assert_eq!(quota.read(level, now).remaining, most - kept[&period]);
        }
    }
}

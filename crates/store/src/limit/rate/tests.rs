//! L02, L04: a rate never lets more through than it says, and never less than it could.

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_790_000_000_000_000;

fn rate(count: u32, per: RatePer, burst: u32) -> Rate {
    Rate::new(count.try_into().unwrap(), per, burst.try_into().unwrap()).unwrap()
}

fn units(count: u32) -> NonZeroU32 {
    count.try_into().unwrap()
}

/// A bucket that is refilled step by step, in fractions of big numbers: slow, and without any instant kept.
struct Bucket {
    rate: Rate,
    /// In parts of 1/`per` of a unit.
    parts: u128,
    at: i64,
}

impl Bucket {
    fn full(rate: Rate, at: i64) -> Self {
        Self { rate, parts: u128::from(rate.burst.get()) * u128::from(rate.per.micros()), at }
    }

    fn take(&mut self, cost: u32, now: i64) -> bool {
        let elapsed = u128::try_from(now - self.at).unwrap();
        self.at = now;
        let most = u128::from(self.rate.burst.get()) * u128::from(self.rate.per.micros());
        self.parts = most.min(self.parts + elapsed * u128::from(self.rate.count.get()));
        let wanted = u128::from(cost) * u128::from(self.rate.per.micros());
        let room = self.parts >= wanted;
        if room {
            self.parts -= wanted;
        }
        room
    }

    fn remaining(&self) -> u64 {
        u64::try_from(self.parts / u128::from(self.rate.per.micros())).unwrap()
    }
}

fn per() -> impl Strategy<Value = RatePer> {
    prop_oneof![Just(RatePer::Second), Just(RatePer::Minute), Just(RatePer::Hour)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Against the slow model, request by request; and in each window at most burst + rate · t.
    #[test]
    fn a_rate_lets_through_what_it_says(
        count in 1..=MAX_UNITS,
        per in per(),
        burst in 1_u32..50,
        steps in prop::collection::vec((0_u32..2000, 1_u32..8), 1..200),
    ) {
        let rate = rate(count, per, burst);
        let mut model = Bucket::full(rate, NOW);
        let (mut level, mut now) = (None, NOW);
        // Steps of about a unit's time, so that there is room now and then.
        let unit = i64::try_from(per.micros() / u64::from(count)).unwrap();
        let mut passed: Vec<(i64, u32)> = Vec::new();
        for (step, cost) in steps {
            now += unit * i64::from(step) / 500 + i64::from(step % 3);
            let expected = model.take(cost, now);
            let before = rate.read(level, now);
            match rate.judge(level, units(cost), now) {
                Verdict::Room(next) => {
                    prop_assert!(expected, "{cost} at {now}");
                    level = Some(next);
                    passed.push((now, cost));
                }
                Verdict::Refused { wait } => {
                    prop_assert!(!expected, "{cost} at {now}");
                    // The wait is exact: a microsecond less is too little, unless it never fits.
                    let at = |later: u64| rate.judge(level, units(cost), now + i64::try_from(later).unwrap());
                    if cost <= burst {
                        prop_assert!(matches!(at(wait), Verdict::Room(_)));
                        let early = matches!(at(wait - 1), Verdict::Room(_));
                        prop_assert!(!early);
                    }
                    prop_assert!(before.remaining < u64::from(cost));
                }
            }
            let reading = rate.read(level, now);
            prop_assert_eq!(reading.remaining, model.remaining());
            let full = now + i64::try_from(reading.reset).unwrap();
            prop_assert_eq!(rate.read(level, full), Reading { remaining: burst.into(), reset: 0 });
        }
        for (first, (start, _)) in passed.iter().enumerate() {
            let mut sum = 0_u128;
            for (end, cost) in &passed[first..] {
                sum += u128::from(*cost);
                let elapsed = u128::try_from(end - start).unwrap();
                let most = u128::from(burst) * u128::from(per.micros()) + elapsed * u128::from(count);
                prop_assert!(sum * u128::from(per.micros()) <= most);
            }
        }
    }

    /// Whatever is remembered, from whatever other rate or clock: numbers stay below 2^53, and what is refused
    /// passes after the wait that is said, which is never longer than a bucket takes to fill, and a second.
    #[test]
    fn no_level_breaks_a_rate(
        count in 1..=MAX_UNITS,
        per in per(),
        burst in 1..=MAX_UNITS,
        cost in 1..=MAX_UNITS,
        over_at in prop_oneof![any::<i64>(), NOW - 10_000_000..NOW + 10_000_000],
        amount in prop_oneof![any::<u64>(), 0..2_000_000_u64],
    ) {
        let rate = rate(count, per, burst);
        prop_assert!(rate.bucket() < 1 << 53);
        let level = Some(Level { over_at, amount });
        prop_assert!(rate.missing(level, NOW) < 1 << 53);
        match rate.judge(level, units(cost), NOW) {
            Verdict::Room(next) => {
                prop_assert!(next.amount < u64::from(count) && next.over_at >= NOW);
                prop_assert!(next.over_at < 1 << 53);
                prop_assert!(next.over_at - NOW <= i64::try_from(rate.refill()).unwrap());
            }
            Verdict::Refused { wait } => {
                prop_assert!(wait >= 1 && wait <= rate.refill() + 1_000_001);
                let later = NOW + i64::try_from(wait).unwrap();
                let passes = matches!(rate.judge(level, units(cost), later), Verdict::Room(_));
                prop_assert!(passes || cost > burst);
            }
        }
        prop_assert!(rate.read(level, NOW).remaining <= u64::from(burst));
    }
}

/// Exact where microseconds are not: three a second, and 70 000 a second, for an hour each.
#[test]
fn nothing_is_lost_to_rounding() {
    for count in [3, 7, 70_000] {
        let rate = rate(count, RatePer::Second, 1);
        let (mut level, mut passed, mut now) = (None, 0_u64, NOW);
        let seconds = if count > 1000 { 20 } else { 3600 };
        let end = NOW + seconds * 1_000_000;
        while now < end {
            match rate.judge(level, units(1), now) {
                Verdict::Room(next) => {
                    level = Some(next);
                    passed += 1;
                }
                Verdict::Refused { wait } => now += i64::try_from(wait).unwrap(),
            }
        }
        let ideal = u64::try_from(seconds).unwrap() * u64::from(count);
        assert!(passed <= ideal + 1, "{count}: {passed}");
        // Requests come at whole microseconds only, and find what has gathered meanwhile lost to a burst of one.
        assert!(count > 1000 || passed + 1 >= ideal, "{count}: {passed}");
    }
}

/// Requests read the clock before they come here: one that lags is judged more strictly, and gives nobody more.
#[test]
fn a_lagging_clock_gives_nothing() {
    let rate = rate(10, RatePer::Second, 10);
    let mut level = None;
    let mut passed = 0;
    for turn in 0..1000 {
        let now = NOW + if turn % 2 == 0 { 0 } else { -900_000 };
        if let Verdict::Room(next) = rate.judge(level, units(1), now) {
            level = Some(next);
            passed += 1;
        }
    }
    assert_eq!(passed, 10);
}

/// A clock that was set back by more than a bucket takes to fill, and a second, begins anew; it locks nobody out until
/// the time that it showed.
#[test]
fn a_clock_set_back_begins_anew() {
    let rate = rate(10, RatePer::Second, 10);
    let Verdict::Room(level) = rate.judge(None, units(10), NOW) else { panic!("room") };
    let (little, much) = (NOW - 1_000_000, NOW - 1_000_001);
    assert!(matches!(rate.judge(Some(level), units(1), little), Verdict::Refused { wait: 1_100_000 }));
    assert!(matches!(rate.judge(Some(level), units(10), much), Verdict::Room(_)));
}

#[test]
fn figures_have_bounds() {
    let new = |count: u32, burst: u32| Rate::new(units(count), RatePer::Second, units(burst));
    assert!(new(MAX_UNITS, MAX_UNITS).is_some());
    assert!(new(MAX_UNITS + 1, 1).is_none() && new(1, MAX_UNITS + 1).is_none());
}

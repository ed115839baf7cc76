use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::limit::{Period, Quota, Rate, RatePer};

const SCOPE: Scope = Scope([1; 16]);

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_microsecond()
}

fn noon() -> i64 {
    at("2026-11-30T12:00:00Z")
}

fn key(n: u32) -> LimitKey {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&n.to_be_bytes());
    LimitKey(key)
}

fn rate(n: u32, burst: u32) -> Charge {
    let limit = Rate::new(NonZeroU32::MIN, RatePer::Second, burst.try_into().unwrap()).unwrap();
    Charge { key: key(n), limit: Limit::Rate(limit), cost: NonZeroU32::MIN }
}

fn quota(n: u32, units: u64) -> Charge {
    let limit = Quota::new(units.try_into().unwrap(), Period::Day).unwrap();
    Charge { key: key(n), limit: Limit::Quota(limit), cost: NonZeroU32::MIN }
}

fn bounds(max_keys: u32, max_per_scope: u32) -> LimitBounds {
    LimitBounds { max_keys: max_keys.try_into().unwrap(), max_per_scope: max_per_scope.try_into().unwrap() }
}

fn charged(outcome: ChargeOutcome) -> Charged {
    match outcome {
        ChargeOutcome::Charged(charged) => charged,
        other @ (ChargeOutcome::Limited(_) | ChargeOutcome::NoRoom | ChargeOutcome::NotReached) => {
            panic!("{other:?}")
        }
    }
}

/// C-20: at a bound the new is refused, what is live stays, another scope goes on, and what is over leaves its room.
#[test]
fn a_bound_refuses_the_new_and_keeps_the_live() {
    let now = noon();
    let table = LimitTable::new(bounds(3, 2));
    let charge = |scope, charges: &[Charge], now| table.charge(scope, charges, now).unwrap();
    charged(charge(SCOPE, &[rate(1, 9), quota(2, 9)], now));
    assert_eq!(charge(SCOPE, &[rate(3, 9)], now), ChargeOutcome::NoRoom, "of the scope");
    assert_eq!(charge(SCOPE, &[rate(1, 9), rate(3, 9)], now), ChargeOutcome::NoRoom, "all or none");
    assert_eq!(charged(charge(SCOPE, &[rate(1, 9)], now)).standings()[0].remaining, 7);

    let other = Scope([2; 16]);
    charged(charge(other, &[rate(4, 9)], now));
    assert_eq!(charge(Scope([3; 16]), &[rate(5, 9)], now), ChargeOutcome::NoRoom, "of all");
    assert_eq!(table.len(), Ok(3));

    let later = now + 3_000_001;
    charged(charge(SCOPE, &[rate(3, 9)], later));
    assert_eq!(table.len(), Ok(2), "the quota and the new rate");
    charged(charge(SCOPE, &[rate(6, 9)], at("2026-12-01T00:00:01Z")));
    assert_eq!(table.len(), Ok(1), "the day is over");
}

/// So many at once is a defect of the caller's, and no licence.
#[test]
fn a_request_has_so_many_charges() {
    let table = LimitTable::new(LimitBounds::default());
    let most: Vec<_> = (0..16).map(|n| rate(n, 9)).collect();
    charged(table.charge(SCOPE, &most, noon()).unwrap());
    let more: Vec<_> = (0..17).map(|n| rate(n, 9)).collect();
    assert_eq!(table.charge(SCOPE, &more, noon()), Ok(ChargeOutcome::NoRoom));
}

/// One key twice in a request is charged twice.
#[test]
fn a_key_that_stands_twice_is_charged_twice() {
    let table = LimitTable::new(LimitBounds::default());
    let (standings, reserved) =
        charged(table.charge(SCOPE, &[quota(1, 2), quota(1, 2)], noon()).unwrap()).into_parts();
    assert_eq!(standings[1].remaining, 0);
    assert!(matches!(table.charge(SCOPE, &[quota(1, 2)], noon()), Ok(ChargeOutcome::Limited(_))));
    table.give_back(&reserved);
    assert_eq!(charged(table.charge(SCOPE, &[quota(1, 2)], noon()).unwrap()).standings()[0].remaining, 1);
    let table = LimitTable::new(LimitBounds::default());
    assert!(matches!(
        table.charge(SCOPE, &[quota(1, 1), quota(1, 1)], noon()),
        Ok(ChargeOutcome::Limited(_))
    ));
    assert_eq!(table.len(), Ok(0));
}

/// C-20: what a level costs, by what the tables hold; and that it is given back.
#[test]
fn a_level_takes_less_than_a_hundred_bytes() {
    let table = LimitTable::new(bounds(200_000, 200_000));
    for n in 0..200_000 {
        charged(table.charge(SCOPE, &[rate(n, 9)], noon()).unwrap());
    }
    let bytes = || {
        let slot = size_of::<(LimitKey, Slot)>() + 1;
        let capacity = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.rates.capacity() + shard.quotas.capacity()
        };
        // A table has eight places for seven entries of its capacity.
        table.shards.iter().map(capacity).sum::<usize>() * slot * 8 / 7
    };
    let each = bytes() / 200_000;
    assert!(each <= 100, "{each}");
    assert!(matches!(table.charge(SCOPE, &[rate(200_000, 9)], noon()), Ok(ChargeOutcome::NoRoom)));
    charged(table.charge(SCOPE, &[rate(200_000, 9)], noon() + 10_000_000).unwrap());
    assert_eq!(table.len(), Ok(1));
    assert!(bytes() < 200_000, "{}", bytes());
}

/// Many at once, on threads: the sum is exact, and those who take locks in other orders do not stop each other.
#[test]
fn charges_at_once_are_charged_once() {
    let table = LimitTable::new(LimitBounds::default());
    let passed: usize = std::thread::scope(|threads| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let table = &table;
                threads.spawn(move || {
                    let mut passed = 0;
                    for turn in 0..500 {
                        let mut charges =
                            [quota(0, 1000), quota(1 + worker, 1_000_000), quota(50, 1_000_000)];
                        charges.rotate_left(turn % 3);
                        if matches!(table.charge(SCOPE, &charges, noon()), Ok(ChargeOutcome::Charged(_))) {
                            passed += 1;
                        }
                    }
                    passed
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(passed, 1000);
    let left =
        charged(table.charge(SCOPE, &[quota(50, 1_000_000)], noon()).unwrap()).standings()[0].remaining;
    assert_eq!(left, 1_000_000 - 1001, "a refused request charges nothing to any limit");
}

/// Key, instant, cost.
type ModelCharge = (LimitKey, i64, u32);

/// The slow model: a list of what was charged.
#[derive(Default)]
struct Model {
    charges: Vec<ModelCharge>,
}

impl Model {
    fn remaining(&self, charge: &Charge, now: i64) -> u64 {
        let day = now.div_euclid(86_400_000_000);
        let used: u64 = self
            .charges
            .iter()
            .filter(|(key, at, _)| *key == charge.key && at.div_euclid(86_400_000_000) == day)
            .map(|(_, _, cost)| u64::from(*cost))
            .sum();
        charge.limit.most().saturating_sub(used)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Several quotas at once against the model: all or nothing, what is left, what comes back, and only in its day.
    #[test]
    fn all_are_charged_or_none(
        steps in prop::collection::vec(
            (0..30_000_000_000_i64, prop::collection::btree_set(0..5_u32, 1..4), 1..4_u32, 0..4_u8), 1..120
        ),
    ) {
        let table = LimitTable::new(LimitBounds::default());
        let mut model = Model::default();
        let mut now = noon();
        let mut late: Vec<(Reserved, Vec<ModelCharge>)> = Vec::new();
        for (step, keys, cost, then) in steps {
            now += step;
            let charges: Vec<_> = keys
                .iter()
                .map(|n| Charge { cost: cost.try_into().unwrap(), ..quota(*n, 3 + u64::from(*n) * 2) })
                .collect();
            let room = charges.iter().all(|charge| model.remaining(charge, now) >= u64::from(cost));
            let standings = match table.charge(SCOPE, &charges, now).unwrap() {
                ChargeOutcome::Charged(done) => {
                    prop_assert!(room);
                    let (standings, reserved) = done.into_parts();
                    let made: Vec<_> = charges.iter().map(|charge| (charge.key, now, cost)).collect();
                    model.charges.extend(&made);
                    match then {
                        0 => {
                            table.give_back(&reserved);
                            model.charges.retain(|charge| !made.contains(charge));
                        }
                        1 => late.push((reserved, made)),
                        _ => {}
                    }
                    if then == 0 { Vec::new() } else { standings }
                }
                ChargeOutcome::Limited(standings) => {
                    prop_assert!(!room);
                    for (charge, standing) in charges.iter().zip(&standings) {
                        prop_assert_eq!(standing.wait.is_some(), model.remaining(charge, now) < u64::from(cost));
                    }
                    standings
                }
                other @ (ChargeOutcome::NoRoom | ChargeOutcome::NotReached) => panic!("{other:?}"),
            };
            for (charge, standing) in charges.iter().zip(&standings) {
                prop_assert_eq!(standing.remaining, model.remaining(charge, now));
            }
            if then == 3 && !late.is_empty() {
                // Given back later, perhaps on another day, to which it means nothing.
                let (reserved, made) = late.remove(0);
                table.give_back(&reserved);
                for charge in made {
                    let found = model.charges.iter().position(|other| *other == charge).unwrap();
                    model.charges.remove(found);
                }
            }
        }
    }
}

//! What becomes of several charges at once: all of them, or none.

use std::num::NonZeroU32;
use std::time::Duration;

use super::{Charge, Level, Limit, LimitKey, Reading, Verdict};
use crate::admission::Scope;

/// What became of the charges of one request.
#[derive(Debug, PartialEq, Eq)]
pub enum ChargeOutcome {
    /// Every limit had room, and each was charged.
    Charged(Charged),
    /// At least one had none ([`Standing::wait`]); nothing was charged to any.
    Limited(Vec<Standing>),
    /// The proof was not fresh, and nothing was charged.
    NotReached,
    /// There is no room to remember another key. Nothing was charged, and whether the limits had room is not known.
    NoRoom,
}

/// Evidence that every limit was charged.
#[derive(Debug, PartialEq, Eq)]
pub struct Charged {
    standings: Vec<Standing>,
    reserved: Reserved,
}

/// What of the charges can be given back: those to quotas. It can be given back once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a quota that is not given back stays used"]
pub struct Reserved {
    scope: Scope,
    reservations: Vec<Reservation>,
}

/// A charge to a quota that can be given back for as long as its period lasts.
#[derive(Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Whose level.
    pub key: LimitKey,
    /// The first microsecond (since 1970) after the period that was charged. A level with another end is not
    /// touched.
    pub period_end: i64,
    /// What was charged. A level never falls below zero.
    pub cost: NonZeroU32,
}

/// How a limit stands after a request was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The most units that there can be at once.
    pub most: u64,
    /// The time in which as many come again.
    pub window: Duration,
    /// Units that are left.
    pub remaining: u64,
    /// The time until all units are there again.
    pub reset: Duration,
    /// The limit had no room: the time until it has, if nobody else comes. At least a microsecond.
    pub wait: Option<Duration>,
}

/// What several charges at once come to, before anything is written.
#[derive(Debug)]
pub(crate) enum Judged {
    /// Every limit has room: the level of each with its charge.
    Room(Vec<Level>),
    /// At least one has none.
    Refused(Vec<Standing>),
}

impl Judged {
    /// Judges all charges on the levels that there are, `now` in microseconds since 1970. Should one key come twice, the
    /// second charge is judged on top of the first.
    pub(crate) fn of(charges: &[Charge], level: impl Fn(&Charge) -> Option<Level>, now: i64) -> Self {
        let mut judged: Vec<(Charge, Result<Level, u64>)> = Vec::with_capacity(charges.len());
        for charge in charges {
            let before = judged.iter().rev().find(|(other, _)| other.key == charge.key);
            let level = match before {
                Some((_, Ok(level))) => Some(*level),
                Some((_, Err(_))) | None => level(charge),
            };
            let verdict = match charge.limit.judge(level, charge.cost, now) {
                Verdict::Room(level) => Ok(level),
                Verdict::Refused { wait } => Err(wait),
            };
            judged.push((*charge, verdict));
        }
        let levels: Result<Vec<Level>, u64> = judged.iter().map(|(_, verdict)| *verdict).collect();
        match levels {
            Ok(levels) => Self::Room(levels),
            Err(_wait) => Self::Refused(
                judged
                    .iter()
                    .map(|(charge, verdict)| {
                        let reading = charge.limit.read(level(charge), now);
                        Standing::of(&charge.limit, reading, verdict.err(), now)
                    })
                    .collect(),
            ),
        }
    }
}

impl ChargeOutcome {
    /// The outcome of a request that has no limits.
    pub(crate) const fn nothing_to_charge(scope: Scope) -> Self {
        let reserved = Reserved::assertion(scope, Vec::new());
        Self::Charged(Charged::assertion(Vec::new(), reserved))
    }
}

impl Charged {
    /// Only a store that has charged every limit may say so.
    pub(crate) const fn assertion(standings: Vec<Standing>, reserved: Reserved) -> Self {
        Self { standings, reserved }
    }

    /// Of charges that brought the limits to these levels.
    pub(crate) fn to(scope: Scope, charges: &[Charge], levels: &[Level], now: i64) -> Self {
        let mut standings = Vec::with_capacity(charges.len());
        let mut reservations = Vec::new();
        for (charge, level) in charges.iter().zip(levels) {
            standings.push(Standing::of(&charge.limit, charge.limit.read(Some(*level), now), None, now));
            if matches!(charge.limit, Limit::Quota(_)) {
                let (key, cost) = (charge.key, charge.cost);
                reservations.push(Reservation { key, period_end: level.over_at, cost });
            }
        }
        Self::assertion(standings, Reserved::assertion(scope, reservations))
    }

    /// How each limit stands now, in the order of the charges.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// The standings, and what can be given back.
    pub fn into_parts(self) -> (Vec<Standing>, Reserved) {
        (self.standings, self.reserved)
    }
}

impl Reserved {
    /// What of the charges to one scope can be given back.
    pub(crate) const fn assertion(scope: Scope, reservations: Vec<Reservation>) -> Self {
        Self { scope, reservations }
    }

    /// Whether there is nothing to give back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reservations.is_empty()
    }

    /// Whose charges they were.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Each charge.
    #[must_use]
    pub fn reservations(&self) -> &[Reservation] {
        &self.reservations
    }
}

impl Reservation {
    /// The level without the charge; none if it is of another period.
    pub(crate) fn taken_from(&self, level: Level) -> Option<Level> {
        (level.over_at == self.period_end)
            .then(|| Level { amount: level.amount.saturating_sub(self.cost.get().into()), ..level })
    }
}

impl Standing {
    /// How a limit stands at a reading of its level.
    pub(crate) fn of(limit: &Limit, reading: Reading, wait: Option<u64>, now: i64) -> Self {
        Self {
            most: limit.most(),
            window: Duration::from_micros(limit.window(now)),
            remaining: reading.remaining,
            reset: Duration::from_micros(reading.reset),
            wait: wait.map(Duration::from_micros),
        }
    }
}

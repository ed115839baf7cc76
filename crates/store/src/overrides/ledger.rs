//! All that is known of overrides.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};

use super::entry::{Encoded, LimitOverride, OverridePlace, Revised};
use super::view::View;

/// How long what is over is remembered, so that nobody who knows less brings back what it replaced.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than to be told others it is kept, for clocks that differ.
const SLACK: SignedDuration = SignedDuration::from_hours(1);

/// The newest that is known of each place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger(BTreeMap<OverridePlace, Revised>);

impl Ledger {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The revision of what is known of a place.
    pub(crate) fn revision(&self, place: &OverridePlace) -> i64 {
        self.0.get(place).map_or(0, |known| known.revision)
    }

    pub(crate) fn get(&self, place: &OverridePlace) -> Option<&Revised> {
        self.0.get(place)
    }

    /// Takes it, unless something newer is known.
    pub(crate) fn take(&mut self, place: OverridePlace, revised: Revised) {
        if self.revision(&place) <= revised.revision {
            self.0.insert(place, revised);
        }
    }

    /// What is known here, is newer than there and would be missed.
    pub(crate) fn beyond(&self, other: &Self, now: Timestamp) -> Vec<(OverridePlace, Revised)> {
        let beyond = self.0.iter().filter(|(place, known)| {
            other.revision(place) < known.revision && !is_over_for(known, REMEMBERED, now)
        });
        beyond.map(|(place, known)| (place.clone(), known.clone())).collect()
    }

    /// What nobody has to remember any more.
    pub(crate) fn forgettable(&self, now: Timestamp) -> Vec<(OverridePlace, i64)> {
        let long = REMEMBERED.saturating_add(SLACK);
        let over = self.0.iter().filter(|(_, known)| is_over_for(known, long, now));
        over.map(|(place, known)| (place.clone(), known.revision)).collect()
    }

    pub(crate) fn forget(&mut self, place: &OverridePlace, revision: i64) {
        if self.revision(place) == revision {
            self.0.remove(place);
        }
    }

    /// What is in force, in order.
    pub(crate) fn list(
        &self,
        after: Option<&OverridePlace>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Vec<LimitOverride> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let in_force = self.0.range((from, Bound::Unbounded)).filter_map(|(place, known)| {
            let standing = known.in_force(now)?;
            let (figure, until) = (standing.figure, standing.until);
            Some(LimitOverride { place: place.clone(), figure, until, note: known.note.clone() })
        });
        in_force.take(most.get().into()).collect()
    }

    pub(crate) fn view(&self) -> View {
        let mut view = View::default();
        for (place, known) in &self.0 {
            if let Some(standing) = known.standing {
                view.put(place, standing);
            }
        }
        view
    }

    pub(crate) fn encoded(&self) -> impl Iterator<Item = Result<Encoded, serde_json::Error>> {
        self.0.iter().map(|(place, known)| Encoded::of(place, known))
    }
}

fn is_over_for(known: &Revised, span: SignedDuration, now: Timestamp) -> bool {
    known.over_since().is_some_and(|since| now.duration_since(since) > span)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::super::entry::{Standing, Whose};
    use super::*;
    use crate::limit::{Limit, Rate, RatePer};
    use crate::revocation::Note;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    fn place(n: u8) -> OverridePlace {
        OverridePlace::new("rate", Whose::Tenant(format!("t{n}"))).unwrap()
    }

    fn revised(seconds: i64, count: Option<u32>) -> Revised {
        let figure = |count| {
            let count = NonZeroU32::new(count).unwrap();
            Limit::Rate(Rate::new(count, RatePer::Second, count).unwrap())
        };
        let note = Note::new(String::new(), "r".to_owned(), "b".to_owned(), at(seconds)).unwrap();
        let standing = count.map(|count| Standing { figure: figure(count), until: None });
        Revised { revision: at(seconds).as_microsecond(), standing, note }
    }

    /// C-09: what one primary lost and another knows differently comes to the same, whoever hears what first.
    #[test]
    fn the_newer_stands_in_whichever_order_it_is_heard_of() {
        proptest!(|(changes in prop::collection::vec((0_u8..4, 0_i64..20, prop::option::of(1_u32..9)), 0..24), split in 0_usize..24)| {
            // One revision of one place says one thing.
            let mut seen = std::collections::HashSet::new();
            let changes: Vec<_> = changes.into_iter().filter(|(n, second, _)| seen.insert((*n, *second))).collect();
            let all = |changes: &mut dyn Iterator<Item = &(u8, i64, Option<u32>)>| {
                let mut ledger = Ledger::default();
                changes.for_each(|(n, second, count)| ledger.take(place(*n), revised(*second, *count)));
                ledger
            };
            let whole = all(&mut changes.iter());
            prop_assert_eq!(&all(&mut changes.iter().rev()), &whole);
            let split = split.min(changes.len());
            let (mut one, other) = (all(&mut changes[..split].iter()), all(&mut changes[split..].iter()));
            for (place, known) in other.beyond(&one, at(30)) {
                one.take(place, known);
            }
            prop_assert_eq!(&one, &whole);
            prop_assert!(one.beyond(&whole, at(30)).is_empty());
        });
    }

    #[test]
    fn what_was_taken_back_is_remembered_for_a_day() {
        let mut ledger = Ledger::default();
        ledger.take(place(1), revised(0, None));
        ledger.take(place(2), revised(0, Some(1)));
        let day = REMEMBERED.as_secs();
        assert_eq!(ledger.beyond(&Ledger::default(), at(day)).len(), 2);
        assert!(ledger.forgettable(at(day + SLACK.as_secs())).is_empty());
        assert_eq!(ledger.beyond(&Ledger::default(), at(day + 1)).len(), 1, "what stands, stands");
        let over = ledger.forgettable(at(day + SLACK.as_secs() + 1));
        assert_eq!(over, [(place(1), at(0).as_microsecond())]);
        ledger.forget(&place(1), at(1).as_microsecond());
        assert_eq!(ledger.len(), 2, "it was revised meanwhile");
        ledger.forget(&place(1), at(0).as_microsecond());
        assert_eq!(ledger.len(), 1);
    }
}

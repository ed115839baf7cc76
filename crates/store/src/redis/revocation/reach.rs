//! Which replicas have a change, as it is asked again and again until all have, or it is time to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;

use super::super::answer::{bytes, list, number};
use crate::replicas::{Acknowledged, Reached, ReplicaName};
use crate::revocation::Position;

/// What became known of one change.
#[derive(Debug, Default)]
pub(super) struct Reach(BTreeMap<String, Option<Duration>>);

/// Whether a replica has applied the change, at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) applied: bool,
}

impl Reach {
    /// Before the first look nobody of those who were there is known to have it.
    pub(super) fn unknown(there: impl IntoIterator<Item = String>) -> Self {
        Self(there.into_iter().map(|id| (id, None)).collect())
    }

    /// What a look found, so long after the order began. Whoever had it in an earlier look keeps that time; whoever is not there
    /// any more is not told of. True if all have it.
    pub(super) fn look(&mut self, seen: Vec<Seen>, after: Duration) -> bool {
        let before = std::mem::take(&mut self.0);
        for Seen { id, applied } in seen {
            let first = before.get(&id).copied().flatten().unwrap_or(after);
            self.0.insert(id, applied.then_some(first));
        }
        self.0.values().all(Option::is_some)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(super) fn reached(self, names: &BTreeMap<String, ReplicaName>) -> Reached {
        let told = |(id, after): (String, Option<Duration>)| {
            let name = names.get(&id).cloned();
            Acknowledged { id, name, after }
        };
        Reached::of(self.0.into_iter().map(told).collect())
    }
}

/// Of the replicas that were heard within `live`, or that are known to be there, whether they have applied a change. How long
/// ago one was heard is by the store's clock, which may have been set ahead since. One that the store has forgotten and that is
/// known here has not said so.
pub(super) fn seen(
    time: &Value,
    replicas: &Value,
    position: Position,
    live: Duration,
    known: &[String],
) -> Option<Vec<Seen>> {
    let [seconds, micros] = list(time)? else { return None };
    let now = number(seconds)?.checked_mul(1000)?.checked_add(number(micros)? / 1000)?;
    let told: Vec<_> = list(replicas)?.chunks(2).filter_map(|pair| bytes(pair.first()?)).collect();
    let forgotten = known.iter().filter(|id| !told.contains(&id.as_bytes()));
    let mut seen: Vec<_> = forgotten.map(|id| Seen { id: id.clone(), applied: false }).collect();
    for pair in list(replicas)?.chunks(2) {
        let [id, value] = pair else { return None };
        let id = bytes(id)?;
        let (applied, rest) = std::str::from_utf8(bytes(value)?).ok()?.split_once(' ')?;
        let (heard, _owed) = rest.split_once(' ')?;
        let silent = Duration::from_millis(now.saturating_sub(heard.parse().ok()?));
        if silent <= live || known.iter().any(|known| known.as_bytes() == id) {
            let applied = applied.parse::<u64>().ok()? >= position.0;
            seen.push(Seen { id: String::from_utf8_lossy(id).into_owned(), applied });
        }
    }
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn told(entries: &[(&str, &str)]) -> Value {
        Value::Array(entries.iter().flat_map(|(id, value)| [bulk(id), bulk(value)]).collect())
    }

    fn look(entries: &[(&str, &str)], known: &[&str]) -> Option<Vec<(String, bool)>> {
        let time = Value::Array(vec![bulk("1000"), bulk("5000")]);
        let known: Vec<_> = known.iter().map(|id| (*id).to_owned()).collect();
        let found = seen(&time, &told(entries), Position(7), Duration::from_secs(3), &known)?;
        Some(found.into_iter().map(|one| (one.id, one.applied)).collect())
    }

    /// D-07: who may still permit by what it knows is waited for, whether the store tells of it or not.
    #[test]
    fn who_is_there_is_told_by_the_store_and_by_what_was_known() {
        for (entries, known, expected) in [
            (vec![("a", "7 999000 0")], vec![], vec![("a", true)]),
            (vec![("a", "6 999000 0")], vec![], vec![("a", false)]),
            (vec![("a", "6 990000 0")], vec![], vec![]),
            (vec![("a", "6 990000 0")], vec!["a"], vec![("a", false)]),
            (vec![("a", "8 990000 0")], vec!["a"], vec![("a", true)]),
            (vec![], vec!["a"], vec![("a", false)]),
            (vec![("b", "7 2000000 0")], vec!["a"], vec![("a", false), ("b", true)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(id, has)| (id.to_owned(), has)).collect();
            assert_eq!(look(&entries, &known), Some(expected), "{entries:?} {known:?}");
        }
        for bad in [("a", "x 999000 0"), ("a", "7"), ("a", "7 x 0"), ("a", "7 1")] {
            assert_eq!(look(&[bad], &[]), None, "{bad:?}");
        }
    }

    #[test]
    fn the_first_time_counts_and_an_earlier_yes_may_be_taken_back() {
        let one = |id: &str, applied| Seen { id: id.to_owned(), applied };
        let millis = Duration::from_millis;
        let mut reach = Reach::unknown(["a".to_owned(), "gone".to_owned()]);
        assert!(!reach.look(vec![one("a", true), one("b", false)], millis(1)));
        assert!(reach.look(vec![one("a", true), one("b", true)], millis(5)));
        assert!(!reach.look(vec![one("a", true), one("b", false)], millis(7)));
        let names = [("b".to_owned(), ReplicaName::parse("pod-b").unwrap())].into();
        let reached = reach.reached(&names);
        let told: Vec<_> = reached.replicas().iter().map(|one| (one.id.as_str(), one.after)).collect();
        assert_eq!(told, [("a", Some(millis(1))), ("b", None)]);
        assert_eq!(reached.replicas()[1].name.as_ref().map(ReplicaName::as_str), Some("pod-b"));
        assert_eq!(reached.behind(), 1);
        assert_eq!(Reach::unknown(["a".to_owned()]).reached(&names).behind(), 1);
    }
}

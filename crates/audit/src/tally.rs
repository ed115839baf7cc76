//! What was read, and what of it could not be understood.

use crate::filter::{Filter, Judged};
use crate::lines::{Ending, Line};
use crate::view::{LineKind, View, begin};

/// What a file came to, beside what was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines that were looked at.
    pub lines: u64,
    /// Those that are no records: torn, damaged, too long, or of somebody else. Of a line that has none of the names that
    /// are looked for, only its begin and its end are looked at.
    pub no_records: u64,
    /// Whether the last line has no end and is no record: it is being written, or its writer was stopped.
    pub torn: bool,
    /// Decisions of the interval that have no record, as the file itself says.
    pub gaps: u64,
    /// Lines of the interval that this copy was not given, as it says itself.
    pub not_given: u64,
    /// Whether identities stand there as digests, which a name does not find without the key.
    pub digested: bool,
}

impl Tally {
    /// Counts a line; whether it is looked for.
    pub fn take(&mut self, filter: &Filter, line: &Line<'_>) -> bool {
        self.lines = self.lines.saturating_add(1);
        if line.ending == Ending::TooLong {
            self.no_records = self.no_records.saturating_add(1);
            return false;
        }
        let gaps = match begin(line.bytes) {
            Some((LineKind::Gap, _)) => Some(&mut self.gaps),
            Some((LineKind::SinkGap, _)) => Some(&mut self.not_given),
            Some((
                LineKind::Decision
                | LineKind::Outcome
                | LineKind::Order
                | LineKind::Header
                | LineKind::Checkpoint,
                _,
            ))
            | None => None,
        };
        if let Some((gaps, view)) = gaps.and_then(|gaps| Some((gaps, View::of(line.bytes)?))) {
            let told = view.time.is_some_and(|time| filter.interval().holds(time));
            *gaps = gaps.saturating_add(view.gap.filter(|_| told).unwrap_or_default());
        }
        self.digested = self.digested || filter.meets_digest(line.bytes);
        match (filter.judge(line.bytes), line.ending) {
            (Judged::Wanted, _) => return true,
            (Judged::Other, _) => {}
            (Judged::NoRecord, Ending::Torn) => self.torn = true,
            (Judged::NoRecord, Ending::Whole | Ending::TooLong) => {
                self.no_records = self.no_records.saturating_add(1);
            }
        }
        false
    }

    /// Whether what is looked for may stand where it was not understood.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        let Self { lines: _, no_records, torn, gaps: _, not_given: _, digested } = self;
        *no_records == 0 && !*torn && !*digested
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Criteria;
    use crate::lines::Lines;

    #[test]
    fn what_is_not_understood_is_counted() {
        let record = |time: &str, agent: &str| {
            format!(r#"{{"v":1,"time":"2026-11-22T10:11:{time}.345Z","decision":"d","agent":"{agent}"}}"#)
        };
        let gap = |time: &str| format!(r#"{{"v":1,"time":"2026-11-22T10:11:{time}.345Z","gap":7}}"#);
        let text = [
            record("12", "a"),
            record("13", "b"),
            record("14", "a").split_at(60).0.to_owned(),
            "somebody else's".to_owned(),
            gap("10"),
            gap("14"),
            gap("10").replace("7", r#"{"lines":5}"#).replace("gap", "sink_gap"),
            gap("14").replace("7", r#"{"lines":5}"#).replace("gap", "sink_gap"),
            record("14", &"x".repeat(70_000)),
            record("15", "hmac:00"),
            record("16", "a").trim_end_matches('}').to_owned(),
        ]
        .join("\n");
        let criteria = Criteria {
            agent: Some("a".to_owned()),
            since: Some("2026-11-22T10:11:12Z".parse().unwrap()),
            ..Criteria::default()
        };
        let filter = Filter::new(&criteria);
        let (mut tally, mut wanted) = (Tally::default(), Vec::new());
        let mut lines = Lines::new(text.as_bytes());
        while let Some(line) = lines.next_line().unwrap() {
            if tally.take(&filter, &line) {
                wanted.push(line.number);
            }
        }
        assert_eq!(wanted, [1]);
        let expected = Tally { lines: 11, no_records: 3, torn: true, gaps: 7, not_given: 5, digested: true };
        assert_eq!(tally, expected);
        assert!(!tally.is_all());
        let rest = Tally { lines: 11, gaps: 7, not_given: 5, ..Tally::default() };
        assert!(rest.is_all());
        let others = [
            Tally { no_records: 1, ..rest.clone() },
            Tally { torn: true, ..rest.clone() },
            Tally { digested: true, ..rest },
        ];
        assert!(others.iter().all(|tally| !tally.is_all()));
        // A last line that lacks its line break alone is a record.
        let (mut tally, whole) = (Tally::default(), record("12", "a"));
        let line = Lines::new(whole.as_bytes()).next_line().unwrap().map(|line| tally.take(&filter, &line));
        assert_eq!((line, tally.torn), (Some(true), false));
    }
}

//! What happened, in the order of time: decisions with what came of them, orders that concern them, and what may be missing.

mod concern;
mod latest;

use std::collections::{BTreeMap, HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::filter::{Criteria, Filter, Judged};
use crate::merge::Moment;
use crate::view::{LineKind, View, begin};
use concern::Concern;
use latest::Latest;

/// How long a line is held back for those that belong before it, or to it.
const HELD_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How much is remembered at most.
const BOUNDS: Bounds = Bounds { bytes: 64 * 1024 * 1024, lines: 50_000, awaited: 100_000, early: 50_000 };
/// A line, and when it is from.
type Dated = (Moment, Box<[u8]>);

/// Characters of a time up to its second.
const SECONDS: usize = 19;

/// Takes lines in about the order of time, and gives back what belongs to the timeline, in order. Memory is bounded.
#[derive(Debug)]
pub struct Timeline {
    bounds: Bounds,
    filter: Filter,
    concern: Concern,
    /// Whether kinds were chosen, and which.
    kinds: Vec<LineKind>,
    held: BTreeMap<(Moment, u64), Held>,
    bytes: usize,
    taken: u64,
    /// Permits that are held, by their ids.
    open: HashMap<String, (Moment, u64)>,
    /// Permits that were given back without an outcome.
    awaited: Latest,
    /// Permits that have one: another one has a line of its own.
    answered: Latest,
    /// Outcomes of decisions that are not known, yet.
    early: HashMap<String, VecDeque<Dated>>,
    early_since: VecDeque<(Moment, String)>,
    /// The second up to which was released.
    second: [u8; SECONDS],
    released: VecDeque<Event>,
    latest: Option<Moment>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Held back, in bytes, and in lines.
    bytes: usize,
    lines: usize,
    /// Decisions without an outcome of which a late one is still told, and as many with one of which another one is.
    awaited: usize,
    /// Outcomes that wait for a decision that another file has.
    early: usize,
}

#[derive(Debug)]
struct Held {
    kind: LineKind,
    line: Box<[u8]>,
    came: Came,
    /// Whether it is known to belong to the timeline: an order may concern a decision that comes after it.
    concerns: bool,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the line is of.
    pub kind: LineKind,
    /// The line.
    pub line: Box<[u8]>,
    /// What came of it.
    pub came: Came,
    /// Whether it is earlier than what was given back before it: a clock was set.
    pub disordered: bool,
}

/// What came of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// There is nothing to come: it is no permit.
    Nothing,
    /// The line of its outcome.
    Reported(Box<[u8]>),
    /// None yet: one that comes later has a line of its own.
    NotYet,
    /// None in all that was read.
    Never,
}

impl Timeline {
    /// A timeline of what is looked for.
    #[must_use]
    pub fn new(criteria: &Criteria) -> Self {
        Self {
            bounds: BOUNDS,
            filter: Filter::new(criteria),
            concern: Concern::new(criteria),
            kinds: criteria.kinds.clone(),
            held: BTreeMap::new(),
            bytes: 0,
            taken: 0,
            open: HashMap::new(),
            awaited: Latest::default(),
            answered: Latest::default(),
            early: HashMap::new(),
            early_since: VecDeque::new(),
            second: [b'0'; SECONDS],
            released: VecDeque::new(),
            latest: None,
        }
    }

    /// What is looked for.
    #[must_use]
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Takes the next line of any file, which is of that time.
    pub fn take(&mut self, time: &[u8; 24], line: &[u8]) {
        self.release_before(time);
        let kind = match begin(line) {
            Some((kind, _)) => Some(kind),
            None => View::of(line).and_then(|view| view.kind),
        };
        match kind {
            None => {}
            Some(LineKind::Decision) => self.decision(time, line),
            Some(LineKind::Outcome) => self.outcome(time, line),
            Some(LineKind::Order) => self.order(time, line),
            Some(kind @ (LineKind::Gap | LineKind::SinkGap | LineKind::Header | LineKind::Checkpoint)) => {
                self.missing(time, kind, line);
            }
        }
        while self.held.len() > self.bounds.lines || self.bytes > self.bounds.bytes {
            self.release_first(&Came::NotYet);
        }
    }

    /// Nothing comes any more.
    pub fn end(&mut self) {
        while let Some((time, id)) = self.early_since.pop_front() {
            self.forget_early(time, &id);
        }
        while !self.held.is_empty() {
            self.release_first(&Came::Never);
        }
    }

    /// The next event, if enough was taken to know that it is the next one.
    pub fn next_event(&mut self) -> Option<Event> {
        self.released.pop_front()
    }

    fn decision(&mut self, time: &Moment, line: &[u8]) {
        if self.filter.judge(line) != Judged::Wanted {
            return;
        }
        let Some(view) = View::of(line) else { return };
        self.concern.rests_on(&view);
        let id = view.id.filter(|_| view.verdict.as_deref() == Some("permit"));
        let Some(id) = id else { return self.hold(*time, LineKind::Decision, line, Came::Nothing) };
        let mut early = self.early.remove(&*id).unwrap_or_default().into_iter();
        let Some((_, first)) = early.next() else {
            self.open.insert(id.to_string(), (*time, self.taken));
            return self.hold(*time, LineKind::Decision, line, Came::NotYet);
        };
        self.answered.remember(&id, self.bounds.awaited);
        self.bytes = self.bytes.saturating_add(first.len());
        self.hold(*time, LineKind::Decision, line, Came::Reported(first));
        for (time, another) in early {
            self.hold_outcome(&time, &another);
        }
    }

    fn outcome(&mut self, time: &Moment, line: &[u8]) {
        let view;
        let id = match outcome_of(line) {
            Some(id) => id,
            None => {
                view = View::of(line).and_then(|view| view.id);
                view.as_deref().unwrap_or_default()
            }
        };
        if let Some(held) = self.open.remove(id).and_then(|key| self.held.get_mut(&key)) {
            self.bytes = self.bytes.saturating_add(line.len());
            held.came = Came::Reported(line.into());
            self.answered.remember(id, self.bounds.awaited);
        } else if self.awaited.has(id) || self.answered.has(id) {
            self.hold_outcome(time, line);
        } else {
            let key = id.to_owned();
            self.early_since.push_back((*time, key.clone()));
            self.early.entry(key).or_default().push_back((*time, line.into()));
            if self.early_since.len() > self.bounds.early
                && let Some((time, id)) = self.early_since.pop_front()
            {
                self.forget_early(time, &id);
            }
        }
    }

    /// One that comes by itself.
    fn hold_outcome(&mut self, time: &Moment, line: &[u8]) {
        if self.kinds.is_empty() || self.kinds.contains(&LineKind::Outcome) {
            self.hold(*time, LineKind::Outcome, line, Came::Nothing);
        }
    }

    /// An outcome whose decision did not come stands alone, where outcomes are looked for by themselves.
    fn forget_early(&mut self, time: Moment, id: &str) {
        let Some(early) = self.early.get_mut(id) else { return };
        let oldest = early.pop_front_if(|(of, _)| *of == time);
        if early.is_empty() {
            self.early.remove(id);
        }
        if let Some((_, line)) = oldest
            && self.filter.judge(&line) == Judged::Wanted
        {
            self.hold(time, LineKind::Outcome, &line, Came::Nothing);
        }
    }

    /// One that does not concern what is known by now is judged once more when it is released.
    fn order(&mut self, time: &Moment, line: &[u8]) {
        let wanted = self.filter.judge(line) == Judged::Wanted;
        if wanted || self.may_concern(line) {
            self.hold_as(*time, LineKind::Order, line, Came::Nothing, wanted);
        }
    }

    fn may_concern(&self, line: &[u8]) -> bool {
        let wanted = self.kinds.is_empty() || self.kinds.contains(&LineKind::Order);
        let view = if wanted { View::of(line) } else { None };
        view.is_some_and(|view| {
            view.about.is_some() && view.time.is_some_and(|time| self.filter.interval().holds(time))
        })
    }

    /// What was not recorded, and when nobody was there to record, whoever is looked for.
    fn missing(&mut self, time: &Moment, kind: LineKind, line: &[u8]) {
        let wanted = match kind {
            LineKind::Gap | LineKind::SinkGap => self.kinds.is_empty() || self.kinds.contains(&kind),
            LineKind::Checkpoint => self.kinds.is_empty() && ends_a_run(line),
            LineKind::Header => self.kinds.is_empty(),
            LineKind::Decision | LineKind::Outcome | LineKind::Order => false,
        };
        if wanted && self.filter.interval().holds_text(time) && View::of(line).is_some() {
            self.hold(*time, kind, line, Came::Nothing);
        }
    }

    fn hold(&mut self, time: Moment, kind: LineKind, line: &[u8], came: Came) {
        self.hold_as(time, kind, line, came, true);
    }

    fn hold_as(&mut self, time: Moment, kind: LineKind, line: &[u8], came: Came, concerns: bool) {
        self.bytes = self.bytes.saturating_add(line.len());
        self.held.insert((time, self.taken), Held { kind, line: line.into(), came, concerns });
        self.taken = self.taken.saturating_add(1);
    }

    /// Gives back what is so old that nothing that comes now belongs before it.
    fn release_before(&mut self, now: &Moment) {
        let second = now.get(..SECONDS).and_then(|second| second.try_into().ok()).unwrap_or(self.second);
        if second == self.second {
            return;
        }
        self.second = second;
        let now = std::str::from_utf8(now).ok().and_then(|now| now.parse::<Timestamp>().ok());
        let Some(until) = now.and_then(|now| now.checked_sub(HELD_FOR).ok()) else { return };
        let until = format!("{until:.3}");
        let until = until.as_bytes();
        while self.early_since.front().is_some_and(|(time, _)| &time[..] < until) {
            if let Some((time, id)) = self.early_since.pop_front() {
                self.forget_early(time, &id);
            }
        }
        while self.held.first_key_value().is_some_and(|((time, _), _)| &time[..] < until) {
            self.release_first(&Came::NotYet);
        }
    }

    /// `without`: what is said of a permit that has no outcome.
    fn release_first(&mut self, without: &Came) {
        let Some(((time, _), Held { kind, line, came, concerns })) = self.held.pop_first() else { return };
        let with = if let Came::Reported(outcome) = &came { outcome.len() } else { 0 };
        self.bytes = self.bytes.saturating_sub(line.len()).saturating_sub(with);
        if !concerns && !View::of(&line).is_some_and(|view| self.concern.has(&view)) {
            return;
        }
        let came = if came == Came::NotYet { without.clone() } else { came };
        if matches!(came, Came::NotYet | Came::Never)
            && let Some(id) = View::of(&line).and_then(|view| view.id)
        {
            self.open.remove(&*id);
            self.awaited.remember(&id, self.bounds.awaited);
        }
        let disordered = self.latest.is_some_and(|latest| time < latest);
        self.latest = self.latest.max(Some(time));
        self.released.push_back(Event { kind, line, came, disordered });
    }
}

/// The id in an outcome as it is written. `None` of any other line.
fn outcome_of(line: &[u8]) -> Option<&str> {
    let rest = line.get(39..)?.strip_prefix(br#"","outcome_of":""#)?;
    let id = rest.get(..memchr::memchr2(b'"', b'\\', rest)?)?;
    let ends = rest.get(id.len()) == Some(&b'"');
    std::str::from_utf8(id).ok().filter(|_| ends)
}

fn ends_a_run(line: &[u8]) -> bool {
    crate::entry::checkpoint(line)
        .is_some_and(|checkpoint| checkpoint.closes == Some(crate::entry::Closes::Run))
}

#[cfg(test)]
mod tests;

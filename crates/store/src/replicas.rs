//! The replicas that share a store: what each is called, what it says of itself, and which had a change when.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::admission::StoreError;
use crate::revocation::Position;

/// Longest name of a replica, in bytes: that of a pod.
pub const MAX_REPLICA_NAME: usize = 253;
/// Longest report of a replica, in bytes.
pub const MAX_REPORT: usize = 8 * 1024;
/// Most replicas that are told one by one. Those beyond are counted.
pub const MOST_LISTED: usize = 200;

/// What people call a replica: 1 to 253 letters, digits, `-`, `_` and `.`. It need not be the only one of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaName(String);

impl ReplicaName {
    /// None if it has another length, or another character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=MAX_REPLICA_NAME).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// This process among the replicas.
#[derive(Debug)]
pub struct Itself {
    id: String,
    name: Option<ReplicaName>,
    report: Mutex<Arc<[u8]>>,
}

/// A report is longer than [`MAX_REPORT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a report of {0} bytes is longer than {MAX_REPORT}")]
pub struct ReportTooLong(pub usize);

impl Itself {
    /// With an id that nobody had before.
    ///
    /// # Errors
    /// [`StoreError::NoRandomness`]
    pub(crate) fn new() -> Result<Self, StoreError> {
        let mut id = [0; 9];
        getrandom::fill(&mut id).or(Err(StoreError::NoRandomness))?;
        Ok(Self { id: BASE64_URL_SAFE_NO_PAD.encode(id), name: None, report: Mutex::default() })
    }

    pub(crate) fn rename(&mut self, name: ReplicaName) {
        self.name = Some(name);
    }

    /// Random, new with each start.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people call it, if it was told.
    #[must_use]
    pub const fn name(&self) -> Option<&ReplicaName> {
        self.name.as_ref()
    }

    /// Puts what it says of itself in place of what it said before: for the store any bytes. Others hear of it with one of
    /// the next signs of life.
    ///
    /// # Errors
    /// [`ReportTooLong`]: what was said before stands.
    pub fn report(&self, report: &[u8]) -> Result<(), ReportTooLong> {
        if report.len() > MAX_REPORT {
            return Err(ReportTooLong(report.len()));
        }
        if let Ok(mut current) = self.report.lock() {
            *current = report.into();
        }
        Ok(())
    }

    /// What it says of itself; empty before the first time.
    #[must_use]
    pub fn reported(&self) -> Arc<[u8]> {
        self.report.lock().map(|report| Arc::clone(&report)).unwrap_or_default()
    }

    /// This one alone, of all that there are.
    pub(crate) fn alone(&self, after: Duration) -> Reached {
        let (id, name) = (self.id.clone(), self.name.clone());
        Reached::of(vec![Acknowledged { id, name, after: Some(after) }])
    }
}

/// When a replica had a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its id.
    pub id: String,
    /// What people call it, if it said so.
    pub name: Option<ReplicaName>,
    /// How long after the order began it was known to have applied it; `None`: it had not said so when the order was answered.
    pub after: Option<Duration>,
}

/// Which replicas had a change when an order was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reached {
    // INVARIANT (bounded): at most MOST_LISTED.
    replicas: Vec<Acknowledged>,
    unlisted: u32,
    behind: u32,
}

impl Reached {
    /// Of those that are there. Beyond [`MOST_LISTED`] those that have not answered are told first.
    pub(crate) fn of(mut replicas: Vec<Acknowledged>) -> Self {
        let count = |many: usize| u32::try_from(many).unwrap_or(u32::MAX);
        let behind = count(replicas.iter().filter(|one| one.after.is_none()).count());
        let by_name = |one: &Acknowledged| (one.name.clone(), one.id.clone());
        if replicas.len() > MOST_LISTED {
            replicas.sort_by_key(|one| (one.after.is_some(), by_name(one)));
        }
        let unlisted = count(replicas.len().saturating_sub(MOST_LISTED));
        replicas.truncate(MOST_LISTED);
        replicas.sort_by_key(by_name);
        Self { replicas, unlisted, behind }
    }

    /// Each, by name, at most [`MOST_LISTED`].
    #[must_use]
    pub fn replicas(&self) -> &[Acknowledged] {
        &self.replicas
    }

    /// How many there are besides.
    #[must_use]
    pub const fn unlisted(&self) -> u32 {
        self.unlisted
    }

    /// How many, of all, had not said that they have applied it.
    #[must_use]
    pub const fn behind(&self) -> u32 {
        self.behind
    }
}

/// The replicas, as far as they can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Whether the store that they share said so now. Where it cannot be asked, what was heard of them last is told.
    pub current: bool,
    /// The last change that there is, as the store has it.
    pub position: Option<Position>,
    /// This one first, the others by name, at most [`MOST_LISTED`].
    pub replicas: Vec<Presence>,
    /// How many there are besides.
    pub unlisted: u32,
}

impl Fleet {
    /// # INVARIANT (bounded)
    /// At most [`MOST_LISTED`]; this one is among them.
    pub(crate) fn of(current: bool, position: Option<Position>, mut replicas: Vec<Presence>) -> Self {
        replicas.sort_by(|one, other| {
            let key = |of: &Presence| (!of.itself, of.name.clone(), of.id.clone());
            key(one).cmp(&key(other))
        });
        let unlisted = u32::try_from(replicas.len().saturating_sub(MOST_LISTED)).unwrap_or(u32::MAX);
        replicas.truncate(MOST_LISTED);
        Self { current, position, replicas, unlisted }
    }
}

/// A replica that was heard in the last minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its id.
    pub id: String,
    /// What people call it, if it said so.
    pub name: Option<ReplicaName>,
    /// Whether it is the one that tells.
    pub itself: bool,
    /// The last change that it applied.
    pub position: Position,
    /// How long ago it said so.
    pub silent: Duration,
    /// What it says of itself.
    pub report: Report,
}

/// What a replica says of itself, as another found it: not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// It has said nothing, or that cannot be read now.
    Nothing,
    /// These bytes, at most [`MAX_REPORT`].
    Said(Arc<[u8]>),
    /// More than a replica of this version says.
    TooLong,
}

impl Report {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match bytes.len() {
            0 => Self::Nothing,
            1..=MAX_REPORT => Self::Said(bytes.into()),
            _ => Self::TooLong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_word() {
        for good in ["a", "exequatur-7d9f-x2x4k", "node1.example.com", "A_b", &"n".repeat(253)] {
            assert!(ReplicaName::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a\n", "a:b", "ä", "a/b", "\u{1b}[2J", &"n".repeat(254)] {
            assert_eq!(ReplicaName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_replica_says_is_bounded() {
        let itself = Itself::new().unwrap();
        assert_eq!((itself.reported().len(), itself.id().len()), (0, 12));
        itself.report(&[7; MAX_REPORT]).unwrap();
        assert_eq!(itself.report(&[8; MAX_REPORT + 1]), Err(ReportTooLong(MAX_REPORT + 1)));
        assert_eq!(*itself.reported(), [7; MAX_REPORT]);
        assert_eq!(Report::of(&itself.reported()), Report::Said([7; MAX_REPORT].as_slice().into()));
        assert_eq!(Report::of(&[7; MAX_REPORT + 1]), Report::TooLong);
        assert_eq!(Report::of(&[]), Report::Nothing);
    }

    /// Who has not answered is never left out for somebody who has.
    #[test]
    fn so_many_are_told_and_the_rest_counted() {
        let one = |n: usize, after: Option<u64>| Acknowledged {
            id: format!("{n:03}"),
            name: None,
            after: after.map(Duration::from_millis),
        };
        let all = |many: usize, late: usize| {
            Reached::of((0..many).map(|n| one(n, (n != late).then_some(1))).collect())
        };
        let few = all(3, 1);
        assert_eq!((few.replicas().len(), few.unlisted(), few.behind()), (3, 0, 1));
        let many = all(MOST_LISTED + 50, MOST_LISTED + 49);
        assert_eq!((many.replicas().len(), many.unlisted(), many.behind()), (MOST_LISTED, 50, 1));
        assert!(many.replicas().iter().any(|one| one.after.is_none()));
        assert_eq!(Reached::default().behind(), 0);
    }
}

//! One override, and how it is written down: JSON, so that whoever looks at a file or into Redis can read it.

use std::fmt;
use std::num::NonZeroU32;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limit::{Limit, Quota, Rate, parse_quota, parse_rate};
use crate::revocation::{MAX_LABEL, Note};

/// Longest name of a limit, in bytes.
pub const MAX_LIMIT_NAME: usize = 64;
/// Digits of a revision: microseconds since 1970, so that text sorts as numbers do.
const DIGITS: usize = 16;

/// For whom a limit is set otherwise, by the names that records and headers show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// An agent: `<issuer>:<id>`.
    Agent(String),
    /// A tenant.
    Tenant(String),
}

impl Whose {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Agent(name) | Self::Tenant(name) => name,
        }
    }
}

/// Which limit, for whom. In the order of limits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverridePlace {
    // INVARIANT (bounded): a limit's name as configurations have it, and a name of 1 to MAX_LABEL bytes.
    limit: String,
    whose: Whose,
}

impl OverridePlace {
    /// None if the limit's name is not 1 to 64 letters, digits, `-`, `_` and `.`, or the other is empty, longer than
    /// [`MAX_LABEL`] or has control characters.
    #[must_use]
    pub fn new(limit: &str, whose: Whose) -> Option<Self> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let named = (1..=MAX_LIMIT_NAME).contains(&limit.len()) && limit.bytes().all(letter);
        let name = whose.name();
        let fits = (1..=MAX_LABEL).contains(&name.len()) && !name.chars().any(char::is_control);
        (named && fits).then(|| Self { limit: limit.to_owned(), whose })
    }

    /// The limit's name.
    #[must_use]
    pub fn limit(&self) -> &str {
        &self.limit
    }

    /// For whom.
    #[must_use]
    pub const fn whose(&self) -> &Whose {
        &self.whose
    }

    /// What [`fmt::Display`] shows, read again.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (limit, rest) = text.split_once(':')?;
        let (kind, name) = rest.split_once(':')?;
        let whose = match kind {
            "agent" => Whose::Agent(name.to_owned()),
            "tenant" => Whose::Tenant(name.to_owned()),
            _ => return None,
        };
        Self::new(limit, whose)
    }
}

impl fmt::Display for OverridePlace {
    /// `<limit>:agent:<name>` or `<limit>:tenant:<name>`; there is no colon in the name of a limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.whose {
            Whose::Agent(_) => "agent",
            Whose::Tenant(_) => "tenant",
        };
        write!(f, "{}:{kind}:{}", self.limit, self.whose.name())
    }
}

/// A limit that is set otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitOverride {
    /// Which, for whom.
    pub place: OverridePlace,
    /// What counts instead. Of another kind than the configured limit, or a quota of another period, it counts for nothing.
    pub figure: Limit,
    /// The instant from which it counts no more; `None`: until it is taken back.
    pub until: Option<Timestamp>,
    /// For people.
    pub note: Note,
}

/// An override, or that it was taken back, and how new that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revised {
    /// Microseconds since 1970, by the clock of the store; greater than that of whatever it replaced.
    pub(crate) revision: i64,
    /// None: it was taken back.
    pub(crate) standing: Option<Standing>,
    pub(crate) note: Note,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) figure: Limit,
    pub(crate) until: Option<Timestamp>,
}

impl Revised {
    pub(crate) fn in_force(&self, now: Timestamp) -> Option<Standing> {
        self.standing.filter(|standing| standing.until.is_none_or(|until| now < until))
    }

    /// Since when it matters no more, beside that nobody who knows less may bring back what it replaced.
    pub(crate) fn over_since(&self) -> Option<Timestamp> {
        match self.standing {
            Some(standing) => standing.until,
            None => Timestamp::from_microsecond(self.revision).ok(),
        }
    }

    /// Everything but the revision.
    ///
    /// # Errors
    /// It cannot be written as JSON. Nothing may be kept instead.
    pub(crate) fn encode(&self) -> Result<String, serde_json::Error> {
        let figure = self.standing.map(|standing| standing.figure);
        let (rate, burst, quota) = match figure {
            None => (None, None, None),
            Some(Limit::Rate(rate)) => (Some(rate.to_string()), Some(rate.burst()), None),
            Some(Limit::Quota(quota)) => (None, None, Some(quota.to_string())),
        };
        let written = Written {
            rate,
            burst,
            quota,
            until: self.standing.and_then(|standing| standing.until).map(|until| until.to_string()),
            reason: self.note.reason().to_owned(),
            by: self.note.by().to_owned(),
            at: self.note.at().to_string(),
        };
        serde_json::to_string(&written)
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quota: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    reason: String,
    by: String,
    at: String,
}

/// An entry as it is kept: the text of its place, and its revision with the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) place: String,
    /// 16 digits and JSON.
    pub(crate) rest: String,
}

impl Encoded {
    pub(crate) fn of(place: &OverridePlace, revised: &Revised) -> Result<Self, serde_json::Error> {
        let rest = format!("{:0DIGITS$}{}", revised.revision, revised.encode()?);
        Ok(Self { place: place.to_string(), rest })
    }

    /// None if this version of Exequatur did not write it.
    pub(crate) fn read(place: &str, rest: &str) -> Option<(OverridePlace, Revised)> {
        let place = OverridePlace::parse(place)?;
        let (revision, json) = rest.split_at_checked(DIGITS)?;
        let revision =
            revision.bytes().all(|byte| byte.is_ascii_digit()).then(|| revision.parse().ok())??;
        let written: Written = serde_json::from_str(json).ok()?;
        let until = written.until.map(|until| until.parse::<Timestamp>().ok());
        let figure = match (written.rate, written.burst, written.quota) {
            (None, None, None) => None,
            (Some(rate), Some(burst), None) => {
                let (count, per) = parse_rate(&rate)?;
                Some(Limit::Rate(Rate::new(NonZeroU32::try_from(count).ok()?, per, burst)?))
            }
            (None, None, Some(quota)) => {
                let (units, period) = parse_quota(&quota)?;
                Some(Limit::Quota(Quota::new(units, period)?))
            }
            (_, _, _) => return None,
        };
        let standing = match (figure, until) {
            (Some(figure), None) => Some(Standing { figure, until: None }),
            (Some(figure), Some(until)) => Some(Standing { figure, until: Some(until?) }),
            (None, None) => None,
            (None, Some(_)) => return None,
        };
        let label = place.whose().name().to_owned();
        let note = Note::new(label, written.reason, written.by, written.at.parse().ok()?).ok()?;
        Some((place, Revised { revision, standing, note }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revised(figure: Option<Limit>, until: Option<Timestamp>) -> Revised {
        let at = "2026-11-22T10:00:00.000001Z".parse().unwrap();
        let note = Note::new("acme".to_owned(), "a \"reason\"".to_owned(), "local:0".to_owned(), at).unwrap();
        let standing = figure.map(|figure| Standing { figure, until });
        Revised { revision: 1_790_000_000_000_001, standing, note }
    }

    fn figures() -> [Limit; 2] {
        let n = |n| NonZeroU32::new(n).unwrap();
        [
            Limit::Rate(Rate::new(n(10), crate::RatePer::Minute, n(5)).unwrap()),
            Limit::Quota(Quota::new(n(7).into(), crate::Period::Day).unwrap()),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let place = OverridePlace::new("per-tenant", Whose::Tenant("acme".to_owned())).unwrap();
        let until = "2026-11-23T00:00:00Z".parse().unwrap();
        let [rate, quota] = figures();
        for revised in [revised(Some(rate), None), revised(Some(quota), Some(until)), revised(None, None)] {
            let Encoded { place: text, rest } = Encoded::of(&place, &revised).unwrap();
            assert_eq!(Encoded::read(&text, &rest), Some((place.clone(), revised)), "{rest}");
        }
    }

    /// What another version wrote is not guessed at.
    #[test]
    fn anything_else_is_not() {
        let place = "per-tenant:tenant:acme";
        let good = Encoded::of(&OverridePlace::parse(place).unwrap(), &revised(Some(figures()[0]), None))
            .unwrap()
            .rest;
        assert!(Encoded::read(place, &good).is_some());
        for (from, to) in [
            ("1790000000000001", "179000000000001"),
            ("1790000000000001", "+790000000000001"),
            ("10/m", "10/d"),
            ("10/m", "0/m"),
            ("\"burst\":5", "\"burst\":0"),
            ("\"burst\":5", "\"burst\":2000000"),
            ("\"burst\":5", "\"quota\":\"7/day\""),
            ("\"burst\":5,", ""),
            ("\"reason\"", "\"because\""),
            ("2026-11-22T10", "2026-13-22T10"),
            ("}", ",\"more\":1}"),
            ("}", ",\"until\":\"soon\"}"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            assert_eq!(Encoded::read(place, &bad), None, "{bad}");
        }
        for place in ["", "x", "x:agent", "x:agent:", "x:user:a", "a b:agent:x", "x:tenant:a\nb", ":agent:x"]
        {
            assert_eq!(Encoded::read(place, &good), None, "{place}");
        }
        assert!(
            OverridePlace::parse("x:agent:corp:a:b").is_some_and(|place| place.whose().name() == "corp:a:b")
        );
    }
}

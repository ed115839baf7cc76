//! One attribute of one subject, and how it is written down: JSON, so that whoever looks at a file or into Redis can read it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::is_subject;
use crate::revocation::{MAX_AUTHOR, MAX_LABEL, Note, RevocationKind, Target};

/// Longest time that an attribute may hold, from when it is told.
pub const MAX_ATTRIBUTE_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// How far ahead of this clock an event may be: one from further ahead would keep later ones out.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Longest namespace of an assurance, and longest level, in bytes.
pub const MAX_ASSURANCE: usize = 128;
/// Longest reason that is kept, in bytes; the rest of a longer one is cut.
pub const MAX_ATTRIBUTE_REASON: usize = 200;

/// How risky a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RiskLevel {
    /// `LOW`
    Low,
    /// `MEDIUM`
    Medium,
    /// `HIGH`
    High,
}

impl RiskLevel {
    const EVERY: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// As policies spell it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Whether the device that a subject uses complies with what is asked of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceCompliance {
    /// `compliant`
    Compliant,
    /// `not-compliant`
    NotCompliant,
}

impl DeviceCompliance {
    const EVERY: [Self; 2] = [Self::Compliant, Self::NotCompliant];

    /// As policies spell it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Compliant => "compliant",
            Self::NotCompliant => "not_compliant",
        }
    }
}

/// How sure it is that a subject is who it says: a level of a namespace, such as `nist-aal2` of `NIST-AAL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assurance {
    // INVARIANT (bounded): 1 to MAX_ASSURANCE bytes each, no control characters.
    namespace: Arc<str>,
    level: Arc<str>,
}

impl Assurance {
    /// None if either is empty, longer than [`MAX_ASSURANCE`] or has control characters.
    #[must_use]
    pub fn new(namespace: &str, level: &str) -> Option<Self> {
        let fits =
            |text: &str| (1..=MAX_ASSURANCE).contains(&text.len()) && !text.chars().any(char::is_control);
        (fits(namespace) && fits(level)).then(|| Self { namespace: namespace.into(), level: level.into() })
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The level.
    #[must_use]
    pub fn level(&self) -> &str {
        &self.level
    }
}

/// What is said of a subject. Of assurances a subject has one of each namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// How risky it is.
    Risk(RiskLevel),
    /// Its device.
    Device(DeviceCompliance),
    /// How sure it is who it is.
    Assurance(Assurance),
}

impl Attribute {
    /// Breaks the tie of two events at one instant: the worse counts; of assurances any, and everywhere the same.
    fn tie(&self) -> u64 {
        match self {
            Self::Risk(RiskLevel::Low) | Self::Device(DeviceCompliance::Compliant) => 1,
            Self::Risk(RiskLevel::Medium) => 2,
            Self::Risk(RiskLevel::High) | Self::Device(DeviceCompliance::NotCompliant) => 3,
            Self::Assurance(assurance) => {
                let digest: [u8; 32] = Sha256::digest(assurance.level.as_bytes()).into();
                digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
            }
        }
    }

    fn value(&self) -> &str {
        match self {
            Self::Risk(level) => level.word(),
            Self::Device(device) => device.word(),
            Self::Assurance(assurance) => assurance.level(),
        }
    }
}

/// What an event says of a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectAttribute {
    // INVARIANT (subject): a user, an agent or a session.
    subject: Target,
    /// What.
    pub attribute: Attribute,
    /// When it happened, to the microsecond.
    pub at: Timestamp,
    /// The instant from which it holds no more.
    pub until: Timestamp,
    /// For people.
    pub note: Note,
}

impl SubjectAttribute {
    /// None if the subject is no user, agent or session.
    #[must_use]
    pub fn new(
        subject: Target,
        attribute: Attribute,
        (at, until): (Timestamp, Timestamp),
        note: Note,
    ) -> Option<Self> {
        is_subject(&subject).then_some(Self { subject, attribute, at, until, note })
    }

    /// Of whom.
    #[must_use]
    pub const fn subject(&self) -> Target {
        self.subject
    }

    pub(crate) fn place(&self) -> Place {
        Place { subject: self.subject, what: What::of(&self.attribute) }
    }

    /// What is to be held.
    ///
    /// # Errors
    /// [`TooFar`]
    pub(crate) fn held(&self, now: Timestamp) -> Result<Held, TooFar> {
        let ahead = self.at.duration_since(now) > MAX_AHEAD;
        if ahead || self.until.duration_since(now) > MAX_ATTRIBUTE_LIFE {
            return Err(TooFar);
        }
        let micros = |instant: Timestamp| instant.as_microsecond().max(0);
        let cut = self.note.reason().char_indices().map(|(at, _)| at);
        let end = cut.take_while(|at| *at <= MAX_ATTRIBUTE_REASON).last();
        let whole = self.note.reason().len() <= MAX_ATTRIBUTE_REASON;
        let reason =
            if whole { Some(self.note.reason()) } else { self.note.reason().get(..end.unwrap_or(0)) };
        let note = KeptNote {
            label: self.note.label().into(),
            reason: reason.unwrap_or_default().into(),
            by: self.note.by().into(),
            at: micros(self.note.at()),
        };
        let (at, until) = (micros(self.at), micros(self.until));
        Ok(Held { at, attribute: self.attribute.clone(), until, note })
    }
}

/// It is of a time to come, or would hold for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooFar;

/// Which attribute of a subject; of one there is one at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum What {
    Risk,
    Device,
    Assurance(Arc<str>),
}

impl What {
    pub(crate) fn of(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Risk(_) => Self::Risk,
            Attribute::Device(_) => Self::Device,
            Attribute::Assurance(assurance) => Self::Assurance(Arc::clone(&assurance.namespace)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) subject: Target,
    pub(crate) what: What,
}

impl Place {
    /// What lists and maps go by.
    pub(crate) fn order(&self) -> (u8, [u8; 16], &What) {
        (self.subject.kind.code(), self.subject.digest, &self.what)
    }
}

impl fmt::Display for Place {
    /// `<kind>:<digest>:risk`, `…:device` or `…:assurance:<namespace>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(self.subject.digest);
        write!(f, "{}:{digest}:", self.subject.kind.code())?;
        match &self.what {
            What::Risk => f.write_str("risk"),
            What::Device => f.write_str("device"),
            What::Assurance(namespace) => write!(f, "assurance:{namespace}"),
        }
    }
}

/// What is held of one place. Microseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) at: i64,
    pub(crate) attribute: Attribute,
    pub(crate) until: i64,
    note: KeptNote,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct KeptNote {
    label: Box<str>,
    reason: Box<str>,
    by: Box<str>,
    at: i64,
}

impl Held {
    /// Whether it counts rather than another of the same place: the later event; at one instant the worse; the longer.
    pub(crate) fn counts_before(&self, other: &Self) -> bool {
        self.rank() > other.rank()
    }

    fn rank(&self) -> (i64, u64, i64) {
        (self.at, self.attribute.tie(), self.until)
    }

    pub(crate) const fn in_force(&self, now: i64) -> bool {
        now < self.until
    }

    pub(crate) fn of(&self, place: &Place) -> Option<SubjectAttribute> {
        let instant = |micros| Timestamp::from_microsecond(micros).ok();
        let KeptNote { label, reason, by, at } = &self.note;
        let note = Note::new(label.to_string(), reason.to_string(), by.to_string(), instant(*at)?).ok()?;
        let times = (instant(self.at)?, instant(self.until)?);
        SubjectAttribute::new(place.subject, self.attribute.clone(), times, note)
    }
}

/// An attribute as it is kept: the text of its place, a text that sorts as it counts, its end and all of it as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) place: String,
    /// 48 digits: when it happened, what breaks a tie, and the end; of two of one place the greater counts.
    pub(crate) rank: String,
    pub(crate) json: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    value: String,
    /// Microseconds since 1970.
    at: i64,
    until: i64,
    label: String,
    reason: String,
    by: String,
    noted: i64,
}

impl Encoded {
    /// # Errors
    /// It cannot be written as JSON. Nothing may be kept instead.
    pub(crate) fn of(place: &Place, held: &Held) -> Result<Self, serde_json::Error> {
        let KeptNote { label, reason, by, at } = &held.note;
        let written = Written {
            value: held.attribute.value().to_owned(),
            at: held.at,
            until: held.until,
            label: label.to_string(),
            reason: reason.to_string(),
            by: by.to_string(),
            noted: *at,
        };
        let (at, tie, until) = held.rank();
        let rank = format!("{at:016}{tie:016x}{until:016}");
        Ok(Self { place: place.to_string(), rank, json: serde_json::to_string(&written)? })
    }

    /// None if this version of Exequatur did not write it.
    pub(crate) fn read(place: &str, json: &str) -> Option<(Place, Held)> {
        let (kind, rest) = place.split_once(':')?;
        let (digest, what) = rest.split_once(':')?;
        let kind = RevocationKind::from_code(kind.parse().ok()?)?;
        let digest = BASE64_URL_SAFE_NO_PAD.decode(digest).ok()?.try_into().ok()?;
        let subject = Some(Target { kind, digest }).filter(is_subject)?;
        let Written { value, at, until, label, reason, by, noted } = serde_json::from_str(json).ok()?;
        let attribute = match what.split_once(':') {
            None if what == "risk" => {
                Attribute::Risk(RiskLevel::EVERY.into_iter().find(|level| level.word() == value)?)
            }
            None if what == "device" => {
                Attribute::Device(DeviceCompliance::EVERY.into_iter().find(|device| device.word() == value)?)
            }
            Some(("assurance", namespace)) => Attribute::Assurance(Assurance::new(namespace, &value)?),
            None | Some(_) => return None,
        };
        let texts =
            label.len() <= MAX_LABEL && reason.len() <= MAX_ATTRIBUTE_REASON && by.len() <= MAX_AUTHOR;
        let times = [at, until, noted].iter().all(|micros| (0..=LAST_MICROS).contains(micros));
        (texts && times).then(|| {
            let note = KeptNote { label: label.into(), reason: reason.into(), by: by.into(), at: noted };
            (Place { subject, what: What::of(&attribute) }, Held { at, attribute, until, note })
        })
    }
}

/// The last instant that 16 digits have room for, and a [`Timestamp`].
const LAST_MICROS: i64 = 9_999_999_999_999_999;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    fn event(attribute: Attribute, happened: i64, until: i64) -> SubjectAttribute {
        let subject = Target { kind: RevocationKind::User, digest: [7; 16] };
        let note = Note::new("corp:a".to_owned(), "r".to_owned(), "corp".to_owned(), at(0)).unwrap();
        SubjectAttribute::new(subject, attribute, (at(happened), at(until)), note).unwrap()
    }

    fn assurance(namespace: &str, level: &str) -> Attribute {
        Attribute::Assurance(Assurance::new(namespace, level).unwrap())
    }

    #[test]
    fn what_is_written_is_read_again() {
        for attribute in [
            Attribute::Risk(RiskLevel::Low),
            Attribute::Risk(RiskLevel::High),
            Attribute::Device(DeviceCompliance::NotCompliant),
            assurance("NIST-AAL", "nist-aal2"),
            assurance("a:b \"c", "d:e"),
        ] {
            let event = event(attribute, 0, 60);
            let (place, held) = (event.place(), event.held(at(0)).unwrap());
            let encoded = Encoded::of(&place, &held).unwrap();
            assert_eq!(encoded.rank.len(), 48);
            assert_eq!(Encoded::read(&encoded.place, &encoded.json), Some((place.clone(), held.clone())));
            assert_eq!(held.of(&place), Some(event));
        }
        let good = Encoded::of(
            &event(Attribute::Risk(RiskLevel::Low), 0, 60).place(),
            &event(Attribute::Risk(RiskLevel::Low), 0, 60).held(at(0)).unwrap(),
        )
        .unwrap();
        for (place, json) in [
            (good.place.replace("4:", "7:"), good.json.clone()),
            (good.place.replace("risk", "luck"), good.json.clone()),
            (good.place.replace("risk", "device"), good.json.clone()),
            (good.place.clone(), good.json.replace("low", "none")),
            (good.place.clone(), good.json.replace("{", "{\"more\":1,")),
            (good.place.clone(), String::new()),
            (String::new(), good.json.clone()),
        ] {
            assert_eq!(Encoded::read(&place, &json), None, "{place} {json}");
        }
    }

    #[test]
    fn only_users_agents_and_sessions_have_attributes_and_all_is_bounded() {
        let note = || Note::new(String::new(), "ä".repeat(400), String::new(), at(0)).unwrap();
        for kind in RevocationKind::EVERY {
            let subject = Target { kind, digest: [7; 16] };
            let made =
                SubjectAttribute::new(subject, Attribute::Risk(RiskLevel::Low), (at(0), at(1)), note());
            let has = matches!(kind, RevocationKind::User | RevocationKind::Agent | RevocationKind::Session);
            assert_eq!(made.is_some(), has, "{kind:?}");
        }
        for bad in ["", "a\n", &"x".repeat(MAX_ASSURANCE + 1)] {
            assert!(Assurance::new(bad, "x").is_none() && Assurance::new("x", bad).is_none(), "{bad}");
        }
        let mut long = event(Attribute::Risk(RiskLevel::Low), 0, 60);
        long.note = note();
        let kept = long.held(at(0)).unwrap().of(&long.place()).unwrap();
        assert_eq!(kept.note.reason(), "ä".repeat(MAX_ATTRIBUTE_REASON / 2));
        let far =
            |happened, until| event(Attribute::Risk(RiskLevel::Low), happened, until).held(at(0)).is_err();
        let (ahead, life) = (MAX_AHEAD.as_secs(), MAX_ATTRIBUTE_LIFE.as_secs());
        assert!(!far(ahead, life) && far(ahead + 1, life) && far(0, life + 1) && !far(-life, -1));
    }

    /// V08: the order in which events are heard of changes nothing.
    #[test]
    fn the_greater_rank_counts_as_text_and_as_numbers() {
        proptest!(|(one in (0_i64..3, 1_u8..4, 0_i64..3), other in (0_i64..3, 1_u8..4, 0_i64..3))| {
            let made = |(happened, level, until): (i64, u8, i64)| {
                let level = [RiskLevel::Low, RiskLevel::Medium, RiskLevel::High][usize::from(level) - 1];
                let event = event(Attribute::Risk(level), happened, 10 + until);
                let held = event.held(at(0)).unwrap();
                (Encoded::of(&event.place(), &held).unwrap().rank, held)
            };
            let ((rank, held), (other_rank, other_held)) = (made(one), made(other));
            prop_assert_eq!(held.counts_before(&other_held), rank > other_rank);
            prop_assert_eq!(held.counts_before(&other_held) || other_held.counts_before(&held), one != other);
        });
    }
}

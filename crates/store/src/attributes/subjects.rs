//! What decisions ask: the attributes of each subject, as this process knows them.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU16;
use std::sync::RwLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::{Assurance, Attribute, DeviceCompliance, Held, Place, RiskLevel, SubjectAttribute, What};
use crate::limit::micros;
use crate::revocation::{Hearing, Hears, Staleness, Target, Unknown};

/// How long what is over is remembered, so that an earlier event that arrives late does not come into force.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than to be told others it is kept, for clocks that differ.
const SLACK: SignedDuration = SignedDuration::from_hours(1);
/// Parts that are locked apart.
const PARTS: usize = 64;

type Part = HashMap<Target, BTreeMap<What, Held>>;

/// The attributes of all subjects. Whether they are known is asked with each question: what is not known is not absent.
#[derive(Debug)]
pub struct Subjects {
    parts: Vec<RwLock<Part>>,
    /// Attributes, those that are over among them.
    count: AtomicUsize,
    hears: Hears,
}

/// What is in force of one subject.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfSubject {
    /// How risky it is, if anybody said.
    pub risk: Option<RiskLevel>,
    /// Its device, if anybody said.
    pub device: Option<DeviceCompliance>,
    /// How sure it is who it is, one of each namespace, in order.
    pub assurance: Vec<Assurance>,
}

impl Subjects {
    /// Empty, for who has none, and for a store in this process: it always knows.
    #[must_use]
    pub fn local() -> Self {
        Self::with(Hears::itself())
    }

    /// Empty, fed from elsewhere: it knows nothing until it was heard the first time, nor after a silence.
    #[must_use]
    pub fn fed(staleness: Staleness) -> Self {
        Self::with(Hears::elsewhere(staleness))
    }

    fn with(hears: Hears) -> Self {
        let parts = (0..PARTS).map(|_| RwLock::default()).collect();
        Self { parts, count: AtomicUsize::new(0), hears }
    }

    /// What is in force of each of these subjects. `may_degrade`: whether what was heard longer ago than usual may be gone by.
    ///
    /// # Errors
    /// [`Unknown`]: nothing can be said of anybody.
    pub fn ask<const SUBJECTS: usize>(
        &self,
        subjects: [Option<&Target>; SUBJECTS],
        may_degrade: bool,
        now: Timestamp,
    ) -> Result<[OfSubject; SUBJECTS], Unknown> {
        match self.hears.hearing(now) {
            Hearing::Well => {}
            Hearing::Degraded if may_degrade => {}
            Hearing::Degraded => return Err(Unknown::Silent),
            Hearing::Unknown(unknown) => return Err(unknown),
        }
        let mut found = [const { OfSubject { risk: None, device: None, assurance: Vec::new() } }; SUBJECTS];
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(found);
        }
        let now = micros(now);
        for (subject, of) in subjects.into_iter().zip(&mut found) {
            let Some(subject) = subject else { continue };
            let part = self.part(subject).ok_or(Unknown::Poisoned)?.read().or(Err(Unknown::Poisoned))?;
            let held = part.get(subject).into_iter().flat_map(BTreeMap::values);
            for held in held.filter(|held| held.in_force(now)) {
                match &held.attribute {
                    Attribute::Risk(level) => of.risk = Some(*level),
                    Attribute::Device(device) => of.device = Some(*device),
                    Attribute::Assurance(assurance) => of.assurance.push(assurance.clone()),
                }
            }
        }
        Ok(found)
    }

    /// Why nothing can be known at `now`, if so.
    #[must_use]
    pub fn unknown(&self, now: Timestamp) -> Option<Unknown> {
        match self.hears.hearing(now) {
            Hearing::Well | Hearing::Degraded => None,
            Hearing::Unknown(unknown) => Some(unknown),
        }
    }

    /// How many attributes there are, those that are over for less than a day among them.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    pub(crate) fn heard(&self, now: Timestamp) {
        self.hears.heard(now);
    }

    pub(crate) fn silent_for(&self, span: Duration) {
        self.hears.silent_for(span);
    }

    /// Takes it, unless what counts before it is known. True if anything is otherwise.
    ///
    /// # Errors
    /// A thread failed while it held them.
    pub(crate) fn take(&self, place: Place, held: Held) -> Result<bool, Unknown> {
        let part = self.part(&place.subject).ok_or(Unknown::Poisoned)?;
        let mut part = part.write().or(Err(Unknown::Poisoned))?;
        let of_subject = part.entry(place.subject).or_default();
        match of_subject.get(&place.what) {
            Some(before) if !held.counts_before(before) => return Ok(false),
            Some(_) => {}
            None => {
                self.count.fetch_add(1, Ordering::AcqRel);
            }
        }
        of_subject.insert(place.what, held);
        Ok(true)
    }

    pub(crate) fn get(&self, place: &Place) -> Result<Option<Held>, Unknown> {
        let part = self.part(&place.subject).ok_or(Unknown::Poisoned)?.read().or(Err(Unknown::Poisoned))?;
        Ok(part.get(&place.subject).and_then(|of| of.get(&place.what)).cloned())
    }

    /// All that would be missed by somebody who has lost it.
    ///
    /// # Errors
    /// A thread failed while it held them.
    pub(crate) fn worth_telling(&self, now: Timestamp) -> Result<Vec<(Place, Held)>, Unknown> {
        self.all(|held| !is_over_for(held, REMEMBERED, now))
    }

    fn all(&self, wanted: impl Fn(&Held) -> bool) -> Result<Vec<(Place, Held)>, Unknown> {
        let mut found = Vec::new();
        for part in &self.parts {
            let part = part.read().or(Err(Unknown::Poisoned))?;
            for (subject, of_subject) in part.iter() {
                let wanted = of_subject.iter().filter(|(_, held)| wanted(held));
                let place = |what: &What| Place { subject: *subject, what: what.clone() };
                found.extend(wanted.map(|(what, held)| (place(what), held.clone())));
            }
        }
        Ok(found)
    }

    /// Forgets what was over for long; gives what that was, if it did not come back meanwhile.
    ///
    /// # Errors
    /// A thread failed while it held them.
    pub(crate) fn forget_over(&self, now: Timestamp) -> Result<Vec<(Place, Held)>, Unknown> {
        let long = REMEMBERED.saturating_add(SLACK);
        let mut forgotten = Vec::new();
        for part in &self.parts {
            let mut part = part.write().or(Err(Unknown::Poisoned))?;
            part.retain(|subject, of_subject| {
                of_subject.retain(|what, held| {
                    let over = is_over_for(held, long, now);
                    if over {
                        self.count.fetch_sub(1, Ordering::AcqRel);
                        forgotten.push((Place { subject: *subject, what: what.clone() }, held.clone()));
                    }
                    !over
                });
                !of_subject.is_empty()
            });
        }
        Ok(forgotten)
    }

    /// What is in force, in the order of places.
    ///
    /// # Errors
    /// A thread failed while it held them.
    pub(crate) fn list(
        &self,
        after: Option<&SubjectAttribute>,
        most: NonZeroU16,
        now: Timestamp,
    ) -> Result<Vec<SubjectAttribute>, Unknown> {
        let (micros, after) = (micros(now), after.map(SubjectAttribute::place));
        let mut found = self.all(|held| held.in_force(micros))?;
        found.retain(|(place, _)| after.as_ref().is_none_or(|after| after.order() < place.order()));
        found.sort_by(|(one, _), (other, _)| one.order().cmp(&other.order()));
        found.truncate(most.get().into());
        Ok(found.iter().filter_map(|(place, held)| held.of(place)).collect())
    }

    fn part(&self, subject: &Target) -> Option<&RwLock<Part>> {
        let [first, ..] = subject.digest;
        self.parts.get(usize::from(first) % PARTS)
    }
}

fn is_over_for(held: &Held, span: SignedDuration, now: Timestamp) -> bool {
    let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    micros(now).saturating_sub(held.until) > span
}

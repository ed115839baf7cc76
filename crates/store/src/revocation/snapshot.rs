//! The revocations that hold, in memory: what every decision asks.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::entry::{Form, ISSUED_UNTIL, Lift, Position, RevocationKind, SUSPENSION, TOTAL, Target};
use super::hearing::{Hearing, Hears};
use super::rows::{Put, Row, STRIPE_BITS, Stripe};

/// Parts that are locked, grow and are swept each on its own: with ten million revocations, 600 rows each, which
/// take a microsecond to shift. The parts themselves take 0.7 MB.
const STRIPES: usize = 1 << STRIPE_BITS;
/// One for each code of a kind.
const KINDS: usize = 16;

/// Something that a decision rests on, and when it was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What.
    pub target: Target,
    /// When that was issued which names it; where it is not known, any watermark covers it.
    pub issued_at: Option<Timestamp>,
}

/// What a snapshot knows of a list of targets.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// None of them is revoked.
    NotRevoked(NotRevoked),
    /// One of them is; the first in the order of asking.
    Revoked(Revoked),
    /// It cannot be known. Never to be taken for either of the others.
    Unknown(Unknown),
}

/// Evidence that a snapshot was asked, and that nothing asked for is revoked.
#[derive(Debug, PartialEq, Eq)]
pub struct NotRevoked {
    degraded: bool,
}

impl NotRevoked {
    /// Whether it is the word of a snapshot that hears nothing, and was told to go on for a while.
    #[must_use]
    pub const fn is_degraded(&self) -> bool {
        self.degraded
    }
}

/// For how long a snapshot answers that hears nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Staleness {
    /// As if nothing were the matter.
    pub usual: SignedDuration,
    /// Marked as degraded. Not longer than `usual`: not at all.
    pub degraded: SignedDuration,
}

/// What is revoked, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// What.
    pub target: Target,
    /// How.
    pub form: Form,
}

/// Why a snapshot does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The revocations were never complete here.
    #[error("the revocations were never loaded")]
    NeverLoaded,
    /// What feeds the snapshot has been silent for longer than it may be.
    #[error("the feed of revocations is silent")]
    Silent,
    /// A thread failed while it changed the snapshot.
    #[error("the revocations were left in an unknown state")]
    Poisoned,
}

/// Exact, for all threads to read, for one to change. A reader takes a lock that is shared and held for less than a
/// microsecond, on the part where its target would be, and none at all for a kind of which nothing is revoked.
#[derive(Debug)]
pub struct Snapshot {
    stripes: Box<[RwLock<Stripe>]>,
    /// By the code of the kind. Raised before a row comes, lowered after it went.
    counts: [AtomicU32; KINDS],
    total: AtomicU32,
    position: AtomicU64,
    feed: Hears,
}

impl Snapshot {
    /// An empty one that only this process changes: it always knows.
    #[must_use]
    pub fn local() -> Self {
        Self::with(Hears::itself())
    }

    /// An empty one that something else feeds. It knows nothing until [`Self::heard`] is called the first time, and
    /// nothing again when it was not called for longer than `staleness` says.
    #[must_use]
    pub fn fed(staleness: Staleness) -> Self {
        Self::with(Hears::elsewhere(staleness))
    }

    fn with(feed: Hears) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
            counts: Default::default(),
            total: AtomicU32::new(0),
            position: AtomicU64::new(0),
            feed,
        }
    }

    /// Whether any of `asked` is revoked at `now`.
    pub fn ask<'a>(&self, asked: impl IntoIterator<Item = &'a Asked>, now: Timestamp) -> Finding {
        let degraded = match self.feed.hearing(now) {
            Hearing::Well => false,
            Hearing::Degraded => true,
            Hearing::Unknown(unknown) => return Finding::Unknown(unknown),
        };
        let second = now.as_second();
        for Asked { target, issued_at } in asked {
            if self.count(target.kind).load(Ordering::Acquire) == 0 {
                continue;
            }
            let Some(Ok(stripe)) = self.stripe(target).map(RwLock::read) else {
                return Finding::Unknown(Unknown::Poisoned);
            };
            if let Some(row) = stripe.find(target, issued_at.map(Timestamp::as_second), second) {
                return Finding::Revoked(Revoked { target: *target, form: row.form() });
            }
        }
        Finding::NotRevoked(NotRevoked { degraded })
    }

    /// Why nothing can be known at `now`, if so. A feed that was heard in the future was heard before the clock was
    /// set back: for how long it is silent is not known then.
    #[must_use]
    pub fn unknown(&self, now: Timestamp) -> Option<Unknown> {
        match self.feed.hearing(now) {
            Hearing::Well | Hearing::Degraded => None,
            Hearing::Unknown(unknown) => Some(unknown),
        }
    }

    /// Whether it hears nothing and goes on all the same.
    #[must_use]
    pub fn is_degraded(&self, now: Timestamp) -> bool {
        match self.feed.hearing(now) {
            Hearing::Degraded => true,
            Hearing::Well | Hearing::Unknown(_) => false,
        }
    }

    /// For how long it has heard nothing, and so how late a change may be known here; none at all where changes are made in this
    /// process. None before the first word.
    #[must_use]
    pub fn silence(&self, now: Timestamp) -> Option<Duration> {
        self.feed.silence(now)
    }

    /// The snapshot has every change that was made until `now`.
    pub fn heard(&self, now: Timestamp) {
        self.feed.heard(now);
    }

    /// What feeds the snapshot has been silent for that long, by a clock that nobody sets back. What `now` says counts too: that
    /// clock may have stood still, as the machine did.
    pub(crate) fn silent_for(&self, span: Duration) {
        self.feed.silent_for(span);
    }

    /// How many revocations there are, those that are over and not yet forgotten included.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.total.load(Ordering::Acquire)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last change that was applied.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    pub(crate) fn applied(&self, position: Position) {
        self.position.fetch_max(position.0, Ordering::AcqRel);
    }

    /// Adds a row, or joins it with the one that is there.
    pub(crate) fn put(&self, target: &Target, row: Row) -> Result<Put, Unknown> {
        let mut stripe = self.stripe(target).ok_or(Unknown::Poisoned)?.write().or(Err(Unknown::Poisoned))?;
        // Before the row: a reader that sees no revocation of a kind looks no further.
        self.count(target.kind).fetch_add(1, Ordering::AcqRel);
        let put = stripe.put(row);
        if put.before.is_none() {
            self.total.fetch_add(1, Ordering::AcqRel);
        } else {
            self.count(target.kind).fetch_sub(1, Ordering::AcqRel);
        }
        drop(stripe);
        self.applied(row.position());
        Ok(put)
    }

    /// How many parts there are that are replaced each on its own.
    pub(crate) const PARTS: usize = STRIPES;

    /// Makes a part hold what it holds elsewhere, but for what came after `lost_after` and was lost there; tells that.
    pub(crate) fn replace(
        &self,
        part: usize,
        rows: Vec<Row>,
        lost_after: Option<Position>,
    ) -> Result<Vec<Row>, Unknown> {
        let lock = self.stripes.get(part).ok_or(Unknown::Poisoned)?;
        let mut stripe = lock.write().or(Err(Unknown::Poisoned))?;
        let kinds = |rows: &[Row]| rows.iter().map(Row::kind_code).collect::<Vec<_>>();
        let (before, coming) = (kinds(stripe.rows()), kinds(&rows));
        // Too high for a moment, never too low: who sees no revocation of a kind looks no further.
        self.recount(&coming, true);
        let lost = stripe.replace(rows, lost_after);
        let after = kinds(stripe.rows());
        self.recount(&after, true);
        drop(stripe);
        self.recount(&coming, false);
        self.recount(&before, false);
        Ok(lost)
    }

    /// Counts each of these kinds, and all of them, up or down.
    fn recount(&self, kinds: &[u8], up: bool) {
        let one = |count: &AtomicU32| {
            if up { count.fetch_add(1, Ordering::AcqRel) } else { count.fetch_sub(1, Ordering::AcqRel) }
        };
        for kind in kinds {
            self.counts.get(usize::from(*kind)).map(one);
            one(&self.total);
        }
    }

    /// As [`Self::applied`], where positions may begin anew: those of another incarnation say nothing here.
    pub(crate) fn applied_anew(&self, position: Position) {
        self.position.store(position.0, Ordering::Release);
    }

    /// The row of this target and form, whether it is over or not.
    pub(crate) fn get(&self, target: &Target, form: u8) -> Option<Row> {
        self.stripe(target)?.read().ok()?.get(target, form).copied()
    }

    /// What holds of `target` at `now`: each form, and the instant from which it holds no more, if there is one.
    ///
    /// # Errors
    /// [`Unknown`], as for [`Self::ask`].
    pub fn standing(
        &self,
        target: &Target,
        now: Timestamp,
    ) -> Result<Vec<(Form, Option<Timestamp>)>, Unknown> {
        if let Some(unknown) = self.unknown(now) {
            return Err(unknown);
        }
        let stripe = self.stripe(target).ok_or(Unknown::Poisoned)?.read().or(Err(Unknown::Poisoned))?;
        let rows = [TOTAL, ISSUED_UNTIL, SUSPENSION].into_iter().filter_map(|form| stripe.get(target, form));
        let holding = rows.filter(|row| !row.is_over(now.as_second()));
        Ok(holding.map(|row| (row.form(), row.until())).collect())
    }

    /// Whether there is anything to be lifted.
    pub(crate) fn has(&self, target: &Target, lift: Lift) -> bool {
        self.stripe(target).is_some_and(|stripe| stripe.read().is_ok_and(|stripe| stripe.has(target, lift)))
    }

    /// Gives a row the position back that it had before.
    pub(crate) fn restamp(&self, target: &Target, before: &Row) {
        if let Some(Ok(mut stripe)) = self.stripe(target).map(RwLock::write) {
            stripe.restamp(before);
        }
    }

    /// Removes what is over where this target would be; tells the positions.
    pub(crate) fn forget_over(&self, target: &Target, now: Timestamp, told: &mut Vec<Position>) {
        if let Some(Ok(mut stripe)) = self.stripe(target).map(RwLock::write) {
            stripe.sweep(now.as_second(), |row| self.gone(row, told));
        }
    }

    /// Removes what is lifted; tells the positions.
    pub(crate) fn lift(&self, target: &Target, lift: Lift, told: &mut Vec<Position>) -> Result<(), Unknown> {
        let mut stripe = self.stripe(target).ok_or(Unknown::Poisoned)?.write().or(Err(Unknown::Poisoned))?;
        stripe.lift(target, lift, Position(u64::MAX), |row| self.gone(row, told));
        Ok(())
    }

    /// As [`Self::lift`], of what was revoked before a position: changes that come from elsewhere may come twice.
    pub(crate) fn lift_before(&self, target: &Target, lift: Lift, before: Position) -> Result<(), Unknown> {
        let mut stripe = self.stripe(target).ok_or(Unknown::Poisoned)?.write().or(Err(Unknown::Poisoned))?;
        stripe.lift(target, lift, before, |row| self.gone(row, &mut Vec::new()));
        Ok(())
    }

    /// What was decided elsewhere: the row stands as it is, unless a later one stands there.
    pub(crate) fn set(&self, target: &Target, row: Row) -> Result<(), Unknown> {
        let mut stripe = self.stripe(target).ok_or(Unknown::Poisoned)?.write().or(Err(Unknown::Poisoned))?;
        // Before the row: a reader that sees no revocation of a kind looks no further.
        self.recount(&[target.kind.code()], true);
        if !stripe.set(row) {
            self.recount(&[target.kind.code()], false);
        }
        Ok(())
    }

    /// Removes what is over in `stripes` parts from the one after `from` on; tells the positions, and where to go on.
    pub(crate) fn sweep(
        &self,
        from: usize,
        stripes: usize,
        now: Timestamp,
        told: &mut Vec<Position>,
    ) -> usize {
        let second = now.as_second();
        for lock in self.stripes.iter().cycle().skip(from).take(stripes.min(STRIPES)) {
            // Readers are disturbed only where there is something to be done.
            if lock.read().is_ok_and(|stripe| stripe.any_over(second))
                && let Ok(mut stripe) = lock.write()
            {
                stripe.sweep(second, |row| self.gone(row, told));
            }
        }
        from.saturating_add(stripes).checked_rem(STRIPES).unwrap_or(0)
    }

    fn gone(&self, row: &Row, told: &mut Vec<Position>) {
        told.push(row.position());
        if let Some(count) = self.counts.get(usize::from(row.kind_code())) {
            count.fetch_sub(1, Ordering::AcqRel);
        }
        self.total.fetch_sub(1, Ordering::AcqRel);
    }

    fn count(&self, kind: RevocationKind) -> &AtomicU32 {
        // A code has four bits; were it otherwise, the sum of all counts too few would only look in vain.
        self.counts.get(usize::from(kind.code())).unwrap_or(&self.total)
    }

    /// The part where a target would be.
    pub(crate) fn part_of(target: &Target) -> usize {
        let [first, second, ..] = target.digest;
        usize::from(u16::from_be_bytes([first, second]) >> 16_u32.saturating_sub(STRIPE_BITS))
    }

    /// The first and the last digest of a part.
    pub(crate) fn digests_of(part: usize) -> ([u8; 16], [u8; 16]) {
        let spare = 16_u32.saturating_sub(STRIPE_BITS);
        let leading = u16::try_from(part).unwrap_or(u16::MAX) << spare;
        let (mut low, mut high) = ([0; 16], [u8::MAX; 16]);
        let last = leading | u16::MAX >> STRIPE_BITS;
        for (digest, leading) in [(&mut low, leading), (&mut high, last)] {
            let [first, second, ..] = digest;
            [*first, *second] = leading.to_be_bytes();
        }
        (low, high)
    }

    /// Always some: the first bits of a digest are the number of a part.
    fn stripe(&self, target: &Target) -> Option<&RwLock<Stripe>> {
        self.stripes.get(Self::part_of(target))
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let rows: usize = self.stripes.iter().map(|stripe| stripe.read().unwrap().bytes()).sum();
        rows + size_of_val(&*self.stripes)
    }
}

#[cfg(test)]
mod tests;

//! Rows of a snapshot: 32 bytes for each revocation, sorted.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::entry::{Form, ISSUED_UNTIL, Lift, Position, Revocation, RevocationKind, SUSPENSION, Target};

/// The end of a row that has none.
const NEVER: u32 = u32::MAX;
/// By how many rows a stripe grows. Little: there are thousands of stripes.
const STEP: usize = 16;
/// How many unused rows a stripe keeps.
const MOST_SPARE: usize = 32;
/// How far a row usually is from where even spread would put it: for 600 rows, the standard deviation is 12.
const NEAR: usize = 16;
/// Bits of the digest that choose the stripe.
pub(crate) const STRIPE_BITS: u32 = 14;

/// One revocation of one form. Times are seconds since 1970, up to the year 2106; what lies beyond either end
/// counts as that end, and an end beyond it as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    digest: [u8; 16],
    until: u32,
    issued_until: u32,
    /// Position, kind and form: 56, 4 and 4 bits.
    tag: u64,
}

impl Row {
    pub(crate) fn of(revocation: &Revocation, position: Position) -> Self {
        let issued_until = match revocation.form {
            Form::IssuedUntil(instant) => second(instant),
            Form::Total | Form::Suspension => 0,
        };
        let sort = sort(revocation.target.kind.code(), revocation.form.code());
        Self {
            digest: revocation.target.digest,
            until: revocation.until.map_or(NEVER, |until| second(up_to_the_second(until))),
            issued_until,
            tag: (position.0.min(Position::MAX) << 8) | u64::from(sort),
        }
    }

    /// From its parts, as another replica has them: codes of kind and form, seconds since 1970.
    pub(crate) fn of_parts(
        target: &Target,
        form: u8,
        until: Option<u32>,
        issued_until: u32,
        position: Position,
    ) -> Self {
        let sort = sort(target.kind.code(), form);
        Self {
            digest: target.digest,
            until: until.unwrap_or(NEVER),
            issued_until,
            tag: (position.0.min(Position::MAX) << 8) | u64::from(sort),
        }
    }

    /// Of what it is; none if its kind is one of a later version.
    pub(crate) fn target(&self) -> Option<Target> {
        Some(Target { kind: RevocationKind::from_code(self.kind_code())?, digest: self.digest })
    }

    pub(crate) const fn position(&self) -> Position {
        Position(self.tag >> 8)
    }

    pub(crate) fn until(&self) -> Option<Timestamp> {
        if self.until == NEVER { None } else { Timestamp::from_second(i64::from(self.until)).ok() }
    }

    pub(crate) fn form(&self) -> Form {
        match self.form_code() {
            ISSUED_UNTIL => Form::IssuedUntil(
                Timestamp::from_second(i64::from(self.issued_until)).unwrap_or(Timestamp::MAX),
            ),
            SUSPENSION => Form::Suspension,
            // Only the three codes are ever stored; whatever else it were, it would stop everything.
            _ => Form::Total,
        }
    }

    /// Where it stands among all rows.
    pub(crate) fn place(&self) -> ([u8; 16], u8) {
        (self.digest, self.sort())
    }

    pub(super) fn kind_code(&self) -> u8 {
        self.sort() >> 4
    }

    fn form_code(&self) -> u8 {
        self.sort() & 0xf
    }

    fn sort(&self) -> u8 {
        let [.., sort] = self.tag.to_be_bytes();
        sort
    }

    pub(super) fn is_over(&self, now: i64) -> bool {
        self.until != NEVER && i64::from(self.until) <= now
    }

    /// Whether it holds at second `now` for what was issued in second `issued`; `None` where that is not known.
    fn stops(&self, issued: Option<i64>, now: i64) -> bool {
        let covered = match self.form_code() {
            ISSUED_UNTIL => issued.is_none_or(|issued| issued <= i64::from(self.issued_until)),
            _ => true,
        };
        covered && !self.is_over(now)
    }

    /// Covers what either of the two covers.
    fn join(&mut self, other: &Self) {
        self.until = self.until.max(other.until);
        self.issued_until = self.issued_until.max(other.issued_until);
        self.tag = self.tag.max(other.tag);
    }

    /// Whether the two differ in their positions only.
    pub(crate) fn covers_the_same_as(&self, other: &Self) -> bool {
        (self.until, self.issued_until) == (other.until, other.issued_until)
    }

    fn order(&self, digest: &[u8; 16], sort: u8) -> Ordering {
        self.digest.cmp(digest).then(self.sort().cmp(&sort))
    }
}

/// What putting a row in did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Put {
    /// What stands there now.
    pub(crate) now: Row,
    /// What stood there before.
    pub(crate) before: Option<Row>,
}

/// The rows of one part of all digests.
///
/// INVARIANT (sorted): by digest, kind and form, none twice.
#[derive(Debug, Default)]
pub(super) struct Stripe {
    rows: Vec<Row>,
}

impl Stripe {
    /// The first row that stops the target. That a total one comes before a suspension keeps an answer stable.
    pub(super) fn find(&self, target: &Target, issued: Option<i64>, now: i64) -> Option<&Row> {
        self.of_target(target).find(|row| row.stops(issued, now))
    }

    /// The row of this very target and form.
    pub(super) fn get(&self, target: &Target, form: u8) -> Option<&Row> {
        let sort = sort(target.kind.code(), form);
        self.rows
            .get(self.place(&target.digest, sort))
            .filter(|row| row.order(&target.digest, sort) == Ordering::Equal)
    }

    pub(super) fn put(&mut self, row: Row) -> Put {
        let place = self.place(&row.digest, row.sort());
        if let Some(found) = self.rows.get_mut(place)
            && found.order(&row.digest, row.sort()) == Ordering::Equal
        {
            let before = *found;
            found.join(&row);
            return Put { now: *found, before: Some(before) };
        }
        if self.rows.len() == self.rows.capacity() {
            self.rows.reserve_exact(STEP);
        }
        self.rows.insert(place, row);
        Put { now: row, before: None }
    }

    /// Holds these rows and no others, but for what came after `lost_after` and is not in them, or is less in them: that
    /// was lost elsewhere. It is kept, and told. `rows` need no order.
    pub(super) fn replace(&mut self, mut rows: Vec<Row>, lost_after: Option<Position>) -> Vec<Row> {
        rows.sort_unstable_by(|one, other| one.order(&other.digest, other.sort()));
        rows.dedup_by(|later, first| {
            let same = later.order(&first.digest, first.sort()) == Ordering::Equal;
            if same {
                first.join(later);
            }
            same
        });
        let mut lost = Vec::new();
        let mut missing = Vec::new();
        for row in self.rows.iter().filter(|row| lost_after.is_some_and(|after| row.position() > after)) {
            match rows.binary_search_by(|other| other.order(&row.digest, row.sort())) {
                Err(_place) => missing.push(*row),
                Ok(place) => {
                    if let Some(found) = rows.get_mut(place) {
                        let before = *found;
                        found.join(row);
                        if !found.covers_the_same_as(&before) {
                            lost.push(*found);
                        }
                    }
                }
            }
        }
        lost.extend(&missing);
        rows.extend(&missing);
        rows.sort_unstable_by(|one, other| one.order(&other.digest, other.sort()));
        rows.shrink_to(rows.len().saturating_add(STEP));
        self.rows = rows;
        lost
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What another process has decided on: the row stands as it is, unless a later one stands there. One at the same position
    /// is the same change, as it was known before.
    pub(super) fn set(&mut self, row: Row) -> bool {
        let place = self.place(&row.digest, row.sort());
        if let Some(found) = self.rows.get_mut(place)
            && found.order(&row.digest, row.sort()) == Ordering::Equal
        {
            if found.position() <= row.position() {
                *found = row;
            }
            return false;
        }
        self.put(row);
        true
    }

    /// Gives the row that stands where `before` stood that one's position.
    pub(super) fn restamp(&mut self, before: &Row) {
        let place = self.place(&before.digest, before.sort());
        if let Some(row) = self.rows.get_mut(place)
            && row.order(&before.digest, before.sort()) == Ordering::Equal
        {
            row.tag = before.tag;
        }
    }

    /// Whether anything is there to be lifted.
    pub(super) fn has(&self, target: &Target, lift: Lift) -> bool {
        self.of_target(target).any(|row| lift.takes(row.form_code()))
    }

    /// Removes what stood before a position and is lifted, and tells each.
    pub(super) fn lift(&mut self, target: &Target, lift: Lift, before: Position, mut told: impl FnMut(&Row)) {
        let kind = target.kind.code();
        self.rows.retain(|row| {
            let goes = row.digest == target.digest
                && row.kind_code() == kind
                && lift.takes(row.form_code())
                && row.position() < before;
            if goes {
                told(row);
            }
            !goes
        });
        self.give_back();
    }

    /// Removes what is over at second `now`, and tells each.
    pub(super) fn sweep(&mut self, now: i64, mut told: impl FnMut(&Row)) {
        self.rows.retain(|row| {
            let over = row.is_over(now);
            if over {
                told(row);
            }
            !over
        });
        self.give_back();
    }

    pub(super) fn any_over(&self, now: i64) -> bool {
        self.rows.iter().any(|row| row.is_over(now))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
    }

    fn of_target(&self, target: &Target) -> impl Iterator<Item = &Row> {
        let kind = target.kind.code();
        let place = self.place(&target.digest, sort(kind, 0));
        let digest = target.digest;
        self.rows.iter().skip(place).take_while(move |row| row.digest == digest && row.kind_code() == kind)
    }

    /// Where this row stands, or would. Digests are spread evenly, so that the place is about known: looking there
    /// first takes two or three lines of memory instead of ten.
    fn place(&self, digest: &[u8; 16], sort: u8) -> usize {
        let before = |row: &Row| row.order(digest, sort) == Ordering::Less;
        let guess = guess(digest, self.rows.len());
        let (low, high) = (guess.saturating_sub(NEAR), guess.saturating_add(NEAR).min(self.rows.len()));
        let in_range = |low: usize, high: usize| {
            low.saturating_add(self.rows.get(low..high).map_or(0, |rows| rows.partition_point(before)))
        };
        if low > 0 && self.rows.get(low.saturating_sub(1)).is_some_and(|row| !before(row)) {
            in_range(0, low)
        } else if self.rows.get(high).is_some_and(before) {
            in_range(high, self.rows.len())
        } else {
            in_range(low, high)
        }
    }

    fn give_back(&mut self) {
        if self.rows.capacity().saturating_sub(self.rows.len()) > MOST_SPARE {
            self.rows.shrink_to(self.rows.len().saturating_add(STEP));
        }
    }
}

/// Where even spread would put this digest among `rows`.
fn guess(digest: &[u8; 16], rows: usize) -> usize {
    let leading = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let part = (leading << STRIPE_BITS) >> 32;
    let rows = u64::try_from(rows).unwrap_or(0);
    usize::try_from(part.saturating_mul(rows) >> 32).unwrap_or(0)
}

const fn sort(kind: u8, form: u8) -> u8 {
    (kind << 4) | (form & 0xf)
}

/// A whole second as a row has it.
fn second(instant: Timestamp) -> u32 {
    u32::try_from(instant.as_second().max(0)).unwrap_or(u32::MAX)
}

pub(crate) fn up_to_the_second(instant: Timestamp) -> Timestamp {
    let whole = instant.as_second();
    // Seconds are cut towards zero, which before 1970 is up already.
    let up = if instant.subsec_nanosecond() > 0 { whole.saturating_add(1) } else { whole };
    Timestamp::from_second(up).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;

//! The one who changes the snapshot and the file: a thread that takes orders.

use std::io::ErrorKind;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::compaction::{Compaction, stands};
use super::entry::{InForce, Lift, Note, Position, Revocation, Target};
use super::journal::{Journal, Record};
use super::memory::Memory;
use super::rows::Row;
use super::snapshot::Snapshot;
use super::{Page, RevocationError, RevocationLimits};

/// Changes that are synced together.
const BATCH: usize = 256;
/// Records that a page is looked for in.
const LOOKED_AT: usize = 4_096;
/// Parts of the snapshot that are swept at once: all of them in 64 times.
const SWEPT: usize = 256;

/// Who waits for what comes of an order.
pub(super) type Done<T> = oneshot::Sender<Result<T, RevocationError>>;

/// What a change came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    pub(super) position: Position,
    pub(super) changed: bool,
}

/// What the keeper is asked to do, in the order of asking.
#[derive(Debug)]
pub(super) enum Order {
    Revoke(Revocation, Timestamp, Done<Made>),
    Lift(Target, Lift, Note, Done<Made>),
    List(Position, NonZeroU16, Timestamp, Done<Page>),
    Tend(Timestamp, Done<()>),
}

/// What is wrong, for those who look from outside.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Troubles {
    pub(super) broken: Option<ErrorKind>,
    pub(super) not_compacted: Option<ErrorKind>,
}

#[derive(Debug)]
pub(super) enum Kept {
    InMemory(Memory),
    InFile(Box<Journal>),
}

#[derive(Debug)]
pub(super) struct Keeper {
    snapshot: Arc<Snapshot>,
    limits: RevocationLimits,
    kept: Kept,
    position: Position,
    swept: usize,
    compaction: Option<Compaction>,
    /// How many records the file has to have before compaction is tried again.
    compact_from: u64,
    troubles: Arc<Mutex<Troubles>>,
}

/// A revocation whose row is there and whose record is not yet.
struct Begun {
    record: Record,
    before: Option<Row>,
    changed: Made,
    done: Done<Made>,
}

impl Keeper {
    pub(super) fn new(
        snapshot: Arc<Snapshot>,
        limits: RevocationLimits,
        kept: Kept,
        position: Position,
        troubles: Arc<Mutex<Troubles>>,
    ) -> Self {
        Self { snapshot, limits, kept, position, swept: 0, compaction: None, compact_from: 0, troubles }
    }

    /// Follows orders until nobody is left to give any.
    pub(super) fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        loop {
            let next = if self.compaction.is_some() {
                match orders.try_recv() {
                    Ok(order) => Some(order),
                    Err(mpsc::error::TryRecvError::Empty) => {
                        self.compact();
                        continue;
                    }
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            } else {
                orders.blocking_recv()
            };
            let Some(order) = next else { return };
            self.follow(order, &mut orders);
            self.consider_compaction();
        }
    }

    fn follow(&mut self, order: Order, orders: &mut mpsc::Receiver<Order>) {
        let mut next = Some(order);
        let mut begun = Vec::new();
        while let Some(order) = next.take() {
            match order {
                Order::Revoke(revocation, now, done) => {
                    match self.begin(revocation, now) {
                        Ok((record, before, changed)) => begun.push(Begun { record, before, changed, done }),
                        Err(error) => answer(done, Err(error)),
                    }
                    if begun.len() < BATCH {
                        next = orders.try_recv().ok();
                    }
                }
                // Whatever else comes sees all that was ordered before.
                Order::Lift(target, lift, note, done) => {
                    self.keep(std::mem::take(&mut begun));
                    let lifted = self.lift(target, lift, note);
                    answer(done, lifted);
                }
                Order::List(after, limit, now, done) => {
                    self.keep(std::mem::take(&mut begun));
                    answer(done, self.list(after, limit, now));
                }
                Order::Tend(now, done) => {
                    self.keep(std::mem::take(&mut begun));
                    self.sweep(SWEPT, now);
                    answer(done, Ok(()));
                }
            }
        }
        self.keep(begun);
        self.tell_troubles();
    }

    /// Makes it hold. Its record follows: what is stopped is stopped at once, whatever the disk does.
    fn begin(
        &mut self,
        mut revocation: Revocation,
        now: Timestamp,
    ) -> Result<(Record, Option<Row>, Made), RevocationError> {
        let form = revocation.form.code();
        let mut gone = Vec::new();
        // What is over must not lend its end to what comes.
        self.snapshot.forget_over(&revocation.target, now, &mut gone);
        self.forget(&gone);
        if self.snapshot.get(&revocation.target, form).is_none()
            && self.snapshot.len() >= self.limits.max_revocations.get()
        {
            return Err(RevocationError::Full);
        }
        let position = self.position.next();
        let row = Row::of(&revocation, position);
        let put = self.snapshot.put(&revocation.target, row).or(Err(RevocationError::Closed))?;
        self.position = position;
        (revocation.until, revocation.form) = (put.now.until(), put.now.form());
        let changed = put.before.is_none_or(|before| !before.covers_the_same_as(&put.now));
        let record = Record::Revoked(InForce { position, revocation });
        Ok((record, put.before, Made { position, changed }))
    }

    /// Writes what was begun, then tells who waits.
    fn keep(&mut self, begun: Vec<Begun>) {
        if begun.is_empty() {
            return;
        }
        let mut records = Vec::with_capacity(begun.len());
        let mut waiting = Vec::with_capacity(begun.len());
        for Begun { record, before, changed, done } in begun {
            waiting.push((record.position(), before, changed, done));
            records.push(record);
        }
        let outcome = match &mut self.kept {
            Kept::InMemory(memory) => {
                let replaced: Vec<_> =
                    waiting.iter().filter_map(|(_, before, ..)| before.map(|row| row.position())).collect();
                for record in records {
                    if let Record::Revoked(standing) = record {
                        memory.keep(standing);
                    }
                }
                memory.forget(&replaced);
                Ok(())
            }
            Kept::InFile(journal) => journal.append(&records).inspect_err(|_| {
                // The row that stood there before has its record still, which a compaction must find.
                for (record, (_, before, ..)) in records.iter().zip(&waiting).rev() {
                    if let (Record::Revoked(standing), Some(before)) = (record, before) {
                        self.snapshot.restamp(&standing.revocation.target, before);
                    }
                }
            }),
        };
        for (_, _, changed, done) in waiting {
            answer(done, outcome.map(|()| changed).map_err(RevocationError::NotKept));
        }
    }

    /// Writes that it is lifted, then lifts it.
    fn lift(&mut self, target: Target, lift: Lift, note: Note) -> Result<Made, RevocationError> {
        if !self.snapshot.has(&target, lift) {
            return Ok(Made { position: self.position, changed: false });
        }
        let position = self.position.next();
        if let Kept::InFile(journal) = &mut self.kept {
            journal
                .append(&[Record::Lifted { position, target, lift, note }])
                .map_err(RevocationError::NotKept)?;
        }
        self.position = position;
        let mut gone = Vec::new();
        self.snapshot.lift(&target, lift, &mut gone).or(Err(RevocationError::Closed))?;
        self.snapshot.applied(position);
        self.forget(&gone);
        Ok(Made { position, changed: true })
    }

    fn list(&self, after: Position, limit: NonZeroU16, now: Timestamp) -> Result<Page, RevocationError> {
        let limit = usize::from(limit.get());
        let holds = |standing: &InForce| {
            standing.position > after
                && standing.revocation.until.is_none_or(|until| now < until)
                && stands(standing.position, &standing.revocation, &self.snapshot)
        };
        match &self.kept {
            Kept::InMemory(memory) => {
                let seen = memory.after(after).take(LOOKED_AT);
                let mut page = Page { standing: Vec::new(), next: None };
                let mut count: usize = 0;
                for standing in seen {
                    count = count.saturating_add(1);
                    let position = standing.position;
                    if holds(&standing) {
                        page.standing.push(standing);
                    }
                    if page.standing.len() >= limit || count >= LOOKED_AT {
                        page.next = Some(position);
                        break;
                    }
                }
                Ok(page)
            }
            Kept::InFile(journal) => {
                list_file(journal, after, limit, holds).map_err(RevocationError::Unreadable)
            }
        }
    }

    fn sweep(&mut self, stripes: usize, now: Timestamp) {
        let mut gone = Vec::new();
        self.swept = self.snapshot.sweep(self.swept, stripes, now, &mut gone);
        self.forget(&gone);
    }

    fn forget(&mut self, positions: &[Position]) {
        match &mut self.kept {
            Kept::InMemory(memory) => memory.forget(positions),
            Kept::InFile(_) => {}
        }
    }

    fn consider_compaction(&mut self) {
        let Kept::InFile(journal) = &self.kept else { return };
        let standing = u64::from(self.snapshot.len());
        let over = journal.records().saturating_sub(standing);
        let due = over > u64::from(self.limits.compact_after) && over > standing;
        if self.compaction.is_some()
            || !due
            || journal.records() < self.compact_from
            || journal.broken().is_some()
        {
            return;
        }
        match Compaction::begin(journal, self.position) {
            Ok(compaction) => self.compaction = Some(compaction),
            Err(error) => self.compaction_failed(error),
        }
    }

    /// Goes on with the compaction by a slice.
    fn compact(&mut self) {
        let Kept::InFile(journal) = &mut self.kept else { return };
        let Some(mut compaction) = self.compaction.take() else { return };
        let outcome = match compaction.go_on(journal, &self.snapshot) {
            Ok(false) => {
                self.compaction = Some(compaction);
                return;
            }
            // Nothing is ordered in between: the old file cannot have grown.
            Ok(true) => compaction.finish(journal),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => {
                self.compact_from = 0;
                self.set_troubles(|troubles| troubles.not_compacted = None);
            }
            Err(error) => self.compaction_failed(error),
        }
        self.tell_troubles();
    }

    /// It is tried again when the file has grown by as much as makes one due.
    fn compaction_failed(&mut self, error: ErrorKind) {
        if let Kept::InFile(journal) = &self.kept {
            self.compact_from = journal.records().saturating_add(u64::from(self.limits.compact_after));
        }
        self.set_troubles(|troubles| troubles.not_compacted = Some(error));
    }

    fn tell_troubles(&self) {
        if let Kept::InFile(journal) = &self.kept {
            let broken = journal.broken();
            self.set_troubles(|troubles| troubles.broken = broken);
        }
    }

    fn set_troubles(&self, change: impl FnOnce(&mut Troubles)) {
        if let Ok(mut troubles) = self.troubles.lock() {
            change(&mut troubles);
        }
    }
}

fn list_file(
    journal: &Journal,
    after: Position,
    limit: usize,
    holds: impl Fn(&InForce) -> bool,
) -> Result<Page, ErrorKind> {
    let mut page = Page { standing: Vec::new(), next: None };
    let mut place = journal.place_after(after);
    let mut seen: usize = 0;
    while let Some((records, next)) = journal.read(place)? {
        for record in records {
            let position = record.position();
            if let Record::Revoked(standing) = record
                && holds(&standing)
            {
                page.standing.push(standing);
            }
            if position > after {
                seen = seen.saturating_add(1);
            }
            if page.standing.len() >= limit || seen >= LOOKED_AT {
                page.next = Some(position.max(after));
                return Ok(page);
            }
        }
        place = next;
    }
    Ok(page)
}

/// A caller that gave up is told nothing; what it ordered was done.
fn answer<T>(done: Done<T>, outcome: Result<T, RevocationError>) {
    drop(done.send(outcome));
}

//! Writing the file anew without what is over, a slice at a time, between changes.

use std::io::ErrorKind;

use super::entry::Position;
use super::journal::{Journal, Record, Written};
use super::snapshot::Snapshot;

/// Records that are looked at in one slice: a change waits for one slice at most, about a millisecond.
const SLICE: usize = 2_048;
/// Records of one frame of the new file.
const FRAME: usize = 512;

/// A new file that is being written. Changes go on being appended to the old file, and are copied in their turn.
#[derive(Debug)]
pub(super) struct Compaction {
    written: Written,
    /// Where in the old file to go on.
    place: u64,
    /// What was lifted after this is copied, since what it lifts may have been.
    began: Position,
}

impl Compaction {
    pub(super) fn begin(journal: &Journal, began: Position) -> Result<Self, ErrorKind> {
        let failed = |error: std::io::Error| error.kind();
        let mut written = journal.begin_anew().map_err(failed)?;
        journal.append_to(&mut written, &[Record::Base(began)]).map_err(failed)?;
        Ok(Self { written, place: journal.place_after(Position::default()), began })
    }

    /// Copies the next slice; true when there was nothing more to copy.
    pub(super) fn go_on(&mut self, journal: &Journal, snapshot: &Snapshot) -> Result<bool, ErrorKind> {
        let mut kept = Vec::new();
        let mut seen: usize = 0;
        while seen < SLICE {
            let Some((records, next)) = journal.read(self.place)? else {
                self.write(journal, &mut kept)?;
                return Ok(true);
            };
            self.place = next;
            seen = seen.saturating_add(records.len().max(1));
            kept.extend(records.into_iter().filter(|record| self.keeps(record, snapshot)));
            if kept.len() >= FRAME {
                self.write(journal, &mut kept)?;
            }
        }
        self.write(journal, &mut kept)?;
        Ok(false)
    }

    pub(super) fn finish(self, journal: &mut Journal) -> Result<(), ErrorKind> {
        journal.replace(self.written)
    }

    fn keeps(&self, record: &Record, snapshot: &Snapshot) -> bool {
        match record {
            Record::Base(_) => false,
            Record::Revoked(standing) => stands(standing.position, &standing.revocation, snapshot),
            Record::Lifted { position, .. } => *position > self.began,
        }
    }

    fn write(&mut self, journal: &Journal, kept: &mut Vec<Record>) -> Result<(), ErrorKind> {
        let written = journal.append_to(&mut self.written, kept).map_err(|error| error.kind());
        kept.clear();
        written
    }
}

/// Whether the snapshot has this very revocation, so that no later one took its place.
pub(super) fn stands(position: Position, revocation: &super::entry::Revocation, snapshot: &Snapshot) -> bool {
    snapshot.get(&revocation.target, revocation.form.code()).is_some_and(|row| row.position() == position)
}

//! Issue 4, point 4: quotas survive a restart; a crash forgets at most what was not kept yet.

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::admission::Scope;
use crate::embedded::{EmbeddedStore, QuotasFound};
use crate::folder::StateFolder;
use crate::limit::{Charge, ChargeOutcome, Limit, Period, Quota, micros};
use crate::replay::ReplayLimits;

const SCOPE: Scope = Scope([3; 16]);

fn noon() -> Timestamp {
    "2026-11-30T12:00:00Z".parse().unwrap()
}

fn open(path: &Path, now: Timestamp) -> (EmbeddedStore, QuotasFound) {
    let folder = Arc::new(StateFolder::open(path).unwrap());
    EmbeddedStore::new(ReplayLimits::default(), now).unwrap().with_quotas_in(folder, now).unwrap()
}

fn quota(n: u8, units: u64) -> Charge {
    let limit = Limit::Quota(Quota::new(units.try_into().unwrap(), Period::Day).unwrap());
    Charge { key: LimitKey([n; 16]), limit, cost: NonZeroU32::MIN }
}

/// What is left, or nothing if there was no room.
fn charge(store: &EmbeddedStore, charge: Charge, now: Timestamp) -> Option<u64> {
    match store.limits.charge(SCOPE, &[charge], micros(now)).unwrap() {
        ChargeOutcome::Charged(charged) => Some(charged.standings()[0].remaining),
        ChargeOutcome::Limited(_) => None,
        other @ (ChargeOutcome::NoRoom | ChargeOutcome::NotReached) => panic!("{other:?}"),
    }
}

#[test]
fn quotas_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, found) = open(folder.path(), noon());
    assert_eq!(found, QuotasFound::default());
    for left in [2, 1, 0] {
        assert_eq!(charge(&store, quota(1, 3), noon()), Some(left));
    }
    assert_eq!(charge(&store, quota(2, 3), noon()), Some(2));
    store.keep_quotas().unwrap();
    // Charged and given back, then killed before it was kept: the last that was kept counts.
    assert_eq!(charge(&store, quota(2, 3), noon()), Some(1));
    drop(store);

    let (store, found) = open(folder.path(), noon());
    assert_eq!(found, QuotasFound { quotas: 2, unreadable: 0 });
    assert_eq!(charge(&store, quota(1, 3), noon()), None, "what was used stays used");
    assert_eq!(charge(&store, quota(2, 3), noon()), Some(1), "what was not kept yet is forgotten");
    drop(store);

    let tomorrow = noon() + SignedDuration::from_hours(13);
    let (store, found) = open(folder.path(), tomorrow);
    assert_eq!(found, QuotasFound::default(), "the day is over");
    assert_eq!(charge(&store, quota(1, 3), tomorrow), Some(2));
}

/// Cut anywhere, or changed anywhere, the file costs the record that is there and no other.
#[test]
fn a_record_that_cannot_be_read_takes_no_other_along() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), noon());
    for n in 0..4 {
        charge(&store, quota(n, 9), noon());
        store.keep_quotas().unwrap();
    }
    drop(store);
    let path = folder.path().join(NAME);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(whole.len(), HEADER.len() + 4 * RECORD);
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let mut found = Vec::new();
        QuotaFile::read(folder.path(), |quota| found.push(quota.key.0[0]))
            .map(|unreadable| (found, unreadable))
    };
    for end in HEADER.len()..whole.len() {
        let kept = (end - HEADER.len()) / RECORD;
        let torn = usize::from(!(end - HEADER.len()).is_multiple_of(RECORD));
        let (found, unreadable) = read(&whole[..end]).unwrap();
        assert_eq!((found.len(), unreadable), (kept, torn), "{end}");
    }
    for at in HEADER.len()..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        let (found, unreadable) = read(&changed).unwrap();
        assert_eq!((found.len(), unreadable), (3, 1), "{at}");
    }
    for at in 0..HEADER.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert_eq!(read(&changed), Err(QuotaFileError::Foreign(path.clone())), "{at}");
    }
    assert_eq!(read(&[]), Err(QuotaFileError::Foreign(path.clone())));
    let zeros = [&whole[..], &[0; RECORD]].concat();
    assert_eq!(read(&zeros).unwrap().1, 1);
}

/// A file that has many records more than there are quotas is written anew, and loses nothing.
#[test]
fn a_long_file_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), noon());
    charge(&store, quota(1, 1_000_000), noon());
    store.keep_quotas().unwrap();
    store.quotas.as_ref().unwrap().file.lock().unwrap().records = SPARE + 3;
    charge(&store, quota(1, 1_000_000), noon());
    store.keep_quotas().unwrap();
    let length = std::fs::metadata(folder.path().join(NAME)).unwrap().len();
    assert_eq!(length, u64::try_from(HEADER.len() + RECORD).unwrap());
    charge(&store, quota(1, 1_000_000), noon());
    store.keep_quotas().unwrap();
    drop(store);
    let (store, _) = open(folder.path(), noon());
    assert_eq!(charge(&store, quota(1, 1_000_000), noon()), Some(1_000_000 - 4));
}

/// What could not be written is written the next time.
#[test]
fn a_disk_that_fails_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path(), noon());
    charge(&store, quota(1, 9), noon());
    let path = folder.path().join(NAME);
    let kept = &store.quotas.as_ref().unwrap().file;
    let whole = std::mem::replace(&mut kept.lock().unwrap().file, File::open(&path).unwrap());
    assert!(matches!(store.keep_quotas(), Err(QuotaFileError::Io { .. })), "it is open for reading only");
    kept.lock().unwrap().file = whole;
    store.keep_quotas().unwrap();
    drop(store);
    let (store, _) = open(folder.path(), noon());
    assert_eq!(charge(&store, quota(1, 9), noon()), Some(7));
}

use std::path::Path;

use jiff::SignedDuration;

use super::super::entry::{Attribute, RiskLevel};
use super::*;
use crate::contract;
use crate::disk::Fuse;
use crate::revocation::{Note, RevocationKind, Target};

fn start() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn open(path: &Path, fuse: Fuse) -> Result<EmbeddedAttributes, AttributeOpenError> {
    let folder = Arc::new(StateFolder::open(path).unwrap());
    EmbeddedAttributes::open_on(Disk { fuse }, Some(folder), 100_000)
}

fn event(n: u16, level: RiskLevel, seconds: i64) -> SubjectAttribute {
    let [high, low] = n.to_be_bytes();
    let subject =
        Target { kind: RevocationKind::User, digest: [[high, low]; 8].concat().try_into().unwrap() };
    let note = Note::new("corp:a".to_owned(), "r".to_owned(), "corp".to_owned(), start()).unwrap();
    let at = start() + SignedDuration::from_secs(seconds);
    let times = (at, at + SignedDuration::from_hours(1));
    SubjectAttribute::new(subject, Attribute::Risk(level), times, note).unwrap()
}

fn in_force(store: &EmbeddedAttributes) -> Vec<SubjectAttribute> {
    store.list(None, NonZeroU16::MAX, start()).unwrap()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let checked = contract::attributes::check(start(), async |most| {
        EmbeddedAttributes::open(None, most).or(Err(AttributeError::Closed))
    });
    assert_eq!(checked.await, Ok(()));
    let folders = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    let checked = contract::attributes::check(start(), async |most| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Arc::new(StateFolder::open(&folders.path().join(number.to_string())).unwrap());
        EmbeddedAttributes::open(Some(folder), most).or(Err(AttributeError::Closed))
    });
    assert_eq!(checked.await, Ok(()));
}

/// C-09: whenever the process ends, what was answered is there again, and what was not is as before or as told.
#[tokio::test]
async fn a_process_that_ends_at_any_step_loses_nothing_answered() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let fuse = Fuse::of(steps);
        let Ok(store) = open(&path, fuse.clone()) else {
            assert!(fuse.blown());
            assert!(in_force(&open(&path, Fuse::default()).unwrap()).is_empty(), "{steps}");
            continue;
        };
        let mut answered = 0;
        let events =
            [event(1, RiskLevel::Low, 0), event(2, RiskLevel::High, 0), event(1, RiskLevel::High, 1)];
        for told in &events {
            match store.set(told, start()).await {
                Ok(_) => assert!(!fuse.blown(), "{steps}: it is on the disk"),
                Err(error) => {
                    assert!(matches!(error, AttributeError::NotKept(_)), "{error}");
                    break;
                }
            }
            answered += 1;
        }
        let known = in_force(&store);
        drop(store);
        let found = in_force(&open(&path, Fuse::default()).unwrap());
        let and_next: Vec<_> = events[..(answered + 1).min(3)].to_vec();
        let others = EmbeddedAttributes::open(None, 9).unwrap();
        for told in &and_next {
            others.set(told, start()).await.unwrap();
        }
        assert!(found == known || found == in_force(&others), "{steps}: {found:?}");
        if !fuse.blown() {
            assert!(steps > 8, "{steps}");
            break;
        }
    }
}

/// A disk that is full for a moment leaves no half line that what comes next would stand behind.
#[tokio::test]
async fn after_a_failure_the_file_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    drop(open(&path, Fuse::default()).unwrap());
    for steps in [1, 2] {
        let store = open(&path, Fuse::once(steps)).unwrap();
        let n = u16::try_from(steps).unwrap();
        let refused = store.set(&event(n, RiskLevel::High, 0), start()).await;
        assert_eq!(refused, Err(AttributeError::NotKept(std::io::ErrorKind::StorageFull)));
        assert!(store.set(&event(n, RiskLevel::High, 0), start()).await.unwrap().changed);
        drop(store);
        assert_eq!(in_force(&open(&path, Fuse::default()).unwrap()).len(), steps);
    }
}

#[tokio::test]
async fn a_torn_end_is_cut_and_damage_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path, Fuse::default()).unwrap();
    for n in [1, 2] {
        store.set(&event(n, RiskLevel::High, 0), start()).await.unwrap();
    }
    drop(store);
    let file = path.join("attributes");
    let good = std::fs::read(&file).unwrap();
    let ends: Vec<_> = good.iter().zip(1..).filter(|(byte, _)| **byte == b'\n').map(|(_, end)| end).collect();
    for (cut, left) in [(good.len() - 1, 1), (ends[1] + 3, 1), (ends[1], 1), (ends[1] - 1, 0), (ends[0], 0)] {
        std::fs::write(&file, &good[..cut]).unwrap();
        assert_eq!(in_force(&open(&path, Fuse::default()).unwrap()).len(), left, "{cut}");
        let kept = std::fs::read(&file).unwrap();
        assert!(kept.ends_with(b"\n") && good.starts_with(&kept), "{cut}");
    }
    let damaged = |line| AttributeOpenError::Damaged { file: file.clone(), line };
    for (at, line) in [(3, 1), (ends[0] + 3, 2), (ends[1] - 8, 2)] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        assert_eq!(open(&path, Fuse::default()).unwrap_err(), damaged(line), "{at}");
    }
    std::fs::write(&file, b"").unwrap();
    assert_eq!(open(&path, Fuse::default()).unwrap_err(), damaged(1));
    std::fs::write(&file, &good).unwrap();
    assert_eq!(in_force(&open(&path, Fuse::default()).unwrap()).len(), 2);
}

#[tokio::test]
async fn what_is_over_is_written_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path, Fuse::default()).unwrap();
    // Appended without a sync each: the lines are what counts.
    let first = event(1, RiskLevel::High, 0);
    store.set(&first, start()).await.unwrap();
    drop(store);
    let file = path.join("attributes");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().nth(1).unwrap();
    let many = format!("{}{}", text, format!("{line}\n").repeat(10_001));
    std::fs::write(&file, &many).unwrap();
    let store = open(&path, Fuse::default()).unwrap();
    store.set(&event(2, RiskLevel::Low, 0), start()).await.unwrap();
    let known = in_force(&store);
    drop(store);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
    assert_eq!(in_force(&open(&path, Fuse::default()).unwrap()), known);
}

use std::num::NonZeroU32;
use std::path::Path;

use jiff::SignedDuration;

use super::super::entry::Whose;
use super::*;
use crate::contract;
use crate::disk::Fuse;
use crate::limit::{Limit, Rate, RatePer};

fn start() -> Timestamp {
    Timestamp::from_millisecond(1_790_000_000_250).unwrap()
}

fn open(path: &Path, fuse: Fuse) -> Result<EmbeddedOverrides, OverrideOpenError> {
    let folder = Arc::new(StateFolder::open(path).unwrap());
    EmbeddedOverrides::open_on(Disk { fuse }, Some(folder), 100)
}

fn place(n: u8) -> OverridePlace {
    OverridePlace::new("rate", Whose::Tenant(format!("t{n}"))).unwrap()
}

fn note() -> Note {
    Note::new("t".to_owned(), "r".to_owned(), "local:0".to_owned(), start()).unwrap()
}

fn order(n: u8, count: u32) -> LimitOverride {
    let count = NonZeroU32::new(count).unwrap();
    let figure = Limit::Rate(Rate::new(count, RatePer::Second, count).unwrap());
    LimitOverride { place: place(n), figure, until: None, note: note() }
}

fn standing(store: &EmbeddedOverrides) -> Vec<(String, Limit)> {
    let found = store.list(None, NonZeroU16::MAX, start()).unwrap();
    found.into_iter().map(|found| (found.place.to_string(), found.figure)).collect()
}

#[tokio::test]
async fn it_keeps_the_contract() {
    let checked = contract::overrides::check(start(), async |most| {
        EmbeddedOverrides::open(None, most).or(Err(OverrideError::Closed))
    });
    assert_eq!(checked.await, Ok(()));
    let folders = tempfile::tempdir().unwrap();
    let next = std::sync::atomic::AtomicU32::new(0);
    let checked = contract::overrides::check(start(), async |most| {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = Arc::new(StateFolder::open(&folders.path().join(number.to_string())).unwrap());
        EmbeddedOverrides::open(Some(folder), most).or(Err(OverrideError::Closed))
    });
    assert_eq!(checked.await, Ok(()));
}

/// C-09: whenever the process ends, what was answered is there again, and what was not is as before or as ordered.
#[tokio::test]
async fn a_process_that_ends_at_any_step_loses_nothing_answered() {
    for steps in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let fuse = Fuse::of(steps);
        let store = open(&path, fuse.clone()).unwrap();
        let mut answered = Vec::new();
        let mut last = Vec::new();
        for (n, count) in [(1, 1), (2, 2), (1, 3)] {
            let outcome = store.set(&order(n, count), start()).await;
            last = answered.clone();
            let (name, figure) = (place(n).to_string(), order(n, count).figure);
            last.retain(|(other, _)| *other != name);
            last.push((name, figure));
            last.sort_by(|one, other| one.0.cmp(&other.0));
            match outcome {
                Ok(_) => {
                    assert!(!fuse.blown(), "{steps}: it is on the disk, and so is its name");
                    answered.clone_from(&last);
                }
                Err(error) => {
                    assert!(matches!(error, OverrideError::NotKept(_)), "{error}");
                    assert_eq!(standing(&store), answered, "what is not kept is not in force");
                    break;
                }
            }
        }
        drop(store);
        let found = standing(&open(&path, Fuse::default()).unwrap());
        assert!(found == answered || found == last, "{steps}: {found:?}");
        if !fuse.blown() {
            assert!(steps > 12, "{steps}");
            break;
        }
    }
}

#[tokio::test]
async fn a_damaged_file_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path, Fuse::default()).unwrap();
    store.set(&order(1, 1), start()).await.unwrap();
    store.set(&order(2, 2), start()).await.unwrap();
    drop(store);
    let file = path.join("limits");
    let good = std::fs::read(&file).unwrap();
    let damaged = |line| Err(OverrideOpenError::Damaged { file: file.clone(), line });
    let second = good.len() - 1 - good.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap();
    for (cut, line) in [(5, 1), (25, 2), (second, 3), (good.len() - 1, 3), (good.len() - 5, 3)] {
        std::fs::write(&file, &good[..cut]).unwrap();
        assert_eq!(open(&path, Fuse::default()).map(|_| ()), damaged(line), "{cut}");
    }
    std::fs::write(&file, &good).unwrap();
    assert_eq!(standing(&open(&path, Fuse::default()).unwrap()).len(), 2);
}

#[tokio::test]
async fn what_is_over_leaves_its_room() {
    let store = EmbeddedOverrides::open(None, 2).unwrap();
    let soon = start() + SignedDuration::from_secs(1);
    store.set(&LimitOverride { until: Some(soon), ..order(1, 1) }, start()).await.unwrap();
    store.set(&order(2, 2), start()).await.unwrap();
    let later = start() + SignedDuration::from_hours(25);
    assert_eq!(
        store.set(&order(3, 3), later).await,
        Err(OverrideError::Full),
        "it is remembered for a while"
    );
    let later = later + SignedDuration::from_secs(2);
    assert_eq!(store.set(&order(3, 3), later).await, Ok(Overridden { changed: true }));
}

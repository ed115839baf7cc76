//! The chain of what a recorder has written: it survives a full disk, other files, and being told to sum up.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::chain::Link;
use crate::key::PublicKeys;
use crate::key::tests::{ed25519, p256, public};
use crate::testing::{at, verified};
use crate::verify::{Report, Why};

/// A clock that a test moves, in seconds.
#[derive(Clone, Default)]
struct Time(Arc<AtomicI64>);

impl Time {
    fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn sealing(&self, key: Option<SigningKey>) -> Sealing {
        let (time, checkpoints) = (Arc::clone(&self.0), Checkpoints { key, ..Checkpoints::default() });
        Sealing { checkpoints, clock: Arc::new(move || at(time.load(Ordering::Relaxed))) }
    }
}

fn whole(keys: Option<&PublicKeys>, paths: &[&Path]) -> Report {
    let files: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let report = verified(keys, &files.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    assert_eq!(report.unvouched, []);
    report
}

#[tokio::test]
async fn what_a_recorder_has_closed_is_whole() {
    for mode in [Mode::BestEffort, Mode::Required] {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (path(&folder), ed25519("k"));
        let keys = public(&key);
        for _ in 0..2 {
            let sealing = Time::default().sealing(Some(key.clone()));
            let recorder = Recorder::open(&path, mode, QUEUE, sealing).unwrap();
            for n in 0..5 {
                recorder.record(&record(n)).await.unwrap();
            }
            recorder.close().await.unwrap();
            let Progress { written, commits: _, checkpoint } = recorder.progress();
            let head = checkpoint.unwrap();
            assert_eq!((written, head.link.seq, head.signed), (7, 7, true));
            assert_eq!(whole(Some(&keys), &[&path]).head, Some(head.link));
        }
        assert_eq!(whole(Some(&keys), &[&path]).runs, 2);
    }
}

#[tokio::test]
async fn rotation_goes_on_in_the_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, old) = (path(&folder), ed25519("k"), folder.path().join("old"));
    let keys = public(&key);
    let recorder =
        Recorder::open(&path, Mode::BestEffort, QUEUE, Time::default().sealing(Some(key))).unwrap();
    recorder.record(&record(0)).await.unwrap();
    std::fs::rename(&path, &old).unwrap();
    recorder.reopen().await.unwrap();
    recorder.record(&record(1)).await.unwrap();
    // Back to a file that has a chain: as another run.
    let new = folder.path().join("new");
    std::fs::rename(&path, &new).unwrap();
    let earlier = std::fs::read(&old).unwrap();
    std::fs::rename(&old, &path).unwrap();
    recorder.reopen().await.unwrap();
    recorder.record(&record(2)).await.unwrap();
    recorder.close().await.unwrap();
    std::fs::write(&old, &earlier).unwrap();
    let report = whole(Some(&keys), &[&old, &new]);
    assert_eq!(report.runs, 1, "its run was closed");
    assert!(std::fs::read(&path).unwrap().starts_with(&earlier));
    let report = verified(Some(&keys), &[&std::fs::read(&path).unwrap()]).unwrap();
    assert_eq!(report.unvouched.iter().map(|one| one.why).collect::<Vec<_>>(), [Why::FileMissing]);
}

/// What signed the checkpoints of a file, in their order.
fn signers(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter_map(|line| line["checkpoint"]["kid"].as_str().map(str::to_owned)).collect()
}

/// C-16: each key sums up what was written while it was in use. Whoever has both finds the file whole, whoever has one does not.
#[tokio::test]
async fn a_key_is_replaced_while_the_recorder_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (path, first, second) = (path(&folder), ed25519("first"), p256("second"));
    let sealing = Time::default().sealing(Some(first.clone()));
    let recorder = Recorder::open(&path, Mode::BestEffort, QUEUE, sealing).unwrap();
    recorder.record(&record(0)).await.unwrap();
    recorder.sign_with(second.clone()).unwrap().wait().await.unwrap();
    assert_eq!(signers(&path), ["first"]);
    // Nothing was written since, so that there is nothing to sum up.
    recorder.sign_with(second.clone()).unwrap().wait().await.unwrap();
    recorder.record(&record(1)).await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(signers(&path), ["first", "second"]);
    let both = PublicKeys::of(&second, Some(public(&first))).unwrap();
    assert!(both.has(&first) && both.has(&second));
    assert_eq!(whole(Some(&both), &[&path]).runs, 1);
    for (one, other) in [(&first, &second), (&second, &first)] {
        assert!(!public(one).has(other));
        assert!(verified(Some(&public(one)), &[&std::fs::read(&path).unwrap()]).is_err());
    }
}

/// What a full disk did not take of the key before, the next one sums up.
#[tokio::test]
async fn a_key_is_replaced_while_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let (path, second) = (path(&folder), ed25519("second"));
    let recorder = over_a_full_disk(&path, Mode::BestEffort);
    recorder.record(&record(0)).await.unwrap();
    recorder.sign_with(second.clone()).unwrap().wait().await.unwrap();
    recorder.reopen().await.unwrap();
    recorder.record(&record(1)).await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(signers(&path), ["second"]);
    whole(Some(&public(&second)), &[&path]);
    assert_eq!(recorder.sign_with(second).err(), Some(AuditError::Closed));
}

/// Time passes, and nothing else happens: a checkpoint comes, and no second one without a line.
#[tokio::test]
async fn a_checkpoint_comes_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let (path, time) = (path(&folder), Time::default());
    let recorder = Recorder::open(&path, Mode::BestEffort, QUEUE, time.sealing(Some(ed25519("k")))).unwrap();
    let seq = |link: Option<Link>| link.map(|link| link.seq);
    let after = async |seconds: i64| {
        time.pass(seconds);
        recorder.tick();
        // The same file: this only waits until the tick was heard.
        recorder.reopen().await.unwrap();
        seq(recorder.progress().checkpoint.map(|head| head.link))
    };
    assert_eq!(after(59).await, None);
    assert_eq!(after(1).await, Some(2), "of the header alone");
    assert_eq!(after(1_000).await, Some(2));
    recorder.record(&record(0)).await.unwrap();
    assert_eq!(after(0).await, Some(4), "the record comes first");
    recorder.record(&record(1)).await.unwrap();
    assert_eq!(after(59).await, Some(4));
    assert_eq!(after(1).await, Some(6));
    // A clock that was set back does not put it off until it has caught up.
    recorder.record(&record(2)).await.unwrap();
    assert_eq!(after(-3_600).await, Some(8));
    recorder.close().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_comes_after_so_many_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let mut sealing = Time::default().sealing(Some(ed25519("k")));
    sealing.checkpoints.records = std::num::NonZeroU32::new(10).unwrap();
    let recorder = Recorder::open(&path, Mode::BestEffort, QUEUE, sealing).unwrap();
    for n in 0..100 {
        recorder.record(&record(n)).await.unwrap();
    }
    recorder.close().await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let checkpoints: Vec<_> =
        text.lines().zip(1..).filter(|(line, _)| line.contains("\"checkpoint\":")).map(|(_, n)| n).collect();
    assert_eq!(checkpoints, (1..=10).map(|n| n * 11).chain([112]).collect::<Vec<_>>());
    assert_eq!(whole(None, &[&path]).records, 100);
}

/// A file that is full when the process begins, and not later: the header comes with the first record.
#[tokio::test]
async fn a_header_that_could_not_be_written_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let recorder = over_a_full_disk(&path(&folder), Mode::BestEffort);
    assert_eq!(recorder.progress(), Progress::default());
    recorder.reopen().await.unwrap();
    recorder.record(&record(0)).await.unwrap();
    recorder.close().await.unwrap();
    assert_eq!(whole(None, &[&path(&folder)]).records, 1);
}

/// C-21, E-10: a disk that is full in the middle of a batch. What is kept is a chain, the rest is counted in it.
#[tokio::test]
async fn a_full_disk_does_not_break_the_chain() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    if limits.lines().any(|line| line.starts_with("Max file size") && line.contains("unlimited")) {
        // The limit holds for a whole process, so that this test runs once more in one of its own.
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f 16; exec "$0" --exact "$1""#])
            .arg(std::env::current_exe().unwrap())
            .arg("recorder::tests::chain::a_full_disk_does_not_break_the_chain")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    for mode in [Mode::BestEffort, Mode::Required] {
        let folder = tempfile::tempdir().unwrap();
        let (path, key, old) = (path(&folder), ed25519("k"), folder.path().join("old"));
        let keys = public(&key);
        let recorder = Recorder::open(&path, mode, QUEUE, Time::default().sealing(Some(key))).unwrap();
        let long = "x".repeat(250);
        let large = |n: usize| {
            let mut large = record(n);
            large.actors = vec![Text::from(long.clone()); 16];
            large
        };
        // Each is written alone: large ones fail, small ones between them fit.
        let mut failed = 0;
        for n in 0..6 {
            let outcome = recorder.record(&large(n)).await;
            recorder.reopen().await.unwrap();
            failed += usize::from(outcome.is_err());
            drop(recorder.record(&record(n)).await);
            recorder.reopen().await.unwrap();
        }
        let gaps = recorder.gaps();
        assert!(gaps > 0 && gaps < 12, "{gaps}");
        assert_eq!(failed > 0, mode == Mode::Required);
        std::fs::rename(&path, &old).unwrap();
        recorder.reopen().await.unwrap();
        recorder.record(&record(9)).await.unwrap();
        recorder.close().await.unwrap();
        let report = whole(Some(&keys), &[&old, &path]);
        assert_eq!((report.runs, report.remarks), (1, vec![]));
        let kept = [lines(&old), lines(&path)].concat();
        let told: u64 = kept.iter().filter_map(|line| line.strip_prefix("gap ")?.parse::<u64>().ok()).sum();
        let records = kept.iter().filter(|line| !line.starts_with("gap ")).count();
        assert_eq!((told, u64::try_from(records).unwrap()), (gaps, 13 - gaps), "{kept:?}");
    }
}

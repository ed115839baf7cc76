//! C-21: a file that fails, hangs or is gone. What each mode promises, and that nothing is lost uncounted.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use super::*;

/// A file whose writes the system refuses with an input/output error, and which is a regular file to it: our own memory, where
/// none is.
fn that_fails() -> Journal {
    Journal::over(OpenOptions::new().read(true).append(true).open("/proc/self/mem").unwrap()).unwrap()
}

fn over(journal: Journal, path: &Path, mode: Mode) -> Recorder {
    Recorder::over(Some((journal, path.to_owned())), mode, QUEUE, sealing(), Vec::new()).unwrap()
}

/// Decisions among the lines, and those that they say are missing.
fn told(lines: &[String]) -> (u64, u64) {
    lines.iter().fold((0, 0), |(decisions, missing), line| match line.strip_prefix("gap ") {
        Some(gap) => (decisions, missing + gap.parse::<u64>().unwrap()),
        None => (decisions + 1, missing),
    })
}

#[tokio::test]
async fn a_disk_that_fails_denies_or_is_counted() {
    for mode in [Mode::Required, Mode::BestEffort] {
        let folder = tempfile::tempdir().unwrap();
        let path = path(&folder);
        let (recorder, ordered) = without_writer(mode, 100);
        let mut writer = writer(&recorder, Journal::open(&path).unwrap(), &path);
        writer.go_on_over(that_fails());
        begin(&recorder, writer, ordered);
        for n in 0..20 {
            let recorded = recorder.record(&record(n)).await;
            match mode {
                Mode::Required => {
                    let Err(AuditError::Write(kind)) = recorded else { panic!("{recorded:?}") };
                    assert_eq!(kind, std::io::Error::from_raw_os_error(5).kind());
                }
                Mode::BestEffort => assert!(recorded.is_ok()),
            }
        }
        // Another disk.
        recorder.reopen().await.unwrap();
        assert_eq!(recorder.gaps(), 20, "{mode:?}");
        recorder.record(&record(20)).await.unwrap();
        recorder.close().await.unwrap();
        assert_eq!(lines(&path), ["gap 20", "d20"], "{mode:?}");
    }
}

/// A writer into a pipe, which is no regular file.
fn into(pipe: std::io::PipeWriter) -> Journal {
    Journal::over(File::from(OwnedFd::from(pipe))).unwrap()
}

#[tokio::test]
async fn a_pipe_that_is_dead_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let recorder = over(into(writer), &path(&folder), Mode::BestEffort);
    for n in 0..50 {
        recorder.record(&record(n)).await.unwrap();
    }
    assert_eq!(recorder.close().await, Err(AuditError::Write(ErrorKind::BrokenPipe)));
    assert_eq!((recorder.gaps(), recorder.progress().written), (50, 0));
}

/// A pipe that nobody reads takes some 64 KiB, and then nothing. No decision waits for it: these are all handed in before anything is
/// read.
#[tokio::test]
async fn a_pipe_that_hangs_holds_no_decision() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let recorder = over(into(writer), &path(&folder), Mode::BestEffort);
    let all = 20_000;
    for n in 0..all {
        recorder.record(&record(n)).await.unwrap();
    }
    assert!(recorder.gaps() > 0);
    // Now it is read, and the last one tells what is missing before it.
    let read = std::thread::spawn(move || {
        BufReader::new(reader).lines().map(Result::unwrap).collect::<Vec<_>>().join("\n") + "\n"
    });
    while recorder.queue().0 > 0 {
        tokio::task::yield_now().await;
    }
    recorder.record(&record(all)).await.unwrap();
    recorder.close().await.unwrap();
    let gaps = recorder.gaps();
    drop(recorder);
    let copy = folder.path().join("read");
    std::fs::write(&copy, read.join().unwrap()).unwrap();
    let lines = lines(&copy);
    let (decisions, missing) = told(&lines);
    assert_eq!((missing, decisions + missing), (gaps, u64::try_from(all).unwrap() + 1));
    assert_eq!(lines.last(), Some(&format!("d{all}")));
}

/// A recorder whose every sync takes until it is told to be over.
fn slow_to_sync(path: &Path) -> (Recorder, Sender<()>) {
    let (over_now, slow) = channel();
    let mut journal = Journal::open(path).unwrap();
    journal.slow = Some(slow);
    let (recorder, ordered) = without_writer(Mode::Required, 200);
    // The header's.
    over_now.send(()).unwrap();
    begin(&recorder, writer(&recorder, journal, path), ordered);
    (recorder, over_now)
}

/// No answer before the record is on the disk; those that come in the meantime share the next sync; and who does not wait is left
/// without evidence, whatever the disk does later.
#[tokio::test]
async fn a_disk_that_hangs_answers_nobody_and_then_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = path(&folder);
    let (recorder, over_now) = slow_to_sync(&path);
    let before = recorder.progress().commits;
    let mut first = Box::pin({
        let recorder = recorder.clone();
        async move { recorder.record(&record(0)).await }
    });
    let waited = tokio::time::timeout(Duration::from_millis(20), &mut first).await;
    assert!(waited.is_err(), "{waited:?}");
    // The writer is at the sync of the first one: it stands in the file.
    while !std::fs::read_to_string(&path).unwrap().contains("\"d0\"") {
        tokio::task::yield_now().await;
    }
    let mut others = JoinSet::new();
    for n in 1..=100 {
        let recorder = recorder.clone();
        others.spawn(async move { recorder.record(&record(n)).await });
    }
    // One gives up at its deadline.
    let given_up = tokio::time::timeout(Duration::from_millis(20), recorder.record(&record(101))).await;
    assert!(given_up.is_err());
    while recorder.queue().0 < 101 {
        tokio::task::yield_now().await;
    }
    assert!(others.try_join_next().is_none());
    assert_eq!(recorder.progress().commits, before);
    over_now.send(()).unwrap();
    first.await.unwrap();
    assert_eq!(recorder.progress().commits, before + 1);
    assert!(others.try_join_next().is_none());
    over_now.send(()).unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(60), others.join_all()).await;
    for outcome in answered.expect("one sync is for all of them") {
        outcome.unwrap();
    }
    assert_eq!((recorder.progress().commits, recorder.gaps()), (before + 2, 0));
    // As much as it still asks for.
    drop(over_now);
    recorder.close().await.unwrap();
    // Whose caller had given up is there as well: a record of a permit that was not given errs on the safe side.
    assert_eq!(lines(&path).len(), 102);
}

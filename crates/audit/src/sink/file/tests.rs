use std::io::Read;
use std::os::fd::OwnedFd;

use super::*;
use crate::sink::tests::{record, recorder, sink, status, until};

const LINES: [&[u8]; 3] = [b"{1}", b"{2}", b"{3}"];

fn over(file: File) -> LineFile {
    LineFile { format: Format::Own, path: None, file, regular: false, torn: false }
}

fn pipe() -> (std::io::PipeReader, LineFile) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, over(File::from(OwnedFd::from(writer))))
}

/// C-21: a full disk takes nothing, and a file that was moved away is followed by a new one.
#[test]
fn a_full_disk_takes_nothing_until_it_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let mut file = LineFile::open(&path, Format::Own).unwrap();
    assert_eq!(file.deliver("", &LINES), Delivery::cut(0, OutletError::Io(ErrorKind::StorageFull)));
    std::fs::remove_file(&path).unwrap();
    file.reopen();
    assert_eq!(file.deliver("", &LINES), Delivery::all(&LINES));
    file.reopen();
    let old = folder.path().join("old");
    std::fs::rename(&path, &old).unwrap();
    file.reopen();
    assert_eq!(file.deliver("", &LINES[..1]).taken, 1);
    assert_eq!(std::fs::read(old).unwrap(), b"{1}\n{2}\n{3}\n");
    assert_eq!(std::fs::read(path).unwrap(), b"{1}\n");
}

#[test]
fn one_process_writes_a_file_and_ends_what_another_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    std::fs::write(&path, "{0}\n{tor").unwrap();
    let mut file = LineFile::open(&path, Format::Own).unwrap();
    assert_eq!(LineFile::open(&path, Format::Own).err(), Some(AuditError::InUse));
    assert_eq!(file.deliver("", &LINES[..1]).taken, 1);
    assert_eq!(std::fs::read(path).unwrap(), b"{0}\n{tor\n{1}\n");
}

/// A pipe whose reader goes away in the midst of a line: as many lines are taken as went in whole.
#[test]
fn a_reader_that_goes_away_has_whole_lines() {
    let (reader, mut file) = pipe();
    let long = vec![b'x'; 1000];
    let lines = vec![long.as_slice(); 1000];
    let delivery = std::thread::scope(|scope| {
        let delivery = scope.spawn(|| file.deliver("", &lines));
        let mut reader = reader;
        reader.read_exact(&mut [0; 1500]).unwrap();
        drop(reader);
        delivery.join().unwrap()
    });
    assert_eq!(delivery.error, Some(OutletError::Io(ErrorKind::BrokenPipe)));
    assert!((1..1000).contains(&delivery.taken), "{delivery:?}");
    assert!(file.torn);
    assert_eq!(file.deliver("", &lines).taken, 0);
}

/// What is cut off is ended before the next line, where it cannot be taken back.
#[test]
fn a_torn_line_is_ended() {
    let (mut reader, mut file) = pipe();
    file.torn = true;
    assert_eq!(file.deliver("", &LINES), Delivery::all(&LINES));
    drop(file);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "\n{1}\n{2}\n{3}\n");
}

#[test]
fn a_piece_of_a_line_is_taken_back_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    let mut file = LineFile::open(&path, Format::Own).unwrap();
    assert_eq!(file.write(b"{1}\n{2"), (6, None));
    file.take_back(2);
    assert!(!file.torn);
    assert_eq!(file.deliver("", &LINES[1..]).taken, 2);
    assert_eq!(std::fs::read(path).unwrap(), b"{1}\n{2}\n{3}\n");
}

/// C-21: a pipe that nobody reads. Decisions go on, and what it does not take is counted.
#[tokio::test(start_paused = true)]
async fn a_pipe_that_nobody_reads_holds_nobody() {
    let (mut reader, file) = pipe();
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("records");
    let recorder = recorder(Some(&kept), vec![sink("out", file, 50)]);
    let mut n = 0;
    while status(&recorder).gaps == 0 {
        record(&recorder, n).await;
        n += 1;
        until(|| recorder.progress().written > u64::try_from(n).unwrap()).await;
    }
    recorder.close().await.unwrap();
    let (written, after) = (recorder.progress().written, status(&recorder));
    assert_eq!(after.taken + after.gaps, written);
    // Reading lets the thread end. What it had written by then was given up, so that it counts as missing.
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let whole = u64::try_from(text.matches('\n').count()).unwrap();
    assert!(after.taken <= whole && whole < written, "{} {whole} {written}", after.taken);
}

/// C-21: a pipe whose reader is gone.
#[tokio::test]
async fn a_pipe_without_reader_takes_nothing() {
    let (reader, file) = pipe();
    drop(reader);
    let recorder = recorder(None, vec![sink("out", file, 100)]);
    record(&recorder, 0).await;
    recorder.close().await.unwrap();
    let status = status(&recorder);
    assert_eq!((status.taken, status.gaps), (0, recorder.progress().written));
    assert_eq!(status.error, Some(OutletError::Io(ErrorKind::BrokenPipe)));
}

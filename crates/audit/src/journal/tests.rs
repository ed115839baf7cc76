use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn path(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("decisions.jsonl")
}

#[test]
fn the_file_is_its_owners_only_and_appended_to() {
    let folder = folder();
    for line in ["one\n", "two\n"] {
        Journal::open(&path(&folder)).unwrap().append(line.as_bytes(), true).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path(&folder)).unwrap(), "one\ntwo\n");
    assert_eq!(std::fs::metadata(path(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn two_cannot_write_one_file() {
    let folder = folder();
    let first = Journal::open(&path(&folder)).unwrap();
    assert_eq!(Journal::open(&path(&folder)).err(), Some(AuditError::InUse));
    drop(first);
    assert!(Journal::open(&path(&folder)).is_ok());
}

#[test]
fn a_file_that_cannot_be_opened_is_named_as_such() {
    let folder = folder();
    assert_eq!(Journal::open(folder.path()).err(), Some(AuditError::Open(ErrorKind::IsADirectory)));
    let missing = folder.path().join("missing").join("file");
    assert_eq!(Journal::open(&missing).err(), Some(AuditError::Open(ErrorKind::NotFound)));
}

/// A crash or a full disk can leave half a line; the next record must not become part of it.
#[test]
fn a_torn_line_is_ended_first() {
    let folder = folder();
    std::fs::write(path(&folder), "whole\nto").unwrap();
    let mut journal = Journal::open(&path(&folder)).unwrap();
    journal.append(b"next\n", true).unwrap();
    journal.append(b"last\n", true).unwrap();
    assert_eq!(std::fs::read_to_string(path(&folder)).unwrap(), "whole\nto\nnext\nlast\n");
}

/// C-21: a disk that is full after half of the lines. The limit on a file's size acts like one.
#[test]
fn a_failed_append_leaves_whole_lines() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let unlimited =
        limits.lines().any(|line| line.starts_with("Max file size") && line.contains("unlimited"));
    if unlimited {
        // The limit holds for a whole process, so that this test runs once more in one of its own.
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f 8; exec "$0" --exact "$1""#])
            .arg(std::env::current_exe().unwrap())
            .arg("journal::tests::a_failed_append_leaves_whole_lines")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let folder = folder();
    let mut journal = Journal::open(&path(&folder)).unwrap();
    journal.append(&[b"a".repeat(3_000), b"\n".to_vec()].concat(), true).unwrap();
    let too_long = [b"b".repeat(6_000), b"\n".to_vec()].concat();
    for _ in 0..2 {
        assert_eq!(journal.append(&too_long, true), Err(AuditError::Write(ErrorKind::FileTooLarge)));
        assert_eq!(std::fs::metadata(path(&folder)).unwrap().len(), 3_001, "rolled back");
    }
    journal.append(b"next\n", true).unwrap();
    assert!(std::fs::read_to_string(path(&folder)).unwrap().ends_with("a\nnext\n"));
}

#[test]
fn where_nothing_can_be_rolled_back_a_new_line_begins() {
    let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
    let mut journal = Journal::over(full).unwrap();
    assert_eq!(journal.append(b"one\n", true), Err(AuditError::Write(ErrorKind::StorageFull)));
    assert!(journal.torn);

    // A file that may not be written cannot be rolled back either.
    let folder = folder();
    std::fs::write(path(&folder), "whole\n").unwrap();
    let mut journal = Journal::over(File::open(path(&folder)).unwrap()).unwrap();
    assert!(matches!(journal.append(b"one\n", true), Err(AuditError::Write(_))));
    assert!(journal.torn);
}

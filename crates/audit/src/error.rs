//! Why a record could not be kept.

use std::io::ErrorKind;

/// A record, or the file for records, could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be opened.
    #[error("cannot open the record file: {0}")]
    Open(ErrorKind),
    /// Another process writes this file.
    #[error("another process has the record file")]
    InUse,
    /// Required records need a file that can be synced: no pipe, no device.
    #[error("the record file is not a regular file, which required records need")]
    NotAFile,
    /// The writing thread cannot be started.
    #[error("cannot start the thread that writes records: {0}")]
    Thread(ErrorKind),
    /// More records wait than the queue holds.
    #[error("too many records wait to be written")]
    QueueFull,
    /// The record has no JSON form.
    #[error("cannot put the record into words")]
    Format,
    /// The file takes no more.
    #[error("cannot write the record: {0}")]
    Write(ErrorKind),
    /// The file may not have reached the disk.
    #[error("cannot sync the record file: {0}")]
    Sync(ErrorKind),
    /// The system gives no random bytes to tell writers apart by.
    #[error("no randomness for the record file's chain")]
    NoRandomness,
    /// A checkpoint could not be signed.
    #[error("cannot sign a checkpoint of the record file")]
    Unsigned,
    /// The recorder was closed, or its thread has died.
    #[error("the recorder is closed")]
    Closed,
}

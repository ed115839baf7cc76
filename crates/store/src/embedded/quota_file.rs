//! The file that quotas outlive the process in: a level for each change, the last one of a key counts.
//!
//! It is appended to and synced about once a second, apart from decisions: a process that is killed, or a machine that
//! loses power, forgets at most what was charged since. Each record stands for itself, so that one which a crash left half
//! written takes no other along.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::limits::QuotaLevel;
use crate::limit::{Level, LimitKey};

const NAME: &str = "quotas";
const DRAFT: &str = "quotas.draft";
/// Name and version of the format.
const HEADER: &[u8; 8] = b"exqquo01";
const RECORD: usize = 48;
/// What of a record is checked by its last eight octets.
const CHECKED: usize = 40;
/// The file is written anew once it has so many records more than twice what there is.
const SPARE: u64 = 65_536;

/// Why quotas cannot be kept, or not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaFileError {
    /// The system refuses.
    #[error("{}: {cause}", file.display())]
    Io {
        /// Which file.
        file: PathBuf,
        /// Why.
        cause: ErrorKind,
    },
    /// Another program, or another version of this one, wrote it.
    #[error("{}: not a file of quotas of this version; move it away to begin anew", .0.display())]
    Foreign(PathBuf),
    /// A thread failed while it held the levels.
    #[error("the levels of limits were left in an unknown state")]
    Poisoned,
}

/// What a file of quotas held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuotasFound {
    /// Quotas whose period is not over.
    pub quotas: usize,
    /// Records that cannot be read: half written by a crash, or damaged. What they said is not known.
    pub unreadable: usize,
}

#[derive(Debug)]
pub(super) struct QuotaFile {
    folder: PathBuf,
    file: File,
    length: u64,
    records: u64,
}

impl QuotaFile {
    /// Reads the file, if there is one, and tells each record that can be read. Returns how many could not.
    pub(super) fn read(folder: &Path, mut each: impl FnMut(QuotaLevel)) -> Result<usize, QuotaFileError> {
        let path = folder.join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed(path, &error)),
        };
        let Some(records) = bytes.strip_prefix(HEADER) else { return Err(QuotaFileError::Foreign(path)) };
        let mut unreadable = 0_usize;
        for record in records.chunks(RECORD) {
            match decode(record) {
                Some(quota) => each(quota),
                None => unreadable = unreadable.saturating_add(1),
            }
        }
        Ok(unreadable)
    }

    /// A file with these quotas in place of the one that is there.
    pub(super) fn write(folder: &Path, quotas: &[QuotaLevel]) -> Result<Self, QuotaFileError> {
        let draft = folder.join(DRAFT);
        let write = || -> io::Result<Self> {
            let mut bytes = HEADER.to_vec();
            quotas.iter().for_each(|quota| bytes.extend(encode(quota)));
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_data()?;
            std::fs::rename(&draft, folder.join(NAME))?;
            File::open(folder)?.sync_all()?;
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let records = u64::try_from(quotas.len()).unwrap_or(u64::MAX);
            Ok(Self { folder: folder.to_owned(), file, length, records })
        };
        write().map_err(|error| failed(draft.clone(), &error))
    }

    /// Whether most of it is out of date.
    pub(super) fn is_long(&self, live: usize) -> bool {
        let live = u64::try_from(live).unwrap_or(u64::MAX);
        self.records > live.saturating_mul(2).saturating_add(SPARE)
    }

    /// Adds records, and returns once they are on the disk. After an error the next ones take their place.
    pub(super) fn append(&mut self, quotas: &[QuotaLevel]) -> Result<(), QuotaFileError> {
        let bytes: Vec<u8> = quotas.iter().flat_map(encode).collect();
        let written = self.file.write_all_at(&bytes, self.length).and_then(|()| self.file.sync_data());
        written.map_err(|error| failed(self.folder.join(NAME), &error))?;
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.records = self.records.saturating_add(u64::try_from(quotas.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Writes the file anew with these quotas.
    pub(super) fn rewrite(&mut self, quotas: &[QuotaLevel]) -> Result<(), QuotaFileError> {
        *self = Self::write(&self.folder, quotas)?;
        Ok(())
    }
}

fn failed(file: PathBuf, error: &io::Error) -> QuotaFileError {
    QuotaFileError::Io { file, cause: error.kind() }
}

fn encode(quota: &QuotaLevel) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let parts = quota.key.0.iter().chain(&quota.scope).copied();
    let parts = parts.chain(quota.level.over_at.to_be_bytes()).chain(quota.level.amount.to_be_bytes());
    let checked: Vec<u8> = parts.collect();
    let all = checked.iter().copied().chain(check(&checked).to_be_bytes());
    record.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    record
}

fn decode(record: &[u8]) -> Option<QuotaLevel> {
    let record: &[u8; RECORD] = record.try_into().ok()?;
    let (checked, sum) = record.split_at_checked(CHECKED)?;
    if check(checked).to_be_bytes() != *sum {
        return None;
    }
    let (key, rest) = checked.split_first_chunk::<16>()?;
    let (scope, rest) = rest.split_first_chunk::<8>()?;
    let (over_at, amount) = rest.split_first_chunk::<8>()?;
    let level =
        Level { over_at: i64::from_be_bytes(*over_at), amount: u64::from_be_bytes(amount.try_into().ok()?) };
    Some(QuotaLevel { key: LimitKey(*key), scope: *scope, level })
}

/// FNV-1a: it finds what was half written, which is all that it is for. A record of zeros has another sum.
fn check(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;

//! The file of revocations: every change, in frames that are whole or recognisably not.
//!
//! ```text
//! file    16 bytes: `exequatur-rev`, 0, version (u16)
//! frame   length (u32), check of length and place (4 bytes), check of contents and place (8 bytes), records
//! ```
//!
//! Numbers are little-endian; a check is the beginning of a SHA-256. A frame is on the disk before the next one is
//! begun, so that only the last one can be torn: it ends early, or a sector of it was never written. Anything else
//! that does not check out is damage, which is never guessed about.

mod record;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::embedded::{RevocationOpenError, TornTail};
use super::entry::Position;
use crate::disk::Disk;

pub(super) use record::Record;
pub(crate) use record::{decode_note, encode_note};

const MAGIC: &[u8; 14] = b"exequatur-rev\0";
const VERSION: u16 = 1;
const FILE_HEADER: u64 = 16;
const FRAME_HEADER: usize = 16;
/// Longest frame's records, in bytes: what one write may ask of memory.
const MAX_FRAME: usize = 4 * 1024 * 1024;
/// What the disk writes as a whole or not at all.
const SECTOR: u64 = 512;
/// How many positions lie between two places that are remembered.
const INDEXED_EVERY: u64 = 256;

/// The file's name in the folder, and its name while it is written anew.
const NAME: &str = "revocations";
const NEW_NAME: &str = "revocations.new";

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Disk,
    folder: PathBuf,
    written: Written,
    /// Why nothing can be appended any more.
    broken: Option<ErrorKind>,
}

/// A file, and what is known of it.
#[derive(Debug)]
pub(super) struct Written {
    file: File,
    length: u64,
    pub(super) records: u64,
    /// First positions of some frames, and where those begin.
    index: Vec<(Position, u64)>,
}

/// What was found at a place of the file.
enum Found {
    Frame { records: Vec<u8>, end: u64 },
    End,
    Torn,
    Damaged,
}

impl Journal {
    /// Opens the file or makes it, and tells every record in it. A torn end is cut.
    pub(super) fn open(
        folder: &Path,
        disk: Disk,
        mut told: impl FnMut(Record),
    ) -> Result<(Self, Option<TornTail>), RevocationOpenError> {
        let path = folder.join(NAME);
        let failed = |error: io::Error| RevocationOpenError::Io { file: path.clone(), cause: error.kind() };
        // A new file that did not get its name yet has nothing that the old one has not.
        match std::fs::remove_file(folder.join(NEW_NAME)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let file = match disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let written = Written::create(&disk, &folder.join(NEW_NAME)).map_err(failed)?;
                disk.sync(&written.file).map_err(failed)?;
                disk.rename(&folder.join(NEW_NAME), &path).map_err(failed)?;
                disk.sync_folder(folder).map_err(failed)?;
                let journal = Self { disk, folder: folder.to_owned(), written, broken: None };
                return Ok((journal, None));
            }
            Err(error) => return Err(failed(error)),
        };
        let length = file.metadata().map_err(failed)?.len();
        check_file_header(&file, &path)?;
        let mut written = Written { file, length: FILE_HEADER, records: 0, index: Vec::new() };
        let torn = loop {
            let at = written.length;
            let damaged = || RevocationOpenError::Damaged { file: path.clone(), offset: at };
            match find(&written.file, at, length).map_err(failed)? {
                Found::End => break None,
                Found::Torn => break Some(TornTail { offset: at, bytes: length.saturating_sub(at) }),
                Found::Damaged => return Err(damaged()),
                Found::Frame { records, end } => {
                    let records = Record::all(&records).ok_or_else(damaged)?;
                    written.note(&records, end);
                    records.into_iter().for_each(&mut told);
                }
            }
        };
        if torn.is_some() {
            disk.cut(&written.file, written.length).map_err(failed)?;
            disk.sync(&written.file).map_err(failed)?;
        }
        Ok((Self { disk, folder: folder.to_owned(), written, broken: None }, torn))
    }

    /// Appends records and returns once they are on the disk. After an error none of them is in the file; where that
    /// cannot be made sure of, nothing is appended any more.
    pub(super) fn append(&mut self, records: &[Record]) -> Result<(), ErrorKind> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let length = self.written.length;
        let appended =
            self.written.append(&self.disk, records).and_then(|()| self.disk.sync(&self.written.file));
        appended.map_err(|error| {
            self.written.length = length;
            let cut = self.disk.cut(&self.written.file, length);
            if cut.and_then(|()| self.disk.sync(&self.written.file)).is_err() {
                self.broken = Some(error.kind());
            }
            error.kind()
        })
    }

    pub(super) const fn broken(&self) -> Option<ErrorKind> {
        self.broken
    }

    pub(super) const fn records(&self) -> u64 {
        self.written.records
    }

    /// Where to begin to read for what comes after a position.
    pub(super) fn place_after(&self, after: Position) -> u64 {
        let beyond = self.written.index.partition_point(|(first, _)| *first <= after);
        beyond
            .checked_sub(1)
            .and_then(|place| self.written.index.get(place))
            .map_or(FILE_HEADER, |(_, offset)| *offset)
    }

    /// The records of the frame at `place`, and where the next one begins; `None` at the end.
    pub(super) fn read(&self, place: u64) -> Result<Option<(Vec<Record>, u64)>, ErrorKind> {
        match find(&self.written.file, place, self.written.length).map_err(|error| error.kind())? {
            Found::End => Ok(None),
            Found::Frame { records, end } => {
                Record::all(&records).map(|records| Some((records, end))).ok_or(ErrorKind::InvalidData)
            }
            // All of it was read or written by this process before.
            Found::Torn | Found::Damaged => Err(ErrorKind::InvalidData),
        }
    }

    /// Begins a file that is to take this one's place.
    pub(super) fn begin_anew(&self) -> io::Result<Written> {
        Written::create(&self.disk, &self.folder.join(NEW_NAME))
    }

    /// Appends to a file that has no name yet; nothing is synced.
    pub(super) fn append_to(&self, written: &mut Written, records: &[Record]) -> io::Result<()> {
        written.append(&self.disk, records)
    }

    /// Puts the new file in this one's place. Up to here a failure leaves everything as it was.
    pub(super) fn replace(&mut self, written: Written) -> Result<(), ErrorKind> {
        self.disk.sync(&written.file).map_err(|error| error.kind())?;
        let named = self.disk.rename(&self.folder.join(NEW_NAME), &self.folder.join(NAME));
        named.map_err(|error| error.kind())?;
        self.written = written;
        // Until the name is on the disk, a crash could bring back the old file, without what comes now.
        if let Err(error) = self.disk.sync_folder(&self.folder) {
            self.broken = Some(error.kind());
            return Err(error.kind());
        }
        Ok(())
    }
}

impl Written {
    fn create(disk: &Disk, path: &Path) -> io::Result<Self> {
        let file = disk.create(path)?;
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        disk.write(&file, &header, 0)?;
        Ok(Self { file, length: FILE_HEADER, records: 0, index: Vec::new() })
    }

    fn append(&mut self, disk: &Disk, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = vec![0; FRAME_HEADER];
        records.iter().for_each(|record| record.encode(&mut bytes));
        let contents = bytes.get(FRAME_HEADER..).unwrap_or_default();
        let length = u32::try_from(contents.len()).or(Err(ErrorKind::FileTooLarge))?;
        let header = frame_header(self.length, length, contents);
        if let Some(place) = bytes.first_chunk_mut::<FRAME_HEADER>() {
            *place = header;
        }
        disk.write(&self.file, &bytes, self.length)?;
        let end = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.note(records, end);
        Ok(())
    }

    /// A frame with these records reaches from the known end to `end`.
    fn note(&mut self, records: &[Record], end: u64) {
        if let Some(first) = records.first().map(Record::position) {
            let due =
                self.index.last().is_none_or(|(last, _)| last.0.saturating_add(INDEXED_EVERY) <= first.0);
            if due {
                self.index.push((first, self.length));
            }
        }
        self.records = self.records.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        self.length = end;
    }
}

fn check_file_header(file: &File, path: &Path) -> Result<(), RevocationOpenError> {
    let mut header = [0; 16];
    let ours = file.read_exact_at(&mut header, 0).is_ok() && header.starts_with(MAGIC);
    let [.., low, high] = header;
    match (ours, u16::from_le_bytes([low, high])) {
        (true, VERSION) => Ok(()),
        (true, version) => Err(RevocationOpenError::Version { file: path.to_owned(), version }),
        (false, _) => Err(RevocationOpenError::Damaged { file: path.to_owned(), offset: 0 }),
    }
}

fn find(file: &File, at: u64, length: u64) -> io::Result<Found> {
    let rest = length.saturating_sub(at);
    if rest == 0 {
        return Ok(Found::End);
    }
    let mut header = [0; FRAME_HEADER];
    if usize::try_from(rest).unwrap_or(usize::MAX) < FRAME_HEADER {
        return Ok(Found::Torn);
    }
    file.read_exact_at(&mut header, at)?;
    let [a, b, c, d, length_check @ ..] = header;
    let announced = u32::from_le_bytes([a, b, c, d]);
    let size = usize::try_from(announced).unwrap_or(usize::MAX);
    if !length_check.starts_with(&check_of_length(at, announced)) || size > MAX_FRAME {
        return judge(file, at, length);
    }
    let begin = at.saturating_add(u64::try_from(FRAME_HEADER).unwrap_or(0));
    let end = begin.saturating_add(u64::from(announced));
    if end > length {
        return Ok(Found::Torn);
    }
    let mut records = vec![0; size];
    file.read_exact_at(&mut records, begin)?;
    if header.ends_with(&check_of_contents(at, &records)) {
        return Ok(Found::Frame { records, end });
    }
    // Something stands after it, so it was on the disk once.
    if end < length { Ok(Found::Damaged) } else { judge(file, at, length) }
}

/// Whether a last frame that does not check out was never written whole: then a sector of it is empty.
fn judge(file: &File, at: u64, length: u64) -> io::Result<Found> {
    let mut from = at;
    while from < length {
        let to = from.saturating_add(1).next_multiple_of(SECTOR).min(length);
        let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from)?;
        // A few bytes at either end may be zero in a frame that is whole.
        if bytes.len() >= FRAME_HEADER && bytes.iter().all(|byte| *byte == 0) {
            return Ok(Found::Torn);
        }
        from = to;
    }
    Ok(Found::Damaged)
}

fn frame_header(at: u64, length: u32, contents: &[u8]) -> [u8; FRAME_HEADER] {
    let [a, b, c, d] = length.to_le_bytes();
    let [e, f, g, h] = check_of_length(at, length);
    let [i, j, k, l, m, n, o, p] = check_of_contents(at, contents);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

fn check_of_length(at: u64, length: u32) -> [u8; 4] {
    start(
        &Sha256::new()
            .chain_update(b"length")
            .chain_update(at.to_le_bytes())
            .chain_update(length.to_le_bytes()),
    )
}

fn check_of_contents(at: u64, contents: &[u8]) -> [u8; 8] {
    start(&Sha256::new().chain_update(b"contents").chain_update(at.to_le_bytes()).chain_update(contents))
}

fn start<const N: usize>(digest: &Sha256) -> [u8; N] {
    digest.clone().finalize().first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests;

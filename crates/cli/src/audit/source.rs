//! Where lines are read from.

use std::fs::File;
use std::io::{Cursor, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use exequatur_audit::{Line, Lines, begin_of};
use jiff::Timestamp;

use super::verify::unreadable;
use crate::exit::Failure;

/// How much is read of a file at once, and of all files at most, in bytes.
const BUFFER: usize = 1024 * 1024;
const BUFFERS: usize = 32 * BUFFER;

/// What compressed files begin with, and what reads them.
const COMPRESSED: [(&[u8], &str); 4] =
    [(b"\x1f\x8b", "zcat"), (b"\x28\xb5\x2f\xfd", "zstdcat"), (b"\xfd7zXZ\0", "xzcat"), (b"BZh", "bzcat")];

/// A file, or standard input.
pub(super) struct Source {
    path: PathBuf,
    /// What it is called.
    pub(super) name: String,
    lines: Lines<Box<dyn Read>>,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Self::open_from(path, None, 1)
    }

    /// Opens one of so many files that are read at once; one that can be searched is read from where lines of that time could
    /// begin.
    pub(super) fn open_from(path: &Path, from: Option<Timestamp>, files: usize) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Self::of(path, Box::new(std::io::stdin()), false, files);
        }
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
        let Some(from) = from.filter(|_| regular) else {
            return Self::of(path, Box::new(file), false, files);
        };
        let offset = begin_of(&mut file, from).map_err(|error| unreadable(path, &error))?;
        file.seek(SeekFrom::Start(offset)).map_err(|error| unreadable(path, &error))?;
        Self::of(path, Box::new(file), offset > 0, files)
    }

    /// `within`: what is read begins within a line.
    fn of(path: &Path, reader: Box<dyn Read>, within: bool, files: usize) -> Result<Self, Failure> {
        let (name, reader) = uncompressed(path, reader, within)?;
        let buffer = BUFFERS.checked_div(files).unwrap_or(BUFFERS).min(BUFFER);
        let mut source = Self { path: path.to_owned(), name, lines: Lines::with_buffer(reader, buffer) };
        if within {
            source.next_line()?;
        }
        Ok(source)
    }

    /// Its lines, to be read beside those of others.
    pub(super) fn into_lines(self) -> (String, Lines<Box<dyn Read>>) {
        (self.name, self.lines)
    }

    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, Failure> {
        let path = &self.path;
        self.lines.next_line().map_err(|error| unreadable(path, &error))
    }
}

/// Opens a file, or standard input, to be read from its beginning, with what it is called.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn Read>), Failure> {
    if path == Path::new("-") {
        return uncompressed(path, Box::new(std::io::stdin()), false);
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    uncompressed(path, Box::new(file), false)
}

/// `within`: what is read begins within a line.
fn uncompressed(
    path: &Path,
    mut reader: Box<dyn Read>,
    within: bool,
) -> Result<(String, Box<dyn Read>), Failure> {
    let mut begin = Vec::new();
    reader.by_ref().take(6).read_to_end(&mut begin).map_err(|error| unreadable(path, &error))?;
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    if let Some((_, by)) = COMPRESSED.iter().find(|(magic, _)| begin.starts_with(magic) && !within) {
        let text = format!("{name} is compressed: `{by} FILE | exequatur audit … -`");
        return Err(Failure::Usage(text));
    }
    Ok((name, Box::new(Cursor::new(begin).chain(reader))))
}

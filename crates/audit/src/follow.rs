//! The end of a file, and what is added to it.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use memchr::memchr;

use crate::filter::Filter;
use crate::lines::{Ending, Line, Lines};
use crate::search::MAX_LINE;
use crate::tally::Tally;

/// How much of the end is looked at first, in bytes; then four times as much, and so on.
const FIRST: u64 = 1024 * 1024;
/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// The last lines of a file that are looked for, and what was read for them.
///
/// # Errors
/// The file cannot be read.
pub fn last_lines(file: &mut File, filter: &Filter, count: usize) -> io::Result<(VecDeque<Vec<u8>>, Tally)> {
    let length = file.seek(SeekFrom::End(0))?;
    last_lines_through(file, length, filter, count)
}

fn last_lines_through(
    file: &mut File,
    length: u64,
    filter: &Filter,
    count: usize,
) -> io::Result<(VecDeque<Vec<u8>>, Tally)> {
    let mut window = FIRST;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut lines = Lines::new(file.take(length.saturating_sub(start)));
        if start > 0 {
            // The piece of a line.
            lines.next_line()?;
        }
        let (found, tally) = last_of(&mut lines, filter, count)?;
        if found.len() >= count || start == 0 {
            return Ok((found, tally));
        }
        window = window.saturating_mul(4);
    }
}

/// The last lines of all that is read that are looked for.
///
/// # Errors
/// It cannot be read.
pub fn last_of(
    lines: &mut Lines<impl Read>,
    filter: &Filter,
    count: usize,
) -> io::Result<(VecDeque<Vec<u8>>, Tally)> {
    let (mut found, mut tally) = (VecDeque::new(), Tally::default());
    while let Some(line) = lines.next_line()? {
        if tally.take(filter, &line) {
            found.push_back(line.bytes.to_vec());
            if found.len() > count {
                found.pop_front();
            }
        }
    }
    Ok((found, tally))
}

/// Follows the file of a name: what is added to it, and the next file once it was moved away.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    file: File,
    /// What was read of it.
    offset: u64,
    /// A line that has no end yet.
    pending: Vec<u8>,
    /// Whether the rest of a line that is too long is passed over.
    skipping: bool,
    lines: u64,
}

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A line.
    Line(Line<'a>),
    /// The file is shorter than it was: it was cut, and is read from its beginning.
    Cut,
    /// Another file has its name, and is read on.
    Another,
}

impl Follow {
    /// Begins at the end of a file; a last line that has no end yet is read once it has one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn at_end(path: &Path, mut file: File) -> io::Result<Self> {
        let length = file.seek(SeekFrom::End(0))?;
        let window = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        file.by_ref().take(length.saturating_sub(start)).read_to_end(&mut end)?;
        let whole = memchr::memrchr(b'\n', &end).map_or(0, |at| at.saturating_add(1));
        let skipping = whole == 0 && start > 0;
        let offset =
            start.saturating_add(u64::try_from(if skipping { end.len() } else { whole }).unwrap_or(0));
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { path: path.to_owned(), file, offset, pending: Vec::new(), skipping, lines: 0 })
    }

    /// The last lines before what is followed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_lines(&mut self, filter: &Filter, count: usize) -> io::Result<(VecDeque<Vec<u8>>, Tally)> {
        let last = last_lines_through(&mut self.file, self.offset, filter, count);
        self.file.seek(SeekFrom::Start(self.offset))?;
        last
    }

    /// Looks whether there is more, and hands it to `each`.
    ///
    /// # Errors
    /// What `each` says, or that a file cannot be read.
    pub fn poll<E: From<io::Error>>(
        &mut self,
        each: &mut impl FnMut(Seen<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_on(each)?;
        // A file that a writer goes on with has its first line only after the old one has its last one.
        let another = std::fs::metadata(&self.path).ok().filter(|named| named.len() > 0);
        let ours = self.file.metadata()?;
        if another.is_some_and(|named| !is_same(&named, &ours)) {
            self.read_on(each)?;
            let torn = std::mem::take(&mut self.pending);
            if !torn.is_empty() {
                self.line(&torn, Ending::Torn, each)?;
            }
            (self.file, self.offset, self.skipping) = (File::open(&self.path)?, 0, false);
            each(Seen::Another)?;
            return self.read_on(each);
        }
        if ours.len() < self.offset {
            (self.offset, self.skipping) = (self.file.seek(SeekFrom::Start(0))?, false);
            self.pending.clear();
            each(Seen::Cut)?;
            return self.read_on(each);
        }
        Ok(())
    }

    fn read_on<E: From<io::Error>>(
        &mut self,
        each: &mut impl FnMut(Seen<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.offset = self.offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            let mut rest = piece.get(..read).unwrap_or_default();
            while let Some(end) = memchr(b'\n', rest) {
                self.add(rest.get(..end).unwrap_or_default(), each)?;
                let whole = std::mem::take(&mut self.pending);
                if !std::mem::take(&mut self.skipping) {
                    self.line(&whole, Ending::Whole, each)?;
                }
                rest = rest.get(end.saturating_add(1)..).unwrap_or_default();
            }
            self.add(rest, each)?;
        }
    }

    /// A further piece of a line, which may get too long.
    fn add<E>(&mut self, piece: &[u8], each: &mut impl FnMut(Seen<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.skipping {
            return Ok(());
        }
        self.pending.extend_from_slice(piece);
        if self.pending.len() <= MAX_LINE {
            return Ok(());
        }
        self.skipping = true;
        let long = std::mem::take(&mut self.pending);
        self.line(long.get(..MAX_LINE).unwrap_or_default(), Ending::TooLong, each)
    }

    fn line<E>(
        &mut self,
        bytes: &[u8],
        ending: Ending,
        each: &mut impl FnMut(Seen<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.lines = self.lines.saturating_add(1);
        each(Seen::Line(Line { bytes, number: self.lines, ending }))
    }
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write as _;

    use super::*;
    use crate::filter::Criteria;

    fn polled(follow: &mut Follow) -> Vec<String> {
        let mut seen = Vec::new();
        let mut each = |one: Seen<'_>| -> io::Result<()> {
            seen.push(match one {
                Seen::Line(Line { bytes, ending, .. }) => match ending {
                    Ending::Whole => String::from_utf8(bytes.to_vec()).unwrap(),
                    Ending::Torn => format!("torn {}", String::from_utf8_lossy(bytes)),
                    Ending::TooLong => format!("too long, {}", bytes.len()),
                },
                Seen::Cut => "cut".to_owned(),
                Seen::Another => "another".to_owned(),
            });
            Ok(())
        };
        follow.poll(&mut each).unwrap();
        seen
    }

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn follow(text: &str) -> (tempfile::TempDir, PathBuf, Follow) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        fs::write(&path, text).unwrap();
        let follow = Follow::at_end(&path, File::open(&path).unwrap()).unwrap();
        (folder, path, follow)
    }

    const NOTHING: [&str; 0] = [];

    #[test]
    fn what_is_added_is_read_once_it_is_whole() {
        let (_folder, path, mut follow) = follow("one\ntwo\nhal");
        let all = Filter::new(&Criteria::default());
        let (_, tally) = follow.last_lines(&all, 9).unwrap();
        assert_eq!((tally.lines, tally.torn), (2, false));
        assert_eq!(polled(&mut follow), NOTHING);
        append(&path, "f");
        assert_eq!(polled(&mut follow), NOTHING);
        append(&path, " a line\nthree\nfo");
        assert_eq!(polled(&mut follow), ["half a line", "three"]);
        assert_eq!(polled(&mut follow), NOTHING);
        append(&path, "ur\n");
        assert_eq!(polled(&mut follow), ["four"]);
    }

    #[test]
    fn the_next_file_of_the_name_is_followed() {
        let (folder, path, mut follow) = follow("one\n");
        append(&path, "two\n");
        fs::rename(&path, folder.path().join("d.1")).unwrap();
        // What is still written to the old one comes first: the new one is empty until that is done.
        assert_eq!(polled(&mut follow), ["two"]);
        fs::write(&path, "").unwrap();
        append(&folder.path().join("d.1"), "three\n");
        assert_eq!(polled(&mut follow), ["three"]);
        append(&folder.path().join("d.1"), "four\npiece");
        append(&path, "five\n");
        assert_eq!(polled(&mut follow), ["four", "torn piece", "another", "five"]);
        append(&path, "six\n");
        assert_eq!(polled(&mut follow), ["six"]);
        fs::remove_file(&path).unwrap();
        assert_eq!(polled(&mut follow), NOTHING);
    }

    #[test]
    fn a_file_that_was_cut_is_read_anew() {
        let (_folder, path, mut follow) = follow("one\ntwo\n");
        append(&path, "piece");
        assert_eq!(polled(&mut follow), NOTHING);
        fs::write(&path, "three\n").unwrap();
        assert_eq!(polled(&mut follow), ["cut", "three"]);
        fs::write(&path, "").unwrap();
        assert_eq!(polled(&mut follow), ["cut"]);
    }

    #[test]
    fn a_line_without_an_end_takes_no_memory() {
        let (_folder, path, mut follow) = follow(&"x".repeat(MAX_LINE * 2));
        append(&path, "rest\nnext\n");
        assert_eq!(polled(&mut follow), ["next"]);
        append(&path, &"y".repeat(MAX_LINE * 3));
        assert_eq!(polled(&mut follow), [format!("too long, {MAX_LINE}")]);
        assert!(follow.pending.is_empty());
        append(&path, "y\nlast\n");
        assert_eq!(polled(&mut follow), ["last"]);
    }

    #[test]
    fn the_last_lines_that_are_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d");
        let line = |n: u32, agent: &str| {
            format!(
                "{{\"v\":1,\"time\":\"2026-11-22T10:11:12.345Z\",\"decision\":\"{n}\",\"agent\":\"{agent}\"}}\n"
            )
        };
        // Several windows.
        let text: String = (0..60_000).map(|n| line(n, if n % 20_000 == 7 { "rare" } else { "x" })).collect();
        assert!(u64::try_from(text.len()).unwrap() > 4 * FIRST);
        fs::write(&path, &text).unwrap();
        let last = |agent: &str, count: usize| {
            let filter = Filter::new(&Criteria { agent: Some(agent.to_owned()), ..Criteria::default() });
            let (found, tally) = last_lines(&mut File::open(&path).unwrap(), &filter, count).unwrap();
            let found: Vec<_> =
                found.into_iter().map(|line| String::from_utf8(line).unwrap() + "\n").collect();
            (found.concat(), tally)
        };
        assert_eq!(last("x", 2).0, line(59_998, "x") + &line(59_999, "x"));
        assert_eq!(last("rare", 2).0, line(20_007, "rare") + &line(40_007, "rare"));
        assert_eq!(last("rare", 9).0, line(7, "rare") + &line(20_007, "rare") + &line(40_007, "rare"));
        assert_eq!((last("x", 0).0, last("none", 1).0), (String::new(), String::new()));
        assert_eq!(last("none", 1).1, Tally { lines: 60_000, ..Tally::default() });
    }
}

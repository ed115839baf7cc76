//! The lines of a file, lent one after the other from one buffer.

use std::io::{self, Read};

use memchr::memchr;

use crate::search::MAX_LINE;

/// How much is read at once, in bytes.
const BUFFER: usize = 1024 * 1024;
/// The least: two lines of the greatest length, so that one always fits behind the piece of another.
const LEAST: usize = 2 * MAX_LINE + 2;

/// Reads lines. Memory depends neither on the length of the file nor on that of its lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// What was read and not handed out yet.
    start: usize,
    end: usize,
    /// The line handed out last.
    number: u64,
    /// Whether the rest of a line that is too long is passed over.
    skipping: bool,
    ended: bool,
    /// The next line, where it was looked at and not taken yet.
    ahead: Option<(usize, usize, Ending)>,
}

/// A line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes; of a line that is too long the first 64 KiB.
    pub bytes: &'a [u8],
    /// Its number, from 1.
    pub number: u64,
    /// How it ends.
    pub ending: Ending,
}

/// How a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a line break.
    Whole,
    /// With the file: it is being written, or its writer was stopped.
    Torn,
    /// It is longer than 64 KiB, which no record is; the rest of it is passed over.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// Lines of `reader`, with a buffer of 1 MiB.
    #[must_use]
    pub fn new(reader: R) -> Self {
        Self::with_buffer(reader, BUFFER)
    }

    /// The same with a buffer of as many bytes, at least some 128 KiB.
    #[must_use]
    pub fn with_buffer(reader: R, bytes: usize) -> Self {
        let buffer = vec![0; bytes.max(LEAST)];
        Self { reader, buffer, start: 0, end: 0, number: 0, skipping: false, ended: false, ahead: None }
    }

    /// The next line. After the last one none, until the file has grown.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let ahead = self.ahead.take();
        let found = if ahead.is_some() { ahead } else { self.find()? };
        self.number = self.number.saturating_add(u64::from(found.is_some()));
        Ok(found.map(|found| self.line(found, self.number)))
    }

    /// The next line, which stays the next one.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn look_ahead(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.ahead.is_none() {
            self.ahead = self.find()?;
        }
        Ok(self.ahead.map(|found| self.line(found, self.number.saturating_add(1))))
    }

    fn line(&self, (start, length, ending): (usize, usize, Ending), number: u64) -> Line<'_> {
        let bytes = self.buffer.get(start..start.saturating_add(length)).unwrap_or_default();
        Line { bytes, number, ending }
    }

    /// Where the next line stands in the buffer.
    fn find(&mut self) -> io::Result<Option<(usize, usize, Ending)>> {
        // How much of the line was looked at already.
        let mut looked = 0_usize;
        loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or_default();
            let newline = memchr(b'\n', held.get(looked..).unwrap_or_default());
            if let Some(length) = newline.map(|at| at.saturating_add(looked)) {
                let start = self.start;
                self.start = start.saturating_add(length).saturating_add(1);
                if std::mem::take(&mut self.skipping) {
                    looked = 0;
                    continue;
                }
                let ending = if length > MAX_LINE { Ending::TooLong } else { Ending::Whole };
                return Ok(Some((start, length.min(MAX_LINE), ending)));
            }
            let length = held.len();
            if self.skipping {
                self.start = self.end;
            } else if length > MAX_LINE {
                self.skipping = true;
                let start = self.start;
                self.start = self.end;
                return Ok(Some((start, MAX_LINE, Ending::TooLong)));
            }
            if !self.fill()? {
                if self.skipping || length == 0 {
                    return Ok(None);
                }
                let start = self.start;
                self.start = self.end;
                return Ok(Some((start, length, Ending::Torn)));
            }
            looked = if self.skipping { 0 } else { length };
        }
    }

    /// Reads on, behind what is held. Whether there was more.
    fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len().saturating_sub(self.end) < MAX_LINE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        loop {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.reader.read(room) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(false);
                }
                Ok(read) => {
                    self.end = self.end.saturating_add(read);
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out pieces of this many bytes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = self.1.min(into.len());
            self.0.take(u64::try_from(most).unwrap()).read(into).inspect(|read| self.0 = &self.0[*read..])
        }
    }

    fn all(text: &[u8], piece: usize) -> Vec<(usize, u64, Ending)> {
        let mut lines = Lines::with_buffer(Pieces(text, piece), 0);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push((line.bytes.len(), line.number, line.ending));
        }
        assert_eq!(lines.next_line().unwrap(), None);
        found
    }

    #[test]
    fn each_line_comes_once_however_it_is_read() {
        let long = "x".repeat(MAX_LINE);
        let longer = "y".repeat(3 * MAX_LINE);
        let text = format!("a\n\nbc\n{long}\n{longer}\nd\n{long}z\n{longer}\ntorn");
        let expected = [
            (1, 1, Ending::Whole),
            (0, 2, Ending::Whole),
            (2, 3, Ending::Whole),
            (MAX_LINE, 4, Ending::Whole),
            (MAX_LINE, 5, Ending::TooLong),
            (1, 6, Ending::Whole),
            (MAX_LINE, 7, Ending::TooLong),
            (MAX_LINE, 8, Ending::TooLong),
            (4, 9, Ending::Torn),
        ];
        for piece in [997, 4096, MAX_LINE, MAX_LINE + 1, usize::MAX] {
            assert_eq!(all(text.as_bytes(), piece), expected, "{piece}");
        }
        assert_eq!(all(b"", 1), []);
        assert_eq!(all(b"a\nb", 1), [(1, 1, Ending::Whole), (1, 2, Ending::Torn)]);
        assert_eq!(all(longer.as_bytes(), 4096), [(MAX_LINE, 1, Ending::TooLong)]);
    }

    #[test]
    fn lines_are_what_stands_in_the_file() {
        let text: String = (0..40_000).map(|n| format!("{}{n}\n", "-".repeat(n % 97))).collect();
        for piece in [1, 8191, usize::MAX] {
            let mut lines = Lines::with_buffer(Pieces(text.as_bytes(), piece), 0);
            for expected in text.lines() {
                let line = lines.next_line().unwrap().unwrap();
                assert_eq!(line.bytes, expected.as_bytes());
            }
            assert_eq!(lines.next_line().unwrap(), None);
        }
    }
}

//! What a file ends with, when a writer begins.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use memchr::memrchr;
use sha2::{Digest as _, Sha256};

use crate::chain::{Hash, Link, Sealed};
use crate::entry::Torn;

/// How much of the file's end is looked at, in bytes: some lines of the greatest length.
const WINDOW: u64 = 256 * 1024;

/// The end of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The last line of a chain, if there is one near the end. Taken at its word.
    pub(crate) last: Option<Link>,
    /// What comes after it.
    pub(crate) torn: Option<Torn>,
    /// The whole file, in bytes.
    pub(crate) length: u64,
    /// Whether something stands after the last line break.
    pub(crate) unended: bool,
    /// Whether it could not be looked at: a pipe, or a device.
    pub(crate) unseen: bool,
}

impl Tail {
    /// That of what can be written alone.
    pub(crate) fn unseen() -> Self {
        Self { unseen: true, ..Self::default() }
    }
}

/// # Errors
/// The file cannot be read.
pub(crate) fn tail(file: &mut File) -> std::io::Result<Tail> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    Ok(end(&bytes, start == 0, length))
}

/// What a file of this length ends with, by its last bytes, or by all of them.
pub(crate) fn end(bytes: &[u8], whole: bool, length: u64) -> Tail {
    let (last, torn) = last_of(bytes, whole).unzip();
    let unended = bytes.last().is_some_and(|last| *last != b'\n');
    Tail { last, torn: torn.flatten(), length, unended, unseen: false }
}

fn last_of(bytes: &[u8], whole: bool) -> Option<(Link, Option<Torn>)> {
    let mut end = bytes.len();
    loop {
        let start = memrchr(b'\n', bytes.get(..end)?).and_then(|at| at.checked_add(1));
        if start.is_none() && !whole {
            return None;
        }
        let line = bytes.get(start.unwrap_or_default()..end)?;
        if let Some(link) = Sealed::of(line).and_then(|sealed| sealed.stated()) {
            let rest = bytes.get(end..)?;
            let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            return Some((link, torn(rest.strip_suffix(b"\n").unwrap_or(rest))));
        }
        end = start?.checked_sub(1)?;
    }
}

fn torn(bytes: &[u8]) -> Option<Torn> {
    let sha256 = Hash::new(Sha256::digest(bytes).into());
    let bytes = u64::try_from(bytes.len()).ok().filter(|bytes| *bytes > 0)?;
    Some(Torn { bytes, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::seal;

    fn line(seq: u64) -> (String, Link) {
        let mut line = br#"{"v":1}"#.to_vec();
        let link = seal(&mut line, 0, seq, &Hash::NONE).unwrap();
        (String::from_utf8(line).unwrap(), link)
    }

    fn of(text: &str) -> Tail {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let tail = tail(&mut file).unwrap();
        assert_eq!(tail.length, u64::try_from(text.len()).unwrap());
        tail
    }

    fn torn_of(text: &str) -> Option<(Option<u64>, u64)> {
        let tail = of(text);
        let torn = tail.torn?;
        Some((tail.last.map(|last| last.seq), torn.bytes))
    }

    #[test]
    fn the_last_line_and_what_comes_after_it() {
        let ((one, _), (two, last)) = (line(1), line(2));
        let whole = format!("{one}{two}");
        let found = |unended| Tail {
            last: Some(last),
            torn: None,
            length: u64::try_from(whole.len()).unwrap(),
            unended,
            unseen: false,
        };
        assert_eq!(of(&whole), found(false));
        // A line that lacks its line break alone is a line.
        let unended = of(whole.trim_end());
        assert_eq!((unended.last, unended.torn, unended.unended), (Some(last), None, true));
        assert_eq!(torn_of(&format!("{whole}{{\"v\"")), Some((Some(2), 4)));
        assert_eq!(torn_of(&format!("{whole}half\nhalf")), Some((Some(2), 9)));
        assert_eq!(torn_of(&format!("{whole}half\n")), Some((Some(2), 4)));
        let of_half = of(&format!("{whole}half")).torn.unwrap().sha256;
        assert_eq!(of_half.bytes()[..], Sha256::digest("half")[..]);
    }

    #[test]
    fn a_file_without_a_chain_has_no_last_line() {
        assert_eq!(of(""), Tail::default());
        for text in ["{}\n{}\n", "{}", "\n\n"] {
            let tail = of(text);
            assert_eq!((tail.last, tail.torn), (None, None), "{text:?}");
        }
        let far = format!("{}{}", line(1).0, "x".repeat(256 * 1024));
        assert_eq!(of(&far).last, None);
    }

    #[test]
    fn a_line_that_begins_before_what_is_read_is_none() {
        // What is read begins in the middle of this line.
        let long = format!("{{\"v\":\"{}{}", "x".repeat(256 * 1024), line(1).0);
        assert_eq!(of(&long).last, None);
        let (next, link) = line(2);
        assert_eq!(of(&format!("{long}{next}")).last, Some(link));
    }
}

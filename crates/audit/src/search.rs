//! Finding the record of a decision in a file of records, however large.

use std::io::{self, BufRead};

use jiff::Timestamp;
use memchr::memmem::Finder;
use serde_json::Value;

use crate::chain::Sealed;

/// The longest line that is looked at, in bytes. A record has about 1 KB, and at most some 20.
pub(crate) const MAX_LINE: usize = 64 * 1024;
/// So many records of one id are handed out. An id is unique unless somebody copied a file.
const MAX_FOUND: usize = 16;
/// Longest id of a decision, in bytes.
const MAX_ID: usize = 256;

/// A decision's id as it stands in a record, unescaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionId(String);

/// Not the id of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a decision's id is 1 to 256 letters, digits, `-`, `_`, `.` and `:`")]
pub struct NotADecisionId;

impl DecisionId {
    /// Takes an id as it is quoted to callers.
    ///
    /// # Errors
    /// [`NotADecisionId`]
    pub fn parse(text: &str) -> Result<Self, NotADecisionId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if (1..=MAX_ID).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotADecisionId)
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// When it was made, to the millisecond, if it is a UUID of version 7 (RFC 9562 §5.7).
    #[must_use]
    pub fn made(&self) -> Option<Timestamp> {
        let parts: Vec<_> = self.0.split('-').collect();
        let [high, low, version, variant, node] = parts.as_slice() else { return None };
        let lengths = [high, low, version, variant, node].map(|part| part.len());
        let hexadecimal = parts.iter().all(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if lengths != [8, 4, 4, 4, 12] || !hexadecimal || !version.starts_with('7') {
            return None;
        }
        let millis = i64::from_str_radix(&format!("{high}{low}"), 16).ok()?;
        Timestamp::from_millisecond(millis).ok()
    }
}

/// What a search came to.
#[derive(Debug, Default, PartialEq)]
pub struct Search {
    /// The records of the decision, in the order of the file; at most 16.
    pub found: Vec<Found>,
    /// Further records of the decision.
    pub more: u64,
    /// What was reported to have come of it, in the order of the file; at most 16.
    pub outcomes: Vec<Found>,
    /// Further outcomes of it.
    pub more_outcomes: u64,
    /// Lines that were looked at.
    pub lines: u64,
    /// Decisions that have no record, as the file itself says.
    pub gaps: u64,
    /// Lines with the id that are no records, because they are too long or were damaged.
    pub unreadable: u64,
    /// Whether the last line has no end: it is being written, or its writer was stopped.
    pub torn: bool,
}

/// A record, as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its line, from 1.
    pub line: u64,
    /// Whether it goes on from the line before.
    pub standing: Standing,
    /// All of it, fields of later versions too.
    pub record: Value,
}

/// How a line stands to the one before it in the file. That it goes on from that one is not that the chain is whole, which
/// [`crate::Verifier`] tells; that it does not, means that no writer put it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its number and hash go on from the line before.
    InChain,
    /// It has no number and hash, or others.
    NotInChain,
    /// No line before it was read.
    Unknown,
}

impl Standing {
    /// Whether it is in the chain, where that can be told.
    #[must_use]
    pub const fn in_chain(self) -> Option<bool> {
        match self {
            Self::InChain => Some(true),
            Self::NotInChain => Some(false),
            Self::Unknown => None,
        }
    }

    /// Of a line after that one.
    pub(crate) fn of(line: &[u8], before: Option<&[u8]>) -> Self {
        let Some(sealed) = Sealed::of(line) else { return Self::NotInChain };
        let Some(before) = before else { return Self::Unknown };
        let before = Sealed::of(before).and_then(|before| before.stated());
        let next = before.filter(|before| before.seq.checked_add(1) == Some(sealed.seq));
        match next.and_then(|before| sealed.after(&before.hash)) {
            Some(_) => Self::InChain,
            None => Self::NotInChain,
        }
    }
}

/// Reads all of `records` and picks out those of one decision. Memory does not depend on the length of the
/// file or of its lines.
///
/// # Errors
/// The file cannot be read to its end.
pub fn search(records: &mut impl BufRead, decision: &DecisionId) -> io::Result<Search> {
    let (id, gap) = (Finder::new(decision.0.as_bytes()), Finder::new(br#","gap":"#));
    let mut search = Search::default();
    let (mut line, mut before) = (Vec::new(), Vec::new());
    loop {
        std::mem::swap(&mut line, &mut before);
        let end = next_line(records, &mut line)?;
        if matches!(end, End::OfFile) && line.is_empty() {
            return Ok(search);
        }
        let before = (search.lines > 0).then_some(before.as_slice());
        search.lines = search.lines.saturating_add(1);
        search.torn = matches!(end, End::OfFile);
        // Few lines name the id or a gap, and only they are parsed.
        if id.find(&line).is_some() || gap.find(&line).is_some() {
            search.take((&line, before), matches!(end, End::TooLong), decision);
        }
    }
}

impl Search {
    fn take(&mut self, (line, before): (&[u8], Option<&[u8]>), too_long: bool, decision: &DecisionId) {
        let record = serde_json::from_slice::<Value>(line).ok().filter(|_| !too_long);
        let Some(record) = record else {
            self.unreadable = self.unreadable.saturating_add(1);
            return;
        };
        let found = |record| Found { line: self.lines, standing: Standing::of(line, before), record };
        let names = |member: &str| record.get(member).and_then(Value::as_str) == Some(&decision.0);
        if names("decision") {
            let found = found(record);
            keep(&mut self.found, &mut self.more, found);
        } else if names("outcome_of") {
            let found = found(record);
            keep(&mut self.outcomes, &mut self.more_outcomes, found);
        } else if record.get("decision").is_none() {
            let gap = record.get("gap").and_then(Value::as_u64).unwrap_or_default();
            self.gaps = self.gaps.saturating_add(gap);
        }
    }
}

fn keep(found: &mut Vec<Found>, more: &mut u64, one: Found) {
    if found.len() < MAX_FOUND {
        found.push(one);
    } else {
        *more = more.saturating_add(1);
    }
}

pub(crate) enum End {
    OfLine,
    OfFile,
    /// The rest of the line was passed over.
    TooLong,
}

/// The next line, without its end; at most [`MAX_LINE`] bytes of it.
pub(crate) fn next_line(records: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<End> {
    line.clear();
    let mut too_long = false;
    loop {
        let buffer = match records.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(End::OfFile);
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = end.and_then(|end| buffer.get(..end)).unwrap_or(buffer);
        let room = MAX_LINE.saturating_sub(line.len());
        too_long |= piece.len() > room;
        line.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let used = piece.len().saturating_add(usize::from(end.is_some()));
        records.consume(used);
        if end.is_some() {
            return Ok(if too_long { End::TooLong } else { End::OfLine });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn record(id: &str, rest: &str) -> String {
        format!(r#"{{"v":1,"time":"2026-11-22T10:11:12.345Z","decision":"{id}"{rest}}}"#)
    }

    fn searched(file: &str, id: &str) -> Search {
        // A buffer that no line fits.
        let mut reader = BufReader::with_capacity(7, file.as_bytes());
        search(&mut reader, &DecisionId::parse(id).unwrap()).unwrap()
    }

    fn lines(search: &Search) -> Vec<u64> {
        search.found.iter().map(|found| found.line).collect()
    }

    #[test]
    fn the_record_is_found_by_its_id_alone() {
        let file = [
            record("a-1", r#","agent":"corp:a-12""#),
            record("a-12", r#","route":"a-1""#),
            r#"{"decision":["a-12"]}"#.to_owned(),
            record("a-123", ""),
            "no json a-12".to_owned(),
            record("a-12", r#","later":{"field":1}"#),
        ]
        .join("\n")
            + "\n";
        let search = searched(&file, "a-12");
        assert_eq!(lines(&search), [2, 6]);
        assert_eq!(search.found[1].record["later"]["field"], 1);
        assert_eq!((search.lines, search.unreadable, search.torn), (6, 1, false));
        assert_eq!(lines(&searched(&file, "a-2")), Vec::<u64>::new());
        assert_eq!(searched("", "a"), Search::default());
    }

    /// An outcome is told apart from its decision's record, and from lines that only mention it.
    #[test]
    fn outcomes_are_found_by_the_same_id() {
        let outcome = |id: &str, status: u16| {
            format!(r#"{{"v":1,"time":"2026-11-22T10:11:12.345Z","outcome_of":"{id}","status":{status}}}"#)
        };
        let file = [
            outcome("a-1", 200),
            record("a-1", r#","outcome_of":"a-2""#),
            r#"{"v":1,"admin":"x","outcome":"a-1"}"#.to_owned(),
            outcome("a-2", 201),
            outcome("a-1", 503),
        ];
        let search = searched(&(file.join("\n") + "\n"), "a-1");
        assert_eq!(lines(&search), [2]);
        let outcomes: Vec<_> =
            search.outcomes.iter().map(|found| (found.line, found.record["status"].as_u64())).collect();
        assert_eq!(outcomes, [(1, Some(200)), (5, Some(503))]);
        let many = searched(&format!("{}\n", outcome("a-1", 200)).repeat(20), "a-1");
        assert_eq!((many.found.len(), many.outcomes.len(), many.more_outcomes), (0, 16, 4));
    }

    #[test]
    fn a_torn_last_line_is_told_and_read_if_it_is_whole() {
        let whole = record("b", "");
        let search = searched(&format!("{}\n{whole}", record("a", "")), "b");
        assert_eq!((lines(&search), search.torn, search.unreadable), (vec![2], true, 0));
        let search = searched(&format!("{}\n{}", record("a", ""), whole.trim_end_matches('}')), "b");
        assert_eq!((lines(&search), search.torn, search.unreadable), (vec![], true, 1));
    }

    #[test]
    fn long_lines_and_gaps_are_counted() {
        let long = record("a", &format!(r#","x":"{}""#, "y".repeat(MAX_LINE)));
        let gap = r#"{"v":1,"time":"2026-11-22T10:11:12.345Z","gap":7}"#;
        let file = format!("{long}\n{gap}\n{}\n{gap}\n", record("a", r#","x":",\"gap\":9""#));
        let search = searched(&file, "a");
        assert_eq!((lines(&search), search.unreadable, search.gaps, search.lines), (vec![3], 1, 14, 4));
    }

    #[test]
    fn only_so_many_are_handed_out() {
        let file = format!("{}\n", record("a", "")).repeat(20);
        let search = searched(&file, "a");
        assert_eq!((search.found.len(), search.more), (16, 4));
    }

    /// A line is in the chain if it goes on from the line before, which nobody can make up who does not know that one.
    #[test]
    fn a_line_that_is_in_no_chain_is_told() {
        let (mut lines, mut link) = (Vec::new(), crate::chain::Hash::NONE);
        for (n, id) in ["a-1", "a-2", "a-3"].into_iter().enumerate() {
            let start = lines.len();
            lines.extend_from_slice(record(id, "").as_bytes());
            let seq = u64::try_from(n).unwrap() + 1;
            link = crate::chain::seal(&mut lines, start, seq, &link).unwrap().hash;
        }
        let whole = String::from_utf8(lines).unwrap();
        let [one, two, three] = whole.lines().collect::<Vec<_>>()[..] else { panic!("three") };
        let standing = |file: &[&str], id: &str| {
            let search = searched(&(file.join("\n") + "\n"), id);
            search.found.iter().map(|found| found.standing.in_chain()).collect::<Vec<_>>()
        };
        assert_eq!(standing(&[one, two, three], "a-2"), [Some(true)]);
        assert_eq!(standing(&[one, two, three], "a-1"), [None]);
        assert_eq!(standing(&[one, three], "a-3"), [Some(false)]);
        assert_eq!(standing(&[one, two, two], "a-2"), [Some(true), Some(false)]);
        assert_eq!(standing(&[one, "torn", two], "a-2"), [Some(false)]);
        assert_eq!(standing(&[one, &two.replace("10:11:12", "10:11:13")], "a-2"), [Some(false)]);
        assert_eq!(standing(&[one, &two.replace(r#""seq":2"#, r#""seq":3"#)], "a-2"), [Some(false)]);
        assert_eq!(standing(&[one, two, &record("a-9", "")], "a-9"), [Some(false)]);
        assert_eq!(standing(&[&record("a-9", "")], "a-9"), [Some(false)]);
        // Made by somebody who knows the line before, with another number.
        let before = Sealed::of(one.as_bytes()).unwrap().stated().unwrap();
        let mut jump = record("a-9", "").into_bytes();
        crate::chain::seal(&mut jump, 0, before.seq + 2, &before.hash).unwrap();
        assert_eq!(standing(&[one, std::str::from_utf8(&jump).unwrap().trim_end()], "a-9"), [Some(false)]);
    }

    #[test]
    fn an_id_needs_no_escapes() {
        for text in ["", "a b", "a\"", "a\\", "ä", "a\n", &"a".repeat(257)] {
            assert_eq!(DecisionId::parse(text), Err(NotADecisionId), "{text:?}");
        }
        assert!(DecisionId::parse("01938e0c-7f6b-7d4e-8000-aB_c.d:e").is_ok());
    }
}

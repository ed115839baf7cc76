//! Finding the record of a decision by its id alone, without reading the file: the id says when the decision was made, and
//! records stand about in the order of time. What came of it stands behind it.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use jiff::{SignedDuration, Timestamp};
use memchr::memmem::Finder;
use serde_json::Value;

use crate::search::{DecisionId, End, Standing, next_line};

/// How much earlier or later than its neighbours a record may stand: decisions last up to 10 s.
const BEFORE: SignedDuration = SignedDuration::from_secs(2);
const AFTER: SignedDuration = SignedDuration::from_secs(15);
/// How long after a decision's record its outcome is looked for, and in how many bytes. Envoy reports within a second of
/// the exchange's end.
const OUTCOME_WITHIN: SignedDuration = SignedDuration::from_secs(30);
const MOST_FOR_OUTCOME: u64 = 64 * 1024 * 1024;
/// Most bytes that are read for one answer.
const MOST: u64 = 256 * 1024 * 1024;
/// Below so many bytes, it is read on and not halved any more.
const NEAR: u64 = 128 * 1024;
const BUFFER: usize = 64 * 1024;

/// What a look came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// Its record, the first outcome that was reported within 30 s of it, if one was, and how the record stands to the line before.
    Found(Value, Option<Value>, Standing),
    /// None stands where it should, nor anywhere near.
    NotThere,
    /// There is too much of that time to be read for one answer.
    TooMuch,
    /// The id does not say when it was made: it is none of ours.
    NotOurs,
}

/// Looks where the record of a decision should stand.
///
/// A clock that was set back while records were written may hide one; [`crate::search`] reads everything.
///
/// # Errors
/// The file cannot be read.
pub fn look_up(file: &mut (impl Read + Seek), decision: &DecisionId) -> io::Result<Lookup> {
    let Some(made) = decision.made() else { return Ok(Lookup::NotOurs) };
    let from = made.checked_sub(BEFORE).unwrap_or(Timestamp::MIN);
    let until = made.checked_add(AFTER).unwrap_or(Timestamp::MAX);
    let low = begin_of(file, from)?;
    read_on(file, low, until, decision)
}

/// Where in a file lines from that time on could begin: within a line, or at 0. No line that begins before the next one is of
/// that time or later, as long as no line is dated later than one that stands behind it.
///
/// # Errors
/// The file cannot be read.
pub fn begin_of(file: &mut (impl Read + Seek), from: Timestamp) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.seek(SeekFrom::End(0))?);
    while high.saturating_sub(low) > NEAR {
        let middle = low.midpoint(high);
        match next_time(file, middle)? {
            Some(time) if time < from => low = middle,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The time of the first record that begins after `offset`, if one does.
fn next_time(file: &mut (impl Read + Seek), offset: u64) -> io::Result<Option<Timestamp>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::with_capacity(BUFFER, file);
    let mut line = Vec::new();
    // What is left of the line that the offset is in.
    next_line(&mut reader, &mut line)?;
    loop {
        let end = next_line(&mut reader, &mut line)?;
        if matches!(end, End::OfFile) && line.is_empty() {
            return Ok(None);
        }
        if let Some(time) = time_of(&line) {
            return Ok(Some(time));
        }
        if matches!(end, End::OfFile) {
            return Ok(None);
        }
    }
}

fn read_on(
    file: &mut (impl Read + Seek),
    offset: u64,
    until: Timestamp,
    decision: &DecisionId,
) -> io::Result<Lookup> {
    file.seek(SeekFrom::Start(offset))?;
    let id = Finder::new(decision.as_str().as_bytes());
    let mut reader = BufReader::with_capacity(BUFFER, file.take(MOST));
    let (mut line, mut before, mut seen) = (Vec::new(), Vec::new(), 0_u8);
    loop {
        std::mem::swap(&mut line, &mut before);
        let end = next_line(&mut reader, &mut line)?;
        // What is read may begin within a line.
        let known = seen > u8::from(offset > 0);
        seen = seen.saturating_add(1);
        if let Some(record) = naming(&line, "decision", &id, decision) {
            let standing = Standing::of(&line, known.then_some(before.as_slice()));
            let limit = reader.get_ref().limit().min(MOST_FOR_OUTCOME);
            reader.get_mut().set_limit(limit);
            let until = time_of(&line).and_then(|time| time.checked_add(OUTCOME_WITHIN).ok());
            let outcome = outcome_behind(&mut reader, until, &id, decision)?;
            return Ok(Lookup::Found(record, outcome, standing));
        }
        if time_of(&line).is_some_and(|time| time > until) {
            return Ok(Lookup::NotThere);
        }
        if matches!(end, End::OfFile) {
            let read_up = reader.get_ref().limit() == 0 && reader.buffer().is_empty();
            return Ok(if read_up { Lookup::TooMuch } else { Lookup::NotThere });
        }
    }
}

/// The first outcome of the decision up to then.
fn outcome_behind(
    reader: &mut impl BufRead,
    until: Option<Timestamp>,
    id: &Finder<'_>,
    decision: &DecisionId,
) -> io::Result<Option<Value>> {
    let mut line = Vec::new();
    loop {
        let end = next_line(reader, &mut line)?;
        let outcome = naming(&line, "outcome_of", id, decision);
        let late = time_of(&line).zip(until).is_some_and(|(time, until)| time > until);
        if outcome.is_some() || late || matches!(end, End::OfFile) {
            return Ok(outcome);
        }
    }
}

/// The line, if `member` of it is the decision's id.
fn naming(line: &[u8], member: &str, id: &Finder<'_>, decision: &DecisionId) -> Option<Value> {
    id.find(line)?;
    let record = serde_json::from_slice::<Value>(line).ok()?;
    (record.get(member)?.as_str()? == decision.as_str()).then_some(record)
}

/// `{"v":1,"time":"2026-11-22T10:11:12.345Z",…`: each record begins so.
fn time_of(line: &[u8]) -> Option<Timestamp> {
    let text = line.strip_prefix(br#"{"v":1,"time":""#)?.get(..24)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    const EPOCH: i64 = 1_790_000_000_000;

    fn id(millis: i64, n: u64) -> String {
        format!("{:08x}-{:04x}-7{:03x}-8000-{n:012x}", millis >> 16, millis & 0xffff, n % 4096)
    }

    fn line(millis: i64, n: u64) -> String {
        let time = Timestamp::from_millisecond(millis).unwrap();
        format!(r#"{{"v":1,"time":"{time:.3}","decision":"{}","n":{n}}}"#, id(millis, n))
    }

    /// Every record of a long file is found, whatever stands between them.
    #[test]
    fn each_record_is_found_where_it_should_stand() {
        let mut text = String::new();
        let count = 20_000;
        let at = |n: u64| EPOCH + i64::try_from(n).unwrap() * 40 - i64::try_from(n % 7).unwrap() * 100;
        for n in 0..count {
            text.push_str(&line(at(n), n));
            text.push_str("\n{\"v\":1,\"gap\":3}\nno record at all\n");
        }
        let mut file = Cursor::new(text.into_bytes());
        for n in (0..count).step_by(611).chain([count - 1]) {
            let decision = DecisionId::parse(&id(at(n), n)).unwrap();
            let Lookup::Found(record, None, _) = look_up(&mut file, &decision).unwrap() else {
                panic!("{n}")
            };
            assert_eq!(record["n"], n);
            let other = DecisionId::parse(&id(at(n), count + n)).unwrap();
            assert_eq!(look_up(&mut file, &other).unwrap(), Lookup::NotThere, "{n}");
        }
        for millis in [EPOCH - 1_000_000, at(count) + 1_000_000] {
            let decision = DecisionId::parse(&id(millis, 0)).unwrap();
            assert_eq!(look_up(&mut file, &decision).unwrap(), Lookup::NotThere);
        }
        let foreign = DecisionId::parse("a-1").unwrap();
        assert_eq!(look_up(&mut file, &foreign).unwrap(), Lookup::NotOurs);
        assert_eq!(look_up(&mut Cursor::new(Vec::new()), &foreign).unwrap(), Lookup::NotOurs);
    }

    /// The first outcome behind the record, and not one that comes much later, or of another decision.
    #[test]
    fn an_outcome_is_found_behind_its_record() {
        let outcome = |millis: i64, of: u64, status: u64| {
            let time = Timestamp::from_millisecond(millis).unwrap();
            format!(
                "{{\"v\":1,\"time\":\"{time:.3}\",\"outcome_of\":\"{}\",\"status\":{status}}}",
                id(EPOCH, of)
            )
        };
        let at = |seconds: i64| EPOCH + seconds * 1000;
        let records = [1, 2, 3, 4].map(|n| line(EPOCH, n)).join("\n");
        let outcomes = [
            outcome(at(1), 1, 200),
            outcome(at(2), 1, 404),
            outcome(at(30), 2, 500),
            line(at(31), 9),
            outcome(at(31), 3, 200),
        ];
        let text = format!("{}\n{records}\n{}\n", outcome(at(0), 4, 200), outcomes.join("\n"));
        let mut file = Cursor::new(text.into_bytes());
        let mut status_of = |n: u64| {
            let decision = DecisionId::parse(&id(EPOCH, n)).unwrap();
            let Lookup::Found(record, outcome, _) = look_up(&mut file, &decision).unwrap() else {
                panic!("{n}")
            };
            assert_eq!(record["n"], n);
            outcome.map(|outcome| outcome["status"].as_u64().unwrap())
        };
        assert_eq!([1, 2, 3, 4].map(&mut status_of), [Some(200), Some(500), None, None]);
    }

    /// Wherever in a long file it stands.
    #[test]
    fn whether_a_record_is_in_the_chain_is_told() {
        let (mut lines, mut link) = (Vec::new(), crate::chain::Hash::NONE);
        let at = |n: u64| EPOCH + i64::try_from(n).unwrap() * 40;
        for n in 0..4000 {
            if n % 500 == 7 {
                // Somebody puts another one in.
                lines.extend_from_slice(line(at(n), 10_000 + n).as_bytes());
                lines.push(b'\n');
            }
            let start = lines.len();
            lines.extend_from_slice(line(at(n), n).as_bytes());
            link = crate::chain::seal(&mut lines, start, n + 1, &link).unwrap().hash;
        }
        let mut file = Cursor::new(lines);
        let mut in_chain = |millis: i64, n: u64| {
            let decision = DecisionId::parse(&id(millis, n)).unwrap();
            let Lookup::Found(_, _, standing) = look_up(&mut file, &decision).unwrap() else { panic!("{n}") };
            standing.in_chain()
        };
        assert_eq!(in_chain(at(0), 0), None);
        for n in [1, 6, 8, 1000, 2006, 3999] {
            assert_eq!(in_chain(at(n), n), Some(true), "{n}");
        }
        for n in [7, 2007] {
            assert_eq!(in_chain(at(n), 10_000 + n), Some(false), "{n}");
            // What comes after it does not go on from it.
            assert_eq!(in_chain(at(n), n), Some(false), "{n}");
        }
    }

    #[test]
    fn another_records_mention_is_not_the_record() {
        let (wanted, other) = (id(EPOCH, 1), line(EPOCH, 2));
        let text = format!("{}\n{other}\n", other.replace("\"n\":2", &format!("\"route\":\"{wanted}\"")));
        let decision = DecisionId::parse(&wanted).unwrap();
        assert_eq!(look_up(&mut Cursor::new(text.into_bytes()), &decision).unwrap(), Lookup::NotThere);
    }
}

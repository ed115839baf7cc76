//! Whether a chain is whole. Needs nothing but public keys, and reads each line once.

mod finding;
mod run;

use std::collections::HashSet;
use std::io::{self, BufRead};

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

use crate::chain::{Hash, Link, Sealed};
use crate::entry::{self, Checkpoint, Closes, Header, Kind, Torn};
use crate::key::PublicKeys;
use crate::search::{End, next_line};
pub use finding::{Place, Remark, Report, Stretch, Violation, Why, Wrong};
use run::Run;

/// How much earlier than the one before a line may be dated: decisions last up to 10 s, and are dated when they begin.
const CLOCK: SignedDuration = SignedDuration::from_secs(15);
/// Characters of a time up to its second.
const SECONDS: usize = 19;
/// So many remarks are kept, and so many runs whose writer might still be at work.
const MAX_REMARKS: usize = 100;
const MAX_INTERRUPTED: usize = 64;

/// Reads files of records in the order in which they were written.
#[derive(Clone, Debug)]
pub struct Verifier<'k> {
    /// `None`: signatures are not looked at.
    keys: Option<&'k PublicKeys>,
    expected: Vec<Link>,
    files: Vec<String>,
    run: Option<Run>,
    /// Every writer so far.
    writers: HashSet<u128>,
    /// Where runs were that another one came after before they were closed.
    interrupted: Vec<Link>,
    /// Bytes that are no line, until a header says that they were torn.
    pending: Option<Pending>,
    /// The latest time so far.
    latest: Option<Vec<u8>>,
    report: Report,
}

/// Where a line is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    file: usize,
    line: u64,
    offset: u64,
    seq: Option<u64>,
}

#[derive(Clone, Debug)]
struct Pending {
    at: At,
    bytes: u64,
    hash: Sha256,
    /// The first one that is a whole object: no writer leaves half a line that is.
    object: Option<At>,
}

/// What a line was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Header(Link),
    /// Its link, and the hash of the line before.
    Record(Link, Hash),
    Checkpoint(Box<Checkpoint>),
    /// No line, as it seems.
    Torn,
}

/// Why files could not be verified.
#[derive(Debug, thiserror::Error)]
pub enum Unverified {
    /// They are not what was written.
    #[error("{0}")]
    Violation(Box<Violation>),
    /// One cannot be read.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
}

/// The first bad line.
#[derive(Debug)]
pub(crate) struct Failed(Box<(At, Wrong)>);

impl Failed {
    fn at(at: At, wrong: Wrong) -> Self {
        Self(Box::new((at, wrong)))
    }
}

impl<'k> Verifier<'k> {
    /// Checks signatures with `keys`; without, the chain alone. Each of `expected` must be among the lines.
    #[must_use]
    pub fn new(keys: Option<&'k PublicKeys>, expected: Vec<Link>) -> Self {
        Self {
            keys,
            expected,
            files: Vec::new(),
            run: None,
            writers: HashSet::new(),
            interrupted: Vec::new(),
            pending: None,
            latest: None,
            report: Report::default(),
        }
    }

    /// Reads the next file to its end.
    ///
    /// # Errors
    /// [`Unverified`]: the first line that is wrong. Nothing after it can be judged.
    pub fn file(&mut self, name: &str, records: &mut impl BufRead) -> Result<(), Unverified> {
        self.begin_file(name);
        let (mut line, mut number, mut offset) = (Vec::with_capacity(4096), 0_u64, 0_u64);
        loop {
            let end = next_line(records, &mut line)?;
            if matches!(end, End::OfFile) && line.is_empty() {
                if number == 0 {
                    let at = At { file: self.files.len().saturating_sub(1), line: 1, offset: 0, seq: None };
                    self.unvouched(at, at, Why::Nothing);
                }
                return self.none_set_aside().map_err(|failed| self.violation(&failed));
            }
            number = number.saturating_add(1);
            self.line(&line, &end, (number, offset)).map_err(|failed| self.violation(&failed))?;
            let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
            offset = offset.saturating_add(length).saturating_add(1);
        }
    }

    /// What there is to say at the end of the last file.
    ///
    /// # Errors
    /// A line that was expected is not there.
    pub fn finish(mut self) -> Result<Report, Box<Violation>> {
        if let Some(missing) = self.expected.first() {
            return Err(Box::new(Violation { place: None, wrong: Wrong::NotThere(*missing) }));
        }
        match self.run.take() {
            None if self.report.unvouched.is_empty() => {
                self.report.unvouched.push(Stretch { from: None, through: None, why: Why::Nothing });
            }
            None => {}
            Some(run) => {
                self.report.head = Some(run.last());
                self.settle(&run);
            }
        }
        Ok(self.report)
    }

    pub(crate) fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
        self.report.files = self.report.files.saturating_add(1);
    }

    pub(crate) fn violation(&self, failed: &Failed) -> Unverified {
        let (at, wrong) = &*failed.0;
        Unverified::Violation(Box::new(Violation { place: Some(self.place(*at)), wrong: wrong.clone() }))
    }

    fn place(&self, At { file, line, offset, seq }: At) -> Place {
        Place { file: self.files.get(file).cloned().unwrap_or_default(), line, offset, seq }
    }

    /// Whatever was set aside is not going to be found by a writer any more.
    fn none_set_aside(&mut self) -> Result<(), Failed> {
        self.pending.take().map_or(Ok(()), |pending| Err(Failed::at(pending.at, Wrong::NotALine)))
    }

    /// Takes one line: its number in the file, and where it begins.
    pub(crate) fn line(
        &mut self,
        line: &[u8],
        end: &End,
        (number, offset): (u64, u64),
    ) -> Result<Step, Failed> {
        self.report.lines = self.report.lines.saturating_add(1);
        let sealed = Sealed::of(line);
        let seq = sealed.map(|sealed| sealed.seq);
        let at = At { file: self.files.len().saturating_sub(1), line: number, offset, seq };
        match end {
            End::TooLong => return Err(Failed::at(at, Wrong::TooLong)),
            End::OfFile => {
                // Cut, or still being written: nothing is known of it.
                self.none_set_aside()?;
                self.unvouched(at, at, Why::Torn);
                return Ok(Step::Torn);
            }
            End::OfLine => {}
        }
        let Some(sealed) = sealed else {
            self.set_aside(line, at);
            return Ok(Step::Torn);
        };
        let begin = entry::begin(line);
        // Only a header can say that what stands before it was torn.
        if begin.is_none_or(|(kind, _)| kind != Kind::Header) {
            self.none_set_aside()?;
        }
        let (kind, time) = begin.ok_or_else(|| Failed::at(at, Wrong::Changed))?;
        let step = match kind {
            Kind::Header => Step::Header(self.header(line, &sealed, at)?),
            Kind::Record | Kind::Checkpoint => {
                let (link, before) = self.link(&sealed, at)?;
                if kind == Kind::Checkpoint {
                    let checkpoint =
                        entry::checkpoint(line).ok_or_else(|| Failed::at(at, Wrong::Checkpoint))?;
                    self.checkpoint(&checkpoint, &sealed, link, at)?;
                    Step::Checkpoint(Box::new(checkpoint))
                } else {
                    self.report.records = self.report.records.saturating_add(1);
                    if let Some(run) = &mut self.run {
                        run.record(link, at);
                    }
                    Step::Record(link, before)
                }
            }
        };
        self.expected.retain(|expected| self.run.as_ref().map(Run::last) != Some(*expected));
        self.clock(time, at);
        Ok(step)
    }

    /// Keeps bytes that are no line until it is known whether a writer found them.
    fn set_aside(&mut self, line: &[u8], at: At) {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let object = is_object(line).then_some(at);
        match &mut self.pending {
            None => {
                let hash = Sha256::new_with_prefix(line);
                self.pending = Some(Pending { at, bytes: length, hash, object });
            }
            Some(pending) => {
                pending.object = pending.object.or(object);
                pending.bytes = pending.bytes.saturating_add(length).saturating_add(1);
                pending.hash.update(b"\n");
                pending.hash.update(line);
            }
        }
    }

    /// The link of a line that has to come next, and the hash of the line before.
    fn link(&self, sealed: &Sealed<'_>, at: At) -> Result<(Link, Hash), Failed> {
        let run = self.run.as_ref().ok_or_else(|| Failed::at(at, Wrong::Headless))?;
        let (expected, found) = (run.last().seq.saturating_add(1), sealed.seq);
        let link = if found == expected { sealed.after(&run.last().hash) } else { None };
        let Some(link) = link else {
            let elsewhere =
                |link: &Link| link.seq.checked_add(1) == Some(found) && sealed.after(&link.hash).is_some();
            let wrong = if self.interrupted.iter().any(elsewhere) {
                Wrong::TwoWriters
            } else if found == expected {
                Wrong::Changed
            } else {
                Wrong::Order { expected, found }
            };
            return Err(Failed::at(at, wrong));
        };
        if run.closed().is_some() {
            return Err(Failed::at(at, Wrong::AfterEnd));
        }
        Ok((link, run.last().hash))
    }

    fn header(&mut self, line: &[u8], sealed: &Sealed<'_>, at: At) -> Result<Link, Failed> {
        let failed = |wrong| Failed::at(at, wrong);
        let header = entry::header(line).ok_or_else(|| failed(Wrong::Header))?;
        if header.chain != entry::CHAIN {
            return Err(failed(Wrong::Version(header.chain)));
        }
        let named = name(&header.writer).ok_or_else(|| failed(Wrong::Header))?;
        let before = header.continues.map_or(Hash::NONE, |link| link.hash);
        let link = sealed.after(&before).ok_or_else(|| failed(Wrong::Changed))?;
        let same = self.run.as_ref().is_some_and(|run| run.writer() == header.writer);
        self.comes_next(&header, named, link, (same, at)).map_err(failed)?;
        self.found_torn(&header, at)?;
        if same {
            if let Some(run) = &mut self.run {
                run.go_on(link, at);
            }
            return Ok(link);
        }
        if let Some(old) = self.run.replace(Run::begin(header.writer.clone(), link, at)) {
            self.settle(&old);
            if old.closed().is_none() && self.interrupted.len() < MAX_INTERRUPTED {
                self.interrupted.push(old.last());
            }
            if header.continues.is_none() {
                self.unvouched(at, at, Why::Anew);
            }
        } else if let Some(after) = header.continues {
            self.remark(Remark::Begins { place: self.place(at), after });
        }
        self.writers.insert(named);
        self.report.runs = self.report.runs.saturating_add(1);
        Ok(link)
    }

    /// Whether a header can come after what came before.
    fn comes_next(
        &self,
        header: &Header,
        named: u128,
        link: Link,
        (same, at): (bool, At),
    ) -> Result<(), Wrong> {
        let goes_on = header.continues.is_some_and(|after| after.seq.checked_add(1) == Some(link.seq));
        let Some(run) = &self.run else {
            // A run that begins with its own header after another one's line has found that line in the same file.
            let first = link.seq == 1 && header.continues.is_none();
            return if goes_on || first { Ok(()) } else { Err(Wrong::Headless) };
        };
        let last = run.last();
        let again = !same && self.writers.contains(&named);
        // Whoever can read what he writes into finds the line before.
        let blind = header.continues.is_none() && at.line > 1 && !header.unseen;
        if again || goes_on != same || (!same && link.seq != 1) || blind {
            return Err(Wrong::Order { expected: last.seq.saturating_add(1), found: link.seq });
        }
        match header.continues {
            Some(after) if after != last => {
                let passed = run.has_passed(after) || self.interrupted.contains(&after);
                Err(if !same && passed { Wrong::TwoWriters } else { Wrong::Follows { after, last } })
            }
            Some(_) if same && run.closed() == Some(Closes::Run) => Err(Wrong::AfterEnd),
            Some(_) | None => Ok(()),
        }
    }

    /// What was set aside has to be what the header's writer found.
    fn found_torn(&mut self, header: &Header, at: At) -> Result<(), Failed> {
        match (self.pending.take(), header.torn, header.unchained) {
            (None, None, None) => Ok(()),
            (None, Some(_), _) | (None, None, Some(_)) => Err(Failed::at(at, Wrong::TornGone)),
            (Some(Pending { object: Some(put), .. }), torn, _) if torn.is_some() || header.unseen => {
                Err(Failed::at(put, Wrong::NotALine))
            }
            (Some(pending), None, None) if header.unseen => {
                self.unvouched(pending.at, at, Why::Torn);
                Ok(())
            }
            (Some(pending), Some(torn), _) => {
                let sha256 = Hash::new(pending.hash.finalize().into());
                if torn != (Torn { bytes: pending.bytes, sha256 }) {
                    return Err(Failed::at(pending.at, Wrong::NotALine));
                }
                self.unvouched(pending.at, at, Why::Torn);
                Ok(())
            }
            (Some(pending), None, unchained) => {
                if unchained != Some(at.offset) || pending.at.offset > 0 {
                    return Err(Failed::at(pending.at, Wrong::NotALine));
                }
                self.unvouched(pending.at, at, Why::Unchained);
                Ok(())
            }
        }
    }

    fn checkpoint(
        &mut self,
        checkpoint: &Checkpoint,
        sealed: &Sealed<'_>,
        link: Link,
        at: At,
    ) -> Result<(), Failed> {
        let Some(run) = &mut self.run else { return Err(Failed::at(at, Wrong::Headless)) };
        if !run.is_summed_up(checkpoint) {
            return Err(Failed::at(at, Wrong::Checkpoint));
        }
        let signed = signature(self.keys, checkpoint, sealed).map_err(|wrong| Failed::at(at, wrong))?;
        run.checkpoint(link, at, checkpoint.closes, signed || self.keys.is_none());
        self.report.checkpoints = self.report.checkpoints.saturating_add(1);
        self.report.signed = self.report.signed.saturating_add(u64::from(signed));
        Ok(())
    }

    /// Says what nobody vouches for of a run that is over.
    fn settle(&mut self, run: &Run) {
        let (from, through) = (run.unvouched(), run.at());
        let why = match (from, run.closed()) {
            (Some(_), Some(_)) => Why::Unsigned,
            (_, None) => Why::Unended,
            (None, Some(Closes::File)) => Why::FileMissing,
            (None, Some(Closes::Run)) => return,
        };
        self.unvouched(from.unwrap_or(through), through, why);
    }

    fn unvouched(&mut self, from: At, through: At, why: Why) {
        let (from, through) = (Some(self.place(from)), Some(self.place(through)));
        if self.report.unvouched.len() < MAX_REMARKS {
            self.report.unvouched.push(Stretch { from, through, why });
        } else {
            self.report.more_unvouched = self.report.more_unvouched.saturating_add(1);
        }
    }

    fn remark(&mut self, remark: Remark) {
        if self.report.remarks.len() < MAX_REMARKS {
            self.report.remarks.push(remark);
        } else {
            self.report.more_remarks = self.report.more_remarks.saturating_add(1);
        }
    }

    /// Tells once of each step back.
    fn clock(&mut self, time: &[u8], at: At) {
        let Some(latest) = &mut self.latest else {
            self.latest = Some(time.to_vec());
            return;
        };
        if time >= latest.as_slice() {
            latest.clear();
            latest.extend_from_slice(time);
            return;
        }
        if time.get(..SECONDS) == latest.get(..SECONDS) {
            return;
        }
        let read = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<Timestamp>().ok();
        let back = read(latest).zip(read(time)).map(|(latest, time)| latest.duration_since(time));
        if let Some(by) = back.filter(|by| *by > CLOCK) {
            latest.clear();
            latest.extend_from_slice(time);
            self.remark(Remark::ClockBack { place: self.place(at), seconds: by.as_secs() });
        }
    }
}

/// Whether it is a JSON object from its begin to its end.
fn is_object(line: &[u8]) -> bool {
    let begins = line.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    begins && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// A writer's name: 32 hex digits, in lower case.
fn name(writer: &str) -> Option<u128> {
    let named = u128::from_str_radix(writer, 16).ok()?;
    (format!("{named:032x}") == writer).then_some(named)
}

/// Whether the checkpoint is signed, and if so, by one of the keys.
pub(crate) fn signature(
    keys: Option<&PublicKeys>,
    checkpoint: &Checkpoint,
    sealed: &Sealed<'_>,
) -> Result<bool, Wrong> {
    let signed = entry::signed(sealed.content);
    let Some(id) = &checkpoint.kid else {
        return if signed.is_none() { Ok(false) } else { Err(Wrong::Checkpoint) };
    };
    let (message, signature) = signed.ok_or(Wrong::Signature)?;
    let Some(keys) = keys else { return Ok(true) };
    let key = keys.get(id).ok_or_else(|| Wrong::UnknownKey(id.clone()))?;
    let fits = checkpoint.alg.as_deref() == Some(key.algorithm()) && key.has_signed(message, &signature);
    if fits { Ok(true) } else { Err(Wrong::Signature) }
}

#[cfg(test)]
mod tests;

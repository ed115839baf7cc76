//! Logs in memory, made by what makes those in files.

use std::num::NonZeroU32;

use jiff::{SignedDuration, Timestamp};

use crate::entry::Closes;
use crate::key::{PublicKeys, SigningKey};
use crate::ledger::{Begin, Checkpoints, Ledger, Page};
use crate::tail::{Tail, end};
use crate::verify::{Report, Unverified, Verifier, Violation};

pub(crate) fn at(second: i64) -> Timestamp {
    "2026-11-22T10:11:12Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
}

/// A file, and whoever writes it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) bytes: Vec<u8>,
    pub(crate) ledger: Ledger,
    pub(crate) checkpoints: Checkpoints,
    /// The time of the next line, in seconds.
    pub(crate) second: i64,
    /// Whether what was written cannot be read again.
    pub(crate) piped: bool,
    records: u64,
}

impl Log {
    /// An empty file and a writer who has not begun. A checkpoint comes after each 10 lines.
    pub(crate) fn new(key: Option<SigningKey>) -> Self {
        let records = NonZeroU32::new(10).unwrap();
        let checkpoints = Checkpoints { key, every: SignedDuration::from_hours(1), records };
        Self {
            bytes: Vec::new(),
            ledger: Ledger::new().unwrap(),
            checkpoints,
            second: 0,
            piped: false,
            records: 0,
        }
    }

    /// One that is begun, has as many records, and is not closed.
    pub(crate) fn of(key: Option<SigningKey>, records: u64) -> Self {
        let mut log = Self::new(key);
        log.begin(Begin::Run);
        log.records(records);
        log
    }

    pub(crate) fn put(&mut self, put: impl FnOnce(&mut Page<'_>)) {
        let mut page = Page::new(&self.ledger, &self.checkpoints, at(self.second), Vec::new());
        put(&mut page);
        self.ledger = page.ledger;
        self.bytes.extend(page.lines);
    }

    pub(crate) fn begin(&mut self, begin: Begin) {
        let tail = end(&self.bytes, true, u64::try_from(self.bytes.len()).unwrap());
        let unended = tail.unended;
        let tail = if self.piped { Tail::unseen() } else { tail };
        if unended {
            self.bytes.push(b'\n');
        }
        self.put(|page| page.begin(begin, &tail).unwrap());
    }

    pub(crate) fn records(&mut self, count: u64) {
        for _ in 0..count {
            let (n, time) = (self.records, at(self.second));
            self.put(|page| {
                let json =
                    format!(r#"{{"v":1,"time":"{time:.3}","decision":"d-{n}","agent":"corp:crm-bot"}}"#);
                page.record(json.as_bytes()).unwrap();
            });
            self.records += 1;
        }
    }

    pub(crate) fn close(&mut self, closes: Closes) {
        self.put(|page| page.checkpoint(Some(closes)).unwrap());
    }

    /// Goes on with an empty file, and gives the old one.
    pub(crate) fn rotate(&mut self) -> Vec<u8> {
        self.close(Closes::File);
        let old = std::mem::take(&mut self.bytes);
        self.begin(Begin::File);
        old
    }

    /// Another process goes on with the same file.
    pub(crate) fn restart(&mut self, key: Option<SigningKey>) {
        self.ledger = Ledger::new().unwrap();
        self.checkpoints.key = key;
        self.begin(Begin::Run);
    }

    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        self.bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

/// What files come to, one after the other.
#[expect(clippy::result_large_err, reason = "tests compare violations as they are")]
pub(crate) fn verified(keys: Option<&PublicKeys>, files: &[&[u8]]) -> Result<Report, Violation> {
    let mut verifier = Verifier::new(keys, Vec::new());
    for (file, name) in files.iter().zip('a'..) {
        match verifier.file(&name.to_string(), &mut &file[..]) {
            Ok(()) => {}
            Err(Unverified::Violation(violation)) => return Err(*violation),
            Err(Unverified::Unreadable(error)) => panic!("{error}"),
        }
    }
    verifier.finish().map_err(|violation| *violation)
}

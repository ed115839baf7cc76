//! What was found: of which kind, how bad, and how it was seen.

use std::fmt;

use serde_json::{Value, json};

use crate::output::plain;

/// Longest text of what was seen, in characters.
const MOST: usize = 2_000;

/// What may be found. Its name stays, so that programs can tell it.
#[derive(Debug)]
pub(super) struct Kind {
    /// A word for programs.
    pub(super) id: &'static str,
    /// What is wrong, if it is found.
    pub(super) what: &'static str,
    /// What to do then.
    pub(super) todo: &'static str,
    /// Where it is explained.
    pub(super) page: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    /// Requests are refused, or may pass that must not, now or at the next start.
    Wrong,
    /// It may be meant, and may not be.
    Doubtful,
    /// It could not be looked at.
    Unknown,
    /// It was looked at, and nothing is wrong.
    Fine,
}

impl Severity {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Doubtful => "doubtful",
            Self::Unknown => "unknown",
            Self::Fine => "fine",
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) kind: &'static Kind,
    pub(super) severity: Severity,
    /// Which value, where: nothing of a secret.
    pub(super) seen: String,
}

impl Finding {
    pub(super) fn new(kind: &'static Kind, severity: Severity, seen: impl Into<String>) -> Self {
        Self { kind, severity, seen: seen.into() }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "finding": self.kind.id,
            "severity": self.severity.word(),
            "what": self.kind.what,
            "seen": self.seen,
            "do": self.kind.todo,
            "page": self.kind.page,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, severity, seen } = self;
        let mut lines =
            seen.lines().map(|line| plain(line, MOST)).map(|line| line.trim_matches('"').to_owned());
        let first = lines.next().unwrap_or_default();
        if *severity == Severity::Fine {
            return write!(f, "{:<8} {}: {first}", severity.word(), kind.id);
        }
        write!(f, "{:<8} {}: {}\n  seen:  {first}", severity.word(), kind.id, kind.what)?;
        for line in lines {
            write!(f, "\n         {line}")?;
        }
        if *severity == Severity::Unknown {
            return Ok(());
        }
        write!(f, "\n  do:    {}\n  page:  {}", kind.todo, kind.page)
    }
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, kind: &'static Kind, severity: Severity, seen: impl Into<String>) {
        self.0.push(Finding::new(kind, severity, seen));
    }

    /// What is wrong if `wrong` says so.
    pub(super) fn check(
        &mut self,
        kind: &'static Kind,
        if_so: Severity,
        wrong: bool,
        seen: impl Into<String>,
    ) {
        self.add(kind, if wrong { if_so } else { Severity::Fine }, seen);
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|finding| finding.severity == severity).count()
    }
}

#[cfg(test)]
impl Findings {
    /// The names and severities of all but what is fine.
    pub(super) fn bad(&self) -> Vec<(&'static str, Severity)> {
        let bad = self.0.iter().filter(|finding| finding.severity != Severity::Fine);
        bad.map(|finding| (finding.kind.id, finding.severity)).collect()
    }
}

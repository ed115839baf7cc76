//! What was answered, and what was to be.

use std::fmt;
use std::str::FromStr;

use exequatur_decide::Reason;

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Permit,
    /// By the caller's fault; the reason is empty where none was told.
    Deny(String),
    /// By the server's.
    Fault(String),
}

impl Verdict {
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Deny(_) => "deny",
            Self::Fault(_) => "fault",
        }
    }

    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Self::Permit => None,
            Self::Deny(reason) | Self::Fault(reason) => {
                Some(reason).filter(|reason| !reason.is_empty()).map(String::as_str)
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason() {
            Some(reason) => write!(f, "{} {reason}", self.word()),
            None => f.write_str(self.word()),
        }
    }
}

/// What was to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Permit,
    Deny,
    Fault,
    Reason(Reason),
}

impl Expected {
    /// No verdict is never what was expected.
    pub(super) fn is(self, verdict: Option<&Verdict>) -> bool {
        match (self, verdict) {
            (Self::Permit, Some(Verdict::Permit))
            | (Self::Deny, Some(Verdict::Deny(_)))
            | (Self::Fault, Some(Verdict::Fault(_))) => true,
            (Self::Reason(reason), Some(Verdict::Deny(told) | Verdict::Fault(told))) => told == reason.code(),
            (Self::Permit | Self::Deny | Self::Fault | Self::Reason(_), _) => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permit => "permit",
            Self::Deny => "deny",
            Self::Fault => "fault",
            Self::Reason(reason) => reason.code(),
        })
    }
}

impl FromStr for Expected {
    type Err = String;

    /// A word that nothing could ever answer is a mistake, not an expectation that is never met.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "permit" => Ok(Self::Permit),
            "deny" => Ok(Self::Deny),
            "fault" => Ok(Self::Fault),
            reason => Reason::ALL
                .iter()
                .find(|known| known.code() == reason)
                .map(|known| Self::Reason(*known))
                .ok_or_else(|| {
                    "`permit`, `deny`, `fault`, or a reason of docs/reference/reasons.md".to_owned()
                }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_expected_is_and_no_verdict_never() {
        let verdicts = [
            Some(Verdict::Permit),
            Some(Verdict::Deny("dpop_replay".to_owned())),
            Some(Verdict::Fault("overloaded".to_owned())),
            None,
        ];
        for (expected, meets) in [
            ("permit", [true, false, false, false]),
            ("deny", [false, true, false, false]),
            ("fault", [false, false, true, false]),
            ("dpop_replay", [false, true, false, false]),
            ("overloaded", [false, false, true, false]),
            ("token_expired", [false; 4]),
        ] {
            let expected: Expected = expected.parse().unwrap();
            assert_eq!(verdicts.each_ref().map(|verdict| expected.is(verdict.as_ref())), meets, "{expected}");
        }
        for wrong in ["", "Permit", "denied", "no_such_reason"] {
            assert!(wrong.parse::<Expected>().is_err(), "{wrong}");
        }
    }
}

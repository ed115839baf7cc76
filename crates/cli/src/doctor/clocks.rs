//! This machine's clock against others'.

use jiff::{SignedDuration, Timestamp};

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// What another clock said, and when.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) whose: String,
    pub(super) told: Timestamp,
    pub(super) asked: Timestamp,
    pub(super) answered: Timestamp,
    /// By how much what was told may be too early.
    pub(super) cut: SignedDuration,
}

/// Judges them: a clock that was right somewhere between question and answer is right. `skew`: what proofs are forgiven.
pub(super) fn judge(clocks: &[Told], skew: SignedDuration, findings: &mut Findings) {
    for Told { whose, told, asked, answered, cut } in clocks {
        let latest = told.saturating_add(*cut).unwrap_or(*told);
        let (off, way) = if told > answered {
            (told.duration_since(*answered), "behind")
        } else if latest < *asked {
            (asked.duration_since(latest), "ahead of")
        } else {
            (SignedDuration::ZERO, "with")
        };
        let severity = if off > skew {
            Severity::Wrong
        } else if off > skew / 2 {
            Severity::Doubtful
        } else {
            Severity::Fine
        };
        let millis = off.as_millis();
        let seen =
            format!("this machine is {millis} ms {way} {whose}; proofs are forgiven {} ms", skew.as_millis());
        findings.add(&found::SKEW, severity, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_what_proofs_are_forgiven() {
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).unwrap();
        let judged = |told, cut| {
            let told = Told {
                whose: "corp".to_owned(),
                told: at(told),
                asked: at(0),
                answered: at(100),
                cut: SignedDuration::from_millis(cut),
            };
            let mut findings = Findings::default();
            judge(&[told], SignedDuration::from_secs(5), &mut findings);
            findings.bad().first().map(|(_, severity)| *severity)
        };
        for (told, cut, expected) in [
            (50, 0, None),
            (2_600, 0, None),
            (2_601, 0, Some(Severity::Doubtful)),
            (5_100, 0, Some(Severity::Doubtful)),
            (5_101, 0, Some(Severity::Wrong)),
            (-2_500, 0, None),
            (-2_501, 0, Some(Severity::Doubtful)),
            (-5_001, 0, Some(Severity::Wrong)),
            // The answer said whole seconds.
            (-3_500, 1_000, None),
            (-6_001, 1_000, Some(Severity::Wrong)),
        ] {
            assert_eq!(judged(told, cut), expected, "{told} {cut}");
        }
    }
}

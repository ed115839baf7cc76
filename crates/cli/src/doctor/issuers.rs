//! The issuers' keys.

use exequatur_server::config::Config;
use exequatur_server::{ToldTime, examine_issuers};
use jiff::SignedDuration;

use super::catalogue as found;
use super::clocks::Told;
use super::finding::{Findings, Severity};

/// What became of an issuer's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    name: String,
    usable: usize,
    skipped: usize,
    error: Option<String>,
}

/// `Date` has whole seconds.
const CUT: SignedDuration = SignedDuration::from_secs(1);

/// Loads them, once.
pub(super) async fn probe(config: &Config) -> Result<(Vec<Keys>, Vec<Told>), String> {
    let (status, times) = examine_issuers(config).await.map_err(|error| error.to_string())?;
    let keys = status.into_iter().map(|status| Keys {
        name: status.name.to_string(),
        usable: status.keys,
        skipped: status.skipped_keys,
        error: status.last_error.map(|error| error.to_string()),
    });
    let told = times.into_iter().map(|ToldTime { whose, told, asked, answered }| Told {
        whose: format!("issuer {whose}"),
        told,
        asked,
        answered,
        cut: CUT,
    });
    Ok((keys.collect(), told.collect()))
}

/// Judges them.
pub(super) fn judge(keys: &[Keys], findings: &mut Findings) {
    for Keys { name, usable, skipped, error } in keys {
        let seen = match error {
            Some(error) => format!("issuer {name}: {error}"),
            None if *usable == 0 => format!("issuer {name}: no key that can be used came in time"),
            None => format!("issuer {name}: {usable} keys"),
        };
        findings.check(&found::KEYS, Severity::Wrong, error.is_some() || *usable == 0, seen);
        if error.is_none() {
            let seen = format!("issuer {name}: {skipped} keys beside {usable} that are used");
            findings.check(&found::SKIPPED, Severity::Doubtful, *skipped > 0, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_judged_by_what_became_of_their_load() {
        use Severity::{Doubtful, Wrong};
        for (usable, skipped, error, expected) in [
            (2, 0, None, vec![]),
            (0, 0, None, vec![("issuer-keys-unavailable", Wrong)]),
            (2, 1, None, vec![("issuer-keys-skipped", Doubtful)]),
            (0, 0, Some("answered with status 404"), vec![("issuer-keys-unavailable", Wrong)]),
        ] {
            let error = error.map(str::to_owned);
            let mut findings = Findings::default();
            judge(&[Keys { name: "corp".to_owned(), usable, skipped, error }], &mut findings);
            assert_eq!(findings.bad(), expected);
        }
    }
}

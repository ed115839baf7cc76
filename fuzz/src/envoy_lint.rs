//! Envoy bootstraps: judged with places that are in the text, or unreadable for a reason that can be shown.

use std::time::Duration;

use exequatur_lint::{Options, lint};

/// The laws.
pub fn run(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let options = Options {
        deadline: Duration::from_millis(150),
        headers: vec!["x-exequatur-agent".to_owned()],
        overrides: vec!["x-method".to_owned()],
        largest_check: 256 * 1024,
    };
    match lint(text, &options) {
        Ok(report) => {
            let lines = text.split(['\n', '\r']).count();
            for finding in &report.findings {
                assert!((1..=lines).contains(&finding.place.line), "{finding:?}");
            }
            let again = lint(text, &options).map(|report| report.findings.len());
            assert_eq!(again.ok(), Some(report.findings.len()));
        }
        Err(unreadable) => assert!(!unreadable.to_string().is_empty()),
    }
}

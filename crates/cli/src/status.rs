//! `exequatur status`

use std::time::Duration;

use clap::Args;
use exequatur_admin::status::{Finding, IssuerReport, ReplicaStatus, Report, Status as Answer};
use serde_json::{Value, json};

use crate::admin::{Admin, Sent, table};
use crate::exit::{Failure, say};
use crate::output::{Output, plain, say_json};

/// Longest text in the table.
const MOST: usize = 253;
/// So much of a digest tells it from another.
const SHOWN: usize = 8;

/// How the replicas are: what each decides by, how far it is behind, its keys, its store.
///
/// Whatever one of them is asked, it tells of all that share its store. Ends with 0 if all is well, and with 1 if
/// something is wrong: a replica is silent, behind or not ready, two decide by different files, a reload was refused, keys
/// could not be loaded, a store cannot be asked.
#[derive(Args, Debug)]
pub(crate) struct Status {
    #[command(flatten)]
    admin: Admin,
    /// How to show it.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Status {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let status: Answer = self.admin.ask("/v1/status", &Sent::<Value>::Get)?;
        match self.output {
            Output::Json => say_json(&json!(status))?,
            Output::Text => show(&status)?,
        }
        if status.findings.is_empty() { Ok(()) } else { Err(Failure::Findings) }
    }
}

fn show(status: &Answer) -> Result<(), Failure> {
    let head = [
        "REPLICA",
        "ID",
        "STATE",
        "VERSION",
        "UP",
        "HEARD",
        "LAG",
        "GENERATION",
        "RULES/POLICIES",
        "KEYS",
        "STORE",
        "REVOKED",
    ];
    table(head, status.replicas.iter().map(row))?;
    if status.unlisted > 0 {
        say(format_args!("and {} more", status.unlisted))?;
    }
    if status.findings.is_empty() {
        return say("all is well");
    }
    status.findings.iter().try_for_each(|finding| say(told(finding, &status.replicas)))
}

fn row(replica: &ReplicaStatus) -> [String; 12] {
    let name = replica.name.as_deref().map_or_else(|| "-".to_owned(), |name| plain(name, MOST));
    let heard = format!("{} ago", ago(Duration::from_millis(replica.heard_ms)));
    let lag = replica.lag.map_or_else(|| "?".to_owned(), |lag| lag.to_string());
    let unknown = || "?".to_owned();
    let [state, version, up, generation, files, keys, store, revoked] = match &replica.report {
        Some(report) => said(report),
        None => std::array::from_fn(|_| unknown()),
    };
    let id = plain(&replica.id, MOST);
    [name, id, state, version, up, heard, lag, generation, files, keys, store, revoked]
}

fn said(report: &Report) -> [String; 8] {
    let generation = &report.generation;
    let start = |digest: &str| plain(&digest.chars().take(SHOWN).collect::<String>(), SHOWN);
    let up = report.at.0.duration_since(report.started.0);
    let known = format!("{:?}", report.revocations.known).to_lowercase();
    [
        report.state.word().to_owned(),
        plain(&report.version, MOST),
        ago(Duration::try_from(up).unwrap_or_default()),
        generation.number.to_string(),
        format!("{}/{}", start(&generation.rules), start(&generation.policies)),
        keys(report),
        if report.store.error.is_some() { "down".to_owned() } else { plain(&report.store.kind, MOST) },
        if known == "known" { report.revocations.entries.to_string() } else { known },
    ]
}

/// The oldest of all issuers' keys, or that one has none.
fn keys(report: &Report) -> String {
    if report.issuers.iter().any(|issuer| !issuer.usable) {
        return "missing".to_owned();
    }
    let oldest = report.issuers.iter().filter_map(|issuer: &IssuerReport| issuer.age_s).max();
    oldest.map_or_else(|| "-".to_owned(), |age| ago(Duration::from_secs(age)))
}

/// A span in its largest unit that says enough.
fn ago(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..600 => format!("{seconds}s"),
        600..36_000 => format!("{}m", seconds / 60),
        _ => format!("{}h", seconds / 3600),
    }
}

fn told(finding: &Finding, replicas: &[ReplicaStatus]) -> String {
    let message = plain(&finding.message, 1_000).trim_matches('"').to_owned();
    let Some(id) = &finding.replica else { return message };
    let named = replicas.iter().find(|replica| replica.id == *id).and_then(|replica| replica.name.as_deref());
    match named {
        Some(name) => format!("{} ({}) {message}", plain(name, MOST), plain(id, MOST)),
        None => format!("{} {message}", plain(id, MOST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_unit() {
        for (millis, expected) in [
            (0, "0ms"),
            (412, "412ms"),
            (9_000, "9s"),
            (61_000, "61s"),
            (600_000, "10m"),
            (36_000_000, "10h"),
        ] {
            assert_eq!(ago(Duration::from_millis(millis)), expected);
        }
    }

    /// What another process said may hold anything.
    #[test]
    fn what_is_told_is_harmless() {
        let finding = Finding {
            finding: "reload_failed".to_owned(),
            replica: Some("a\u{1b}[2J".to_owned()),
            message: "refused\u{7}".to_owned(),
        };
        let text = told(&finding, &[]);
        assert!(!text.chars().any(char::is_control) && text.contains("refused"), "{text}");
    }
}

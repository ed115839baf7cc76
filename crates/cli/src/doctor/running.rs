//! The server that runs with this configuration, if one does.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use exequatur_admin::status::{Report, Status};
use exequatur_server::config::{Config, GrpcAddress};
use serde_json::Value;

use super::catalogue as found;
use super::finding::{Findings, Severity};
use crate::admin::{Admin, Sent};
use crate::healthcheck::{self, Health};

/// How it was found.
#[derive(Debug)]
pub(super) struct Running {
    /// What its public listener says; nothing if nobody answers.
    health: Option<Health>,
    /// Nobody answers, and somebody listens.
    hangs: bool,
    /// What its admin socket says, or why it says nothing; `None` if there is none.
    status: Option<Result<Status, String>>,
    /// Of a server that does not run: which addresses cannot be listened on, and why.
    taken: Vec<String>,
}

/// What the files say now.
#[derive(Debug)]
pub(super) struct Files {
    /// SHA-256 of the configuration, in hexadecimal digits.
    pub(super) configuration: String,
    /// The content hash of policies and schema.
    pub(super) policies: String,
}

/// Asks it. Blocks for at most three times `within`.
pub(super) fn probe(config: &Config, within: Duration) -> Running {
    let health = healthcheck::health_of(config.listen.public, within).ok();
    let socket = config.listen.admin.as_deref().filter(|_| health.is_some());
    let status = socket.map(|socket| {
        let asked = Admin::at(socket, within).ask::<Value, Status>("/v1/status", &Sent::Get);
        asked.map_err(|failure| failure.to_string())
    });
    let hangs = health.is_none() && healthcheck::is_listened_at(config.listen.public, within);
    // What hangs has the other addresses too: it is no stranger's.
    let taken = if health.is_none() && !hangs { taken(config) } else { Vec::new() };
    Running { health, hangs, status, taken }
}

fn taken(config: &Config) -> Vec<String> {
    let grpc = match config.listen.grpc {
        GrpcAddress::Tcp(address) => Some(("listen.grpc", address)),
        GrpcAddress::Unix(_) => None,
    };
    let admin = config.admin.as_ref().map(|admin| ("admin.listen", admin.listen));
    let http = [("listen.public", config.listen.public), ("listen.metrics", config.listen.metrics)];
    let free = |(name, address): (&str, SocketAddr)| {
        // Let go of at once.
        TcpListener::bind(address).err().map(|error| format!("{name} {address}: {error}"))
    };
    grpc.into_iter().chain(admin).chain(http).filter_map(free).collect()
}

/// Judges it against the files.
pub(super) fn judge(running: &Running, files: &Files, public: SocketAddr, findings: &mut Findings) {
    let Running { health, hangs, status, taken } = running;
    for address in taken {
        findings.add(&found::PORT, Severity::Wrong, address.clone());
    }
    match health {
        None if *hangs => {
            let seen = format!("{public}: a connection is taken, and nothing is answered");
            findings.add(&found::HANGS, Severity::Wrong, seen);
            return;
        }
        None => {
            findings.add(&found::DOWN, Severity::Unknown, format!("nobody answers at {public}"));
            return;
        }
        Some(Health::Another) => {
            let seen = format!("listen.public {public}: something else than Exequatur answers there");
            findings.add(&found::PORT, Severity::Wrong, seen);
            return;
        }
        Some(Health::Bad) => {
            findings.add(&found::UNREADY, Severity::Wrong, format!("{public}: /readyz says no"))
        }
        Some(Health::Good) => findings.add(&found::UNREADY, Severity::Fine, format!("{public}: ready")),
    }
    match status {
        None => findings.add(
            &found::ADMIN,
            Severity::Unknown,
            "`listen.admin` is not set: no more is known of it",
        ),
        Some(Err(why)) => findings.add(&found::ADMIN, Severity::Unknown, why.clone()),
        Some(Ok(status)) => told(status, files, findings),
    }
}

fn told(status: &Status, files: &Files, findings: &mut Findings) {
    for finding in &status.findings {
        let whose = finding.replica.as_ref().map(|id| format!("replica {id} ")).unwrap_or_default();
        let seen = format!("{}: {whose}{}", finding.finding, finding.message);
        findings.add(&found::STATUS, Severity::Wrong, seen);
    }
    if status.findings.is_empty() {
        findings.add(&found::STATUS, Severity::Fine, format!("{} replicas", status.replicas.len()));
    }
    let asked =
        status.replicas.iter().find(|replica| replica.asked).and_then(|replica| replica.report.as_ref());
    let Some(Report { version, generation, .. }) = asked else {
        findings.add(&found::OTHER_FILES, Severity::Unknown, "it says nothing of itself yet");
        return;
    };
    let ours = env!("CARGO_PKG_VERSION");
    let seen = format!("the server is {version}, and this command {ours}");
    findings.check(&found::OTHER_VERSION, Severity::Doubtful, version != ours, seen);
    let differs = [
        ("the configuration", generation.configuration != files.configuration),
        ("policies or schema", generation.policies != files.policies),
    ];
    let differs: Vec<_> = differs.into_iter().filter_map(|(what, other)| other.then_some(what)).collect();
    let seen = if differs.is_empty() {
        format!("generation {} is that of the files", generation.number)
    } else {
        format!("{} of generation {} differ from the files", differs.join(" and "), generation.number)
    };
    findings.check(&found::OTHER_FILES, Severity::Wrong, !differs.is_empty(), seen);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status() -> Value {
        json!({
            "current": true, "position": null, "unlisted": 0, "findings": [],
            "replicas": [{
                "id": "1", "name": null, "asked": true, "heard_ms": 0, "position": 0, "lag": null, "unreadable": null,
                "report": {
                    "v": 1, "version": env!("CARGO_PKG_VERSION"), "at": "2026-01-01T00:00:00Z",
                    "started": "2026-01-01T00:00:00Z", "state": "ready",
                    "generation": {
                        "number": 1, "configuration": "c", "rules": "r", "policies": "p",
                        "since": "2026-01-01T00:00:00Z"
                    },
                    "failed_reload": null, "issuers": [], "issuers_unlisted": 0,
                    "store": { "kind": "embedded", "error": null },
                    "revocations": { "entries": 0, "position": 0, "known": "known", "not_kept": false },
                    "overrides": null, "attributes": null
                }
            }]
        })
    }

    fn judged(running: &Running) -> Vec<(&'static str, Severity)> {
        let files = Files { configuration: "c".to_owned(), policies: "p".to_owned() };
        let mut findings = Findings::default();
        judge(running, &files, "127.0.0.1:9192".parse().unwrap(), &mut findings);
        findings.bad()
    }

    fn running(status: &Value) -> Running {
        let status = serde_json::from_value(status.clone()).unwrap();
        Running { health: Some(Health::Good), hangs: false, status: Some(Ok(status)), taken: Vec::new() }
    }

    /// Each differs from a server with which nothing is wrong in one thing.
    #[test]
    fn a_server_is_judged_by_what_it_says() {
        use Severity::{Doubtful, Unknown, Wrong};
        assert_eq!(judged(&running(&status())), []);
        for (place, value, finding, severity) in [
            ("/replicas/0/report/generation/configuration", json!("d"), "server-other-files", Wrong),
            ("/replicas/0/report/generation/policies", json!("q"), "server-other-files", Wrong),
            ("/replicas/0/report/version", json!("0.0.1"), "server-other-version", Doubtful),
            ("/replicas/0/report", Value::Null, "server-other-files", Unknown),
            (
                "/findings",
                json!([{ "finding": "reload_failed", "message": "refused" }]),
                "server-status",
                Wrong,
            ),
        ] {
            let mut status = status();
            *status.pointer_mut(place).unwrap() = value;
            assert_eq!(judged(&running(&status)), [(finding, severity)], "{place}");
        }
    }

    #[test]
    fn a_server_that_says_nothing_is_told_apart() {
        use Severity::{Unknown, Wrong};
        let with = |health, status| judged(&Running { health, hangs: false, status, taken: Vec::new() });
        assert_eq!(with(None, None), [("server-not-running", Unknown)]);
        assert_eq!(with(Some(Health::Another), None), [("address-taken", Wrong)]);
        assert_eq!(with(Some(Health::Bad), None), [("server-not-ready", Wrong), ("server-silent", Unknown)]);
        assert_eq!(with(Some(Health::Good), Some(Err("no".to_owned()))), [("server-silent", Unknown)]);
        let taken =
            Running { health: None, hangs: false, status: None, taken: vec!["listen.grpc".to_owned()] };
        assert_eq!(judged(&taken), [("address-taken", Wrong), ("server-not-running", Unknown)]);
        let hangs = Running { health: None, hangs: true, status: None, taken: Vec::new() };
        assert_eq!(judged(&hangs), [("server-hangs", Wrong)]);
    }
}

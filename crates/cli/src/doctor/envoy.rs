//! A bootstrap of Envoy's: `envoy lint`, and whether it asks where this configuration listens.

use std::net::IpAddr;
use std::path::Path;

use exequatur_lint::{Endpoint, Way};
use exequatur_server::config::{Config, GrpcAddress, Listen};

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// Reads and judges the file.
pub(super) fn look(file: &Path, config: &Config, findings: &mut Findings) {
    let unreadable = |why: String| format!("{}: {why}", file.display());
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            return findings.add(&found::ENVOY_FILE, Severity::Wrong, unreadable(error.to_string()));
        }
    };
    let options = crate::envoy::options(config.deadline);
    match (exequatur_lint::lint(&text, &options), exequatur_lint::ways(&text)) {
        (Ok(report), Ok(ways)) => {
            lint(file, &report, findings);
            agree(&ways, &config.listen, findings);
        }
        (Err(error), _) | (_, Err(error)) => {
            findings.add(&found::ENVOY_FILE, Severity::Wrong, unreadable(error.to_string()));
        }
    }
}

fn lint(file: &Path, report: &exequatur_lint::Report, findings: &mut Findings) {
    for finding in &report.findings {
        let severity = match finding.severity {
            exequatur_lint::Severity::Hole => Severity::Wrong,
            exequatur_lint::Severity::Weak | exequatur_lint::Severity::Unknown => Severity::Doubtful,
        };
        let seen = format!(
            "{}:{}: {}: {}; fix: {}",
            file.display(),
            finding.place.line,
            finding.rule.id,
            finding.message,
            finding.rule.fix
        );
        findings.add(&found::ENVOY_LINT, severity, seen);
    }
    if report.findings.is_empty() {
        findings.add(&found::ENVOY_LINT, Severity::Fine, format!("{}: no rule is broken", file.display()));
    }
}

/// Judges whether each filter asks where, and how, is listened.
fn agree(ways: &[Way], listen: &Listen, findings: &mut Findings) {
    if ways.is_empty() {
        let seen = "no ext_authz filter in the file asks by `envoy_grpc`: nothing is compared";
        findings.add(&found::ENVOY_ADDRESS, Severity::Unknown, seen);
    }
    for way in ways {
        let Way { place, cluster, endpoints, tls, certificate } = way;
        let who = format!("line {}: cluster {cluster}", place.line);
        if endpoints.is_empty() {
            let seen = format!("{who}: its endpoints are not in the file");
            findings.add(&found::ENVOY_ADDRESS, Severity::Unknown, seen);
            continue;
        }
        // One of several replicas is this one.
        let place = endpoints.iter().map(|endpoint| meets(endpoint, &listen.grpc)).min();
        let named: Vec<_> = endpoints.iter().map(shown).collect();
        let seen = format!("{who} is at {}, and `listen.grpc` at {}", named.join(", "), listen.grpc);
        findings.add(&found::ENVOY_ADDRESS, place.unwrap_or(Meets::No).severity(), seen);
        let served = listen.grpc_tls.is_some();
        let wanted = listen.grpc_tls.as_ref().is_some_and(|files| files.client_authority.is_some());
        let seen = match (*tls, served) {
            (true, false) => format!("{who} speaks TLS, and `listen.grpc_tls` is not set"),
            (false, true) => format!("{who} speaks no TLS, and `listen.grpc_tls` is set"),
            (_, _) if wanted && !certificate => {
                format!("{who} shows no certificate, and `listen.grpc_tls.client_ca_file` is set")
            }
            (_, _) => format!("{who} agrees with `listen`"),
        };
        findings.check(&found::ENVOY_TLS, Severity::Wrong, *tls != served || (wanted && !certificate), seen);
    }
}

/// How an endpoint stands to where is listened; the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meets {
    Yes,
    /// A name, or another machine's address, with another port: as a service of a cluster may have.
    Perhaps,
    No,
}

impl Meets {
    const fn severity(self) -> Severity {
        match self {
            Self::Yes => Severity::Fine,
            Self::Perhaps => Severity::Doubtful,
            Self::No => Severity::Wrong,
        }
    }
}

fn meets(endpoint: &Endpoint, listen: &GrpcAddress) -> Meets {
    match (endpoint, listen) {
        (Endpoint::Unix(one), GrpcAddress::Unix(other)) => {
            if Path::new(one) == other {
                Meets::Yes
            } else {
                Meets::No
            }
        }
        (Endpoint::Unix(_), GrpcAddress::Tcp(_)) | (Endpoint::Tcp(..), GrpcAddress::Unix(_)) => Meets::No,
        (Endpoint::Tcp(host, port), GrpcAddress::Tcp(address)) => {
            let same = *port == address.port();
            let any = address.ip().is_unspecified();
            match host.parse::<IpAddr>() {
                Ok(ip) if same && (ip == address.ip() || any) => Meets::Yes,
                Ok(ip) if ip.is_loopback() || address.ip().is_loopback() => Meets::No,
                Ok(_) | Err(_) if same => Meets::Yes,
                Ok(_) | Err(_) => Meets::Perhaps,
            }
        }
    }
}

fn shown(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp(host, port) => format!("{host}:{port}"),
        Endpoint::Unix(path) => format!("unix:{path}"),
    }
}

#[cfg(test)]
mod tests {
    use exequatur_server::config::TlsFiles;

    use super::*;

    const PLAIN: &str = include_str!("../../../../envoy/plain.yaml");

    fn agreed(text: &str, listen: &Listen) -> Vec<(&'static str, Severity)> {
        let mut findings = Findings::default();
        agree(&exequatur_lint::ways(text).unwrap(), listen, &mut findings);
        let mut bad = findings.bad();
        bad.dedup();
        bad
    }

    #[test]
    fn envoy_asks_where_is_listened() {
        use Severity::{Doubtful, Wrong};
        assert_eq!(agreed(PLAIN, &Listen::default()), []);
        let at = |grpc: &str| {
            let grpc = match grpc.strip_prefix("unix:") {
                Some(path) => GrpcAddress::Unix(path.into()),
                None => GrpcAddress::Tcp(grpc.parse().unwrap()),
            };
            agreed(PLAIN, &Listen { grpc, ..Listen::default() })
        };
        assert_eq!(at("0.0.0.0:9191"), []);
        for elsewhere in ["127.0.0.1:9190", "127.0.0.2:9191", "10.0.0.1:9191", "unix:/run/grpc.sock"] {
            assert_eq!(at(elsewhere), [("envoy-address", Wrong)], "{elsewhere}");
        }
        let tcp = |host: &str, port| Endpoint::Tcp(host.to_owned(), port);
        let any = GrpcAddress::Tcp("0.0.0.0:9191".parse().unwrap());
        assert_eq!(meets(&tcp("exequatur.svc", 9191), &any), Meets::Yes);
        assert_eq!(meets(&tcp("exequatur.svc", 80), &any).severity(), Doubtful);
        let socket = |path: &str| Endpoint::Unix(path.to_owned());
        let here = GrpcAddress::Unix("/run/grpc.sock".into());
        assert_eq!(
            (meets(&socket("/run/grpc.sock"), &here), meets(&socket("/a"), &here)),
            (Meets::Yes, Meets::No)
        );
    }

    #[test]
    fn both_sides_speak_tls_or_none() {
        let mutual = include_str!("../../../../envoy/mutual-tls.yaml");
        let secured = |client_authority: Option<&str>| {
            let files = TlsFiles {
                certificate: "a".into(),
                key: "b".into(),
                client_authority: client_authority.map(Into::into),
                clients: Vec::new(),
            };
            Listen { grpc_tls: Some(files), ..Listen::default() }
        };
        let wrong = [("envoy-tls", Severity::Wrong)];
        assert_eq!(agreed(mutual, &secured(Some("c"))), []);
        assert_eq!(agreed(mutual, &Listen::default()), wrong);
        assert_eq!(agreed(PLAIN, &secured(None)), wrong);
        let anonymous = mutual.replace("tls_certificates:", "no_certificates:");
        assert_eq!(agreed(&anonymous, &secured(Some("c"))), wrong);
    }
}

//! Certificates in files: whether they can be used, and when.

use std::collections::HashSet;
use std::path::Path;

use exequatur_server::Validity;
use exequatur_server::config::{Config, SinkPlace, TlsFiles};
use exequatur_token::TenantScope;
use jiff::{SignedDuration, Timestamp};

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// An end that is nearer than this is told.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Certificates of one file that are looked at: a bundle of the system has some 150.
const MOST: usize = 512;

/// What a file holds.
#[derive(Debug)]
pub(super) struct File {
    /// The key of the configuration, and the file.
    name: String,
    /// Why there is nothing to look at, or the certificates in their order.
    held: Result<Vec<Validity>, String>,
    /// Whether one of many may be over without harm, as in a bundle of authorities.
    bundle: bool,
}

/// A listener, and whether its files can be used.
#[derive(Debug)]
pub(super) struct Listener {
    name: &'static str,
    usable: Result<(), String>,
}

/// Reads every file with certificates that the configuration names.
pub(super) fn probe(config: &Config) -> (Vec<Listener>, Vec<File>) {
    let grpc = config.listen.grpc_tls.as_ref().map(|files| ("listen.grpc_tls", files));
    let admin = config.admin.as_ref().and_then(|admin| admin.tls.as_ref()).map(|files| ("admin.tls", files));
    let (mut listeners, mut files) = (Vec::new(), Vec::new());
    for (name, tls) in grpc.into_iter().chain(admin) {
        let usable = exequatur_server::examine_tls(tls).map_err(|error| error.to_string());
        listeners.push(Listener { name, usable });
        let TlsFiles { certificate, key: _, client_authority, clients: _ } = tls;
        files.push(file(&format!("{name}.certificate_file"), certificate, false));
        files.extend(client_authority.iter().map(|path| file(&format!("{name}.client_ca_file"), path, true)));
    }
    for issuer in &config.issuers {
        let name = &issuer.profile.name;
        for transport in issuer.transports() {
            let authorities = transport.authorities.iter().map(|authorities| authorities.file());
            files.extend(authorities.map(|path| file(&format!("issuer {name}: ca_file"), path, true)));
            let identity = transport.identity.iter().map(|identity| identity.certificate_file());
            files.extend(identity.map(|path| file(&format!("issuer {name}: certificate_file"), path, false)));
        }
    }
    for stream in &config.signals {
        let name = &stream.keys.name;
        let authorities = stream.keys.transport.authorities.iter().map(|authorities| authorities.file());
        files.extend(authorities.map(|path| file(&format!("signals {name}: ca_file"), path, true)));
    }
    for issuer in &config.issuers {
        if let TenantScope::Certified { by, only: _ } = &issuer.profile.tenants {
            let name = format!("issuer {}: tenant.certificate.ca_file", issuer.profile.name);
            files.push(file(&name, by.authorities.file(), true));
        }
    }
    let sinks = config.records.iter().flat_map(|records| &records.sinks);
    let sinks = sinks.filter_map(|sink| match &sink.place {
        SinkPlace::Otlp(otlp) => Some((format!("sink {}: ca_file", sink.name), otlp)),
        SinkPlace::Stdout | SinkPlace::File(_) | SinkPlace::Syslog { .. } => None,
    });
    let traces = config.traces.iter().map(|traces| ("traces.otlp.ca_file".to_owned(), &traces.otlp));
    for (name, otlp) in sinks.chain(traces) {
        files.extend(otlp.ca_file.iter().map(|path| file(&name, path, true)));
    }
    let redis = config.store.redis.as_ref().and_then(|redis| redis.ca_file.as_ref());
    files.extend(redis.map(|path| file("store.redis.ca_file", path, true)));
    // What issuers are asked with is reached like their keys, most often.
    let mut seen = HashSet::new();
    files.retain(|file| seen.insert(file.name.clone()));
    (listeners, files)
}

fn file(name: &str, path: &Path, bundle: bool) -> File {
    File { name: format!("{name} ({})", path.display()), held: read(path), bundle }
}

fn read(path: &Path) -> Result<Vec<Validity>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err("larger than 1 MiB".to_owned());
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let held: Option<Vec<_>> = Validity::of_each(&text).take(MOST).collect();
    match held {
        Some(held) if !held.is_empty() => Ok(held),
        Some(_) => Err("holds no certificate in PEM".to_owned()),
        None => Err("holds something that is no certificate".to_owned()),
    }
}

/// Judges what was read, as of `now`.
pub(super) fn judge(listeners: &[Listener], files: &[File], now: Timestamp, findings: &mut Findings) {
    for Listener { name, usable } in listeners {
        match usable {
            Ok(()) => findings.add(&found::CERTIFICATE, Severity::Fine, *name),
            Err(why) => findings.add(&found::CERTIFICATE, Severity::Wrong, format!("{name}: {why}")),
        }
    }
    for File { name, held, bundle } in files {
        let held = match held {
            Ok(held) => held,
            Err(why) => {
                findings.add(&found::CERTIFICATE, Severity::Wrong, format!("{name}: {why}"));
                continue;
            }
        };
        // Of a bundle one that holds is enough.
        let chosen = if *bundle {
            held.iter().max_by_key(|one| one.until)
        } else {
            held.iter().min_by_key(|one| one.until)
        };
        let Some(Validity { from, until }) = chosen.copied() else { continue };
        let seen = format!("{name}: valid from {from} until {until}");
        let left = until.duration_since(now);
        let (kind, severity) = if now < from {
            (&found::NOT_YET, Severity::Wrong)
        } else if left <= SignedDuration::ZERO {
            (&found::EXPIRED, Severity::Wrong)
        } else if left < SOON {
            (&found::EXPIRES, Severity::Doubtful)
        } else {
            (&found::EXPIRED, Severity::Fine)
        };
        findings.add(kind, severity, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i32) -> Timestamp {
        Timestamp::from_second(i64::from(day) * 86_400).unwrap()
    }

    fn judged(held: Vec<(i32, i32)>, bundle: bool, now: i32) -> Vec<(&'static str, Severity)> {
        let held =
            held.into_iter().map(|(from, until)| Validity { from: at(from), until: at(until) }).collect();
        let mut findings = Findings::default();
        judge(&[], &[File { name: "f".to_owned(), held: Ok(held), bundle }], at(now), &mut findings);
        findings.bad()
    }

    #[test]
    fn a_certificate_is_judged_by_its_days() {
        for (now, expected) in [
            (99, vec![("certificate-not-yet-valid", Severity::Wrong)]),
            (100, vec![]),
            (186, vec![]),
            (187, vec![("certificate-expires-soon", Severity::Doubtful)]),
            (199, vec![("certificate-expires-soon", Severity::Doubtful)]),
            (200, vec![("certificate-expired", Severity::Wrong)]),
        ] {
            assert_eq!(judged(vec![(100, 200)], false, now), expected, "{now}");
        }
        // The first that ends, of a chain; the last, of a bundle.
        let two = vec![(100, 200), (100, 400)];
        assert_eq!(judged(two.clone(), false, 300), [("certificate-expired", Severity::Wrong)]);
        assert_eq!(judged(two, true, 300), []);
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let mut findings = Findings::default();
        let listener = |usable| Listener { name: "listen.grpc_tls", usable };
        judge(&[listener(Ok(()))], &[], at(0), &mut findings);
        assert_eq!(findings.bad(), []);
        judge(&[listener(Err("no".to_owned()))], &[], at(0), &mut findings);
        let file = File { name: "f".to_owned(), held: Err("no".to_owned()), bundle: false };
        judge(&[], &[file], at(0), &mut findings);
        assert_eq!(findings.bad(), [("certificate-unusable", Severity::Wrong); 2]);
    }
}

//! Certificates in files: whether they can be used, and when.

use std::path::Path;

use exequatur_server::config::{Config, TlsFiles};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::catalogue as found;
use super::finding::{Findings, Severity};

/// An end that is nearer than this is told.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 1024 * 1024;
/// Certificates of one file that are looked at: a bundle of the system has some 150.
const MOST: usize = 512;

/// From when to when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Timestamp,
    until: Timestamp,
}

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
    let redis = config.store.redis.as_ref().and_then(|redis| redis.ca_file.as_ref());
    files.extend(redis.map(|path| file("store.redis.ca_file", path, true)));
    files.dedup_by(|one, other| one.name == other.name);
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
    let held: Option<Vec<_>> = certificates(&text).take(MOST).map(|der| validity(&der?)).collect();
    match held {
        Some(held) if !held.is_empty() => Ok(held),
        Some(_) => Err("holds no certificate in PEM".to_owned()),
        None => Err("holds something that is no certificate".to_owned()),
    }
}

/// The blocks of a PEM text; `None` for one that is no base64.
fn certificates(pem: &str) -> impl Iterator<Item = Option<Vec<u8>>> {
    use base64::Engine as _;
    pem.split("-----BEGIN CERTIFICATE-----").skip(1).map(|rest| {
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        base64::prelude::BASE64_STANDARD.decode(body).ok()
    })
}

/// One value of DER: its tag, what is in it, and what comes after it.
fn value(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..=127 => (short, rest),
        // At most what a file can hold.
        long @ 0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(long - 0x80)?;
            (length.iter().fold(0_usize, |length, octet| (length << 8) | usize::from(*octet)), rest)
        }
        _ => return None,
    };
    let (inner, after) = rest.split_at_checked(length)?;
    Some((*tag, inner, after))
}

/// RFC 5280 §4.1: `Certificate { TBSCertificate { [0] version, serial, signature, issuer, validity { from, until }, … } … }`.
fn validity(der: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = value(der).filter(|(tag, _, _)| *tag == 0x30)?;
    let (_, mut rest, _) = value(certificate).filter(|(tag, _, _)| *tag == 0x30)?;
    let (tag, _, after) = value(rest)?;
    if tag == 0xa0 {
        rest = after;
    }
    for _serial_signature_issuer in 0..3 {
        (_, _, rest) = value(rest)?;
    }
    let (_, both, _) = value(rest).filter(|(tag, _, _)| *tag == 0x30)?;
    let (kind, from, both) = value(both)?;
    let from = time(kind, from)?;
    let (kind, until, _) = value(both)?;
    Some(Validity { from, until: time(kind, until)? })
}

/// RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ` until 2049, `YYYYMMDDHHMMSSZ` from then on.
fn time(kind: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match kind {
        0x17 => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i16 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        0x18 => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let mut numbers = [0_i8; 5];
    let mut rest = rest;
    for number in &mut numbers {
        let (digits, after) = rest.split_at_checked(2)?;
        (*number, rest) = (digits.parse().ok()?, after);
    }
    let [month, day, hour, minute, second] = numbers;
    let at =
        Date::new(year, month, day).ok()?.to_datetime(jiff::civil::Time::new(hour, minute, second, 0).ok()?);
    jiff::tz::TimeZone::UTC.to_timestamp(at).ok()
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

    /// Both forms of a time: rcgen writes the one up to 2049, and the other after.
    #[test]
    fn the_validity_of_a_certificate_is_read() {
        for (from, until) in [(2020, 2049), (2049, 2050), (1999, 4096)] {
            let mut parameters = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
            parameters.not_before = rcgen::date_time_ymd(from, 1, 2);
            parameters.not_after = rcgen::date_time_ymd(until, 12, 31);
            let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            let found = validity(made.der()).unwrap();
            assert_eq!(found.from.to_string(), format!("{from}-01-02T00:00:00Z"));
            assert_eq!(found.until.to_string(), format!("{until}-12-31T00:00:00Z"));
            let pem = made.pem();
            assert_eq!(certificates(&pem).map(|der| validity(&der?)).collect::<Vec<_>>(), [Some(found)]);
            for cut in 0..made.der().len() {
                assert_eq!(validity(&made.der()[..cut]), None, "{cut}");
            }
        }
    }
}

//! `doctor`, with what it finds made one after the other.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::running::{KEYS, own_address};
use crate::{Run, run_in};

/// An issuer's server that answers every request alike, at a port of its own, for as long as the tests run.
fn issuer(status: &'static str, date: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/jwks", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let head = format!(
                "HTTP/1.1 {status}\r\n{date}connection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            drop(stream.get_mut().write_all((head + body).as_bytes()));
        }
    });
    url
}

/// A folder with a configuration with which nothing is wrong. `jwks`: where the keys are; `more`: further keys.
fn written(listen: &str, jwks: &str, more: &str) -> tempfile::TempDir {
    let (folder, ip) = (tempfile::tempdir().unwrap(), own_address());
    fs::create_dir_all(folder.path().join("policies/tests")).unwrap();
    let schema = "entity File;\naction Read appliesTo { principal: [Exequatur::Agent], resource: [File], context: Exequatur::Context };";
    fs::write(folder.path().join("policies/all.cedarschema"), schema).unwrap();
    let policy = "@id(\"read\") permit (principal, action == Action::\"Read\", resource);";
    fs::write(folder.path().join("policies/read.cedar"), policy).unwrap();
    fs::write(folder.path().join("keys.json"), KEYS).unwrap();
    let configuration = format!(
        "listen: {{ grpc: \"unix:grpc.sock\", public: \"{ip}:9192\", metrics: \"{ip}:9193\"{listen} }}
policies: policies
protected_resources: [{{ resource: https://api.example.com }}]
issuers: [{{ name: corp, issuer: https://sts.example.com, jwks: {jwks}, audiences: [https://api.example.com], algorithms: [ES256] }}]
sender_constraint: {{ require: none }}
routes:
  - name: file
    match: {{ path: \"/files/{{id}}\", methods: [GET] }}
    action: Read
    resource: {{ type: File, id: \"{{id}}\" }}
{more}"
    );
    fs::write(folder.path().join("exequatur.yaml"), configuration).unwrap();
    folder
}

fn doctor(folder: &Path) -> Run {
    run_in(folder, &["doctor", "--config", "exequatur.yaml", "--output", "json"], b"")
}

/// The findings of a severity, and the exit code.
fn found(folder: &Path, severity: &str) -> (Vec<String>, Option<i32>) {
    let run = doctor(folder);
    let findings = run.json()["findings"].as_array().unwrap().clone();
    let of = findings.iter().filter(|finding| finding["severity"] == severity);
    (of.map(|finding| finding["finding"].as_str().unwrap().to_owned()).collect(), run.code)
}

const FILE: &str = "{ file: keys.json }";

#[test]
fn nothing_is_wrong_with_a_good_configuration() {
    let folder =
        written("", FILE, "records: { file: records.jsonl }\nstore: { embedded: { path: state } }\n");
    assert_eq!(found(folder.path(), "wrong"), (vec![], Some(0)));
    let text = run_in(folder.path(), &["doctor", "--config", "exequatur.yaml", "--verbose"], b"").ended(0);
    assert!(text.out.contains("fine     issuer-keys-unavailable: issuer corp: 1 keys"), "{}", text.out);
    assert!(text.out.contains("0 wrong, "), "{}", text.out);
    // It looks, and makes nothing.
    let left: Vec<_> =
        ["records.jsonl", "state"].into_iter().filter(|name| folder.path().join(name).exists()).collect();
    assert_eq!(left, Vec::<&str>::new());
}

#[test]
fn what_is_wrong_in_files_is_found() {
    for (more, broken, finding) in [
        ("no_such_key: 1\n", "", "config-invalid"),
        ("records: { file: no/such/records.jsonl }\n", "", "records-unwritable"),
        ("", "policies/tests/a.yaml", "policy-tests-failed"),
        ("records: { file: r, checkpoints: { key_file: key.pem } }\n", "key.pem", "receipt-key-unusable"),
    ] {
        let folder = written("", FILE, more);
        if !broken.is_empty() {
            let file = folder.path().join(broken);
            fs::write(&file, "nothing of the kind").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(found(folder.path(), "wrong"), (vec![finding.to_owned()], Some(1)), "{more}");
    }
}

/// Whose key is another's, and one that is over.
#[test]
fn certificates_that_will_not_do_are_found() {
    let tls = ", grpc_tls: { certificate_file: tls.crt, key_file: tls.key }";
    for (from, until, own, expected) in [
        (2020, 4096, true, vec![]),
        (2020, 2021, true, vec!["certificate-expired"]),
        (4095, 4096, true, vec!["certificate-not-yet-valid"]),
        (2020, 4096, false, vec!["certificate-unusable"]),
    ] {
        let folder = written(tls, FILE, "");
        let file = folder.path().join("exequatur.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("unix:grpc.sock", &format!("{}:9191", own_address()))).unwrap();
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example.com".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        fs::write(folder.path().join("tls.crt"), parameters.self_signed(&key).unwrap().pem()).unwrap();
        let shown = if own { key } else { rcgen::KeyPair::generate().unwrap() };
        fs::write(folder.path().join("tls.key"), shown.serialize_pem()).unwrap();
        fs::set_permissions(folder.path().join("tls.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let code = i32::from(!expected.is_empty());
        assert_eq!(
            found(folder.path(), "wrong"),
            (expected.iter().map(ToString::to_string).collect(), Some(code))
        );
    }
}

/// An issuer whose keys cannot be had, are of another kind, or whose clock is another.
#[test]
fn issuers_that_will_not_do_are_found() {
    let good = issuer("200 OK", "", KEYS);
    assert_eq!(found(written("", &good, "").path(), "wrong"), (vec![], Some(0)));
    // One of them: keys that do not come are waited for.
    let folder = written("", &issuer("404 Not Found", "", KEYS), "");
    assert_eq!(found(folder.path(), "wrong"), (vec!["issuer-keys-unavailable".to_owned()], Some(1)));
    let late = issuer("200 OK", "date: Thu, 01 Jan 2015 00:00:00 GMT\r\n", KEYS);
    let folder = written("", &late, "");
    assert_eq!(found(folder.path(), "wrong"), (vec!["clock-skew".to_owned()], Some(1)));
    let early = issuer("200 OK", "date: Thu, 01 Jan 2099 00:00:00 GMT\r\n", KEYS);
    let text = run_in(written("", &early, "").path(), &["doctor", "-c", "exequatur.yaml"], b"").ended(1);
    assert!(text.out.contains("ms behind issuer corp"), "{}", text.out);
    assert!(text.out.contains("  do:    let chrony"), "{}", text.out);
}

/// Another service has the address; nobody has Redis.
#[test]
fn what_listens_elsewhere_and_what_does_not_is_found() {
    let folder = written("", FILE, "store: { redis: { url: \"redis+unix:///nonexistent/redis.sock\" } }\n");
    let (file, secret) = (folder.path().join("exequatur.yaml"), folder.path().join("secret"));
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("require: none", "require: none, dpop: { nonce_secret_file: secret }"))
        .unwrap();
    fs::write(&secret, [7; 32]).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(found(folder.path(), "wrong"), (vec!["redis-unreachable".to_owned()], Some(1)));
    let folder = written("", FILE, "");
    let text = fs::read_to_string(folder.path().join("exequatur.yaml")).unwrap();
    let metrics = text.split("metrics: \"").nth(1).unwrap().split('"').next().unwrap();
    let held = TcpListener::bind(metrics).unwrap();
    assert_eq!(found(folder.path(), "wrong"), (vec!["address-taken".to_owned()], Some(1)));
    drop(held);
    let (unknown, code) = found(folder.path(), "unknown");
    assert_eq!((unknown, code), (vec!["server-not-running".to_owned()], Some(0)));
    let strict = run_in(folder.path(), &["doctor", "-c", "exequatur.yaml", "--strict"], b"");
    assert_eq!(strict.code, Some(1));
}

/// What takes a connection and answers nothing is neither nobody nor a stranger.
#[test]
fn a_server_that_hangs_is_told_from_none() {
    let folder = written("", FILE, "");
    let text = fs::read_to_string(folder.path().join("exequatur.yaml")).unwrap();
    let at = |name: &str| text.split(name).nth(1).unwrap().split('"').next().unwrap().to_owned();
    let _held = [at("public: \""), at("metrics: \"")].map(|address| TcpListener::bind(address).unwrap());
    assert_eq!(found(folder.path(), "wrong"), (vec!["server-hangs".to_owned()], Some(1)));
    let asked = run_in(folder.path(), &["healthcheck", "-c", "exequatur.yaml", "--timeout", "200ms"], b"");
    assert_eq!(asked.code, Some(5));
    assert!(asked.err.contains("still listens where it said then"), "{}", asked.err);
}

/// Every file with authorities is looked at, whoever uses it: each of these is over.
#[test]
fn authorities_that_are_over_are_found_wherever_they_are_named() {
    let (over, holds) = (2021, 4096);
    let authority = |until| {
        let mut made = rcgen::CertificateParams::new(Vec::new()).unwrap();
        made.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        made.not_before = rcgen::date_time_ymd(2020, 1, 1);
        made.not_after = rcgen::date_time_ymd(until, 1, 1);
        made.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    let otlp = "otlp: { endpoint: \"https://127.0.0.1:9\", ca_file: ca.pem }";
    let tenant = "corp, tenant: { certificate: { ca_file: ca.pem, uri: \"spiffe://a/{tenant}\" } }";
    for (before, after, more, named) in [
        ("", "", format!("traces: {{ {otlp} }}\n"), "traces.otlp.ca_file"),
        ("", "", format!("records: {{ sinks: [{{ name: siem, {otlp} }}] }}\n"), "sink siem: ca_file"),
        ("name: corp", &format!("name: {tenant}"), String::new(), "issuer corp: tenant.certificate.ca_file"),
    ] {
        let folder = written("", FILE, &more);
        let file = folder.path().join("exequatur.yaml");
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replacen(before, after, usize::from(!before.is_empty()))).unwrap();
        for (until, code) in [(holds, 0), (over, 1)] {
            fs::write(folder.path().join("ca.pem"), authority(until)).unwrap();
            let text = run_in(folder.path(), &["doctor", "-c", "exequatur.yaml"], b"").ended(code).out;
            assert_eq!(
                text.contains("certificate-expired") && text.contains(named),
                code == 1,
                "{named} {text}"
            );
        }
    }
}

/// Of findings that are doubtful, or about what cannot be read.
#[test]
fn what_is_doubtful_is_found() {
    let folder = written("", FILE, "");
    fs::write(folder.path().join("policies/all.cedar"), "@id(\"all\") permit (principal, action, resource);")
        .unwrap();
    let (doubtful, code) = found(folder.path(), "doubtful");
    assert!(doubtful.contains(&"policies-unscoped".to_owned()) && code == Some(0), "{doubtful:?}");
    let run =
        run_in(folder.path(), &["doctor", "-c", "exequatur.yaml", "--envoy", "none.yaml"], b"").ended(1);
    assert!(run.out.contains("envoy-unreadable"), "{}", run.out);
    let file = folder.path().join("exequatur.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("require: none", "require: none, dpop: { nonce_secret_file: secret }"))
        .unwrap();
    fs::write(folder.path().join("secret"), "short").unwrap();
    fs::set_permissions(folder.path().join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(found(folder.path(), "wrong"), (vec!["nonce-secret-unusable".to_owned()], Some(1)));
}

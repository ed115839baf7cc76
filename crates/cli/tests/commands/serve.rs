//! `serve`

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::{Run, run_in};

/// Listens on loopback ports that are free, except for `grpc`.
fn serve(folder: &Path, grpc: &str, dpop: &str) -> Run {
    fs::create_dir(folder.join("policies")).unwrap();
    fs::write(folder.join("policies/all.cedarschema"), "entity File;").unwrap();
    fs::write(folder.join("policies/none.cedar"), "@id(\"none\") forbid (principal, action, resource);")
        .unwrap();
    let configuration = format!(
        "listen: {{ grpc: \"{grpc}\", public: \"127.0.0.1:0\", metrics: \"127.0.0.2:0\" }}
policies: policies
protected_resources: [{{ resource: https://api.example.com }}]
issuers:
  - name: corp
    issuer: https://sts.example.com
    jwks: http://127.0.0.1:9/jwks
    audiences: [https://api.example.com]
sender_constraint: {{ dpop: {{ {dpop} }} }}
routes: [{{ name: health, match: {{ path: /healthz, methods: [GET] }}, access: public }}]
"
    );
    fs::write(folder.join("exequatur.yaml"), configuration).unwrap();
    run_in(folder, &["serve", "--config", "exequatur.yaml"], b"")
}

/// What had begun before the start failed is ended by it, and is no second cause.
#[test]
fn a_failed_start_tells_its_cause_only() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for (grpc, dpop, cause, code) in [
        (&*taken, "nonce: required", "listener grpc", 5),
        ("unix:grpc.sock", "nonce_secret_file: missing", "nonce secret file", 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = serve(folder.path(), grpc, dpop).ended(code);
        assert!(run.err.contains(cause), "{}", run.err);
        assert!(!run.err.contains("ERROR"), "{}", run.err);
    }
}

/// C-16: a secret that everybody may read keeps it from starting, and so does one that replaces nothing.
#[test]
fn mistaken_secrets_are_told_with_their_line() {
    for (dpop, mistake) in [
        ("nonce_secret_file: open", "a secret that others may read or replace (mode 0604)"),
        (
            "nonce_secret_file: missing, previous_nonce_secret_file: open",
            "a secret that others may read or replace (mode 0604)",
        ),
        (
            "previous_nonce_secret_file: missing",
            "a secret before `nonce_secret_file`, and no `nonce_secret_file`",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::write(&open, [0; 32]).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o604)).unwrap();
        let run = serve(folder.path(), "unix:grpc.sock", dpop).ended(3);
        assert!(run.err.contains(mistake) && run.err.contains("exequatur.yaml:9:"), "{}", run.err);
    }
}

//! The configurations we ship are accepted by the Envoy we name.

use std::process::Command;

use exequatur_tests::configuration::{self, Ports};
use exequatur_tests::{binaries, jwt, tls};

fn validate(name: &str) {
    let folder = std::env::temp_dir().join(format!("exequatur-{}", jwt::random_id()));
    std::fs::create_dir(&folder).unwrap();
    tls::write(&folder).unwrap();
    tls::write_secrets(&folder).unwrap();
    let template = std::fs::read_to_string(binaries::repository().join("envoy").join(name)).unwrap();
    let ports =
        Ports { envoy: 1, envoy_admin: 2, grpc: 3, public: 4, metrics: 5, upstream: 6, second: [7, 8, 9] };
    let rendered = configuration::envoy(&template, &ports, &folder);
    for left in ["port_value: 10000", "port_value: 9191", "port_value: 10080", "port_value: 9901"] {
        assert!(!rendered.contains(left), "{name}: {left} was not replaced");
    }
    std::fs::write(folder.join("envoy.yaml"), rendered).unwrap();
    let output = Command::new(binaries::envoy().unwrap())
        .args(["--mode", "validate", "--log-level", "warning", "-c"])
        .arg(folder.join("envoy.yaml"))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {log}");
    assert!(!log.contains("deprecated"), "{name}: {log}");
}

#[test]
fn plain_is_valid() {
    validate("plain.yaml");
}

#[test]
fn hardened_is_valid() {
    validate("hardened.yaml");
}

#[test]
fn self_signed_is_valid() {
    validate("self-signed.yaml");
}

#[test]
fn rotating_is_valid() {
    validate("rotating.yaml");
}

#[test]
fn mutual_tls_is_valid() {
    validate("mutual-tls.yaml");
}

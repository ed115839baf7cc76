//! `exequatur envoy lint` on the examples as they are shipped.

use std::process::{Command, Output};

use exequatur_tests::{Call, Options, Stack, binaries};
use serde_json::Value;

fn lint(arguments: &[&str]) -> Output {
    Command::new(binaries::exequatur().unwrap())
        .current_dir(binaries::repository())
        .args(["envoy", "lint"])
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// N01–N09, B-15: clean for the names that this very binary writes, and its only bypass is named with a reason.
#[test]
fn hardened_is_clean() {
    let output = lint(&["--output", "json", "envoy/hardened.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["findings"], Value::Array(Vec::new()));
    let allowed = report["allowed"].as_array().unwrap();
    assert_eq!(allowed.len(), 1, "{allowed:?}");
    assert_eq!(allowed[0]["rule"], "route-bypass");
}

/// What meshes and gateways are given is clean too, for the same names.
#[test]
fn the_examples_of_meshes_are_clean() {
    for (folder, files, allowed) in [
        ("istio", &["mesh.yaml", "exequatur.yaml", "sidecar.yaml"][..], &[][..]),
        (
            "istio",
            &["mesh.yaml", "exequatur.yaml", "sidecar.yaml", "metadata.yaml"],
            &["istio-gateway-unasked"],
        ),
        ("istio", &["mesh.yaml", "exequatur.yaml", "waypoint.yaml"], &["istio-waypoint-keys"]),
        ("envoy-gateway", &["exequatur.yaml"], &[]),
        ("agentgateway", &["config.yaml"], &[]),
        ("../envoy", &["rotating.yaml"], &["route-bypass"]),
    ] {
        let files: Vec<_> = files.iter().map(|file| format!("examples/{folder}/{file}")).collect();
        let arguments: Vec<_> =
            ["--output", "json"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let output = lint(&arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["findings"], Value::Array(Vec::new()));
        let found: Vec<_> = report["allowed"].as_array().unwrap().iter().map(|one| &one["rule"]).collect();
        assert_eq!(found, allowed, "{files:?}");
    }
    // Who is asked stands in another file: its finding says which.
    let output = lint(&["examples/istio/exequatur.yaml", "examples/istio/mesh.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.starts_with("examples/istio/mesh.yaml:7:5: hole B-15 istio-unasked: "), "{said}");
}

/// Each finding says where, what it opens, how to mend it, and for which requirement.
#[test]
fn plain_is_not_and_says_why() {
    let output = lint(&["envoy/plain.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    let example = std::fs::read_to_string(binaries::repository().join("envoy/plain.yaml")).unwrap();
    let check = example.lines().position(|line| line.ends_with("v3.ExtAuthz")).unwrap() + 1;
    assert!(said.contains(&format!("envoy/plain.yaml:{check}:15: weak N06 mutation-rules: ")), "{said}");
    assert!(said.contains("opens: whoever answers in Exequatur's place may write any header"), "{said}");
    assert!(said.contains("fix:   decoder_header_mutation_rules: { disallow_all: true, … }"), "{said}");
    assert!(said.contains(": 0 holes, "), "{said}");
}

/// N01: Envoy has to wait longer than Exequatur needs.
#[test]
fn the_deadline_is_exequaturs() {
    assert_eq!(lint(&["--deadline", "200ms", "envoy/hardened.yaml"]).status.code(), Some(0));
    let output = lint(&["--deadline", "201ms", "envoy/hardened.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("N01 check-timeout"), "{}", text(&output.stdout));
    assert_eq!(lint(&["--deadline", "soon", "envoy/hardened.yaml"]).status.code(), Some(2));
}

/// B-03, B-07, C-18: what is judged by Exequatur is judged by its own lists and bounds.
#[test]
fn names_and_bounds_are_exequaturs() {
    let folder = tempfile();
    let file = folder.join("envoy.yaml");
    let hardened = std::fs::read_to_string(binaries::repository().join("envoy/hardened.yaml")).unwrap();
    let linted = |from: &str, to: &str| {
        let text = hardened.replace(from, to);
        assert_ne!(text, hardened);
        std::fs::write(&file, text).unwrap();
        lint(&[file.to_str().unwrap()])
    };
    let route = "- match: { prefix: / }\n";
    for (name, code) in [("x-exequatur-tenant", 1), ("x_http.method-override", 1), ("x-other", 0)] {
        let chosen =
            format!("- match: {{ prefix: /, headers: [ {{ name: {name}, present_match: true }} ] }}\n");
        let output = linted(route, &chosen);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        assert_eq!(text(&output.stdout).contains("hole B-06 upstream-from-header"), code == 1);
    }
    for (pattern, code) in [("prefix: x.", 1), ("exact: x-rewrite_url", 1), ("exact: x-rewrite-url", 0)] {
        let output = linted("exact: cookie, ignore_case: true", pattern);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        assert_eq!(text(&output.stdout).contains("hole N02 hidden-headers"), code == 1);
    }
    let half = exequatur_server::MAX_MESSAGE / 2;
    for (bytes, code) in [(half, 0), (half + 1, 1)] {
        let output = linted("max_request_bytes: 1024", &format!("max_request_bytes: {bytes}"));
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stdout));
        let bound =
            format!("from 1 to {half}: Exequatur reads Checks of {} bytes", exequatur_server::MAX_MESSAGE);
        assert_eq!(text(&output.stdout).contains(&bound), code == 1);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// What cannot be read is not clean.
#[test]
fn what_cannot_be_read_fails() {
    let folder = tempfile();
    let file = folder.join("envoy.yaml");
    std::fs::write(&file, "admin: {}\nadmin: {}\n").unwrap();
    let output = lint(&[file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("envoy.yaml:2:1: key `admin` stands here a second time"));
    std::fs::write(&file, [0xff, 0xfe]).unwrap();
    assert_eq!(lint(&[file.to_str().unwrap()]).status.code(), Some(5));
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(lint(&[file.to_str().unwrap()]).status.code(), Some(5));
    assert_eq!(lint(&[]).status.code(), Some(2));
}

/// The rules can be had by a program.
#[test]
fn rules_are_listed() {
    let output = lint(&["--list", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let rules: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rule = rules.as_array().unwrap().iter().find(|rule| rule["rule"] == "failure-mode").unwrap().clone();
    assert_eq!(rule["requires"], serde_json::json!(["N01"]));
    assert_eq!(rule["key"]["path"], "failure_mode_allow");
    assert!(text(&lint(&["--list"]).stdout).contains("failure-mode: hole N01\n"));
}

fn tempfile() -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("exequatur-{}", exequatur_tests::jwt::random_id()));
    std::fs::create_dir(&folder).unwrap();
    folder
}

/// B-15: the bypass that is allowed by name lets nothing reach an upstream, whatever it carries or is spelt like.
#[tokio::test]
async fn the_allowed_bypass_reaches_no_upstream() {
    let mut stack = Stack::start(Options { hardened: true, ..Options::default() }).await.unwrap();
    stack.stop_exequatur().await.unwrap();
    for (path, status) in [
        ("/envoy/healthz", 200),
        ("/envoy/healthz?a=b", 200),
        ("/envoy/healthz/", 503),
        ("/envoy/healthz/../../tenants/acme/documents/plan", 503),
        ("/envoy/healthz;a=b", 503),
        ("/ENVOY/healthz", 503),
    ] {
        let url = stack.url(path);
        let answer = stack.send(&Call::new("GET", &url), None, None).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    assert!(stack.upstream.received().is_empty());
}

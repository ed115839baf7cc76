//! `exequatur doctor` beside a running stack: nothing is wrong, and then one thing after another.

use std::path::Path;
use std::process::Command;

use exequatur_tests::redis::Kind;
use exequatur_tests::{Options, Stack, binaries, in_time};
use serde_json::Value;

/// The names of what is found of a severity, and the exit code.
fn doctor(folder: &Path, config: &str, envoy: &str, severity: &str) -> (Vec<String>, Option<i32>) {
    let output = Command::new(binaries::exequatur().unwrap())
        .current_dir(folder)
        .args(["doctor", "--output", "json", "--config", config, "--envoy", envoy])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == severity)
        .map(|finding| finding["finding"].as_str().unwrap().to_owned())
        .collect();
    found.dedup();
    (found, output.status.code())
}

/// With real Redis, Envoy's file and the running server. C-06, C-09, B-14
// The keys are served by another thread than the one that waits for the command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_around_a_stack_is_found() {
    let orders = ("listen: {", "listen: { admin: \"unix:admin.sock\",");
    let options = Options {
        hardened: true,
        timely: true,
        redis: Some(Kind::Newest),
        exequatur: vec![orders],
        ..Options::default()
    };
    let mut stack = Stack::start(options).await.unwrap();
    let folder = stack.folder().to_owned();
    let usual = |severity| doctor(&folder, "exequatur.yaml", "envoy.yaml", severity);
    // What a server says of itself is a second old at most: right after its start it may still be that it starts.
    in_time("a server with which nothing is wrong", async {
        while usual("wrong") != (vec![], Some(0)) {
            tokio::task::yield_now().await;
        }
    })
    .await;

    // The server may have noticed it too, and say so.
    let wrong = |name: &str| {
        let (found, code) = usual("wrong");
        assert!(found.iter().any(|one| one == name) && code == Some(1), "{name}: {found:?}");
    };
    let redis = stack.redis();
    let say = |words: &[&str]| assert!(redis.say(words).unwrap().starts_with("+OK"), "{words:?}");
    say(&["CONFIG", "SET", "maxmemory", "100mb"]);
    say(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    wrong("redis-evicts");
    say(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    say(&["CONFIG", "SET", "save", ""]);
    say(&["CONFIG", "SET", "appendonly", "no"]);
    assert!(usual("doubtful").0.contains(&"redis-not-persistent".to_owned()));
    say(&["ACL", "SETUSER", "default", "-xread", "-@scripting"]);
    wrong("redis-acl");
    say(&["ACL", "SETUSER", "default", "+@all"]);

    let bootstrap = std::fs::read_to_string(folder.join("envoy.yaml")).unwrap();
    let port = stack.ports.grpc;
    for (name, text, finding) in [
        (
            "elsewhere.yaml",
            bootstrap.replace(&format!("port_value: {port}"), "port_value: 1"),
            "envoy-address",
        ),
        (
            "open.yaml",
            bootstrap.replace("failure_mode_allow: false", "failure_mode_allow: true"),
            "envoy-lint",
        ),
    ] {
        assert_ne!(text, bootstrap, "{name}");
        std::fs::write(folder.join(name), text).unwrap();
        let (found, code) = doctor(&folder, "exequatur.yaml", name, "wrong");
        assert!(found.contains(&finding.to_owned()) && code == Some(1), "{name}: {found:?}");
    }
    let timeout = bootstrap.replace("timeout: 0.25s", "timeout: 0.15s");
    assert_ne!(timeout, bootstrap);
    std::fs::write(folder.join("late.yaml"), timeout).unwrap();
    assert!(doctor(&folder, "exequatur.yaml", "late.yaml", "doubtful").0.contains(&"envoy-lint".to_owned()));

    // Another file than the server's, beside it.
    let text = std::fs::read_to_string(folder.join("exequatur.yaml")).unwrap();
    std::fs::write(folder.join("other.yaml"), format!("{text}# more\n")).unwrap();
    let (found, code) = doctor(&folder, "other.yaml", "envoy.yaml", "wrong");
    assert!(found.contains(&"server-other-files".to_owned()) && code == Some(1), "{found:?}");
}

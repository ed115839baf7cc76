//! The Helm chart. What is rendered is judged in Python, where Helm's library is (`tests/chart`).

use std::process::Command;

use exequatur_tests::binaries;

fn check(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn judge() -> Command {
    Command::new(binaries::repository().join("tests/chart/check.py"))
}

/// G06: more replicas than the store bears, listeners without TLS that nobody accepted, secrets in values or from nowhere,
/// and unknown values are not rendered; what is rendered lets in only those who are named. E-02: operators have a port with TLS
/// and a way to it of their own, or none. `make lint` judges more of it.
#[test]
fn what_is_rendered_is_closed_and_what_is_wrong_is_refused() {
    check(judge().arg("--quick"));
}

/// C-14, C-16: the real program accepts what is mounted, not with Kubernetes' usual mode of files, and goes over to another
/// ConfigMap by one switch. E-02: it takes orders at its socket and at the operators' port, and at none that the data's
/// services lead to.
#[test]
fn what_is_mounted_is_accepted_and_switched_whole() {
    check(judge().arg("--exequatur").arg(binaries::exequatur().unwrap()));
}

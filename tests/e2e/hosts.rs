//! The host that is judged is the host that Envoy goes by and the upstream sees (B-05, G33, M2).

use exequatur_tests::{DOCUMENT, OPEN, Options, Raw, Stack, Version};
use serde_json::Value;

/// Hosts that are `localhost` in every reading, and hosts that are not.
const SAME: &[&str] =
    &["localhost", "LOCALHOST", "LocalHost", "localhost:1", "localhost:443", "localhost.", "localhost.:80"];
/// The hardened listener takes the port and a dot away before it asks, whatever is left.
const TRIMMED: &[&str] = &["localhost:", "localhost:999999", "localhost:80:80", "localhost.."];
const OTHER: &[&str] = &[
    "evil.example",
    "localhost.evil.example",
    "evil.example.localhost",
    "localhost,evil.example",
    "evil.example,localhost",
    "localhost, localhost",
    "user@localhost",
    "localhost@evil.example",
    "localhost:80@evil.example",
    "localhost:evil.example",
    ".localhost",
    "localhost%2eevil.example",
    "localhost%00",
    "localhost/x",
    "localhost#x",
    "localhost?x",
    "localhost\\x",
    "local host",
    "localhost;x",
    "127.0.0.1",
    "[::1]",
    "[::1",
    "[localhost]",
    "[::ffff:127.0.0.1%25lo]",
    "*",
    "ｌocalhost",
    "localhost\u{7f}",
];

fn requests(authority: Option<&str>) -> [Raw; 2] {
    [OPEN, DOCUMENT].map(|path| Raw::new("GET", path).authority(authority))
}

/// What the upstream was told, if it was told anything, is one host, and that is ours.
fn assert_ours(stack: &Stack, before: usize, shown: &str) {
    for request in stack.upstream.received_after(before) {
        let hosts = request.values("host");
        assert_eq!(hosts.len(), 1, "{shown}: {hosts:?}");
        let host = hosts[0].to_ascii_lowercase();
        let name = host.split(':').next().unwrap_or_default().trim_end_matches('.');
        assert_eq!(name, "localhost", "{shown}");
    }
}

async fn one_host_is_judged_and_served(hardened: bool) {
    let stack = Stack::start(Options::on(hardened)).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    for version in [Version::Http1, Version::Http2] {
        let caller = stack.raw(version);
        for host in SAME {
            for request in requests(Some(host)) {
                let before = stack.upstream.received().len();
                let answer = caller.send(&holder.sign(request)).await.unwrap();
                assert_eq!(answer.status, 200, "{version:?} {host}: {answer:?}");
                assert_eq!(stack.upstream.received().len(), before + 1);
                assert_ours(&stack, before, host);
            }
        }
        for host in TRIMMED {
            let before = stack.upstream.received().len();
            let answer = caller.send(&holder.sign(Raw::new("GET", DOCUMENT).authority(*host))).await.unwrap();
            assert!(
                answer.status == 400 || hardened && answer.status == 200,
                "{version:?} {host}: {answer:?}"
            );
            assert_ours(&stack, before, host);
        }
        let before = stack.upstream.received().len();
        let refused =
            OTHER.iter().flat_map(|host| requests(Some(host))).chain(requests(None)).map(|r| holder.sign(r));
        for (number, answer) in caller.send_all(refused.collect()).await.unwrap().iter().enumerate() {
            let host = OTHER.get(number / 2).unwrap_or(&"none");
            assert!([0, 400, 403].contains(&answer.status), "{version:?} {host}: {answer:?}");
        }
        assert_eq!(
            stack.upstream.received_after(before).len(),
            0,
            "{:?}",
            stack.upstream.received_after(before)
        );
    }
}

#[tokio::test]
async fn one_host_is_judged_and_served_through_the_plain_listener() {
    one_host_is_judged_and_served(false).await;
}

#[tokio::test]
async fn one_host_is_judged_and_served_through_the_hardened_listener() {
    one_host_is_judged_and_served(true).await;
}

/// A second `Host`, a target in absolute form, `host` beside `:authority`: there is one host for the judge and for
/// the upstream, or no answer.
#[tokio::test]
async fn two_hosts_are_one_or_none() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let second = |request: Raw, host: &str| request.with("host", host);
        let absolute = |host: &str| format!("http://{host}{DOCUMENT}");
        for (version, request, permitted) in [
            (Version::Http1, second(Raw::new("GET", DOCUMENT), "localhost"), false),
            (Version::Http1, second(Raw::new("GET", DOCUMENT), "evil.example"), false),
            (Version::Http1, second(Raw::new("GET", DOCUMENT).authority("evil.example"), "localhost"), false),
            // The target in absolute form wins over `Host` (RFC 9112 §3.2.2).
            (Version::Http1, Raw::new("GET", absolute("localhost")).authority("evil.example"), true),
            (Version::Http1, Raw::new("GET", absolute("evil.example")), false),
            (Version::Http1, Raw::new("GET", absolute("localhost@evil.example")), false),
            // Envoy takes the user's name away, for the judge and for the upstream.
            (Version::Http1, Raw::new("GET", absolute("user@localhost")), true),
            (Version::Http1, Raw::new("GET", absolute("")), false),
            // `:authority` wins over `host`, which is dropped.
            (Version::Http2, second(Raw::new("GET", DOCUMENT), "evil.example"), true),
            (Version::Http2, second(Raw::new("GET", DOCUMENT).authority("evil.example"), "localhost"), false),
            (Version::Http2, second(Raw::new("GET", DOCUMENT).authority(None), "evil.example"), false),
            (Version::Http2, Raw::new("GET", DOCUMENT).with(":authority", "evil.example"), false),
            (
                Version::Http2,
                Raw::new("GET", DOCUMENT).authority("evil.example").with(":authority", "localhost"),
                false,
            ),
        ] {
            let before = stack.upstream.received().len();
            let shown = format!("hardened {hardened} {version:?} {}", request.target());
            let signed = request.proven(&holder.token, &holder.proof("GET", DOCUMENT));
            let answer = stack.raw(version).send(&signed).await.unwrap();
            assert_eq!(answer.status == 200, permitted, "{shown}: {answer:?}");
            assert!([0, 200, 400, 403].contains(&answer.status), "{shown}: {answer:?}");
            assert_eq!(stack.upstream.received().len(), before + usize::from(permitted), "{shown}");
            assert_ours(&stack, before, &shown);
        }
    }
}

//! Header fields that are repeated, spelled in another way, or hold bytes that are no text: B-03, B-08, A-22, M1,
//! M4; with Envoy's raw headers and with its joined ones (N02).

use exequatur_tests::{DOCUMENT, Holder, Options, Raw, Stack, Version};
use serde_json::Value;

const OURS: [&str; 6] = ["decision", "agent", "user", "tenant", "scopes", "delegation"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Listener {
    Plain,
    /// Without `encode_raw_headers`: fields of one name are joined, and bytes that are not UTF-8 replaced.
    Joined,
    Hardened,
    /// The plain one in an Envoy of before 1.37.
    Older,
}

impl Listener {
    const ALL: [Self; 4] = [Self::Plain, Self::Joined, Self::Hardened, Self::Older];

    async fn start(self) -> (Stack, Holder) {
        let options = match self {
            Self::Plain => Options::on(false),
            Self::Joined => Options {
                envoy: vec![("encode_raw_headers: true", "encode_raw_headers: false")],
                ..Options::on(false)
            },
            Self::Hardened => Options::on(true),
            Self::Older => Options { older_envoy: true, ..Options::on(false) },
        };
        let stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        (stack, holder)
    }
}

/// The upstream sees exactly one value of each name that is set, ours, and none of any other spelling.
fn assert_only_ours(stack: &Stack, before: usize, shown: &str) {
    let received = stack.upstream.received_after(before);
    let [request] = received.as_slice() else { panic!("{shown}: {received:?}") };
    let mut found = Vec::new();
    for (name, value) in &request.fields {
        let plain = name.to_ascii_lowercase().replace(['_', '.'], "-");
        if let Some(part) = plain.strip_prefix("x-exequatur-") {
            assert_eq!(*name, format!("x-exequatur-{part}"), "{shown}");
            assert!(!value.windows(6).any(|bytes| bytes == b"forged"), "{shown}: {name}");
            found.push(part.to_owned());
        }
        assert!(!["authorization", "dpop"].contains(&plain.as_str()), "{shown}: {name}");
    }
    found.sort();
    // The token has no delegation.
    assert_eq!(found, ["agent", "decision", "scopes", "tenant", "user"], "{shown}");
    assert_eq!(request.values("x-exequatur-user"), ["corp:alice"], "{shown}");
}

/// B-03, N06, G21, G28: copies of what we set, in upper case, repeated, with a list, empty, with bytes that are no
/// text, and nominated by `Connection`.
#[tokio::test]
async fn the_upstream_sees_only_ours() {
    for listener in Listener::ALL {
        let (stack, holder) = listener.start().await;
        for version in [Version::Http1, Version::Http2] {
            for part in OURS {
                let lower = format!("x-exequatur-{part}");
                let mut copies = vec![
                    vec![(lower.clone(), &b"forged"[..])],
                    vec![(lower.clone(), b"forged"), (lower.clone(), b"forged-too")],
                    vec![(lower.clone(), b"forged,forged-too")],
                    vec![(lower.clone(), b"")],
                    vec![(lower.clone(), b"forged\xff\x80")],
                    vec![(lower.replace('-', "."), b"forged"), (lower.clone(), b"forged")],
                ];
                if version == Version::Http1 {
                    let upper = lower.to_uppercase();
                    copies.push(vec![(upper.clone(), b"forged"), (lower.clone(), b"forged")]);
                    copies.push(vec![(upper.clone(), b"forged"), (upper, b"forged-too")]);
                    // What is nominated goes away on its way through (RFC 9110 §7.6.1); ours is set after that.
                    copies.push(vec![("connection".to_owned(), lower.as_bytes())]);
                }
                if listener != Listener::Hardened {
                    copies.push(vec![
                        (lower.replace('-', "_"), b"forged"),
                        (format!("x_exequatur-{part}"), b"forged"),
                    ]);
                }
                for copy in &copies {
                    let shown = format!("{listener:?} {version:?} {copy:?}");
                    let before = stack.upstream.received().len();
                    let request = holder.sign(Raw::new("GET", DOCUMENT));
                    let request =
                        copy.iter().fold(request, |request, (name, value)| request.with(name, value));
                    let answer = stack.raw(version).send(&request).await.unwrap();
                    assert_eq!(answer.status, 200, "{shown}: {answer:?}");
                    assert_only_ours(&stack, before, &shown);
                }
            }
        }
    }
}

/// Field names that a lenient reader would take for ours are refused by Envoy, not tidied up.
#[tokio::test]
async fn broken_field_names_go_nowhere() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for line in [
            "x-exequatur-user : forged",
            "x-exequatur-user\t: forged",
            " x-exequatur-user: forged",
            "x-other: 1\r\n x-exequatur-user: forged",
            "x-other: 1\nx-exequatur-user: forged",
            "x-other: 1\rx-exequatur-user: forged",
            "x-exequatur-user\0: forged",
            "x-exequatur-user: for\0ged",
            "x-exequatur-üser: forged",
            "x-exequatur-user forged",
            ": forged",
        ] {
            let proof = holder.proof("GET", DOCUMENT);
            let head = format!(
                "GET {DOCUMENT} HTTP/1.1\r\nhost: localhost\r\nauthorization: DPoP {}\r\ndpop: {proof}\r\n{line}\r\n\r\n",
                holder.token
            );
            let before = stack.upstream.received().len();
            let answer = stack.raw(Version::Http1).send_bytes(head.as_bytes()).await.unwrap();
            if answer.status == 200 {
                assert_only_ours(&stack, before, line);
            } else {
                // A folded line belongs to the field before it, which is the proof.
                let refused = [("", 400), ("dpop_proof_malformed", 401)]
                    .contains(&(answer.reason().as_str(), answer.status));
                assert!(refused, "hardened {hardened}: {line:?} {answer:?}");
                assert_eq!(stack.upstream.received().len(), before, "{line:?}");
            }
        }
        for name in
            ["X-Exequatur-User", "x-exequatur-user ", "x-exequatur\0user", ":exequatur", "", "connection"]
        {
            let before = stack.upstream.received().len();
            let request = holder.sign(Raw::new("GET", DOCUMENT)).with(name, "x-exequatur-user");
            let answer = stack.raw(Version::Http2).send(&request).await.unwrap();
            assert!([0, 400].contains(&answer.status), "hardened {hardened}: {name:?} {answer:?}");
            assert_eq!(stack.upstream.received().len(), before, "{name:?}");
        }
    }
}

/// A-22, D01, D23, D27, D28, B-08, E04: credentials that are there twice, in the wrong place, or not text.
#[tokio::test]
async fn broken_credentials_go_nowhere() {
    for listener in Listener::ALL {
        let (stack, holder) = listener.start().await;
        let dpop = format!("DPoP {}", holder.token);
        for version in [Version::Http1, Version::Http2] {
            let get = || Raw::new("GET", DOCUMENT);
            let proof = || holder.proof("GET", DOCUMENT);
            let authorized = |value: &[u8]| get().with("dpop", proof()).with("authorization", value);
            let bytes = |parts: &[&[u8]]| parts.concat();
            let mut cases = vec![
                (authorized(dpop.as_bytes()).with("authorization", &dpop), 400, "multiple_credentials"),
                (authorized(dpop.as_bytes()).with("authorization", "Bearer x"), 400, "multiple_credentials"),
                (authorized(format!("{dpop},{dpop}").as_bytes()), 400, "multiple_credentials"),
                (authorized(format!("{dpop}, Basic x").as_bytes()), 400, "multiple_credentials"),
                (get().proven(&holder.token, &proof()).with("dpop", proof()), 401, "dpop_proof_multiple"),
                (get().proven(&holder.token, &format!("{0},{0}", proof())), 401, "dpop_proof_multiple"),
                (get().with("authorization", &dpop), 401, "dpop_proof_missing"),
                (get().proven(&holder.token, ""), 401, ""),
                (authorized(b"DPoP"), 400, "request_malformed"),
                (authorized(b""), 400, "request_malformed"),
                (authorized(format!("DPoP  {}  x", holder.token).as_bytes()), 400, "request_malformed"),
                (authorized(&bytes(&[dpop.as_bytes(), b"!"])), 400, "request_malformed"),
                (authorized(&bytes(&[dpop.as_bytes(), b"\xff"])), 400, "request_malformed"),
                (authorized(&bytes(&[dpop.as_bytes(), b"\xc3\xa9"])), 400, "request_malformed"),
                (authorized(&bytes(&[dpop.as_bytes(), b"."])), 401, "token_malformed"),
                (get().with("proxy-authorization", &dpop).with("dpop", proof()), 401, "credentials_missing"),
                (get().with("x-authorization", &dpop).with("dpop", proof()), 401, "credentials_missing"),
                (get().with("cookie", format!("access_token={}", holder.token)), 401, "credentials_missing"),
                (get().proven(&holder.token, &format!("{}!", proof())), 401, "dpop_proof_malformed"),
            ];
            for byte in [&b"\xff"[..], b"\x80", b"\xc0\xaf", b"\xc3\xa9"] {
                let spoiled = bytes(&[proof().as_bytes(), byte]);
                let request = get().with("authorization", &dpop).with("dpop", spoiled);
                cases.push((request, 401, "dpop_proof_malformed"));
            }
            // Refused by Envoy before anybody is asked, or by us.
            for byte in [0, 1, 9, 10, 13, 31, 127_u8] {
                let (token, proof) =
                    (bytes(&[dpop.as_bytes(), &[byte], b"x"]), bytes(&[proof().as_bytes(), &[byte], b"x"]));
                cases.push((authorized(&token), 400, ""));
                cases.push((get().with("authorization", &dpop).with("dpop", proof), 400, ""));
            }
            for query in ["access_token", "access%5Ftoken", "ACCESS_TOKEN", "x=1&access_token"] {
                let target = format!("{DOCUMENT}?{query}={}", holder.token);
                cases.push((Raw::new("GET", &target), 400, "token_in_query"));
                let both = Raw::new("GET", &target).proven(&holder.token, &proof());
                cases.push((both, 400, "multiple_credentials"));
            }
            let form = Raw::new("PUT", DOCUMENT).with("content-type", "application/x-www-form-urlencoded");
            cases.push((form.sized(format!("access_token={}", holder.token)), 401, "credentials_missing"));
            let requests = cases.iter().map(|(request, ..)| request.clone()).collect();
            let answers = stack.raw(version).send_all(requests).await.unwrap();
            for (number, (answer, (_, status, reason))) in answers.iter().zip(&cases).enumerate() {
                let shown = format!("{listener:?} {version:?} case {number}: {answer:?}");
                // An empty reason: Envoy may have refused it, with or without an answer.
                let expected = if reason.is_empty() {
                    [0, 400, 401].contains(&answer.status)
                } else {
                    (answer.status, answer.reason().as_str()) == (*status, reason)
                };
                assert!(expected, "{shown}, expected {status} {reason}");
            }
            assert!(stack.upstream.received().is_empty(), "{listener:?} {version:?}");
        }
    }
}

/// M6: a caller can have its own token taken away by nominating it; that is no permit.
#[tokio::test]
async fn nominated_credentials_are_gone() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for (nominated, reason) in [
            ("authorization", "credentials_missing"),
            ("close, authorization", "credentials_missing"),
            ("dpop", "dpop_proof_missing"),
            ("authorization, dpop", "credentials_missing"),
        ] {
            let request = holder.sign(Raw::new("GET", DOCUMENT)).with("connection", nominated);
            let answer = stack.raw(Version::Http1).send(&request).await.unwrap();
            assert!([400, 401].contains(&answer.status), "hardened {hardened} {nominated}: {answer:?}");
            assert!(
                ["", reason].contains(&answer.reason().as_str()),
                "hardened {hardened} {nominated}: {answer:?}"
            );
        }
        assert!(stack.upstream.received().is_empty());
    }
}

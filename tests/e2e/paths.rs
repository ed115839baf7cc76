//! Spellings of a path: what is judged is what the upstream serves, on both listeners and over both versions of
//! HTTP (B-01, B-02, N03, N05).

use std::collections::BTreeSet;

use exequatur_tests::upstream::Received;
use exequatur_tests::{Options, Raw, RawAnswer, Stack, Version};
use serde_json::Value;

use crate::readings::{decoded, readings, without_dots};

/// What a refusal may look like; 0 is a stream or connection that Envoy closed without an answer.
const REFUSED: [u16; 5] = [0, 400, 401, 403, 404];

/// Guarded below public, and public below guarded.
const ROUTES: &str = r#"routes:
  - { name: page, match: { path: "/pub/{page}", methods: [GET] }, access: public }
  - { name: asset, match: { path: "/admin/assets/{file}", methods: [GET] }, access: public }
  - { name: admin, match: { path: "/admin", methods: [GET] }, action: ReadDocument, resource: { type: Document, id: admin, tenant: acme, attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } } }
  - { name: admin-part, match: { path: "/admin/{id}", methods: [GET] }, action: ReadDocument, resource: { type: Document, id: "{id}", tenant: acme, attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } } }
  - { name: private, match: { path: "/pub/private/{id}", methods: [GET] }, action: ReadDocument, resource: { type: Document, id: "{id}", tenant: acme, attributes: { sensitivity: internal, owner: { entity: "Exequatur::User", id: "corp:alice" } } } }
"#;

/// Ways to say "the folder above, then".
const UP: &[&[u8]] = &[
    b"../",
    b"%2e%2e/",
    b"%2E%2E/",
    b".%2e/",
    b"%2e./",
    b"..%2f",
    b"..%2F",
    b"%2e%2e%2f",
    b"..%252f",
    b"%252e%252e/",
    b"%252e%252e%252f",
    b"..//",
    b".//../",
    b"./../",
    b"%2e/../",
    b"x/../../",
    b"x/%2e%2e/../",
    b"..;/",
    b"..;a=b/",
    b";a=b/../",
    b"..%3b/",
    b"..\\",
    b"..\\/",
    b"%2e%2e\\",
    b"..%5c",
    b"..%5C",
    b"%2e%2e%5c",
    b"..%00/",
    b"%00/../",
    b"..%0a/",
    b"..%0d%0a/",
    b"..%09/",
    b"..%20/",
    b"..\t/",
    b"..%c0%af",
    b"%c0%ae%c0%ae/",
    b"%e0%80%ae%e0%80%ae%e0%80%af",
    b"%u002e%u002e%u002f",
    b"..%u2215",
    b"\xff/../",
    b"..\xff/",
    b"\xc0\xae\xc0\xae/",
    b"x?/../",
    b"x%3f/../../",
    b"x#/../",
    b"x%23/../../",
    b"{..}/",
    b"..|/",
];

/// Ways to say `/admin` from the root.
const ADMIN: &[&[u8]] = &[
    b"/admin",
    b"//admin",
    b"///admin",
    b"/./admin",
    b"/.//admin",
    b"/%2fadmin",
    b"/\\admin",
    b"\\admin",
    b"/%5cadmin",
    b"/;/admin",
    b"/;a=b/admin",
    b"/admin;a=b",
    b"/admin;/",
    b"/%61dmin",
    b"/%61%64%6d%69%6e",
    b"/%2561dmin",
    b"/ADMIN",
    b"/Admin",
    b"/admin/",
    b"/admin//",
    b"/admin/.",
    b"/admin/x/..",
    b"/admin/..;/admin",
    b"/admin.json",
    b"/admin.",
    b"/admin%00",
    b"/admin%00.html",
    b"/admin%20",
    b"/admin%09",
    b"/admin%0a",
    b"/admin%2f",
    b"/admin%23x",
    b"/admin%3fx",
    b"/admin#x",
    b"/admin?x",
    b"/admin?",
    b"/admin x",
    b"/admin\xff",
    b"/admin%ff",
    b"/%ef%bd%81dmin",
    b"/admin%c2%a0",
    b"admin",
    b"*",
    b"?/admin",
    b"http://localhost/admin",
    b"HTTP://LOCALHOST/admin",
    b"https://localhost/pub/../admin",
    b"http://localhost/pub/x?@/admin",
    b"http://localhost//admin",
    b"http://localhost\\admin",
    b"http:/admin",
    b"http://localhost:1/admin",
];

/// Whether an upstream that serves this path serves what only a guarded route permits.
fn is_guarded(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["admin", "assets", file] => file.is_empty(),
        ["admin", ..] | ["pub", "private", _, ..] => true,
        _ => false,
    }
}

fn spellings() -> Vec<Vec<u8>> {
    let mut spellings: Vec<_> = ADMIN.iter().map(|path| path.to_vec()).collect();
    for (base, target) in [("/pub/", "admin"), ("/admin/assets/", "secret"), ("/pub/x/", "private/1")] {
        spellings.extend(UP.iter().map(|up| [base.as_bytes(), up, target.as_bytes()].concat()));
    }
    spellings.push([b"/pub/".to_vec(), b"a".repeat(9000)].concat());
    spellings.push([b"/pub/".to_vec(), b"a/../".repeat(1500), b"../admin".to_vec()].concat());
    spellings.push([b"/pub".to_vec(), b"/..".repeat(100), b"/admin".to_vec()].concat());
    spellings.push([b"/pub".to_vec(), b"/a".repeat(100)].concat());
    spellings
}

/// The two examples, and the plain one without what normalises: there Exequatur stands alone.
#[derive(Clone, Copy, Debug)]
enum Listener {
    Bare,
    Plain,
    Hardened,
}

impl Listener {
    fn options(self) -> Options {
        match self {
            Self::Bare => Options {
                envoy: vec![("normalize_path: true", ""), ("merge_slashes: true", "")],
                ..Options::on(false)
            },
            Self::Plain => Options::on(false),
            Self::Hardened => Options::on(true),
        }
    }
}

/// Sends each request, marked with its number, and gives what reached the upstream of it.
async fn exchange(stack: &Stack, version: Version, requests: Vec<Raw>) -> Vec<(RawAnswer, Vec<Received>)> {
    let before = stack.upstream.received().len();
    let marked = requests.into_iter().enumerate();
    let marked = marked.map(|(number, request)| request.with("x-case", number.to_string())).collect();
    let answers = stack.raw(version).send_all(marked).await.unwrap();
    let received = stack.upstream.received_after(before);
    let of = |number: usize| {
        let number = number.to_string();
        received.iter().filter(|request| request.values("x-case") == [number.as_str()]).cloned().collect()
    };
    answers.into_iter().enumerate().map(|(number, answer)| (answer, of(number))).collect()
}

/// Without credentials, whatever reaches the upstream is public in every reading, and was judged by a public
/// route; everything else is refused.
async fn nobody_reaches_what_is_guarded(listener: Listener) {
    let options = Options { exequatur: vec![("routes:\n", ROUTES)], ..listener.options() };
    let stack = Stack::start(options).await.unwrap();
    for version in [Version::Http1, Version::Http2] {
        let caller = stack.raw(version);
        for (plain, status) in
            [("/pub/x", 200), ("/admin/assets/x", 200), ("/admin", 401), ("/pub/private/1", 401)]
        {
            assert_eq!(caller.send(&Raw::new("GET", plain)).await.unwrap().status, status, "{plain}");
        }
        let spellings = spellings();
        let requests = spellings.iter().map(|target| Raw::new("GET", target)).collect();
        let exchanged = exchange(&stack, version, requests).await;
        for (target, (answer, through)) in spellings.iter().zip(exchanged) {
            let shown = format!("{version:?} {}", String::from_utf8_lossy(target));
            if through.is_empty() {
                assert!(REFUSED.contains(&answer.status), "{shown}: {answer:?}");
            }
            for request in through {
                let decision = request.values("x-exequatur-decision").join(",");
                let route = stack.record(&decision).await.unwrap()["route"].clone();
                assert!(route == "page" || route == "asset", "{shown}: {route}");
                let guarded: Vec<_> =
                    readings(&request.target).into_iter().filter(|path| is_guarded(path)).collect();
                assert!(guarded.is_empty(), "{shown} may be read as {guarded:?}");
            }
        }
    }
}

/// With a token for one tenant's open documents, no spelling serves anything else: each reading of what reaches
/// the upstream is the document that is on record.
async fn a_caller_reaches_what_was_judged(listener: Listener) {
    let stack = Stack::start(listener.options()).await.unwrap();
    let holder = stack.holder(&Value::Null).await.unwrap();
    let mut spellings =
        vec![b"/tenants/acme/documents/plan".to_vec(), b"/tenants/acme/documents/a%20b?x=..%2f".to_vec()];
    for (base, target) in [
        ("/tenants/acme/documents/", "sealed/plan"),
        ("/tenants/acme/documents/x/", "plan"),
        ("/tenants/acme/documents/", "../globex/documents/plan"),
    ] {
        spellings.extend(UP.iter().map(|up| [base.as_bytes(), up, target.as_bytes()].concat()));
    }
    for version in [Version::Http1, Version::Http2] {
        let mut requests = Vec::new();
        for target in &spellings {
            // As it is spelled, and as it may be normalised on the way.
            let spelled =
                String::from_utf8_lossy(target.split(|byte| *byte == b'?').next().unwrap()).into_owned();
            let normal = without_dots(&decoded(&spelled).replace('\\', "/").replace("//", "/"));
            for htu in BTreeSet::from([spelled, normal]) {
                let proof = holder.proof("GET", &htu);
                requests.push(Raw::new("GET", target).proven(&holder.token, &proof));
            }
        }
        let targets: Vec<_> = requests.iter().map(Raw::target).collect();
        let mut permitted = 0;
        for (target, (answer, through)) in targets.iter().zip(exchange(&stack, version, requests).await) {
            let shown = format!("{version:?} {target}");
            assert_eq!(answer.status == 200, !through.is_empty(), "{shown}: {answer:?}");
            assert!(answer.status == 200 || REFUSED.contains(&answer.status), "{shown}: {answer:?}");
            for request in through {
                permitted += 1;
                let decision = request.values("x-exequatur-decision").join(",");
                let record = stack.record(&decision).await.unwrap();
                let judged =
                    format!("/tenants/acme/documents/{}", record["resource"]["id"].as_str().unwrap());
                for reading in readings(&request.target) {
                    let same = decoded(&reading).to_lowercase() == judged.to_lowercase();
                    assert!(same, "{shown}: {record} may be read as {reading}");
                }
            }
        }
        assert!(permitted >= 3, "{version:?}: only {permitted} were permitted");
    }
}

#[tokio::test]
async fn spellings_reach_nothing_guarded_through_the_bare_listener() {
    nobody_reaches_what_is_guarded(Listener::Bare).await;
}

#[tokio::test]
async fn spellings_reach_nothing_guarded_through_the_plain_listener() {
    nobody_reaches_what_is_guarded(Listener::Plain).await;
}

#[tokio::test]
async fn spellings_reach_nothing_guarded_through_the_hardened_listener() {
    nobody_reaches_what_is_guarded(Listener::Hardened).await;
}

#[tokio::test]
async fn spellings_reach_what_was_judged_through_the_bare_listener() {
    a_caller_reaches_what_was_judged(Listener::Bare).await;
}

#[tokio::test]
async fn spellings_reach_what_was_judged_through_the_plain_listener() {
    a_caller_reaches_what_was_judged(Listener::Plain).await;
}

#[tokio::test]
async fn spellings_reach_what_was_judged_through_the_hardened_listener() {
    a_caller_reaches_what_was_judged(Listener::Hardened).await;
}

/// B-02: another case, a trailing slash, a suffix or a look-alike is another path; the query is no part of it.
#[tokio::test]
async fn a_path_is_compared_exactly() {
    for listener in [Listener::Bare, Listener::Plain, Listener::Hardened] {
        let options = Options { exequatur: vec![("routes:\n", ROUTES)], ..listener.options() };
        let stack = Stack::start(options).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            for (target, status, reason) in [
                ("/admin", 401, "credentials_missing"),
                ("/admin?x", 401, "credentials_missing"),
                ("/admin?/../pub/x", 401, "credentials_missing"),
                ("/ADMIN", 403, "route_unmatched"),
                ("/admin/", 403, "route_unmatched"),
                ("/admin.json", 403, "route_unmatched"),
                ("/%ef%bd%81dmin", 403, "route_unmatched"),
                ("/admin%20", 403, "route_unmatched"),
                ("/admin%23x", 400, "path_refused"),
                ("/admin%3fx", 400, "path_refused"),
            ] {
                let answer = stack.raw(version).send(&Raw::new("GET", target)).await.unwrap();
                assert_eq!(
                    (answer.status, answer.reason().as_str()),
                    (status, reason),
                    "{listener:?} {target}"
                );
            }
        }
        assert!(stack.upstream.received().is_empty(), "{:?}", stack.upstream.received());
    }
}

//! Methods, overrides of them, and requests for another protocol: B-07, B-11, M8.

use exequatur_tests::{DOCUMENT, OPEN, Options, Raw, Stack, Version};
use serde_json::Value;

/// Every way in which Envoy could be configured to follow upgrades and CONNECT.
fn following(hardened: bool) -> Vec<(&'static str, &'static str)> {
    let connect = if hardened {
        (
            "              - match: { prefix: / }\n",
            "              - match: { connect_matcher: {} }\n                route: { cluster: upstream }\n              - match: { prefix: / }\n",
        )
    } else {
        (
            "- { match: { prefix: / }",
            "- { match: { connect_matcher: {} }, route: { cluster: upstream } }\n              - { match: { prefix: / }",
        )
    };
    let protocols = (
        "          http_filters:\n",
        "          upgrade_configs: [ { upgrade_type: websocket }, { upgrade_type: other }, { upgrade_type: CONNECT } ]\n          http2_protocol_options: { allow_connect: true }\n          http_filters:\n",
    );
    vec![connect, protocols]
}

/// B-07: methods are compared byte by byte; what no route names is denied, on guarded and on public paths.
#[tokio::test]
async fn unknown_methods_are_denied() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            let methods = [
                "get",
                "Get",
                "gET",
                "HEAD",
                "TRACE",
                "TRACK",
                "OPTIONS",
                "DELETE",
                "POST",
                "PATCH",
                "PROPFIND",
                "FOO",
                "DEBUG",
                "GETX",
                "XGET",
                "CONNECT",
                "PRI",
                "get\u{131}",
                "G%45T",
                "GET,PUT",
                "_method",
            ];
            let requests = methods
                .iter()
                .flat_map(|method| [OPEN, DOCUMENT].map(|path| holder.sign(Raw::new(method, path))));
            let answers = stack.raw(version).send_all(requests.collect()).await.unwrap();
            for (number, answer) in answers.iter().enumerate() {
                let method = methods[number / 2];
                assert!([0, 400, 403, 404].contains(&answer.status), "{version:?} {method}: {answer:?}");
            }
            assert!(stack.upstream.received().is_empty(), "{:?}", stack.upstream.received());
        }
        let usual = stack.raw(Version::Http2).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
        assert_eq!(usual.status, 200, "what a route names is permitted: {usual:?}");
    }
}

/// B-07: the method that is judged is the method that is served: overrides are gone, those that an upstream might
/// take for one are refused.
#[tokio::test]
async fn overrides_change_nothing() {
    const NAMES: [&str; 6] = [
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x-method",
        "x-original-url",
        "x-rewrite-url",
    ];
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            for name in NAMES {
                let value = if name.ends_with("url") { "/tenants/acme/sealed/plan" } else { "PUT" };
                let before = stack.upstream.received().len();
                let request = holder.sign(Raw::new("GET", DOCUMENT)).with(name, value).with(name, value);
                let answer = stack.raw(version).send(&request).await.unwrap();
                assert_eq!(answer.status, 200, "hardened {hardened} {version:?} {name}: {answer:?}");
                let received = stack.upstream.received_after(before);
                assert_eq!(received.len(), 1, "{name}");
                assert_eq!((received[0].method.as_str(), received[0].target.as_str()), ("GET", DOCUMENT));
                assert!(received[0].values(name).is_empty(), "hardened {hardened} {version:?} {name}");

                let mixed = name.replacen('-', "_", 1);
                for twin in [name.replace('-', "_"), name.replace('-', "."), mixed] {
                    // The hardened listener refuses underscores itself.
                    let ours = !hardened || !twin.contains('_');
                    let before = stack.upstream.received().len();
                    for path in [DOCUMENT, OPEN] {
                        let request = holder.sign(Raw::new("GET", path)).with(&twin, value);
                        let answer = stack.raw(version).send(&request).await.unwrap();
                        let shown = format!("hardened {hardened} {version:?} {path} {twin}: {answer:?}");
                        assert!([0, 400].contains(&answer.status), "{shown}");
                        assert!(!ours || answer.reason() == "request_malformed", "{shown}");
                    }
                    assert_eq!(stack.upstream.received().len(), before, "{twin}");
                }
            }
            // A field of the same form that stands for nothing is no twin.
            for path in [DOCUMENT, OPEN] {
                let request = holder.sign(Raw::new("GET", path)).with("x.http.methods", "PUT");
                let answer = stack.raw(version).send(&request).await.unwrap();
                assert_eq!(answer.status, 200, "hardened {hardened} {version:?} {path}: {answer:?}");
            }
            // Not a field: the query is the upstream's, and the method stays what it is.
            let before = stack.upstream.received().len();
            let target = format!("{DOCUMENT}?_method=DELETE");
            let answer = stack.raw(version).send(&holder.sign(Raw::new("GET", &target))).await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(stack.upstream.received_after(before)[0].method, "GET");
        }
    }
}

/// CONNECT (also by its path, and extended) and upgrades reach nobody: as the examples are, Envoy refuses them.
#[tokio::test]
async fn tunnels_are_refused_by_the_examples() {
    tunnels_are_refused(|_| Vec::new()).await;
}

/// The same where Envoy would follow them: Exequatur refuses.
#[tokio::test]
async fn tunnels_are_refused_where_envoy_would_follow() {
    tunnels_are_refused(following).await;
}

async fn tunnels_are_refused(changes: fn(bool) -> Vec<(&'static str, &'static str)>) {
    for hardened in [false, true] {
        let stack =
            Stack::start(Options { envoy: changes(hardened), ..Options::on(hardened) }).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let upgrade = |path: &str, protocol: &str| {
            Raw::new("GET", path)
                .with("connection", "upgrade")
                .with("upgrade", protocol)
                .with("sec-websocket-version", "13")
                .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        };
        let connect = |target: &str| Raw::new("CONNECT", target).authority("localhost");
        for path in [DOCUMENT, OPEN] {
            let before = stack.upstream.received().len();
            for version in [Version::Http1, Version::Http2] {
                let requests = match version {
                    Version::Http1 => vec![
                        upgrade(path, "websocket"),
                        upgrade(path, "WebSocket"),
                        upgrade(path, "other, websocket"),
                        upgrade(path, "other"),
                        upgrade(path, "unknown"),
                        connect("localhost:443"),
                        connect(path),
                    ],
                    Version::Http2 => vec![
                        connect(""),
                        connect(path),
                        connect(path).protocol("websocket").with("sec-websocket-version", "13"),
                        connect(path).protocol("other"),
                        Raw::new("GET", path).protocol("websocket"),
                    ],
                };
                // With credentials and without.
                let signed = requests.iter().map(|request| holder.sign(request.clone()));
                let requests = signed.chain(requests.clone()).collect();
                let answers = stack.raw(version).send_all(requests).await.unwrap();
                for (number, answer) in answers.iter().enumerate() {
                    let shown = format!("hardened {hardened} {version:?} {path} {number}: {answer:?}");
                    assert!([0, 400, 401, 403, 404, 503].contains(&answer.status), "{shown}");
                }
                assert_eq!(stack.upstream.received().len(), before, "hardened {hardened} {version:?} {path}");
            }
            // Envoy takes the request for cleartext HTTP/2 away, and goes on without it.
            let cleartext = upgrade(path, "h2c").with("http2-settings", "AAMAAABkAAQAAP__");
            let answer = stack.raw(Version::Http1).send(&cleartext).await.unwrap();
            assert!(answer.status != 101, "{path}: {answer:?}");
            for request in stack.upstream.received_after(before) {
                assert!(request.values("upgrade").is_empty() && request.values("http2-settings").is_empty());
                assert_eq!(request.target, OPEN);
            }
            let usual =
                stack.raw(Version::Http2).send(&holder.sign(Raw::new("GET", DOCUMENT))).await.unwrap();
            assert_eq!(usual.status, 200, "Envoy is alive: {usual:?}");
        }
    }
}

/// N07: a guarded route that names the protocol takes it, once everything else of a permit is there; what follows
/// goes through unjudged.
#[tokio::test]
async fn a_route_that_names_the_protocol_takes_it() {
    for hardened in [false, true] {
        let scope = "scopes: [\"documents:read\"]";
        let named = "scopes: [\"documents:read\"]\n    upgrades: [websocket]";
        let options =
            Options { envoy: following(hardened), exequatur: vec![(scope, named)], ..Options::on(hardened) };
        let stack = Stack::start(options).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let upgrade = |protocol: &str| {
            Raw::new("GET", DOCUMENT).with("connection", "upgrade").with("upgrade", protocol)
        };
        let caller = stack.raw(Version::Http1);
        let answer = caller.send(&upgrade("websocket")).await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (401, "credentials_missing"));
        let answer = caller.send(&holder.sign(upgrade("other"))).await.unwrap();
        assert_eq!((answer.status, answer.reason().as_str()), (403, "route_unmatched"));
        assert!(stack.upstream.received().is_empty());
        let answer = caller.send(&holder.sign(upgrade("websocket"))).await.unwrap();
        assert_eq!(answer.status, 101, "hardened {hardened}: {answer:?}");
        let received = stack.upstream.received();
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].values("x-exequatur-user"), ["corp:alice"]);
        assert!(received[0].values("authorization").is_empty());
    }
}

//! Bodies: what is not shown is not believed, and what is permitted arrives as it was sent: B-09, B-10, B-11, E04, M5,
//! the overflow of a body limit over HTTP/2.

use exequatur_tests::upstream::Received;
use exequatur_tests::{DOCUMENT, Options, Raw, Stack, Version};
use serde_json::Value;

fn preflight() -> Raw {
    Raw::new("OPTIONS", DOCUMENT)
        .with("origin", "https://app.example.com")
        .with("access-control-request-method", "PUT")
}

/// The limit of what Envoy shows is 1024 bytes. Over HTTP/2 a body above it is shown in part, not refused: it is a
/// body all the same. The mark that says so cannot be forged.
#[tokio::test]
async fn a_preflight_with_a_body_of_any_size_is_refused() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            let whole = stack.raw(version).send(&preflight()).await.unwrap();
            assert_eq!(whole.status, 200, "{whole:?}");
            let mut requests = Vec::new();
            for size in
                [1, 1023, 1024, 1025, 1500, 4096, 4097, 15_999, 16_000, 16_001, 17_000, 40_000, 60_000]
            {
                let body = vec![b'x'; size];
                for request in [preflight(), preflight().with("x-envoy-auth-partial-body", "false")] {
                    requests.push((size, request.clone().sized(&body)));
                    let pieces: Vec<_> = body.chunks(4000).collect();
                    requests.push((size, request.pieces(&pieces)));
                }
            }
            // An empty body without a length is none over HTTP/2, and framing without content over HTTP/1.1.
            requests.push((0, preflight().with("content-length", "+0").bytes("x")));
            requests.push((0, preflight().with("content-length", "0").bytes("x")));
            requests.push((0, preflight().pieces_and_trailers(&[b"x"], &[("x-trailer", "1")])));
            let before = stack.upstream.received().len();
            let sent = requests.iter().map(|(_, request)| request.clone()).collect();
            for ((size, _), answer) in requests.iter().zip(stack.raw(version).send_all(sent).await.unwrap()) {
                let shown = format!("hardened {hardened} {version:?} {size} bytes: {answer:?}");
                // `content-length: 0` before bytes that are another request, over HTTP/1.1.
                let smuggled = *size == 0 && version == Version::Http1 && answer.status == 200;
                assert!(smuggled || [0, 400, 403, 413].contains(&answer.status), "{shown}");
            }
            let through: Vec<Received> = stack.upstream.received_after(before);
            assert!(through.iter().all(|request| request.body.is_empty()), "hardened {hardened} {version:?}");
            assert!(through.len() <= usize::from(version == Version::Http1), "{through:?}");
        }
    }
}

/// What a permitted request carries arrives byte for byte, whatever its size, framing and coding; no trailer brings
/// credentials or identity along.
#[tokio::test]
async fn a_permitted_body_arrives_as_it_was_sent() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let put = || Raw::new("PUT", DOCUMENT);
        for version in [Version::Http1, Version::Http2] {
            let all_bytes: Vec<u8> = (0..=255).collect();
            let large = all_bytes.repeat(200);
            let pieces: Vec<_> = large.chunks(9000).collect();
            let gzip =
                b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x04\x00\x43\xbe\xb7\xe8\x01\x00\x00\x00";
            let trailers =
                [("authorization", "Bearer forged"), ("x-exequatur-user", "corp:root"), ("dpop", "forged")];
            for (name, request, body) in [
                ("empty", put().sized(""), &b""[..]),
                ("small", put().sized(&all_bytes), &all_bytes),
                ("large", put().sized(&large), &large),
                ("without a length", put().pieces(&pieces), &large),
                ("gzip", put().with("content-encoding", "gzip").sized(gzip), gzip),
                (
                    "form",
                    put().with("content-type", "application/x-www-form-urlencoded").sized("access_token=x"),
                    b"access_token=x",
                ),
                ("100-continue", put().with("expect", "100-continue").sized("now"), b"now"),
                (
                    "trailers",
                    put().with("te", "trailers").pieces_and_trailers(&[b"tail"], &trailers),
                    b"tail",
                ),
            ] {
                let shown = format!("hardened {hardened} {version:?} {name}");
                let before = stack.upstream.received().len();
                let answer = stack.raw(version).send(&holder.sign(request)).await.unwrap();
                assert_eq!(answer.status, 200, "{shown}: {answer:?}");
                let received = stack.upstream.received_after(before);
                assert_eq!(received.len(), 1, "{shown}");
                assert!(received[0].whole && received[0].body == body, "{shown}");
                assert!(received[0].trailers.is_empty(), "{shown}: {:?}", received[0].trailers);
                assert_eq!(received[0].values("x-exequatur-user"), ["corp:alice"], "{shown}");
                assert!(received[0].values("expect").is_empty(), "{shown}");
            }
        }
    }
}

/// A denied request's body goes nowhere; credentials behind it are none.
#[tokio::test]
async fn a_denied_body_goes_nowhere() {
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let authorization = format!("DPoP {}", holder.token);
        let proof = holder.proof("PUT", DOCUMENT);
        let trailers = [("authorization", authorization.as_str()), ("dpop", &proof)];
        let put = || Raw::new("PUT", DOCUMENT);
        for version in [Version::Http1, Version::Http2] {
            for request in [
                put().sized("x"),
                put().with("expect", "100-continue").sized("x"),
                put().with("content-encoding", "gzip").sized("x"),
                put().pieces(&[b"x"]),
                put().pieces_and_trailers(&[b"x"], &trailers),
                put()
                    .with("te", "trailers")
                    .with("trailer", "authorization")
                    .pieces_and_trailers(&[b"x"], &trailers),
            ] {
                let answer = stack.raw(version).send(&request).await.unwrap();
                assert_eq!((answer.status, answer.reason().as_str()), (401, "credentials_missing"));
            }
        }
        assert!(stack.upstream.received().is_empty(), "hardened {hardened}");
    }
}

/// Two framings, or a broken one, are no request: nothing is hidden behind another (CL.TE, TE.CL, CL.CL).
#[tokio::test]
async fn two_framings_are_refused() {
    const INNER: &str = "GET /open HTTP/1.1\r\nhost: localhost\r\nx-inner: 1\r\n\r\n";
    for hardened in [false, true] {
        let stack = Stack::start(Options::on(hardened)).await.unwrap();
        let holder = stack.holder(&Value::Null).await.unwrap();
        let head = |framing: &str| {
            let (token, proof) = (&holder.token, holder.proof("PUT", DOCUMENT));
            format!(
                "PUT {DOCUMENT} HTTP/1.1\r\nhost: localhost\r\nauthorization: DPoP {token}\r\ndpop: {proof}\r\n{framing}\r\n\r\n0\r\n\r\n"
            )
        };
        // With one framing each of them is answered, and arrives.
        for framing in ["transfer-encoding: chunked", "content-length: 5"] {
            let answer = stack.raw(Version::Http1).send_bytes(head(framing).as_bytes()).await.unwrap();
            assert_eq!(answer.status, 200, "hardened {hardened} {framing:?}: {answer:?}");
        }
        let request = Raw::new("PUT", DOCUMENT).with("content-length", "5").bytes("01234");
        let answer = stack.raw(Version::Http2).send(&holder.sign(request)).await.unwrap();
        assert_eq!(answer.status, 200, "hardened {hardened}: {answer:?}");
        let before = stack.upstream.received().len();
        assert_eq!(before, 3);
        for framing in [
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 5",
            "content-length: 0\r\ncontent-length: 5",
            "content-length: 0, 5",
            "content-length: -1",
            "content-length: +5",
            "content-length: 0x5",
            "content-length: 99999999999999999999",
            "transfer-encoding: xchunked",
            "transfer-encoding: chunked, identity",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding : chunked",
            "transfer-encoding: \x0bchunked",
        ] {
            let bytes = head(framing) + INNER;
            let answer = stack.raw(Version::Http1).send_bytes(bytes.as_bytes()).await.unwrap();
            let shown = format!("hardened {hardened} {framing:?}: {answer:?}");
            assert!([0, 400, 501].contains(&answer.status), "{shown}");
            let through = stack.upstream.received_after(before);
            assert!(through.is_empty(), "{shown}: {through:?}");
        }
        // Over HTTP/2 the length is a claim about frames that are counted.
        for (claimed, body) in [("5", "0123456789"), ("10", "01234"), ("0", "x"), ("x", "x")] {
            let request = Raw::new("PUT", DOCUMENT).with("content-length", claimed).bytes(body);
            let answer = stack.raw(Version::Http2).send(&holder.sign(request)).await.unwrap();
            let shown = format!("hardened {hardened} {claimed}: {answer:?}");
            assert!([0, 400].contains(&answer.status), "{shown}");
            let through = stack.upstream.received_after(before);
            assert!(through.iter().all(|request| !request.whole), "{shown}: {through:?}");
        }
    }
}

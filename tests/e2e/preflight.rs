//! A CORS preflight goes through without a token, and carries nothing else along.

use exequatur_tests::{Call, Options, Stack};
use reqwest::Method;

/// G29: a preflight by its whole shape. A body is found in every framing: with a length, chunked (HTTP/1.1), and
/// without a length (HTTP/2); on both listeners.
#[tokio::test]
async fn a_preflight_carries_no_body() {
    for hardened in [false, true] {
        let mut stack = Stack::start(Options { hardened, ..Options::default() }).await.unwrap();
        let url = stack.url("/tenants/acme/documents/plan");
        for http2 in [false, true] {
            if http2 {
                stack.client = stack.http2_client().unwrap();
            }
            let before = stack.upstream.received().len();
            let whole = Call::new("OPTIONS", &url)
                .with("origin", "https://app.example.com")
                .with("access-control-request-method", "PUT");
            let answer = stack.send(&whole, Some("Bearer a.b.c"), None).await.unwrap();
            assert_eq!(answer.status, 200, "hardened {hardened}, HTTP/2 {http2}: {answer:?}");
            let partial = Call::new("OPTIONS", &url).with("origin", "https://app.example.com");
            assert_eq!(stack.send(&partial, None, None).await.unwrap().reason, "route_unmatched");

            for declared in [true, false] {
                let body = if declared {
                    reqwest::Body::from("attack=1")
                } else {
                    reqwest::Body::wrap_stream(tokio_stream::once(Ok::<_, std::io::Error>("attack=1")))
                };
                let request = stack
                    .client
                    .request(Method::OPTIONS, &url)
                    .header("origin", "https://app.example.com")
                    .header("access-control-request-method", "PUT")
                    .body(body);
                let status = request.send().await.unwrap().status().as_u16();
                assert_eq!(status, 403, "hardened {hardened}, HTTP/2 {http2}, declared {declared}");
            }
            let received = stack.upstream.received();
            assert_eq!(received.len(), before + 1, "hardened {hardened}, HTTP/2 {http2}");
            assert!(received.last().unwrap().values("authorization").is_empty());
        }
    }
}

use super::*;
use crate::testing::{Server, jwks, key_set};

const BOUNDS: HttpConfig = HttpConfig { timeout: Duration::from_secs(5), max_bytes: 10_000 };

async fn load(url: &str, bounds: HttpConfig) -> Result<KeySet, FetchError> {
    Source::url(client(bounds.timeout).unwrap(), url.parse().unwrap(), bounds).load(&Algorithm::DEFAULT).await
}

#[tokio::test]
async fn a_key_set_is_loaded() {
    let server = Server::answering("200 OK", jwks("a").as_bytes()).await;
    assert_eq!(load(&server.url, BOUNDS).await.unwrap().id(), key_set("a").id());
}

/// C-11: whatever is not a key set with status 200.
#[tokio::test]
async fn a_wrong_answer_is_no_key_set() {
    let good = jwks("a");
    let cases = [
        ("500 Internal Server Error", good.as_bytes(), FetchError::Status(500)),
        ("404 Not Found", good.as_bytes(), FetchError::Status(404)),
        ("203 Non-Authoritative Information", good.as_bytes(), FetchError::Status(203)),
        ("206 Partial Content", good.as_bytes(), FetchError::Status(206)),
        ("200 OK", br#"{"keys":[]}"#, FetchError::KeySet(KeySetError::NoUsableKey(None))),
        ("200 OK", br#"{"jwks":[]}"#, FetchError::KeySet(KeySetError::NotAKeySet)),
    ];
    for (status, body, error) in cases {
        let server = Server::answering(status, body).await;
        assert_eq!(load(&server.url, BOUNDS).await.err(), Some(error), "{status}");
    }
    for body in [&b"<!doctype html><p>Sign in"[..], b"", b"\x1f\x8b\x08\x00", good.as_bytes().split_at(20).0]
    {
        let server = Server::answering("200 OK\r\ncontent-encoding: gzip", body).await;
        let error = load(&server.url, BOUNDS).await.err();
        assert!(matches!(error, Some(FetchError::KeySet(KeySetError::Json(_)))), "{error:?}");
    }
}

/// C-11, J18: a redirect goes nowhere, wherever it points.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let places = [target.url.as_str(), "file:///etc/passwd", "http://169.254.169.254/latest", "/jwks"];
    for (place, code) in places.into_iter().zip([302, 301, 307, 308]) {
        let server = Server::answering(&format!("{code} Elsewhere\r\nlocation: {place}"), b"").await;
        assert_eq!(load(&server.url, BOUNDS).await.err(), Some(FetchError::Redirected(code)), "{place}");
        assert_eq!((server.requests(), target.requests()), (1, 0), "{place}");
    }
}

/// C-11: 50 MB announced, and a body without end: neither is read past the bound.
#[tokio::test]
async fn a_large_answer_is_cut_off() {
    let announced =
        [b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n".to_vec(), vec![b' '; 10_001]].concat();
    let chunk = [b"1000\r\n".to_vec(), vec![b' '; 0x1000], b"\r\n".to_vec()].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless = [head, chunk.repeat(4)].concat();
    for answer in [announced, endless] {
        let server = Server::start(answer).await;
        assert_eq!(load(&server.url, BOUNDS).await.err(), Some(FetchError::TooLarge));
    }
    let (exact, bounds) = (jwks("a"), HttpConfig { max_bytes: jwks("a").len(), ..BOUNDS });
    let server = Server::answering("200 OK", exact.as_bytes()).await;
    assert!(load(&server.url, bounds).await.is_ok(), "the bound is inclusive");
    let longer = Server::answering("200 OK", format!("{exact} ").as_bytes()).await;
    assert_eq!(load(&longer.url, bounds).await.err(), Some(FetchError::TooLarge));
}

/// C-11: silence, before the answer or within it.
#[tokio::test]
async fn a_hanging_answer_is_given_up() {
    let bounds = HttpConfig { timeout: Duration::from_millis(100), ..BOUNDS };
    for answer in
        [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\""]
    {
        let server = Server::start(answer.to_vec()).await;
        assert_eq!(load(&server.url, bounds).await.err(), Some(FetchError::Timeout));
    }
}

#[tokio::test]
async fn a_broken_connection_is_named_as_such() {
    let server = Server::start(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()).await;
    assert_eq!(load(&server.url, BOUNDS).await.err(), Some(FetchError::Transfer));
    let tls = server.url.replace("http://", "https://");
    let error = load(&tls, HttpConfig { timeout: Duration::from_millis(500), ..BOUNDS }).await.err();
    assert!(matches!(error, Some(FetchError::Connect | FetchError::Timeout)), "{error:?}");

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(load(&format!("http://{unused}/"), BOUNDS).await.err(), Some(FetchError::Connect));
}

#[tokio::test]
async fn a_file_is_read_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let source = Source::file(path.clone(), BOUNDS);
    assert_eq!(source.load(&Algorithm::DEFAULT).await.err(), Some(FetchError::File(ErrorKind::NotFound)));
    std::fs::write(&path, jwks("a")).unwrap();
    assert_eq!(source.load(&Algorithm::DEFAULT).await.unwrap().id(), key_set("a").id());
    std::fs::write(&path, format!("{:10001}", jwks("a"))).unwrap();
    assert_eq!(source.load(&Algorithm::DEFAULT).await.err(), Some(FetchError::TooLarge));
    let endless = Source::file("/dev/zero".into(), BOUNDS);
    assert_eq!(endless.load(&Algorithm::DEFAULT).await.err(), Some(FetchError::TooLarge));
}

use super::*;
use std::time::Duration;

use crate::testing::{Server, at, jwks, key_set};
use crate::transport::{Connections, Transport};

const BOUNDS: HttpConfig = HttpConfig { timeout: Duration::from_secs(5), max_bytes: 10_000 };

async fn load(url: &str, bounds: HttpConfig) -> Result<KeySet, FetchError> {
    let client = Transport::default().client(bounds.timeout, Reach::Anywhere, Connections::Closed).unwrap();
    Source::url(SharedClient::new(client), url.parse().unwrap(), bounds)
        .load(at(0), &Algorithm::DEFAULT)
        .await
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
        ("500 Internal Server Error", good.as_bytes(), DownloadError::Status(500).into()),
        ("404 Not Found", good.as_bytes(), DownloadError::Status(404).into()),
        ("203 Non-Authoritative Information", good.as_bytes(), DownloadError::Status(203).into()),
        ("206 Partial Content", good.as_bytes(), DownloadError::Status(206).into()),
        ("200 OK", br#"{"keys":[]}"#, FetchError::KeySet(KeySetError::NoUsableKey(None))),
        ("200 OK", br#"{"jwks":[]}"#, FetchError::KeySet(KeySetError::NotAKeySet)),
    ];
    for (status, body, error) in cases {
        let server = Server::answering(status, body).await;
        assert_eq!(load(&server.url, BOUNDS).await.err(), Some(error), "{status}");
    }
    for body in [&b"<!doctype html><p>Sign in"[..], b"", b"\x1f\x8b\x08\x00", good.as_bytes().split_at(20).0]
    {
        let server = Server::answering("200 OK\r\ncontent-encoding: identity", body).await;
        let error = load(&server.url, BOUNDS).await.err();
        assert!(matches!(error, Some(FetchError::KeySet(KeySetError::Json(_)))), "{error:?}");
    }
}

/// C-11: no compression was asked for, so that a small answer stays small, whatever is in it.
#[tokio::test]
async fn a_compressed_answer_is_refused() {
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", ""] {
        let status = format!("200 OK\r\ncontent-encoding: {encoding}");
        let server = Server::answering(&status, jwks("a").as_bytes()).await;
        let error = load(&server.url, BOUNDS).await.err();
        assert_eq!(error, Some(DownloadError::Encoded.into()), "{encoding:?}");
    }
}

/// G23: a name that somebody else gave is judged by its address.
#[tokio::test]
async fn a_client_for_public_addresses_stays_out() {
    let server = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let client = Transport::default().client(BOUNDS.timeout, Reach::PublicOnly, Connections::Closed).unwrap();
    let url = server.url.replace("127.0.0.1", "localhost").parse().unwrap();
    let error =
        Source::url(SharedClient::new(client), url, BOUNDS).load(at(0), &Algorithm::DEFAULT).await.err();
    assert_eq!(error, Some(DownloadError::NotPublic.into()));
    assert_eq!(server.requests(), 0);
}

/// C-11, J18: a redirect goes nowhere, wherever it points.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Server::answering("200 OK", jwks("a").as_bytes()).await;
    let places = [target.url.as_str(), "file:///etc/passwd", "http://169.254.169.254/latest", "/jwks"];
    for (place, code) in places.into_iter().zip([302, 301, 307, 308]) {
        let server = Server::answering(&format!("{code} Elsewhere\r\nlocation: {place}"), b"").await;
        assert_eq!(
            load(&server.url, BOUNDS).await.err(),
            Some(DownloadError::Redirected(code).into()),
            "{place}"
        );
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
        assert_eq!(load(&server.url, BOUNDS).await.err(), Some(DownloadError::TooLarge.into()));
    }
    let (exact, bounds) = (jwks("a"), HttpConfig { max_bytes: jwks("a").len(), ..BOUNDS });
    let server = Server::answering("200 OK", exact.as_bytes()).await;
    assert!(load(&server.url, bounds).await.is_ok(), "the bound is inclusive");
    let longer = Server::answering("200 OK", format!("{exact} ").as_bytes()).await;
    assert_eq!(load(&longer.url, bounds).await.err(), Some(DownloadError::TooLarge.into()));
}

/// C-11: silence, before the answer or within it.
#[tokio::test]
async fn a_hanging_answer_is_given_up() {
    let bounds = HttpConfig { timeout: Duration::from_millis(100), ..BOUNDS };
    for answer in
        [&b""[..], b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"keys\""]
    {
        let server = Server::start(answer.to_vec()).await;
        assert_eq!(load(&server.url, bounds).await.err(), Some(DownloadError::Timeout.into()));
    }
}

#[tokio::test]
async fn a_broken_connection_is_named_as_such() {
    let server = Server::start(b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()).await;
    assert_eq!(load(&server.url, BOUNDS).await.err(), Some(DownloadError::Transfer.into()));
    let tls = server.url.replace("http://", "https://");
    let error = load(&tls, HttpConfig { timeout: Duration::from_millis(500), ..BOUNDS }).await.err();
    assert!(
        matches!(error, Some(FetchError::Download(DownloadError::Connect | DownloadError::Timeout))),
        "{error:?}"
    );

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(load(&format!("http://{unused}/"), BOUNDS).await.err(), Some(DownloadError::Connect.into()));
}

#[tokio::test]
async fn a_file_is_read_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    let mut source = Source::file(path.clone(), BOUNDS);
    assert_eq!(
        source.load(at(0), &Algorithm::DEFAULT).await.err(),
        Some(FetchError::File(ErrorKind::NotFound))
    );
    std::fs::write(&path, jwks("a")).unwrap();
    assert_eq!(source.load(at(0), &Algorithm::DEFAULT).await.unwrap().id(), key_set("a").id());
    std::fs::write(&path, format!("{:10001}", jwks("a"))).unwrap();
    assert_eq!(source.load(at(0), &Algorithm::DEFAULT).await.err(), Some(DownloadError::TooLarge.into()));
    let mut endless = Source::file("/dev/zero".into(), BOUNDS);
    assert_eq!(endless.load(at(0), &Algorithm::DEFAULT).await.err(), Some(DownloadError::TooLarge.into()));
}

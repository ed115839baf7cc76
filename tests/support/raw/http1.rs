//! One exchange over HTTP/1.1.

use tokio::io::AsyncWriteExt as _;

use super::{Body, Raw, RawAnswer};
use crate::message::{Reader, Unframed};
use crate::tls::Connection;

pub(super) fn encode(request: &Raw) -> Vec<u8> {
    let mut bytes = [&request.method, &b" "[..], &request.target, b" HTTP/1.1\r\n"].concat();
    let mut put = |name: &[u8], value: &[u8]| bytes.extend([name, b": ", value, b"\r\n"].concat());
    if let Some(authority) = &request.authority {
        put(b"host", authority);
    }
    for (name, value) in &request.fields {
        put(name, value);
    }
    if matches!(request.body, Body::Pieces(..)) {
        put(b"transfer-encoding", b"chunked");
    }
    bytes.extend(b"\r\n");
    match &request.body {
        Body::None => {}
        Body::Bytes(body) => bytes.extend(body),
        Body::Pieces(pieces, trailers) => {
            for piece in pieces {
                bytes.extend(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend(piece);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n");
            for (name, value) in trailers {
                bytes.extend([name, &b": "[..], value, b"\r\n"].concat());
            }
            bytes.extend(b"\r\n");
        }
    }
    bytes
}

pub(super) async fn exchange(mut connection: Connection, request: &[u8]) -> Result<RawAnswer, String> {
    // The other side may answer, and close, before it has read everything: then the answer is what counts.
    let _written = connection.write_all(request).await.and(connection.flush().await);
    let mut answer = RawAnswer::default();
    let mut reader = Reader::new(connection);
    while let Ok(Some(head)) = reader.head().await {
        let line = String::from_utf8_lossy(&head.first).into_owned();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| format!("no status in `{line}`"))?;
        if status == 100 {
            answer.interim.push(status);
            continue;
        }
        answer.status = status;
        answer.fields = head.fields;
        // An answer to HEAD has the length of a body, and none (RFC 9110 §9.3.2).
        if status != 101 && !request.starts_with(b"HEAD ") {
            let body = reader.body(&answer.fields, Unframed::UntilEnd).await;
            let (body, _trailers) = body.map_err(|error| error.to_string())?;
            answer.body = String::from_utf8_lossy(&body).into_owned();
        }
        break;
    }
    Ok(answer)
}

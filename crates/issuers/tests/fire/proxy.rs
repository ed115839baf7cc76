//! A small HTTP proxy that tunnels (RFC 9110 section 9.3.6).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::server::read_head;

/// Tunnels every name to one server, if the credentials are the expected ones.
pub(crate) struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Proxy {
    /// `authorization` is the expected `Proxy-Authorization`; none is asked for if `None`.
    pub(crate) async fn start(to: SocketAddr, authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let connections = TaskTracker::new();
        let task = TaskTracker::new().spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let seen = Arc::clone(&seen);
                connections.spawn(async move {
                    let head = read_head(&mut client).await;
                    seen.lock().unwrap().push(head.clone());
                    let expected =
                        authorization.is_none_or(|value| header(&head, "proxy-authorization") == Some(value));
                    let refusal = match (head.starts_with("CONNECT "), expected) {
                        (true, true) => None,
                        (true, false) => Some("407 Proxy Authentication Required"),
                        (false, _) => Some("405 Method Not Allowed"),
                    };
                    if let Some(status) = refusal {
                        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                        drop(client.write_all(answer.as_bytes()).await);
                        return;
                    }
                    let mut server = TcpStream::connect(to).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
                });
            }
        });
        Self { address, heads, _serving: AbortOnDropHandle::new(task) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of all requests.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
}

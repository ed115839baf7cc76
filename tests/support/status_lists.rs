//! Where an issuer publishes its status lists: over TLS on the loopback, packed by somebody else's implementation.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::{binaries, jwt, tls};

/// Lists below `https://localhost:<port>/lists/`.
#[derive(Debug)]
pub struct StatusLists {
    port: u16,
    folder: PathBuf,
    published: Published,
    serving: JoinHandle<()>,
}

/// By path; a path that is not there is answered 404.
type Published = Arc<Mutex<HashMap<String, Publication>>>;

#[derive(Clone, Debug)]
enum Publication {
    List(String),
    /// The connection breaks.
    Nothing,
}

impl Drop for StatusLists {
    fn drop(&mut self) {
        self.serving.abort();
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

impl StatusLists {
    /// A server with a certificate of its own authority.
    ///
    /// # Errors
    /// When there is no certificate or no port.
    pub async fn start() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("exequatur-lists-{}", jwt::random_id()));
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        tls::write(&folder)?;
        let acceptor = tls::acceptor(&folder)?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| error.to_string())?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let published = Published::default();
        let serving = tokio::spawn(serve(listener, acceptor, Arc::clone(&published)));
        Ok(Self { port, folder, published, serving })
    }

    /// The file with the authority of its certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.join("tls/ca.crt")
    }

    /// What the addresses of its lists begin with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("https://localhost:{}/lists/", self.port)
    }

    /// The address of a list.
    #[must_use]
    pub fn uri(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    /// `status` of a token whose status is at this place.
    #[must_use]
    pub fn claim(&self, name: &str, index: u64) -> Value {
        json!({ "status": { "status_list": { "idx": index, "uri": self.uri(name) } } })
    }

    /// Publishes a list, as a signed token, under this name.
    ///
    /// # Panics
    /// If another thread did.
    pub fn publish(&self, name: &str, token: &str) {
        self.put(name, Publication::List(token.to_owned()));
    }

    /// From now on whoever asks for this list gets no answer.
    pub fn break_off(&self, name: &str) {
        self.put(name, Publication::Nothing);
    }

    fn put(&self, name: &str, publication: Publication) {
        let mut published = self.published.lock().expect("nobody panics with it");
        published.insert(format!("/lists/{name}"), publication);
    }

    /// Header and payload of the list at `name`, with `changes` to its claims.
    ///
    /// # Errors
    /// When the packing program fails.
    pub async fn pack(
        &self,
        name: &str,
        bits: u8,
        statuses: &[u8],
        changes: &Value,
    ) -> Result<(Value, Value), String> {
        let claims = json!({ "iss": crate::TokenService::ISSUER, "sub": self.uri(name), "iat": jwt::now() });
        let wanted = json!({ "bits": bits, "statuses": statuses, "claims": jwt::merged(claims, changes) });
        let mut child = binaries::node_script("status_list.mjs")?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut input = child.stdin.take().ok_or("no input")?;
        input.write_all(wanted.to_string().as_bytes()).await.map_err(|error| error.to_string())?;
        drop(input);
        let output = child.wait_with_output().await.map_err(|error| error.to_string())?;
        let packed: Value =
            serde_json::from_slice(&output.stdout).map_err(|error| format!("status_list.mjs: {error}"))?;
        Ok((packed["header"].clone(), packed["payload"].clone()))
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, published: Published) {
    while let Ok((connection, _)) = listener.accept().await {
        let (acceptor, published) = (acceptor.clone(), Arc::clone(&published));
        tokio::spawn(async move {
            // A client that goes away is its own affair.
            drop(answer(connection, &acceptor, &published).await);
        });
    }
}

async fn answer(
    connection: TcpStream,
    acceptor: &TlsAcceptor,
    published: &Published,
) -> Result<(), std::io::Error> {
    let mut connection = acceptor.accept(connection).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let publication = published.lock().expect("nobody panics with it").get(path).cloned();
    let (status, body) = match publication {
        Some(Publication::List(token)) => ("200 OK", token),
        Some(Publication::Nothing) => return Ok(()),
        None => ("404 Not Found", String::new()),
    };
    // Caches may keep it for a day, says the server; the list says otherwise.
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/statuslist+jwt\r\ncache-control: max-age=86400\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await?;
    connection.write_all(body.as_bytes()).await?;
    connection.shutdown().await
}

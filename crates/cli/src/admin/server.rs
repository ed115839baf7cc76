//! A running server: its admin socket, or its listener for orders.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use exequatur_admin::wire::Problem;
use exequatur_server::config;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::Failure;
use crate::output::plain;

/// Where the socket is by default.
const USUAL: &str = "/run/exequatur/admin.sock";
/// Longer than the server lets a connection last.
const WITHIN: Duration = Duration::from_secs(35);
/// Longest answer: a page of a thousand revocations with long reasons.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Longest file with a token.
const MAX_TOKEN: u64 = 64 * 1024;

/// Which server, and who you are there.
#[derive(Args, Debug)]
pub(crate) struct Admin {
    /// The admin socket of the server; `/run/exequatur/admin.sock` if nothing else is given.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// The configuration file of the server, whose `listen.admin` is used.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What you call yourself, where several people are one user of the machine; recorded as unverified.
    #[arg(long = "as", value_name = "NAME", conflicts_with = "server")]
    claimed: Option<String>,
    /// The server's listener for orders instead of its socket: `https://<host>:<port>`.
    #[arg(long, value_name = "URL", conflicts_with_all = ["socket", "config"])]
    server: Option<String>,
    /// A file with your access token for `--server`.
    #[arg(long, value_name = "FILE", requires = "server")]
    token_file: Option<PathBuf>,
    /// PEM: your certificate and its key, for `--server`.
    #[arg(long, value_name = "FILE", requires = "server")]
    identity_file: Option<PathBuf>,
    /// PEM: the authorities that the server's certificate is trusted by, instead of the system's.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca_file: Option<PathBuf>,
    /// How long an answer is waited for.
    #[arg(skip = WITHIN)]
    within: Duration,
}

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a, T> {
    Get,
    Post(&'a T),
}

/// How it is reached.
struct Reached {
    client: Client,
    base: String,
    /// As people call it.
    name: String,
}

impl Admin {
    /// The one at a socket.
    pub(crate) fn at(socket: &Path, within: Duration) -> Self {
        Self {
            socket: Some(socket.to_owned()),
            config: None,
            claimed: None,
            server: None,
            token_file: None,
            identity_file: None,
            ca_file: None,
            within,
        }
    }

    /// The answer to one request.
    pub(crate) fn ask<T: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        sent: &Sent<'_, T>,
    ) -> Result<A, Failure> {
        let reached = match &self.server {
            Some(url) => self.over_tcp(url)?,
            None => over_socket(&self.socket()?, self.within)?,
        };
        let (method, body) = match *sent {
            Sent::Get => (Method::GET, Vec::new()),
            Sent::Post(order) => (Method::POST, serde_json::to_vec(order).map_err(Failure::other)?),
        };
        let mut request = reached.client.request(method, format!("{}{path}", reached.base)).body(body);
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(claimed) = &self.claimed {
            request = request.header("exequatur-as", claimed);
        }
        if let Some(file) = &self.token_file {
            request = request.header(AUTHORIZATION, bearer(file)?);
        }
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
        runtime.block_on(answer(&reached.name, request))
    }

    fn socket(&self) -> Result<PathBuf, Failure> {
        let Some(file) = &self.config else {
            return Ok(self.socket.clone().unwrap_or_else(|| USUAL.into()));
        };
        let config = config::load(file).map_err(Failure::invalid)?;
        config.listen.admin.ok_or_else(|| {
            Failure::Usage(format!("{} has no `listen.admin`: give --server, or --socket", file.display()))
        })
    }

    fn over_tcp(&self, url: &str) -> Result<Reached, Failure> {
        let base = url.trim_end_matches('/');
        let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://127.0.0.1:"));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@'])) {
            let message = "--server: `https://<host>:<port>`, or `http://127.0.0.1:<port>`";
            return Err(Failure::Usage(message.to_owned()));
        }
        let mut builder = plain_client(self.within).https_only(base.starts_with("https://"));
        if let Some(file) = &self.ca_file {
            let authorities =
                Certificate::from_pem_bundle(&read(file)?).map_err(|error| unfit(file, &error))?;
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(file) = &self.identity_file {
            builder =
                builder.identity(Identity::from_pem(&read(file)?).map_err(|error| unfit(file, &error))?);
        }
        let client = builder.build().map_err(Failure::other)?;
        Ok(Reached { client, base: base.to_owned(), name: base.to_owned() })
    }
}

fn over_socket(socket: &Path, within: Duration) -> Result<Reached, Failure> {
    // No authorities: an image may have none, and none are needed.
    let client =
        plain_client(within).tls_certs_only([]).unix_socket(socket).build().map_err(Failure::other)?;
    Ok(Reached { client, base: "http://exequatur".to_owned(), name: socket.display().to_string() })
}

fn plain_client(within: Duration) -> ClientBuilder {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(within)
}

fn bearer(file: &Path) -> Result<HeaderValue, Failure> {
    let text = read(file)?;
    let token = std::str::from_utf8(&text).map_err(|error| unfit(file, &error))?.trim();
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| unfit(file, &error))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| Failure::Usage(format!("{}: {error}", file.display()));
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_TOKEN {
        return Err(Failure::Usage(format!("{}: larger than {MAX_TOKEN} bytes", file.display())));
    }
    std::fs::read(file).map_err(unreadable)
}

fn unfit(file: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::Usage(format!("{}: {error}", file.display()))
}

/// One segment of a path, whatever is in it.
pub(crate) fn in_path(id: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@');
    id.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn answer<A: DeserializeOwned>(name: &str, request: RequestBuilder) -> Result<A, Failure> {
    let unreachable =
        |error: reqwest::Error| Failure::Other(format!("{name}: no server answers: {}", causes(&error)));
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MAX_ANSWER {
            return Err(Failure::Other(format!("{name}: the answer is too long")));
        }
    }
    let unreadable = |error| Failure::Other(format!("{name}: not an answer of Exequatur: {error}"));
    if status == StatusCode::OK {
        return serde_json::from_slice(&answer).map_err(unreadable);
    }
    let problem: Problem = serde_json::from_slice(&answer).map_err(unreadable)?;
    Err(refused(status, &problem))
}

fn refused(status: StatusCode, problem: &Problem) -> Failure {
    let mut message = plain(&problem.message, 1_000).trim_matches('"').to_owned();
    if problem.in_force {
        message.push_str(match problem.error.as_str() {
            "not_recorded" => "; it is in force, and not recorded",
            _ => "; it is in force in this server, and lost at its restart",
        });
    }
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::Usage(message),
        _ => Failure::Other(message),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

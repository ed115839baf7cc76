//! The admin socket of a running server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use exequatur_admin::wire::Problem;
use exequatur_server::config;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, StatusCode};
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

/// Which server.
#[derive(Args, Debug)]
pub(crate) struct Admin {
    /// The admin socket of the server; `/run/exequatur/admin.sock` if neither this nor a configuration is given.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// The configuration file of the server, whose `listen.admin` is used.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What you call yourself, where several people are one user of the machine; recorded as unverified.
    #[arg(long = "as", value_name = "NAME")]
    claimed: Option<String>,
}

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a, T> {
    Get,
    Post(&'a T),
}

impl Admin {
    /// The answer to one request.
    pub(crate) fn ask<T: Serialize, A: DeserializeOwned>(
        &self,
        path: &str,
        sent: Sent<'_, T>,
    ) -> Result<A, Failure> {
        let socket = self.socket()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::other)?;
        runtime.block_on(ask(&socket, path, self.claimed.as_deref(), sent))
    }

    fn socket(&self) -> Result<PathBuf, Failure> {
        let Some(file) = &self.config else {
            return Ok(self.socket.clone().unwrap_or_else(|| USUAL.into()));
        };
        let config = config::load(file).map_err(Failure::invalid)?;
        config.listen.admin.ok_or_else(|| {
            Failure::Usage(format!("{} has no `listen.admin`: its server takes no orders", file.display()))
        })
    }
}

/// One segment of a path, whatever is in it.
pub(crate) fn in_path(id: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'@');
    id.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

async fn ask<T: Serialize, A: DeserializeOwned>(
    socket: &Path,
    path: &str,
    claimed: Option<&str>,
    sent: Sent<'_, T>,
) -> Result<A, Failure> {
    let unreachable = |error: reqwest::Error| {
        Failure::Other(format!("{}: no server answers: {}", socket.display(), causes(&error)))
    };
    let client =
        Client::builder().unix_socket(socket).no_proxy().timeout(WITHIN).build().map_err(Failure::other)?;
    let (method, body) = match sent {
        Sent::Get => (Method::GET, Vec::new()),
        Sent::Post(order) => (Method::POST, serde_json::to_vec(order).map_err(Failure::other)?),
    };
    let mut request = client.request(method, format!("http://exequatur{path}")).body(body);
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(claimed) = claimed {
        request = request.header("exequatur-as", claimed);
    }
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        answer.extend_from_slice(&chunk);
        if answer.len() > MAX_ANSWER {
            return Err(Failure::Other(format!("{}: the answer is too long", socket.display())));
        }
    }
    let unreadable =
        |error| Failure::Other(format!("{}: not an answer of Exequatur: {error}", socket.display()));
    if status == StatusCode::OK {
        return serde_json::from_slice(&answer).map_err(unreadable);
    }
    let problem: Problem = serde_json::from_slice(&answer).map_err(unreadable)?;
    Err(refused(status, &problem))
}

fn refused(status: StatusCode, problem: &Problem) -> Failure {
    let mut message = plain(&problem.message, 1_000).trim_matches('"').to_owned();
    if problem.in_force {
        message.push_str("; it is in force in this server, and lost at its restart");
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

//! Authorization servers, and the parties that get their tokens from them: oidc-provider and oauth4webapi, in processes of
//! their own.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::configuration::IssuerEntry;
use crate::jwt::{merged, random_id};
use crate::ports::Reserved;
use crate::token_service::TokenService;
use crate::{binaries, tls};

/// One of the servers of `tests/authorization-server`. Its process and its folder go with it.
#[derive(Debug)]
pub struct AuthorizationServer {
    /// Its `iss`.
    pub issuer: String,
    keys: PathBuf,
    process: Child,
    _reserved: Reserved,
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.keys));
    }
}

impl AuthorizationServer {
    /// Another resource than that of the stack, for which `exchange.mjs` issues tokens too.
    pub const OTHER_AUDIENCE: &'static str = "https://other.example.com";

    /// Starts the one of that script and waits until it serves its keys.
    ///
    /// # Errors
    /// When Node.js or the library is missing.
    pub async fn start(script: &str) -> Result<Self, String> {
        Self::start_in(script, |_keys| Ok(())).await
    }

    /// The same for one that asks its clients for certificates: it and they have those of [`tls::write`].
    ///
    /// # Errors
    /// When Node.js, the library or `openssl` is missing.
    pub async fn start_certified(script: &str) -> Result<Self, String> {
        Self::start_in(script, tls::write).await
    }

    async fn start_in(script: &str, prepare: fn(&Path) -> Result<(), String>) -> Result<Self, String> {
        let reserved = Reserved::block().map_err(|error| error.to_string())?;
        let [port, ..] = reserved.all();
        let keys = std::env::temp_dir().join(format!("exequatur-clients-{}", random_id()));
        std::fs::create_dir(&keys).map_err(|error| error.to_string())?;
        prepare(&keys)?;
        let process = binaries::node_script(script)?
            .arg(port.to_string())
            .arg(&keys)
            .args([TokenService::AUDIENCE, Self::OTHER_AUDIENCE])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let issuer = format!("http://127.0.0.1:{port}");
        let server = Self { issuer, keys, process, _reserved: reserved };
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        for _attempt in 0..400 {
            let asked = client.get(format!("{}/jwks", server.issuer)).send().await;
            if asked.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("the authorization server {script} did not start"))
    }

    /// As the configuration names it.
    #[must_use]
    pub fn entry(&self) -> IssuerEntry {
        IssuerEntry {
            issuer: self.issuer.clone(),
            jwks: format!("\"{}/jwks\"", self.issuer),
            user_claim: "sub".to_owned(),
        }
    }

    /// The private key of a client, in PEM. Its `kid` is the client's id and `-1`.
    #[must_use]
    pub fn key_file(&self, client: &str) -> PathBuf {
        self.keys.join(format!("{client}.pem"))
    }

    /// Where the keys of its clients are, and with [`Self::start_certified`] their certificates.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.keys
    }

    /// A script that uses tokens of this server, with the keys of its clients; what else it is told comes after.
    ///
    /// # Errors
    /// When the library is missing.
    pub fn client(&self, script: &str) -> Result<Command, String> {
        let mut command = binaries::node_script(script)?;
        command.arg(&self.issuer).arg(&self.keys).stdin(Stdio::null());
        Ok(command)
    }

    /// The clients of `exchange.mjs`: `frontend`, `agent-a` to `agent-f`, and `alice`, who is also a user.
    ///
    /// # Errors
    /// When Node.js or the library is missing, or the server does not answer.
    pub async fn parties(&self) -> Result<Parties, String> {
        Parties::start(self).await
    }

    /// Stops it for good.
    ///
    /// # Errors
    /// When it cannot be stopped.
    pub async fn stop(&mut self) -> Result<(), String> {
        self.process.kill().await.map_err(|error| error.to_string())
    }
}

/// The clients of an [`AuthorizationServer`], each with keys of its own (`tests/authorization-server/agents.mjs`).
#[derive(Debug)]
pub struct Parties {
    input: tokio::sync::Mutex<ChildStdin>,
    waiting: Arc<Waiting>,
    next: AtomicU64,
    reading: tokio::task::JoinHandle<()>,
    _process: Child,
}

type Waiting = Mutex<HashMap<u64, oneshot::Sender<Value>>>;

impl Drop for Parties {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Parties {
    async fn start(server: &AuthorizationServer) -> Result<Self, String> {
        let mut process = server
            .client("agents.mjs")?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        let mut output = BufReader::new(output);
        let mut said = String::new();
        output.read_line(&mut said).await.map_err(|error| error.to_string())?;
        if said.trim() != "ready" {
            return Err(format!("the parties said `{said}`"));
        }
        let waiting = Arc::new(Waiting::default());
        let reading = tokio::spawn(read(output, Arc::clone(&waiting)));
        let input = tokio::sync::Mutex::new(input);
        Ok(Self { input, waiting, next: AtomicU64::new(0), reading, _process: process })
    }

    /// Gives an order; the script's head says which there are.
    ///
    /// # Errors
    /// When it could not be carried out. A refusal of the authorization server is an answer.
    pub async fn order(&self, order: &Value) -> Result<Value, String> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let line = format!("{}\n", merged(order.clone(), &json!({ "id": id })));
        self.input.lock().await.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
        let answer = receiver.await.map_err(|_gone| "the parties have ended".to_owned())?;
        match answer["failed"].as_str() {
            None => Ok(answer),
            Some(failed) => Err(failed.to_owned()),
        }
    }

    /// A token; the code of the authorization server's refusal is the error.
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self, order: &Value) -> Result<String, String> {
        let answer = self.order(order).await?;
        match answer["token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(answer["error"].as_str().unwrap_or("no answer").to_owned()),
        }
    }

    /// A token of a user who signed in at the front end.
    ///
    /// # Errors
    /// When there is none.
    pub async fn sign_in(&self, user: &str, scope: &str) -> Result<String, String> {
        self.token(&json!({ "do": "sign_in", "as": "frontend", "user": user, "scope": scope })).await
    }

    /// A token of an agent for itself.
    ///
    /// # Errors
    /// When there is none.
    pub async fn own(&self, agent: &str, scope: &str) -> Result<String, String> {
        self.token(&json!({ "do": "own", "as": agent, "scope": scope })).await
    }

    /// A token by which `agent` acts for the user of `subject`, with what else the order says.
    ///
    /// # Errors
    /// When there is none; `invalid_grant` and the like are the server's.
    pub async fn exchange(&self, agent: &str, subject: &str, more: &Value) -> Result<String, String> {
        let order = json!({ "do": "exchange", "as": agent, "subject": subject });
        self.token(&merged(order, more)).await
    }

    /// What a call with a proof of this party's key comes to: status and reason.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn call(
        &self,
        party: &str,
        token: &str,
        method: &str,
        url: &str,
    ) -> Result<(u16, String), String> {
        let order = json!({ "do": "call", "as": party, "token": token, "method": method, "url": url });
        let answer = self.order(&order).await?;
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        Ok((status.unwrap_or_default(), answer["reason"].as_str().unwrap_or_default().to_owned()))
    }
}

/// Hands each answer to who waits for it. When the output ends, so does all waiting.
async fn read(output: BufReader<ChildStdout>, waiting: Arc<Waiting>) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        let id = answer["id"].as_u64().unwrap_or(u64::MAX);
        let sender = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(sender) = sender {
            // Who has given up waiting does not need it.
            drop(sender.send(answer));
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

//! A transmitter of security events: its sets are signed with the `jose` library, in a process of its own.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use crate::jwt::{merged, now, random_id};
use crate::token_service::TokenService;
use crate::{Options, binaries};

/// The URI of a CAEP event's type begins so.
pub const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
/// The same of events about a stream.
pub const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

/// A transmitter that speaks for the stack's token service. Its folder goes with it.
#[derive(Debug)]
pub struct Transmitter {
    folder: PathBuf,
    signing: Mutex<Signing>,
    _process: Child,
}

#[derive(Debug)]
struct Signing {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Transmitter {
    /// Its `iss`.
    pub const ISSUER: &'static str = "https://idp.example.com";
    /// Its `aud`.
    pub const AUDIENCE: &'static str = "https://gateway.example.com/signals";
    /// What it sends as `Authorization`.
    pub const AUTHORIZATION: &'static str = "Bearer a-long-secret-of-the-stream";

    /// Starts it.
    ///
    /// # Errors
    /// When Node.js or the library is missing.
    pub async fn start() -> Result<Self, String> {
        let folder = std::env::temp_dir().join(format!("exequatur-transmitter-{}", random_id()));
        std::fs::create_dir(&folder).map_err(|error| error.to_string())?;
        let mut process = binaries::node_script("transmitter.mjs")?
            .arg(folder.join("jwks.json"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        let mut output = BufReader::new(output).lines();
        let said = output.next_line().await.map_err(|error| error.to_string())?;
        if said.as_deref() != Some("ready") {
            return Err(format!("{said:?}"));
        }
        let transmitter = Self { folder, signing: Mutex::new(Signing { input, output }), _process: process };
        transmitter.secret("authorization", Self::AUTHORIZATION)?;
        Ok(transmitter)
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks(&self) -> PathBuf {
        self.folder.join("jwks.json")
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a secret that nobody else may read.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn secret(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let file = self.folder.join(name);
        let mut open = std::fs::OpenOptions::new();
        let opened = open.write(true).create(true).truncate(true).mode(0o600).open(&file);
        opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| error.to_string())?;
        Ok(file)
    }

    /// A set about `subject` with one event; `changes` go over its claims, `null` removes one.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn set(
        &self,
        subject: &Value,
        uri: &str,
        event: &Value,
        changes: &Value,
    ) -> Result<String, String> {
        self.sign(&Value::Null, &claims(subject, uri, event, changes)).await
    }

    /// The same with changes to the header.
    ///
    /// # Errors
    /// When the process has ended.
    pub async fn sign(&self, header: &Value, payload: &Value) -> Result<String, String> {
        let header = if header.is_null() { json!({}) } else { header.clone() };
        let line = format!("{}\n", json!({ "header": header, "payload": payload }));
        let mut signing = self.signing.lock().await;
        signing.input.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
        let set = signing.output.next_line().await.map_err(|error| error.to_string())?;
        set.ok_or_else(|| "the transmitter has ended".to_owned())
    }

    /// `options` with a stream of this transmitter that is posted; `more` are further keys of it, each on a line.
    #[must_use]
    pub fn pushing(&self, options: Options, more: &str) -> Options {
        let authorization = self.folder.join("authorization");
        let delivery = format!("push: {{ authorization_file: {} }}", authorization.display());
        self.received(options, &delivery, &format!("    jwks: {{ file: {} }}\n{more}", self.jwks().display()))
    }

    /// `options` with a stream of this transmitter that arrives in this way.
    #[must_use]
    pub fn received(&self, mut options: Options, delivery: &str, more: &str) -> Options {
        let (issuer, audience) = (Self::ISSUER, Self::AUDIENCE);
        let stream = format!(
            "signals:\n  - name: idp\n    transmitter: {issuer}\n    audience: {audience}\n    subjects_of: [corp]\n    \
             delivery: {{ {delivery} }}\n{more}records: {{ file:"
        );
        // Replacements are of the whole run of a test.
        options.exequatur.push(("records: { file:", stream.leak()));
        options
    }
}

/// What a transmitter is asked over HTTP: its metadata, its streams, and the sets that it has.
#[derive(Debug)]
pub struct Desk {
    /// Its address: the issuer, unless sets say otherwise.
    pub url: String,
    state: Arc<std::sync::Mutex<DeskState>>,
    serving: tokio::task::JoinHandle<()>,
}

/// What is known at the desk.
#[derive(Debug, Default)]
pub struct DeskState {
    /// Sets that were not acknowledged, by their `jti`, oldest first.
    pub sets: Vec<(String, Value)>,
    /// What was asked, the path first.
    pub asked: Vec<(String, Value)>,
    /// What came as `Authorization` with each.
    pub authorizations: Vec<String>,
    /// Ids that were acknowledged.
    pub acknowledged: Vec<String>,
    /// Ids that were refused, with the word for it.
    pub refused: Vec<(String, String)>,
    /// What polls are answered with in place of sets.
    pub failing: Option<u16>,
    /// What the state of a stream is.
    pub status: &'static str,
    /// What a stream's `aud` is.
    pub audience: &'static str,
}

impl Desk {
    /// Opens it; `jwks` are the keys of sets.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn open(jwks: PathBuf) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let state = DeskState { status: "enabled", audience: Transmitter::AUDIENCE, ..DeskState::default() };
        let state = Arc::new(std::sync::Mutex::new(state));
        let (shared, home) = (Arc::clone(&state), url.clone());
        let router = Router::new().fallback(move |request: Request| {
            let (state, home, jwks) = (Arc::clone(&shared), home.clone(), jwks.clone());
            async move { answer(&state, &home, &jwks, request).await }
        });
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the desk is served");
        });
        Ok(Self { url, state, serving })
    }

    /// Looks at, or changes, what is known.
    ///
    /// # Panics
    /// If another look has panicked.
    pub fn state<T>(&self, look: impl FnOnce(&mut DeskState) -> T) -> T {
        look(&mut self.state.lock().expect("nobody panics with it"))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    state: &std::sync::Mutex<DeskState>,
    home: &str,
    jwks: &Path,
    request: Request,
) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = parts.uri.to_string();
    let mut state = state.lock().expect("nobody panics with it");
    let authorization = parts.headers.get("authorization").and_then(|value| value.to_str().ok());
    state.asked.push((path.clone(), body.clone()));
    state.authorizations.push(authorization.unwrap_or_default().to_owned());
    let place = |name: &str| format!("{home}/{name}");
    let found = match path.as_str() {
        "/.well-known/ssf-configuration" => json!({
            "issuer": home, "jwks_uri": place("jwks"), "configuration_endpoint": place("streams"),
            "status_endpoint": place("status"), "verification_endpoint": place("verify"),
        }),
        "/jwks" => return (StatusCode::OK, std::fs::read_to_string(jwks).unwrap_or_default()),
        "/streams" => json!({
            "stream_id": "stream-1", "iss": home, "aud": state.audience,
            "delivery": merged(json!({ "endpoint_url": place("poll") }), &body["delivery"]),
            "events_delivered": [format!("{CAEP}session-revoked")],
        }),
        "/verify" => return (StatusCode::NO_CONTENT, String::new()),
        "/status?stream_id=stream-1" => {
            json!({ "stream_id": "stream-1", "status": state.status, "reason": "because" })
        }
        "/poll" => {
            if let Some(status) = state.failing {
                return (StatusCode::from_u16(status).unwrap_or_default(), String::new());
            }
            return (StatusCode::OK, polled(&mut state, &body).to_string());
        }
        _ => return (StatusCode::NOT_FOUND, String::new()),
    };
    (if path == "/streams" { StatusCode::CREATED } else { StatusCode::OK }, found.to_string())
}

/// RFC 8936 §2.
fn polled(state: &mut DeskState, body: &Value) -> Value {
    let acknowledged: Vec<_> =
        body["ack"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let refused: Vec<_> = body["setErrs"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(id, error)| (id.clone(), error["err"].as_str().unwrap_or_default().to_owned()))
        .collect();
    state.sets.retain(|(id, _)| !acknowledged.contains(id) && !refused.iter().any(|(other, _)| other == id));
    state.acknowledged.extend(acknowledged);
    state.refused.extend(refused);
    let most = body["maxEvents"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let sets: serde_json::Map<_, _> = state.sets.iter().take(most).cloned().collect();
    json!({ "moreAvailable": state.sets.len() > most, "sets": sets })
}

impl Drop for Transmitter {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// The claims of a set.
#[must_use]
pub fn claims(subject: &Value, uri: &str, event: &Value, changes: &Value) -> Value {
    let usual = json!({
        "iss": Transmitter::ISSUER, "aud": Transmitter::AUDIENCE, "jti": random_id(), "iat": now(),
        "sub_id": subject, "events": { uri: event },
    });
    merged(usual, changes)
}

/// The subject that the token service calls so.
#[must_use]
pub fn user(name: &str) -> Value {
    json!({ "format": "iss_sub", "iss": TokenService::ISSUER, "sub": name })
}

/// A subject that is nothing but an id.
#[must_use]
pub fn opaque(id: &str) -> Value {
    json!({ "format": "opaque", "id": id })
}

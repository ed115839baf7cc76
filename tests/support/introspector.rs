//! An issuer that is asked about its tokens (RFC 7662) and answers with a signature (RFC 9701): honestly, or as it is told.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path as File, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::jwt::{KeyPair, merged, random_id};

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// At once, and truly.
    Honest,
    /// Truly, after so long.
    Slow(Duration),
    /// By something that is no JWT.
    Garbage,
    /// Truly, without a signature, as JSON.
    Plain,
    /// With a key that is not its own, under the name of its own.
    ForeignKey,
    /// To somebody else than who asks.
    ForAnother,
    /// In the name of another issuer.
    AsAnother,
    /// As it did to a question of an hour ago.
    Old,
    /// With a word that is not `true`.
    Almost,
    /// By status 500.
    Broken,
}

/// Speaks for any number of issuers, by their names: each has a key of its own at `/<name>/jwks`, and is asked at
/// `/<name>/introspect` by the client `exequatur`.
#[derive(Debug)]
pub struct Introspector {
    address: SocketAddr,
    state: Shared,
    client_key: PathBuf,
    serving: JoinHandle<()>,
}

type Shared = Arc<Mutex<Server>>;

#[derive(Debug)]
struct Server {
    stranger: KeyPair,
    now: fn() -> i64,
    mood: Mood,
    /// The `iss` and the key of each issuer that it speaks for.
    issuers: HashMap<String, (String, KeyPair)>,
    /// What is said of each token, but that it is active.
    tokens: HashMap<(String, String), Value>,
    asked: Vec<String>,
}

const KEY: &str = "as-1";
const JWT: &str = "application/token-introspection+jwt";

impl Drop for Introspector {
    fn drop(&mut self) {
        self.serving.abort();
        drop(std::fs::remove_file(&self.client_key));
    }
}

impl Introspector {
    /// One that knows of no token and no issuer; it reads the time in seconds since 1970 from `now`.
    ///
    /// # Errors
    /// When there is no port to listen on, or no file for the client's key.
    ///
    /// # Panics
    /// If the machine has no randomness.
    pub async fn start(now: fn() -> i64) -> std::io::Result<Self> {
        let client_key = std::env::temp_dir().join(format!("exequatur-client-{}.key", random_id()));
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&client_key)?;
        file.write_all(new_client_key().as_bytes())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(Server {
            stranger: KeyPair::generate(),
            now,
            mood: Mood::Honest,
            issuers: HashMap::new(),
            tokens: HashMap::new(),
            asked: Vec::new(),
        }));
        let router = Router::new()
            .route("/{issuer}/jwks", get(keys))
            .route("/{issuer}/introspect", post(introspect))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("questions are answered");
        });
        Ok(Self { address, state, client_key, serving })
    }

    /// What its addresses begin with.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the key of the issuer of this name is.
    #[must_use]
    pub fn jwks_url(&self, issuer: &str) -> String {
        format!("http://{}/{issuer}/jwks", self.address)
    }

    /// Where it is asked about tokens of the issuer of this name.
    #[must_use]
    pub fn endpoint(&self, issuer: &str) -> String {
        format!("http://{}/{issuer}/introspect", self.address)
    }

    /// The file with the key of who asks.
    #[must_use]
    pub fn client_key(&self) -> &File {
        &self.client_key
    }

    /// Speaks for an issuer from now on.
    pub fn speak_for(&self, name: &str, issuer: &str) {
        let key = KeyPair::generate();
        lock(&self.state).issuers.insert(name.to_owned(), (issuer.to_owned(), key));
    }

    /// Knows a token of the issuer of this name from now on.
    pub fn know(&self, issuer: &str, token: &str, said: &Value) {
        lock(&self.state).tokens.insert((issuer.to_owned(), token.to_owned()), said.clone());
    }

    /// Answers so from now on.
    pub fn set(&self, mood: Mood) {
        lock(&self.state).mood = mood;
    }

    /// The tokens that it was asked about, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, Server> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_client_key() -> String {
    let secret = loop {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("randomness");
        if let Ok(secret) = p256::SecretKey::from_slice(&bytes) {
            break secret;
        }
    };
    let der = secret.to_pkcs8_der().expect("a P-256 key has a PKCS #8 form");
    let text = STANDARD.encode(der.as_bytes());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

async fn keys(State(state): State<Shared>, Path(issuer): Path<String>) -> Response {
    let Some(jwk) = lock(&state).issuers.get(&issuer).map(|(_, key)| key.jwk()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    json!({ "keys": [merged(jwk, &json!({ "kid": KEY, "alg": "ES256" }))] }).to_string().into_response()
}

async fn introspect(State(state): State<Shared>, Path(issuer): Path<String>, question: String) -> Response {
    let (answer, mood) = {
        let mut server = lock(&state);
        // Its tokens are written as they are.
        let token = question.split('&').find_map(|field| field.strip_prefix("token=")).unwrap_or_default();
        let token = token.to_owned();
        server.asked.push(token.clone());
        (server.answer(&issuer, token), server.mood)
    };
    if let Mood::Slow(time) = mood {
        tokio::time::sleep(time).await;
    }
    answer
}

impl Server {
    fn answer(&self, issuer: &str, token: String) -> Response {
        let Some((name, key)) = self.issuers.get(issuer) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let known = self.tokens.get(&(issuer.to_owned(), token));
        let said = match known {
            Some(said) if self.mood == Mood::Almost => merged(said.clone(), &json!({ "active": "true" })),
            Some(said) => merged(said.clone(), &json!({ "active": true })),
            None => json!({ "active": false }),
        };
        let now = (self.now)();
        let envelope = json!({
            "iss": name, "aud": "exequatur", "iat": now, "token_introspection": said,
        });
        let header = json!({ "typ": "token-introspection+jwt", "alg": "ES256", "kid": KEY });
        let signed = |key: &KeyPair, changes: Value| {
            let jwt = key.sign(&header, &merged(envelope.clone(), &changes));
            ([(CONTENT_TYPE, JWT)], jwt).into_response()
        };
        match self.mood {
            Mood::Honest | Mood::Slow(_) | Mood::Almost => signed(key, json!({})),
            Mood::Garbage => ([(CONTENT_TYPE, JWT)], "<html>It works!</html>").into_response(),
            Mood::Plain => ([(CONTENT_TYPE, "application/json")], said.to_string()).into_response(),
            Mood::ForeignKey => signed(&self.stranger, json!({})),
            Mood::ForAnother => signed(key, json!({ "aud": "somebody-else" })),
            Mood::AsAnother => signed(key, json!({ "iss": "https://sts.example.com" })),
            Mood::Old => signed(key, json!({ "iat": now - 3600 })),
            Mood::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

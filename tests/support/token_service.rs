//! An issuer of access tokens, as far as Exequatur sees one: a key set over HTTP, and what it signs.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::jwt::{Algorithm, KeyPair, merged, now, random_id};

/// The issuer that the configuration calls `corp`; it serves its keys while it lives.
#[derive(Debug)]
pub struct TokenService {
    key: KeyPair,
    others: Vec<KeyPair>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl TokenService {
    /// Its `iss`.
    pub const ISSUER: &'static str = "https://sts.example.com";
    /// The `aud` of the protected resource.
    pub const AUDIENCE: &'static str = "https://api.example.com";

    /// An issuer with a new key, served on loopback.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with another key for each of `algorithms`.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub async fn start_with(algorithms: &[Algorithm]) -> std::io::Result<Self> {
        let key = KeyPair::generate();
        let others: Vec<_> = algorithms.iter().map(|algorithm| KeyPair::of(*algorithm)).collect();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let keys = key_set(&key, &others).to_string();
        let router = Router::new().route("/jwks", get(move || async move { keys }));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the key set is served");
        });
        Ok(Self { key, others, address, serving })
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// A token for `crm-bot`, acting for alice of tenant acme, bound to the agent's key; `changes` go over
    /// its claims, `null` removes one.
    #[must_use]
    pub fn token(&self, agent: &Agent, changes: &Value) -> String {
        sign(&self.key, "sts-1", agent, changes)
    }

    /// The same, signed with the other key for `algorithm`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn token_with(&self, algorithm: Algorithm, agent: &Agent, changes: &Value) -> String {
        let key = self.others.iter().find(|key| key.alg() == json!(algorithm));
        let key = key.unwrap_or_else(|| panic!("no key for {algorithm:?}"));
        sign(key, &kid(key), agent, changes)
    }
}

fn sign(key: &KeyPair, kid: &str, agent: &Agent, changes: &Value) -> String {
    let now = now();
    let usual = json!({
        "iss": TokenService::ISSUER,
        "sub": "alice",
        "client_id": "crm-bot",
        "tenant": "acme",
        "aud": TokenService::AUDIENCE,
        "scope": "documents:read documents:write",
        "iat": now,
        "exp": now + 300,
        "jti": random_id(),
        "cnf": agent.confirmation(),
    });
    let header = json!({ "typ": "at+jwt", "alg": key.alg(), "kid": kid });
    key.sign(&header, &merged(usual, changes))
}

fn key_set(key: &KeyPair, others: &[KeyPair]) -> Value {
    let named =
        |key: &KeyPair, kid: &str| merged(key.jwk(), &json!({ "kid": kid, "alg": key.alg(), "use": "sig" }));
    let mut keys = vec![named(key, "sts-1")];
    keys.extend(others.iter().map(|key| named(key, &kid(key))));
    json!({ "keys": keys })
}

/// `sts-PS256`
fn kid(key: &KeyPair) -> String {
    format!("sts-{}", key.alg().as_str().unwrap_or_default())
}

//! An issuer of access tokens, as far as Exequatur sees one: a key set over HTTP, and what it signs.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::jwt::{KeyPair, merged, now, random_id};

/// The issuer that the configuration calls `corp`; it serves its keys while it lives.
#[derive(Debug)]
pub struct TokenService {
    key: KeyPair,
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
        let key = KeyPair::generate();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let keys = key_set(&key).to_string();
        let router = Router::new().route("/jwks", get(move || async move { keys }));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the key set is served");
        });
        Ok(Self { key, address, serving })
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
        let now = now();
        let usual = json!({
            "iss": Self::ISSUER,
            "sub": "alice",
            "client_id": "crm-bot",
            "tenant": "acme",
            "aud": Self::AUDIENCE,
            "scope": "documents:read documents:write",
            "iat": now,
            "exp": now + 300,
            "jti": random_id(),
            "cnf": agent.confirmation(),
        });
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": "sts-1" });
        self.key.sign(&header, &merged(usual, changes))
    }
}

fn key_set(key: &KeyPair) -> Value {
    let key = merged(key.jwk(), &json!({ "kid": "sts-1", "alg": "ES256", "use": "sig" }));
    json!({ "keys": [key] })
}

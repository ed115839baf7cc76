//! An issuer of access tokens, as far as Exequatur sees one: a key set over HTTP, and what it signs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

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
    /// Not published before [`Self::publish_next_key`].
    next: KeyPair,
    /// What is served.
    published: Arc<Mutex<String>>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

const FIRST: &str = "sts-1";
const NEXT: &str = "sts-2";

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
        let published = Arc::new(Mutex::new(key_set(&key, &others).to_string()));
        let serve = {
            let published = Arc::clone(&published);
            move || async move { published.lock().expect("nobody panics with it").clone() }
        };
        let router = Router::new().route("/jwks", get(serve));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the key set is served");
        });
        Ok(Self { key, others, next: KeyPair::generate(), published, address, serving })
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/jwks", self.address)
    }

    /// The port of the loopback that it serves its keys on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// A token for `crm-bot`, acting for alice of tenant acme, bound to the agent's key; `changes` go over
    /// its claims, `null` removes one.
    #[must_use]
    pub fn token(&self, agent: &Agent, changes: &Value) -> String {
        sign(&self.key, FIRST, agent, changes)
    }

    /// The same with changes to its header too.
    #[must_use]
    pub fn token_with_header(&self, agent: &Agent, header: &Value, changes: &Value) -> String {
        self.key.sign(&merged(self.header(), header), &claims(agent, changes))
    }

    /// A token whose payload has `members` beside its usual ones, as they are written here: `"act":"x"`.
    #[must_use]
    pub fn token_with_text(&self, agent: &Agent, members: &str) -> String {
        let usual = claims(agent, &Value::Null).to_string();
        self.key.sign_text(&self.header(), &usual.replacen('{', &format!("{{{members},"), 1))
    }

    /// Whatever else it signs with its usual key; `kid` is added to the header.
    #[must_use]
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        self.key.sign(&merged(header.clone(), &json!({ "kid": FIRST })), payload)
    }

    /// The same, signed by somebody else with that key under this issuer's names.
    #[must_use]
    pub fn forged(&self, key: &KeyPair, agent: &Agent, header: &Value) -> String {
        key.sign(&merged(self.header(), header), &claims(agent, &Value::Null))
    }

    /// The public half of the key that it signs with.
    #[must_use]
    pub fn jwk(&self) -> Value {
        self.key.jwk()
    }

    /// Of its usual tokens.
    fn header(&self) -> Value {
        header(&self.key, FIRST)
    }

    /// A token of the same kind, signed with the key that is published next.
    #[must_use]
    pub fn token_of_next_key(&self, agent: &Agent, changes: &Value) -> String {
        sign(&self.next, NEXT, agent, changes)
    }

    /// A rotation begins: the next key is published beside the others.
    pub fn publish_next_key(&self) {
        self.publish(&[(&self.key, FIRST), (&self.next, NEXT)]);
    }

    /// The rotation ends: the first key is published no more.
    pub fn withdraw_first_key(&self) {
        self.publish(&[(&self.next, NEXT)]);
    }

    fn publish(&self, keys: &[(&KeyPair, &str)]) {
        let keys: Vec<_> = keys.iter().map(|(key, kid)| named(key, kid)).collect();
        *self.published.lock().expect("nobody panics with it") = json!({ "keys": keys }).to_string();
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
    key.sign(&header(key, kid), &claims(agent, changes))
}

fn header(key: &KeyPair, kid: &str) -> Value {
    json!({ "typ": "at+jwt", "alg": key.alg(), "kid": kid })
}

fn claims(agent: &Agent, changes: &Value) -> Value {
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
    merged(usual, changes)
}

fn key_set(key: &KeyPair, others: &[KeyPair]) -> Value {
    let mut keys = vec![named(key, FIRST)];
    keys.extend(others.iter().map(|key| named(key, &kid(key))));
    json!({ "keys": keys })
}

fn named(key: &KeyPair, kid: &str) -> Value {
    merged(key.jwk(), &json!({ "kid": kid, "alg": key.alg(), "use": "sig" }))
}

/// `sts-PS256`
fn kid(key: &KeyPair) -> String {
    format!("sts-{}", key.alg().as_str().unwrap_or_default())
}

//! An issuer of access tokens, as far as Exequatur sees one: a key set and what it signs.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::jwt::{KeyPair, merged, now, random_id};

/// The issuer that the configuration calls `corp`.
#[derive(Debug)]
pub struct TokenService {
    key: KeyPair,
}

impl Default for TokenService {
    fn default() -> Self {
        Self::new()
    }
}

impl TokenService {
    /// Its `iss`.
    pub const ISSUER: &'static str = "https://sts.example.com";
    /// The `aud` of the protected resource.
    pub const AUDIENCE: &'static str = "https://api.example.com";

    /// An issuer with a new key.
    #[must_use]
    pub fn new() -> Self {
        Self { key: KeyPair::generate() }
    }

    /// Its published key set.
    #[must_use]
    pub fn key_set(&self) -> Value {
        let key = merged(self.key.jwk(), &json!({ "kid": "sts-1", "alg": "ES256", "use": "sig" }));
        json!({ "keys": [key] })
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

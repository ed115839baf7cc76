//! An agent: a key pair, and the proofs it signs.

use serde_json::{Value, json};

use crate::jwt::{Algorithm, KeyPair, digest, merged, now, random_id};

/// An agent that proves possession of its key.
#[derive(Debug)]
pub struct Agent {
    /// Its key.
    pub key: KeyPair,
}

impl Default for Agent {
    fn default() -> Self {
        Self::new()
    }
}

impl Agent {
    /// An agent with a new key.
    #[must_use]
    pub fn new() -> Self {
        Self { key: KeyPair::generate() }
    }

    /// An agent with a new key for `algorithm`.
    #[must_use]
    pub fn with(algorithm: Algorithm) -> Self {
        Self { key: KeyPair::of(algorithm) }
    }

    /// The confirmation that binds a token to this agent's key.
    #[must_use]
    pub fn confirmation(&self) -> Value {
        json!({ "jkt": self.key.thumbprint() })
    }

    /// A `DPoP` proof (RFC 9449 §4.2); `changes` go over its claims, `null` removes one.
    #[must_use]
    pub fn proof(&self, method: &str, url: &str, token: &str, changes: &Value) -> String {
        self.proof_with_header(method, url, token, changes, &Value::Null)
    }

    /// The same, with changes to the header too.
    #[must_use]
    pub fn proof_with_header(
        &self,
        method: &str,
        url: &str,
        token: &str,
        claims: &Value,
        header: &Value,
    ) -> String {
        let usual_header = json!({ "typ": "dpop+jwt", "alg": self.key.alg(), "jwk": self.key.jwk() });
        let usual_claims =
            json!({ "jti": random_id(), "htm": method, "htu": url, "iat": now(), "ath": digest(token) });
        self.key.sign(&merged(usual_header, header), &merged(usual_claims, claims))
    }
}

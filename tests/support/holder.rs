//! Somebody who may call: a token, its key, and the nonce that proofs need just after a start.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::client::Call;
use crate::raw::Raw;
use crate::stack::Stack;

/// The path of a document that every holder of [`Stack::holder`] may read and write.
pub const DOCUMENT: &str = "/tenants/acme/documents/plan";

/// A caller with everything that a permit takes.
#[derive(Debug)]
pub struct Holder {
    /// Whose key it is.
    pub agent: Agent,
    /// Bound to that key.
    pub token: String,
    nonce: Value,
    origin: String,
}

impl Stack {
    /// A caller with a token of which `changes` are made.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn holder(&self, changes: &Value) -> Result<Holder, String> {
        let agent = Agent::new();
        let token = self.tokens.token(&agent, changes);
        let url = self.url(DOCUMENT);
        // A usual token of the same key: what is wrong with the changed one may come before the nonce.
        let usual = self.tokens.token(&agent, &Value::Null);
        let nonce = self.nonce(&agent, &usual, &Call::new("GET", &url)).await?;
        let nonce = nonce.map_or(Value::Null, |nonce| json!({ "nonce": nonce }));
        Ok(Holder { agent, token, nonce, origin: self.url("") })
    }
}

impl Holder {
    /// A fresh proof for a method and a path.
    #[must_use]
    pub fn proof(&self, method: &str, path: &str) -> String {
        self.proof_for(method, &format!("{}{path}", self.origin))
    }

    /// A fresh proof for a method and a URL.
    #[must_use]
    pub fn proof_for(&self, method: &str, url: &str) -> String {
        self.agent.proof(method, url, &self.token, &self.nonce)
    }

    /// The request with this caller's token and a fresh proof for its method and path, under the scheme `DPoP`.
    #[must_use]
    pub fn sign(&self, request: Raw) -> Raw {
        let target = request.target();
        let path = target.split('?').next().unwrap_or_default();
        let proof = self.proof(&request.method(), path);
        request.with("authorization", format!("DPoP {}", self.token)).with("dpop", proof)
    }
}

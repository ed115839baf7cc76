//! Somebody who may call: a token, its key, and the nonce that proofs need just after a start.

use serde_json::{Value, json};

use crate::agent::Agent;
use crate::raw::{Raw, Version};
use crate::stack::Stack;
use crate::tls::Shown;

/// The path of a document that every holder of [`Stack::holder`] may read and write.
pub const DOCUMENT: &str = "/tenants/acme/documents/plan";

/// A policy forbids this one, once everything else is in order: it never reaches the upstream.
const SEALED: &str = "/tenants/acme/sealed/plan";
/// The path of a public route; Envoy itself may answer `/healthz`.
pub const OPEN: &str = "/open";

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
        self.holder_showing(changes, None).await
    }

    /// The same, where a listener demands a client certificate.
    ///
    /// # Errors
    /// When Envoy does not answer.
    pub async fn holder_showing(&self, changes: &Value, shown: Option<&Shown>) -> Result<Holder, String> {
        let agent = Agent::new();
        // A usual token of the same key: what is wrong with the changed one may come before the nonce.
        let usual = self.tokens.token(&agent, &Value::Null);
        let mut holder = Holder { agent, token: usual, nonce: Value::Null, origin: self.url("") };
        let mut caller = self.raw(Version::Http1);
        if let Some(shown) = shown {
            caller = caller.showing(shown.clone());
        }
        let answer = caller.send(&holder.sign(Raw::new("GET", SEALED))).await?;
        if let Some(nonce) = answer.values("dpop-nonce").first() {
            holder.nonce = json!({ "nonce": nonce });
        }
        holder.token = self.tokens.token(&holder.agent, changes);
        Ok(holder)
    }
}

impl Holder {
    /// What its proofs have to say just after a start: `{ "nonce": … }`, or nothing.
    #[must_use]
    pub fn nonce(&self) -> &Value {
        &self.nonce
    }

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

    /// A fresh proof with another token of the same key.
    #[must_use]
    pub fn proof_of(&self, token: &str, method: &str, path: &str) -> String {
        self.agent.proof(method, &format!("{}{path}", self.origin), token, &self.nonce)
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

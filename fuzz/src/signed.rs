//! The one valid token and proof, the same in every run: fixed keys, a fixed time, signatures without
//! randomness.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The second at which everything happens.
pub const NOW: i64 = 1_800_000_000;
/// What the valid request asks for.
pub const METHOD: &str = "GET";
/// Its host.
pub const HOST: &str = "api.example.com";
/// Its path.
pub const PATH: &str = "/tenants/acme/documents/plan";
/// The issuer of the valid token.
pub const ISSUER: &str = "https://sts.example.com";
/// What the valid token is for.
pub const AUDIENCE: &str = "https://api.example.com";

/// [`NOW`]
pub fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time within range")
}

/// A P-256 key.
pub struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).expect("a scalar of the curve"))
    }

    /// The issuer's.
    pub fn issuer() -> Self {
        Self::new(7)
    }

    /// The agent's, to which the token is bound.
    pub fn agent() -> Self {
        Self::new(9)
    }

    /// Its public half.
    pub fn jwk(&self) -> Value {
        let point = self.0.verifying_key().to_sec1_point(false);
        let point = point.as_bytes();
        json!({ "crv": "P-256", "kty": "EC", "x": encode(&point[1..33]), "y": encode(&point[33..65]) })
    }

    /// RFC 7638.
    pub fn thumbprint(&self) -> String {
        digest(&self.jwk().to_string())
    }

    /// A compact JWS.
    pub fn sign(&self, header: &Value, payload: &Value) -> String {
        self.sign_bytes(header, payload.to_string().as_bytes())
    }

    /// The same over a payload that may be anything.
    pub fn sign_bytes(&self, header: &Value, payload: &[u8]) -> String {
        let input = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload));
        let signature: Signature = self.0.sign(input.as_bytes());
        format!("{input}.{}", encode(&signature.to_bytes()))
    }
}

/// Unpadded base64url.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `base64url(SHA-256(text))`
pub fn digest(text: &str) -> String {
    encode(&Sha256::digest(text.as_bytes()))
}

/// The issuer's key set.
pub fn key_set() -> String {
    let mut key = Key::issuer().jwk();
    key["kid"] = json!("k1");
    json!({ "keys": [key] }).to_string()
}

/// The valid token, bound to the agent's key.
pub static TOKEN: LazyLock<String> = LazyLock::new(|| {
    let claims = json!({
        "iss": ISSUER, "sub": "alice", "client_id": "crm-bot", "tenant": "acme", "aud": AUDIENCE,
        "scope": "documents:read documents:write", "iat": NOW, "exp": NOW + 300, "jti": "token-1",
        "cnf": { "jkt": Key::agent().thumbprint() },
    });
    Key::issuer().sign(&json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k1" }), &claims)
});

/// The valid proof for the valid request with the valid token.
pub static PROOF: LazyLock<String> = LazyLock::new(|| {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": Key::agent().jwk() });
    let claims = json!({
        "jti": "proof-1", "htm": METHOD, "htu": format!("https://{HOST}{PATH}"), "iat": NOW,
        "ath": digest(&TOKEN),
    });
    Key::agent().sign(&header, &claims)
});

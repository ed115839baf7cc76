//! A request that is permitted, to be changed in one place by each test.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::key::{Key, digest};

/// The second at which most tests happen.
pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://sts.example.com";
pub(crate) const API: &str = "https://api.example.com";
pub(crate) const READ: &str = "/tenants/acme/documents/internal/1";

/// An access token before it is signed.
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) signer: Key,
}

impl Token {
    /// Bound to the agent's key.
    pub(crate) fn bound() -> Self {
        Self::unbound().with("cnf", json!({"jkt": Key::agent().thumbprint}))
    }

    /// Bound to nothing.
    pub(crate) fn unbound() -> Self {
        let claims = json!({
            "iss": ISSUER, "sub": "alice", "client_id": "crm-bot", "jti": "t-1", "iat": NOW - 10,
            "exp": NOW + 300, "aud": API, "scope": "documents:read", "tenant": "acme",
        });
        Self { header: json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}), claims, signer: Key::issuer() }
    }

    pub(crate) fn with(mut self, claim: &str, value: Value) -> Self {
        self.claims[claim] = value;
        self
    }

    pub(crate) fn signed_by(mut self, signer: Key) -> Self {
        self.signer = signer;
        self
    }

    pub(crate) fn sign(&self) -> String {
        self.signer.sign(&self.header, &self.claims)
    }
}

/// A DPoP proof before it is signed.
pub(crate) struct Proof {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) signer: Key,
}

impl Proof {
    /// Of the agent's key, for `GET` of [`READ`], made now, never used; its `ath` comes with the token.
    pub(crate) fn new() -> Self {
        Self::by(Key::agent())
    }

    pub(crate) fn by(signer: Key) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let jti = format!("p-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        Self {
            header: json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": signer.jwk}),
            claims: json!({"jti": jti, "htm": "GET", "htu": format!("{API}{READ}"), "iat": NOW}),
            signer,
        }
    }

    pub(crate) fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.claims[claim] = value.into();
        self
    }

    /// The same claims but for the nonce.
    pub(crate) fn answering(&self, nonce: &str, token: &str) -> String {
        let mut claims = self.claims.clone();
        claims["nonce"] = json!(nonce);
        self.sign_claims(claims, token)
    }

    pub(crate) fn sign(&self, token: &str) -> String {
        self.sign_claims(self.claims.clone(), token)
    }

    fn sign_claims(&self, mut claims: Value, token: &str) -> String {
        if claims.get("ath").is_none() {
            claims["ath"] = json!(digest(token.as_bytes()));
        }
        self.signer.sign(&self.header, &claims)
    }
}

/// A request, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) certificate: Option<String>,
    pub(crate) has_body: bool,
    pub(crate) peer: Option<IpAddr>,
}

impl Ask {
    /// `GET` of [`READ`], without credentials.
    pub(crate) fn anonymous() -> Self {
        Self {
            method: "GET".to_owned(),
            host: "api.example.com".to_owned(),
            target: READ.to_owned(),
            headers: Vec::new(),
            certificate: None,
            has_body: false,
            peer: None,
        }
    }

    /// With everything that it takes.
    pub(crate) fn valid() -> Self {
        Self::signed(&Token::bound(), &Proof::new())
    }

    pub(crate) fn signed(token: &Token, proof: &Proof) -> Self {
        let token = token.sign();
        Self::dpop(&token, &proof.sign(&token))
    }

    pub(crate) fn dpop(token: &str, proof: &str) -> Self {
        Self::anonymous().header("authorization", &format!("DPoP {token}")).header("dpop", proof)
    }

    pub(crate) fn bearer(token: &str) -> Self {
        Self::anonymous().header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| header != name);
        self
    }

    pub(crate) fn to(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    pub(crate) fn at(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub(crate) fn from(mut self, address: &str) -> Self {
        self.peer = Some(address.parse().unwrap());
        self
    }

    pub(crate) fn certificate(mut self, url_encoded_pem: &str) -> Self {
        self.certificate = Some(url_encoded_pem.to_owned());
        self
    }
}

/// A token bound to the agent's key and a first proof for `target` of the API.
pub(crate) fn ask_for(target: &str) -> Ask {
    Ask::signed(&Token::bound(), &Proof::new().with("htu", format!("{API}{target}"))).to(target)
}

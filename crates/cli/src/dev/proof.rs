//! `exequatur dev proof`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::keys::{Key, encode, random_id};
use crate::exit::{Failure, say};

/// Make a DPoP proof.
#[derive(Debug, Args)]
pub(crate) struct Proof {
    /// The caller's key; made if nothing is there.
    #[arg(long, default_value = "agent.pem", value_name = "FILE")]
    key: PathBuf,
    /// `htm`
    #[arg(long, default_value = "GET")]
    method: String,
    /// `htu`
    #[arg(long)]
    url: String,
    /// The access token that goes with it (`ath`).
    #[arg(long)]
    token: String,
    /// `nonce`
    #[arg(long)]
    nonce: Option<String>,
}

impl Proof {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let key = Key::load_or_make(&self.key)?;
        say(make(&key, &self.method, &self.url, &self.token, self.nonce.as_deref())?)
    }
}

/// A proof by RFC 9449 §4.2.
pub(crate) fn make(
    key: &Key,
    method: &str,
    url: &str,
    token: &str,
    nonce: Option<&str>,
) -> Result<String, Failure> {
    let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": key.jwk()? });
    let mut claims = json!({
        "jti": random_id()?,
        "htm": method,
        "htu": url.split(['?', '#']).next().unwrap_or(url),
        "iat": (exequatur_server::clock::system())().as_second(),
        "ath": encode(&Sha256::digest(token.as_bytes())),
    });
    if let (Some(nonce), Some(members)) = (nonce, claims.as_object_mut()) {
        members.insert("nonce".to_owned(), json!(nonce));
    }
    key.sign(&header, &claims)
}

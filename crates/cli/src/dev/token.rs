//! `exequatur dev token`

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::keys::{Key, random_id};
use crate::exit::{Failure, say};

/// Mint an access token with the development issuer's key.
#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The issuer's key; made if nothing is there.
    #[arg(long, default_value = "issuer.pem", value_name = "FILE")]
    key: PathBuf,
    /// `iss`
    #[arg(long)]
    issuer: String,
    /// `aud`
    #[arg(long)]
    audience: String,
    /// `client_id`: the agent.
    #[arg(long)]
    agent: String,
    /// `sub`: on whose behalf; the agent itself if absent.
    #[arg(long)]
    user: Option<String>,
    /// `tenant`
    #[arg(long)]
    tenant: Option<String>,
    /// `scope`
    #[arg(long, default_value = "")]
    scope: String,
    /// Bind the token to this key (`cnf.jkt`); made if nothing is there. A bearer token if absent.
    #[arg(long, value_name = "FILE")]
    bind: Option<PathBuf>,
    /// Lifetime in seconds.
    #[arg(long, default_value_t = 300)]
    lifetime: i64,
    /// A further claim, `name=JSON`; replaces one of the above.
    #[arg(long, value_name = "NAME=JSON")]
    claim: Vec<String>,
}

impl Token {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let key = Key::load_or_make(&self.key)?;
        let now = (exequatur_server::clock::system())().as_second();
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", json!(self.issuer));
        put("aud", json!(self.audience));
        put("client_id", json!(self.agent));
        put("sub", json!(self.user.as_ref().unwrap_or(&self.agent)));
        put("iat", json!(now));
        put("exp", json!(now.saturating_add(self.lifetime)));
        put("jti", json!(random_id()?));
        put("scope", json!(self.scope));
        if let Some(tenant) = &self.tenant {
            put("tenant", json!(tenant));
        }
        if let Some(path) = &self.bind {
            put("cnf", json!({ "jkt": Key::load_or_make(path)?.thumbprint()? }));
        }
        for claim in &self.claim {
            let (name, value) =
                claim.split_once('=').ok_or_else(|| Failure::Usage("--claim: NAME=JSON".to_owned()))?;
            let value = serde_json::from_str(value)
                .map_err(|error| Failure::Usage(format!("--claim {name}: {error}")))?;
            put(name, value);
        }
        let header = json!({ "typ": "at+jwt", "alg": "ES256", "kid": key.thumbprint()? });
        say(key.sign(&header, &Value::Object(claims))?)
    }
}

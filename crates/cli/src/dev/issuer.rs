//! `exequatur dev issuer`

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use clap::Args;
use serde_json::{Value, json};

use super::keys::Key;
use crate::exit::{Failure, say};

/// Make a signing key and serve it as a key set on loopback.
#[derive(Debug, Args)]
pub(crate) struct Issuer {
    /// Where the key is kept; made if nothing is there.
    #[arg(long, default_value = "issuer.pem", value_name = "FILE")]
    key: PathBuf,
    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:9400")]
    listen: SocketAddr,
    /// Only write the key set to standard output.
    #[arg(long)]
    print: bool,
}

impl Issuer {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let keys = key_set(&Key::load_or_make(&self.key)?)?.to_string();
        if self.print {
            return say(keys);
        }
        if !self.listen.ip().is_loopback() {
            return Err(Failure::Usage(
                "--listen: the development issuer listens on loopback only".to_owned(),
            ));
        }
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind(self.listen).await.map_err(Failure::other)?;
            say(format_args!("key set at http://{}/jwks", self.listen))?;
            let router = Router::new()
                .route("/jwks", get(move || async move { ([(CONTENT_TYPE, "application/json")], keys) }));
            axum::serve(listener, router).await.map_err(Failure::other)
        })
    }
}

fn key_set(key: &Key) -> Result<Value, Failure> {
    let mut jwk = key.jwk()?;
    let kid = key.thumbprint()?;
    if let Value::Object(members) = &mut jwk {
        members.extend([
            ("kid".to_owned(), json!(kid)),
            ("alg".to_owned(), json!("ES256")),
            ("use".to_owned(), json!("sig")),
        ]);
    }
    Ok(json!({ "keys": [jwk] }))
}

//! `exequatur dev call`

use std::path::PathBuf;

use clap::Args;
use reqwest::{Client, Method, Response, StatusCode};

use super::keys::Key;
use super::proof;
use crate::exit::{Failure, say};

/// Call a URL with a token and fresh proofs, following one request for a nonce, as a stock client does.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The caller's key.
    #[arg(long, default_value = "agent.pem", value_name = "FILE")]
    key: PathBuf,
    /// The access token.
    #[arg(long)]
    token: String,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: String,
    /// The body.
    #[arg(long)]
    body: Option<String>,
    /// The URL.
    url: String,
}

impl Call {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Runtime::new().map_err(Failure::other)?;
        runtime.block_on(self.call())
    }

    async fn call(self) -> Result<(), Failure> {
        let key = Key::load_or_make(&self.key)?;
        let client = Client::new();
        let mut response = self.send(&client, &key, None).await?;
        if let Some(nonce) = asked_nonce(&response) {
            say("401 use_dpop_nonce: trying again with the nonce")?;
            response = self.send(&client, &key, Some(&nonce)).await?;
        }
        let status = response.status();
        say(status)?;
        for (name, value) in response.headers().iter().filter(|(name, _)| *name == "www-authenticate") {
            say(format_args!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))?;
        }
        say(response.text().await.map_err(Failure::other)?)?;
        if status.is_success() { Ok(()) } else { Err(Failure::NotPermitted) }
    }

    async fn send(&self, client: &Client, key: &Key, nonce: Option<&str>) -> Result<Response, Failure> {
        let method =
            Method::from_bytes(self.method.as_bytes()).map_err(|error| Failure::Usage(error.to_string()))?;
        let proof = proof::make(key, &self.method, &self.url, &self.token, nonce)?;
        let request = client
            .request(method, &self.url)
            .header("authorization", format!("DPoP {}", self.token))
            .header("dpop", proof)
            .body(self.body.clone().unwrap_or_default());
        request.send().await.map_err(Failure::other)
    }
}

fn asked_nonce(response: &Response) -> Option<String> {
    let challenges = response.headers().get_all("www-authenticate");
    let asked = challenges
        .iter()
        .any(|value| value.to_str().is_ok_and(|text| text.contains("error=\"use_dpop_nonce\"")));
    if response.status() != StatusCode::UNAUTHORIZED || !asked {
        return None;
    }
    response.headers().get("dpop-nonce")?.to_str().ok().map(str::to_owned)
}

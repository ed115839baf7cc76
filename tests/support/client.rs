//! A caller like a stock OAuth client: it signs a proof per request and follows one demand for a nonce.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a str,
    /// Origin, path and query.
    pub url: &'a str,
    /// Fields beside the credentials.
    pub fields: Vec<(&'a str, &'a str)>,
}

impl<'a> Call<'a> {
    /// A request without more fields.
    #[must_use]
    pub fn new(method: &'a str, url: &'a str) -> Self {
        Self { method, url, fields: Vec::new() }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.fields.push((name, value));
        self
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `reason` of a problem document; empty if there is none.
    pub reason: String,
    /// Fields of the answer.
    pub headers: HeaderMap,
    /// The body, as text.
    pub body: String,
    /// Time of the last exchange.
    pub took: Duration,
    /// The proof that was sent last, if one was.
    pub proof: Option<String>,
}

impl Answer {
    /// A field of the answer; empty if absent.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default()
    }

    /// Each value of a field of the answer.
    #[must_use]
    pub fn fields(&self, name: &str) -> Vec<String> {
        self.headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    /// The nonce, if this answer says that the proof needs one.
    #[must_use]
    pub fn demanded_nonce(&self) -> Option<String> {
        let demanded = self.status == 401
            && self.fields("www-authenticate").iter().any(|challenge| challenge.contains("use_dpop_nonce"));
        demanded.then(|| self.field("dpop-nonce")).filter(|nonce| !nonce.is_empty())
    }
}

/// Sends a request once, with an `Authorization` and a proof or without.
///
/// # Errors
/// When there is no HTTP answer.
pub async fn send(
    client: &Client,
    call: &Call<'_>,
    authorization: Option<&str>,
    proof: Option<&str>,
) -> Result<Answer, String> {
    let method = Method::from_bytes(call.method.as_bytes()).map_err(|error| error.to_string())?;
    let mut request = client.request(method, call.url);
    for (name, value) in &call.fields {
        request = request.header(*name, *value);
    }
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    if let Some(value) = proof {
        request = request.header("dpop", value);
    }
    let start = Instant::now();
    let response =
        request.send().await.map_err(|error| format!("{} {}: {error:?}", call.method, call.url))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.map_err(|error| error.to_string())?;
    let took = start.elapsed();
    let reason = serde_json::from_str::<Value>(&body)
        .ok()
        .and_then(|problem| problem.get("reason").and_then(Value::as_str).map(str::to_owned))
        .unwrap_or_default();
    Ok(Answer { status, reason, headers, body, took, proof: proof.map(str::to_owned) })
}

/// Sends a request with a proof made by `prove`, which is given the nonce to put in; follows one demand for
/// a nonce (RFC 9449 §9).
///
/// # Errors
/// When there is no HTTP answer.
pub async fn send_proven(
    client: &Client,
    call: &Call<'_>,
    token: &str,
    prove: impl Fn(Option<&str>) -> String,
) -> Result<Answer, String> {
    let authorization = format!("DPoP {token}");
    let first = send(client, call, Some(&authorization), Some(&prove(None))).await?;
    match first.demanded_nonce() {
        None => Ok(first),
        Some(nonce) => send(client, call, Some(&authorization), Some(&prove(Some(&nonce)))).await,
    }
}

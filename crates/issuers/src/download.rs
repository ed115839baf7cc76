//! One document over HTTP, bounded in time and size.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_ENCODING, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};

use crate::address::NotPublic;
use crate::config::HttpConfig;

/// Why a document was not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// No answer, or not all of it, in time.
    #[error("no whole answer in time")]
    Timeout,
    /// No connection, or no trust in the other end.
    #[error("cannot connect, or the other end's certificate is not trusted")]
    Connect,
    /// The connection broke, or did not speak HTTP.
    #[error("the answer broke off or is no HTTP")]
    Transfer,
    /// Another place was named. It is not followed: documents come from where the operator said.
    #[error("redirected with status {0}, which is not followed")]
    Redirected(u16),
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// The answer is compressed, which was not asked for.
    #[error("the answer is compressed, which was not asked for")]
    Encoded,
    /// Longer than allowed.
    #[error("the document is too large")]
    TooLarge,
    /// The name has an address that is not public, and the operator did not name it (G23).
    #[error("not a public address")]
    NotPublic,
}

/// What kind of document is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MediaType {
    /// A key set, or metadata.
    Json,
    /// A status list.
    StatusList,
}

impl MediaType {
    const fn accepted(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/jwk-set+json, application/json",
            Self::StatusList => "application/statuslist+jwt",
        })
    }
}

/// Loads the document at `url` with status 200. What it says about its content type is not looked at: issuers say all
/// sorts of things, and what is no key set does not parse. Nor is what it says about caching: how long a document holds is in
/// it, or configured.
pub(crate) async fn download(
    client: &Client,
    url: &Url,
    kind: MediaType,
    bounds: HttpConfig,
) -> Result<Vec<u8>, DownloadError> {
    within(bounds.timeout, transfer(client, url, kind, bounds.max_bytes)).await
}

pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, DownloadError>>,
) -> Result<T, DownloadError> {
    tokio::time::timeout(time, work).await.or(Err(DownloadError::Timeout))?
}

async fn transfer(
    client: &Client,
    url: &Url,
    kind: MediaType,
    max_bytes: usize,
) -> Result<Vec<u8>, DownloadError> {
    let request = client.get(url.clone()).header(ACCEPT, kind.accepted());
    let mut response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(DownloadError::Redirected(status.as_u16()));
    }
    if status != StatusCode::OK {
        return Err(DownloadError::Status(status.as_u16()));
    }
    check_plain(&response)?;
    body(&mut response, max_bytes).await
}

pub(crate) fn check_plain(response: &Response) -> Result<(), DownloadError> {
    let encoding = response.headers().get(CONTENT_ENCODING);
    match encoding {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(DownloadError::Encoded)
        }
        Some(_) | None => Ok(()),
    }
}

pub(crate) async fn body(response: &mut Response, max_bytes: usize) -> Result<Vec<u8>, DownloadError> {
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if chunk.len() > max_bytes.saturating_sub(document.len()) {
            return Err(DownloadError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

pub(crate) fn cause(error: &reqwest::Error) -> DownloadError {
    if error.is_timeout() {
        DownloadError::Timeout
    } else if is_not_public(error) {
        DownloadError::NotPublic
    } else if error.is_connect() {
        DownloadError::Connect
    } else {
        DownloadError::Transfer
    }
}

fn is_not_public(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<NotPublic>() {
            return true;
        }
        cause = error.source();
    }
    false
}

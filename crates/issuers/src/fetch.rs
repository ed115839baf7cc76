//! One load of a key set, bounded in time and size.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exequatur_token::{Algorithm, KeySet, KeySetError};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use tokio::io::AsyncReadExt;

use crate::config::HttpConfig;

/// Why keys were not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer, or not all of it, in time.
    #[error("no whole answer in time")]
    Timeout,
    /// No connection, or no trust in the other end.
    #[error("cannot connect")]
    Connect,
    /// The connection broke, or did not speak HTTP.
    #[error("the answer broke off or is no HTTP")]
    Transfer,
    /// Another place was named. It is not followed: keys come from where the operator said.
    #[error("redirected with status {0}, which is not followed")]
    Redirected(u16),
    /// Another status than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// Longer than allowed.
    #[error("the key set is too large")]
    TooLarge,
    /// The file could not be read.
    #[error("cannot read the file: {0}")]
    File(ErrorKind),
    /// What came is no usable key set.
    #[error("{0}")]
    KeySet(#[from] KeySetError),
}

/// A key source that can be loaded from.
#[derive(Debug)]
pub(crate) struct Source {
    place: Place,
    bounds: HttpConfig,
}

#[derive(Debug)]
enum Place {
    Url(Client, Url),
    File(PathBuf),
}

impl Source {
    pub(crate) const fn url(client: Client, url: Url, bounds: HttpConfig) -> Self {
        Self { place: Place::Url(client, url), bounds }
    }

    pub(crate) const fn file(path: PathBuf, bounds: HttpConfig) -> Self {
        Self { place: Place::File(path), bounds }
    }

    /// Keys for tokens signed with one of `algorithms`.
    pub(crate) async fn load(&self, algorithms: &[Algorithm]) -> Result<KeySet, FetchError> {
        let document = async {
            match &self.place {
                Place::Url(client, url) => download(client, url, self.bounds.max_bytes).await,
                Place::File(path) => read(path, self.bounds.max_bytes).await,
            }
        };
        let document =
            tokio::time::timeout(self.bounds.timeout, document).await.or(Err(FetchError::Timeout))??;
        Ok(KeySet::parse(&document, algorithms)?)
    }
}

/// A client that goes where it is told and nowhere else: no redirect, no proxy from the environment.
pub(crate) fn client(timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("exequatur/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeout)
        .timeout(timeout)
        // A refresh comes every few minutes; by then the other end has closed, and each end thinks otherwise.
        .pool_max_idle_per_host(0)
        .build()
}

async fn download(client: &Client, url: &Url, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let accepted = HeaderValue::from_static("application/jwk-set+json, application/json");
    let request = client.get(url.clone()).header(ACCEPT, accepted);
    let mut response = request.send().await.map_err(|error| cause(&error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err(FetchError::Redirected(status.as_u16()));
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status(status.as_u16()));
    }
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| cause(&error))? {
        if chunk.len() > max_bytes.saturating_sub(document.len()) {
            return Err(FetchError::TooLarge);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

fn cause(error: &reqwest::Error) -> FetchError {
    if error.is_timeout() {
        FetchError::Timeout
    } else if error.is_connect() {
        FetchError::Connect
    } else {
        FetchError::Transfer
    }
}

async fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let failed = |error: std::io::Error| FetchError::File(error.kind());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut document = Vec::new();
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut document).await.map_err(failed)?;
    if document.len() > max_bytes { Err(FetchError::TooLarge) } else { Ok(document) }
}

#[cfg(test)]
mod tests;

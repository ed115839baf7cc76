//! One load of a key set, wherever it comes from.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use exequatur_token::{Algorithm, KeySet, KeySetError};
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use tokio::io::AsyncReadExt as _;

use crate::clients::SharedClient;
use crate::config::HttpConfig;
use crate::discovery::{KeysPlace, MetadataError, keys_place};
use crate::download::{DownloadError, MediaType, download};
use crate::transport::Reach;

/// Why keys were not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The issuer's metadata did not lead to keys.
    #[error("metadata: {0}")]
    Metadata(#[from] MetadataError),
    /// The key set did not come.
    #[error("{0}")]
    Download(#[from] DownloadError),
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
    Url(SharedClient, Url),
    Discovered(Discovered),
    File(PathBuf),
}

/// Keys whose place the issuer's metadata says.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// The `issuer` that the metadata must name.
    pub(crate) issuer: String,
    /// Where the metadata is.
    pub(crate) metadata: Url,
    /// How long what the metadata said is gone by.
    pub(crate) keep: SignedDuration,
    /// For the metadata, and for keys on the issuer's own host.
    pub(crate) anywhere: SharedClient,
    /// For keys elsewhere.
    pub(crate) public_only: SharedClient,
    /// What the metadata said, and when; nothing after a load that failed.
    pub(crate) said: Option<(KeysPlace, Timestamp)>,
}

impl Source {
    pub(crate) const fn url(client: SharedClient, url: Url, bounds: HttpConfig) -> Self {
        Self { place: Place::Url(client, url), bounds }
    }

    pub(crate) const fn discovered(discovered: Discovered, bounds: HttpConfig) -> Self {
        Self { place: Place::Discovered(discovered), bounds }
    }

    pub(crate) const fn file(path: PathBuf, bounds: HttpConfig) -> Self {
        Self { place: Place::File(path), bounds }
    }

    /// How many requests a load that begins at `now` makes at most.
    pub(crate) fn requests(&self, now: Timestamp) -> u8 {
        match &self.place {
            Place::Discovered(discovered) if discovered.known(now).is_none() => 2,
            Place::Url(..) | Place::Discovered(_) | Place::File(_) => 1,
        }
    }

    /// Loads keys for tokens signed with one of `algorithms`; `now` is when it begins.
    ///
    /// # Errors
    /// [`FetchError`]
    pub(crate) async fn load(
        &mut self,
        now: Timestamp,
        algorithms: &[Algorithm],
    ) -> Result<KeySet, FetchError> {
        let document = match &mut self.place {
            Place::Url(client, url) => download(&client.get(), url, MediaType::Json, self.bounds).await?,
            Place::Discovered(discovered) => return discovered.load(now, algorithms, self.bounds).await,
            Place::File(path) => {
                let read = tokio::time::timeout(self.bounds.timeout, read(path, self.bounds.max_bytes));
                read.await.or(Err(DownloadError::Timeout))??
            }
        };
        Ok(KeySet::parse(&document, algorithms)?)
    }
}

impl Discovered {
    fn known(&self, now: Timestamp) -> Option<&KeysPlace> {
        let (place, at) = self.said.as_ref()?;
        (SignedDuration::ZERO..self.keep).contains(&now.duration_since(*at)).then_some(place)
    }

    async fn load(
        &mut self,
        now: Timestamp,
        algorithms: &[Algorithm],
        bounds: HttpConfig,
    ) -> Result<KeySet, FetchError> {
        let known = self.known(now).cloned();
        let at = self.said.take().map_or(now, |(_, at)| at);
        let (place, at) = match known {
            Some(place) => (place, at),
            None => {
                let document = download(&self.anywhere.get(), &self.metadata, MediaType::Json, bounds).await;
                let document = document.map_err(MetadataError::Download)?;
                (keys_place(&document, &self.issuer, &self.metadata)?, now)
            }
        };
        let client = match place.reach {
            Reach::Anywhere => &self.anywhere,
            Reach::PublicOnly => &self.public_only,
        };
        let keys =
            KeySet::parse(&download(&client.get(), &place.url, MediaType::Json, bounds).await?, algorithms)?;
        // Only now: keys that have moved are looked for anew.
        self.said = Some((place, at));
        Ok(keys)
    }
}

async fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, FetchError> {
    let failed = |error: std::io::Error| FetchError::File(error.kind());
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut document = Vec::new();
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut document).await.map_err(failed)?;
    if document.len() > max_bytes { Err(DownloadError::TooLarge.into()) } else { Ok(document) }
}

#[cfg(test)]
mod tests;

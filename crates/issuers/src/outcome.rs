//! How loads end, in few words: what metrics count.

use crate::discovery::MetadataError;
use crate::download::DownloadError;
use crate::fetch::FetchError;

/// How a load ended, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadOutcome {
    /// There is a key set.
    Loaded,
    /// No whole answer in time.
    Timeout,
    /// No connection, or no trust in the other end.
    Connect,
    /// The answer broke off or is no HTTP.
    Transfer,
    /// Another place was named.
    Redirected,
    /// Another status than 200.
    Status,
    /// Too large, or compressed.
    Unacceptable,
    /// Not a public address.
    NotPublic,
    /// The metadata came and does not lead to keys.
    Metadata,
    /// The file could not be read.
    File,
    /// What came is no usable key set, or there is none to verify a status list with.
    KeySet,
    /// What came is not the status list that was asked for.
    StatusList,
}

impl LoadOutcome {
    /// Every outcome.
    pub const ALL: [Self; 12] = [
        Self::Loaded,
        Self::Timeout,
        Self::Connect,
        Self::Transfer,
        Self::Redirected,
        Self::Status,
        Self::Unacceptable,
        Self::NotPublic,
        Self::Metadata,
        Self::File,
        Self::KeySet,
        Self::StatusList,
    ];

    /// A stable word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Transfer => "transfer",
            Self::Redirected => "redirected",
            Self::Status => "status",
            Self::Unacceptable => "unacceptable",
            Self::NotPublic => "not_public",
            Self::Metadata => "metadata",
            Self::File => "file",
            Self::KeySet => "key_set",
            Self::StatusList => "status_list",
        }
    }

    pub(crate) const fn of<T>(outcome: &Result<T, FetchError>) -> Self {
        match outcome {
            Ok(_) => Self::Loaded,
            Err(FetchError::Download(error) | FetchError::Metadata(MetadataError::Download(error))) => {
                Self::of_download(*error)
            }
            Err(FetchError::Metadata(MetadataError::NotPublic)) => Self::NotPublic,
            Err(FetchError::Metadata(
                MetadataError::Json(_)
                | MetadataError::IssuerMismatch
                | MetadataError::NoKeys
                | MetadataError::Address(_),
            )) => Self::Metadata,
            Err(FetchError::File(_)) => Self::File,
            Err(FetchError::KeySet(_)) => Self::KeySet,
        }
    }

    pub(crate) const fn of_download(error: DownloadError) -> Self {
        match error {
            DownloadError::Timeout => Self::Timeout,
            DownloadError::Connect => Self::Connect,
            DownloadError::Transfer => Self::Transfer,
            DownloadError::Redirected(_) => Self::Redirected,
            DownloadError::Status(_) => Self::Status,
            DownloadError::Encoded | DownloadError::TooLarge => Self::Unacceptable,
            DownloadError::NotPublic => Self::NotPublic,
        }
    }

    /// Whether loads of keys end so.
    #[must_use]
    pub const fn is_of_keys(self) -> bool {
        !matches!(self, Self::StatusList)
    }

    /// Whether loads of status lists end so.
    #[must_use]
    pub const fn is_of_lists(self) -> bool {
        !matches!(self, Self::Metadata | Self::File)
    }
}

/// How many loads ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoadCounts([u64; LoadOutcome::ALL.len()]);

impl LoadCounts {
    /// Each outcome and how often there was one.
    pub fn iter(&self) -> impl Iterator<Item = (LoadOutcome, u64)> {
        LoadOutcome::ALL.into_iter().zip(self.0)
    }

    /// Loads that succeeded.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.iter().find(|(outcome, _)| *outcome == LoadOutcome::Loaded).map_or(0, |(_, count)| count)
    }

    /// Loads that failed.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.iter().filter(|(outcome, _)| *outcome != LoadOutcome::Loaded).map(|(_, count)| count).sum()
    }

    pub(crate) fn count(&mut self, outcome: LoadOutcome) {
        let counts = LoadOutcome::ALL.into_iter().zip(&mut self.0);
        for (_, count) in counts.filter(|(counted, _)| *counted == outcome) {
            *count = count.saturating_add(1);
        }
    }
}

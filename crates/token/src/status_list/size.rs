//! How long a list may be.

use std::ops::RangeInclusive;

use crate::base64url;

/// What else stands in a document: header with a certificate chain, claims, signature.
const AROUND_IT: usize = 32 * 1024;

/// The longest list that is kept, in bytes as inflated: 1 MiB unless configured, which is room for 8 million tokens with one
/// bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusListSize(usize);

impl StatusListSize {
    /// What can be configured.
    pub const RANGE: RangeInclusive<usize> = 1024..=16 * 1024 * 1024;

    /// `bytes`, if they are in [`Self::RANGE`].
    #[must_use]
    pub fn new(bytes: usize) -> Option<Self> {
        Self::RANGE.contains(&bytes).then_some(Self(bytes))
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }

    /// The longest document that such a list can be in: packed so badly that it grew by a thousandth, and encoded twice.
    #[must_use]
    pub const fn document_bytes(self) -> usize {
        let packed = self.0.saturating_add(self.0 / 1000).saturating_add(64);
        base64url::encoded_len(base64url::encoded_len(packed).saturating_add(AROUND_IT))
    }
}

impl Default for StatusListSize {
    fn default() -> Self {
        Self(1024 * 1024)
    }
}

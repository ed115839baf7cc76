//! How long a token may be.

use std::ops::RangeInclusive;

/// The longest token that is read, in bytes (J12): 8 KiB unless configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSize(usize);

impl TokenSize {
    /// What can be configured. Everything that a token costs grows with it.
    pub const RANGE: RangeInclusive<usize> = 1024..=16 * 1024;

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
}

impl Default for TokenSize {
    fn default() -> Self {
        Self(8 * 1024)
    }
}

//! One issuer: what is expected of its tokens, and the keys it is known by.

use std::sync::Arc;

use exequatur_token::{Algorithm, IssuerProfile, KeySet};
use jiff::Timestamp;

use crate::kept_keys::{IssuerStatus, KeptKeys, KeysUnavailable};
use crate::unknown_keys::SoughtKey;

/// An issuer whose keys a background task keeps.
#[derive(Debug)]
pub struct Issuer {
    profile: IssuerProfile,
    keys: Arc<KeptKeys>,
}

impl Issuer {
    pub(crate) const fn new(profile: IssuerProfile, keys: Arc<KeptKeys>) -> Self {
        Self { profile, keys }
    }

    /// What is expected of its tokens.
    #[must_use]
    pub const fn profile(&self) -> &IssuerProfile {
        &self.profile
    }

    /// See [`KeptKeys::keys`].
    ///
    /// # Errors
    /// There is none that may be used at `now`.
    pub fn keys(&self, now: Timestamp) -> Result<Arc<KeySet>, KeysUnavailable> {
        self.keys.keys(now)
    }

    /// See [`KeptKeys::status`].
    #[must_use]
    pub fn status(&self, now: Timestamp) -> IssuerStatus {
        self.keys.status(now)
    }

    /// A key as a token names it, for [`Self::unknown_key_seen`].
    #[must_use]
    pub fn sought_key(&self, key_id: Option<&str>, algorithm: Algorithm) -> SoughtKey {
        self.keys.sought_key(key_id, algorithm)
    }

    /// See [`KeptKeys::unknown_key_seen`]. The token at hand is refused either way.
    pub fn unknown_key_seen(&self, key: SoughtKey, now: Timestamp) {
        let _certain = self.keys.unknown_key_seen(key, now);
    }
}

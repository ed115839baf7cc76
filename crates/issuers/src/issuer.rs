//! One issuer: what is expected of its tokens, and the keys it is known by.

use std::sync::Arc;

use exequatur_token::{
    Algorithm, IssuerProfile, KeySet, StatusListError, StatusReference, StillActive, TokenDigest,
    VerifiedToken,
};
use jiff::Timestamp;

use crate::introspection::{
    Asker, Believed, Introspection, IntrospectionError, IntrospectionProblem, IntrospectionStatus,
    IntrospectionUnavailable,
};
use crate::kept_keys::{IssuerStatus, KeptKeys, KeysUnavailable};
use crate::status_lists::{Listed, ListsStatus, StatusLists, StatusProblem};
use crate::unknown_keys::SoughtKey;

/// Nobody asks an issuer for which it is not configured.
const NOT_ASKED: IntrospectionProblem =
    IntrospectionProblem::Unavailable(IntrospectionUnavailable::Failed(IntrospectionError::Endpoint));

/// An issuer whose keys a background task keeps.
#[derive(Debug)]
pub struct Issuer {
    profile: IssuerProfile,
    keys: Arc<KeptKeys>,
    status_lists: Option<StatusLists>,
    introspection: Option<Arc<Introspection>>,
}

impl Issuer {
    /// With lists, its tokens' status is asked for in them; with introspection, it is asked about tokens itself.
    pub(crate) const fn new(
        profile: IssuerProfile,
        keys: Arc<KeptKeys>,
        status_lists: Option<StatusLists>,
        introspection: Option<Arc<Introspection>>,
    ) -> Self {
        Self { profile, keys, status_lists, introspection }
    }

    /// What the issuer says of `raw`, an opaque token of its own ([`crate::Issuers::of_opaque`]), whose digest is `digest`.
    /// Waits for an answer no longer than is configured. If a question has to be put, it is on account of `asker`.
    ///
    /// # Errors
    /// [`IntrospectionProblem`]
    pub async fn introspect(
        &self,
        raw: &str,
        digest: TokenDigest,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Believed<Arc<VerifiedToken>>, IntrospectionProblem> {
        match &self.introspection {
            Some(introspection) => introspection.token(raw, digest, asker, now).await,
            None => Err(NOT_ASKED),
        }
    }

    /// Whether the issuer is to be asked about the tokens that it signs.
    #[must_use]
    pub fn confirms_tokens(&self) -> bool {
        self.introspection.as_ref().is_some_and(|introspection| introspection.config().jwts)
    }

    /// Whether the issuer says that `token`, which it signed and which came as `raw`, is active still. If a question has to be put,
    /// it is on account of `asker`.
    ///
    /// # Errors
    /// [`IntrospectionProblem`]
    pub async fn confirm(
        &self,
        raw: &str,
        digest: TokenDigest,
        token: &Arc<VerifiedToken>,
        asker: &dyn Asker,
        now: Timestamp,
    ) -> Result<Believed<StillActive>, IntrospectionProblem> {
        match &self.introspection {
            Some(introspection) => introspection.confirmed(raw, digest, token, asker, now).await,
            None => Err(NOT_ASKED),
        }
    }

    /// How questions about its tokens go, if there are any. Tells each question's time once.
    #[must_use]
    pub fn introspection_status(&self) -> Option<IntrospectionStatus> {
        self.introspection.as_ref().map(|introspection| introspection.status())
    }

    pub(crate) const fn introspection(&self) -> Option<&Arc<Introspection>> {
        self.introspection.as_ref()
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

    /// See [`KeptKeys::are_kept`].
    #[must_use]
    pub fn keys_are_kept(&self) -> bool {
        self.keys.are_kept()
    }

    /// See [`KeptKeys::status`].
    #[must_use]
    pub fn status(&self, now: Timestamp) -> IssuerStatus {
        self.keys.status(now)
    }

    /// What the issuer's list says of a token that has this `reference`: to be asked at each use of the token. Waits only
    /// for a list that is not there, and no longer than is configured.
    ///
    /// # Errors
    /// [`StatusProblem`], everything but the word VALID of a list that may be used at `now`.
    pub async fn token_status(
        self: &Arc<Self>,
        reference: &StatusReference,
        now: Timestamp,
    ) -> Result<Listed, StatusProblem> {
        match &self.status_lists {
            Some(lists) => lists.status(self, reference, now).await,
            None => Err(StatusProblem::NotConfigured),
        }
    }

    /// Its status lists, if it has any.
    #[must_use]
    pub fn lists_status(&self, now: Timestamp) -> Option<ListsStatus> {
        let keys = self.keys.keys(now).ok();
        self.status_lists.as_ref().map(|lists| lists.lists_status(keys.as_deref(), now))
    }

    pub(crate) const fn status_lists(&self) -> Option<&StatusLists> {
        self.status_lists.as_ref()
    }

    /// The list at `uri` was not signed with a key that is known: there may have been a rotation, as with a token. The
    /// list is looked for under its address, so that one that stays as it is asks no more than once.
    pub(crate) fn list_refused(&self, uri: &str, error: StatusListError, now: Timestamp) {
        if matches!(error, StatusListError::KeyUnknown | StatusListError::SignatureInvalid)
            && let Some(any) = self.profile.algorithms.first()
        {
            self.unknown_key_seen(self.sought_key(Some(uri), *any), now);
        }
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

//! Tokens that were verified before, by their signature or by what their issuer said of them.
//!
//! An entry names what it was made under: the issuer's key set, the configuration and the schema. Any other
//! of these makes it a miss, so that a removed key, a changed claim mapping or a reload takes effect at once.
//! Nothing that depends on the request is kept: expiry, audience, binding and revocation are judged at every
//! use (G27); and what an issuer said counts for its time, as does a tenant that the client's certificate says: the
//! token is bound to that very certificate. The key is a digest over the token as sent, so a re-encoded token is another
//! entry.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use exequatur_issuers::{Issuer, Validity};
use exequatur_policy::Subject;
use exequatur_store::{Asked, Scope};
use exequatur_token::{KeySetId, TokenDigest, VerifiedToken};
use jiff::Timestamp;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

/// Most verified tokens kept. One takes about 4 KiB (`memory_per_token_b` of `make bench`); a token is at most 8 KiB
/// unless configured otherwise.
const DEFAULT_ENTRIES: usize = 10_000;

/// Bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheConfig {
    /// Most entries.
    pub entries: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { entries: DEFAULT_ENTRIES }
    }
}

/// What a verified token was verified under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MadeUnder {
    /// The keys that the token was verified with, or the answer about it, if either is signed.
    pub(crate) key_set: Option<KeySetId>,
    /// Configuration and schema, as one digest of the generation.
    pub(crate) configuration: [u8; 32],
}

/// A verified token, and what is the same in every request that carries it.
#[derive(Debug)]
pub(crate) struct KnownToken {
    pub(crate) token: Arc<VerifiedToken>,
    pub(crate) issuer: Arc<Issuer>,
    /// The token's agent, user and tenant as policies see them.
    pub(crate) subject: Subject,
    /// Whose memory its requests use.
    pub(crate) scope: Scope,
    /// What can stop it.
    pub(crate) revocable_by: Box<[Asked]>,
    /// SHA-256 of the token's `jti` (base64url, 16 octets of it).
    pub(crate) id_digest: Option<String>,
    pub(crate) under: MadeUnder,
    /// How long what the issuer said of it counts, if it was asked.
    pub(crate) said: Option<Validity>,
}

impl KnownToken {
    /// Whether what its issuer said of it, and its certificate of its tenant, counts still.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        let certified = self.token.certified_until().is_none_or(|until| now <= until);
        certified && self.said.is_none_or(|said| said.holds(now))
    }
}

/// SHA-256 of a token's `jti` (base64url, 16 octets of it).
pub(crate) fn token_id_digest(jti: &str) -> Option<String> {
    let digest = Sha256::digest(jti.as_bytes());
    digest.get(..16).map(|half| BASE64_URL_SAFE_NO_PAD.encode(half))
}

/// Verified tokens by digest, bounded; which entry goes when it is full is the library's choice.
#[derive(Debug)]
pub struct TokenCache(Cache<TokenDigest, Arc<KnownToken>>);

impl TokenCache {
    /// An empty cache.
    #[must_use]
    pub fn new(config: CacheConfig) -> Self {
        Self(Cache::new(config.entries))
    }

    /// The entry, whatever it was made under: that is the caller's to compare.
    pub(crate) fn get(&self, digest: &TokenDigest) -> Option<Arc<KnownToken>> {
        self.0.get(digest)
    }

    /// Forgets the entry: it would count again if the clock were set back, whatever its issuer has said since.
    pub(crate) fn remove(&self, digest: &TokenDigest) {
        self.0.remove(digest);
    }

    pub(crate) fn put(&self, digest: TokenDigest, known: Arc<KnownToken>) {
        self.0.insert(digest, known);
    }
}

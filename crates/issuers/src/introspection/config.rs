//! Which tokens an authorization server is asked about, where, and how we show who we are.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use exequatur_token::{Algorithm, AssertionKey, AssertionKeyError, ClientAssertion};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::caller::Place;
use crate::discovery::Discovery;
use crate::transport::{ClientIdentity, Transport, Unreadable, read};

/// Longest file of a private key, in bytes.
const MAX_KEY: u64 = 64 * 1024;
const MAX_PREFIX: usize = 64;

/// How an issuer is asked about tokens (RFC 7662).
#[derive(Debug, Clone)]
pub struct IntrospectionConfig {
    /// Where.
    pub endpoint: IntrospectionEndpoint,
    /// Which tokens that are no JWTs are this issuer's; none if `None`.
    pub opaque: Option<OpaqueTokens>,
    /// Whether it is asked about its JWTs too, once their signature holds.
    pub jwts: bool,
    /// In which form it answers.
    pub form: AnswerForm,
    /// Who we are to it: 1 to 256 printable ASCII characters.
    pub client_id: String,
    /// How we show it.
    pub authentication: ClientAuthentication,
    /// How long an answer counts. By default 30 seconds.
    pub cache: Duration,
    /// How long a decision waits for an answer. By default 75 milliseconds.
    pub wait: Duration,
    /// Time for one question, which goes on when the decision waits no longer. By default 1 second.
    pub timeout: Duration,
    /// Most questions under way at once. By default 64.
    pub max_in_flight: usize,
}

impl IntrospectionConfig {
    /// A question's time, by default.
    pub const TIMEOUT: Duration = Duration::from_secs(1);
    /// How long an answer counts, by default (S03).
    pub const CACHE: Duration = Duration::from_secs(30);
    /// How long a decision waits, by default: half of its usual time.
    pub const WAIT: Duration = Duration::from_millis(75);
    /// Most questions under way, by default.
    pub const MAX_IN_FLIGHT: usize = 64;

    /// The key that we show who we are with, where it is one.
    #[must_use]
    pub const fn client_key(&self) -> Option<&ClientKey> {
        match &self.authentication {
            ClientAuthentication::PrivateKeyJwt { key, audience: _ } => Some(key),
            ClientAuthentication::Mtls { identity: _ } => None,
        }
    }

    /// With the default bounds; signed answers about tokens that are no JWTs, all of which are this issuer's.
    #[must_use]
    pub const fn new(
        endpoint: IntrospectionEndpoint,
        client_id: String,
        authentication: ClientAuthentication,
    ) -> Self {
        Self {
            endpoint,
            opaque: Some(OpaqueTokens::All),
            jwts: false,
            form: AnswerForm::Signed,
            client_id,
            authentication,
            cache: Self::CACHE,
            wait: Self::WAIT,
            timeout: Self::TIMEOUT,
            max_in_flight: Self::MAX_IN_FLIGHT,
        }
    }

    /// How the endpoint is reached, if the issuer is reached by `issuer`.
    pub(crate) fn transport(&self, issuer: &Transport) -> Transport {
        let identity = match &self.authentication {
            ClientAuthentication::PrivateKeyJwt { .. } => None,
            ClientAuthentication::Mtls { identity } => Some(identity.clone()),
        };
        Transport { identity, ..issuer.clone() }
    }
}

/// Where an issuer is asked about tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntrospectionEndpoint {
    /// Where the operator says.
    Named(Place),
    /// Where the issuer's metadata says (`introspection_endpoint`).
    Discovered {
        /// By which metadata.
        by: Discovery,
    },
}

/// Which tokens that are no JWTs are an issuer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpaqueTokens {
    /// All of them.
    All,
    /// Those that begin like this.
    Prefixed(TokenPrefix),
}

impl OpaqueTokens {
    /// Whether `raw` is one of them.
    pub(crate) fn cover(&self, raw: &str) -> bool {
        match self {
            Self::All => !looks_like_jwt(raw),
            Self::Prefixed(prefix) => raw.starts_with(&prefix.0),
        }
    }

    /// Whether a token could be one of either.
    pub(crate) fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefixed(a), Self::Prefixed(b)) => a.0.starts_with(&b.0) || b.0.starts_with(&a.0),
            (Self::All, _) | (_, Self::All) => true,
        }
    }
}

/// Three parts, or five: signed or encrypted. Such a token is never asked about in place of being verified.
fn looks_like_jwt(raw: &str) -> bool {
    matches!(raw.split('.').count(), 3 | 5)
}

/// What the tokens of one issuer begin with: 1 to 64 characters of a token, not those that a JWT begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenPrefix(String);

impl TokenPrefix {
    /// As configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenPrefix {
    type Err = TokenPrefixProblem;

    fn from_str(text: &str) -> Result<Self, TokenPrefixProblem> {
        // `{"`, in base64url.
        const JWT: &str = "eyJ";
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        if !(1..=MAX_PREFIX).contains(&text.len()) || !plain {
            return Err(TokenPrefixProblem::Malformed);
        }
        if JWT.starts_with(text) || text.starts_with(JWT) {
            return Err(TokenPrefixProblem::Jwt);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Not something that tokens are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenPrefixProblem {
    /// Empty, too long, or with a character that no token has.
    #[error("a prefix is 1 to 64 of A-Z, a-z, 0-9, -, ., _, ~, + and /")]
    Malformed,
    /// As JWTs begin.
    #[error("JWTs begin like this")]
    Jwt,
}

/// In which form answers come. In the other one they are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// A JWT (RFC 9701).
    Signed,
    /// JSON (RFC 7662), on whose connection all of its truth depends.
    Plain,
}

/// How we show the server who asks. A shared secret is none of the ways.
#[derive(Debug, Clone)]
pub enum ClientAuthentication {
    /// A JWT that we sign (RFC 7523).
    PrivateKeyJwt {
        /// With what.
        key: ClientKey,
        /// Whom it names as its audience.
        audience: AssertionAudience,
    },
    /// A certificate (RFC 8705).
    Mtls {
        /// It and its key.
        identity: ClientIdentity,
    },
}

/// What an assertion names as its audience; servers differ in what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssertionAudience {
    /// The issuer.
    Issuer,
    /// The address that is asked.
    Endpoint,
}

/// Our key, from a file, which may be replaced by another between two questions, of another file too. Clones share it. Nothing of it is
/// shown, not even the file: the rest of a configuration stays the same where another is named.
#[derive(Clone)]
pub struct ClientKey {
    held: Arc<ArcSwap<Held>>,
}

struct Held {
    file: PathBuf,
    key: AssertionKey,
    /// What it was made from, to see whether another one is the same.
    pem: Zeroizing<String>,
}

impl ClientKey {
    /// Reads one PEM block `PRIVATE KEY`.
    ///
    /// # Errors
    /// The file cannot be read, or holds no key for `algorithm`.
    pub fn read(file: &Path, algorithm: Algorithm, key_id: Option<String>) -> Result<Self, ClientKeyProblem> {
        let pem = read(file, MAX_KEY).map_err(|error| match error {
            Unreadable::TooLarge => ClientKeyProblem::Key(AssertionKeyError::NotPem),
            Unreadable::File(error) => ClientKeyProblem::Unreadable(error),
        })?;
        let key = AssertionKey::from_pem(&pem, algorithm, key_id).map_err(ClientKeyProblem::Key)?;
        let held = Held { file: file.to_owned(), key, pem };
        Ok(Self { held: Arc::new(ArcSwap::from_pointee(held)) })
    }

    /// Goes over to the key that `other` has, and its file. Whether that is another key.
    pub(crate) fn renew(&self, other: &Self) -> bool {
        let differs = self != other;
        self.held.store(other.held.load_full());
        differs
    }

    /// The file that it is from.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.held.load().file.clone()
    }

    /// The algorithm that it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.held.load().key.algorithm()
    }

    /// The `kid` of what it signs.
    #[must_use]
    pub fn key_id(&self) -> Option<String> {
        self.held.load().key.key_id().map(str::to_owned)
    }

    /// An assertion that is signed with it at `now`.
    ///
    /// # Errors
    /// [`AssertionKeyError`]
    pub(crate) fn assertion(
        &self,
        claims: ClientAssertion<'_>,
        now: Timestamp,
    ) -> Result<String, AssertionKeyError> {
        self.held.load().key.assertion(claims, now)
    }
}

/// The same key, for the same algorithm, under the same id.
impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (self.held.load(), other.held.load());
        let named = |held: &Held| (held.key.algorithm(), held.key.key_id().map(str::to_owned));
        one.pem == other.pem && named(&one) == named(&other)
    }
}

impl Eq for ClientKey {}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey").finish_non_exhaustive()
    }
}

/// Why a client's key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientKeyProblem {
    /// The file cannot be read.
    #[error("the key cannot be read: {0}")]
    Unreadable(ErrorKind),
    /// What is in it cannot be used.
    #[error("{0}")]
    Key(AssertionKeyError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixed(text: &str) -> OpaqueTokens {
        OpaqueTokens::Prefixed(text.parse().unwrap())
    }

    #[test]
    fn a_jwt_is_never_an_opaque_token() {
        let prefix = prefixed("ory_at_");
        for raw in ["a.b.c", "a.b.c.d.e", "..", "eyJhbGciOiJub25lIn0.e30."] {
            assert!(!OpaqueTokens::All.cover(raw), "{raw}");
            assert!(!prefix.cover(raw), "{raw}");
        }
        for raw in ["a", "a.b", "ory_at_a.b", "a.b.c.d", "a.b.c.d.e.f", "eyJhbGciOiJub25lIn0"] {
            assert!(OpaqueTokens::All.cover(raw), "{raw}");
            assert_eq!(prefix.cover(raw), raw.starts_with("ory"), "{raw}");
        }
        assert!(prefix.cover("ory_at_a.b.c"));
    }

    #[test]
    fn a_prefix_tells_tokens_apart() {
        assert_eq!("ory_at_".parse::<TokenPrefix>().unwrap().as_str(), "ory_at_");
        for text in ["", "a b", "a=", "é", "a,", &"a".repeat(65)] {
            assert_eq!(text.parse::<TokenPrefix>(), Err(TokenPrefixProblem::Malformed), "{text}");
        }
        for text in ["e", "ey", "eyJ", "eyJhbGci"] {
            assert_eq!(text.parse::<TokenPrefix>(), Err(TokenPrefixProblem::Jwt), "{text}");
        }
        assert!(prefixed("a_").overlap(&prefixed("a_b")) && prefixed("a_b").overlap(&prefixed("a_")));
        assert!(prefixed("a_").overlap(&OpaqueTokens::All) && OpaqueTokens::All.overlap(&prefixed("a_")));
        assert!(OpaqueTokens::All.overlap(&OpaqueTokens::All));
        assert!(!prefixed("a_").overlap(&prefixed("b_")));
    }

    /// A key that replaces another one is in use in all who share the first, with its own id; the same one again is no change.
    #[test]
    fn a_key_is_replaced_where_it_is_shared() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.key");
        let read = |id: &str| ClientKey::read(&file, Algorithm::Es256, Some(id.to_owned())).unwrap();
        let write = || std::fs::write(&file, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
        write();
        let (running, again) = (read("first"), read("first"));
        let shared = running.clone();
        assert!(running == again && !running.renew(&again));
        assert!(running != read("second"), "under another id it is another one");
        write();
        let (other, before) = (read("second"), running.key_id());
        assert!(running != other && running.renew(&other) && !running.renew(&other));
        assert_eq!((before.as_deref(), shared.key_id().as_deref()), (Some("first"), Some("second")));
        assert!(shared == other);
        let shown = format!("{running:?}");
        assert!(!shown.contains("client.key") && !shown.contains("second"), "{shown}");
        // The same key in another file is no other key, and that file is its own from then on.
        let copy = folder.path().join("copy.key");
        std::fs::copy(&file, &copy).unwrap();
        let moved = ClientKey::read(&copy, Algorithm::Es256, Some("second".to_owned())).unwrap();
        assert!(!running.renew(&moved));
        assert_eq!(shared.file(), copy);
    }
}

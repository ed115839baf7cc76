//! What of a record is shown, what as a digest, and what not at all.
//!
//! An id that can be guessed is found out from a plain digest of it, so identities are digested with a key (HMAC-SHA-256):
//! whoever has the key finds them again, and nobody else.

use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use crate::record::{Arguments, Covered};
use crate::text::Text;

/// Least and most bytes of a key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 32..=4096;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The key of digests. Its file is used byte for byte.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestKey").finish_non_exhaustive()
    }
}

/// Why there is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestKeyError {
    /// The file.
    #[error("the key of digests cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// Too little to withstand guessing, or no key at all.
    #[error("a key of digests has {} to {} bytes: `openssl rand -out FILE 32`", KEY_BYTES.start(), KEY_BYTES.end())]
    Length,
}

impl DigestKey {
    /// A key of 32 to 4096 bytes.
    ///
    /// # Errors
    /// [`DigestKeyError::Length`]
    pub fn new(bytes: &[u8]) -> Result<Self, DigestKeyError> {
        if !KEY_BYTES.contains(&bytes.len()) {
            return Err(DigestKeyError::Length);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The key in a file.
    ///
    /// # Errors
    /// [`DigestKeyError`]
    pub fn read(file: &Path) -> Result<Self, DigestKeyError> {
        let unreadable = |error: std::io::Error| DigestKeyError::Unreadable(error.kind());
        let mut bytes = Zeroizing::new(Vec::new());
        let most = u64::try_from(*KEY_BYTES.end()).unwrap_or(u64::MAX).saturating_add(1);
        std::fs::File::open(file)
            .map_err(unreadable)?
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        Self::new(&bytes)
    }

    /// `hmac:` and 64 hex digits: HMAC-SHA-256 over what kind of thing it is, a zero byte, and the value.
    #[must_use]
    pub fn digest(&self, kind: Digested, value: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(kind.word().as_bytes());
        context.update(&[0]);
        context.update(value);
        in_hex("hmac:", context.sign().as_ref())
    }
}

/// What a digest is of. The same value of two kinds has two digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digested {
    /// A user.
    User,
    /// An agent, in whichever place: acting, before it, or as the client.
    Agent,
    /// A tenant.
    Tenant,
    /// What was asked with.
    Arguments,
    /// A part of a request.
    Part,
}

impl Digested {
    /// The word that the digest begins with.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
            Self::Tenant => "tenant",
            Self::Arguments => "arguments",
            Self::Part => "part",
        }
    }
}

/// How an identity is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    #[default]
    Plain,
    /// As a digest, with a key.
    Digest,
    /// Not at all.
    Omit,
}

impl Form {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("digest", Self::Digest), ("omit", Self::Omit)];
}

/// How the address of a peer is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PeerForm {
    /// As it is.
    #[default]
    Plain,
    /// The first 24 bits of IPv4, 48 of IPv6.
    Prefix,
    /// Not at all.
    Omit,
}

impl PeerForm {
    /// Every one, with its word.
    pub const WORDS: [(&'static str, Self); 3] =
        [("plain", Self::Plain), ("prefix", Self::Prefix), ("omit", Self::Omit)];
}

/// How each thing is recorded that may be somebody's secret or personal data.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// Users.
    pub user: Form,
    /// Agents, and the clients that tokens were issued to.
    pub agent: Form,
    /// Tenants.
    pub tenant: Form,
    /// Addresses of peers.
    pub peer: PeerForm,
    /// Whether the digest of a token's id is recorded.
    pub token: bool,
    /// Whether a digest of what was asked with is.
    pub arguments: bool,
    /// The key of digests. Without it, what is to be digested is left out.
    pub key: Option<DigestKey>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self {
            user: Form::Plain,
            agent: Form::Plain,
            tenant: Form::Plain,
            peer: PeerForm::Plain,
            token: true,
            arguments: true,
            key: None,
        }
    }
}

impl Redaction {
    /// A user's id.
    #[must_use]
    pub fn user<'a>(&self, id: &'a str) -> Option<Text<'a>> {
        self.identity(self.user, Digested::User, id)
    }

    /// An agent's id.
    #[must_use]
    pub fn agent<'a>(&self, id: &'a str) -> Option<Text<'a>> {
        self.identity(self.agent, Digested::Agent, id)
    }

    /// A tenant's name.
    #[must_use]
    pub fn tenant<'a>(&self, name: &'a str) -> Option<Text<'a>> {
        self.identity(self.tenant, Digested::Tenant, name)
    }

    /// The name of what an order is about; `kind` is the word of the order.
    #[must_use]
    pub fn subject<'a>(&self, kind: &str, name: &'a str) -> Option<Text<'a>> {
        match kind {
            "user" => self.user(name),
            "agent" | "client" => self.agent(name),
            "tenant" => self.tenant(name),
            "token" if !self.token => None,
            _ => Some(Text::from(name)),
        }
    }

    fn identity<'a>(&self, form: Form, kind: Digested, id: &'a str) -> Option<Text<'a>> {
        match (form, &self.key) {
            (Form::Plain, _) => Some(Text::from(id)),
            (Form::Digest, Some(key)) => Some(Text::from(key.digest(kind, id.as_bytes()))),
            (Form::Digest, None) | (Form::Omit, _) => None,
        }
    }

    /// An address.
    #[must_use]
    pub fn peer(&self, address: IpAddr) -> Option<Text<'static>> {
        match (self.peer, address) {
            (PeerForm::Plain, address) => Some(Text::from(address.to_string())),
            (PeerForm::Prefix, IpAddr::V4(four)) => {
                let [a, b, c, _] = four.octets();
                Some(Text::from(format!("{}/24", IpAddr::from([a, b, c, 0]))))
            }
            (PeerForm::Prefix, IpAddr::V6(six)) => {
                let [a, b, c, ..] = six.segments();
                Some(Text::from(format!("{}/48", IpAddr::from([a, b, c, 0, 0, 0, 0, 0]))))
            }
            (PeerForm::Omit, _) => None,
        }
    }

    /// A digest of what was asked with: method, a space, the path and query as sent, a line break, and the body where
    /// all of it is known. With the key if there is one. `None` where it is not wanted, or where a line break in the first
    /// two would make it ambiguous.
    #[must_use]
    pub fn arguments(&self, method: &str, target: &str, body: Option<&[u8]>) -> Option<Arguments<'static>> {
        if !self.arguments || [method, target].iter().any(|part| part.bytes().any(|byte| byte < b' ')) {
            return None;
        }
        let parts = [method.as_bytes(), b" ", target.as_bytes(), b"\n", body.unwrap_or_default()];
        let digest = match &self.key {
            Some(key) => {
                let mut context = hmac::Context::with_key(&key.0);
                context.update(Digested::Arguments.word().as_bytes());
                context.update(&[0]);
                parts.iter().for_each(|part| context.update(part));
                in_hex("hmac:", context.sign().as_ref())
            }
            None => {
                let mut context = digest::Context::new(&digest::SHA256);
                parts.iter().for_each(|part| context.update(part));
                in_hex("sha256:", context.finish().as_ref())
            }
        };
        let of = if body.is_some() { Covered::Request } else { Covered::Target };
        Some(Arguments { digest: Text::from(digest), of })
    }

    /// A digest of a part of a request; `None` without a key.
    #[must_use]
    pub fn part(&self, value: &[u8]) -> Option<Text<'static>> {
        self.key.as_ref().map(|key| Text::from(key.digest(Digested::Part, value)))
    }
}

fn in_hex(word: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(word.len().saturating_add(bytes.len().saturating_mul(2)));
    text.push_str(word);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(HEX.get(usize::from(digit)).copied().map_or('?', char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed() -> Redaction {
        Redaction { user: Form::Digest, key: Some(DigestKey::new(&[7; 32]).unwrap()), ..Redaction::default() }
    }

    /// As `openssl` has it: docs/reference/audit.md shows the commands.
    #[test]
    fn digests_are_those_of_the_documentation() {
        let plain =
            Redaction::default().arguments("GET", "/tenants/acme/documents/plan?page=2", None).unwrap();
        assert_eq!(
            plain.digest.as_str(),
            "sha256:7b5e4681e4cf3e0d554adf8a9a6eec7c8684eec457108c030bb1064bf618e902"
        );
        assert_eq!(plain.of, Covered::Target);
        let whole = Redaction::default().arguments("POST", "/a", Some(b"{}")).unwrap();
        assert_eq!(
            whole.digest.as_str(),
            "sha256:5b1b6a6b5642a1f49ea284d89b3f69e3bb4a44148363dff37d68b2c1d7f7bb08"
        );
        assert_eq!(whole.of, Covered::Request);
        let keyed = keyed();
        assert_eq!(
            keyed.arguments("POST", "/a", Some(b"{}")).unwrap().digest.as_str(),
            "hmac:636fe561f712193959e295554cfbb5db034cb4e229a47c05bbd59e44e5296551"
        );
        assert_eq!(
            keyed.user("corp:alice").unwrap().as_str(),
            "hmac:16fa8256c2e2a3c726e4d97bcbf79f3e43d0fa1436da52a4a9c958c715ab0aa5"
        );
    }

    /// A body that is not known to be whole is no empty body.
    #[test]
    fn what_is_covered_is_part_of_what_is_said() {
        let redaction = Redaction::default();
        let (none, empty) =
            (redaction.arguments("GET", "/a", None), redaction.arguments("GET", "/a", Some(b"")));
        assert_eq!((none.unwrap().of, empty.unwrap().of), (Covered::Target, Covered::Request));
        for (method, target) in [("GET\n", "/a"), ("GET", "/a\nb"), ("GET", "/a\r"), ("GET", "/\0")] {
            assert_eq!(redaction.arguments(method, target, None), None, "{target:?}");
        }
        assert_eq!(Redaction { arguments: false, ..redaction }.arguments("GET", "/a", None), None);
    }

    /// The same name of two kinds is not linked by its digest; without a key nothing is shown.
    #[test]
    fn identities_are_shown_as_is_configured() {
        let all = Redaction { agent: Form::Digest, tenant: Form::Digest, ..keyed() };
        let digests =
            [all.user("a"), all.agent("a"), all.tenant("a"), all.part(b"a")].map(|text| text.unwrap());
        for (n, one) in digests.iter().enumerate() {
            assert!(one.as_str().starts_with("hmac:") && one.as_str().len() == 69, "{one}");
            assert!(digests.iter().skip(n + 1).all(|other| other != one), "{one}");
        }
        assert_eq!(all.subject("user", "a"), all.user("a"));
        assert_eq!(all.subject("client", "a"), all.agent("a"));
        assert_eq!(all.subject("tenant", "a"), all.tenant("a"));
        assert_eq!(all.subject("key", "a").unwrap().as_str(), "a");
        assert_eq!(all.subject("token", "a").unwrap().as_str(), "a");
        assert_eq!(Redaction { token: false, ..all.clone() }.subject("token", "a"), None);
        let without = Redaction { key: None, ..all };
        assert_eq!((without.user("a"), without.agent("a"), without.part(b"a")), (None, None, None));
        let omitted = Redaction { user: Form::Omit, ..keyed() };
        assert_eq!((omitted.user("a"), omitted.agent("a")), (None, Some(Text::from("a"))));
    }

    #[test]
    fn addresses_are_cut() {
        let cut = |form, address: &str| {
            let redaction = Redaction { peer: form, ..Redaction::default() };
            redaction.peer(address.parse().unwrap()).map(|text| text.as_str().to_owned())
        };
        assert_eq!(cut(PeerForm::Plain, "192.0.2.7").unwrap(), "192.0.2.7");
        assert_eq!(cut(PeerForm::Prefix, "192.0.2.7").unwrap(), "192.0.2.0/24");
        assert_eq!(cut(PeerForm::Prefix, "2001:db8:1:2::7").unwrap(), "2001:db8:1::/48");
        assert_eq!(cut(PeerForm::Omit, "192.0.2.7"), None);
    }

    #[test]
    fn a_key_has_some_length() {
        for length in [0, 31, 4097] {
            assert_eq!(DigestKey::new(&vec![1; length]).unwrap_err(), DigestKeyError::Length, "{length}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(matches!(DigestKey::read(&file), Err(DigestKeyError::Unreadable(_))));
        std::fs::write(&file, [7; 32]).unwrap();
        let read = DigestKey::read(&file).unwrap().digest(Digested::User, b"corp:alice");
        assert_eq!(read, keyed().user("corp:alice").unwrap().as_str());
        assert!(!format!("{:?}", keyed()).contains('7'));
    }
}

//! The names of what lies in Redis.
//!
//! `<prefix>:{<scope>}` is the memory of a scope, without a version in its name: two versions of Exequatur that share a
//! Redis find the same memory, and its first octet tells one that it is not its own. All else carries the version.
//! Names are made of digests, never of what a client sends, so they have neither braces nor a length of its choosing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::server::RunId;
use super::slots::Slot;
use crate::admission::Scope;
use crate::limit::LimitKey;

/// The version of what lies in Redis. It changes when a key or a script changes its meaning.
const VERSION: u8 = 1;
/// The hash tag of all that revocations have.
const REVOCATIONS: &str = "revocations";

/// What every key begins with. 1 to 64 octets of `a-z A-Z 0-9 . _ : -`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// None if it has another length, or another character.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
        ((1..=64).contains(&text.len()) && text.chars().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// As it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self("exequatur".to_owned())
    }
}

impl Prefix {
    pub(super) fn memory(&self, scope: Scope) -> String {
        format!("{}:{{{}}}", self.0, text(&scope.0))
    }

    pub(super) fn proof(&self, scope: Scope, proof: &[u8; 16]) -> String {
        self.of(scope, 'p', proof)
    }

    pub(super) fn holder(&self, scope: Scope, holder: &[u8; 16]) -> String {
        self.of(scope, 'h', holder)
    }

    pub(super) fn tenant(&self, scope: Scope) -> String {
        format!("{}:{{{}}}:{VERSION}:t", self.0, text(&scope.0))
    }

    /// The level of a limit. A key is used with limits of one kind only.
    pub(super) fn level(&self, scope: Scope, key: &LimitKey) -> String {
        self.of(scope, 'l', &key.0)
    }

    /// What of revocations lies at `name`. All of it is of one shard.
    pub(super) fn revocations(&self, name: &str) -> String {
        format!("{}:{{{REVOCATIONS}}}:{VERSION}:{name}", self.0)
    }

    /// What revocations remember of the server, without a version, as for [`Self::memory`].
    pub(super) fn revocation_memory(&self) -> String {
        format!("{}:{{{REVOCATIONS}}}", self.0)
    }

    /// The latest time that any replica saw here. It is of no scope.
    pub(super) fn clock(&self) -> String {
        format!("{}:{VERSION}:clock", self.0)
    }

    /// The same on a node of a cluster. `tag` is of a slot that the node has. The name says whose it is: if the slot moves,
    /// it is not taken for another's.
    pub(super) fn node_clock(&self, tag: u32, run: &RunId) -> String {
        format!("{}:{{{tag}}}:{VERSION}:clock:{}", self.0, run.as_str())
    }

    /// Where all of a scope lies.
    pub(super) fn slot(scope: Scope) -> Slot {
        Slot::of(&text(&scope.0))
    }

    /// Where all of revocations lies.
    pub(super) fn revocations_slot() -> Slot {
        Slot::of(REVOCATIONS)
    }

    fn of(&self, scope: Scope, kind: char, digest: &[u8; 16]) -> String {
        format!("{}:{{{}}}:{VERSION}:{kind}:{}", self.0, text(&scope.0), text(digest))
    }
}

fn text(digest: &[u8; 16]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// V12: digests only, and one hash tag for all of a scope.
    #[test]
    fn every_key_of_a_scope_has_its_tag() {
        let (prefix, scope) = (Prefix::default(), Scope([0xff; 16]));
        let memory = prefix.memory(scope);
        assert_eq!(memory, "exequatur:{_____________________w}");
        let level = prefix.level(scope, &LimitKey([3; 16]));
        for key in
            [prefix.proof(scope, &[1; 16]), prefix.holder(scope, &[2; 16]), prefix.tenant(scope), level]
        {
            assert!(key.starts_with(&memory) && key.matches('{').count() == 1, "{key}");
        }
        let tag = |key: &str| key.split_once('{').unwrap().1.split_once('}').unwrap().0.to_owned();
        assert_eq!(Prefix::slot(scope), Slot::of(&tag(&memory)));
        for key in [prefix.revocation_memory(), prefix.revocations("log")] {
            assert_eq!(Prefix::revocations_slot(), Slot::of(&tag(&key)), "{key}");
        }
        assert_ne!(prefix.proof(scope, &[1; 16]), prefix.holder(scope, &[1; 16]));
        assert_ne!(prefix.memory(scope), prefix.memory(Scope([0xfe; 16])));
    }

    #[test]
    fn a_prefix_has_no_braces() {
        assert_eq!(Prefix::parse("prod:eu-1").as_ref().map(Prefix::as_str), Some("prod:eu-1"));
        for bad in ["", "a{b}", "a b", "ä", &"a".repeat(65)] {
            assert_eq!(Prefix::parse(bad), None, "{bad}");
        }
    }
}

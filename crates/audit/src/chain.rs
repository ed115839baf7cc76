//! The chain of lines. A line ends in its sequence number and its hash:
//!
//! ```text
//! {"v":1,"time":"…",…,"seq":42,"hash":"<43 characters>"}
//! ^~~~~~~~~~~~~~~~~~~~~~~~~~~^ the body: exactly these bytes
//! ```
//!
//! `hash` is SHA-256(0x02 ‖ the hash of the line before, 32 bytes ‖ the body), in base64url without padding. No JSON is
//! parsed, and none is written again, to check it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memrchr;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Before what the chain hashes; RFC 6962 uses 0 and 1 for the leaves and nodes of a tree.
const LINK: u8 = 2;
/// A hash in base64url, in characters.
const ENCODED: usize = 43;
/// The greatest sequence number has so many digits.
const MAX_DIGITS: usize = 20;
const HASH: &[u8] = br#","hash":""#;
const SEQUENCE: &[u8] = br#","seq""#;

/// A SHA-256 hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Before the first line of a chain.
    pub(crate) const NONE: Self = Self([0; 32]);

    pub(crate) const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads base64url without padding. `None` for anything else than 32 bytes in their one spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn encoded(&self, into: &mut [u8; ENCODED]) -> bool {
        URL_SAFE_NO_PAD.encode_slice(self.0, into) == Ok(ENCODED)
    }

    fn is_spelt(&self, text: &[u8]) -> bool {
        let mut encoded = [0; ENCODED];
        self.encoded(&mut encoded) && text == encoded
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a hash"))
    }
}

/// A line of the chain: its number and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number, from 1 in each run of a writer.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Reads `SEQ:HASH`, as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.split_once(':')?;
        Some(Self { seq: number(seq.as_bytes())?, hash: Hash::parse(hash)? })
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// Ends the JSON object that begins at `start` as line `seq`, after one with the hash `before`.
pub(crate) fn seal(lines: &mut Vec<u8>, start: usize, seq: u64, before: &Hash) -> Option<Link> {
    if lines.pop() != Some(b'}') {
        return None;
    }
    lines.extend_from_slice(SEQUENCE);
    lines.push(b':');
    lines.extend_from_slice(seq.to_string().as_bytes());
    let hash = link(before, lines.get(start..)?);
    let mut encoded = [0; ENCODED];
    if !hash.encoded(&mut encoded) {
        return None;
    }
    lines.extend_from_slice(HASH);
    lines.extend_from_slice(&encoded);
    lines.extend_from_slice(b"\"}\n");
    Some(Link { seq, hash })
}

/// The hash of a line with this body after one with the hash `before`.
pub(crate) fn link(before: &Hash, body: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([LINK]);
    hash.update(before.0);
    hash.update(body);
    Hash(hash.finalize().into())
}

/// A line of the chain, taken apart, not checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    /// What the hash is over.
    pub(crate) body: &'a [u8],
    /// The body without its number: the record as it was before it was sealed, less its brace.
    pub(crate) content: &'a [u8],
    pub(crate) seq: u64,
    hash: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Takes a line without its end. `None` if it does not end like a line of a chain.
    pub(crate) fn of(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\"}")?;
        let (rest, hash) = line.split_at_checked(line.len().checked_sub(ENCODED)?)?;
        let body = rest.strip_suffix(HASH)?;
        let digits = body.get(memrchr(b':', body.get(..)?)?.checked_add(1)?..)?;
        let seq = number(digits)?;
        let content = body.get(..body.len().checked_sub(digits.len())?)?.strip_suffix(b":")?;
        Some(Self { body, content: content.strip_suffix(SEQUENCE)?, seq, hash })
    }

    /// Its link, if its hash is that of this very body after `before`.
    pub(crate) fn after(&self, before: &Hash) -> Option<Link> {
        let hash = link(before, self.body);
        hash.is_spelt(self.hash).then_some(Link { seq: self.seq, hash })
    }

    /// What it says its link is.
    pub(crate) fn stated(&self) -> Option<Link> {
        let hash = std::str::from_utf8(self.hash).ok().and_then(Hash::parse)?;
        Some(Link { seq: self.seq, hash })
    }
}

/// A number in its one spelling.
fn number(digits: &[u8]) -> Option<u64> {
    if !(1..=MAX_DIGITS).contains(&digits.len())
        || digits.first() == Some(&b'0')
        || !digits.iter().all(u8::is_ascii_digit)
    {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(json: &str, seq: u64, before: &Hash) -> (String, Link) {
        let mut lines = b"what stands before\n".to_vec();
        let start = lines.len();
        lines.extend_from_slice(json.as_bytes());
        let link = seal(&mut lines, start, seq, before).unwrap();
        (String::from_utf8(lines.split_off(start)).unwrap(), link)
    }

    /// Against `printf '\002…' | sha256sum`: the definition is public.
    #[test]
    fn a_line_ends_in_its_number_and_hash() {
        let (line, link) = sealed(r#"{"v":1}"#, 7, &Hash::NONE);
        assert_eq!(line, format!("{{\"v\":1,\"seq\":7,\"hash\":\"{}\"}}\n", link.hash));
        let mut input = vec![2];
        input.extend([0; 32]);
        input.extend(br#"{"v":1,"seq":7"#);
        assert_eq!(link.hash.bytes()[..], Sha256::digest(input)[..]);
    }

    #[test]
    fn a_line_is_what_was_sealed_after_what_was_before_it() {
        let (_, first) = sealed(r#"{"v":1}"#, 1, &Hash::NONE);
        let (line, second) = sealed(r#"{"v":1,"x":",\"seq\":9,\"hash\":\""}"#, 2, &first.hash);
        let sealed = Sealed::of(line.trim_end().as_bytes()).unwrap();
        assert_eq!(sealed.content, br#"{"v":1,"x":",\"seq\":9,\"hash\":\"""#);
        assert_eq!((sealed.after(&first.hash), sealed.stated()), (Some(second), Some(second)));
        assert_eq!(sealed.after(&second.hash), None);
    }

    #[test]
    fn what_does_not_end_so_is_no_line() {
        let (line, _) = sealed(r#"{"v":1}"#, 10, &Hash::NONE);
        let line = line.trim_end();
        assert!(Sealed::of(line.as_bytes()).is_some());
        for (from, to) in [
            (r#""seq":10"#, r#""seq":010"#),
            (r#""seq":10"#, r#""seq":"#),
            (r#""seq":10"#, r#""seq":1x"#),
            (r#""seq":10"#, r#""seq":123456789012345678901"#),
            (r#","seq""#, r#","sex""#),
            (r#","hash":""#, r#","hasch":""#),
            (r#","hash":""#, r#""hash":""#),
            (r#""}"#, r#"" }"#),
        ] {
            assert!(Sealed::of(line.replace(from, to).as_bytes()).is_none(), "{to}");
        }
        assert!(Sealed::of(b"").is_none() && Sealed::of(b"\"}").is_none());
    }

    #[test]
    fn links_and_hashes_have_one_spelling() {
        let (_, link) = sealed(r#"{"v":1}"#, 10, &Hash::NONE);
        assert_eq!(Link::parse(&link.to_string()), Some(link));
        let text = link.hash.to_string();
        // The last character of 43 has two bits that mean nothing.
        let last = text.chars().last().unwrap();
        let rest = text.strip_suffix(last).unwrap();
        let twins = ('!'..='~').filter(|c| Hash::parse(&format!("{rest}{c}")) == Some(link.hash));
        assert_eq!(twins.collect::<Vec<_>>(), [last]);
        for wrong in ["", "1", "0:", &format!("0:{text}"), &format!("+1:{text}"), &format!("1:{text}=")] {
            assert_eq!(Link::parse(wrong), None, "{wrong}");
        }
    }
}
